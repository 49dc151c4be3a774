"""A turn that one process at a time has, and that nobody waits for for ever."""

from __future__ import annotations

from _thread import allocate_lock

from gitcoord.runtime.oslock import OsLock

PATIENCE_S = 10.0
_IMPATIENCE_S = 0.2


class Turn:
    """One of the two locks that order the writers of a clone, with an end to patience.

    A process that was stopped while it holds the lock must not stop everybody: who has waited long enough goes on
    without it, and the compare-and-swap alone decides, as it always does.
    """

    def __init__(self, path: str, patience_s: float | None = None) -> None:
        """Use the lock file at this path, and wait for so long; None is the usual time."""
        self._guard = allocate_lock()
        self._lock = OsLock(path)
        self._longest_s = self._patience_s = PATIENCE_S if patience_s is None else patience_s

    def __enter__(self) -> bool:
        """Wait for the turn; False where it did not come."""
        self._guard.acquire()
        got = False
        try:
            got = self._lock.acquire_within(self._patience_s)
            self._patience_s = self._longest_s if got else _IMPATIENCE_S
        except BaseException:
            self._guard.release()
            raise
        return got

    def __exit__(self, *_: object) -> None:
        """Let the next one have it."""
        self._lock.release()
        self._guard.release()
