"""Reading the packs that git makes, whose entries may be differences from other entries.

A fetch leaves one in gitcoord's directory, and so does packing what is old. Nothing is unfolded ahead of being asked
for: the file is mapped, the list is looked into where it lies, and what a difference rests on is kept for the next
one, since the versions of a record hang together in a chain.

What comes out is held against the name that was asked for: a damaged entry below it would otherwise go unnoticed.

Source: gitformat-pack (deltified representation).
"""

from __future__ import annotations

import hashlib
import zlib

from gitcoord.store.entries import KIND_OF_TYPE, DamagedEntryError, Listing
from gitcoord.values import Any

_OFFSET_DELTA, _NAME_DELTA = 6, 7
_KEPT_BYTES = 8 << 20
# No chain of git's is nearly as long; one that is was forged, or leads to itself.
_LONGEST_CHAIN = 10_000
_SLACK = 128


# Which bytes of a number follow, by the bits that say so: by how much each is shifted.
_SHIFTS = [[8 * bit for bit in range(4) if flags & 1 << bit] for flags in range(16)]


class Deltas:
    """The entries of one pack by their place.

    Args:
        data: the whole pack, mapped or read.
        listing: what is in it.
        oid_size: how many bytes an object's name has.
    """

    def __init__(self, data: Any, listing: Listing, oid_size: int) -> None:
        """Look at nothing yet."""
        self._data = data
        self._listing = listing
        self._oid_size = oid_size
        self._new_hash: Any = hashlib.sha256 if oid_size == hashlib.sha256().digest_size else hashlib.sha1
        self._kept: dict[int, tuple[bytes, bytes]] = {}
        self._kept_bytes = 0

    def read(self, oid: bytes, start: int) -> tuple[bytes, bytes]:
        """Return the kind and the body of an object.

        Args:
            oid: its name.
            start: where the list says that its entry begins.

        Raises:
            DamagedEntryError: it, what it rests on, or its place in the list is damaged.
        """
        found = self._kept.get(start)
        if found is None:
            try:
                found = self._resolved(start)
            except (IndexError, zlib.error) as error:
                raise DamagedEntryError from error
        kind, body = found
        named = self._new_hash(b"%s %d\0%s" % (kind, len(body), body), usedforsecurity=False)
        if named.digest() != oid:
            raise DamagedEntryError
        return found

    def _resolved(self, start: int) -> tuple[bytes, bytes]:
        """Follow the differences down to a whole object, and put them together on the way back."""
        above: list[tuple[int, bytes]] = []
        found: tuple[bytes, bytes] | None = None
        while found is None:
            kind, content, base = self._row(start)
            if kind is not None:
                found = kind, content
                self._keep(start, found)
                break
            if len(above) > _LONGEST_CHAIN:
                raise DamagedEntryError
            above.append((start, content))
            start = base
            found = self._kept.get(start)
        for place, delta in reversed(above):
            found = found[0], apply_delta(found[1], delta)
            self._keep(place, found)
        return found

    def _keep(self, start: int, found: tuple[bytes, bytes]) -> None:
        if self._kept_bytes > _KEPT_BYTES:
            self._kept, self._kept_bytes = {}, 0
        self._kept[start] = found
        self._kept_bytes += len(found[1]) + _SLACK

    def _row(self, start: int) -> tuple[bytes | None, bytes, int]:
        """Read one entry: its kind, its content, and the place of what it is a difference from, where it has no kind.

        Raises:
            DamagedEntryError, IndexError, zlib.error: it is none.
        """
        data, at = self._data, start + 1
        byte = data[start]
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 0x80:
            byte = data[at]
            size |= (byte & 0x7F) << shift
            shift += 7
            at += 1
        whole = KIND_OF_TYPE.get(kind)
        if whole is not None:
            return whole, self._inflated(at, size), -1
        base = -1
        if kind == _OFFSET_DELTA:
            byte = data[at]
            back = byte & 0x7F
            while byte & 0x80:
                at += 1
                byte = data[at]
                back = (back + 1) << 7 | byte & 0x7F
            at += 1
            base = start - back
        elif kind == _NAME_DELTA:
            place = self._listing.find(bytes(data[at : at + self._oid_size]))
            base = -1 if place is None else place.start
            at += self._oid_size
        if base < 0:
            raise DamagedEntryError
        return None, self._inflated(at, size), base

    def _inflated(self, at: int, size: int) -> bytes:
        """Return a stream's content, without touching what lies far behind it."""
        window = size + (size >> 9) + _SLACK
        try:
            # Hardly ever is a stream longer than what it holds: one call, and what lies behind it is let be.
            content = zlib.decompress(self._data[at : at + window], bufsize=size + 1)
        except zlib.error:
            return self._inflated_slowly(at, size, window)
        if len(content) != size:
            raise DamagedEntryError
        return content

    def _inflated_slowly(self, at: int, size: int, window: int) -> bytes:
        stream = zlib.decompressobj()
        content = b""
        while not stream.eof:
            more = self._data[at : at + window]
            content += stream.decompress(more)
            if not more or len(content) > size:
                raise DamagedEntryError
            at += window
        if len(content) != size:
            raise DamagedEntryError
        return content


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """Return what a difference makes of what it rests on.

    Raises:
        DamagedEntryError: it is not a difference from that.
        IndexError: it ends early.
    """
    source, at = _size(delta, 0)
    target, at = _size(delta, at)
    parts: list[bytes] = []
    length = len(delta)
    while at < length:
        order = delta[at]
        at += 1
        if order & 0x80:
            offset = size = 0
            for shift in _SHIFTS[order & 0xF]:
                offset |= delta[at] << shift
                at += 1
            for shift in _SHIFTS[order >> 4 & 7]:
                size |= delta[at] << shift
                at += 1
            parts.append(base[offset : offset + (size or 0x10000)])
        elif order:
            parts.append(delta[at : at + order])
            at += order
        else:
            raise DamagedEntryError
    made = b"".join(parts)
    if source != len(base) or target != len(made):
        raise DamagedEntryError
    return made


def _size(delta: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    while True:
        byte = delta[at]
        size |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if not byte & 0x80:
            return size, at
