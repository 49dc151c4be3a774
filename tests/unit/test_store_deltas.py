"""Packs of git's making, with differences: read as git reads them, and no other content where they are damaged."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitcoord.errors import CoordError
from gitcoord.store.deltas import DamagedEntryError, apply_delta
from gitcoord.store.gathering import has_here
from gitcoord.store.objects import ObjectStore
from gitcoord.store.packs import Packs
from gitcoord.store.repository import find_repository
from gitcoord.store.setup import prepare_runtime
from support.repo import git, git_bytes, make_repo

if TYPE_CHECKING:
    from gitcoord.store.repository import Repository

VERSIONS = 60
KINDS = ("by-offset", "by-name", "far", "sha256")


def packed(place: Path, kind: str) -> tuple[Repository, dict[bytes, tuple[bytes, bytes]]]:
    """Make a repository with one pack of git's in gitcoord's directory; return what git says that it holds."""
    where = make_repo(place, files=False, sha256=kind == "sha256")
    repo = find_repository(where, {})
    prepare_runtime(repo)
    lines = [b"line %d of a text that changes little\n" % n for n in range(200)]
    oids: list[str] = []
    for number in range(VERSIONS):
        lines[number] = b"changed to %d\n" % number
        oids.append(git(where, "hash-object", "-w", "--stdin", stdin=b"".join(lines)).strip())
    noise = b"".join(os.urandom(1000) for _ in range(90))
    oids += [git(where, "hash-object", "-w", "--stdin", stdin=body).strip() for body in (b"", b"x" * 70_000, noise)]
    oids.append(git(where, "mktree", stdin=f"100644 blob {oids[0]}\tname\n".encode()).strip())
    base = f"{repo.runtime}/objects/pack/pack"
    os.makedirs(os.path.dirname(base), exist_ok=True)
    words = [] if kind == "by-name" else ["--delta-base-offset"]
    far = ["--index-version=2,0x40"] if kind == "far" else []
    git(where, "pack-objects", "-q", "--depth=50", *words, *far, base, stdin="\n".join(oids).encode() + b"\n")
    git(where, "prune-packed")
    found = {
        bytes.fromhex(oid): (
            git(where, "cat-file", "-t", oid).strip().encode(),
            git_bytes(where, "cat-file", git(where, "cat-file", "-t", oid).strip(), oid),
        )
        for oid in oids
    }
    for oid in oids:
        Path(where, ".git/objects", oid[:2], oid[2:]).unlink(missing_ok=True)
    return repo, found


@pytest.mark.parametrize("kind", KINDS)
def test_what_git_packed_is_read_as_git_reads_it_and_copied_nowhere(tmp_path: Path, kind: str) -> None:
    repo, wanted = packed(tmp_path / "r", kind)
    (listing,) = Path(repo.runtime, "objects/pack").glob("*.idx")
    verified = git(repo.common_dir, "verify-pack", "-v", str(listing)).splitlines()
    assert any(line.startswith("chain length = 4") for line in verified), "there are chains of differences"
    store = ObjectStore(repo)
    assert {oid: store.read(oid, verify=True) for oid in wanted} == wanted
    newest_first = ObjectStore(repo)
    assert {oid: newest_first.read(oid) for oid in reversed(wanted)} == wanted
    assert store.healed == newest_first.healed == []
    assert all(has_here(repo, oid) for oid in wanted)
    assert not has_here(repo, b"\7" * store.oid_size)
    assert sorted(os.listdir(f"{repo.runtime}/objects")) == ["pack"]
    assert Packs(store.pack_directory, store.oid_size).names() == [], "it is not for merging"


@pytest.mark.parametrize("ending", [".pack", ".idx"])
def test_a_damaged_pack_of_gits_never_gives_another_content(tmp_path: Path, ending: str) -> None:
    repo, wanted = packed(tmp_path / "r", "by-offset")
    (path,) = Path(repo.runtime, "objects/pack").glob(f"*{ending}")
    path.chmod(0o644)
    whole = path.read_bytes()
    harms = [whole[:at] + bytes([whole[at] ^ 0x11]) + whole[at + 1 :] for at in range(8, len(whole), len(whole) // 60)]
    unread = 0
    for harmed in (*harms, whole[: len(whole) // 2], b""):
        path.write_bytes(harmed)
        packs = Packs(os.path.dirname(path), 20)
        packs.refresh()
        for oid, content in wanted.items():
            found = packs.read(oid).good
            unread += found is None
            assert found in (None, content)
        packs.close()
    assert unread > len(wanted)


def test_a_damaged_entry_is_named_and_no_other_is_lost(tmp_path: Path) -> None:
    repo, wanted = packed(tmp_path / "r", "by-offset")
    (path,) = Path(repo.runtime, "objects/pack").glob("*.pack")
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 0x10
    path.write_bytes(data)
    store = ObjectStore(repo)
    lost: dict[bytes, str] = {}
    for oid, content in wanted.items():
        try:
            assert store.read(oid) == content
        except CoordError as error:
            lost[oid] = error.message
    assert 0 < len(lost) < len(wanted)
    assert all(oid.hex() in said and os.path.dirname(path) in said for oid, said in lost.items())


@pytest.mark.parametrize(
    "delta",
    [
        b"\x04\x03\x90",  # copies, and does not say how much
        b"\x04\x03\x00",  # an order that git keeps for later
        b"\x05\x03\x90\x03",  # from something longer
        b"\x04\x02\x90\x03",  # gives more than it says
        b"\x04\x05\x90\x05",  # copies from behind the end
        b"\x04",
        b"\x84",
        b"",
    ],
)
def test_a_difference_that_does_not_fit_is_refused(delta: bytes) -> None:
    with pytest.raises((DamagedEntryError, IndexError)):
        apply_delta(b"base", delta)


def test_a_difference_copies_and_inserts() -> None:
    assert apply_delta(b"base", b"\x04\x05\x91\x01\x03\x02!?") == b"ase!?"
    base = bytes(range(256)) * 300
    size = b"\x80\xd8\x04"
    assert apply_delta(base, size + b"\x80\x80\x04" + b"\x80") == base[:0x10000]


def test_a_pack_of_gits_is_read_without_a_library_for_it(tmp_path: Path) -> None:
    repo, wanted = packed(tmp_path / "r", "by-offset")
    code = (
        "import sys\n"
        "from gitcoord.store.objects import ObjectStore\n"
        "from gitcoord.store.repository import find_repository\n"
        "store = ObjectStore(find_repository(sys.argv[1], {}))\n"
        "print([store.read(bytes.fromhex(oid))[0] for oid in sys.argv[2:]] and 'dulwich' in sys.modules)\n"
    )
    import subprocess

    command = [sys.executable, "-c", code, repo.common_dir, *(oid.hex() for oid in wanted)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
