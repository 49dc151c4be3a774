"""The bytes of objects in packs and in loose files, without I/O: what git reads, made in the quickest way there is.

A small record is one uncompressed block, since compressing it would take longer than writing it and save no disk block.
A pack's entries lie in the order of their names, so the list of offsets tells each one's length, and its checksum in
the list is held against exactly its bytes. There are no deltas: entries are copied from pack to pack as they are.

Sources: gitformat-pack (packs of version 2, lists of version 2), RFC 1950 and 1951 (stored blocks).
"""

from __future__ import annotations

import zlib
from bisect import bisect_left

from gitcoord.values import Any, NamedTuple, cast

KINDS = frozenset({b"blob", b"tree", b"commit", b"tag"})
KIND_OF_TYPE = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_TYPE_OF_KIND = {kind: number for number, kind in KIND_OF_TYPE.items()}
# What fits one disk block gains nothing by being compressed; a tree's object names do not compress anyway.
_STORED_UP_TO = 4000
_BLOCK = 65535
_MAGIC = b"\xfftOc\0\0\0\2"
_FAN_OUT = len(_MAGIC)
_NAMES = _FAN_OUT + 1024
_FAR = 1 << 31
# After one look for so many objects in the list a table of it has paid for itself.
_LOOKS_WORTH_A_TABLE = 40
_new = cast("Any", tuple).__new__
PACK_HEAD = 12


class Object(NamedTuple):
    """An object that is to be written, or was just read."""

    oid: bytes
    kind: bytes
    body: bytes


