"""Repositories to measure in: with a log, with locks and keys in it, and copies of them for the alternatives."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from gitcoord.service import Desk, initialise, open_desk
from support.repo import make_repo

if TYPE_CHECKING:
    from collections.abc import Mapping

HOLDERS = 10
DIRECTORIES = 100


def desk(repo: str, name: str, *, durable: bool = True, process: bool = False) -> Desk:
    """Open a desk of a session, with syncing on or relaxed."""
    os.environ["GITCOORD_FSYNC"] = "1" if durable else "0"
    try:
        return open_desk(repo, session=name, hint="bench", process=process)
    finally:
        del os.environ["GITCOORD_FSYNC"]


def must(answer: Mapping[str, object]) -> None:
    """Let an answer pass that is no refusal.

    Raises:
        AssertionError: it is one.
    """
    assert "error" not in answer, answer["error"]


def project(place: str, *, files: bool = False) -> str:
    """Make a repository with a log."""
    repo = make_repo(place, files=files)
    must(initialise(repo))
    return repo


def hold(repo: str, count: int, *, flat: bool = False) -> None:
    """Let ten sessions hold so many locks, spread over directories as a project's files are, or all in one."""
    names = [f"src/one/f{n:05}.py" if flat else f"src/part{n % DIRECTORIES:02}/f{n:05}.py" for n in range(count)]
    for holder in range(HOLDERS):
        mine = names[holder::HOLDERS]
        if mine:
            must(desk(repo, f"holder-{holder}", durable=False).lock_files(mine, reason="Measure how much it costs."))


def copy_of(repo: str, suffix: str) -> str:
    """Copy a repository beside itself and return the copy's path."""
    return shutil.copytree(repo, f"{repo}-{suffix}", symlinks=True)
