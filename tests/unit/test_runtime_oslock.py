from __future__ import annotations

import contextlib
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from gitcoord.errors import StorageFault
from gitcoord.runtime.oslock import Descriptor, OsLock
from support.procs import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def openings(path: str) -> int:
    """Return how often this process has a file open."""
    found = 0
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{fd}") == path
    return found


def test_one_holds_it_and_others_do_not(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    one, two = OsLock(path), OsLock(path)
    assert one.try_acquire()
    assert one.held
    assert not two.try_acquire()
    one.release()
    assert not one.held
    assert two.try_acquire()


def test_the_file_is_private_and_stays_after_the_release(tmp_path: Path) -> None:
    path = tmp_path / "made" / "lock"
    with OsLock(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.exists()


def test_threads_exclude_each_other_even_through_one_object(tmp_path: Path) -> None:
    lock = OsLock(str(tmp_path / "lock"))
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            with lock:
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 200
    assert max(most) == 1


def test_taking_it_twice_in_one_thread_is_told_and_does_not_hang(tmp_path: Path) -> None:
    lock = OsLock(str(tmp_path / "lock"))
    with lock:
        assert not lock.try_acquire()
        with pytest.raises(RuntimeError, match="already holds"):
            lock.acquire()
    assert lock.try_acquire()


def test_a_lock_file_removed_by_somebody_does_not_make_two_holders(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first, second = OsLock(path), OsLock(path)
    first.acquire()
    got = threading.Event()

    def wait() -> None:
        second.acquire()
        got.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    wait_until(lambda: openings(path) == 2, "the waiter opened the file")
    os.unlink(path)
    third = OsLock(path)
    third.acquire()  # on a new file
    first.release()  # the second's lock is now on the removed file, if it waited on that one
    assert not got.wait(0.1)
    third.release()
    assert got.wait(10)
    waiter.join()
    second.release()


def test_the_file_systems_refusal_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (str(tmp_path / "file" / "lock"), str(tmp_path)):
        with pytest.raises(StorageFault) as caught:
            OsLock(path).acquire()
        assert path in caught.value.message
        assert caught.value.facts["path"] == path


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageFault):
        OsLock(str(tmp_path / "lock")).acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_a_fifo_in_its_place_does_not_hang_a_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    Descriptor(str(tmp_path / "fifo"), os.O_RDONLY).close()


def test_shared_holders_stand_together_and_keep_an_exclusive_one_out(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    opened = [Descriptor(path, os.O_RDWR | os.O_CREAT) for _ in range(3)]
    assert opened[0].try_lock(shared=True)
    assert opened[1].try_lock(shared=True)
    assert not opened[2].try_lock()
    for one in opened:
        one.close()
        one.close()
        assert not one.is_open


def test_a_descriptor_is_closed_on_exec(tmp_path: Path) -> None:
    one = Descriptor(str(tmp_path / "lock"), os.O_RDWR | os.O_CREAT)
    assert not os.get_inheritable(one.fd)
    one.close()
