"""A signed log among clones: whoever tries, nothing bad is taken in, built on, pushed or made by an honest one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.service import Desk, initialise, open_desk
from support.forge import Forge, make_key
from support.ledger import claims_of
from support.program import run
from support.repo import LOG_REF, git
from support.team import Team, tip
from support.world import granted

if TYPE_CHECKING:
    from pathlib import Path


class Signed(Team):
    """A team with a signed log: ada began it, bob is a member, and mallory has a key that nobody vouches for."""

    def __init__(self, path: Path) -> None:
        """Make the keys, and ada's clone with the log."""
        super().__init__(path)
        self.keys = {name: make_key(self.key(name)) for name in ("ada", "bob", "mallory")}
        self.one = self.clone("one")
        assert initialise(self.one, remote="origin", sign="ssh", key=self.key("ada"))["ok"]
        self.ada = open_desk(self.one, session="ada-1", key=self.key("ada"))
        assert self.ada.add_key("bob", self.key("bob.pub"), roles=["member"])["changed"]
        granted(self.ada.lock_files(["a.py"]))

    def key(self, name: str) -> str:
        """Return where a key lies."""
        return str(self.root / name)

    def joined(self, name: str, key: str | None = "bob") -> str:
        """Return a clone that joined the log, and signs with somebody's key."""
        where = self.clone(name)
        assert initialise(where)["joined"]
        if key is not None:
            git(where, "config", "gitcoord.sign", "ssh")
            git(where, "config", "gitcoord.signingKey", self.key(key))
        return where

    def forge(self, where: str) -> str:
        """Write a commit that drops ada's lock and that nobody signed, and return it; it is on no ref."""
        forge = _beside(where)
        operation = forge.operation(forge.tip, "session.renew", "ada-1", lease_s=None, others=[])

        def drop(state: Any) -> None:
            state.drop_lock(claims_of("a.py")[0], "ada-1")

        return forge.commit(forge.tip, [operation], effect=drop).hex()


def _beside(where: str) -> Forge:
    return Forge(where, None, 1, signed=False)  # pyright: ignore[reportArgumentType] - it signs with no key of its cast


