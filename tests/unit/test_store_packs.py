"""Packs of gitcoord's own making: what is written comes back, what is damaged is named, merging loses nothing."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitcoord import config
from gitcoord.errors import ObjectDamaged, ObjectMissing, StorageFault
from gitcoord.store.entries import Listing, Object, inflate, make_entry, make_pack, parse_entry
from gitcoord.store.fresh import ROTATES_AT, Fresh
from gitcoord.store.merging import FAN, merge_packs
from gitcoord.store.objects import ObjectStore
from gitcoord.store.packing import damaged_packs, mend_pack
from gitcoord.store.packs import MARK, Packs, level_of, pack_name
from gitcoord.store.repository import Repository, find_repository
from gitcoord.store.setup import mend, prepare_runtime, runtime_faults
from gitcoord.store.spool import BEGINS_ANEW_AT, Position, Spool
from support.repo import fsck, git, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (0, 1, 15, 16, 2047, 2048, 4000, 4001, 65535, 65536, 70000, 300_000)


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    found = find_repository(make_repo(tmp_path / "r", files=False), {})
    prepare_runtime(found)
    return found


def published(repo: Repository, *bodies: bytes) -> list[bytes]:
    batch = ObjectStore(repo).batch()
    oids = [batch.add(b"blob", body) for body in bodies]
    assert len(batch.paths) == 2
    return oids


def packs_of(repo: Repository) -> list[str]:
    return Packs(f"{repo.runtime}/objects/pack", 20).names()


@pytest.mark.parametrize("kind", [b"blob", b"tree", b"commit", b"tag"])
@pytest.mark.parametrize("size", SIZES)
def test_an_entry_says_what_it_was_made_of(kind: bytes, size: int) -> None:
    body = os.urandom(size)
    assert parse_entry(make_entry(kind, body)) == (kind, body)


@pytest.mark.parametrize("cut", [b"", b"\xb0", make_entry(b"blob", b"x" * 20)[:-1], make_entry(b"blob", b"x") + b"y"])
def test_half_an_entry_is_none(cut: bytes) -> None:
    assert not cut or parse_entry(cut) is None
    assert inflate(b"") is None


def test_a_listing_finds_what_is_in_it_and_nothing_else() -> None:
    rows = {hashlib.sha1(b"%d" % n).digest(): make_entry(b"blob", b"%d" % n) for n in range(700)}
    rows |= {b"\0" * 20: make_entry(b"blob", b"first"), b"\xff" * 20: make_entry(b"blob", b"last")}
    pack, listing = make_pack(rows, hashlib.sha1)
    found = Listing(listing, 20, len(pack))
    assert found.names() == sorted(rows)
    for oid, row in rows.items():
        place = found.find(oid)
        assert place is not None
        assert pack[place.start : place.end] == row
    assert all(found.find(hashlib.sha1(b"x%d" % n).digest()) is None for n in range(700))
    assert found.cut(pack, hashlib.sha1) == rows


@pytest.mark.parametrize("cut", [0, 4, 1031, 1050, -1])
def test_a_listing_that_is_not_whole_is_refused(cut: int) -> None:
    pack, listing = make_pack({b"\1" * 20: make_entry(b"blob", b"x")}, hashlib.sha1)
    with pytest.raises(ValueError, match="not"):
        Listing(listing[:cut], 20, len(pack))


def test_names_sort_the_newest_of_the_smallest_first() -> None:
    early, late, merged = (pack_name(level, at, os.urandom(20)) for level, at in ((0, 1000), (0, 2000), (1, 3000)))
    assert sorted([merged, early, late]) == [late, early, merged]
    assert level_of(merged) == 1
    assert {len(name) for name in (early, late, merged)} == {len("pack-") + 40}
    assert len(pack_name(0, 1, os.urandom(32))) == len("pack-") + 64


@pytest.mark.parametrize("sha256", [False, True])
def test_git_reads_and_verifies_what_is_published(tmp_path: Path, sha256: bool) -> None:
    where = make_repo(tmp_path / "r", sha256=sha256)
    repo = find_repository(where, {})
    prepare_runtime(repo)
    batch = ObjectStore(repo).batch()
    oids = {batch.add(b"blob", os.urandom(size)): size for size in SIZES}
    (listing,) = [path for path in batch.paths if path.endswith(".idx")]
    git(where, "verify-pack", listing)
    for oid, size in oids.items():
        assert git(where, "cat-file", "-s", oid.hex()) == str(size)
    assert all("dangling" in line for line in fsck(where))
    fresh = ObjectStore(repo)
    assert {oid: len(fresh.read(oid, verify=True)[1]) for oid in oids} == oids


def test_what_was_not_published_is_read_by_its_own_store_only(repo: Repository) -> None:
    store = ObjectStore(repo)
    batch = store.batch()
    oid = batch.add(b"blob", b"x")
    assert store.read(oid) == (b"blob", b"x")
    with pytest.raises(ObjectMissing):
        ObjectStore(repo).read(oid)
    assert packs_of(repo) == []
    assert batch.paths == batch.paths
    assert len(packs_of(repo)) == 1
    assert ObjectStore(repo).read(oid) == (b"blob", b"x")
    batch.add(b"blob", b"y")
    store.sync(batch.paths)
    assert len(packs_of(repo)) == 2


def flip(at: float) -> Callable[[bytes], bytes]:
    def harm(data: bytes) -> bytes:
        place = int(len(data) * at)
        return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]

    return harm


def empty(_: bytes) -> bytes:
    return b""


def halve(data: bytes) -> bytes:
    return data[: len(data) // 2]


HARMS = (empty, halve, *(flip(at) for at in (0.0, 0.3, 0.6, 0.95)))


@pytest.mark.parametrize("ending", [".pack", ".idx"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_pack_never_gives_another_content(
    repo: Repository, ending: str, harm: Callable[[bytes], bytes]
) -> None:
    oids = dict(zip(published(repo, *(b"%d" % n * 40 for n in range(40))), range(40), strict=True))
    path = Path(repo.runtime, "objects/pack", packs_of(repo)[0] + ending)
    path.chmod(0o644)
    path.write_bytes(harm(path.read_bytes()))
    store, lost = ObjectStore(repo), 0
    for oid, number in oids.items():
        try:
            found = store.read(oid)
        except (ObjectDamaged, ObjectMissing) as error:
            lost += oid.hex() in error.message
        else:
            lost += 1000 * (found != (b"blob", b"%d" % number * 40))
    assert lost <= len(oids)
    assert damaged_packs(repo) == packs_of(repo)
    assert merge_packs(store) == 0
    if lost and ending == ".pack":
        assert not mend_pack(repo, packs_of(repo)[0], config.environment())
    if ending == ".idx":
        assert mend_pack(repo, packs_of(repo)[0], config.environment())
        assert damaged_packs(repo) == []
        assert all(ObjectStore(repo).read(oid, verify=True) for oid in oids)


def test_a_damaged_pack_is_put_right_from_other_copies(repo: Repository) -> None:
    oids = published(repo, b"one", b"two")
    ObjectStore(repo).write(b"blob", b"one", [])
    ObjectStore(repo).write(b"blob", b"two", [])
    (name,) = packs_of(repo)
    path = Path(repo.runtime, "objects/pack", f"{name}.pack")
    path.chmod(0o644)
    path.write_bytes(flip(0.5)(path.read_bytes()))
    assert mend_pack(repo, name, config.environment())
    assert name not in packs_of(repo)
    assert damaged_packs(repo) == []
    assert [ObjectStore(repo).read(oid, verify=True)[1] for oid in oids] == [b"one", b"two"]


def test_enough_packs_become_one_and_all_is_read_before_and_after(repo: Repository) -> None:
    reader, late = ObjectStore(repo), ObjectStore(repo)
    oids = [oid for number in range(FAN - 1) for oid in published(repo, b"%d" % number, b"the same")]
    assert merge_packs(reader) == 0
    assert [reader.read(oid)[0] for oid in oids] == [b"blob"] * len(oids)
    oids += published(repo, b"last")
    assert merge_packs(ObjectStore(repo)) == FAN
    (name,) = packs_of(repo)
    assert level_of(name) == 1
    for store in (reader, late, ObjectStore(repo)):
        assert [store.read(oid)[0] for oid in oids] == [b"blob"] * len(oids)
    git(f"{repo.runtime}/../..", "verify-pack", f"{repo.runtime}/objects/pack/{name}.idx")


def test_the_number_of_packs_stays_small(repo: Repository) -> None:
    store = ObjectStore(repo, durable=False)
    oids: list[bytes] = []
    most = 0
    for number in range(FAN * FAN + 3 * FAN):
        oids += published(repo, b"%d" % number)
        store.tidy()
        most = max(most, len(packs_of(repo)))
    assert most <= 2 * FAN
    assert {level_of(name) for name in packs_of(repo)} == {1, 2}
    assert [ObjectStore(repo).read(oid)[0] for oid in oids] == [b"blob"] * len(oids)
    left = [name for name in os.listdir(store.pack_directory) if name.endswith(".pack")]
    assert len(left) <= 150, "retired packs go"


def test_who_found_a_pack_reads_it_after_it_was_retired(repo: Repository) -> None:
    oids = [oid for number in range(FAN) for oid in published(repo, os.urandom(400_000) + b"%d" % number)]
    reader = ObjectStore(repo)
    with pytest.raises(ObjectMissing):
        reader.read(b"\1" * 20)
    assert merge_packs(ObjectStore(repo)) == FAN
    assert [reader.read(oid)[0] for oid in oids] == [b"blob"] * FAN


def test_a_merge_leaves_packs_of_gits_making_alone(repo: Repository) -> None:
    where = str(Path(repo.common_dir).parent)
    oid = git(where, "hash-object", "-w", "--stdin", stdin=b"gits own")
    git(where, "-c", "core.safecrlf=false", "repack", "-adq")
    base = f"{repo.runtime}/objects/pack/pack"
    git(where, "pack-objects", "-q", base, stdin=oid.encode() + b"\n")
    for number in range(FAN):
        published(repo, b"%d" % number)
    assert merge_packs(ObjectStore(repo)) == FAN
    names = sorted(name for name in os.listdir(os.path.dirname(base)) if name.endswith(".idx"))
    assert [name.startswith(MARK) for name in names].count(False) == 1
    assert ObjectStore(repo).read(bytes.fromhex(oid)) == (b"blob", b"gits own")


def test_a_pack_without_a_list_is_swept_when_it_is_old(repo: Repository) -> None:
    published(repo, b"x")
    (name,) = packs_of(repo)
    listing = Path(repo.runtime, "objects/pack", f"{name}.idx")
    pack = listing.with_suffix(".pack")
    now_s = pack.stat().st_mtime
    assert runtime_faults(repo, now_s + 2 * 86400) == []
    listing.unlink()
    assert runtime_faults(repo, now_s + 60) == []
    assert [fault.code for fault in runtime_faults(repo, now_s + 2 * 86400)] == ["tmp_leftovers"]
    mend(repo, now_s + 2 * 86400)
    assert not pack.exists()


def test_a_pack_that_was_swept_under_its_writer_is_a_fault(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def sweeping(old: str, new: str) -> None:
        replace(old, new)
        if new.endswith(".pack"):
            Path(new).unlink()

    monkeypatch.setattr(os, "replace", sweeping)
    batch = ObjectStore(repo).batch()
    batch.add(b"blob", b"x")
    with pytest.raises(StorageFault):
        _ = batch.paths


def test_threads_read_while_packs_are_merged_under_them(repo: Repository) -> None:
    reader, writer = ObjectStore(repo), ObjectStore(repo, durable=False)
    known: list[bytes] = []
    seen: list[int] = []
    over = threading.Event()

    def read() -> None:
        count = 0
        while not over.is_set():
            for oid in known[-50:]:
                assert reader.read(oid, verify=True)[0] == b"blob"
                count += 1
        seen.append(count)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20 * FAN):
        batch = writer.batch()
        oid = batch.add(b"blob", b"%d" % number)
        assert batch.paths
        known.append(oid)
        writer.tidy()
    over.set()
    for thread in threads:
        thread.join()
    assert len(seen) == 3
    assert all(seen)


def objects(*bodies: bytes) -> list[Object]:
    return [Object(hashlib.sha1(body).digest(), b"blob", body) for body in bodies]


def test_what_one_process_spools_another_learns(tmp_path: Path) -> None:
    mine, theirs = Fresh(), Fresh()
    writer, reader = Spool(str(tmp_path), 20, mine), Spool(str(tmp_path), 20, theirs)
    position: Position = ("", 0)
    places: tuple[tuple[int, int], ...] = ((0, 0),)
    for number in range(3):
        commit = bytes([number]) * 20
        mine.note(commit, objects(b"a%d" % number, b"b%d" % number))
        places, position = writer.append(position, [commit], unpublished=number > 0)
        assert reader.catch_up(position, places[0][0], [commit])
        assert theirs.chunk(commit) == mine.chunk(commit)
    assert Spool(str(tmp_path), 20, Fresh()).chunk(b"\2" * 20, places[0]) == mine.chunk(b"\2" * 20)
    assert Spool(str(tmp_path), 20, Fresh()).chunk(b"\1" * 20, places[0]) is None


def test_a_spool_that_was_begun_anew_or_torn_says_nothing_wrong(tmp_path: Path) -> None:
    mine = Fresh()
    writer = Spool(str(tmp_path), 20, mine)
    mine.note(b"\1" * 20, objects(b"x" * BEGINS_ANEW_AT))
    old, position = writer.append(("", 0), [b"\1" * 20], unpublished=False)
    mine.note(b"\2" * 20, objects(b"y" * 100))
    new, after = writer.append(position, [b"\2" * 20], unpublished=False)
    assert new[0][0] == 0
    assert after[0] != position[0]
    fresh = Spool(str(tmp_path), 20, Fresh())
    assert fresh.chunk(b"\1" * 20, old[0]) is None
    assert fresh.catch_up(after, 0, [b"\2" * 20])
    path = tmp_path / "spool"
    path.write_bytes(path.read_bytes()[:60])
    assert not Spool(str(tmp_path), 20, Fresh()).catch_up(after, 0, [b"\2" * 20])
    path.unlink()
    assert not Spool(str(tmp_path), 20, Fresh()).catch_up(after, 0, [b"\2" * 20])


def test_memory_forgets_the_oldest_and_never_the_newest() -> None:
    fresh = Fresh()
    for number in range(20):
        fresh.note(bytes([number]) * 20, objects(b"%d" % number + b"x" * (ROTATES_AT // 4)))
        assert fresh.chunk(bytes([number]) * 20)
        assert number == 0 or fresh.chunk(bytes([number - 1]) * 20)
    assert fresh.chunk(b"\0" * 20) is None
