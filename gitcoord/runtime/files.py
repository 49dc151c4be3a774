"""Small private files in the runtime directory: written whole or not at all, and read without trusting them."""

from __future__ import annotations

import os

from gitcoord import plainjson
from gitcoord.errors import StorageFault
from gitcoord.values import Any

DRAFT = ".draft-"
"""How the name of a file begins that is not finished; no id begins so."""

_LETTERS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")


def refused(path: str, error: OSError) -> StorageFault:
    """Return the fault that says which path the file system refused, and why."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StorageFault(
        f"the file system refused {path}: {reason}",
        next="make room there, or give this user the right to write there, and try again",
        path=path,
    )


def private_dir(path: str) -> str:
    """Make a directory that only its user may enter, with its parent if that is missing, and return its path.

    Raises:
        StorageFault: it cannot be made.
    """
    try:
        try:
            _make(path)
        except FileNotFoundError:
            _make(os.path.dirname(path))
            _make(path)
    except OSError as error:
        raise refused(path, error) from error
    return path


def _make(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def is_id(text: str) -> bool:
    """Say whether a text is fit to name a file: ASCII letters, digits, `-` and `_`, at least one of them."""
    return text != "" and _LETTERS.issuperset(text)


def id_path(folder: str, name: str) -> str:
    """Return the path of the file that an id has in a folder.

    Raises:
        ValueError: the id could name something else than a file in that folder.
    """
    if not is_id(name):
        msg = f"not an id: {name!r}"
        raise ValueError(msg)
    return os.path.join(folder, name)


def draft_path(path: str) -> str:
    """Return a new name beside `path` for what is to become it."""
    return os.path.join(os.path.dirname(path), f"{DRAFT}{os.urandom(8).hex()}")


def write_whole(path: str, content: bytes) -> None:
    """Put a file, complete, in the place of whatever was there. It is not synced: it need not survive a power cut.

    Raises:
        StorageFault: it cannot be written.
    """
    draft = draft_path(path)
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
        os.replace(draft, path)
    except OSError as error:
        remove(draft)
        raise refused(path, error) from error


def write_over(path: str, content: bytes) -> None:
    """Write over what a file holds, or make it: for short notes of one length, half of which says nothing wrong.

    Putting a new file in the old one's place, as `write_whole` does, can cost more than all the rest of an operation.

    Raises:
        StorageFault: it cannot be written.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
    except OSError as error:
        raise refused(path, error) from error


def remove(path: str) -> bool:
    """Remove a file that may be gone already, or that nobody may remove: it is only litter. Say whether it went."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def names(folder: str) -> list[str]:
    """Return the names in a folder; none where it is missing or closed to us."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def parse_object(text: bytes) -> dict[str, Any]:
    """Return the JSON object in a text, or an empty one where there is none."""
    try:
        value: Any = plainjson.loads(text.decode())
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]
