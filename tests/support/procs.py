"""Real worker processes for tests: started together at a barrier, talking in JSON lines, killed at will.

A worker is a plain module-level function of the test file, `def work(link: Link, ...)`. It runs in a fresh interpreter
(no fork, so no state leaks into it) that loads the file by its path:

    with start(work, 8, repo) as crew:
        crew.go()
        told = crew.finish()        # what each worker emitted, in its order

Workers have done their imports when `go` lets them loose, so they do overlap; a test still has to prove that they did.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BOOT = (
    "import sys; sys.path[:0] = sys.argv[1].split(chr(10));"
    "from support.procs import run_worker; run_worker(*sys.argv[2:])"
)
_END = object()


class Link:
    """A worker's end of the line to the test that started it.

    Attributes:
        index: which of the workers this is, from 0.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self._out = sys.stdout.fileno()

    def emit(self, message: Any) -> None:
        """Send one JSON value; it has left this process when the call returns, so a kill cannot lose it."""
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._out, data) :]

    def receive(self) -> Any:
        """Wait for the next value that the test sends.

        Raises:
            EOFError: the test closed the line or is gone.
        """
        line = sys.stdin.readline()
        if not line:
            raise EOFError("the test is gone")
        return json.loads(line)


def run_worker(path: str, name: str, index: str, args: str) -> None:
    """Run the function of a test file as a worker: the child's side of `start`."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("worker_" + os.path.basename(path).removesuffix(".py"), path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    link = Link(int(index))
    link.emit("ready")
    if link.receive() == "go":
        getattr(module, name)(link, *json.loads(args))


class Worker:
    """The test's end: one child process and what it has emitted so far.

    Attributes:
        index: which of the workers this is, from 0.
        process: the child.
        lines: all values that it emitted, oldest first; grows while it runs.
    """

    def __init__(self, index: int, process: subprocess.Popen[bytes]) -> None:
        self.index = index
        self.process = process
        self.lines: list[Any] = []
        self._fresh: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._errors: list[bytes] = []
        self._readers = [threading.Thread(target=target, daemon=True) for target in (self._read_out, self._read_err)]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            # A kill may cut the last line short: what was not sent whole was not said.
            if raw.endswith(b"\n"):
                message = json.loads(raw)
                self.lines.append(message)
                self._fresh.put(message)
        self._fresh.put(_END)

    def _read_err(self) -> None:
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    @property
    def errors(self) -> str:
        """What the child has written to its standard error."""
        return b"".join(self._errors).decode("utf-8", "replace")

    def next(self, timeout_s: float = 60) -> Any:
        """Wait for the next value that this worker emits and return it.

        Raises:
            AssertionError: it ended, or said nothing in time.
        """
        try:
            message = self._fresh.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"worker {self.index} said nothing for {timeout_s} s: {self.errors}") from None
        assert message is not _END, f"worker {self.index} ended: {self.errors}"
        return message

    def send(self, message: Any) -> None:
        """Send one JSON value to the worker; a dead worker is not told."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def kill(self) -> None:
        """End the worker as `kill -9` does and wait until it is gone; what it said before stays in `lines`."""
        if self.process.poll() is None:
            self.process.kill()
        self._settle(30)

    def freeze(self) -> None:
        """Stop the worker in its tracks (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen worker go on."""
        self.process.send_signal(signal.SIGCONT)

    def finish(self, timeout_s: float = 120) -> list[Any]:
        """Wait until the worker ends by itself and return all that it emitted.

        Raises:
            AssertionError: it did not end in time, or with an error; the text has its traceback.
        """
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"worker {self.index} ran longer than {timeout_s} s: {self.errors}") from None
        self._settle(30)
        assert self.process.returncode == 0, f"worker {self.index} exited {self.process.returncode}: {self.errors}"
        return self.lines

    def _settle(self, timeout_s: float) -> None:
        self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join(timeout_s)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class Crew:
    """Workers that were started together; leaving the `with` block kills those that still run."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()

    def __iter__(self) -> Iterator[Worker]:
        return iter(self.workers)

    def __getitem__(self, index: int) -> Worker:
        return self.workers[index]

    def go(self) -> None:
        """Let all workers loose at once; they have been waiting, imports done, since `start` returned."""
        for worker in self.workers:
            worker.send("go")

    def finish(self, timeout_s: float = 120) -> list[list[Any]]:
        """Wait for all workers and return what each emitted.

        Args:
            timeout_s: for all of them together.

        Raises:
            AssertionError: one failed or they took too long.
        """
        end = time.monotonic() + timeout_s
        return [worker.finish(max(0.1, end - time.monotonic())) for worker in self.workers]


def start(
    work: Callable[..., None],
    count: int,
    *args: Any,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 60,
) -> Crew:
    """Start workers and return when all of them stand at the barrier.

    Args:
        work: a module-level function; its file is loaded by path in each child. Its first argument is a `Link`.
        count: how many.
        args: JSON values that each gets after its link.
        env: variables to set on top of the inherited ones.
        timeout_s: how long they may take to get ready.

    Raises:
        AssertionError: one failed before it was ready.
    """
    search = "\n".join((os.path.join(_ROOT, "tests"), _ROOT))
    command = [sys.executable, "-c", _BOOT, search, work.__code__.co_filename, work.__name__]
    crew = Crew([])
    try:
        for index in range(count):
            process = subprocess.Popen(
                [*command, str(index), json.dumps(args)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **env} if env else None,
            )
            crew.workers.append(Worker(index, process))
        for worker in crew:
            assert worker.next(timeout_s) == "ready"
            worker.lines.clear()
    except BaseException:
        crew.__exit__()
        raise
    return crew


def wait_until(happened: Callable[[], bool], what: str, timeout_s: float = 30, every_s: float = 0.005) -> None:
    """Poll until something is true.

    Raises:
        AssertionError: it was not, in time; the text says what was awaited.
    """
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end, f"{what}: not within {timeout_s} s"
        time.sleep(every_s)
