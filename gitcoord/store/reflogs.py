"""Writing the reflog of the log's ref, as git has it: made where it is missing, and a line added for each move."""

from __future__ import annotations

import errno
import os

from gitcoord.store.disk import storage_fault


def make_reflog(path: str) -> None:
    """Make an empty reflog if there is none; git itself makes none for refs of this kind.

    Raises:
        StorageFault: the system could not.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666))
    except OSError as error:
        raise storage_fault(error, path) from error


def append_line(path: str, old: bytes, new: bytes, *, who: str, at_s: int, message: str) -> None:
    """Add the line of a move, whole or not at all.

    Args:
        path: the reflog.
        old: the value before; zeros for none.
        new: the value after.
        who: `Name <mail>`.
        at_s: the time, in seconds since the epoch.
        message: what for.

    Raises:
        StorageFault: the system could not.
    """
    line = f"{old.hex()} {new.hex()} {_identity(who)} {at_s} +0000\t{_one_line(message)}\n"
    data = line.encode("utf-8", "surrogateescape")
    try:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(fd).st_size
            if os.write(fd, data) < len(data):
                # A full disk: half a line would spoil the next one.
                os.ftruncate(fd, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        finally:
            os.close(fd)
    except OSError as error:
        raise storage_fault(error, path) from error


def _identity(who: str) -> str:
    name, _, mail = who.partition("<")
    return f"{_bare(name)} <{_bare(mail)}>".lstrip()


def _bare(text: str) -> str:
    return _one_line(text.replace("<", "").replace(">", "")).strip()


def _one_line(text: str) -> str:
    return " ".join(text.replace("\0", "").splitlines())
