"""The small packs that gitcoord writes: found, read, and written whole.

Each publication puts its commits' objects into one pack, for making ten files costs more than all the rest of a write.
The packs lie in `gitcoord/objects/pack`, which no `repack` of the user's touches, and git reads them like its own. A
pack's name begins with a mark, a level (`gitcoord.store.merging`) and the inverse of its time: in the order of names
the newest of the smallest come first. Packs without the mark are git's work, from a fetch or from packing what is old
(`gitcoord.store.deltas`): they are read after the others, and never touched.

A pack counts for anybody once its list is there. The list comes last, complete, by renaming.
"""

from __future__ import annotations

import os
import zlib
from _thread import RLock
from collections.abc import Sequence

from gitcoord.store.disk import read_whole, remove, storage_fault, sync_directory, sync_files, write_new
from gitcoord.store.entries import DamagedEntryError, Listing, Place, parse_entry
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from gitcoord.store.deltas import Deltas

MARK = "pack-636f6f7264"
"""How the names of packs begin that gitcoord's own code has written."""

_LIST = ".idx"
_PACK = ".pack"
_LEVEL_AT = len(MARK)
# A pack up to this size is read at once and kept; of a larger one, what is asked for.
_READ_WHOLE = 1 << 18
_TRIES = 3
_TIME_DIGITS = 12
_new = cast("Any", tuple).__new__


class Found(NamedTuple):
    """What the packs have of an object: kind and body, or nothing sound; and the packs in which it is damaged.

    Attributes:
        good: kind and body.
        bad: the paths of those packs.
        named: whether it was held against its name.
    """

    good: tuple[bytes, bytes] | None
    bad: list[str]
    named: bool = False


def level_of(name: str) -> int:
    """Return the level in a pack's name."""
    return int(name[_LEVEL_AT], 16)


def pack_name(level: int, at_ms: int, check: bytes) -> str:
    """Return the name of a new pack, without its ending.

    Args:
        level: 0 to 15.
        at_ms: the time; only the order of names hangs on it.
        check: the pack's checksum, whose length the name has.
    """
    inverse = 16**_TIME_DIGITS - 1 - at_ms
    rest = 2 * len(check) - (len(MARK) - len("pack-")) - 1 - _TIME_DIGITS
    return f"{MARK}{level:x}{inverse:0{_TIME_DIGITS}x}{check.hex()[:rest]}"


def put_pack(
    directory: str, temporary: str, name: str, content: tuple[bytes, bytes], *, sync: bool, beside: Sequence[str] = ()
) -> None:
    """Put a pack and its list where all of git sees them.

    Args:
        directory: the object directory's `pack`; made if it is missing.
        temporary: the path under which the files may be written first, less an ending.
        name: of the pack, without its ending.
        content: the pack and the list.
        sync: whether both must have reached the disk on return.
        beside: files that are synced with them, where there is anything to sync.

    Raises:
        StorageFault: the system could not; git then sees nothing of them.
    """
    rough = [temporary + _PACK, temporary + _LIST]
    final = [f"{directory}/{name}{_PACK}", f"{directory}/{name}{_LIST}"]
    try:
        for path, data in zip(rough, content, strict=True):
            _write(path, data, sync=sync)
        if sync:
            sync_files(rough, directories=False, beside=beside)
        for path, place in zip(rough, final, strict=True):
            _move(path, place)
        # Who was stopped for a day between the two moves may find the first one swept away.
        os.stat(final[0])
    except OSError as error:
        for path in rough:
            remove(path)
        raise storage_fault(error, final[0]) from error
    if sync:
        sync_directory(directory)


def _write(path: str, data: bytes, *, sync: bool) -> None:
    try:
        write_new(path, data, mode=0o444, sync=sync and os.name == "nt")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        write_new(path, data, mode=0o444, sync=sync and os.name == "nt")


def _move(path: str, place: str) -> None:
    try:
        os.replace(path, place)
    except FileNotFoundError:
        directory = os.path.dirname(place)
        os.makedirs(directory, 0o700, exist_ok=True)
        os.replace(path, place)
        sync_directory(os.path.dirname(directory))


