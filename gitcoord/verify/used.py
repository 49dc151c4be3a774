"""Which operation ids are used up: an id is never used twice, so what arrives is held against all that went before.

Reading every commit behind a good tip for that would make the smallest fetch as long as the log. So the ids behind one
commit are kept in a file, and what lies between that commit and the tip is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord.errors import IntegrityFault, ObjectMissing
from gitcoord.values import NamedTuple
from gitcoord.verify.evidence import Reader, Seen
from gitcoord.verify.history import Missing, between
from gitcoord.verify.memory import Memory, MemoryFile, digest, read_kept, write_kept


class Ids(NamedTuple):
    """Which operations' ids lie behind a commit.

    Attributes:
        tip: the commit.
        merges: whether there are merges behind it.
        ids: the digests of the ids of all operations behind it, and in it.
    """

    tip: bytes
    merges: bool
    ids: frozenset[bytes] | set[bytes]


class IdsFile:
    """A file that remembers ids between fetches, so that not all of the history has to be read for them again.

    It proves nothing: it says of one commit, by its object name, what lies behind it, and is written only where what
    lies behind it was judged on arrival.

    Args:
        runtime: the runtime directory.
    """

    def __init__(self, runtime: str) -> None:
        """Use `arrived` there."""
        self._path = f"{runtime}/arrived"

    def read(self) -> Ids | None:
        """Return what was remembered; None where nothing was, by another version, or the file is damaged."""
        kept = read_kept(self._path)
        return None if kept is None else Ids(bytes.fromhex(kept[0]["tip"]), kept[0]["merges"], kept[1])

    def write(self, known: Ids) -> None:
        """Remember; a file system that refuses only makes the next look longer."""
        write_kept(self._path, {"tip": known.tip.hex(), "merges": known.merges}, known.ids)


def remembered_ids(runtime: str, good: bytes) -> Memory | Ids | None:
    """Return what is remembered of the ids behind a good commit: by verifying what arrived, or by `verify`."""
    found = IdsFile(runtime).read()
    if found is not None and found.tip == good:
        return found
    verified = MemoryFile(runtime).read()
    return verified if found is None or (verified is not None and verified.tip == good) else found


def ids_behind(reader: Reader, tip: bytes, remembered: Memory | Ids | None) -> tuple[set[bytes], bool]:
    """Return the digests of the ids on the history behind a good commit, and whether it has merges.

    Read from the messages, which is quick, and right for a history that was judged before.

    Args:
        reader: reads commits.
        tip: the good commit; its own ids count.
        remembered: what need not be read again, if it lies behind the tip.
    """
    if remembered is not None:
        try:
            history = between(reader, remembered.tip, tip)
        except (Missing, IntegrityFault):
            history = None
        if history is not None and history.grown:
            found = set(remembered.ids)
            for seen in (*history.edges, *history.commits):
                found.update(_stated_ids(seen if seen.body else reader.seen(seen.oid)))
            return found, remembered.merges or any(len(seen.parents) > 1 for seen in history.commits)
    return _all_ids_behind(reader, tip)


def _all_ids_behind(reader: Reader, tip: bytes) -> tuple[set[bytes], bool]:
    found, done = set[bytes](), set[bytes]()
    has_merges, stack = False, [tip]
    while stack:
        oid = stack.pop()
        if oid in done:
            continue
        done.add(oid)
        try:
            seen = reader.seen(oid)
        except ObjectMissing:
            continue  # the end of a shallow history
        found.update(_stated_ids(seen))
        has_merges = has_merges or len(seen.parents) > 1
        stack.extend(seen.parents)
    return found, has_merges


def _stated_ids(seen: Seen) -> Iterator[bytes]:
    for line in seen.body.partition(b"\n\n")[2].split(b"\n"):
        if line.startswith(b"Coord-Id: "):
            yield digest(line[10:].decode(errors="replace"))
