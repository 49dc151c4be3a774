"""Locks of the operating system on files, and open files that no forked child keeps.

An OS lock belongs to an *open file description*, not to a process: whoever inherits the descriptor holds the lock too,
and it is free only when the last of them is gone. A session whose process forked a helper and then died would look
alive for as long as the helper runs. So everything that gitcoord locks is a `Descriptor`: closed on exec by the kernel,
and closed in every child of `os.fork` before the child runs a line of its own. A fork made by foreign C code without
telling Python is not seen.

`OsLock` blocks in the kernel. The obvious alternative, filelock, asks again every 50 ms: with eight writers in a row
that gave stalls of up to eight seconds, because whoever happens to ask first after a release wins, and its import costs
four times the start of an interpreter. It is used only where the system has no `flock`.

What a lock here does not do: it orders the processes of one machine for speed and fairness. Nothing that gitcoord
grants rests on it; the compare-and-swap of the log's ref does that.
"""

from __future__ import annotations

import _thread
import errno
import os
import time

from gitcoord.runtime.files import private_dir, refused
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

try:
    import fcntl
except ImportError:  # a system without flock, such as Windows
    fcntl = None

HAS_FLOCK = fcntl is not None
"""Whether locks can be shared, tested without taking them, and waited for in the kernel."""

_FALLBACK_POLL_S = 0.02
# Not blocking, because a FIFO put where a file is expected must not hang its reader. Not all systems have them all.
_FLAG_NAMES = ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOINHERIT", "O_BINARY")
_FLAGS = sum(getattr(os, name, 0) for name in _FLAG_NAMES)

# Reentrant: a signal handler that ends a session may run while its thread is inside.
_guard = _thread.RLock()
_open: set[Descriptor] = set()


