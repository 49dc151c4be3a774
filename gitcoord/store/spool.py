"""The spool: the objects of commits that are built and not yet published, for whoever publishes or builds next.

One file in the runtime directory, written at its end under the build lock: no file has to be made for what a leader
will write into one pack with the rest of its group. Whoever builds next reads what came since it last looked, which
also spares it looking for others' objects in packs.

Nothing rests on it. A chunk says which commit it is for and has a checksum; who finds another one, or half of one,
has found nothing. It is not synced, and not believed after the machine was started anew.
"""

from __future__ import annotations

import os
import zlib

from gitcoord.store.disk import storage_fault
from gitcoord.store.entries import KIND_OF_TYPE, Object
from gitcoord.values import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gitcoord.store.fresh import Fresh

BEGINS_ANEW_AT = 1 << 20
"""Bytes after which the file is written from its beginning again, once all in it is published."""

_HEAD = 8
_new = cast("Any", tuple).__new__
_NUMBER_OF_KIND = {kind: number for number, kind in KIND_OF_TYPE.items()}
Position = tuple[str, int]
"""Which turn through the file it is, and where it ends; `("", 0)` before the first."""


class Spool:
    """The spool of one runtime directory, and how far this process has read it.

    Args:
        runtime: the runtime directory.
        oid_size: how many bytes an object's name has.
        fresh: where what is read goes.
        name: the file's name.
    """

    def __init__(self, runtime: str, oid_size: int, fresh: Fresh, name: str = "spool") -> None:
        """Open; touches no file."""
        self._path = f"{runtime}/{name}"
        self._oid_size = oid_size
        self._row = f">BI{oid_size}s"
        self._fresh = fresh
        self._read_to: Position = ("", 0)

    def append(
        self, position: Position, commits: Sequence[bytes], *, unpublished: bool
    ) -> tuple[tuple[tuple[int, int], ...], Position]:
        """Write what is new with commits, which `fresh` knows, behind all that is there. The caller has the build lock.

        Args:
            position: where the spool ends.
            commits: in order.
            unpublished: whether something in it is not published yet.

        Returns:
            the offset and the size of each commit's chunk, and where the spool ends now.

        Raises:
            StorageFault: the system could not.
        """
        turn, end = position
        if not turn or (end > BEGINS_ANEW_AT and not unpublished):
            turn, end = os.urandom(4).hex(), 0
        chunks = [self._packed(commit) for commit in commits]
        places: list[tuple[int, int]] = []
        data = b"".join(chunks)
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            try:
                os.lseek(fd, end, os.SEEK_SET)
                written = os.write(fd, data)
                while written < len(data):
                    written += os.write(fd, data[written:])
            finally:
                os.close(fd)
        except OSError as error:
            raise storage_fault(error, self._path) from error
        for chunk in chunks:
            places.append((end, len(chunk)))
            end += len(chunk)
        if self._read_to == position:
            self._read_to = (turn, end)
        return tuple(places), (turn, end)

    def _packed(self, commit: bytes) -> bytes:
        import struct

        objects = self._fresh.chunk(commit) or ()
        rows = [struct.pack(self._row, _NUMBER_OF_KIND[kind], len(body), oid) for oid, kind, body in objects]
        body = b"".join((commit, len(rows).to_bytes(4, "big"), *rows, *(found.body for found in objects)))
        return zlib.crc32(body).to_bytes(4, "big") + len(body).to_bytes(4, "big") + body

    def catch_up(self, position: Position, first: int | None, wanted: Sequence[bytes]) -> bool:
        """Learn what was written since this process last looked, and say whether all that is wanted is known.

        Args:
            position: where the spool ends.
            first: where the first of the wanted commits lies, None where none is wanted.
            wanted: commits.
        """
        turn, end = position
        start = self._read_to[1] if self._read_to[0] == turn else end if first is None else first
        if end - start > BEGINS_ANEW_AT and first is not None:
            start = max(start, first)
        if start < end and turn:
            for commit, objects in self._chunks(self._read(start, end - start)):
                self._fresh.note(commit, objects)
        self._read_to = position
        return all(self._fresh.chunk(commit) is not None for commit in wanted)

    def chunk(self, commit: bytes, place: tuple[int, int]) -> Sequence[Object] | None:
        """Return what is new with a commit, from memory or from its place; None where it is not there any more."""
        known = self._fresh.chunk(commit)
        if known is None:
            for found, objects in self._chunks(self._read(*place)):
                if found == commit:
                    self._fresh.note(commit, objects)
                    return objects
        return known

    def _read(self, start: int, size: int) -> bytes:
        try:
            fd = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError:
            return b""
        try:
            os.lseek(fd, start, os.SEEK_SET)
            return os.read(fd, size)
        except OSError:
            return b""
        finally:
            os.close(fd)

    def _chunks(self, data: bytes) -> Iterator[tuple[bytes, list[Object]]]:
        """Yield the sound chunks from the beginning of what was read."""
        at = 0
        while at + _HEAD <= len(data):
            check, size = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
            body = data[at + _HEAD : at + _HEAD + size]
            if len(body) != size or zlib.crc32(body) != check:
                return
            yield body[: self._oid_size], self._objects(body)
            at += _HEAD + size

    def _objects(self, body: bytes) -> list[Object]:
        import struct

        found: list[Object] = []
        table = self._oid_size + 4
        count = int.from_bytes(body[table - 4 : table], "big")
        at = table + count * struct.calcsize(self._row)
        for number, size, oid in struct.iter_unpack(self._row, body[table:at]):
            found.append(_new(Object, (oid, KIND_OF_TYPE[number], body[at : at + size])))
            at += size
        return found
