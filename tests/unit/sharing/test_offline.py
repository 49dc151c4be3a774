"""Without the remote: refused with the way out, or provisional; and what becomes of it on the next contact."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.errors import exit_code
from gitcoord.service import Desk
from support.clock import ManualClock
from support.repo import fsck, git
from support.team import GitCalls, Team, desk, tip, tree
from support.world import code, granted

if TYPE_CHECKING:
    from pathlib import Path

NOT_CONFIRMED = 4


class Two:
    """Two clones that share; `ada` in one and `bob` in the other."""

    def __init__(self, path: Path) -> None:
        self.team = Team(path)
        self.one, self.two = self.team.sharing("one"), self.team.sharing("two")
        self.ada, self.bob = desk(self.one, "ada@one"), desk(self.two, "bob@two")
        granted(self.ada.lock_files(["mine/"]))
        granted(self.bob.lock_files(["yours/"]))
        assert self.ada.sync()["ok"]

    def meet(self) -> None:
        """Let both be at the same point."""
        for each in (self.ada, self.bob, self.ada):
            assert each.sync()["ok"]
        assert tip(self.one) == tip(self.two) == self.team.tip()
        assert fsck(self.team.hub) == []


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def the_lock(where: Desk, path: str) -> dict[str, Any]:
    (lock,) = where.get_locked_files(path)["locks"]
    return lock


# -- without the remote


def test_what_needs_the_remote_is_refused_with_what_to_do(two: Two) -> None:
    before = tip(two.two)
    with two.team.without_remote():
        for answer in (
            two.bob.lock_files(["a"]),
            two.bob.break_lock(["mine/"], "They left"),
            two.bob.store_data("s", "k", 1, expect_revision=0),
            desk(two.two, "new@two").store_data("s", "k", 1),
            desk(two.two, "new@two").sign_on(),
            two.bob.sync(),
        ):
            assert (code(answer), exit_code(answer)) == ("remote_unreachable", NOT_CONFIRMED)
            assert "--offline" in answer["error"]["next"]
    assert tip(two.two) == before
    assert two.bob.sync()["remote_state"] == "equal"


def test_what_needs_no_agreement_is_done_and_it_is_said_that_it_is_kept_here(two: Two) -> None:
    granted(two.bob.lock_files(["a"]))
    with two.team.without_remote():
        for answer in (two.bob.store_data("s", "k", 1), two.bob.renew(), two.bob.unlock_files(["a"])):
            assert answer["ok"]
            assert "kept here until the remote" in answer["notices"][-1]
        ended = two.bob.sign_off()
        assert ended["ok"]
    assert two.ada.sync()["ok"]
    assert two.ada.retrieve_data("s", "k")["found"] is False


def test_who_failed_a_moment_ago_does_not_try_again_at_once(two: Two, tmp_path: Path) -> None:
    calls = GitCalls(tmp_path)
    with two.team.without_remote():
        assert two.bob.store_data("s", "a", 1)["ok"]
        with calls.counted() as met:
            assert two.bob.store_data("s", "b", 1)["ok"]
        assert met == []
    with calls.counted() as met:
        granted(two.bob.lock_files(["a"]))
    assert met == ["push"]
    assert two.team.tip() == tip(two.two)
    assert two.ada.sync()["ok"]
    assert two.ada.list_keys("s")["keys"] == ["a", "b"]


@pytest.mark.parametrize("how", ["argument", "environment", "setting"])
def test_offline_is_said_in_three_ways(two: Two, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "environment":
        monkeypatch.setenv("GITCOORD_OFFLINE", "1")
    if how == "setting":
        git(two.two, "config", "gitcoord.offline", "true")
    with two.team.without_remote():
        answer = granted(two.bob.lock_files(["a"], offline=how == "argument"))
    assert (answer["state"], answer["token"]) == ("provisional", None)
    if how != "argument":
        assert granted(two.bob.lock_files(["b"]))["state"] == "provisional"
        assert two.team.tip() != tip(two.two)


def test_provisional_is_said_wherever_locks_are_shown(two: Two) -> None:
    grant = granted(two.bob.lock_files(["a"], offline=True))["grant"]
    lock = the_lock(two.bob, "a")
    assert (lock["state"], lock["token"], lock["grant"]) == ("provisional", None, grant)
    assert lock in two.bob.status()["locks"]
    assert lock in two.bob.show_session("bob@two")["session"]["locked"]
    checked = two.bob.check(["a"])
    assert checked["ok"]
    assert "provisional" in checked["checked"][0]["why"]
    assert "provisional" in checked["checked"][0]["warnings"][0]
    other = desk(two.two, "eve@two").lock_files(["a"], offline=True)
    assert other["conflicts"][0]["state"] == "provisional"


def test_status_tells_how_far_apart_and_since_when(two: Two) -> None:
    assert two.bob.status()["remote"]["ahead"] == 0
    with two.team.without_remote():
        granted(two.bob.lock_files(["a"], offline=True))
        assert two.bob.store_data("s", "k", 1)["ok"]
        remote = two.bob.status()["remote"]
    assert (remote["ahead"], remote["behind"]) == (2, 0)
    assert remote["reached_at"] < remote["unreached"]["time"]
    assert remote["unreached"]["code"] == "remote_unreachable"
    assert two.bob.sync()["ok"]
    remote = two.bob.status()["remote"]
    assert (remote["ahead"], remote["behind"], remote["unreached"]) == (0, 0, None)


# -- on contact


def test_what_still_holds_becomes_confirmed_with_a_token_of_the_merge(two: Two) -> None:
    granted(two.bob.lock_files(["a"], offline=True))
    granted(two.ada.lock_files(["b"]))
    answer = two.bob.sync()
    assert (answer["remote_state"], answer["refused"]) == ("grown", [])
    lock = the_lock(two.bob, "a")
    assert lock["state"] == "confirmed"
    assert lock["token"] > the_lock(two.bob, "b")["token"]
    two.meet()
    assert the_lock(two.ada, "a") == lock


def test_where_nobody_else_did_anything_there_is_no_merge(two: Two) -> None:
    made = granted(two.bob.lock_files(["a"], offline=True))
    assert two.bob.sync()["ok"]
    assert git(two.team.hub, "rev-list", "--merges", "refs/gitcoord/main") == ""
    lock = the_lock(two.bob, "a")
    assert (lock["state"], lock["token"]) == ("confirmed", made["revision"])


def test_what_lost_is_refused_in_the_merge_and_its_session_told_once(two: Two) -> None:
    granted(two.bob.lock_files(["a"], offline=True))
    won = granted(two.ada.lock_files(["a"]))
    answer = two.bob.sync()
    (refused,) = answer["refused"]
    assert (refused["type"], refused["session"], refused["claims"]) == ("lock.acquire", "bob@two", ["a"])
    assert refused["code"] == "lock_held"
    assert "ada@one" in refused["message"]
    (notice,) = answer["notices"]
    assert "your lock on a" in notice
    assert "refused after all" in notice
    assert "ada@one" in notice
    assert "notices" not in two.bob.list_keys("s")
    assert "notices" not in two.bob.sync()
    assert the_lock(two.bob, "a")["token"] == won["token"]
    assert not two.bob.check(["a"])["ok"]
    assert "Coord-Refused" in git(two.team.hub, "log", "-1", "--format=%B", "refs/gitcoord/main")
    two.meet()


def test_the_news_comes_with_the_next_answer_of_any_kind(two: Two) -> None:
    granted(two.bob.lock_files(["a"], offline=True))
    granted(two.ada.lock_files(["a"]))
    other = desk(two.two, "eve@two").sync()
    assert [one["session"] for one in other["refused"]] == ["bob@two"]
    assert "notices" not in other
    assert "refused after all" in two.bob.list_keys("s")["notices"][0]


def test_check_fails_for_what_was_lost_even_when_its_winner_is_gone(two: Two) -> None:
    granted(two.bob.lock_files(["a"], offline=True))
    granted(two.ada.lock_files(["a"]))
    assert two.bob.sync()["ok"]
    assert two.ada.unlock_files(["a"])["ok"]
    assert two.bob.sync()["ok"]
    checked = two.bob.check(["a"])
    assert not checked["ok"]
    assert "refused after all" in checked["checked"][0]["why"]
    assert two.bob.check(["b"])["ok"]
    assert desk(two.two, "eve@two").check(["a"])["ok"]
    assert two.bob.unlock_files(["a"])["ok"]
    assert two.bob.check(["a"])["ok"]
    two.meet()


def test_what_was_lost_is_had_again_by_asking_again(two: Two) -> None:
    granted(two.bob.lock_files(["a"], offline=True))
    granted(two.ada.lock_files(["a"]))
    assert two.bob.sync()["ok"]
    assert two.ada.unlock_files(["a"])["ok"]
    assert granted(two.bob.lock_files(["a"]))["state"] == "confirmed"
    assert two.bob.check(["a"])["ok"]


def test_of_two_clones_that_both_did_without_the_first_to_come_back_has_it(two: Two) -> None:
    for each in (two.ada, two.bob):
        granted(each.lock_files(["a"], offline=True))
    assert two.bob.sync()["refused"] == []
    assert [one["session"] for one in two.ada.sync()["refused"]] == ["ada@one"]
    two.meet()
    assert the_lock(two.ada, "a")["session"] == "bob@two"


def test_a_chain_of_sets_with_expected_revisions_holds_or_falls_together(two: Two) -> None:
    git(two.two, "config", "gitcoord.offline", "true")
    revision = two.bob.store_data("plan", "fine", 0, expect_revision=0)["revision"]
    assert two.bob.store_data("plan", "fine", 1, expect_revision=revision)["ok"]
    revision = two.bob.store_data("plan", "taken", "bob", expect_revision=0)["revision"]
    assert two.bob.store_data("plan", "taken", "bob again", expect_revision=revision)["ok"]
    assert two.ada.store_data("plan", "taken", "ada")["ok"]
    git(two.two, "config", "gitcoord.offline", "false")
    refused = two.bob.sync()["refused"]
    assert [one["type"] for one in refused] == ["data.store", "data.store"]
    two.meet()
    for each in (two.ada, two.bob):
        assert each.retrieve_data("plan", "taken")["value"] == "ada"
        assert each.retrieve_data("plan", "fine")["value"] == 1


def test_a_plain_store_is_never_silently_laid_over_what_was_stored_meanwhile(two: Two) -> None:
    with two.team.without_remote():
        assert two.bob.store_data("s", "k", "bob")["ok"]
        assert two.bob.store_data("s", "free", "bob")["ok"]
        assert two.bob.delete_data("s", "none")["deleted"] is False
    assert two.ada.store_data("s", "k", "ada")["ok"]
    answer = two.bob.sync()
    assert [(one["type"], one["code"]) for one in answer["refused"]] == [("data.store", "revision_mismatch")]
    assert "your store of k in s" in answer["notices"][0]
    two.meet()
    assert two.bob.retrieve_data("s", "k")["value"] == "ada"
    assert two.ada.retrieve_data("s", "free")["value"] == "bob"


def test_where_it_is_set_to_do_without_the_remote_nothing_meets_it(two: Two, tmp_path: Path) -> None:
    git(two.two, "config", "gitcoord.offline", "true")
    with GitCalls(tmp_path).counted() as met:
        assert two.bob.store_data("s", "k", 1)["ok"]
        granted(two.bob.lock_files(["a"]))
        assert two.bob.unlock_files(["a"])["ok"]
        two.bob.follow_once()
    assert met == []
    assert two.bob.sync()["ok"]
    assert two.team.tip() == tip(two.two)


def test_a_deletion_takes_what_it_saw_and_not_what_came_later(two: Two) -> None:
    assert two.ada.store_data("s", "k", 1)["ok"]
    assert two.ada.store_data("s", "later", 1)["ok"]
    two.meet()
    with two.team.without_remote():
        assert two.bob.delete_data("s", "k")["deleted"]
        assert two.bob.delete_data("s", "later")["deleted"]
    assert two.ada.store_data("s", "later", 2)["ok"]
    two.meet()
    assert two.ada.retrieve_data("s", "k")["found"] is False
    assert two.ada.retrieve_data("s", "later")["value"] == 2


def test_a_break_without_the_remote_is_judged_again(two: Two) -> None:
    two.bob.offline = True
    assert two.bob.break_lock(["mine/"], "They left")["ok"]
    two.bob.offline = False
    assert two.bob.sync()["ok"]
    assert two.ada.sync()["ok"] is True
    assert two.ada.get_locked_files("mine/")["locks"] == []
    two.meet()


def test_a_break_of_what_was_granted_anew_meanwhile_is_refused(two: Two) -> None:
    two.bob.offline = True
    assert two.bob.break_lock(["mine/"], "They left")["ok"]
    two.bob.offline = False
    assert two.ada.unlock_files(["mine/"])["ok"]
    granted(two.ada.lock_files(["mine/"]))
    (refused,) = two.bob.sync()["refused"]
    assert refused["type"] == "lock.break"
    two.meet()
    assert the_lock(two.bob, "mine/")["session"] == "ada@one"


def test_a_lapsed_lock_of_this_machine_is_taken_without_the_remote_and_holds_on_contact(tmp_path: Path) -> None:
    team, clock = Team(tmp_path), ManualClock()
    where = team.sharing("one")
    copy = team.sharing("two")
    ada, clerk = desk(where, "ada@one", clock), desk(where, "clerk@one", clock)
    granted(ada.lock_files(["a"]))
    assert clerk.sign_on()["session"] == "clerk@one"
    clock.advance(3 * 3600)
    clerk.offline = True
    granted(clerk.lock_files(["a"], offline=True))
    clerk.offline = False
    assert desk(copy, "bob@two").sync()["ok"]
    answer = clerk.sync()
    assert answer["ok"]
    assert answer["refused"] == []
    assert the_lock(clerk, "a")["session"] == "clerk@one"
    assert the_lock(clerk, "a")["state"] == "confirmed"
    assert code(ada.lock_files(["a"])) is not None


def test_status_tells_what_was_seen_there_and_is_not_here_yet(two: Two) -> None:
    """The remote answers, and takes nothing: what came in cannot be brought together with what waits here."""
    granted(two.bob.lock_files(["a"], offline=True))
    for path in ("b", "c"):
        granted(two.ada.lock_files([path]))
    git(two.two, "config", "remote.origin.pushurl", f"{two.team.hub}.nowhere")
    assert code(two.bob.sync()) == "remote_unreachable"
    remote = two.bob.status()["remote"]
    assert (remote["ahead"], remote["behind"]) == (1, 2)
    git(two.two, "config", "--unset", "remote.origin.pushurl")
    assert two.bob.sync()["ok"]
    remote = two.bob.status()["remote"]
    assert (remote["ahead"], remote["behind"]) == (0, 0)


def test_a_sign_on_without_the_remote_takes_no_name_that_was_taken_there(two: Two) -> None:
    granted(desk(two.one, "worker").lock_files(["w1"]))
    granted(desk(two.two, "worker").lock_files(["w2"], offline=True))
    refused = two.bob.sync()["refused"]
    assert {one["type"] for one in refused} == {"session.start", "lock.acquire"}
    two.meet()
    assert two.bob.get_locked_files("w2")["locks"] == []
    assert the_lock(two.bob, "w1")["session"] == "worker"
    assert exit_code(desk(two.two, "worker").lock_files(["w2"])) == 1


def test_what_the_audit_tells_of_it_is_the_agreed_order(two: Two) -> None:
    granted(two.bob.lock_files(["a"], offline=True))
    granted(two.bob.lock_files(["b"], offline=True))
    granted(two.ada.lock_files(["a"]))
    two.meet()
    for each in (two.ada, two.bob):
        entries = each.get_history(limit=4)["entries"]
        assert [entry["verb"] for entry in entries] == ["merge", "lock", "refused", "lock"]
        assert [entry["paths"] for entry in entries] == [[], ["b"], ["a"], ["a"]]
        merge, done, refused, won = entries
        assert merge["merge"] is won["merge"] is None
        assert done["merge"] == refused["merge"] == merge["commit"] == two.team.tip()
        assert done["revision"] == refused["revision"] == merge["revision"] == the_lock(each, "b")["token"]
        assert "ada@one" in refused["reason"]
        by_path = each.get_history(path="a")["entries"]
        assert [entry["verb"] for entry in by_path] == ["refused", "lock"]
        theirs = each.get_history(session="bob@two", limit=2)["entries"]
        assert [entry["paths"] for entry in theirs] == [["b"], ["a"]]


def test_the_tree_is_the_same_wherever_it_is_read(two: Two) -> None:
    granted(two.bob.lock_files(["a"], offline=True))
    granted(two.ada.lock_files(["b"], offline=True))
    assert two.ada.store_data("s", "k", 1)["ok"]
    two.meet()
    assert tree(two.one) == tree(two.two) == tree(two.team.hub)
    assert os.listdir(f"{two.two}/.git/refs/gitcoord/remotes") == ["origin"]
