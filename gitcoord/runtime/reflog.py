"""Reading the reflog of the log's ref: which tips did another program set it away from?

gitcoord's own lines begin with `coord: `. A line of anything else is a fetch, a push into this clone, or somebody's
`git update-ref`: what stood there before may be nowhere now.
"""

from __future__ import annotations

_TAIL = 1 << 18
OWN = b"coord: "


def lost_tips(path: str, start: int) -> tuple[list[bytes], int]:
    """Return the tips that lines of other programs replaced, and the file's size now.

    Args:
        path: the reflog.
        start: the size at which it was last looked at; only what was added since is read.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            if start > size:
                start = 0
            file.seek(max(start, size - _TAIL))
            text = file.read()
    except OSError:
        return [], 0
    found: dict[bytes, None] = {}
    for line in text.split(b"\n"):
        head, tab, message = line.partition(b"\t")
        words = head.split(b" ", 2)
        if not tab or message.startswith(OWN) or len(words) < 3:
            continue
        try:
            old = bytes.fromhex(words[0].decode("ascii"))
        except ValueError:
            continue
        if any(old):
            found[old] = None
    return list(found), size
