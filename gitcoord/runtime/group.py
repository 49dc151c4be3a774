"""Group commit: commits that are built but not yet published, for whoever publishes next.

A writer builds its commit on the newest one that was built, published or not, and leaves a line here; then one process
at a time syncs all that is here and moves the ref to the newest. So many operations ride on one sync and one swap,
each in a commit that its own process made.

The file is a hint and no more: it is believed only while its chain starts at the ref's value, in this boot, and for a
few seconds. A writer that died in between leaves a commit that the next ones publish with theirs, or that nobody does;
either way it was not acknowledged. Correctness rests on the compare-and-swap alone.
"""

from __future__ import annotations

import json
import os
import zlib

from gitcoord.model_time import Stamp
from gitcoord.runtime.files import refused
from gitcoord.values import Any, NamedTuple, cast

BELIEVED_MS = 3000
_READS = 20
_HEAD = 16


class Pending(NamedTuple):
    """A chain of commits on `base`, oldest first, and where each one's new objects lie in the spool.

    Attributes:
        base: the newest published commit when the first of the chain was built.
        commits: those that are built and not published.
        places: the offset and the size of each one's objects in the spool.
        spool: which turn through the spool it is, and where it ends.
    """

    base: bytes
    commits: tuple[bytes, ...]
    places: tuple[tuple[int, int], ...]
    spool: tuple[str, int] = ("", 0)

    @property
    def head(self) -> bytes:
        """The newest commit."""
        return self.commits[-1] if self.commits else self.base

    def after(self, tip: bytes) -> Pending | None:
        """Return what of the chain lies beyond the tip; None where the chain does not start there."""
        if tip == self.base:
            return self
        if tip not in self.commits:
            return None
        at = self.commits.index(tip) + 1
        return Pending(tip, self.commits[at:], self.places[at:], self.spool)


class PendingFile:
    """The file in the runtime directory that holds the chain. Written under the build lock only; read by anybody.

    Written in place, for a file that is replaced costs a disk's turn on some file systems. A reader that meets half of
    a write sees that by the checksum and reads again.
    """

    def __init__(self, runtime: str, name: str = "pending", believed_ms: int = BELIEVED_MS) -> None:
        """Use the file of this name in this runtime directory; what it says is believed for so long."""
        self._path = os.path.join(runtime, name)
        self._believed_ms = believed_ms

    def read(self, now: Stamp, *, however_old: bool = False) -> Pending | None:
        """Return the chain as it was written, or None where there is none to be believed.

        Args:
            now: now, on this machine.
            however_old: for a writer that looks for its own commit: it lives, so the chain's age says nothing.
        """
        found = self._read_sound()
        try:
            if found is None or found["boot"] != now.boot:
                return None
            if now.uptime_ms - found["uptime_ms"] > self._believed_ms and not however_old:
                return None
        except (KeyError, TypeError):
            return None
        return self._parsed(found)

    def read_last(self) -> Pending | None:
        """Return the chain that was written last, of whatever boot and age: what this clone knows of the log's end."""
        found = self._read_sound()
        return None if found is None else self._parsed(found)

    @staticmethod
    def _parsed(found: dict[str, Any]) -> Pending | None:
        try:
            rows = cast("list[list[Any]]", found["chain"])
            return Pending(
                bytes.fromhex(found["base"]),
                tuple(bytes.fromhex(row[0]) for row in rows),
                tuple((int(row[1]), int(row[2])) for row in rows),
                (str(found["turn"]), int(found["end"])),
            )
        except (ValueError, KeyError, TypeError, IndexError):
            return None

    def _read_sound(self) -> dict[str, Any] | None:
        for _ in range(_READS):
            try:
                fd = os.open(self._path, os.O_RDONLY)
                try:
                    data = os.read(fd, os.fstat(fd).st_size)
                finally:
                    os.close(fd)
                check, size = int(data[:8], 16), int(data[8:16], 16)
                body = data[_HEAD : _HEAD + size]
                if zlib.crc32(body) == check and len(body) == size:
                    return json.loads(body)
            except (OSError, ValueError):
                continue
        return None

    def write(self, pending: Pending, now: Stamp) -> None:
        """Replace the chain.

        Raises:
            StorageFault: the file system refused.
        """
        chain = [[oid.hex(), *place] for oid, place in zip(pending.commits, pending.places, strict=True)]
        turn, end = pending.spool
        found = {
            "boot": now.boot,
            "uptime_ms": now.uptime_ms,
            "base": pending.base.hex(),
            "turn": turn,
            "end": end,
            "chain": chain,
        }
        body = json.dumps(found, separators=(",", ":")).encode()
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.write(fd, b"%08x%08x" % (zlib.crc32(body), len(body)) + body)
            finally:
                os.close(fd)
        except OSError as error:
            raise refused(self._path, error) from error
