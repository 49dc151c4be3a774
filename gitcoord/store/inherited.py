"""Letting go of another repository's log directory.

`git clone` of a path on the same disk copies the list of alternates, relative lines made absolute: the clone then reads
the log of the repository that it was made from out of that one's `gitcoord/objects`, and breaks when that one is moved
or deleted. Here such a line goes, after all that it gave has been copied: not what some ref seems to need, but every
object of that directory which this repository has nowhere else. Then no ref, index or reflog can miss anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gitcoord.errors import StorageFault
from gitcoord.runtime.oslock import OsLock
from gitcoord.store.alternates import object_directories
from gitcoord.store.gathering import copy, is_whole, lacking, listed
from gitcoord.store.setup import change_alternates, prepare_runtime, read_alternates
from gitcoord.values import NamedTuple

if TYPE_CHECKING:
    from gitcoord.store.repository import Repository


class LetGo(NamedTuple):
    """What became of inherited lines.

    Attributes:
        dropped: the object directories that the repository no longer reads.
        copied: how many objects were copied from them.
        kept: the directories that it still needs, each with the reason.
    """

    dropped: tuple[str, ...]
    copied: int
    kept: tuple[tuple[str, str], ...]


def inherited_directories(repo: Repository) -> list[str]:
    """Return the log directories of other repositories that this one's list of alternates names; reads one file."""
    return [directory for line in read_alternates(repo).split(b"\n") if (directory := _inherited(repo, line))]


def _inherited(repo: Repository, line: bytes) -> str | None:
    """Return the directory of a line that names another repository's `gitcoord/objects`, None for any other line."""
    if not line or line.startswith((b"#", b'"')):
        return None
    store = os.path.realpath(f"{repo.common_dir}/objects")
    directory = os.path.normpath(os.path.join(store, os.fsdecode(line)))
    runtime, name = os.path.split(directory)
    if name != "objects" or os.path.basename(runtime) != "gitcoord":
        return None
    own = os.path.realpath(f"{repo.runtime}/objects")
    if os.path.realpath(directory) == own:
        return None
    other = os.path.dirname(runtime)
    is_repository = all(os.path.exists(os.path.join(other, part)) for part in ("HEAD", "objects", "refs"))
    return directory if is_repository or not os.path.exists(directory) else None


def let_go_of_inherited(repo: Repository, env: Mapping[str, str]) -> LetGo:
    """Copy what other repositories' log directories gave to this one, and drop exactly their lines.

    A directory that is gone is dropped when git finds everything without it. Other lines stay, and other repositories
    are only read. Not promised: a `git fetch` that runs at the same moment may leave out an object that it still sees
    in such a directory.

    Args:
        repo: the repository.
        env: the environment that git gets.

    Raises:
        Contention: another program holds the lock file of the list of alternates.
        StorageFault: the system could not; no line was dropped.
    """
    found = inherited_directories(repo)
    if not found:
        return LetGo((), 0, ())
    prepare_runtime(repo)
    copied = 0
    kept: list[tuple[str, str]] = []
    dropped: list[str] = []
    for directory in found:
        try:
            copied += _take_over(repo, directory, found, env)
        except StorageFault as fault:
            kept.append((directory, fault.message))
        else:
            dropped.append(directory)
    if dropped:
        with OsLock(f"{repo.runtime}/setup"):
            change_alternates(repo, lambda present: _without(repo, present, dropped))
        # What came into being there since, and was seen here by somebody before the line went.
        copied += sum(
            _take_over(repo, directory, found, env) for directory in dropped if os.path.isdir(_meant(directory))
        )
    return LetGo(tuple(dropped), copied, tuple(kept))


def _take_over(repo: Repository, directory: str, inherited: list[str], env: Mapping[str, str]) -> int:
    """Copy what only this directory has, and return how many objects that were.

    Raises:
        StorageFault: not all of it could be copied, or it is gone and something is missing.
    """
    source = _meant(directory)
    if not os.path.isdir(source):
        if not is_whole(repo, env):
            raise StorageFault(f"{directory} is gone, and git misses objects without it", next="git fsck")
        return 0
    wanting = listed(source, repo, env)
    for place in object_directories(repo):
        if place not in inherited:
            wanting = lacking(place, wanting, repo.object_format)
    copy(repo, wanting, env, beside=source)
    still = lacking(f"{repo.runtime}/objects", wanting, repo.object_format)
    if still:
        raise StorageFault(f"{len(still)} objects of {directory} could not be copied", next="gitcoord doctor")
    return len(wanting)


def _meant(directory: str) -> str:
    """Return the log directory that a line means: of a linked worktree, git derives it from the wrong git directory."""
    git_dir = os.path.dirname(os.path.dirname(directory))
    common, worktrees = os.path.split(os.path.dirname(git_dir))
    return os.path.join(common, "gitcoord", "objects") if worktrees == "worktrees" else directory


def _without(repo: Repository, present: bytes, dropped: list[str]) -> bytes:
    lines = present.split(b"\n")
    return b"\n".join(line for line in lines if _inherited(repo, line) not in dropped)
