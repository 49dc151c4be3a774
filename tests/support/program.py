"""The real program: `python -m gitcoord` as a process of its own, with its output, exit code and terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = (sys.executable, "-m", "gitcoord")


class Done(NamedTuple):
    """How a command ended: its exit code, and what it printed on both streams."""

    code: int
    out: str
    err: str
    raw: bytes

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.raw)


def program_env(**more: str) -> dict[str, str]:
    """Return the environment in which the program is found from any directory, compiled once as if installed."""
    cache = os.path.join(os.environ["HOME"], "pycache")
    return {**os.environ, "PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache, **more}


def run(
    where: str | os.PathLike[str],
    *words: str | bytes,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_s: float = 60,
) -> Done:
    """Run the program in a directory and wait for it.

    Args:
        where: the working directory.
        words: its arguments; bytes go through untouched.
        stdin: what it reads.
        env: variables to set.
        timeout_s: how long it may take.
    """
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=where,
        input=stdin,
        capture_output=True,
        check=False,
        env=program_env(**(env or {})),
        timeout=timeout_s,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode(), done.stdout)


def start(where: str | os.PathLike[str], *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start the program in a directory, with pipes for its output, and do not wait."""
    return subprocess.Popen(
        [*COMMAND, *words],
        cwd=where,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=program_env(**(env or {})),
    )


def run_on_terminal(
    where: str | os.PathLike[str], *words: str, columns: int = 80, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run the program with a terminal as stdin, stdout and stderr; return its exit code and all that it showed."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                return
            if not data:
                return
            shown.append(data)

    reader = threading.Thread(target=read)
    terminal = {"TERM": "xterm-256color", **(env or {})}
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=where, stdin=theirs, stdout=theirs, stderr=theirs, env=program_env(**terminal)
    )
    os.close(theirs)
    reader.start()
    code = process.wait(60)
    reader.join(10)
    os.close(ours)
    return code, b"".join(shown).decode("utf-8", "replace").replace("\r\n", "\n")
