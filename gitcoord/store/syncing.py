"""Several files on their way to the disk at one time.

A disk that is told to write out several things in one moment takes hardly longer than for one, and a write has to wait
for three files. So each is synced in a thread of its own. To start a thread costs as much as a quick disk's sync, so
the threads stay for a while and wait for more.
"""

from __future__ import annotations

import errno
import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Sequence

from gitcoord.values import NamedTuple

Flush = Callable[[int], None]
"""Brings an open file to the disk."""

_IDLE_S = 5.0


class Failed(NamedTuple):
    """A file that did not reach the disk, and what the system said."""

    path: str
    error: OSError


class _Helper:
    """A thread that syncs one file after another. Who gives it one is the only one who has it, until it is done."""

    def __init__(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the system has none to spare.
        """
        self._flush: Flush = os.fsync
        self._fd = -1
        self._error: OSError | None = None
        self._finished = False
        self._given, self._done = allocate_lock(), allocate_lock()
        self._given.acquire()
        self._done.acquire()
        start_new_thread(self._run, ())

    def give(self, flush: Flush, fd: int) -> None:
        """Let it begin."""
        self._flush, self._fd, self._error, self._finished = flush, fd, None, False
        self._given.release()

    def result(self) -> OSError | None:
        """Wait for the end, and return what the system said if it failed."""
        self._done.acquire()
        if not self._finished:
            return OSError(errno.EIO, "the thread that synced it has died")
        _idle.append(self)
        return self._error

    def _run(self) -> None:
        while True:
            if self._given.acquire(timeout=_IDLE_S):
                try:
                    self._error = _flushed(self._flush, self._fd)
                    self._finished = True
                finally:
                    self._done.release()
            elif self._leaves():
                return

    def _leaves(self) -> bool:
        """Go, unless somebody has just taken this helper, or has yet to put it back."""
        try:
            _idle.remove(self)
        except ValueError:
            return False
        return True


_idle: list[_Helper] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a forked child has none of its parent's threads


def sync_at_once(rows: Sequence[tuple[str, Flush]]) -> Failed | None:
    """Sync some files and directories; return when all have reached the disk, or what failed first.

    Args:
        rows: the path of each, and how it is brought to the disk.
    """
    opened: list[int] = []
    try:
        for path, _ in rows:
            opened.append(os.open(path, os.O_RDONLY))
    except OSError as error:
        failed = Failed(rows[len(opened)][0], error)
    else:
        failed = _synced(rows, opened)
    for fd in opened:
        os.close(fd)
    return failed


def _synced(rows: Sequence[tuple[str, Flush]], opened: Sequence[int]) -> Failed | None:
    helpers = [_helped(flush, fd) for (_, flush), fd in zip(rows[1:], opened[1:], strict=True)]
    errors: list[OSError | None] = []
    for at, (_, flush) in enumerate(rows):
        helper = helpers[at - 1] if at else None
        errors.append(_flushed(flush, opened[at]) if helper is None else helper.result())
    return next((Failed(path, error) for (path, _), error in zip(rows, errors, strict=True) if error), None)


def _helped(flush: Flush, fd: int) -> _Helper | None:
    """Let a helper begin; None where there is none to be had."""
    try:
        helper = _idle.pop()
    except IndexError:
        try:
            helper = _Helper()
        except RuntimeError:
            return None
    helper.give(flush, fd)
    return helper


def _flushed(flush: Flush, fd: int) -> OSError | None:
    try:
        flush(fd)
    except OSError as error:
        return error
    return None
