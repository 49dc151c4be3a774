"""What a process has built, or was told of by those who build beside it, before anybody looks for it in a file.

Forgets the oldest when much has come after it: by then it is published, and lies in a pack, or never will be.
"""

from __future__ import annotations

from gitcoord.store.entries import Object
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROTATES_AT = 6 << 20
"""Bytes after which the older half is forgotten: far more than a chain of unpublished commits may have."""

_OVERHEAD = 200


class Fresh:
    """Objects by name, and the new objects of each commit. Safe for several threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._young: tuple[dict[bytes, Object], dict[bytes, Sequence[Object]]] = ({}, {})
        self._old: tuple[dict[bytes, Object], dict[bytes, Sequence[Object]]] = ({}, {})
        self._bytes = 0

    def keep(self, found: Object) -> None:
        """Remember an object; nothing is forgotten for it before the next `note`."""
        self._young[0][found.oid] = found
        self._bytes += len(found.body) + _OVERHEAD

    def note(self, commit: bytes, objects: Sequence[Object]) -> None:
        """Remember what is new with a commit, itself among it."""
        if self._bytes > ROTATES_AT:
            self._young, self._old, self._bytes = ({}, {}), self._young, 0
        by_oid, by_commit = self._young
        for found in objects:
            by_oid[found.oid] = found
            self._bytes += len(found.body) + _OVERHEAD
        by_commit[commit] = objects

    def get(self, oid: bytes) -> Object | None:
        """Return an object that is remembered."""
        return self._young[0].get(oid) or self._old[0].get(oid)

    def chunk(self, commit: bytes) -> Sequence[Object] | None:
        """Return what is new with a commit that is remembered."""
        return self._young[1].get(commit) or self._old[1].get(commit)
