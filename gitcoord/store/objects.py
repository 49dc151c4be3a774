"""git objects in a directory of gitcoord's own, `gitcoord/objects` in the common git directory.

The directory is an alternate of the repository's own store: every git command reads it, and none of `gc`, `prune` and
`repack` takes anything out of it. That is why an object counts as written only when it is there.

What is published together is written as one pack (`gitcoord.store.packs`), for making a file is what costs. What this
process has built or was told of, and need not be in any file yet, is kept in memory for a while (`Fresh`). The readers
here accept whatever git writes. What is missing or damaged in this directory is looked for in the repository's store,
its packs and its other alternates, and put back as a loose object.
"""

from __future__ import annotations

import os
import zlib
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Iterator, Sequence

from gitcoord.errors import ObjectDamaged, ObjectMissing, StorageFault
from gitcoord.store.disk import SYNCS_AT_WRITE, read_whole, remove, storage_fault, sync_files, write_new
from gitcoord.store.entries import KIND_OF_TYPE, Object, deflate, inflate, make_entry, make_pack, parse_loose
from gitcoord.store.fresh import Fresh
from gitcoord.store.packs import Found, Packs, pack_name, put_pack
from gitcoord.values import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from dulwich.object_store import DiskObjectStore

    from gitcoord.store.repository import Repository

_TRIES = 3
_new = cast("Any", tuple).__new__


