"""What the door of a sharing clone answers, and what each answer costs in meetings with the remote."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gitcoord.errors import exit_code
from gitcoord.service import open_desk
from support.clock import ManualClock
from support.repo import fsck, git
from support.team import GitCalls, Team, desk, tip
from support.world import code, granted

if TYPE_CHECKING:
    pass

NOT_CONFIRMED = 4


def test_a_confirmed_grant_answers_in_the_public_shape(team: Team) -> None:
    where = team.sharing("one")
    answer = granted(desk(where).lock_files(["src/app.py", "docs/"], reason="Rework"))
    assert set(answer) == {
        *("granted", "session", "grant", "token", "revision", "state", "expires_at", "locks", "warnings", "notices"),
    }
    assert answer["state"] == "confirmed"
    assert answer["token"] == answer["revision"] == int(git(team.hub, "rev-list", "--count", "refs/gitcoord/main"))
    assert sorted(lock["path"] for lock in answer["locks"]) == ["docs", "src/app.py"]
    shown = desk(where).get_locked_files()["locks"]
    assert all(lock in shown for lock in answer["locks"])
    for lock in answer["locks"]:
        assert (lock["state"], lock["token"], lock["grant"]) == ("confirmed", answer["token"], answer["grant"])
    assert team.tip() == tip(where)


def test_a_provisional_grant_has_no_token_and_its_grant_as_handle(team: Team) -> None:
    where = team.sharing("one")
    answer = granted(desk(where).lock_files(["src/app.py"], offline=True))
    assert (answer["state"], answer["token"]) == ("provisional", None)
    (lock,) = answer["locks"]
    assert (lock["state"], lock["token"], lock["grant"]) == ("provisional", None, answer["grant"])
    assert team.tip() != tip(where)


def test_a_refusal_names_the_winner_its_token_and_its_time(team: Team) -> None:
    one, two = team.sharing("one"), team.sharing("two")
    won = granted(desk(one, "ada@one").lock_files(["src/"], reason="Rework"))
    before = team.tip()
    answer = desk(two, "bob@two").lock_files(["src/app.py"])
    assert (code(answer), exit_code(answer)) == ("lock_held", 1)
    (held,) = answer["conflicts"]
    assert held == {**won["locks"][0], "path": "src/app.py", "held_path": "src"}
    assert (held["session"], held["token"], held["state"]) == ("ada@one", won["token"], "confirmed")
    for word in ("ada@one", held["locked_at"], held["expires_at"], "Rework"):
        assert word in answer["error"]["message"]
    assert team.tip() == before


def test_a_token_that_only_the_local_log_knows_is_not_shown(team: Team) -> None:
    """An upgrade without the remote is a new grant: the confirmed one's token does not stand for it."""
    where = desk(team.sharing("one"))
    shared = granted(where.lock_files(["a"], mode="shared"))
    assert shared["state"] == "confirmed"
    (lock,) = granted(where.lock_files(["a"], offline=True))["locks"]
    assert (lock["mode"], lock["state"], lock["token"]) == ("exclusive", "provisional", None)
    assert where.sync()["ok"]
    (lock,) = where.get_locked_files()["locks"]
    assert lock["token"] > shared["token"]


# -- what it costs


def test_a_lock_is_one_push_and_no_fetch(team: Team, calls: GitCalls) -> None:
    where = desk(team.sharing("one"))
    for path in ("a", "b"):
        with calls.counted() as met:
            granted(where.lock_files([path]))
        assert met == ["push"]


def test_a_lost_race_is_one_fetch_more(team: Team, calls: GitCalls) -> None:
    one, two = desk(team.sharing("one"), "ada@one"), desk(team.sharing("two"), "bob@two")
    granted(one.lock_files(["a"]))
    with calls.counted() as met:
        assert granted(two.lock_files(["b"]))["state"] == "confirmed"
    assert met == ["push", "fetch", "push"]
    granted(one.lock_files(["c"]))
    with calls.counted() as met:
        assert code(two.lock_files(["c"])) == "lock_held"
    assert met == ["push", "fetch"]


def test_a_refusal_that_is_known_here_still_rests_on_a_look(team: Team, calls: GitCalls) -> None:
    one, two = desk(team.sharing("one"), "ada@one"), desk(team.sharing("two"), "bob@two")
    granted(one.lock_files(["a"]))
    assert two.sync()["ok"]
    with calls.counted() as met:
        assert code(two.lock_files(["a"])) == "lock_held"
    assert met == ["ls-remote"]
    assert one.unlock_files(["a"])["ok"]
    assert granted(two.lock_files(["a"]))["state"] == "confirmed"


def test_what_needs_no_agreement_goes_in_one_push(team: Team, calls: GitCalls) -> None:
    where = desk(team.sharing("one"))
    granted(where.lock_files(["a"]))
    for verb in (lambda: where.store_data("s", "k", 1), lambda: where.unlock_files(["a"]), where.renew):
        with calls.counted() as met:
            assert verb()["ok"]
        assert met == ["push"]
        assert team.tip() == tip(where.access.repository.git_dir)


