"""Following the remote: what others did shows here, and a look that finds nothing new costs one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitcoord.service import open_desk
from support.clock import ManualClock
from support.repo import git, log_length
from support.team import GitCalls, Team, desk, tip
from support.world import granted

if TYPE_CHECKING:
    pass


def test_a_look_that_finds_nothing_new_is_one_round_trip_and_no_commit(team: Team, calls: GitCalls) -> None:
    where = desk(team.sharing("one"))
    granted(where.lock_files(["a"]))
    length = log_length(team.hub)
    for _ in range(3):
        with calls.counted() as met:
            assert where.sync()["remote_state"] == "equal"
        assert met == ["ls-remote"]
    assert log_length(team.hub) == length


def test_what_others_did_comes_without_a_commit_of_ones_own(team: Team, calls: GitCalls) -> None:
    one, two = desk(team.sharing("one"), "ada@one"), desk(team.sharing("two"), "bob@two")
    granted(one.lock_files(["a"]))
    published = team.tip()
    with calls.counted() as met:
        answer = two.sync()
    assert (answer["remote_state"], answer["ahead"], answer["behind"]) == ("grown", 0, 0)
    assert met == ["ls-remote", "fetch"]
    assert tip(two.access.repository.git_dir) == team.tip() == published
    assert [lock["path"] for lock in two.get_locked_files()["locks"]] == ["a"]


def test_a_serving_process_meets_the_remote_at_its_interval(team: Team, calls: GitCalls) -> None:
    clock = ManualClock()
    one, where = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    git(where, "config", "gitcoord.interval", "30")
    serving = open_desk(where, hint="serving", process=False, clock=clock)
    serving.follow_once()
    granted(one.lock_files(["a"]))
    with calls.counted() as met:
        assert serving.follow_once() <= 30
        clock.advance(29)
        serving.follow_once()
    assert met == []
    assert serving.get_locked_files()["locks"] == []
    clock.advance(1)
    with calls.counted() as met:
        serving.follow_once()
    assert met == ["ls-remote", "fetch"]
    assert [lock["path"] for lock in serving.get_locked_files()["locks"]] == ["a"]


def test_a_serving_process_brings_what_waits_to_the_remote_at_once(team: Team, calls: GitCalls) -> None:
    where = team.sharing("one")
    serving = desk(where)
    serving.follow_once()
    granted(serving.lock_files(["a"]))
    with calls.counted() as met:
        assert serving.store_data("s", "k", 1)["ok"]
        assert serving.store_data("s", "l", 1)["ok"]
    assert met == []
    assert serving.status()["remote"]["ahead"] == 2
    with calls.counted() as met:
        serving.follow_once()
    assert met.count("push") == 1
    assert team.tip() == tip(where)


def test_a_remote_out_of_reach_is_asked_again_later_and_not_each_time(team: Team, calls: GitCalls) -> None:
    clock = ManualClock()
    serving = desk(team.sharing("one"), clock=clock)
    granted(serving.lock_files(["a"]))
    clock.advance(6)
    with team.without_remote():
        assert serving.sync()["ok"] is False
        with calls.counted() as met:
            for _ in range(5):
                clock.advance(1)
                serving.follow_once()
    assert met == []
    clock.advance(60)
    with calls.counted() as met:
        serving.follow_once()
    assert met == ["ls-remote"]
    assert serving.status()["remote"]["unreached"] is None


def test_status_tells_how_far_behind_and_when_the_last_contact_was(team: Team) -> None:
    one, two = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    clock = ManualClock()
    watching = desk(two, "bob@two", clock)
    assert watching.sync()["ok"]
    met = watching.status()["remote"]["reached_at"]
    assert met == "2025-06-15T15:06:40.000Z"
    granted(one.lock_files(["a"]))
    git(two, "fetch", "-q", "origin", "refs/gitcoord/main:refs/gitcoord/incoming/origin")
    clock.advance(60)
    assert watching.status()["remote"]["behind"] == 0
    assert watching.sync()["ok"]
    assert watching.status()["remote"]["reached_at"] == "2025-06-15T15:07:40.000Z"


def test_one_push_carries_what_every_process_of_the_clone_has_waiting(team: Team, calls: GitCalls) -> None:
    where = team.sharing("one")
    desks = [desk(where, f"worker-{number}") for number in range(4)]
    with team.without_remote():
        for number, each in enumerate(desks):
            granted(each.lock_files([f"file-{number}"], offline=True))
    with calls.counted() as met:
        granted(desk(where, "one-more").lock_files(["more"]))
    assert met == ["push"]
    assert {lock["state"] for lock in desks[0].get_locked_files()["locks"]} == {"confirmed"}


def test_a_serving_process_takes_up_how_long_the_remote_may_be_silent(team: Team) -> None:
    where = team.sharing("one")
    server = desk(where)
    granted(server.lock_files(["a"]))
    team.hook("pre-receive", "sleep 3")
    git(where, "config", "gitcoord.timeout", "0.5")
    answer = server.lock_files(["b"])
    assert answer["error"]["code"] == "remote_unknown"
    assert "0.5 s" in answer["error"]["message"]
    team.hook("pre-receive", "")
    git(where, "config", "--unset", "gitcoord.timeout")
    assert server.sync()["ok"]
    assert [lock["path"] for lock in server.get_locked_files()["locks"]] == ["a", "b"]