class ObjectStore:
    """Reads and writes the objects of one repository's log. Safe for several threads and processes at once.

    Args:
        repo: the repository.
        durable: whether `sync` brings objects to the disk; without it a power cut may take what was answered.

    Attributes:
        directory: where gitcoord's objects lie.
        runtime: gitcoord's directory.
        fresh: what need not be in a file yet.
        listen: asked, where an object is not known, to bring into `fresh` what others have built; None asks nobody.
        oid_size: how many bytes an object's name has.
        heals: whether what is found outside gitcoord's directory is put there; without it, reading writes nothing.
        healed: the names of the objects that were put back by this store.
        damaged: the names of those of which it met a bad copy, and then a good one.
    """

    def __init__(self, repo: Repository, *, durable: bool = True) -> None:
        """Open the store; touches no file."""
        self.runtime = repo.runtime
        self.directory = f"{repo.runtime}/objects"
        self.fresh = Fresh()
        self.listen: Callable[[], None] | None = None
        self.oid_size = 32 if repo.object_format == "sha256" else 20
        self.durable = durable
        self.heals = True
        self.healed: list[bytes] = []
        self.damaged: list[bytes] = []
        self._main = f"{repo.common_dir}/objects"
        self._temporary = os.path.join(repo.runtime, "tmp")
        self._format = repo.object_format
        self._new_hash: Callable[..., Any] | None = None
        self._own = Packs(self.pack_directory, self.oid_size)
        self._packs: dict[str, DiskObjectStore] = {}
        # dulwich's packs are not for several threads at once.
        self._packs_guard = allocate_lock()

    def hash_object(self, kind: bytes, body: bytes) -> bytes:
        """Return the name of the object with this kind and body."""
        content = b"%s %d\0%s" % (kind, len(body), body)
        return (self._new_hash or self.hash_function)(content, usedforsecurity=False).digest()

    def read(self, oid: bytes, *, verify: bool = False) -> tuple[bytes, bytes]:
        """Return an object's kind and body.

        Without `verify` a healthy object under a wrong name is not noticed; damage is, by zlib's checksum.

        Args:
            oid: the object's name.
            verify: whether to compute the name again from what was read.

        Raises:
            ObjectMissing: it is nowhere.
            ObjectDamaged: no good copy of it is anywhere.
            StorageFault: it could not be read.
        """
        known = None if verify else self.fresh.get(oid)
        if known is not None:
            return known.kind, known.body
        found = self._own.read(oid)
        if (
            found.good is not None
            and not found.bad
            and (not verify or found.named or self.hash_object(*found.good) == oid)
        ):
            return found.good
        return self._read_otherwise(oid, found, verify=verify)

    def _read_otherwise(self, oid: bytes, packed: Found, *, verify: bool) -> tuple[bytes, bytes]:
        path = _loose_path(self.directory, oid)
        bad: list[str] = []
        # To look for a loose object that is not there costs less than to ask what others have built.
        for look in (None, self._read_loose, self._ask, self._look_again, self._read_loose):
            found = packed if look is None else look(oid)
            if found.good is not None and not (verify and self.hash_object(*found.good) != oid):
                return found.good
            bad += [place for place in found.bad if place not in bad]
            if found.good is not None and path not in bad:
                bad.append(path)
        return self._rescue(oid, bad)

    def _ask(self, oid: bytes) -> Found:
        """Look at what others have built lately: that is read at once, and from no pack."""
        if self.listen is None:
            return Found(None, [])
        self.listen()
        known = self.fresh.get(oid)
        return Found(None if known is None else (known.kind, known.body), [])

    def _read_loose(self, oid: bytes) -> Found:
        path = _loose_path(self.directory, oid)
        data = _read_if_there(path)
        good = None if data is None else parse_loose(data)
        return Found(good, [] if data is None or good is not None else [path])

    def _look_again(self, oid: bytes) -> Found:
        # A network file system may for a moment not see a file that was just put there.
        return self._own.read(oid) if self._own.refresh() else Found(None, [])

    @property
    def pack_directory(self) -> str:
        """Where gitcoord's packs lie."""
        return f"{self.directory}/pack"

    def batch(self) -> Batch:
        """Return an empty batch of objects to write."""
        return Batch(self)

    def publish(self, objects: Iterable[Object], beside: Sequence[str] = ()) -> list[str]:
        """Write objects as one pack, which all of git sees on return, synced if the store is durable.

        Args:
            objects: what a ref is to name next, at least one; may repeat.
            beside: files that were written over where they lie, to be synced with the pack.

        Returns:
            the files that were written.

        Raises:
            StorageFault: the system could not; git then sees nothing of them.
        """
        entries = {found.oid: make_entry(found.kind, found.body) for found in objects}
        return self.put(entries, sync=self.durable, beside=beside)

    def put(self, entries: dict[bytes, bytes], *, level: int = 0, sync: bool, beside: Sequence[str] = ()) -> list[str]:
        """Write entries, as packs have them, as a pack of a level, and return its files.

        Raises:
            StorageFault: the system could not.
        """
        from gitcoord.runtime.machine import wall_ms

        content = make_pack(entries, self.hash_function)
        name = pack_name(level, wall_ms(), content[0][-self.oid_size :])
        put_pack(self.pack_directory, self._temporary_path(), name, content, sync=sync, beside=beside)
        return [f"{self.pack_directory}/{name}.pack", f"{self.pack_directory}/{name}.idx"]

    def tidy(self) -> int:
        """Merge small packs where there are many, and return how many went; what cannot be done is left for later."""
        from gitcoord.store.merging import merge_packs

        try:
            return merge_packs(self)
        except StorageFault:
            return 0  # nothing was asked, and nothing is lost

    def sync(self, paths: list[str]) -> None:
        """Bring the written paths of one or several batches to the disk; does nothing unless durable.

        Raises:
            StorageFault: the system could not.
        """
        if not self.durable:
            return
        try:
            sync_files(paths)
        except StorageFault:
            gone = {path for path in paths if not os.path.lexists(path)}
            if not gone or not all(self._is_packed(path) for path in gone):
                raise
            sync_files([path for path in paths if path not in gone])

    def _is_packed(self, path: str) -> bool:
        """Tell whether a loose object's file went because the object is in a pack of ours."""
        try:
            oid = bytes.fromhex(os.path.basename(os.path.dirname(path)) + os.path.basename(path))
        except ValueError:
            return False
        with self._packs_guard:
            found = self._read_packed(self.directory, oid)
        return found is not None and found[0] is not None

    def close(self) -> None:
        """Close the packs that reading opened; the store stays usable."""
        self._own.close()
        with self._packs_guard:
            while self._packs:
                self._packs.popitem()[1].close()

    def __del__(self) -> None:
        """Close the packs of a store that was let go."""
        # Without the attribute the constructor itself failed.
        for packs in self.__dict__.get("_packs", {}).values():
            packs.close()
        own = self.__dict__.get("_own")
        if own is not None:
            own.close()

    def write(self, kind: bytes, body: bytes, written: list[str]) -> bytes:
        """Write one loose object, note its path, and return its name.

        Args:
            kind: `blob`, `tree`, `commit` or `tag`.
            body: the object without its header.
            written: where the path goes, and those of directories made for it.

        Raises:
            StorageFault: the system could not; nothing half-written stays under the object's name.
        """
        content = b"%s %d\0%s" % (kind, len(body), body)
        oid = self._hash(content)
        path = _loose_path(self.directory, oid)
        written.append(path)
        present = _read_if_there(path)
        if present is not None and inflate(present) == content:
            try:
                os.utime(path)  # what is used again is young, and packing leaves it where it is
            except OSError:
                pass  # it was packed away just now
            else:
                return oid
        temporary = self._temporary_path()
        try:
            self._write_temporary(temporary, deflate(content, is_tree=kind == b"tree"))
            self._move(temporary, path, written)
        except OSError as error:
            remove(temporary)
            raise storage_fault(error, path) from error
        return oid

    def _temporary_path(self) -> str:
        return f"{self._temporary}/{os.getpid()}-{os.urandom(8).hex()}"

    def _write_temporary(self, path: str, data: bytes) -> None:
        sync = SYNCS_AT_WRITE and self.durable
        try:
            write_new(path, data, mode=0o444, sync=sync)
        except FileNotFoundError:
            os.mkdir(self._temporary, 0o700)
            write_new(path, data, mode=0o444, sync=sync)

    def _move(self, temporary: str, path: str, written: list[str]) -> None:
        """Give a finished file its name, making the fan-out directory as often as somebody takes it away."""
        for _ in range(_TRIES):
            try:
                os.replace(temporary, path)
            except FileNotFoundError:
                for directory in (self.directory, os.path.dirname(path)):
                    try:
                        os.mkdir(directory)
                    except FileExistsError:
                        continue
                    written.append(directory)
            else:
                return
        os.replace(temporary, path)

    @property
    def hash_function(self) -> Callable[..., Any]:
        """`hashlib`'s function that names objects here."""
        if self._new_hash is None:
            import hashlib

            self._new_hash = hashlib.sha256 if self._format == "sha256" else hashlib.sha1
        return self._new_hash

    def _hash(self, content: bytes) -> bytes:
        return self.hash_function(content, usedforsecurity=False).digest()

    def _rescue(self, oid: bytes, bad: list[str]) -> tuple[bytes, bytes]:
        """Return a good copy of an object from wherever it still exists, and put it back where a copy is bad."""
        path, damaged = _loose_path(self.directory, oid), bool(bad)
        for place, found in self._copies(oid):
            if found is None or self.hash_object(*found) != oid:
                if place not in bad:
                    bad.append(place)
                continue
            if bad:
                self.damaged.append(oid)
            if self.heals and (place != f"{self.directory}/pack" or damaged):
                self._put_back(*found)
            return found
        bad += self._own.unreadable()
        if bad:
            raise ObjectDamaged(
                f"object {oid.hex()} is damaged and no good copy was found: {', '.join(bad)}",
                next="gitcoord doctor",
                oid=oid.hex(),
                files=bad,
            )
        raise ObjectMissing(
            f"object {oid.hex()} is missing: {path}, nor is it in {self._main}",
            next="gitcoord doctor",
            oid=oid.hex(),
            files=[path],
        )

    def _put_back(self, kind: bytes, body: bytes) -> None:
        written: list[str] = []
        try:
            oid = self.write(kind, body, written)
            self.sync(written)
        except StorageFault:
            # The copy is good wherever it lies; a reader without the right to write is served all the same.
            return
        self.healed.append(oid)

    def _copies(self, oid: bytes) -> Iterator[tuple[str, tuple[bytes, bytes] | None]]:
        """Yield each place outside the own loose files that has the object, with what it has; None if damaged."""
        from gitcoord.store.alternates import with_alternates

        for directory in dict.fromkeys([self.directory, *with_alternates(self._main)]):
            if directory != self.directory:
                path = _loose_path(directory, oid)
                data = _read_if_there(path)
                if data is not None:
                    yield path, parse_loose(data)
            with self._packs_guard:
                packed = self._read_packed(directory, oid)
            if packed is not None:
                yield f"{directory}/pack", packed[0]

    def _read_packed(self, directory: str, oid: bytes) -> tuple[tuple[bytes, bytes] | None] | None:
        """Return the object of a directory's packs: None if they lack it, (None,) if it is damaged there."""
        if not _has_packs(directory):
            return None
        import struct

        from dulwich.errors import ChecksumMismatch
        from dulwich.object_format import get_object_format
        from dulwich.object_store import DiskObjectStore
        from dulwich.objects import RawObjectID
        from dulwich.pack import PackFileDisappeared

        packs = self._packs.get(directory)
        if packs is None:
            packs = DiskObjectStore(directory, object_format=get_object_format(self._format))
            self._packs[directory] = packs
        damaged = False
        # The first list may still name a pack that a `repack` has just taken away; the second cannot.
        for _ in range(2):
            for pack in packs.packs:
                try:
                    number, body = pack.get_raw(RawObjectID(oid))
                except (KeyError, PackFileDisappeared):
                    continue
                except (ChecksumMismatch, AssertionError, ValueError, IndexError, OSError, struct.error, zlib.error):
                    damaged = True
                    continue
                return ((KIND_OF_TYPE[number], bytes(body)),)
        return (None,) if damaged else None