@pytest.fixture
def team(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


def event(answer: dict[str, Any]) -> str:
    assert answer["ok"], answer
    return str(answer["events"][-1]["event"])


def held(who: Desk, path: str) -> bool:
    return any(lock["path"] == path for lock in who.get_locked_files()["locks"])


def test_a_log_that_begins_anew_under_the_same_id_is_never_taken_for_this_one(team: Signed) -> None:
    good, forge, mallory = team.tip(), _beside(team.one), team.keys["mallory"]
    first = copy.deepcopy(forge.log.state_at(forge.line[0]).header["operations"][0])
    for principal in first["policy"]["principals"].values():
        for key in principal["keys"]:
            key.update(fingerprint=mallory.fingerprint, public=mallory.public)
    first.update(id="AGAIN", signer=mallory.fingerprint)
    again = forge.commit(None, [first], key=mallory).hex()
    git(team.one, "push", "-q", "--force", "origin", f"{again}:{LOG_REF}")
    assert event(team.ada.sync()) == "forked"
    assert team.tip() == good == tip(team.one)
    assert team.ada.verify()["ok"]
    # Nor by one who looks for the first time.
    git(team.one, "push", "-q", "--force", "origin", f"{again}:{LOG_REF}")
    three = team.clone("three")
    done = run(three, "init", "--trust", team.keys["ada"].fingerprint)
    assert done.code == 3, done
    assert git(three, "for-each-ref", LOG_REF) == ""


def test_another_remote_is_believed_no_more_than_the_first(team: Signed) -> None:
    other = str(team.root / "other.git")
    git(team.hub, "clone", "-q", "--bare", team.hub, other)
    bad = team.forge(team.one)
    git(team.one, "push", "-q", team.hub, f"{bad}:refs/heads/bad")
    git(team.one, "push", "-q", "--force", other, f"{bad}:{LOG_REF}")
    before = tip(team.one)
    git(team.one, "remote", "add", "other", other)
    run(team.one, "sync", "--remote", "other")
    assert git(team.one, "merge-base", "--is-ancestor", before, LOG_REF) == ""
    assert bad not in git(team.one, "rev-list", LOG_REF)
    assert held(team.ada, "a.py")


@pytest.mark.parametrize("repairs", [True, False])
def test_what_a_plain_fetch_left_is_judged_before_it_is_built_on(team: Signed, *, repairs: bool) -> None:
    two = team.joined("two")
    good, bad = team.tip(), team.forge(team.one)
    git(team.one, "push", "-q", "origin", f"{bad}:{LOG_REF}")
    where, who = (team.one, team.ada) if repairs else (two, open_desk(two, session="bob-1"))
    git(where, "fetch", "-q", "origin", f"{LOG_REF}:{LOG_REF}")
    assert tip(where) == bad
    answer = who.lock_files(["z.py"])
    assert bad not in git(where, "rev-list", LOG_REF)
    assert git(where, "rev-parse", f"refs/gitcoord/kept/{bad}") == bad
    assert held(who, "a.py")
    if repairs:
        granted(answer)
        assert bad not in git(team.hub, "rev-list", LOG_REF)
    else:
        assert answer["error"]["code"] == "remote_damaged", answer
        assert (team.tip(), tip(where)) == (bad, good)
        assert team.ada.sync()["ok"]
        granted(who.lock_files(["z.py"]))
        assert bad not in git(team.hub, "rev-list", LOG_REF)


def test_what_somebody_set_the_ref_to_is_not_pushed(team: Signed) -> None:
    bad = team.forge(team.one)
    git(team.one, "update-ref", LOG_REF, bad)
    granted(team.ada.lock_files(["z.py"], offline=True))
    assert [one["event"] for one in team.ada.status()["remote"]["events"]] == ["forged"]
    assert bad not in git(team.one, "rev-list", LOG_REF)
    assert team.ada.sync()["ok"]
    assert bad not in git(team.hub, "rev-list", LOG_REF)
    assert team.ada.verify()["ok"]


def _ahead_offline(team: Signed, where: str, path: str) -> Desk:
    bob = open_desk(where, session="bob-1")
    granted(bob.lock_files(["b.py"]))
    assert team.ada.sync()["ok"]
    with team.without_remote():
        granted(bob.lock_files([path], offline=True))
    return bob


def test_who_was_revoked_meanwhile_brings_nothing_and_stops_nobody(team: Signed) -> None:
    two = team.joined("two")
    bob = _ahead_offline(team, two, "late.py")
    late = tip(two)
    assert team.ada.revoke_key(team.keys["bob"].fingerprint)["changed"]
    before = team.tip()
    answer = bob.sync()
    assert event(answer) == "given_up"
    assert any("late.py" in text for text in answer.get("notices", [])), answer
    assert team.tip() == before == tip(two)
    assert git(two, "rev-parse", f"refs/gitcoord/kept/{late}") == late
    assert not bob.check(["late.py"])["ok"]
    granted(team.ada.lock_files(["late.py"]))
    assert bob.sync()["ok"]
    assert open_desk(team.joined("three", None)).verify()["ok"]


def test_a_clone_without_a_key_makes_no_merge(team: Signed) -> None:
    reader, two = team.joined("reader", None), team.joined("two")
    look = open_desk(reader)
    bob = _ahead_offline(team, two, "late.py")
    assert look.sync()["ok"]
    granted(team.ada.lock_files(["c.py"]))
    assert look.sync()["ok"]
    git(two, "push", "-q", "--force", "origin", f"{LOG_REF}:{LOG_REF}")
    forked = team.tip()
    assert look.sync()["error"]["code"] == "merge_unsigned"
    assert team.tip() == forked
    assert held(look, "c.py")
    assert event(team.ada.sync()) == "forked"
    for who in (look, bob):
        assert who.sync()["ok"]
    assert tip(reader) == tip(two) == tip(team.one)
    assert look.verify()["ok"]


def test_a_stranger_adopts_nothing(team: Signed) -> None:
    theirs = team.clone("theirs")
    assert initialise(theirs, local=True, sign="ssh", key=team.key("mallory"))["created"]
    granted(open_desk(theirs, session="mallory-1", key=team.key("mallory")).lock_files(["m.py"]))
    before, own = team.tip(), tip(theirs)
    done = run(theirs, "sync", "--remote", "origin", "--adopt")
    assert done.code == 3, done
    assert (team.tip(), tip(theirs)) == (before, own)
