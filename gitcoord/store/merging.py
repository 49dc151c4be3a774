"""Merging small packs into larger ones, so that nobody ever sees more than a few dozen.

Packs have levels. A publication writes one of level 0; when there are `FAN` of a level they become one of the next, by
copying their entries as they are. So each object is copied once a level, and a log of a hundred thousand commits lies
in some fifty packs. A writer does it after its own answer is sure, outside of the locks that order writers; of several
processes one does it, the others do not wait.

The merged pack is on the disk and in its place before the lists of the small ones go; without their lists nobody finds
them, but who has found them can still read them for a while. Everything is copied, whether the log reaches it or not:
what was built and is not yet published is nobody's business here. So what was built for a push that failed, or in a
chain that another swap voided, stays: a few kilobytes for each operation that was decided again. When `doctor` has git
pack the history, what nothing reaches goes with time (`gitcoord.store.unreached`).
"""

from __future__ import annotations

import os

from gitcoord.runtime.machine import wall_ms
from gitcoord.runtime.oslock import OsLock
from gitcoord.store.disk import read_whole, storage_fault
from gitcoord.store.packs import Packs, discard, is_retired, level_of, retire
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.store.objects import ObjectStore

FAN = 12
_HIGHEST = 15
_FANS_AT_ONCE = 4
# What is merged is held in memory; more than this stays as it is, for `doctor` to have git pack it.
_LARGEST = 64 << 20
# How long a pack without its list stays, for those who had found it.
GRACE_MS = 60_000
_RETIRED_AT_MOST = 96


def merge_packs(store: ObjectStore) -> int:
    """Merge packs of a level of which there are enough, and return how many went into others.

    Does nothing while another process does it. A death at any point loses nothing: at worst something is there twice,
    until the next merge.

    Raises:
        StorageFault: the system could not; nothing is lost.
    """
    if _full_level(Packs(store.pack_directory, store.oid_size).names()) is None:
        return 0
    turn = OsLock(f"{store.runtime}/merge.lock")
    if not turn.try_acquire():
        return 0
    try:
        return _Merging(store).run()
    finally:
        turn.release()


def _full_level(names: list[str], least: int = 0) -> int | None:
    """Return the lowest level, from `least` on, of which there are enough packs.

    Not the lowest alone: who merged before may have died on the way up.
    """
    counts = [0] * _HIGHEST
    for name in names:
        if level_of(name) < _HIGHEST:
            counts[level_of(name)] += 1
    return next((level for level in range(least, _HIGHEST) if counts[level] >= FAN), None)


class _Merging:
    """One process's turn at merging."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._packs = Packs(store.pack_directory, store.oid_size)
        self._directory = store.pack_directory
        self._retired = f"{store.runtime}/retired"

    def run(self) -> int:
        went, above = 0, 0
        while (level := _full_level(self._packs.names(), above)) is not None:
            above = level + 1
            names = [name for name in self._packs.names() if level_of(name) == level]
            # The oldest first; more at once than a level can have unless many died here would take ever longer.
            names = names[-_FANS_AT_ONCE * FAN :]
            if sum(self._size(name) for name in names) <= _LARGEST:
                went += self._merge(names, above)
        return went

    def _size(self, name: str) -> int:
        try:
            return os.stat(f"{self._directory}/{name}.pack").st_size
        except FileNotFoundError:
            return 0

    def _merge(self, names: list[str], level: int) -> int:
        """Copy what is sound; a pack in which anything is damaged stays as it is, to be seen by who looks."""
        entries: dict[bytes, bytes] = {}
        merged: list[str] = []
        for name in reversed(names):
            try:
                found = self._packs.entries(name, self._store.hash_function)
            except FileNotFoundError:
                continue
            if found is not None:
                entries |= found
                merged.append(name)
        if len(merged) < 2:
            return 0
        self._store.put(entries, level=level, sync=True)
        retire_packs(self._directory, self._retired, merged)
        return len(merged)


def retire_packs(directory: str, noted_in: str, names: list[str]) -> None:
    """Take the lists of packs away whose objects lie elsewhere by now, and the rest of those that went long ago.

    The caller holds the merge lock.

    Args:
        directory: where the packs lie.
        noted_in: the file that says which were retired when.
        names: of the packs, without their endings.

    Raises:
        StorageFault: one of the files stays.
    """
    now_ms = wall_ms()
    noted = [*_noted(noted_in), *((now_ms, name) for name in names)]
    # Noted before it is done: a note without a deed is passed over, a deed without a note would be litter for ever.
    keep = [row for row in noted[-_RETIRED_AT_MOST:] if 0 <= now_ms - row[0] <= GRACE_MS]
    kept = {name for _, name in keep}
    over = [name for _, name in noted if name not in kept]
    _write_notes(noted_in, [*((0, name) for name in over), *keep])
    for name in names:
        retire(directory, name)
    for name in over:
        if is_retired(directory, name):
            discard(directory, name)
    _write_notes(noted_in, keep)


def _noted(path: str) -> list[tuple[int, str]]:
    try:
        lines = read_whole(path).decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return []
    rows = [line.split(" ") for line in lines[1:]]
    # A crash may have left half a line, or the rest of an older text.
    return [(int(row[0]), row[1]) for row in rows if len(row) == 2 and row[0].isdigit() and row[1].startswith("pack-")]


def _write_notes(path: str, rows: list[tuple[int, str]]) -> None:
    text = "retired packs, and when\n" + "".join(f"{at_ms} {name}\n" for at_ms, name in rows)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise storage_fault(error, path) from error
