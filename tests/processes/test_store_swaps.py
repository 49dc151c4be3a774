"""The ref under fire: many writers, git's own housekeeping beside them, and `kill -9` before every call."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitcoord.errors import Contention
from gitcoord.store import refs
from gitcoord.store.objects import ObjectStore
from gitcoord.store.refs import LogRef
from gitcoord.store.repository import Repository, find_repository
from gitcoord.store.setup import prepare_runtime
from support.procs import Link, start
from support.repo import fsck, git, make_repo

WRITERS = 4
SWAPS = 50


def prepared(tmp_path: Path) -> tuple[str, Repository]:
    where = make_repo(tmp_path / "r")
    repo = find_repository(where, {})
    prepare_runtime(repo)
    return where, repo


def write_commit(store: ObjectStore, parent: bytes | None, text: str) -> bytes:
    batch = store.batch()
    tree = batch.add(b"tree", b"100644 f\0" + batch.add(b"blob", text.encode()))
    above = "" if parent is None else f"parent {parent.hex()}\n"
    who = "A <a@b.c> 1700000000 +0000"
    oid = batch.add(b"commit", f"tree {tree.hex()}\n{above}author {who}\ncommitter {who}\n\n{text}\n".encode())
    store.sync(batch.paths)
    return oid


def swap(ref: LogRef, old: bytes | None, new: bytes, who: str = "test") -> bool:
    return ref.swap(old, new, who=f"{who} <>", at_s=1_700_000_000, message="m")


def work_swapping(link: Link, where: str) -> None:
    repo = find_repository(where, {})
    store, ref = ObjectStore(repo, durable=False), LogRef(repo, durable=False)
    with open(os.path.join(repo.runtime, "publish"), "ab") as lock:
        for number in range(SWAPS):
            fcntl.flock(lock, fcntl.LOCK_EX)
            old = ref.read()
            new = write_commit(store, old, f"{link.index} {number}")
            assert swap(ref, old, new, who=f"w{link.index}")
            fcntl.flock(lock, fcntl.LOCK_UN)
            link.emit(new.hex())


def test_every_acknowledged_swap_is_in_the_chain_while_git_packs_refs(tmp_path: Path) -> None:
    where, repo = prepared(tmp_path)
    packed: set[str] = set()
    with start(work_swapping, WRITERS, where) as crew:
        crew.go()
        while any(worker.process.poll() is None for worker in crew):
            # It may lose against a writer that holds the ref's lock: then it says so and packs it the next time.
            subprocess.run(["git", "-C", where, "pack-refs", "--all"], capture_output=True, check=False)
            lines = Path(repo.common_dir, "packed-refs").read_text().splitlines()
            packed.update(line.split()[0] for line in lines if line.endswith(" refs/gitcoord/main"))
        told = crew.finish()
    acknowledged = {oid for lines in told for oid in lines}
    assert len(acknowledged) == WRITERS * SWAPS
    chain = git(where, "rev-list", "--reverse", "refs/gitcoord/main").splitlines()
    assert set(chain) == acknowledged
    log = [line.split() for line in Path(repo.common_dir, "logs/refs/gitcoord/main").read_text().splitlines()]
    assert [line[1] for line in log] == chain
    assert [line[0] for line in log] == ["0" * 40, *chain[:-1]]
    # The writers did take turns, and the packer did get in between.
    assert sum(before[2] != after[2] for before, after in itertools.pairwise(log)) > WRITERS
    assert len(packed) > 3
    assert fsck(where) == []


def die_before_call(deadly: int) -> None:
    """Let this process be killed before its n-th call that changes or syncs a file."""
    calls = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapper

    for name in ("open", "write", "fsync", "link", "replace", "unlink"):
        setattr(os, name, counted(getattr(os, name)))


def work_dying(link: Link, where: str) -> None:
    """Fork writers that die one call later each time, and write after each of them."""
    repo = find_repository(where, {})
    store, ref = ObjectStore(repo), LogRef(repo)
    assert swap(ref, None, write_commit(store, None, "start"))
    status = -1
    for deadly in itertools.count(1):
        before = ref.read()
        child = os.fork()
        if not child:
            die_before_call(deadly)
            os._exit(0 if swap(ref, before, write_commit(store, before, f"try {deadly}")) else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        after = ref.read()
        assert after is not None
        moved = store.read(after, verify=True)[1].endswith(f"\n\ntry {deadly}\n".encode())
        assert moved or after == before
        began = time.monotonic()
        assert swap(ref, after, write_commit(store, after, f"after {deadly}"))
        took_s = time.monotonic() - began
        assert list(Path(repo.common_dir).rglob("*.lock")) == []
        assert not Path(repo.runtime, "swap").exists()
        link.emit([status, moved, took_s])
        if status != -signal.SIGKILL:
            break


def test_a_kill_before_any_call_leaves_the_old_tip_or_the_new_one_and_no_obstacle(tmp_path: Path) -> None:
    where, repo = prepared(tmp_path)
    for number in range(256):
        # The count of calls must not depend on which directories the earlier objects happened to make.
        Path(repo.runtime, "objects", f"{number:02x}").mkdir(exist_ok=True)
    with start(work_dying, 1, where) as crew:
        crew.go()
        (told,) = crew.finish()
    statuses, moved, took_s = zip(*told, strict=True)
    assert set(statuses[:-1]) == {-signal.SIGKILL}
    assert statuses[-1] == 0
    assert list(moved) == sorted(moved)
    assert moved.count(False) > 20
    assert moved.count(True) > 3
    assert max(took_s) < refs.PATIENCE_S / 2
    assert fsck(where) == []


def test_a_transaction_of_gits_is_waited_for_and_its_value_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, repo = prepared(tmp_path)
    store, ref = ObjectStore(repo), LogRef(repo)
    first = write_commit(store, None, "first")
    theirs, ours = write_commit(store, first, "theirs"), write_commit(store, first, "ours")
    assert swap(ref, None, first)
    with subprocess.Popen(
        ["git", "-C", where, "update-ref", "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as update:
        assert update.stdin is not None
        assert update.stdout is not None
        update.stdin.write(f"start\nupdate refs/gitcoord/main {theirs.hex()} {first.hex()}\nprepare\n")
        update.stdin.flush()
        assert [update.stdout.readline(), update.stdout.readline()] == ["start: ok\n", "prepare: ok\n"]
        monkeypatch.setattr(refs, "PATIENCE_S", 0.1)
        with pytest.raises(Contention, match=r"refs/gitcoord/main\.lock"):
            swap(ref, first, ours)
        update.stdin.write("commit\n")
        update.stdin.close()
        assert update.wait(30) == 0
    assert not swap(ref, first, ours)
    assert ref.read() == theirs
    assert swap(ref, theirs, ours)


def chain_of(store: ObjectStore, count: int) -> list[bytes]:
    found: list[bytes] = []
    for number in range(count):
        found.append(write_commit(store, found[-1] if found else None, f"commit {number}"))
    return found


def test_who_opened_the_ref_before_and_reads_it_after_gets_no_older_and_no_later_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, repo = prepared(tmp_path)
    store, ref = ObjectStore(repo), LogRef(repo)
    commits = chain_of(store, 12)
    assert swap(ref, None, commits[0])
    read, at = os.read, 0
    written: list[bytes] = []

    def slow_read(fd: int, size: int) -> bytes:
        nonlocal at
        # Two swaps are what it takes until the file that was opened is written over with the next value.
        if at < 8 and os.path.samestat(os.fstat(fd), os.stat(ref.path)):
            monkeypatch.setattr(os, "read", read)
            for _ in range(3):
                assert swap(ref, commits[at], commits[at + 1])
                at += 1
            monkeypatch.setattr(os, "read", slow_read)
        written.append(read(fd, size))
        return written[-1]

    monkeypatch.setattr(os, "read", slow_read)
    assert ref.read() == commits[9]
    assert at == 9
    assert len(written) == 4, "each file that had lost the name was looked at again"


@pytest.mark.parametrize("what", ["another name", "a link", "another length"])
def test_a_spare_file_that_is_not_ours_alone_is_never_written_over(tmp_path: Path, what: str) -> None:
    where, repo = prepared(tmp_path)
    store, ref = ObjectStore(repo), LogRef(repo)
    commits = chain_of(store, 4)
    assert swap(ref, None, commits[0])
    assert swap(ref, commits[0], commits[1])
    spare, precious = Path(repo.runtime, "spare"), tmp_path / "precious"
    precious.write_bytes(spare.read_bytes())
    spare.unlink()
    if what == "a link":
        spare.symlink_to(precious)
    elif what == "another name":
        os.link(precious, spare)
    else:
        spare.write_bytes(b"something else, that is longer than any name of an object of either format ever is")
    before = precious.read_bytes()
    for old, new in itertools.pairwise(commits[1:]):
        assert swap(ref, old, new)
        assert ref.read() == new
    assert precious.read_bytes() == before
    assert git(where, "rev-parse", "refs/gitcoord/main") == commits[-1].hex()
    assert fsck(where) == []


def test_dying_at_every_step_with_a_spare_file_leaves_no_file_with_two_names(tmp_path: Path) -> None:
    where, repo = prepared(tmp_path)
    with start(work_dying, 1, where) as crew:
        crew.go()
        crew.finish()
    ref, spare = os.stat(LogRef(repo).path), os.stat(f"{repo.runtime}/spare")
    assert ref.st_nlink == spare.st_nlink == 1
    assert ref.st_ino != spare.st_ino
    assert sorted(name for name in os.listdir(repo.runtime) if name.startswith("swap")) == []
