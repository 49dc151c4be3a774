from __future__ import annotations

import errno
import os
import re
import threading
import time
from pathlib import Path

import pytest

from gitcoord.errors import Contention, IntegrityFault, StorageFault
from gitcoord.store import refs
from gitcoord.store.refs import LogRef
from gitcoord.store.repository import Repository, find_repository
from gitcoord.store.setup import prepare_runtime

A, B, C = (bytes([number]) * 20 for number in (0xA1, 0xB2, 0xC3))


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    for name in ("objects", "refs"):
        (tmp_path / ".git" / name).mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    found = find_repository(str(tmp_path), {})
    prepare_runtime(found)
    return found


@pytest.fixture
def ref(repo: Repository) -> LogRef:
    return LogRef(repo)


def move(ref: LogRef, old: bytes | None, new: bytes) -> bool:
    return ref.swap(old, new, who="Ann <ann@example.org>", at_s=1_700_000_000, message="lock: a")


def leftovers(repo: Repository) -> list[str]:
    found = [str(path) for path in Path(repo.common_dir).rglob("*.lock")]
    return found + [str(path) for path in Path(repo.runtime).glob("swap")]


def test_a_swap_moves_the_ref_only_from_the_expected_value(repo: Repository, ref: LogRef) -> None:
    assert ref.read() is None
    assert not move(ref, A, B)
    assert move(ref, None, A)
    assert ref.read() == A
    assert not move(ref, None, B)
    assert not move(ref, B, C)
    assert move(ref, A, B)
    assert ref.read() == B
    assert Path(ref.path).read_text() == B.hex() + "\n"
    assert leftovers(repo) == []


def test_the_reflog_has_one_line_for_each_swap_that_happened(repo: Repository, ref: LogRef) -> None:
    move(ref, None, A)
    move(ref, None, B)
    ref.swap(A, B, who="E <vil>\n<x> y", at_s=7, message="two\nlines\tand\0more")
    ref.swap(B, C, who="bare name", at_s=8, message="m")
    log = Path(repo.common_dir, "logs", "refs", "gitcoord", "main").read_text().splitlines()
    assert log == [
        f"{'0' * 40} {A.hex()} Ann <ann@example.org> 1700000000 +0000\tlock: a",
        f"{A.hex()} {B.hex()} E <vil x y> 7 +0000\ttwo lines\tandmore",
        f"{B.hex()} {C.hex()} bare name <> 8 +0000\tm",
    ]


def test_a_packed_ref_is_read_and_swapped(repo: Repository, ref: LogRef) -> None:
    Path(repo.common_dir, "packed-refs").write_text(
        f"# pack-refs with: peeled fully-peeled sorted\n{C.hex()} refs/gitcoord/main2\n{A.hex()} refs/gitcoord/main\n"
        f"{B.hex()} refs/x/refs/gitcoord/main\n"
    )
    assert ref.read() == A
    assert not move(ref, None, B)
    assert move(ref, A, B)
    assert ref.read() == B


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\0" * 41, b"zz" * 20, A.hex().encode()[:-1], A.hex().encode() + b"00", b"0" * 40, b"ref: refs/x\n"],
)
def test_a_ref_that_holds_no_object_name_is_named(ref: LogRef, content: bytes) -> None:
    Path(ref.path).parent.mkdir()
    Path(ref.path).write_bytes(content)
    with pytest.raises(IntegrityFault) as caught:
        ref.read()
    assert ref.path in caught.value.message
    with pytest.raises(IntegrityFault):
        move(ref, None, A)


def test_blanks_do_not_make_a_name(ref: LogRef) -> None:
    Path(ref.path).parent.mkdir()
    Path(ref.path).write_bytes(b"a1 " * 13 + b"a")
    with pytest.raises(IntegrityFault):
        ref.read()


def test_an_empty_directory_in_the_refs_place_is_no_obstacle(ref: LogRef) -> None:
    Path(ref.path, "old").mkdir(parents=True)
    Path(ref.path, "old").rmdir()
    assert ref.read() is None
    assert move(ref, None, A)
    assert ref.read() == A


def test_a_file_where_the_directory_should_be_is_a_fault(repo: Repository, ref: LogRef) -> None:
    Path(ref.path).parent.write_text("x")
    with pytest.raises(StorageFault) as caught:
        move(ref, None, A)
    assert "refs/gitcoord" in caught.value.message
    assert leftovers(repo) == []


