"""git objects in a directory of gitcoord's own, `gitcoord/objects` in the common git directory.

The directory is an alternate of the repository's own store: every git command reads it, and none of `gc`, `prune` and
`repack` takes anything out of it. That is why an object counts as written only when it is there.

Objects are written loose, in pure Python: a small record as one uncompressed block, since compressing it would take
longer than writing it and save no disk block. The readers here accept whatever git writes. What is missing or damaged
in this directory is looked for in the repository's store, its packs and its other alternates, and put back.
"""

from __future__ import annotations

import os
import zlib
from _thread import allocate_lock
from collections.abc import Callable, Iterator

from gitcoord.errors import ObjectDamaged, ObjectMissing, StorageFault
from gitcoord.store.disk import SYNCS_AT_WRITE, read_whole, remove, storage_fault, sync_files, write_new
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dulwich.object_store import DiskObjectStore

    from gitcoord.store.repository import Repository

_KINDS = frozenset({b"blob", b"tree", b"commit", b"tag"})
_KIND_OF_PACK_TYPE = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
# What fits one disk block gains nothing by being compressed; a tree's object names do not compress anyway.
_STORED_UP_TO = 4000
_BLOCK = 65535
_ALTERNATES_DEPTH = 5
_TRIES = 3


class ObjectStore:
    """Reads and writes the objects of one repository's log. Safe for several threads and processes at once.

    Args:
        repo: the repository.
        durable: whether `sync` brings objects to the disk; without it a power cut may take what was answered.

    Attributes:
        directory: where gitcoord's objects lie.
        oid_size: how many bytes an object's name has.
        healed: the names of the objects that were put back by this store.
    """

    def __init__(self, repo: Repository, *, durable: bool = True) -> None:
        """Open the store; touches no file."""
        self.directory = f"{repo.runtime}/objects"
        self.oid_size = 32 if repo.object_format == "sha256" else 20
        self.durable = durable
        self.healed: list[bytes] = []
        self._main = f"{repo.common_dir}/objects"
        self._temporary = os.path.join(repo.runtime, "tmp")
        self._format = repo.object_format
        self._new_hash: Callable[..., Any] | None = None
        self._packs: dict[str, DiskObjectStore] = {}
        # dulwich's packs are not for several threads at once.
        self._packs_guard = allocate_lock()

    def hash_object(self, kind: bytes, body: bytes) -> bytes:
        """Return the name of the object with this kind and body."""
        return self._hash(b"%s %d\0%s" % (kind, len(body), body))

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
        path = _loose_path(self.directory, oid)
        data = _read_if_there(path)
        if data is None:
            # A network file system may for a moment not see a file that was just put there.
            data = _read_if_there(path)
        if data is not None:
            found = parse_loose(data)
            if found is not None and not (verify and self.hash_object(*found) != oid):
                return found
        return self._rescue(oid, path, damaged=data is not None)

    def batch(self) -> Batch:
        """Return an empty batch of objects to write."""
        return Batch(self)

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
        with self._packs_guard:
            while self._packs:
                self._packs.popitem()[1].close()

    def __del__(self) -> None:
        """Close the packs of a store that was let go."""
        # Without the attribute the constructor itself failed.
        for packs in self.__dict__.get("_packs", {}).values():
            packs.close()

    def write(self, kind: bytes, body: bytes, written: list[str]) -> bytes:
        """Write one loose object, note its path, and return its name; what `Batch.add` does.

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
        if present is not None and _inflate(present) == content:
            try:
                os.utime(path)  # what is used again is young, and packing leaves it where it is
            except OSError:
                pass  # it was packed away just now
            else:
                return oid
        temporary = f"{self._temporary}/{os.getpid()}-{os.urandom(8).hex()}"
        try:
            self._write_temporary(temporary, deflate(content))
            self._move(temporary, path, written)
        except OSError as error:
            remove(temporary)
            raise storage_fault(error, path) from error
        return oid

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

    def _hash(self, content: bytes) -> bytes:
        if self._new_hash is None:
            import hashlib

            self._new_hash = hashlib.sha256 if self._format == "sha256" else hashlib.sha1
        return self._new_hash(content, usedforsecurity=False).digest()

    def _rescue(self, oid: bytes, path: str, *, damaged: bool) -> tuple[bytes, bytes]:
        """Return a good copy of an object from wherever it still exists, and put it back into its place."""
        bad = [path] if damaged else []
        for place, found in self._copies(oid):
            if found is None or self.hash_object(*found) != oid:
                bad.append(place)
                continue
            if place != f"{self.directory}/pack" or damaged:
                self._put_back(*found)
            return found
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
        places = [self.directory, *_with_alternates(self._main)]
        for directory in dict.fromkeys(places):
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
                return ((_KIND_OF_PACK_TYPE[number], bytes(body)),)
        return (None,) if damaged else None


class Batch:
    """Objects that are written at once and brought to the disk together, later.

    Attributes:
        paths: what has to be synced before a ref may name these objects.
    """

    def __init__(self, store: ObjectStore) -> None:
        """Start without objects."""
        self.paths: list[str] = []
        self._store = store

    def add(self, kind: bytes, body: bytes) -> bytes:
        """Write one object and return its name; it is not on the disk before `ObjectStore.sync(paths)`.

        An object that is there already is kept if it is sound, and put right if it is not.

        Args:
            kind: `blob`, `tree`, `commit` or `tag`.
            body: the object without its header; not checked to be a sensible one.

        Raises:
            StorageFault: the system could not.
        """
        return self._store.write(kind, body, self.paths)


class Held:
    """Objects that have names already and are written later, or never."""

    def __init__(self, store: ObjectStore) -> None:
        """Start without objects."""
        self._store = store
        self._objects: list[tuple[bytes, bytes]] = []

    def add(self, kind: bytes, body: bytes) -> bytes:
        """Keep one object and return its name."""
        self._objects.append((kind, body))
        return self._store.hash_object(kind, body)

    def written(self) -> Batch:
        """Write all of them and return the batch that they are.

        Raises:
            StorageFault: the system could not.
        """
        batch = self._store.batch()
        for kind, body in self._objects:
            batch.add(kind, body)
        return batch


def deflate(content: bytes) -> bytes:
    """Return a zlib stream of an object's header and body: the quickest to make, at a sane size.

    A stored stream is put together by hand: setting up zlib's compressor costs more than all the rest of a write.
    """
    size = len(content)
    if size > _STORED_UP_TO and not content.startswith(b"tree "):
        return zlib.compress(content, 1)
    parts = [b"\x78\x01"]
    for start in range(0, size, _BLOCK):
        block = content[start : start + _BLOCK]
        length = len(block)
        is_last = b"\x01" if start + length == size else b"\x00"
        parts.append(is_last + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little"))
        parts.append(block)
    parts.append(zlib.adler32(content).to_bytes(4, "big"))
    return b"".join(parts)


def parse_loose(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the kind and the body of a loose object file, None where it is damaged in any way."""
    content = _inflate(data)
    if content is None:
        return None
    header, nul, body = content.partition(b"\0")
    kind, _, size = header.partition(b" ")
    if not nul or kind not in _KINDS or size != b"%d" % len(body):
        return None
    return kind, body


def _inflate(data: bytes) -> bytes | None:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data)
    except zlib.error:
        return None
    return content if stream.eof and not stream.unused_data else None


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


def _with_alternates(directory: str, depth: int = 0) -> list[str]:
    """Return an object directory and all its alternates, in git's order."""
    found = [directory]
    listing = _read_if_there(f"{directory}/info/alternates")
    if listing is None or depth == _ALTERNATES_DEPTH:
        return found
    for line in listing.split(b"\n"):
        if line and not line.startswith(b"#"):
            # git resolves a relative line against the directory's real path.
            named = os.path.join(os.path.realpath(directory), os.fsdecode(line))
            found.extend(_with_alternates(os.path.normpath(named), depth + 1))
    return found