class Batch:
    """Objects that are written at once. The store that they are added to can read them from then on.

    Attributes:
        objects: what was added.
    """

    def __init__(self, store: ObjectStore) -> None:
        """Start without objects."""
        self.objects: list[Object] = []
        self._store = store
        self._paths: list[str] = []
        self._written = 0

    def add(self, kind: bytes, body: bytes) -> bytes:
        """Take one object and return its name; no other process sees it before `paths` is asked for.

        Args:
            kind: `blob`, `tree`, `commit` or `tag`.
            body: the object without its header; not checked to be a sensible one.
        """
        added = _new(Object, (self._store.hash_object(kind, body), kind, body))
        self.objects.append(added)
        self._store.fresh.keep(added)
        return added.oid

    @property
    def paths(self) -> list[str]:
        """What has to be synced before a ref may name the objects; what was added and is in no file yet is written.

        Raises:
            StorageFault: the system could not.
        """
        new = self.objects[self._written :]
        if new:
            self._paths += self._store.publish(new)
            self._written = len(self.objects)
        return self._paths


def _loose_path(directory: str, oid: bytes) -> str:
    name = oid.hex()
    return f"{directory}/{name[:2]}/{name[2:]}"


def _read_if_there(path: str) -> bytes | None:
    try:
        return read_whole(path)
    except FileNotFoundError:
        return None


def _has_packs(directory: str) -> bool:
    try:
        return any(name.endswith(".idx") for name in os.listdir(f"{directory}/pack"))
    except (FileNotFoundError, NotADirectoryError):
        return False
