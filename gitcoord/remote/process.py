"""Running git where it may hang: a time limit that holds, a bound on what it says, and nothing left running.

The program gets a session of its own, so that neither it nor an `ssh` below it finds a terminal to ask at. When its
time is over, its whole process group is ended: politely first, for git then removes its lock files, then for good.
What left the group on purpose (a shared ssh connection, a credential cache) is not waited for.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

from gitcoord.values import NamedTuple

OUTPUT_LIMIT = 1 << 20
_GRACE_S = 1.0
_LINGER_S = 0.2
_LOOK_EVERY_S = 0.02


class Ran(NamedTuple):
    """How a program ended.

    Attributes:
        status: its exit status, negative for a signal; None when its time was over.
        out: its standard output, up to `OUTPUT_LIMIT` bytes.
        err: its standard error, likewise.
        cut: whether there was more.
    """

    status: int | None
    out: bytes
    err: bytes
    cut: bool


def run(command: Sequence[str], *, env: Mapping[str, str], cwd: str, quiet_s: float, limit_s: float) -> Ran:
    """Run a program to its end, or to the end of its time.

    Safe from several threads at once.

    Args:
        command: the program and its arguments.
        env: its whole environment.
        cwd: where it runs.
        quiet_s: for how long it may say nothing, in seconds.
        limit_s: how long it may take in all, in seconds.

    Raises:
        OSError: it could not be started.
    """
    if os.name == "nt":
        return _run_simply(command, env=env, cwd=cwd, limit_s=limit_s)
    with subprocess.Popen(  # noqa: S603 - git with arguments of ours; no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
        start_new_session=True,
    ) as process:
        reading = _Reading(process)
        try:
            ended = reading.until_end(quiet_s, limit_s)
        except BaseException:
            _end_group(process)
            raise
        finally:
            reading.close()
        if not ended:
            _end_group(process)
        status = process.wait()
    return Ran(status if ended else None, *reading.said(), reading.cut)


class _Reading:
    """Reads what a process says while it runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.cut = False
        self._process = process
        self._said: dict[int, list[bytes]] = {}
        self._sizes: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        self._pidfd: int | None = None
        for pipe in self._pipes():
            os.set_blocking(pipe.fileno(), False)
            self._said[pipe.fileno()] = []
            self._sizes[pipe.fileno()] = 0
            self._selector.register(pipe.fileno(), selectors.EVENT_READ)
        if hasattr(os, "pidfd_open"):
            try:
                self._pidfd = os.pidfd_open(process.pid)
            except OSError:  # forbidden here, or no more descriptors: then it is looked at now and then
                return
            self._selector.register(self._pidfd, selectors.EVENT_READ)

    def _pipes(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe is not None]

    def until_end(self, quiet_s: float, limit_s: float) -> bool:
        """Read until the process has ended, and say whether it did by itself in its time."""
        began = heard = time.monotonic()
        while True:
            now = time.monotonic()
            left_s = min(began + limit_s, heard + quiet_s) - now
            if left_s <= 0:
                return False
            if self._pidfd is None and self._process.poll() is not None:
                break
            ready = self._selector.select(left_s if self._pidfd is not None else min(left_s, _LOOK_EVERY_S))
            for key, _ in ready:
                if key.fd != self._pidfd and self._take(key.fd):
                    heard = time.monotonic()
            if any(key.fd == self._pidfd for key, _ in ready):
                break
        self._drain()
        return True

    def _drain(self) -> None:
        """Take what is still in the pipes; who else holds their other ends is waited for only for a moment."""
        end = time.monotonic() + _LINGER_S
        while self._open() and (left_s := end - time.monotonic()) > 0:
            ready = [key.fd for key, _ in self._selector.select(left_s) if key.fd != self._pidfd]
            for fd in ready:
                self._take(fd)
            if self._pidfd is not None and not ready:
                # The process's own descriptor is readable for ever now.
                self._selector.unregister(self._pidfd)
                os.close(self._pidfd)
                self._pidfd = None

    def _open(self) -> bool:
        return any(fd in self._said for fd in self._selector.get_map())

    def _take(self, fd: int) -> bool:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(fd)
            return False
        kept = data[: OUTPUT_LIMIT - self._sizes[fd]]
        self.cut = self.cut or len(kept) < len(data)
        self._said[fd].append(kept)
        self._sizes[fd] += len(kept)
        return True

    def said(self) -> tuple[bytes, bytes]:
        """Return its standard output and its standard error."""
        out, err = (b"".join(parts) for parts in self._said.values())
        return out, err

    def close(self) -> None:
        """Let the descriptors go; what was read stays."""
        self._selector.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group; it is not waited for before its group is dead, so its number stays its."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
        except (ProcessLookupError, PermissionError):
            break
        if signal_number == signal.SIGTERM:
            _wait_unreaped(process.pid, _GRACE_S)
    process.wait()


def _wait_unreaped(pid: int, limit_s: float) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(_LOOK_EVERY_S)


def _run_simply(command: Sequence[str], *, env: Mapping[str, str], cwd: str, limit_s: float) -> Ran:
    """Run a program where there are no process groups and no sessions."""
    try:
        done = subprocess.run(  # noqa: S603 - as above
            command, stdin=subprocess.DEVNULL, capture_output=True, env=env, cwd=cwd, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as over:
        return Ran(None, over.stdout or b"", over.stderr or b"", cut=False)
    cut = len(done.stdout) > OUTPUT_LIMIT or len(done.stderr) > OUTPUT_LIMIT
    return Ran(done.returncode, done.stdout[:OUTPUT_LIMIT], done.stderr[:OUTPUT_LIMIT], cut)
