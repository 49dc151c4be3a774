"""Reading the reflog of the log's ref: where did gitcoord leave it, and what did another program do to it since?

gitcoord's own lines begin with `coord: `. A line of anything else is a fetch, a push into this clone, or somebody's
`git update-ref`: what stood there before may be nowhere now. Only the end of the file is read, and that once for as
long as nobody adds to it, whoever asks.
"""

from __future__ import annotations

import os

from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAIL = 1 << 18
_NEWEST = 1 << 13
OWN = b"coord: "
_OWN_END = b" +0000\t" + OWN


class Line(NamedTuple):
    """What one line says: the values before and after, and whether it is one of gitcoord's own."""

    old: bytes
    new: bytes
    own: bool


class Left(NamedTuple):
    """Where gitcoord itself left the log's ref.

    Attributes:
        tip: the newest value that it set; None where the end of the reflog does not tell.
        before: what stood there before, where the line of the move to `tip` is the last one: it is written before the
            ref moves, and the move may be under way. None otherwise.
        moved: whether another program has moved the ref since.
    """

    tip: bytes | None
    before: bytes | None
    moved: bool


class _End(NamedTuple):
    """The end of the file: how the file looked when it was read, where this part of it begins, and its size."""

    mark: tuple[int, int, int]
    first: int
    size: int
    text: bytes


_NOTHING = _End((0, 0, 0), 0, 0, b"")


class Reflog:
    """The reflog of the log's ref. Safe for several threads.

    Args:
        path: its file, which need not be there.
    """

    def __init__(self, path: str) -> None:
        """Read nothing yet."""
        self._path = path
        self._end = _NOTHING
        self._left: tuple[_End, Left] | None = None

    def left(self) -> Left:
        """Return where gitcoord left the ref, the very same object for as long as nobody adds to the file.

        What many moves of other programs lie behind is not known any more.
        """
        end = self._read(None)
        known = self._left
        if known is None or known[0] is not end:
            found = _left(end.text)
            if found.tip is None and end.first > 0:
                end = self._read(0)
                found = _left(end.text)
            known = self._left = end, found
        return known[1]

    def moved_since(self, start: int) -> tuple[bool, int]:
        """Tell whether another program moved the ref since the file had a size, and what size that is now."""
        text, size = self._added(start)
        return text.count(_OWN_END) < text.count(b"\n"), size

    def replaced_since(self, start: int) -> tuple[list[bytes], int]:
        """Return the tips that lines of other programs replaced since the file had a size, and its size now."""
        text, size = self._added(start)
        found = [line.old for line in _lines(text) if not line.own and any(line.old)]
        return list(dict.fromkeys(reversed(found))), size

    def _added(self, start: int) -> tuple[bytes, int]:
        end = self._read(start)
        start = 0 if start > end.size else start  # the file was made anew
        return end.text[max(start - end.first, 0) :], end.size

    def _read(self, start: int | None) -> _End:
        """Return the end of the file, from some place on or from an earlier one; None asks for the newest lines."""
        end = self._end
        try:
            if end.mark != _mark(os.stat(self._path)) or (start is not None and not end.first <= start <= end.size):
                end = self._end = self._read_anew(start)
        except OSError:
            end = self._end = _NOTHING
        return end

    def _read_anew(self, start: int | None) -> _End:
        fd = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            found = os.fstat(fd)
            first = found.st_size - _NEWEST
            if start is not None:
                first = max(min(first, start if start <= found.st_size else 0), found.st_size - _TAIL)
            first = os.lseek(fd, max(first, 0), os.SEEK_SET)
            return _End(_mark(found), first, found.st_size, os.read(fd, found.st_size - first))
        finally:
            os.close(fd)


def _mark(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _left(text: bytes) -> Left:
    """Return what the end of a reflog tells."""
    others = None
    for line in _lines(text):
        if line.own:
            if others is None:
                return Left(_name(line.new), _name(line.old), moved=False)
            made = others.old != line.old or line.old == line.new
            tip = line.new if made else line.old
            return Left(_name(tip), None, moved=True)
        others = line
    return Left(None, None, moved=others is not None)


def _name(value: bytes) -> bytes | None:
    return value if any(value) else None


def _lines(text: bytes) -> Iterator[Line]:
    """Yield what each whole line says, the newest first."""
    end = len(text)
    while end > 0:
        start = text.rfind(b"\n", 0, end) + 1
        line = _parse(text[start:end])
        if line is not None:
            yield line
        end = start - 1


def _parse(line: bytes) -> Line | None:
    """Return what a line says; None for one that is cut, as the first may be where only the end was read."""
    # A tab ends the time, behind the mail; a name may hold one. `git update-ref` gives no message, and then no tab.
    head, _, rest = line.partition(b">")
    message = rest.partition(b"\t")[2]
    words = head.split(b" ", 2)
    if len(words) < 3:
        return None
    try:
        old, new = bytes.fromhex(words[0].decode("ascii")), bytes.fromhex(words[1].decode("ascii"))
    except ValueError:
        return None
    return Line(old, new, message.startswith(OWN)) if len(old) == len(new) else None