def test_a_foreign_lock_that_stays_is_contention(
    repo: Repository, ref: LogRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refs, "PATIENCE_S", 0.05)
    move(ref, None, A)
    lock = Path(f"{ref.path}.lock")
    lock.touch()
    with pytest.raises(Contention) as caught:
        move(ref, A, B)
    assert str(lock) in caught.value.message
    assert caught.value.next == "gitcoord doctor"
    assert ref.read() == A
    assert leftovers(repo) == [str(lock)]


def test_a_foreign_lock_that_goes_is_waited_for(ref: LogRef) -> None:
    move(ref, None, A)
    lock = Path(f"{ref.path}.lock")
    lock.touch()
    timer = threading.Timer(0.1, lock.unlink)
    timer.start()
    assert move(ref, A, B)
    timer.join()
    assert ref.read() == B


def test_what_moved_while_the_lock_was_waited_for_is_seen(repo: Repository, ref: LogRef) -> None:
    move(ref, None, A)
    lock = Path(f"{ref.path}.lock")
    lock.write_text(C.hex() + "\n")
    timer = threading.Timer(0.1, lock.replace, [ref.path])
    timer.start()
    assert not move(ref, A, B)
    timer.join()
    assert ref.read() == C
    assert leftovers(repo) == []


def test_without_hard_links_the_swap_works_and_a_dead_ones_lock_is_known(
    repo: Repository, ref: LogRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    assert move(ref, None, A)
    for path in (Path(repo.runtime, "swap"), Path(f"{ref.path}.lock")):
        path.write_text(B.hex() + "\n")
    assert move(ref, A, C)
    assert ref.read() == C
    assert leftovers(repo) == []


@pytest.mark.parametrize("function", ["write", "link", "replace", "fsync"])
def test_a_full_disk_leaves_the_old_value_and_no_lock(
    repo: Repository, ref: LogRef, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    move(ref, None, A)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(StorageFault, match="No space left"):
            move(ref, A, B)
    assert ref.read() == A
    assert leftovers(repo) == []
    assert move(ref, A, B)


def test_half_a_reflog_line_is_taken_back(repo: Repository, ref: LogRef, monkeypatch: pytest.MonkeyPatch) -> None:
    move(ref, None, A)
    log = Path(repo.common_dir, "logs", "refs", "gitcoord", "main")
    before = log.read_bytes()
    write = os.write

    def short(fd: int, data: bytes) -> int:
        return write(fd, data[:50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(StorageFault):
            move(ref, A, B)
    assert log.read_bytes() == before
    assert ref.read() == A


def test_the_alias_is_made_once_and_repaired_when_flattened(repo: Repository, ref: LogRef) -> None:
    alias = Path(repo.common_dir, "refs", "coord")
    packed = Path(repo.common_dir, "packed-refs")
    assert ref.alias_state() == "missing"
    ref.make_alias()
    assert alias.read_text() == "ref: refs/gitcoord/main\n"
    assert ref.alias_state() == "ok"
    before = alias.stat().st_ino
    ref.make_alias()
    assert alias.stat().st_ino == before
    alias.write_text(A.hex() + "\n")
    assert ref.alias_state() == "flattened"
    alias.write_text("ref: refs/heads/main\n")
    assert ref.alias_state() == "elsewhere"
    alias.unlink()
    packed.write_text(f"{A.hex()} refs/coord\n")
    assert ref.alias_state() == "flattened"
    ref.make_alias()
    assert ref.alias_state() == "ok"
    assert leftovers(repo) == []


def test_doctor_sees_a_leftover_lock_with_its_age(ref: LogRef) -> None:
    move(ref, None, A)
    lock = Path(f"{ref.path}.lock")
    assert ref.leftover_lock(1000) is None
    lock.touch()
    os.utime(lock, (400, 400))
    assert ref.leftover_lock(1000) == (str(lock), 600)
    assert ref.drop_leftover_locks(1000, older_than_s=600) == []
    assert ref.drop_leftover_locks(1001, older_than_s=600) == [str(lock)]
    assert ref.leftover_lock(1000) is None


def test_sha256_values_and_the_relaxed_setting(repo: Repository) -> None:
    ref = LogRef(repo._replace(object_format="sha256"), durable=False)
    assert ref.swap(None, b"\x07" * 32, who="a <b>", at_s=1, message="m")
    assert ref.read() == b"\x07" * 32
    log = Path(repo.common_dir, "logs", "refs", "gitcoord", "main").read_text()
    assert re.match("0{64} (07){32} ", log)


def test_the_patience_is_about_two_seconds(ref: LogRef) -> None:
    move(ref, None, A)
    Path(f"{ref.path}.lock").touch()
    start = time.monotonic()
    with pytest.raises(Contention):
        move(ref, A, B)
    assert 1.9 < time.monotonic() - start < 5
