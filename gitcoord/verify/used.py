"""Which operation ids are used up: an id is never used twice, so what arrives is held against all that went before.

Reading every commit behind a good tip for that would make the smallest fetch as long as the log. So the ids behind one
commit are kept in a file, and what lies between that commit and the tip is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from gitcoord.errors import IntegrityFault, ObjectMissing, StorageFault
from gitcoord.runtime.files import parse_object, write_whole
from gitcoord.store.disk import read_whole
from gitcoord.values import Any, NamedTuple
from gitcoord.verify.evidence import Reader, Seen
from gitcoord.verify.history import Missing, between
from gitcoord.verify.memory import DIGEST_SIZE, MAKER, Memory, MemoryFile, checksum, digest


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
        try:
            content = read_whole(self._path)
        except (FileNotFoundError, StorageFault):
            return None
        line, _, ids = content.partition(b"\n")
        head = parse_object(line)
        if head.get("maker") != MAKER or head.get("sum") != checksum(head, ids):
            return None
        found = {ids[at : at + DIGEST_SIZE] for at in range(0, len(ids), DIGEST_SIZE)}
        return Ids(bytes.fromhex(head["tip"]), head["merges"], found)

    def write(self, known: Ids) -> None:
        """Remember; a file system that refuses only makes the next look longer."""
        ids = b"".join(known.ids)
        head: dict[str, Any] = {"maker": MAKER, "tip": known.tip.hex(), "merges": known.merges}
        head["sum"] = checksum(head, ids)
        try:
            write_whole(self._path, json.dumps(head, sort_keys=True).encode() + b"\n" + ids)
        except StorageFault:
            return


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
