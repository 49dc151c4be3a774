"""Writing the reflog of the log's ref, as git has it: made where it is missing, and a line added for each move."""

from __future__ import annotations

import errno
import os

from gitcoord.store.disk import storage_fault

NOT_MADE = "coord: this was not made"
# Longer than any line of gitcoord's own.
_LAST = 1 << 13


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


def take_back_last(path: str, new: bytes, now: bytes) -> None:
    """Say behind the last line that its move was not made, where it is gitcoord's, to `new`, and from where the ref is.

    Args:
        path: the reflog.
        new: what the ref was to hold.
        now: what it holds.

    Raises:
        StorageFault: the system could not.
    """
    try:
        with open(path, "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _LAST, 0))
            last = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_fault(error, path) from error
    begun, rest = f"{now.hex()} {new.hex()} ".encode(), last.partition(b"> ")[2]
    time, _, message = rest.partition(b"\t")
    if last.startswith(begun) and message.startswith(b"coord: "):
        at_s = time.split(b" ")[0]
        who = last[len(begun) :].partition(b">")[0].decode("utf-8", "surrogateescape") + ">"
        append_line(path, new, now, who=who, at_s=int(at_s) if at_s.isdigit() else 0, message=NOT_MADE)


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
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(fd).st_size
            if size:
                os.lseek(fd, -1, os.SEEK_END)
                if os.read(fd, 1) != b"\n":
                    data = b"\n" + data  # half a line, as a power cut leaves it, must not spoil this one
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
