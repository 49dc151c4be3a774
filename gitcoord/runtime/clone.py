"""Which clone this is: an id of the runtime directory, so that two clones on one machine are told apart.

A copied directory takes the file along; it names the device and the inode of the directory that it was made for, so a
copy gets an id of its own. Where the file cannot be written the clone has no id, and only its machine tells it apart.
"""

from __future__ import annotations

import os

from gitcoord import plainjson
from gitcoord.runtime.files import draft_path, is_id, parse_object, remove
from gitcoord.values import Any

# What was read of each runtime directory: the id, and how the directory and the file looked before it was read.
_known: dict[str, tuple[str, tuple[int, ...]]] = {}


def clone_id(runtime: str) -> str:
    """Return the id of the clone that a runtime directory belongs to, made at the first call; "" where it has none."""
    path = os.path.join(runtime, "clone")
    try:
        place = os.stat(runtime)
        here = [place.st_dev, place.st_ino]
        file = _look(path)
        if file is not None and _known.get(runtime, ("", None))[1] == (*here, *file):
            return _known[runtime][0]
        found = _read(path)
        if found.get("at") != here:
            _make(path, here, replacing=bool(found))
            file, found = _look(path), _read(path)
    except OSError:
        return ""
    made = found.get("id")
    if not (isinstance(made, str) and is_id(made) and found.get("at") == here):
        return ""
    if file is not None:
        _known[runtime] = made, (*here, *file)
    return made


def _look(path: str) -> tuple[int, ...] | None:
    """Return what changes when somebody writes a file or puts another in its place; None where there is none."""
    try:
        file = os.stat(path)
    except FileNotFoundError:
        return None
    return file.st_dev, file.st_ino, file.st_mtime_ns, file.st_size


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return parse_object(file.read())
    except FileNotFoundError:
        return {}


def _make(path: str, here: list[int], *, replacing: bool) -> None:
    """Write a fresh id; of several processes that do so at once one wins."""
    draft = draft_path(path)
    try:
        with open(draft, "xb") as file:
            file.write(plainjson.encode({"id": os.urandom(8).hex(), "at": here}, letters=False).encode())
        if replacing:
            os.replace(draft, path)
            return
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:  # no hard links here
            os.replace(draft, path)
    finally:
        remove(draft)
