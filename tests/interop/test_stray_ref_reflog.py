"""What the log's reflog may look like: cut off, emptied, with odd names in it, or far behind the ref."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gitcoord.service import Desk, initialise, open_desk
from support.repo import LOG_REF, git, make_repo

# Dies before what it built is published.
DYING = """
import os, sys
from gitcoord.service import open_desk
from gitcoord.store.objects import ObjectStore
ObjectStore.publish = lambda *_: os.kill(os.getpid(), 9)
open_desk(sys.argv[1], session="D").lock_files(["dead"])
"""


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path) -> str:
    repo = make_repo(tmp_path / "repo")
    assert initialise(repo)["created"]
    for path in "abc":
        assert desk(repo, "A").lock_files([path])["granted"]
    return repo


def desk(repo: str, session: str) -> Desk:
    return open_desk(repo, session=session)


def reflog(repo: str) -> Path:
    return Path(repo, ".git/logs", LOG_REF)


def locks(repo: str) -> tuple[str, bool]:
    """Return which paths are locked, and whether anything is told of the ref."""
    status = desk(repo, "R").status()
    return " ".join(sorted(lock["path"] for lock in status["locks"])), "notices" in status


def other_clone(repo: str) -> str:
    other = f"{repo}-other"
    git(repo, "clone", "-q", repo, other)
    git(other, "fetch", "-q", repo, f"{LOG_REF}:{LOG_REF}")
    assert initialise(other, local=True)["ok"]
    return other


def test_half_a_line_does_not_spoil_the_one_behind_it(repo: str) -> None:
    whole = reflog(repo).read_bytes()
    reflog(repo).write_bytes(whole[: whole.rstrip().rindex(b"\n") + 86])
    assert locks(repo) == ("a b c", False)
    assert desk(repo, "A").lock_files(["d"])["granted"]
    git(repo, "update-ref", LOG_REF, f"{LOG_REF}~1")
    assert locks(repo) == ("a b c d", True)


@pytest.mark.parametrize("name", ["x\tcoord: y", "coord: \t", "Zo\u00eb \u00ff"])
def test_a_name_does_not_make_the_line_of_another_program_one_of_gitcoords(
    repo: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", name)
    subprocess.run(["git", "-C", repo, "update-ref", LOG_REF, f"{LOG_REF}~2"], check=True)
    assert locks(repo) == ("a b c", True)


def test_what_was_built_and_never_published_does_not_take_back_what_came_from_another_clone(repo: str) -> None:
    other = other_clone(repo)
    assert desk(other, "O").lock_files(["theirs"])["granted"]
    assert subprocess.run([sys.executable, "-c", DYING, repo], check=False).returncode == -9
    git(repo, "reflog", "expire", "--expire=now", "--all")
    git(repo, "fetch", "-q", other, f"{LOG_REF}:{LOG_REF}")
    assert locks(repo) == ("a b c theirs", False)
    granted = desk(repo, "A").lock_files(["n"])
    assert (granted["granted"], granted.get("notices", [])) == (True, [])
    assert locks(repo) == ("a b c n theirs", False)


def test_a_long_way_from_what_is_known_here_is_in_order_and_a_long_history_without_it_is_not(repo: str) -> None:
    other = other_clone(repo)
    theirs = desk(other, "O")
    for number in range(120):
        assert theirs.store_data("s", "k", number)["ok"]
    git(repo, "fetch", "-q", other, f"{LOG_REF}:{LOG_REF}")
    assert desk(repo, "R").retrieve_data("s", "k")["value"] == 119
    assert locks(repo) == ("a b c", False)
    assert desk(repo, "A").lock_files(["mine"])["granted"]
    for number in range(120):
        assert theirs.store_data("s", "k", 1000 + number)["ok"]
    git(repo, "fetch", "-q", other, f"+{LOG_REF}:{LOG_REF}")
    assert desk(repo, "R").retrieve_data("s", "k")["value"] == 119
    assert locks(repo) == ("a b c mine", True)


def test_what_the_log_was_set_back_from_does_not_come_back_where_the_ref_is_deleted(repo: str) -> None:
    coordinator = desk(repo, "A").access.coordinator
    tip = coordinator.tip()
    assert coordinator.move(tip, coordinator.commit(tip).parents[0], "set back to what is good")
    assert locks(repo) == ("a b", False)
    git(repo, "update-ref", "-d", LOG_REF)
    assert locks(repo) == ("a b", True)
    assert desk(repo, "A").lock_files(["d"])["granted"]
    assert locks(repo) == ("a b d", False)
