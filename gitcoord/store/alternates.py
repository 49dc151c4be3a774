"""Where git finds objects: its own store, and the directories that the lists of alternates name."""

from __future__ import annotations

import os

from gitcoord.store.disk import read_whole
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.store.repository import Repository

_DEPTH = 5


def object_directories(repo: Repository) -> list[str]:
    """Return all directories that git finds this repository's objects in, in its order."""
    return list(dict.fromkeys(with_alternates(f"{repo.common_dir}/objects")))


def with_alternates(directory: str, depth: int = 0) -> list[str]:
    """Return an object directory and all its alternates, in git's order.

    Args:
        directory: the object directory.
        depth: how many lists were followed to get there; git follows no more than five.
    """
    found = [directory]
    try:
        listing = read_whole(f"{directory}/info/alternates")
    except FileNotFoundError:
        return found
    if depth == _DEPTH:
        return found
    for line in listing.split(b"\n"):
        if line and not line.startswith(b"#"):
            # git resolves a relative line against the directory's real path.
            named = os.path.join(os.path.realpath(directory), os.fsdecode(line))
            found.extend(with_alternates(os.path.normpath(named), depth + 1))
    return found
