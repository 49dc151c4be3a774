"""Packing the log's history: from a few kilobytes an operation to a few hundred bytes.

What gitcoord writes has no deltas: that is quick to write and large to keep. What is old goes into a pack that git
makes; the newest state is kept apart in a small pack of gitcoord's own form, so that commands that look at it load no
library for git's. Of loose objects, which older versions left, only old ones that the log reaches are packed. What
nothing reaches is kept apart too, until it is old (`gitcoord.store.unreached`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gitcoord.errors import IntegrityFault, StorageFault
from gitcoord.runtime.oslock import OsLock
from gitcoord.store.disk import read_whole, remove, storage_fault, sync_directory
from gitcoord.store.entries import parse_loose
from gitcoord.store.gathering import is_whole
from gitcoord.store.merging import retire_packs
from gitcoord.store.objects import ObjectStore
from gitcoord.store.packs import Packs
from gitcoord.store.unreached import GRACE_S, unreached
from gitcoord.values import NamedTuple

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


class _Sound(NamedTuple):
    """A pack of gitcoord's own in which nothing is damaged: its name, how old it is, and its entries by object name."""

    name: str
    at_s: float
    entries: dict[bytes, bytes]


def pack_history(repo: Repository, tip: bytes, now_s: float, env: dict[str, str]) -> int:
    """Let git pack what the log's history holds, and return how many objects went from where they lay.

    What nothing reaches goes for good once its pack is older than `GRACE_S`; until then it stays in packs of its own.
    Safe beside writers and readers: a copy goes only after its pack is there.

    Args:
        repo: the repository.
        tip: the log's newest commit.
        now_s: the time, in seconds since the epoch; loose objects younger than an hour stay.
        env: the environment that git gets.

    Raises:
        StorageFault: git or the file system refused; no object is lost.
    """

    def git(*words: str, given: bytes = b"") -> bytes:
        return _git(repo, env, *words, given=given)

    with OsLock(f"{repo.runtime}/merge.lock"):
        store = ObjectStore(repo)
        packs = _sound_packs(store)
        entries = {oid: entry for pack in packs for oid, entry in pack.entries.items()}
        loose = _old_loose(repo, now_s)
        newest = {line.split()[2] for line in git("ls-tree", "-r", "-t", tip.hex()).splitlines()}
        newest |= {tip.hex().encode(), git("rev-parse", f"{tip.hex()}^{{tree}}").strip()}
        packed = {oid.hex().encode() for oid in entries} - newest
        history = _history(repo, tip, env, packed | (loose.keys() - newest))
        lost = unreached(git, repo.runtime, packed - history.keys())
        young = {oid.hex().encode() for pack in packs if now_s - pack.at_s <= GRACE_S for oid in pack.entries}
        rows = [*history.values(), *sorted(packed - history.keys() - lost)]
        if not rows and lost <= young:
            return 0
        if rows:
            _pack(repo, env, rows)
        stay = _put_apart(store, packs, newest, lost & young)
        retire_packs(store.pack_directory, f"{repo.runtime}/retired", [pack.name for pack in packs])
        gone = {oid: entry for oid, entry in entries.items() if oid.hex().encode() in lost - young}
        if gone and not is_whole(repo, env):
            store.put(gone, sync=True)  # somebody has named it just now
        still_old = _old_loose(repo, now_s)
        went = [name for name in loose if name in still_old and name in {row.split(b" ", 1)[0] for row in rows}]
        for name in went:
            remove(loose[name])
        return len(went) + len(entries) - stay


def _sound_packs(store: ObjectStore) -> list[_Sound]:
    packs = Packs(store.pack_directory, store.oid_size)
    found: list[_Sound] = []
    for name in packs.names():
        entries = packs.entries(name, store.hash_function)
        if entries is not None:
            found.append(_Sound(name, os.stat(f"{store.pack_directory}/{name}.pack").st_mtime, entries))
    return found


def _put_apart(store: ObjectStore, packs: list[_Sound], newest: set[bytes], kept: set[bytes]) -> int:
    """Put the newest state into one small pack, and what is kept of each pack into one of its age; return how many."""
    first = {oid: entry for pack in packs for oid, entry in pack.entries.items() if oid.hex().encode() in newest}
    if first:
        store.put(first, sync=True)
    seen = set(first)
    for pack in packs:
        rest = {oid: entry for oid, entry in pack.entries.items() if oid.hex().encode() in kept and oid not in seen}
        if rest:
            seen |= rest.keys()
            path = store.put(rest, sync=True)[0]
            os.utime(path, (pack.at_s, pack.at_s))
    return len(seen)


def _history(repo: Repository, tip: bytes, env: dict[str, str], wanted: set[bytes]) -> dict[bytes, bytes]:
    """Return the lines that name to git those wanted objects that the log has, with their paths, in history's order."""
    listed = _git(repo, env, "rev-list", "--objects", tip.hex()).splitlines()
    size = 2 * len(tip)
    return {line[:size]: line for line in listed if line[:size] in wanted}


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
