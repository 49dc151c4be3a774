"""A turn that one process at a time has, and that nobody waits for for ever."""

from __future__ import annotations

from _thread import allocate_lock

from gitcoord.runtime.oslock import OsLock, holder_of, is_stopped
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 10.0
TOLD_AFTER_S = 1.5
"""For so long nobody who waits has to be told for whom."""

_IMPATIENCE_S = 0.2


class Turn:
    """One of the two locks that order the writers of a clone, with an end to patience.

    A process that was stopped while it holds the lock must not stop everybody: who has waited long enough goes on
    without it, and the compare-and-swap alone decides, as it always does. Where the system says that the holder is
    stopped, that is soon, unless a patience of its own was asked for.

    Attributes:
        says: called with who is waited for, for people, once that takes long; None tells nobody.
        in_vain: that it was waited for in vain, and who has it, for people; whoever tells it sets it to "".
    """

    def __init__(self, path: str, patience_s: float | None = None) -> None:
        """Use the lock file at this path, and wait for so long; None is the usual time."""
        self._guard = allocate_lock()
        self._lock = OsLock(path)
        self._path = path
        self.says: Callable[[str], object] | None = None
        self.in_vain = ""
        self._gives_up_early = patience_s is None
        self._longest_s = self._patience_s = PATIENCE_S if patience_s is None else patience_s

    def __enter__(self) -> bool:
        """Wait for the turn; False where it did not come."""
        self._guard.acquire()
        got = False
        try:
            got = self._lock.acquire_within(min(TOLD_AFTER_S, self._patience_s)) or self._waited_longer()
            self._patience_s = self._longest_s if got else _IMPATIENCE_S
        except BaseException:
            self._guard.release()
            raise
        return got

    def _waited_longer(self) -> bool:
        """Say for whom one waits, and wait for the rest of one's patience."""
        pid = holder_of(self._path)
        stopped = pid is not None and is_stopped(pid)
        who = "another process of this clone" if pid is None else f"process {pid}"
        who += f", which holds {self._path}" + (" and is stopped" if stopped else "")
        rest_s = 0.0 if stopped and self._gives_up_early else self._patience_s - TOLD_AFTER_S
        if rest_s > 0:
            if self.says is not None:
                self.says(f"waiting for {who}")
            if self._lock.acquire_within(rest_s):
                return True
        self.in_vain = f"waited in vain for {who}"
        return False

    def __exit__(self, *_: object) -> None:
        """Let the next one have it."""
        self._lock.release()
        self._guard.release()