class Descriptor:
    """An open file that forked children do not keep, and that may carry an OS lock.

    Methods let `OSError` pass: what it means is for the caller to say.
    """

    __slots__ = ("fd",)

    def __init__(self, path: str, flags: int, mode: int = 0o600) -> None:
        """Open `path`, never through a symbolic link.

        Args:
            path: the file.
            flags: the `os.O_*` flags besides those that every descriptor here has.
            mode: the rights of a file that is made.

        Raises:
            OSError: what `os.open` raises.
        """
        # Held while opening: a fork between the opening and the entry would leave the child with the file.
        with _guard:
            self.fd = os.open(path, flags | _FLAGS, mode)
            _open.add(self)

    def close(self) -> None:
        """Close the file, which frees its lock; harmless when closed, or when a forked child calls it."""
        with _guard:
            if self in _open:
                _open.discard(self)
                fd, self.fd = self.fd, -1
                os.close(fd)

    @property
    def is_open(self) -> bool:
        """Whether the file is open in this process."""
        return self.fd >= 0

    def is_at(self, path: str) -> bool:
        """Say whether `path` leads to this very file, which it does not once someone removed or replaced it."""
        try:
            there = os.stat(path, follow_symlinks=False)
        except OSError:
            return False
        here = os.fstat(self.fd)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def lock(self) -> None:
        """Take the exclusive lock, waiting as long as it takes."""
        if fcntl is not None:
            fcntl.flock(self.fd, fcntl.LOCK_EX)
            return
        from filelock import lock_descriptor

        lock_descriptor(self.fd, poll_interval=_FALLBACK_POLL_S)

    def try_lock(self, *, shared: bool = False) -> bool:
        """Take the lock if that is possible at once, and say whether it was.

        Args:
            shared: take it beside other shared holders; without `flock` it is exclusive all the same.
        """
        if fcntl is None:
            from filelock import lock_descriptor

            return lock_descriptor(self.fd, blocking=False)
        try:
            fcntl.flock(self.fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}:
                return False
            raise
        return True

    def read(self, limit: int) -> bytes:
        """Return up to `limit` bytes from the file's beginning."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        return os.read(self.fd, limit)

    def write_at(self, offset: int, content: bytes) -> None:
        """Write all of `content` over what is at `offset`."""
        os.lseek(self.fd, offset, os.SEEK_SET)
        while content:
            content = content[os.write(self.fd, content) :]


def _leave_child_nothing() -> None:
    """In a forked child: close what belongs to the parent. Closing one of two descriptors frees no lock."""
    for descriptor in _open:
        os.close(descriptor.fd)
        descriptor.fd = -1
    _open.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_leave_child_nothing)


class _Waiter:
    """A thread that waits in the kernel for a lock, for somebody who may lose patience."""

    def __init__(self, descriptor: Descriptor) -> None:
        """Begin to wait."""
        self.error: OSError | None = None
        self._descriptor = descriptor
        self._guard = _thread.allocate_lock()
        self._came = _thread.allocate_lock()
        self._came.acquire()
        self._over = False
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        try:
            self._descriptor.lock()
        except OSError as error:
            self.error = error
        with self._guard:
            if self._over:
                self._descriptor.close()
            self._over = True
        self._came.release()

    def wait(self, limit_s: float) -> Descriptor | None:
        """Return the locked descriptor, or None where it did not come in time."""
        self._came.acquire(timeout=limit_s)
        with self._guard:
            if not self._over:
                self._over = True
                return None
        return self._descriptor


class OsLock:
    """An exclusive lock on a file, between processes and between threads.

    Each acquisition opens the file anew, so two threads exclude each other like two processes, whether they share the
    object or not. It is not reentrant. The file is made on demand and never removed by gitcoord; when somebody else
    removes it, a waiter notices and waits on the new one. Death frees it, a forked child does not have it.
    """

    __slots__ = ("_held", "_owner", "path")

    def __init__(self, path: str) -> None:
        """Name the file; nothing is opened yet."""
        self.path = path
        self._held: Descriptor | None = None
        self._owner = 0

    @property
    def held(self) -> bool:
        """Whether some thread of this process holds the lock through this object."""
        return self._held is not None and self._held.is_open

    def acquire(self) -> None:
        """Take the lock, waiting in the kernel as long as it takes; a signal's handler runs and the wait goes on.

        Raises:
            StorageFault: the file system cannot make or lock the file.
            RuntimeError: this thread holds it already, so it would wait for ever.
        """
        self._take(wait=True)

    def try_acquire(self) -> bool:
        """Take the lock if it is free now, and say whether it was.

        Raises:
            StorageFault: the file system cannot make or lock the file.
        """
        return self._take(wait=False)

    def acquire_within(self, limit_s: float) -> bool:
        """Take the lock, waiting for it for a while, and say whether it came.

        The kernel's own waiting has no limit, so where the lock is not free a thread waits in it; one that waited in
        vain gives the lock back as soon as it gets it.

        Args:
            limit_s: how long to wait at most.

        Raises:
            StorageFault: the file system cannot make or lock the file.
        """
        if self.try_acquire():
            return True
        deadline = time.monotonic() + limit_s
        while (left_s := deadline - time.monotonic()) > 0:
            waiter = _Waiter(self._open_file())
            descriptor = waiter.wait(left_s)
            if descriptor is None:
                return False
            if waiter.error is not None:
                descriptor.close()
                raise refused(self.path, waiter.error)
            if descriptor.is_at(self.path):
                self._held, self._owner = descriptor, _thread.get_ident()
                return True
            descriptor.close()
        return False

    def release(self) -> None:
        """Free the lock; harmless when it is not held, as in a forked child."""
        held, self._held, self._owner = self._held, None, 0
        if held is not None:
            held.close()

    def __enter__(self) -> Self:
        """Acquire."""
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release."""
        self.release()

    def _take(self, *, wait: bool) -> bool:
        if wait and self.held and self._owner == _thread.get_ident():
            msg = f"this thread already holds {self.path}"
            raise RuntimeError(msg)
        while True:
            descriptor = self._open_file()
            kept = False
            try:
                if wait:
                    descriptor.lock()
                elif not descriptor.try_lock():
                    return False
                # Whoever removed the file while we waited made our lock one that excludes nobody.
                if descriptor.is_at(self.path):
                    self._held, self._owner, kept = descriptor, _thread.get_ident(), True
                    return True
            except OSError as error:
                raise refused(self.path, error) from error
            finally:
                if not kept:
                    descriptor.close()

    def _open_file(self) -> Descriptor:
        try:
            return Descriptor(self.path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            private_dir(os.path.dirname(self.path))
        except OSError as error:
            raise refused(self.path, error) from error
        try:
            return Descriptor(self.path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise refused(self.path, error) from error


def holder_of(path: str) -> int | None:
    """Return the process id of who holds the lock on a file, for people; None where the system does not tell."""
    try:
        found = os.stat(path)
        with open("/proc/locks", encoding="ascii") as listing:
            rows = [line.split() for line in listing]
    except OSError:
        return None
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    # A line that waits has an arrow behind its number.
    holders = [row[4] for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5] == wanted]
    return int(holders[0]) if holders and holders[0].isdecimal() and holders[0] != "0" else None


def is_stopped(pid: int) -> bool:
    """Tell whether a process is stopped, as by SIGSTOP; False where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[:1] == [b"T"]
    except OSError:
        return False
