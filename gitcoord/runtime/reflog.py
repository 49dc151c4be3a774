"""Reading the reflog of the log's ref: which tips did another program set it away from?

gitcoord's own lines begin with `coord: `. A line of anything else is a fetch, a push into this clone, or somebody's
`git update-ref`: what stood there before may be nowhere now.
"""

from __future__ import annotations

_TAIL = 1 << 18
_NEWEST = 1 << 13
OWN = b"coord: "


def moved_by_others(path: str, start: int) -> tuple[bool, int]:
    """Tell whether another program moved the ref since its reflog had a size, and what size that is now.

    Args:
        path: the reflog.
        start: the size at which that was last asked; only what was added since is read.
    """
    text, size = _added(path, start)
    return text.count(b"\t" + OWN) < text.count(b"\n"), size


def lost_tips(path: str, start: int) -> tuple[list[bytes], int]:
    """Return the tips that lines of other programs replaced, and the file's size now.

    Args:
        path: the reflog.
        start: the size at which it was last looked at; only what was added since is read.
    """
    text, size = _added(path, start)
    found: dict[bytes, None] = {}
    for line in text.split(b"\n"):
        old = _replaced(line)
        if old is not None and any(old):
            found[old] = None
    return list(found), size


def moved_from(path: str) -> bytes | None:
    """Return the last tip that gitcoord itself set, where another program has moved the ref since; else None.

    Where that program made the ref, it is a name of zeros.

    Args:
        path: the reflog.
    """
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - _NEWEST))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    found = None
    for line in reversed(lines):
        if line:
            old = _replaced(line)
            if old is None:
                return found
            found = old
    return found


def _replaced(line: bytes) -> bytes | None:
    """Return what stood before a line of another program than gitcoord; None for its own, and for what is none."""
    head, _, message = line.partition(b"\t")  # `git update-ref` gives no message, and then no tab
    words = head.split(b" ", 2)
    if message.startswith(OWN) or len(words) < 3:
        return None
    try:
        return bytes.fromhex(words[0].decode("ascii"))
    except ValueError:
        return None


def _added(path: str, start: int) -> tuple[bytes, int]:
    """Return what a reflog has after a size, and its size now; nothing where there is no reflog."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0 if start > size else start, size - _TAIL))
            return file.read(), size
    except OSError:
        return b"", 0
