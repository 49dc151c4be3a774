"""A writer that ends between its line in the reflog and the ref's move: nothing that was seen is taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gitcoord.service import Desk, initialise, open_desk
from support.repo import LOG_REF, fsck, git, make_repo
from support.stray import ref_file

if TYPE_CHECKING:
    from pathlib import Path

# The process ends itself, or stops, before its first call of a kind that makes a file of a name.
WRITER = """
import os, signal, sys
from gitcoord.service import open_desk
repo, session, path, call, made, number = sys.argv[1:]
real = getattr(os, call)
def wrapped(source, target, *more, **others):
    if str(target).endswith(made):
        setattr(os, call, real)
        os.kill(os.getpid(), int(number))
    return real(source, target, *more, **others)
setattr(os, call, wrapped)
answer = open_desk(repo, session=session).lock_files([path])
print(answer.get("granted"), bool(answer.get("notices")))
"""
MOVE = ("replace", LOG_REF)
TAKE = ("link", f"{LOG_REF}.lock")


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path) -> str:
    repo = make_repo(tmp_path / "repo")
    assert initialise(repo)["created"]
    assert desk(repo, "A").lock_files(["a"])["granted"]
    return repo


def desk(repo: str, session: str) -> Desk:
    return open_desk(repo, session=session)


def writer(repo: str, path: str, point: tuple[str, str], number: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WRITER, repo, f"W-{path}", path, *point, str(int(number))]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def killed_before_the_move(repo: str, path: str) -> None:
    with writer(repo, path, MOVE, signal.SIGKILL) as dying:
        assert dying.wait() == -signal.SIGKILL
    assert os.path.exists(f"{ref_file(repo)}.lock")


def locks(repo: str) -> tuple[set[str], bool]:
    """Return which paths are locked, and whether anything is told of the ref."""
    status = desk(repo, "R").status()
    return {lock["path"] for lock in status["locks"]}, "notices" in status


def test_what_a_dead_writer_began_is_never_seen_while_the_next_one_replaces_it(repo: str) -> None:
    killed_before_the_move(repo, "dead")
    assert locks(repo) == ({"a"}, False)
    with writer(repo, "b", TAKE, signal.SIGSTOP) as slow:
        _, status = os.waitpid(slow.pid, os.WUNTRACED)
        locked, seen = os.path.exists(f"{ref_file(repo)}.lock"), locks(repo)
        slow.send_signal(signal.SIGCONT)
        told = slow.communicate()[0].split()
    assert os.WIFSTOPPED(status)
    assert not locked
    assert seen == ({"a"}, False)
    assert told == ["True", "False"]
    assert {"a", "b"} <= locks(repo)[0]
    assert fsck(repo) == []


def test_what_is_acknowledged_after_a_death_is_what_the_ref_names(repo: str) -> None:
    """A leader dies before the move, and its lock file is taken away: who comes next first lets the ref be there."""
    killed_before_the_move(repo, "dead")
    os.unlink(f"{ref_file(repo)}.lock")
    answer = desk(repo, "W-dead").lock_files(["dead"])
    assert answer["granted"]
    shown = git(repo, "log", "--format=%s", LOG_REF)
    assert "lock: dead" in shown
    assert locks(repo) == ({"a", "dead"}, False)