class _Pack:
    """One pack that was seen, and what of it was read."""

    __slots__ = ("_base", "_data", "_fd", "_listing", "_oid_size", "path")
    named = False
    """Whether what is read is held against its name."""

    def __init__(self, base: str, oid_size: int) -> None:
        """Touch no file yet: most looks are for what is in the newest packs."""
        self._base = base
        self._oid_size = oid_size
        self._listing: Listing | None = None
        self._data: bytes | None = None
        self._fd = -1
        self.path = base + _PACK

    @property
    def listing(self) -> Listing:
        """The list of what is in the pack.

        Raises:
            FileNotFoundError: the pack or its list has gone.
            ValueError: the list is damaged.
            StorageFault: it could not be read.
        """
        if self._listing is None:
            data = read_whole(self._base + _LIST)
            self._listing = Listing(data, self._oid_size, os.stat(self.path).st_size)
        return self._listing

    def read(self, place: Place) -> bytes:
        """Return an entry's bytes, fewer where the file is shorter.

        Raises:
            FileNotFoundError: the pack has gone.
        """
        if self._data is None and self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            if os.fstat(self._fd).st_size <= _READ_WHOLE:
                self._data = os.read(self._fd, _READ_WHOLE)
                self.close()
        if self._data is not None:
            return self._data[place.start : place.end]
        os.lseek(self._fd, place.start, os.SEEK_SET)
        return os.read(self._fd, max(0, place.end - place.start))

    def get(self, oid: bytes) -> tuple[bytes, bytes] | None:
        """Return the kind and the body of an object, given its name; None where it is not in the pack.

        Raises:
            DamagedEntryError: it is damaged there.
            FileNotFoundError: the pack or its list has gone.
            ValueError: the list is damaged.
            StorageFault: it could not be read.
        """
        place = (self._listing or self.listing).find(oid)
        if place is None:
            return None
        data = self.read(place)
        # The checksum in the list is of exactly these bytes: they need not be held against the name.
        found = parse_entry(data) if data and zlib.crc32(data) == place.check else None
        if found is None:
            raise DamagedEntryError
        return found

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _GitPack(_Pack):
    """A pack of git's making that was seen."""

    __slots__ = ("_deltas", "_map")
    named = True

    def __init__(self, base: str, oid_size: int) -> None:
        super().__init__(base, oid_size)
        self._deltas: Deltas | None = None
        self._map: Any = None

    def get(self, oid: bytes) -> tuple[bytes, bytes] | None:
        start = (self._listing or self.listing).start_of(oid)
        return None if start is None else (self._deltas or self._opened()).read(oid, start)

    def _opened(self) -> Deltas:
        """Return the entries.

        Raises:
            DamagedEntryError: the file is empty, or cannot be mapped.
        """
        import mmap

        from gitcoord.store.deltas import Deltas

        fd = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            self._map = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError) as error:
            raise DamagedEntryError from error
        finally:
            os.close(fd)
        self._deltas = Deltas(self._map, self.listing, self._oid_size)
        return self._deltas

    def close(self) -> None:
        super().close()
        self._deltas = None
        if self._map is not None:
            self._map.close()
            self._map = None


