"""Packing the log's history: from a few kilobytes an operation to a few hundred bytes.

What gitcoord writes has no deltas: that is quick to write and large to keep. What is old goes into a pack that git
makes; the newest state is kept apart in a small pack of gitcoord's own form, so that commands that look at it load no
library for git's. Of loose objects, which older versions left, only old ones that the log reaches are packed; of
gitcoord's packs all objects are, reached or not: what is built and not yet published is in nobody's way.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gitcoord.errors import IntegrityFault, StorageFault
from gitcoord.runtime.oslock import OsLock
from gitcoord.store.disk import read_whole, remove, storage_fault, sync_directory
from gitcoord.store.entries import parse_loose
from gitcoord.store.merging import retire_packs
from gitcoord.store.objects import ObjectStore
from gitcoord.store.packs import Packs

if TYPE_CHECKING:
    from gitcoord.store.repository import Repository

WORTH_IT = 50_000
_OLD_S = 3600
_TIMEOUT_S = 600
# What a list takes without any object, and for each.
_LIST_BYTES, _ROW_BYTES = 1072, 28


def scattered_count(repo: Repository) -> int:
    """Return how many objects of the log lie loose or in packs without deltas."""
    count = sum(len(os.listdir(folder)) for folder in _fan_out(repo))
    packs = f"{repo.runtime}/objects/pack"
    for name in Packs(packs, 20).names():
        try:
            count += max(0, os.stat(f"{packs}/{name}.idx").st_size - _LIST_BYTES) // _ROW_BYTES
        except FileNotFoundError:
            continue
    return count


def _fan_out(repo: Repository) -> list[str]:
    directory = f"{repo.runtime}/objects"
    try:
        return [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if len(name) == 2]
    except OSError as error:
        raise storage_fault(error, directory) from error


def pack_history(repo: Repository, tip: bytes, now_s: float, env: dict[str, str]) -> int:
    """Let git pack what the log's history holds, and return how many objects went from where they lay.

    Safe beside writers and readers: a copy goes only after its pack is there.

    Args:
        repo: the repository.
        tip: the log's newest commit.
        now_s: the time, in seconds since the epoch; loose objects younger than an hour stay.
        env: the environment that git gets.

    Raises:
        StorageFault: git or the file system refused; no object is lost.
    """
    with OsLock(f"{repo.runtime}/merge.lock"):
        store = ObjectStore(repo)
        packs = Packs(store.pack_directory, store.oid_size)
        entries: dict[bytes, bytes] = {}
        names: list[str] = []
        for name in packs.names():
            found = packs.entries(name, store.hash_function)
            if found is not None:
                entries |= found
                names.append(name)
        loose = _old_loose(repo, now_s)
        newest = {line.split()[2] for line in _git(repo, env, "ls-tree", "-r", "-t", tip.hex()).splitlines()}
        newest |= {tip.hex().encode(), _git(repo, env, "rev-parse", f"{tip.hex()}^{{tree}}").strip()}
        rows = _history_first(repo, tip, env, {oid.hex().encode() for oid in entries} - newest, loose.keys() - newest)
        if not rows:
            return 0
        _pack(repo, env, rows)
        kept = {oid: entry for oid, entry in entries.items() if oid.hex().encode() in newest}
        if kept:
            store.put(kept, sync=True)
        retire_packs(store.pack_directory, f"{repo.runtime}/retired", names)
        still_old = _old_loose(repo, now_s)
        went = [name for name in loose if name in still_old and name in {row.split(b" ", 1)[0] for row in rows}]
        for name in went:
            remove(loose[name])
        return len(went) + len(entries) - len(kept)


def _history_first(
    repo: Repository, tip: bytes, env: dict[str, str], packed: set[bytes], loose: set[bytes]
) -> list[bytes]:
    """Return the lines that name the wanted objects to git: with their paths, in the order of history, then others."""
    listed = _git(repo, env, "rev-list", "--objects", tip.hex()).splitlines()
    rows = {
        line[: 2 * len(tip)]: line for line in listed if line[: 2 * len(tip)] in packed or line[: 2 * len(tip)] in loose
    }
    return [*rows.values(), *sorted(packed - rows.keys())]


def _pack(repo: Repository, env: dict[str, str], rows: list[bytes]) -> None:
    base = os.path.join(repo.runtime, "objects", "pack", "pack")
    os.makedirs(os.path.dirname(base), mode=0o700, exist_ok=True)
    made = _git(repo, env, "pack-objects", "--quiet", base, given=b"\n".join(rows) + b"\n").split()
    for name in made:
        _git(repo, env, "verify-pack", f"{base}-{name.decode()}.idx")
    sync_directory(os.path.dirname(base))


def _old_loose(repo: Repository, now_s: float) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for folder in _fan_out(repo):
        with os.scandir(folder) as entries:
            for entry in entries:
                if now_s - entry.stat().st_mtime >= _OLD_S:
                    found[(os.path.basename(folder) + entry.name).encode()] = entry.path
    return found


def mend_pack(repo: Repository, name: str, env: dict[str, str]) -> bool:
    """Put a damaged pack right from other copies of its objects; False where that cannot be, and nothing changes.

    Args:
        repo: the repository.
        name: the pack's, without an ending.
        env: the environment that git gets.

    Raises:
        StorageFault: git or the file system refused.
    """
    with OsLock(f"{repo.runtime}/merge.lock"):
        store = ObjectStore(repo)
        packs = Packs(store.pack_directory, store.oid_size)
        if _mend_list(repo, store, name, env):
            return True
        try:
            listed = packs.listed(name)
        except ValueError:
            return False
        except FileNotFoundError:
            return True  # its objects were merged into another
        batch = store.batch()
        for oid in listed:
            try:
                batch.add(*store.read(oid, verify=True))
            except IntegrityFault:
                return False
        store.sync(batch.paths)
        retire_packs(store.pack_directory, f"{repo.runtime}/retired", [name])
        return True


def _mend_list(repo: Repository, store: ObjectStore, name: str, env: dict[str, str]) -> bool:
    """Let git make the list of a pack anew; False if the pack itself is not sound."""
    rough = os.path.join(repo.runtime, "tmp", f"{name}.idx")
    try:
        # The list that is damaged must not tell git that it has the objects already.
        _git(repo, env, "index-pack", "-o", rough, f"{store.pack_directory}/{name}.pack", alone=True)
        os.replace(rough, f"{store.pack_directory}/{name}.idx")
    except (StorageFault, OSError):
        remove(rough)
        return False
    sync_directory(store.pack_directory)
    return True


def damaged_packs(repo: Repository) -> list[str]:
    """Read all of gitcoord's packs, and return the names of those that are damaged.

    Raises:
        StorageFault: one could not be read.
    """
    store = ObjectStore(repo)
    packs = Packs(store.pack_directory, store.oid_size)
    found: list[str] = []
    for name in packs.names():
        try:
            if packs.entries(name, store.hash_function) is None:
                found.append(name)
        except FileNotFoundError:
            continue  # it was merged just now
    return found


def damaged_loose(repo: Repository) -> list[bytes]:
    """Read all of gitcoord's loose objects, and return the names of those that are damaged.

    Raises:
        StorageFault: one could not be read.
    """
    store = ObjectStore(repo)
    found: list[bytes] = []
    for folder in _fan_out(repo):
        for name in os.listdir(folder):
            try:
                oid = bytes.fromhex(os.path.basename(folder) + name)
                content = parse_loose(read_whole(os.path.join(folder, name)))
            except (ValueError, FileNotFoundError):
                continue  # no object's name, or packed just now
            if content is None or store.hash_object(*content) != oid:
                found.append(oid)
    return found


def mend_loose(repo: Repository, oid: bytes) -> bool:
    """Put a damaged loose object right from a good copy of it; False where there is none.

    Raises:
        StorageFault: the system could not.
    """
    store = ObjectStore(repo)
    written: list[str] = []
    try:
        store.write(*store.read(oid, verify=True), written)
    except IntegrityFault:
        return False
    store.sync(written)
    return True


def _git(repo: Repository, env: dict[str, str], *words: str, given: bytes = b"", alone: bool = False) -> bytes:
    """Run git on the repository, new objects going to gitcoord's own store; `alone` lets it see no object at all."""
    import subprocess

    own = {name: value for name, value in env.items() if not name.startswith("GIT_")}
    own["GIT_OBJECT_DIRECTORY"] = f"{repo.runtime}/{'tmp' if alone else 'objects'}"
    if not alone:
        own["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = f"{repo.common_dir}/objects"
    own["GIT_NO_REPLACE_OBJECTS"] = "1"
    command = ["git", f"--git-dir={repo.common_dir}", *words]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, paths and object names
            command, input=given, capture_output=True, env=own, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageFault(f"git {words[0]} did not run: {error}", next="gitcoord doctor") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise StorageFault(f"git {words[0]} failed: {said}", next="git fsck")
    return done.stdout
