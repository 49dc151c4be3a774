"""On a signed log too the remote may turn one operation away: the others are laid anew, and stay whose they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitcoord.service import open_desk
from integrity.test_own_tip import Signed
from processes.sharing.test_turned_away import SCANNER
from support.repo import LOG_REF, fsck, git
from support.team import tip
from support.world import granted

if TYPE_CHECKING:
    from pathlib import Path

    from gitcoord.service import Desk


@pytest.fixture
def team(tmp_path: Path) -> Signed:
    made = Signed(tmp_path)
    made.hook("pre-receive", SCANNER)
    return made


def store(desk: Desk, key: str, value: str) -> None:
    """Store something that need not be agreed on, to be published later."""
    desk.access.publishes_later = True
    assert desk.store_data("plan", key, value)["ok"]


def signers(where: str) -> dict[str, str]:
    """Return whose key signed each commit that stores something on the remote's log, by what it stores."""
    found: dict[str, str] = {}
    for commit in git(where, "log", "--format=%H", "--grep", "^Coord-Op: data.store", LOG_REF).split():
        key = git(where, "log", "-1", "--format=%(trailers:key=Coord-Key,valueonly)", commit).strip()
        found[key] = git(where, "cat-file", "commit", commit).count("BEGIN SSH SIGNATURE") * "signed"
    return found


def test_what_is_laid_anew_is_signed_anew_and_verifies_everywhere(team: Signed) -> None:
    two = team.joined("two")
    other = open_desk(two, session="bob-2")
    granted(other.lock_files(["b.py"]))
    assert team.ada.sync()["ok"]
    ada2 = open_desk(team.one, session="ada-2", key=team.key("ada"))
    granted(ada2.lock_files(["c.py"]))
    store(team.ada, "first", "forbidden")
    store(ada2, "second", "harmless")
    before = team.tip()
    said = team.ada.sync()
    assert said["error"]["code"] == "remote_rejected", said
    assert "forbidden word" in said["error"]["message"]
    assert team.tip() != before, "the harmless one is there"
    assert other.sync()["ok"]
    assert other.list_keys("plan")["keys"] == ["second"]
    assert signers(two) == {"second": "signed"}
    assert team.ada.list_keys("plan")["keys"] == ["first", "second"], "what was turned away is kept here"
    for desk in (team.ada, other):
        verdict = desk.verify()
        assert verdict["ok"], verdict
    granted(ada2.lock_files(["d.py"]))
    assert other.sync()["ok"]
    assert {"c.py", "d.py"} <= {lock["path"] for lock in other.get_locked_files()["locks"]}
    team.hook("pre-receive", "")
    assert team.ada.sync()["ok"]
    assert other.sync()["ok"]
    assert tip(team.one) == tip(two) == team.tip()
    assert other.verify()["ok"]
    assert fsck(team.hub) == []


def test_what_only_anothers_key_may_sign_is_left_as_it_is(team: Signed) -> None:
    bob = open_desk(team.one, session="bob-1", key=team.key("bob"))
    granted(bob.lock_files(["b.py"]))
    store(bob, "bobs", "harmless")
    store(team.ada, "adas", "forbidden")
    before, own = team.tip(), tip(team.one)
    said = team.ada.sync()
    assert said["error"]["code"] == "remote_rejected", said
    assert tip(team.one) == own, "nobody signs for bob"
    assert team.ada.verify()["ok"]
    team.hook("pre-receive", "")
    assert team.ada.sync()["ok"]
    assert team.tip() != before
    assert bob.verify()["ok"]