def test_a_set_with_an_expected_revision_is_confirmed_through_the_same_door(team: Team, calls: GitCalls) -> None:
    one, two = desk(team.sharing("one"), "ada@one"), desk(team.sharing("two"), "bob@two")
    stored = one.store_data("plan", "next", 1, expect_revision=0)
    assert stored["ok"]
    refused = two.store_data("plan", "next", 2, expect_revision=0)
    assert (refused["ok"], exit_code(refused)) == (False, 1)
    assert two.retrieve_data("plan", "next")["value"] == 1
    with calls.counted() as met:
        assert two.store_data("plan", "next", 2, expect_revision=stored["revision"])["ok"]
    assert "push" in met
    assert one.store_data("plan", "next", 3, expect_revision=stored["revision"])["ok"] is False
    with team.without_remote():
        lost = one.store_data("plan", "next", 3, expect_revision=0)
    assert exit_code(lost) == NOT_CONFIRMED


def test_a_remote_that_stops_taking_the_log_is_named_and_nothing_is_in_effect(team: Team) -> None:
    where = team.sharing("one")
    mine = desk(where)
    granted(mine.lock_files(["a"]))
    before = team.tip()
    team.refuse("refs/gitcoord/*")
    answer = mine.lock_files(["b"])
    assert (code(answer), exit_code(answer)) == ("remote_rejected", NOT_CONFIRMED)
    assert "no such refs here" in answer["error"]["message"]
    stored = mine.store_data("s", "k", 1)
    assert stored["ok"]
    assert "kept here until" in stored["notices"][-1]
    assert [lock["path"] for lock in mine.get_locked_files()["locks"]] == ["a"]
    assert team.tip() == before
    team.hook("pre-receive", "")
    assert mine.sync()["ok"]
    assert team.tip() == tip(where) != before


# -- leases


def end_of(answer: dict[str, str]) -> datetime:
    return datetime.fromisoformat(answer["expires_at"])


def test_the_end_of_a_confirmed_lock_counts_from_the_renewal_that_the_remote_knows(team: Team) -> None:
    clock = ManualClock()
    where = desk(team.sharing("one"), clock=clock)
    first = granted(where.lock_files(["a"]))
    clock.advance(600)
    with team.without_remote():
        renewed = where.renew()
        assert renewed["ok"]
        assert "kept here" in renewed["notices"][-1]
    (lock,) = where.get_locked_files()["locks"]
    assert end_of(lock) == end_of(first)
    clock.advance(60)
    assert where.sync()["ok"]
    (lock,) = where.get_locked_files()["locks"]
    assert end_of(lock) == end_of(first) + timedelta(seconds=600)


def test_a_holder_whose_renewals_stayed_here_is_told_that_its_lease_is_over(team: Team) -> None:
    clock = ManualClock()
    where = desk(team.sharing("one"), clock=clock)
    granted(where.lock_files(["a"]))
    with team.without_remote():
        for _ in range(3):
            clock.advance(3000)
            where.renew()
        checked = where.check(["a"])
    assert not checked["ok"]
    assert "as far as the remote knows" in checked["checked"][0]["why"]


# -- sessions of two clones


def test_two_clones_of_one_person_on_one_machine_are_two_sessions(team: Team) -> None:
    one, two = team.sharing("one"), team.sharing("two")
    mine = [open_desk(where, session="ada@host", may_number=True) for where in (one, two)]
    assert [granted(each.lock_files([path]))["session"] for each, path in zip(mine, "ab", strict=True)] == [
        "ada@host",
        "ada@host-2",
    ]
    again = open_desk(two, session="ada@host", may_number=True)
    assert granted(again.lock_files(["c"]))["session"] == "ada@host-2"
    assert code(again.lock_files(["a"])) == "lock_held"
    assert fsck(team.hub) == []


def test_nobody_acts_as_the_session_of_another_clone(team: Team) -> None:
    one, two = team.sharing("one"), team.sharing("two")
    granted(desk(one, "ada@one").lock_files(["a"]))
    other = desk(two, "ada@one")
    for answer in (other.lock_files(["b"]), other.unlock_files(["a"]), other.store_data("s", "k", 1), other.renew()):
        assert exit_code(answer) == 1, answer
        assert "error" in answer
    assert [lock["path"] for lock in desk(one, "ada@one").get_locked_files()["locks"]] == ["a"]


def test_who_signed_on_in_another_clone_meanwhile_has_the_name(team: Team) -> None:
    one, two = desk(team.sharing("one"), "worker"), desk(team.sharing("two"), "worker")
    assert one.sign_on("worker")["session"] == "worker"
    assert code(two.sign_on("worker")) == "session_taken"