def deflate(content: bytes, *, is_tree: bool) -> bytes:
    """Return a zlib stream of some bytes: the quickest to make, at a sane size.

    A stored stream is put together by hand: setting up zlib's compressor costs more than all the rest of a write.
    """
    size = len(content)
    if size > _STORED_UP_TO and not is_tree:
        return zlib.compress(content, 1)
    if size <= _BLOCK:
        head = b"\x78\x01\x01" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
        return b"%b%b%b" % (head, content, zlib.adler32(content).to_bytes(4, "big"))
    parts = [b"\x78\x01"]
    for start in range(0, size, _BLOCK):
        block = content[start : start + _BLOCK]
        length = len(block)
        is_last = b"\x01" if start + length == size else b"\x00"
        parts.append(is_last + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little"))
        parts.append(block)
    parts.append(zlib.adler32(content).to_bytes(4, "big"))
    return b"".join(parts)


def inflate(data: bytes) -> bytes | None:
    """Return what a zlib stream holds; None where it is damaged, ends early or is followed by anything."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data)
    except zlib.error:
        return None
    return content if stream.eof and not stream.unused_data else None


def parse_loose(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the kind and the body of a loose object file, None where it is damaged in any way."""
    content = inflate(data)
    if content is None:
        return None
    header, nul, body = content.partition(b"\0")
    kind, _, size = header.partition(b" ")
    if not nul or kind not in KINDS or size != b"%d" % len(body):
        return None
    return kind, body


def make_entry(kind: bytes, body: bytes) -> bytes:
    """Return a pack's entry of an object."""
    size = len(body)
    head = bytearray((_TYPE_OF_KIND[kind] << 4 | size & 15,))
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + deflate(body, is_tree=kind == b"tree")


def parse_entry(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the kind and the body of a pack's entry; None where it is damaged or a delta."""
    kind, size, shift = KIND_OF_TYPE.get(data[0] >> 4 & 7), data[0] & 15, 4
    at = 1
    try:
        while data[at - 1] & 0x80:
            size |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
    except IndexError:
        return None
    body = inflate(data[at:])
    return None if kind is None or body is None or len(body) != size else (kind, body)


def make_pack(entries: dict[bytes, bytes], new_hash: Any) -> tuple[bytes, bytes]:
    """Return a pack and its list.

    Args:
        entries: by the object's name; at least one.
        new_hash: `hashlib`'s function of the repository's object format.
    """
    import itertools
    import struct

    names = sorted(entries)
    rows = [entries[name] for name in names]
    pack = b"".join((b"PACK", struct.pack(">II", 2, len(rows)), *rows))
    check = new_hash(pack, usedforsecurity=False).digest()
    firsts = [name[0] for name in names]
    # For each byte, how many names begin with it or a lower one: from one name's to the next one's that is the same.
    steps = zip((0, *firsts), (*firsts, 256), range(len(names) + 1), strict=True)
    fan_out = [number.to_bytes(4, "big") * (after - before) for before, after, number in steps]
    offsets = itertools.accumulate(map(len, rows[:-1]), initial=PACK_HEAD)
    numbers = struct.pack(f">{2 * len(rows)}I", *map(zlib.crc32, rows), *offsets)
    listing = b"".join((_MAGIC, *fan_out, *names, numbers, check))
    return pack + check, listing + new_hash(listing, usedforsecurity=False).digest()


class DamagedEntryError(Exception):
    """An entry of a pack is not what it should be."""


class Place(NamedTuple):
    """Where a pack has an object: from the entry's first byte to the one after its last, and its checksum."""

    start: int
    end: int
    check: int


class Listing:
    """A pack's list, of gitcoord's or of git's making: looked into where it lies, never unfolded.

    Attributes:
        count: how many objects the pack has.
    """

    __slots__ = ("_checks", "_data", "_far", "_looks", "_offsets", "_oid_size", "_pack_end", "_table", "count")

    def __init__(self, data: bytes, oid_size: int, pack_size: int) -> None:
        """Look at a list.

        Args:
            data: the whole file.
            oid_size: how many bytes an object's name has.
            pack_size: of the pack's file.

        Raises:
            ValueError: it is no list of this form, or not all of it.
        """
        if not data.startswith(_MAGIC):
            raise ValueError("not a list of version 2")
        self.count = int.from_bytes(data[_NAMES - 4 : _NAMES], "big")
        # Behind the offsets git puts those of them that need more than 31 bits.
        self._far = _NAMES + self.count * (oid_size + 8)
        rest = len(data) - self._far - 2 * oid_size
        if rest < 0 or rest % 8:
            raise ValueError("not as long as it says")
        self._data = data
        self._oid_size = oid_size
        self._checks = _NAMES + self.count * oid_size
        self._offsets = self._checks + 4 * self.count
        self._pack_end = pack_size - oid_size
        self._looks = 0
        self._table: dict[bytes, int] | None = None

    def _number(self, at: int) -> int:
        return int.from_bytes(self._data[at : at + 4], "big")

    def find(self, oid: bytes) -> Place | None:
        """Return where the pack has an object, None where it has not."""
        number = self._number_of(oid)
        return None if number is None else self.place(number)

    def start_of(self, oid: bytes) -> int | None:
        """Return where the pack has an object's entry begin, None where it has none."""
        number = (self._table or self._found(oid)).get(oid)
        if number is None:
            return None
        here = self._offsets + 4 * number
        start = int.from_bytes(self._data[here : here + 4], "big")
        return start if start < _FAR else self._start(number)

    def _number_of(self, oid: bytes) -> int | None:
        return (self._table or self._found(oid)).get(oid)

    def _found(self, oid: bytes) -> dict[bytes, int]:
        """Return the numbers of all objects, where that pays by now, else of this one, if it is there."""
        self._looks += 1
        if self._looks * _LOOKS_WORTH_A_TABLE < self.count:
            number = self._search(oid)
            return {} if number is None else {oid: number}
        # Of a name that is there twice the first one counts, as in a search.
        self._table = {name: at for at, name in reversed(list(enumerate(self.names())))}
        return self._table

    def _search(self, oid: bytes) -> int | None:
        at = _FAN_OUT + 4 * oid[0]
        after = self._number(at)
        before = self._number(at - 4) if oid[0] else 0
        if before >= after:
            return None
        data, size = self._data, self._oid_size

        def name(number: int) -> bytes:
            return data[_NAMES + number * size : _NAMES + (number + 1) * size]

        found = bisect_left(range(min(after, self.count)), oid, before, min(after, self.count), key=name)
        return found if found < min(after, self.count) and name(found) == oid else None

    def _start(self, number: int) -> int:
        here = self._offsets + 4 * number
        start = int.from_bytes(self._data[here : here + 4], "big")
        if start & _FAR:
            at = self._far + 8 * (start ^ _FAR)
            start = int.from_bytes(self._data[at : at + 8], "big")
        return start

    def place(self, number: int) -> Place:
        """Return where the object of that number in the list lies; its end is true of gitcoord's own packs alone."""
        start = self._start(number)
        end = self._number(self._offsets + 4 * number + 4) if number + 1 < self.count else self._pack_end
        return _new(Place, (start, end, self._number(self._checks + 4 * number)))

    def names(self) -> list[bytes]:
        """Return the names of all objects, in order."""
        size = self._oid_size
        return [self._data[at : at + size] for at in range(_NAMES, self._checks, size)]

    def cut(self, pack: bytes, new_hash: Any) -> dict[bytes, bytes] | None:
        """Return all entries of a pack by object name; None where it or its list is damaged, or has deltas.

        Args:
            pack: the whole file.
            new_hash: `hashlib`'s function of the repository's object format.
        """
        import struct

        size = self._oid_size
        for content in (pack, self._data):
            if new_hash(content[:-size], usedforsecurity=False).digest() != content[-size:]:
                return None
        if self._data[-2 * size : -size] != pack[-size:] or len(self._data) != self._far + 2 * size:
            return None
        starts = struct.unpack_from(f">{self.count}I", self._data, self._offsets)
        rows = [pack[start:end] for start, end in zip(starts, (*starts[1:], self._pack_end), strict=True)]
        if not all(rows) or any(not 1 <= row[0] >> 4 & 7 <= 4 for row in rows):
            return None
        return dict(zip(self.names(), rows, strict=True))
