"""From a directory to a working coordinator: what every verb needs before it can begin."""

from __future__ import annotations

import os
from typing import NamedTuple

from gitcoord import config
from gitcoord.coordinator import Clock, Coordinator
from gitcoord.locate import Place
from gitcoord.runtime.machine import SystemClock
from gitcoord.service.project import repository_config
from gitcoord.store.repository import Repository, find_repository, worktree_roots

_NO = ("false", "no", "off", "0")


class Access(NamedTuple):
    """An opened repository.

    Attributes:
        coordinator: its log.
        place: what relative paths are relative to.
    """

    coordinator: Coordinator
    place: Place

    @property
    def repository(self) -> Repository:
        """The repository."""
        return self.coordinator.repository

    @property
    def runtime(self) -> str:
        """Its runtime directory."""
        return self.coordinator.repository.runtime


def open_access(start: str, base: str | None = None, clock: Clock | None = None) -> Access:
    """Open the repository around a directory; reads nothing of the log yet.

    Args:
        start: a directory in a worktree, or a git directory.
        base: what relative paths are relative to; None is the worktree's root.
        clock: who tells the time; this machine's clocks by default.

    Raises:
        NotARepository: there is none, or one that gitcoord cannot work in.
    """
    repository = find_repository(start, config.environment())
    roots = worktree_roots(repository)
    root = repository.worktree or repository.common_dir
    place = Place(roots, os.path.abspath(base) if base else root, (repository.git_dir, repository.common_dir))
    durable = config.read_environment().durable
    if durable is None:
        durable = repository_config(repository).get("gitcoord.fsync", "true").lower() not in _NO
    coordinator = Coordinator(repository, clock or SystemClock(repository.runtime), durable=durable)
    return Access(coordinator, place)
