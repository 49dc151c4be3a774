"""Turning sharing on: what is there already is joined, what began apart is told apart, and nothing is overwritten."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.errors import NoSuchRemote, RemoteRejected, RemoteUnreachable, SeveralPushUrls, UnrelatedLogs
from gitcoord.service import initialise
from support.repo import LOG_REF, fsck, git, log_length
from support.team import Team, desk, tip
from support.world import code, granted

if TYPE_CHECKING:
    pass

BRANCH = "refs/heads/gitcoord"


def sharing_of(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["ok"], answer
    return answer["sharing"]


def paths(where: str) -> list[str]:
    return [lock["path"] for lock in desk(where).get_locked_files()["locks"]]


# -- init --remote


def test_a_new_log_is_published_and_it_is_said_where_and_who_can_read_it(team: Team) -> None:
    where = team.clone("one")
    answer = initialise(where, remote="origin")
    sharing = sharing_of(answer)
    assert answer["created"]
    assert (sharing["remote"], sharing["url"], sharing["ref"]) == ("origin", team.hub, LOG_REF)
    assert sharing["published"]
    assert "whoever can read this remote can read the state" in answer["warnings"][-1]
    assert team.tip() == tip(where)
    assert git(team.hub, "for-each-ref", "--format=%(refname)").split() == [LOG_REF, "refs/heads/main"]


def test_the_log_names_the_remote_that_confirms(team: Team) -> None:
    where = team.sharing("one")
    (shared, _) = desk(where).get_history(limit=2)["entries"]
    assert (shared["type"], "confirmed by origin" in shared["subject"]) == ("log.share", True)


def test_a_log_with_history_is_published_with_all_of_it(team: Team) -> None:
    where = team.clone("one")
    initialise(where)
    mine = granted(desk(where).lock_files(["src/app.py"]))
    assert mine["state"] == "local"
    assert sharing_of(initialise(where, remote="origin"))["published"]
    assert log_length(team.hub) == log_length(where)
    (lock,) = desk(where).get_locked_files()["locks"]
    assert (lock["state"], lock["grant"], lock["token"]) == ("confirmed", mine["grant"], mine["token"])
    assert fsck(team.hub) == []


def test_doing_it_again_changes_nothing(team: Team) -> None:
    where = team.sharing("one")
    before = tip(where)
    for again in (initialise(where, remote="origin"), initialise(where)):
        assert again["ok"]
        assert not again["created"]
    assert tip(where) == team.tip() == before
    other = team.sharing("two")
    assert not initialise(other)["joined"]
    assert team.tip() == before


def test_a_second_clone_that_says_remote_joins(team: Team) -> None:
    granted(desk(team.sharing("one")).lock_files(["src/app.py"]))
    where = team.clone("two")
    sharing = sharing_of(initialise(where, remote="origin"))
    assert not sharing["published"]
    assert paths(where) == ["src/app.py"]


@pytest.mark.parametrize("branch", [False, True])
def test_a_copy_of_the_same_log_meets_it_and_keeps_what_each_did(team: Team, branch: bool) -> None:
    one = team.clone("one")
    initialise(one)
    assert desk(one).store_data("plan", "first", 1)["ok"]
    two = str(team.root / "two")
    shutil.copytree(one, two)
    assert desk(one, "ada@one").store_data("plan", "one", 1)["ok"]
    assert desk(two, "bob@two").store_data("plan", "two", 2)["ok"]
    for where in (one, two):
        assert sharing_of(initialise(where, remote="origin", branch=branch))["ref"] == (BRANCH if branch else LOG_REF)
    assert desk(one).sync()["ok"]
    assert tip(one) == tip(two) == git(team.hub, "rev-parse", BRANCH if branch else LOG_REF)
    assert desk(one).list_keys("plan")["keys"] == ["first", "one", "two"]


# -- logs that began apart


def two_logs(team: Team) -> tuple[str, str]:
    """Return a clone whose log is on the remote, and one with a log of its own, each with a lock and a value."""
    one, two = team.sharing("one"), team.clone("two")
    granted(desk(one, "ada@one").lock_files(["x", "both"]))
    initialise(two, local=True)
    granted(desk(two, "bob@two").lock_files(["y"]))
    granted(desk(two, "eve@two").lock_files(["both"]))
    assert desk(two, "bob@two").store_data("plan", "next", 1)["ok"]
    return one, two


def test_a_log_of_another_beginning_is_refused_and_nothing_overwritten(team: Team) -> None:
    _, two = two_logs(team)
    before = team.tip(), tip(two)
    with pytest.raises(UnrelatedLogs) as caught:
        initialise(two, remote="origin")
    assert (caught.value.code, caught.value.exit_code) == ("unrelated_logs", 3)
    assert "--adopt" in (caught.value.next or "")
    assert (team.tip(), tip(two)) == before
    answer = initialise(two)
    assert answer["sharing"] is None
    assert "--adopt" in answer["warnings"][0]
    assert (team.tip(), tip(two)) == before
    assert granted(desk(two, "bob@two").lock_files(["w"]))["state"] == "local"


def test_to_adopt_brings_every_operation_and_judges_it_anew(team: Team) -> None:
    one, two = two_logs(team)
    theirs = {entry["id"] for entry in desk(two).get_history()["entries"] if entry["type"] != "log.init"}
    ours = {entry["id"] for entry in desk(one).get_history()["entries"]}
    assert sharing_of(initialise(two, remote="origin", adopt=True))
    assert desk(one, "ada@one").sync()["ok"]
    assert tip(one) == tip(two) == team.tip()
    ids = [entry["id"] for entry in desk(one).get_history()["entries"]]
    assert set(ids) >= theirs | ours
    assert len(ids) == len(set(ids))
    held = {(lock["path"], lock["session"], lock["state"]) for lock in desk(one).get_locked_files()["locks"]}
    confirmed = {("x", "ada@one"), ("both", "ada@one"), ("y", "bob@two")}
    assert held == {(*lock, "confirmed") for lock in confirmed}
    assert desk(one).retrieve_data("plan", "next")["value"] == 1
    refused = desk(two, "eve@two").check(["both"])
    assert not refused["ok"]
    assert "refused after all" in refused["notices"][0]
    assert granted(desk(two, "bob@two").lock_files(["w"]))["state"] == "confirmed"
    assert fsck(team.hub) == fsck(two) == []


def test_to_adopt_twice_takes_nothing_twice(team: Team) -> None:
    _, two = two_logs(team)
    initialise(two, remote="origin", adopt=True)
    before = team.tip()
    assert desk(two).sync(adopt=True)["ok"]
    initialise(two, remote="origin", adopt=True)
    assert team.tip() == before


# -- remotes that are none


def test_a_remote_that_takes_branches_only_is_offered_one(team: Team) -> None:
    where = team.clone("one")
    team.refuse("refs/gitcoord/*")
    with pytest.raises(RemoteRejected) as caught:
        initialise(where, remote="origin")
    assert caught.value.exit_code == 4
    assert "no such refs here" in caught.value.message
    assert "--branch" in (caught.value.next or "")
    sharing = sharing_of(initialise(where, remote="origin", branch=True))
    assert sharing["ref"] == BRANCH
    assert granted(desk(where).lock_files(["src/app.py"]))["state"] == "confirmed"
    fresh = team.clone("two")
    joined = initialise(fresh)
    assert joined["joined"]
    assert joined["sharing"]["ref"] == BRANCH
    assert code(desk(fresh, "bob@two").lock_files(["src/app.py"])) == "lock_held"


def test_a_remote_that_takes_no_branch_either_ends_the_offer(team: Team) -> None:
    where = team.clone("one")
    team.refuse("*")
    with pytest.raises(RemoteRejected) as caught:
        initialise(where, remote="origin", branch=True)
    assert "--branch" not in (caught.value.next or "")
    assert desk(where).lock_files(["a"])["state"] == "local"


def test_several_push_urls_are_refused(team: Team) -> None:
    where = team.clone("one")
    for url in (team.hub, str(team.root / "other.git")):
        git(where, "remote", "set-url", "--add", "--push", "origin", url)
    with pytest.raises(SeveralPushUrls) as caught:
        initialise(where, remote="origin")
    assert caught.value.exit_code == 4
    assert "git remote add" in (caught.value.next or "")
    assert git(team.hub, "for-each-ref", LOG_REF) == ""


def test_a_remote_that_is_not_configured_is_named(team: Team) -> None:
    where = team.clone("one")
    with pytest.raises(NoSuchRemote, match="upstream"):
        initialise(where, remote="upstream")
    assert desk(where).lock_files(["a"]).get("state") in (None, "local")


def test_a_remote_named_outright_has_to_be_reached(team: Team) -> None:
    where = team.clone("one")
    with team.without_remote(), pytest.raises(RemoteUnreachable):
        initialise(where, remote="origin")
    assert sharing_of(initialise(where, remote="origin"))["published"]


# -- init alone


def test_a_fresh_clone_needs_only_init_and_is_told_that_it_joined(team: Team) -> None:
    granted(desk(team.sharing("one"), "ada@one").lock_files(["src/app.py"], reason="Rework"))
    where = team.clone("two")
    answer = initialise(where)
    assert answer["joined"]
    assert not answer["created"]
    assert not answer["sharing"]["published"]
    assert [session["session"] for session in desk(where).list_sessions()["sessions"]] == ["ada@one"]
    (lock,) = desk(where).get_locked_files()["locks"]
    assert (lock["state"], lock["reason"]) == ("confirmed", "Rework")
    assert git(where, "symbolic-ref", "refs/coord") == LOG_REF


def test_a_new_log_is_published_only_when_asked(team: Team) -> None:
    where = team.clone("one")
    answer = initialise(where)
    assert answer["created"]
    assert answer["sharing"] is None
    assert git(team.hub, "for-each-ref", LOG_REF) == ""


def test_local_does_not_look(team: Team) -> None:
    team.sharing("one")
    where = team.clone("two")
    assert not initialise(where, local=True)["joined"]
    assert tip(where) != team.tip()


def test_a_remote_out_of_reach_is_a_warning_and_the_log_is_local(team: Team) -> None:
    team.sharing("one")
    where = team.clone("two")
    with team.without_remote():
        answer = initialise(where)
    assert answer["created"]
    assert "was not reached" in answer["warnings"][0]
    assert "--adopt" in answer["warnings"][0]
    assert sharing_of(initialise(where, remote="origin", adopt=True))
    assert tip(where) == team.tip()


# -- a clone of a clone


def test_a_clone_of_a_sharing_clone_shares_with_the_same_remote(team: Team) -> None:
    one = team.sharing("one")
    two = str(team.root / "two")
    git(one, "clone", "-q", one, two)
    answer = initialise(two)
    assert answer["joined"]
    assert answer["sharing"]["url"] == team.hub
    granted(desk(two, "bob@two").lock_files(["src/app.py"]))
    assert team.tip() == tip(two) != tip(one)
    assert code(desk(one, "ada@one").lock_files(["src/app.py"])) == "lock_held"


def test_a_clone_of_a_clone_that_shares_with_nobody_shares_with_that_one(team: Team) -> None:
    one = team.clone("one")
    initialise(one)
    two = str(team.root / "two")
    git(one, "clone", "-q", one, two)
    assert initialise(two)["joined"]
    assert granted(desk(two, "bob@two").lock_files(["src/app.py"]))["state"] == "confirmed"
    assert tip(one) == tip(two)
    (lock,) = desk(one).get_locked_files()["locks"]
    assert (lock["session"], lock["state"]) == ("bob@two", "local")
    assert code(desk(one, "ada@one").lock_files(["src/app.py"])) == "lock_held"
    assert granted(desk(one, "ada@one").lock_files(["src/db.py"]))["state"] == "local"
    assert code(desk(two, "bob@two").lock_files(["src/db.py"])) == "lock_held"
    assert fsck(one) == fsck(two) == []
