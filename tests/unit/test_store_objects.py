from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from gitcoord.errors import ObjectDamaged, ObjectMissing, StorageFault
from gitcoord.store import entries
from gitcoord.store.entries import parse_loose
from gitcoord.store.objects import ObjectStore
from gitcoord.store.repository import Repository, find_repository
from gitcoord.store.setup import prepare_runtime


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    for name in ("objects", "refs"):
        (tmp_path / ".git" / name).mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    found = find_repository(str(tmp_path), {})
    prepare_runtime(found)
    return found


@pytest.fixture
def store(repo: Repository) -> ObjectStore:
    return ObjectStore(repo)


def deflate(content: bytes) -> bytes:
    return entries.deflate(content, is_tree=content.startswith(b"tree "))


def write(store: ObjectStore, kind: bytes, body: bytes) -> bytes:
    return store.write(kind, body, [])


def loose(store: ObjectStore, oid: bytes) -> Path:
    return Path(store.directory) / oid.hex()[:2] / oid.hex()[2:]


def in_main_store(repo: Repository, oid: bytes) -> Path:
    path = Path(repo.common_dir) / "objects" / oid.hex()[:2] / oid.hex()[2:]
    path.parent.mkdir(exist_ok=True)
    return path


@pytest.mark.parametrize("size", [0, 1, 3990, 4100, 65535, 70000, 200000])
@pytest.mark.parametrize("kind", [b"blob", b"tree"])
def test_what_is_written_comes_back(store: ObjectStore, kind: bytes, size: int) -> None:
    body = os.urandom(size)
    paths: list[str] = []
    oid = store.write(kind, body, paths)
    assert oid == hashlib.sha1(b"%s %d\0%s" % (kind, size, body)).digest() == store.hash_object(kind, body)
    assert store.read(oid) == store.read(oid, verify=True) == (kind, body)
    assert str(loose(store, oid)) in paths
    assert loose(store, oid).stat().st_mode & 0o777 == 0o444
    assert os.listdir(Path(store.directory).parent / "tmp") == []
    store.sync(paths)


@pytest.mark.parametrize("size", [0, 100, 65534, 65535, 65536, 131070, 131071, 300000])
def test_a_stored_stream_is_a_zlib_stream(size: int) -> None:
    content = b"tree %d\0" % size + os.urandom(size)
    assert zlib.decompress(deflate(content)) == content


def test_large_records_are_compressed(store: ObjectStore) -> None:
    oid = write(store, b"blob", b"the same line\n" * 1000)
    assert loose(store, oid).stat().st_size < 1000


def test_an_object_that_is_there_is_kept_but_synced_again(store: ObjectStore) -> None:
    oid = write(store, b"blob", b"x")
    before = loose(store, oid).stat().st_ino
    paths: list[str] = []
    assert store.write(b"blob", b"x", paths) == oid
    assert loose(store, oid).stat().st_ino == before
    assert paths == [str(loose(store, oid))]


@pytest.mark.parametrize("damage", [b"", b"junk", deflate(b"blob 1\0y")])
def test_a_damaged_object_is_replaced_when_it_is_written_again(store: ObjectStore, damage: bytes) -> None:
    oid = write(store, b"blob", b"x")
    loose(store, oid).unlink()
    loose(store, oid).write_bytes(damage)
    write(store, b"blob", b"x")
    assert store.read(oid, verify=True) == (b"blob", b"x")


