"""A repository with several callers at its log, who share a clock that the test sets."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from gitcoord.coordinator import Commit, Coordinator
from gitcoord.model import Header, Operation
from gitcoord.service import Desk, initialise, open_desk
from gitcoord.service.access import open_access
from gitcoord.service.history import walk
from gitcoord.state import State
from support.clock import ManualClock
from support.repo import git, make_repo


class LogCommit(NamedTuple):
    """One commit of the log."""

    commit: Commit
    header: Header

    @property
    def types(self) -> list[str]:
        """The types of its operations."""
        return [operation["type"] for operation in self.header["operations"]]


class World:
    """One initialised scratch repository.

    Attributes:
        root: the repository's worktree.
        clock: what all desks go by, unless `real_time`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, bare: bool = False, ignore_case: bool = False, real_time: bool = False
    ) -> None:
        """Make the repository and its log.

        Args:
            path: where; it is made.
            bare: without a worktree.
            ignore_case: upper and lower case are one, by git's own setting.
            real_time: desks go by the machine's clocks, as waiting needs it.
        """
        self.root = make_repo(path, bare=bare)
        self.clock = ManualClock()
        self._real_time = real_time
        self._desks: list[Desk] = []
        git(self.root, "config", "gitcoord.fsync", "false")
        if ignore_case:
            git(self.root, "config", "core.ignorecase", "true")
        initialise(self.root)

    # -- who is there

    def agent(self, hint: str = "agent", session: str | None = None, clock: ManualClock | None = None) -> Desk:
        """Return the desk of a serving process."""
        return self._desk(hint, session, clock, process=True)

    def command(self, session: str = "ada@host", clock: ManualClock | None = None, base: str | None = None) -> Desk:
        """Return the desk of one command, which has no process that outlives it."""
        return self._desk("gitcoord", session, clock, process=False, base=base)

    def _desk(
        self, hint: str, session: str | None, clock: ManualClock | None, *, process: bool, base: str | None = None
    ) -> Desk:
        given = clock if clock is not None else None if self._real_time else self.clock
        desk = open_desk(self.root, session=session, hint=hint, process=process, base=base, clock=given)
        self._desks.append(desk)
        return desk

    def kill(self, desk: Desk) -> None:
        """Let a desk's process die: the kernel frees its lock, and nothing else happens."""
        own = desk.callers.own
        assert own is not None, "it has not signed on"
        assert own.life is not None, "it has no process"
        held = own.life._held  # pyright: ignore[reportPrivateUsage] - what the kernel does at a process's death
        assert held is not None, "it is dead already"
        held.close()
        self._desks.remove(desk)

    def close(self) -> None:
        """End the processes that are left."""
        for desk in self._desks:
            desk.callers.forget()

    # -- what the log says

    @property
    def coordinator(self) -> Coordinator:
        """A coordinator of nobody's, with nothing remembered."""
        return open_access(self.root, clock=self.clock).coordinator

    @property
    def state(self) -> State:
        """The newest state, read anew."""
        return self.coordinator.snapshot().state

    def log(self) -> list[LogCommit]:
        """Return the log, the oldest commit first."""
        return [LogCommit(commit, header) for commit, header in walk(self.coordinator)][::-1]

    def length(self) -> int:
        """Count the commits."""
        return int(git(self.root, "rev-list", "--count", "refs/gitcoord/main"))

    def operations(self, kind: str | None = None) -> list[Operation]:
        """Return the operations of the log, or those of one type, the oldest first."""
        found = [operation for entry in self.log() for operation in entry.header["operations"]]
        return [operation for operation in found if kind in (None, operation["type"])]

    def since(self, revision: int) -> list[str]:
        """Return the types of what happened after a revision, each commit's joined."""
        return ["+".join(entry.types) for entry in self.log() if entry.header["revision"] > revision]


def code(answer: dict[str, Any]) -> str | None:
    """Return the code of an answer's error, or None where it has none."""
    error = answer.get("error")
    return None if error is None else error["code"]


def granted(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that grants, and fail on any other."""
    assert answer.get("granted"), answer
    return answer
