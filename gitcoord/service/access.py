"""From a directory to an opened repository: what every verb needs before it can begin."""

from __future__ import annotations

import os

from gitcoord import config
from gitcoord.locate import Place
from gitcoord.log import Log
from gitcoord.runtime.machine import Clock, SystemClock
from gitcoord.service.project import repository_config
from gitcoord.store.repository import Repository, find_repository, worktree_roots
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.coordinator import Coordinator
    from gitcoord.model_time import Stamp
    from gitcoord.state import State

_NO = ("false", "no", "off", "0")


class Access:
    """An opened repository: its log for reading and, once somebody writes, its coordinator.

    Args:
        repository: the repository.
        place: what relative paths are relative to.
        clock: who tells the time.
        durable: whether what is written is synced before an answer.
        key: with what to sign, where the caller says it.

    Attributes:
        log: for reading; the coordinator itself once there is one.
    """

    def __init__(
        self, repository: Repository, place: Place, clock: Clock, *, durable: bool, key: str | None = None
    ) -> None:
        """Open for reading; nothing is read yet."""
        self.repository = repository
        self._place = place
        self._seen = _worktrees_changed(repository)
        self.clock = clock
        self.log: Log = Log(repository, durable=durable)
        self._durable = durable
        self._key = key
        self._coordinator: Coordinator | None = None

    @property
    def place(self) -> Place:
        """Where the caller stands; worktrees that were added or removed meanwhile count."""
        seen = _worktrees_changed(self.repository)
        if seen != self._seen:
            self._place, self._seen = self._place._replace(roots=worktree_roots(self.repository)), seen
        return self._place

    @property
    def runtime(self) -> str:
        """The runtime directory."""
        return self.repository.runtime

    @property
    def coordinator(self) -> Coordinator:
        """The door for writing. A command that only looks never loads it."""
        if self._coordinator is None:
            from gitcoord.coordinator import Coordinator
            from gitcoord.service.signers import Signers

            self._coordinator = Coordinator(
                self.repository, self.clock, durable=self._durable, signers=Signers(self.repository, self._key)
            )
            self.log = self._coordinator
        return self._coordinator

    def state(self) -> State:
        """Return the state at the tip, for looking only."""
        return self.log.snapshot().state

    def now(self) -> Stamp:
        """Return what the clocks say."""
        return self.clock.stamp()


def _worktrees_changed(repository: Repository) -> int:
    """Return a number that changes when a linked worktree is added or removed."""
    try:
        return os.stat(os.path.join(repository.common_dir, "worktrees")).st_mtime_ns
    except OSError:
        return 0


def open_access(start: str, base: str | None = None, clock: Clock | None = None, key: str | None = None) -> Access:
    """Open the repository around a directory; reads nothing of the log yet.

    Args:
        start: a directory in a worktree, or a git directory.
        base: what relative paths are relative to; None is the worktree's root.
        clock: who tells the time; this machine's clocks by default.
        key: with what to sign, as `git config user.signingKey` takes it; None leaves it to the configuration.

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
    return Access(repository, place, clock or SystemClock(repository.runtime), durable=durable, key=key)
