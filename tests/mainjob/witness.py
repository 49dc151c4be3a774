"""A byte-exact look at what is the user's, so that it can be shown to be untouched."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from support.repo import git

if TYPE_CHECKING:
    from mainjob.project import Project

Look = dict[str, str]

# What gitcoord says is its own, below the git directory.
_OURS = (
    "gitcoord/",
    "refs/gitcoord/",
    "refs/coord",
    "logs/refs/gitcoord/",
    "logs/refs/coord",
    "objects/info/alternates",
)
# What git's own housekeeping moves about.
_MOVED = ("objects/", "refs/heads/", "refs/tags/", "packed-refs", "info/refs")


def look(project: Project) -> Look:
    """Return what tells two states of the user's things apart: files of both worktrees, and of the git directory."""
    found: Look = {"branches": git(project.root, "for-each-ref", "refs/heads", "refs/tags")}
    git_dir = os.path.join(project.root, ".git")
    for name, path in _files(project.root, skip=git_dir):
        found[f"worktree {name}"] = _digest(path)
    for name, path in _files(project.worktree, skip=""):
        found[f"linked worktree {name}"] = _digest(path)
    for name, path in _files(git_dir, skip=""):
        if not name.startswith(_OURS):
            found[f".git/{name}"] = _digest(path)
    return found


def differences(before: Look, after: Look, *, cleaned: bool = False) -> list[str]:
    """Return the names of what appeared, vanished or changed.

    Args:
        before: the earlier look.
        after: the later one.
        cleaned: leave out what `git gc` and `git pack-refs` rewrite; refs are then compared only as git tells them.
    """
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    moved = tuple(f".git/{name}" for name in _MOVED) if cleaned else ()
    return sorted(name for name in changed if not name.startswith(moved))


def _files(top: str, *, skip: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for directory, below, names in os.walk(top):
        below[:] = [name for name in below if os.path.join(directory, name) != skip]
        for name in names:
            path = os.path.join(directory, name)
            found.append((os.path.relpath(path, top), path))
    return found


def _digest(path: str) -> str:
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    with open(path, "rb") as file:
        return f"{mode:o} {hashlib.sha256(file.read()).hexdigest()}"
