"""What is synced at one time: all of it has reached the disk on return, in the order that was promised."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.errors import StorageFault
from gitcoord.service import initialise, open_desk
from gitcoord.store import syncing
from gitcoord.store.disk import sync_files
from gitcoord.store.syncing import sync_at_once
from support.procs import wait_until
from support.repo import make_repo

if TYPE_CHECKING:
    from collections.abc import Callable


class Watch:
    """Notes what this process asks of the file system, by the names of the files, and when each request has ended."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ended: list[tuple[str, str]] = []
        self._paths: dict[int, str] = {}
        for name in ("open", "fsync", "fdatasync", "replace", "link"):
            if hasattr(os, name):
                patch.setattr(os, name, self._noting(name, getattr(os, name)))

    def _noting(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            result = real(*args, **more)
            if name == "open":
                self._paths[result] = str(args[0])
            else:
                path = self._paths[args[0]] if name.endswith("sync") else str(args[1])
                self.ended.append(("sync" if name.endswith("sync") else name, path))
            return result

        return call

    def when(self, what: str, ending: str) -> int:
        """Return when the only request of this kind for such a file ended."""
        (at,) = [at for at, (kind, path) in enumerate(self.ended) if kind == what and path.endswith(ending)]
        return at


@pytest.mark.parametrize("writes_before", [0, 3])
def test_a_durable_write_syncs_files_then_names_then_the_ref(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes_before: int
) -> None:
    """The first write makes the file of the ref's next value, later ones write over an older one."""
    repo = make_repo(tmp_path / "r")
    initialise(repo)
    desk = open_desk(repo, session="writer")
    for number in range(writes_before):
        assert desk.store_data("scope", "before", number)["ok"]
    with monkeypatch.context() as patch:
        watch = Watch(patch)
        assert desk.store_data("scope", "key", 1)["ok"]
    files = [watch.when("sync", ending) for ending in (".pack", ".idx", "/gitcoord/swap")]
    named = [watch.when("replace", ending) for ending in (".pack", ".idx")]
    found, taken = watch.when("sync", "/objects/pack"), watch.when("link", "/main.lock")
    moved, kept = watch.when("replace", "/refs/gitcoord/main"), watch.when("sync", "/refs/gitcoord")
    assert max(files) < min(named) < max(named) < found < taken < moved < kept


def files_in(place: Path, count: int) -> list[str]:
    paths = [str(place / f"f{number}") for number in range(count)]
    for path in paths:
        Path(path).write_bytes(b"x" * 5000)
    return paths


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_the_one_that_fails_is_named_after_all_have_ended(tmp_path: Path, bad: int) -> None:
    paths = files_in(tmp_path, 5)
    ended: list[int] = []

    def flush(fd: int) -> None:
        ended.append(fd)

    def full(fd: int) -> None:
        ended.append(fd)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = open_files()
    failed = sync_at_once([(path, full if at == bad else flush) for at, path in enumerate(paths)])
    assert failed is not None
    assert (failed.path, failed.error.errno) == (paths[bad], errno.ENOSPC)
    assert len(ended) == 5
    assert open_files() == before


def test_a_file_that_is_missing_is_named_and_nothing_stays_open(tmp_path: Path) -> None:
    paths = [*files_in(tmp_path, 2), str(tmp_path / "gone")]
    before = open_files()
    with pytest.raises(StorageFault, match="gone: No such file"):
        sync_files(paths)
    assert open_files() == before
    sync_files([])
    sync_files(paths[:2], beside=paths[1:2])


def test_several_threads_sync_at_one_time(tmp_path: Path) -> None:
    counted: list[int] = []

    def work(number: int) -> None:
        place = tmp_path / str(number)
        place.mkdir()
        paths = files_in(place, 4)
        for _ in range(25):
            assert sync_at_once([(path, lambda fd: counted.append(os.fstat(fd).st_ino)) for path in paths]) is None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted) == 6 * 25 * 4
    assert len(set(counted)) == 24


def test_a_forked_child_has_helpers_of_its_own(tmp_path: Path) -> None:
    if not hasattr(os, "fork"):
        return
    paths = files_in(tmp_path, 3)
    sync_files(paths)
    child = os.fork()
    if not child:
        done = 1
        try:
            sync_files(paths)
            done = 0
        finally:
            os._exit(done)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    sync_files(paths)


def test_helpers_that_nobody_needs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each taken anew: one that waits has read the time before.
    monkeypatch.setattr(syncing, "_IDLE_S", 0.01)
    paths = files_in(tmp_path, 4)
    for _ in range(50):
        sync_files(paths)
    wait_until(lambda: not syncing._idle, "they have gone", timeout_s=30)  # pyright: ignore[reportPrivateUsage]
    sync_files(paths)