def flip(data: bytes) -> bytes:
    return data[:12] + bytes([data[12] ^ 1]) + data[13:]


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda _: b"",
    lambda data: data[:-1],
    lambda data: data[: len(data) // 2],
    lambda data: data + b"x",
    flip,
    lambda _: deflate(b"blob 7\0x"),
    lambda _: deflate(b"blob +1\0x"),
    lambda _: deflate(b"blub 1\0x"),
    lambda _: deflate(b"blob"),
    lambda _: zlib.compress(b"x" * 5000)[:-6],
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_named(store: ObjectStore, damage: Callable[[bytes], bytes]) -> None:
    oid = write(store, b"blob", b"some text that is long enough")
    good = loose(store, oid).read_bytes()
    loose(store, oid).unlink()
    loose(store, oid).write_bytes(damage(good))
    with pytest.raises(ObjectDamaged) as caught:
        store.read(oid)
    assert oid.hex() in caught.value.message
    assert str(loose(store, oid)) in caught.value.message


def test_a_sound_object_under_a_wrong_name_is_caught_by_verify_only(store: ObjectStore) -> None:
    oid = write(store, b"blob", b"x")
    loose(store, oid).unlink()
    loose(store, oid).write_bytes(deflate(b"blob 1\0y"))
    assert store.read(oid) == (b"blob", b"y")
    with pytest.raises(ObjectDamaged, match=oid.hex()):
        store.read(oid, verify=True)


def test_a_missing_object_is_named(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing) as caught:
        store.read(b"\x12" * 20)
    assert "12" * 20 in caught.value.message
    assert caught.value.facts["oid"] == "12" * 20


@pytest.mark.parametrize("own", [None, b"", b"junk"])
def test_a_copy_in_the_main_store_is_put_back(repo: Repository, store: ObjectStore, own: bytes | None) -> None:
    oid = write(store, b"blob", b"x")
    loose(store, oid).unlink()
    if own is not None:
        loose(store, oid).write_bytes(own)
    in_main_store(repo, oid).write_bytes(zlib.compress(b"blob 1\0x"))
    assert store.read(oid) == (b"blob", b"x")
    assert store.healed == [oid]
    in_main_store(repo, oid).unlink()
    assert store.read(oid, verify=True) == (b"blob", b"x")


def test_a_false_copy_in_the_main_store_is_not_believed(repo: Repository, store: ObjectStore) -> None:
    oid = store.hash_object(b"blob", b"x")
    in_main_store(repo, oid).write_bytes(zlib.compress(b"blob 1\0y"))
    with pytest.raises(ObjectDamaged) as caught:
        store.read(oid)
    assert str(in_main_store(repo, oid)) in caught.value.message
    assert not loose(store, oid).exists()


def test_alternates_are_looked_through_to_the_end(repo: Repository, store: ObjectStore, tmp_path: Path) -> None:
    oid = store.hash_object(b"blob", b"far")
    far = tmp_path / "far" / oid.hex()[:2] / oid.hex()[2:]
    far.parent.mkdir(parents=True)
    far.write_bytes(zlib.compress(b"blob 3\0far"))
    (tmp_path / "near" / "info").mkdir(parents=True)
    (tmp_path / "near" / "info" / "alternates").write_text("# a comment\n../far\n")
    with Path(repo.common_dir, "objects", "info", "alternates").open("a") as file:
        file.write(f"{tmp_path / 'near'}\n")
    assert store.read(oid) == (b"blob", b"far")


def test_alternates_in_a_ring_end(repo: Repository, store: ObjectStore) -> None:
    with Path(repo.common_dir, "objects", "info", "alternates").open("a") as file:
        file.write(".\n")
    with pytest.raises(ObjectMissing):
        store.read(b"\x01" * 20)


def test_directories_that_somebody_removed_are_made_again_and_synced(store: ObjectStore) -> None:
    runtime = Path(store.directory).parent
    (runtime / "tmp").rmdir()
    shutil.rmtree(runtime / "objects")
    paths: list[str] = []
    oid = store.write(b"blob", b"x", paths)
    assert store.read(oid) == (b"blob", b"x")
    assert paths == [str(loose(store, oid)), store.directory, str(loose(store, oid).parent)]
    store.sync(paths)


def test_a_fan_out_directory_that_vanishes_once_does_no_harm(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in Path(store.directory).iterdir():
        path.rmdir()
    made: list[str] = []
    mkdir = os.mkdir

    def vanishing(path: str, mode: int = 0o777) -> None:
        made.append(path)
        mkdir(path, mode)
        if len(made) == 2:
            Path(path).rmdir()

    monkeypatch.setattr(os, "mkdir", vanishing)
    oid = write(store, b"blob", b"x")
    assert store.read(oid) == (b"blob", b"x")
    assert len(made) == 4


def test_without_the_runtime_directory_the_fault_names_the_way_out(repo: Repository) -> None:
    store = ObjectStore(repo._replace(runtime=repo.runtime + "-gone"))
    with pytest.raises(StorageFault) as caught:
        write(store, b"blob", b"x")
    assert caught.value.next == "gitcoord doctor"


@pytest.mark.parametrize("function", ["write", "replace"])
def test_a_full_disk_leaves_nothing_behind(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    oid = store.hash_object(b"blob", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(StorageFault) as caught:
            write(store, b"blob", b"x")
    assert str(loose(store, oid)) in caught.value.message
    assert "No space left" in caught.value.message
    assert os.listdir(Path(store.directory).parent / "tmp") == []
    assert not loose(store, oid).exists()


def test_a_written_object_that_vanished_before_the_sync_is_a_fault(store: ObjectStore) -> None:
    paths: list[str] = []
    oid = store.write(b"blob", b"x", paths)
    loose(store, oid).unlink()
    with pytest.raises(StorageFault, match=oid.hex()[2:]):
        store.sync(paths)
    ObjectStore(find_repository(store.directory, {}), durable=False).sync(paths)


def test_threads_may_share_a_store(store: ObjectStore) -> None:
    bodies = [b"%d" % number for number in range(60)]
    seen: list[list[bytes]] = []

    def work() -> None:
        oids = [write(store, b"blob", body) for body in bodies]
        seen.append([store.read(oid, verify=True)[1] for oid in oids])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [bodies] * 4


def test_sha256_names_are_32_bytes_long(repo: Repository) -> None:
    store = ObjectStore(repo._replace(object_format="sha256"))
    assert store.oid_size == 32
    oid = write(store, b"blob", b"x")
    assert oid == hashlib.sha256(b"blob 1\0x").digest()
    assert store.read(oid, verify=True) == (b"blob", b"x")


def test_what_git_compresses_is_read() -> None:
    for level in range(10):
        assert parse_loose(zlib.compress(b"commit 3\0abc", level)) == (b"commit", b"abc")
