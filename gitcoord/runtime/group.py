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
from typing import Any, NamedTuple, cast

from gitcoord.model_time import Stamp

_BELIEVED_MS = 3000


class Pending(NamedTuple):
    """A chain of commits on `base`, oldest first, and the object files that are to be synced for each."""

    base: bytes
    commits: tuple[bytes, ...]
    files: tuple[tuple[str, ...], ...]

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
        return Pending(tip, self.commits[at:], self.files[at:])


class PendingFile:
    """The file in the runtime directory that holds the chain. Written under the build lock only; read by anybody."""

    def __init__(self, runtime: str) -> None:
        """Use `pending` in this runtime directory."""
        self._path = os.path.join(runtime, "pending")

    def read(self, now: Stamp) -> Pending | None:
        """Return the chain as it was written, or None where there is none to be believed."""
        try:
            with open(self._path, "rb") as file:
                found: Any = json.loads(file.read())
            if found["boot"] != now.boot or not 0 <= now.uptime_ms - found["uptime_ms"] <= _BELIEVED_MS:
                return None
            rows = cast("list[list[Any]]", found["chain"])
            return Pending(
                bytes.fromhex(found["base"]),
                tuple(bytes.fromhex(row[0]) for row in rows),
                tuple(tuple(row[1]) for row in rows),
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None

    def write(self, pending: Pending, now: Stamp) -> None:
        """Replace the chain.

        Raises:
            OSError: the file system refused.
        """
        chain = [[oid.hex(), files] for oid, files in zip(pending.commits, pending.files, strict=True)]
        found = {"boot": now.boot, "uptime_ms": now.uptime_ms, "base": pending.base.hex(), "chain": chain}
        beside = f"{self._path}.new"
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(fd, json.dumps(found, separators=(",", ":")).encode())
        finally:
            os.close(fd)
        os.replace(beside, self._path)
