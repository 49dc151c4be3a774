"""How far this clone's log was verified: so that verifying again after one operation takes a moment.

The memory is a file in the runtime directory. Nothing but a whole and good verification writes it, and no ref, fetch or
commit can: it names the commit that was verified by its object name, and what is behind that name cannot change. Who
can write the runtime directory can write it too, and could as well replace the program.

It also holds a short hash of every operation's id, for an id is never used twice, and what was found on the way that a
reader ought to look at, the newest of it, so that who asks again is told again.
"""

from __future__ import annotations

import hashlib
import json

from gitcoord import __version__
from gitcoord.errors import StorageFault
from gitcoord.model import FORMAT, RULES
from gitcoord.runtime.files import parse_object, remove, write_whole
from gitcoord.store.disk import read_whole
from gitcoord.values import Any, NamedTuple

DIGEST_SIZE = 16
_MAKER = f"{__version__} {FORMAT} {RULES} 3"


class Memory(NamedTuple):
    """What was verified.

    Attributes:
        tip: the newest commit.
        repository: the log's id.
        merges: whether there are merges behind it.
        tally: what was found (`Tally.remembered`).
        root: the fingerprint of the log's root, where it has one.
        ids: the digests of the ids of all operations behind the tip, and in it.
    """

    tip: bytes
    repository: str
    merges: bool
    tally: dict[str, Any]
    ids: frozenset[bytes] | set[bytes]
    root: str | None = None


def digest(operation_id: str) -> bytes:
    """Return how an operation's id is remembered."""
    return hashlib.blake2b(operation_id.encode(errors="surrogatepass"), digest_size=DIGEST_SIZE).digest()


class MemoryFile:
    """The file.

    Args:
        runtime: the runtime directory.
    """

    def __init__(self, runtime: str) -> None:
        """Use `verified` there."""
        self._path = f"{runtime}/verified"

    def read(self) -> Memory | None:
        """Return what was remembered; None where nothing was, by another version, or the file is damaged."""
        kept = read_kept(self._path)
        if kept is None:
            return None
        head, found = kept
        return Memory(
            bytes.fromhex(head["tip"]), head["repository"], head["merges"], head["tally"], found, head["root"]
        )

    def write(self, memory: Memory) -> None:
        """Remember; a file system that refuses only makes the next run longer."""
        head: dict[str, Any] = {
            "tip": memory.tip.hex(),
            "repository": memory.repository,
            "merges": memory.merges,
            "tally": memory.tally,
            "root": memory.root,
        }
        write_kept(self._path, head, memory.ids)

    def forget(self) -> None:
        """Remember nothing."""
        remove(self._path)


def read_kept(path: str) -> tuple[dict[str, Any], set[bytes]] | None:
    """Return what a file of this kind says first, and its digests; None where it is not there, or not to be used."""
    try:
        content = read_whole(path)
    except (FileNotFoundError, StorageFault):
        return None
    line, _, ids = content.partition(b"\n")
    head = parse_object(line)
    if head.get("maker") != _MAKER or head.get("sum") != _checksum(head, ids):
        return None
    return head, {ids[at : at + DIGEST_SIZE] for at in range(0, len(ids), DIGEST_SIZE)}


def write_kept(path: str, head: dict[str, Any], digests: frozenset[bytes] | set[bytes]) -> None:
    """Write what `read_kept` returns; a file system that refuses is let be."""
    ids = b"".join(digests)
    head = {**head, "maker": _MAKER}
    head["sum"] = _checksum(head, ids)
    try:
        write_whole(path, json.dumps(head, sort_keys=True).encode() + b"\n" + ids)
    except StorageFault:
        return


def _checksum(head: dict[str, Any], ids: bytes) -> str:
    """Return a checksum of a memory: against damage, not against anybody."""
    rest = {name: value for name, value in head.items() if name != "sum"}
    return hashlib.blake2b(json.dumps(rest, sort_keys=True).encode() + ids, digest_size=16).hexdigest()
