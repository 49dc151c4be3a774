"""The lock of the operating system, between real processes."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from gitcoord.runtime.oslock import OsLock
from support.procs import Link, start, wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


def hold(link: Link, path: str) -> None:
    """Worker: hold the lock until told."""
    with OsLock(path):
        link.emit("held")
        link.receive()
    link.emit("released")


def hold_and_fork(link: Link, path: str) -> None:
    """Worker: hold the lock and leave behind a child that believes it does too."""
    lock = OsLock(path)
    lock.acquire()
    child = os.fork()
    if child == 0:
        link.emit(["child", lock.held])
        lock.release()
        signal.pause()
    link.emit(["parent", child])
    link.receive()


def wait_through_signals(link: Link, path: str) -> None:
    """Worker: wait for the lock while signals come."""

    def note(_signal: int, _frame: object) -> None:
        link.emit("signal")

    signal.signal(signal.SIGUSR1, note)
    link.emit("waiting")
    with OsLock(path):
        link.emit("held")


def add_one(link: Link, path: str, counter: str, times: int) -> None:
    """Worker: read, add and write, in small steps that only the lock keeps together."""
    for _ in range(times):
        with OsLock(path):
            with open(counter, encoding="ascii") as file:
                value = int(file.read())
            with open(counter, "w", encoding="ascii") as file:
                file.write(str(value + 1))
    link.emit(times)


def test_death_frees_the_lock(path: str) -> None:
    lock = OsLock(path)
    with start(hold, 1, path) as crew:
        crew.go()
        assert crew[0].next() == "held"
        assert not lock.try_acquire()
        crew[0].kill()
    assert lock.try_acquire()
    lock.release()


def test_a_forked_child_does_not_keep_its_parents_lock(path: str) -> None:
    lock = OsLock(path)
    with start(hold_and_fork, 1, path) as crew:
        crew.go()
        told = dict(crew[0].next() for _ in range(2))
        try:
            assert told["child"] is False
            assert not lock.try_acquire(), "the child's release frees nothing of its parent's"
            os.kill(crew[0].process.pid, signal.SIGKILL)
            crew[0].process.wait()
            assert lock.try_acquire()
        finally:
            os.kill(told["parent"], signal.SIGKILL)
    lock.release()


def test_a_signal_does_not_end_the_wait(path: str) -> None:
    lock = OsLock(path)
    lock.acquire()
    with start(wait_through_signals, 1, path) as crew:
        crew.go()
        waiter = crew[0]
        assert waiter.next() == "waiting"
        wait_until(lambda: opened(waiter.process.pid, path), "the waiter waits")
        for _ in range(3):
            waiter.process.send_signal(signal.SIGUSR1)
            assert waiter.next() == "signal"
        assert "held" not in waiter.lines
        lock.release()
        assert waiter.finish()[-1] == "held"


def opened(pid: int, path: str) -> bool:
    """Say whether a process has a file open."""
    folder = f"/proc/{pid}/fd"
    return any(os.path.realpath(os.path.join(folder, fd)) == path for fd in os.listdir(folder))


def test_processes_take_turns(path: str, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    with start(add_one, 4, path, str(counter), 200) as crew:
        crew.go()
        crew.finish()
    assert counter.read_text() == "800"