class Packs:
    """Reads the packs of one directory, and lists the marked ones.

    Safe for several threads, and while others write and merge packs.

    Args:
        directory: where they lie; it may be missing.
        oid_size: how many bytes an object's name has.
    """

    def __init__(self, directory: str, oid_size: int) -> None:
        """Open; touches no file."""
        self.directory = directory
        self._oid_size = oid_size
        self._packs: dict[str, _Pack] = {}
        self._unreadable: set[str] = set()
        self._last: _Pack | None = None
        self._guard = RLock()

    def names(self) -> list[str]:
        """Return the names of the marked packs that are there, without their endings, in order.

        Raises:
            StorageFault: the directory could not be listed.
        """
        return [name for name in self._listed() if name.startswith(MARK)]

    def _listed(self) -> list[str]:
        """Return the names of all packs, the marked ones first: they hold what is new."""
        try:
            listed = os.listdir(self.directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise storage_fault(error, self.directory) from error
        names = sorted(name[: -len(_LIST)] for name in listed if name.startswith("pack-") and name.endswith(_LIST))
        return sorted(names, key=lambda name: not name.startswith(MARK))

    def unreadable(self) -> list[str]:
        """Return the paths of those lists that were found to be damaged."""
        return [f"{self.directory}/{name}{_LIST}" for name in sorted(self._unreadable)]

    def refresh(self) -> bool:
        """Look at the directory again, and say whether there is a pack that was not known."""
        with self._guard:
            names = self._listed()
            new = any(name not in self._packs for name in names)
            known: dict[str, _Pack] = {}
            for name in names:
                kind = _Pack if name.startswith(MARK) else _GitPack
                known[name] = self._packs.get(name) or kind(f"{self.directory}/{name}", self._oid_size)
            for name in self._packs.keys() - known.keys():
                self._packs[name].close()
            self._packs = known
            self._last = None
            self._unreadable &= known.keys()
            return new

    def read(self, oid: bytes) -> Found:
        """Return what the known packs have of an object; looks at the directory only where a known pack has gone.

        Raises:
            StorageFault: a file could not be read.
        """
        with self._guard:
            last = self._last
            if last is not None:
                # What belongs together was written together: the pack that had the last one is asked first.
                try:
                    found = last.get(oid)
                except (DamagedEntryError, FileNotFoundError):
                    found = None
                if found is not None:
                    return _new(Found, (found, [], last.named))
            for _ in range(_TRIES):
                try:
                    return self._read(oid)
                except FileNotFoundError:
                    self.refresh()
            return self._read(oid)

    def _read(self, oid: bytes) -> Found:
        bad: list[str] = []
        for name, pack in self._packs.items():
            if name in self._unreadable:
                continue
            try:
                found = pack.get(oid)
            except ValueError:
                self._unreadable.add(name)
                continue
            except DamagedEntryError:
                bad.append(pack.path)
                continue
            if found is not None:
                self._last = pack
                return _new(Found, (found, bad, pack.named))
        return Found(None, bad)

    def listed(self, name: str) -> list[bytes]:
        """Return the names of the objects in one pack.

        Raises:
            FileNotFoundError: the pack has gone.
            ValueError: its list is damaged.
        """
        return _Pack(f"{self.directory}/{name}", self._oid_size).listing.names()

    def entries(self, name: str, new_hash: Any) -> dict[bytes, bytes] | None:
        """Return all entries of one pack by object name, as they are; None where any is damaged or a delta.

        Args:
            name: of the pack, without its ending.
            new_hash: `hashlib`'s function of the repository's object format.

        Raises:
            FileNotFoundError: the pack has gone.
            StorageFault: it could not be read.
        """
        try:
            listing = _Pack(f"{self.directory}/{name}", self._oid_size).listing
        except ValueError:
            return None
        return listing.cut(read_whole(f"{self.directory}/{name}{_PACK}"), new_hash)

    def close(self) -> None:
        """Close all files; what is asked next is found again."""
        with self._guard:
            for pack in self._packs.values():
                pack.close()
            self._packs, self._last = {}, None


def retire(directory: str, name: str) -> None:
    """Take a pack's list away: nobody finds the pack any more, and who has found it can still read it.

    Raises:
        StorageFault: it stays.
    """
    remove(f"{directory}/{name}{_LIST}")


def discard(directory: str, name: str) -> None:
    """Take the rest of a retired pack away.

    Raises:
        StorageFault: it stays.
    """
    remove(f"{directory}/{name}{_PACK}")


def is_retired(directory: str, name: str) -> bool:
    """Tell whether a pack has no list."""
    return not os.path.lexists(f"{directory}/{name}{_LIST}")
