"""The few file operations of the store, with one rule: a final name never holds half a file.

Errors of the file system come out as `StorageFault` with the path and the system's own words, except those that a
caller gets to see because it asked for them (a missing file, a file that exists already).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from gitcoord.errors import StorageFault
from gitcoord.store.syncing import Flush, sync_at_once

_BINARY: int = getattr(os, "O_BINARY", 0)
# Windows refuses to flush a handle that was opened for reading: there a file is flushed by who writes it.
SYNCS_AT_WRITE = os.name == "nt"
_WAYS_OUT = {
    errno.ENOSPC: "free some disk space, then try again",
    errno.EDQUOT: "free some of your disk quota, then try again",
    errno.EROFS: "the file system is mounted read-only: remount it writable, or work in a clone elsewhere",
    errno.EACCES: "check the owner and the rights of that path, then: gitcoord doctor",
    errno.EPERM: "check the owner and the rights of that path, then: gitcoord doctor",
    errno.ENOENT: "gitcoord doctor",
}


def storage_fault(error: OSError, path: str) -> StorageFault:
    """Return the fault that tells what the system said about a path, and the way out.

    Args:
        error: what was raised.
        path: the file that the caller meant; the error itself may name a temporary one.
    """
    reason = os.strerror(error.errno) if error.errno else str(error)
    way_out = _WAYS_OUT.get(error.errno or 0, "gitcoord doctor")
    return StorageFault(f"{path}: {reason}", next=way_out, path=path)


def read_whole(path: str) -> bytes:
    """Return a file's content.

    Raises:
        FileNotFoundError: nothing is there, or a directory stands on the way.
        StorageFault: anything else that the system said.
    """
    try:
        fd = os.open(path, os.O_RDONLY | _BINARY)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
    except OSError as error:
        raise storage_fault(error, path) from error
    try:
        data = os.read(fd, 65536)
        if len(data) < 65536:
            return data
        parts = [data]
        while data := os.read(fd, 1 << 20):
            parts.append(data)
        return b"".join(parts)
    except IsADirectoryError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
    except OSError as error:
        raise storage_fault(error, path) from error
    finally:
        os.close(fd)


def write_new(path: str, data: bytes, *, mode: int, sync: bool, reserve: bool = False) -> None:
    """Write a file that was not there; a failure leaves none behind, a `kill -9` may leave half of it.

    Args:
        path: a temporary name: who reads half a file under it must not mind.
        data: the whole content.
        mode: the rights, before the umask.
        sync: whether the content must have reached the disk on return.
        reserve: take its blocks at once. ext4 brings a file whose blocks are yet to be taken to the disk when it is
            renamed over another; who does not sync does not want to pay for that either.

    Raises:
        OSError: what the system said, `FileExistsError` and `FileNotFoundError` among it.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
    try:
        try:
            if reserve:
                _reserve(fd, len(data))
            written = os.write(fd, data)
            while written < len(data):
                written += os.write(fd, data[written:])
            if sync:
                _flush(fd)
        finally:
            # Closing may be the moment at which a network file system says that the disk is full.
            os.close(fd)
    except OSError:
        os.unlink(path)
        raise


def write_over(path: str, data: bytes, *, sync: bool) -> None:
    """Write over a file of the same length where it lies.

    Args:
        path: a file that nobody reads meanwhile.
        data: the whole content.
        sync: whether it must have reached the disk on return.

    Raises:
        OSError: what the system said.
    """
    fd = os.open(path, os.O_WRONLY | _BINARY)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if sync:
            _flush_content(fd)
    finally:
        os.close(fd)


def _reserve(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError:
            return  # it is only about speed, and writing will tell whether the disk is full


def remove(path: str) -> bool:
    """Remove a file and say whether it was there.

    Raises:
        StorageFault: it is there and stays.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise storage_fault(error, path) from error
    return True


if sys.platform == "darwin":
    import fcntl

    def _flush(fd: int) -> None:
        # macOS's fsync only reaches the drive's cache.
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError:
            os.fsync(fd)

    _flush_content = _flush

else:

    def _flush(fd: int) -> None:
        os.fsync(fd)

    def _flush_content(fd: int) -> None:
        # Where a file keeps its length and its blocks, its times need no turn of the disk.
        if hasattr(os, "fdatasync"):
            os.fdatasync(fd)
        else:
            os.fsync(fd)


def sync_directory(path: str) -> None:
    """Bring a directory's entries to the disk; does nothing where the system has no such call.

    Raises:
        StorageFault: the system could not.
    """
    if os.name != "nt":
        _sync_at_once([(path, _flush)])


def sync_files(paths: list[str], *, directories: bool = True, beside: Sequence[str] = ()) -> None:
    """Bring files to the disk, then the directories that name them.

    All files are waited for at once, and then all directories: a disk that is told to write out several things in one
    moment takes hardly longer than for one. A directory may be among the paths; then the entry in its own parent is
    meant.

    Args:
        paths: what was written since the last time; may repeat.
        directories: False leaves those to the caller, who has yet to give the files their names.
        beside: files that were written over where they lie, for which no directory need be synced.

    Raises:
        StorageFault: the system could not, or one of them has vanished.
    """
    if SYNCS_AT_WRITE:
        return
    parents = dict.fromkeys(os.path.dirname(path) for path in paths)
    files = [(path, _flush) for path in dict.fromkeys(paths) if path not in parents]
    _sync_at_once([*files, *((path, _flush_content) for path in beside)])
    if directories:
        _sync_at_once([(path, _flush) for path in parents])


def _sync_at_once(rows: Sequence[tuple[str, Flush]]) -> None:
    failed = sync_at_once(rows)
    if failed is not None:
        raise storage_fault(failed.error, failed.path) from failed.error
