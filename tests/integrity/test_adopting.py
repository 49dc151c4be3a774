"""A log that another one is taken over into comes through the same door as one that is joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.service import initialise
from support.forge import Forge, make_key, set_lock
from support.program import run
from support.repo import LOG_REF, git
from support.team import Team, desk, tip
from support.world import granted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def apart(team: Team, **how: Any) -> str:
    """Return a clone with a log of its own that began apart from the remote's, and a lock on it."""
    where = team.clone("apart")
    assert initialise(where, local=True, **how)["created"]
    granted(desk(where, "eve@apart").lock_files(["y"]))
    return where


def test_a_log_that_looks_right_and_is_not_takes_nothing_over(team: Team) -> None:
    one = team.sharing("one")
    granted(desk(one).lock_files(["a.py"]))
    forge = Forge(one, None, 1, signed=False)  # pyright: ignore[reportArgumentType] - nobody signs here
    session = str(next(forge.log.state_at(forge.tip).sessions())["session"])
    lock = forge.lock(forge.tip)
    flipped = set_lock(lock, token=lock["token"] - 1)
    bad = forge.commit(forge.tip, [forge.lock_operation(forge.tip, session)], tamper=flipped)
    git(one, "push", "-q", "origin", f"{bad.hex()}:{LOG_REF}")
    where = apart(team)
    own = tip(where)
    done = run(where, "sync", "--remote", "origin", "--adopt")
    assert done.code == 3, done
    assert "rule tree" in done.err
    assert (team.tip(), tip(where)) == (bad.hex(), own)


def signed(team: Team) -> tuple[str, str]:
    """Let ada publish a signed log; return her clone and the fingerprint of its root."""
    root = make_key(str(team.root / "ada")).fingerprint
    one = team.clone("one")
    assert initialise(one, remote="origin", sign="ssh", key=str(team.root / "ada"))["ok"]
    return one, root


def test_a_log_of_another_root_takes_nothing_over_until_that_one_is_trusted(team: Team) -> None:
    one, root = signed(team)
    where = apart(team)
    git(where, "config", "gitcoord.root", "SHA256:another")
    own = tip(where)
    done = run(where, "sync", "--remote", "origin", "--adopt", "--json")
    assert done.code == 3, done
    assert "rule root" in done.json["error"]["message"]
    assert "--adopt --trust" in done.json["error"]["next"]
    assert (team.tip(), tip(where)) == (tip(one), own)
    before = team.tip()
    done = run(where, "init", "--remote", "origin", "--adopt", "--trust", root, "--json")
    assert done.code == 3, "who is nobody there signs no merge"
    assert done.json["error"]["code"] == "merge_unsigned"
    assert team.tip() == before


def test_a_log_without_a_root_takes_nothing_over_from_who_trusts_one(team: Team) -> None:
    team.sharing("one")
    where = apart(team)
    git(where, "config", "gitcoord.root", "SHA256:mine")
    before = team.tip(), tip(where)
    done = run(where, "sync", "--remote", "origin", "--adopt")
    assert done.code == 3, done
    assert "begins a log without a root" in done.err
    assert (team.tip(), tip(where)) == before


def test_the_root_of_a_log_that_took_this_one_over_is_trusted_from_then_on(team: Team) -> None:
    _, root = signed(team)
    where = team.clone("apart")
    assert initialise(where, local=True, sign="none")["created"]
    git(where, "config", "gitcoord.sign", "ssh")
    git(where, "config", "gitcoord.signingKey", str(team.root / "ada"))
    done = run(where, "sync", "--remote", "origin", "--adopt", "--json")
    assert done.code == 0, done
    assert any(root in text for text in done.json["notices"])
    assert git(where, "config", "gitcoord.root") == root
