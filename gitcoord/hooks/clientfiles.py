"""One settings file of a client: what is put into it, whether it is there, and how it is taken out again.

What a file was before is remembered beside the log, so that taking out gives it back byte for byte while nobody else
has changed it; where somebody has, only what is gitcoord's is cut out.
"""

from __future__ import annotations

import json
import os

from gitcoord.errors import CoordError
from gitcoord.hooks import jsontext, tomltext
from gitcoord.runtime.files import parse_object, private_dir, remove, write_whole
from gitcoord.values import Any, NamedTuple

_FOLDER = "clients"
_MADE = "made"
_READ_LIMIT = 4 << 20
_MARK = "gitcoord hook "


class Entry(NamedTuple):
    """Something of gitcoord's in a file.

    Attributes:
        file: relative to the project's or the person's directory.
        path: the keys that lead to it; none where the whole file is gitcoord's.
        value: what stands there.
        item: it is an item of the list there, beside others' items.
    """

    file: str
    path: tuple[str, ...]
    value: Any
    item: bool = False


class Change(NamedTuple):
    """What becomes of a file.

    Attributes:
        how: `there` already, `written`, `removed`, `missing` or `differs`.
        text: its new text; None where there is none.
    """

    how: str
    text: str | None


def take_text(path: str) -> str | None:
    """Return a file's text; None where there is no such file.

    Raises:
        CoordError: it cannot be read, or is no text.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CoordError(
            f"{path} cannot be read: {error}", next="look at it, or add the lines by hand: --print"
        ) from error


def prepare(path: str, entries: list[Entry]) -> Change:
    """Return what a file has to become so that all entries are in it; writes nothing.

    Raises:
        CoordError: it cannot be read, or holds something that cannot be joined.
    """
    before = take_text(path)
    after = before
    for entry in entries:
        after = _joined(path, after, entry)
    if after == before:
        return Change("there", before)
    return Change("written", after)


def _joined(path: str, text: str | None, entry: Entry) -> str:
    if not entry.path:
        return str(entry.value)
    if path.endswith(".toml"):
        return tomltext.set_table(text or "", path, entry.path, entry.value)
    text = text if text is not None and text.strip() else "{}\n"
    if not entry.item:
        old = jsontext.find(jsontext.parse(text, path), entry.path)
        if old is not None and (entry.path == ("version",) or jsontext.to_value(text, old) == entry.value):
            return text
        return jsontext.set_member(text, path, entry.path, entry.value)
    array = jsontext.find(jsontext.parse(text, path), entry.path)
    for number, item in jsontext.numbered(array) if array is not None else ():
        if _is_ours(text[item.start : item.end]):
            if jsontext.to_value(text, item) == entry.value:
                return text
            text = jsontext.drop(text, array, number) if array is not None else text
            break
    return jsontext.append_item(text, path, entry.path, entry.value)


def _is_ours(text: str) -> bool:
    return _MARK in text


def has_ours(path: str, entries: list[Entry]) -> bool:
    """Tell whether a file has anything of gitcoord's among what the entries put there."""
    text = take_text(path)
    if text is None:
        return False
    if any(entry.item for entry in entries) and _is_ours(text):
        return True
    return any(not entry.item and entry.path != ("version",) for entry in entries) and "gitcoord" in text


def write(runtime: str, path: str, change: Change) -> None:
    """Put a prepared text in its place, and remember what was there.

    Raises:
        CoordError: it cannot be written.
    """
    if change.how != "written" or change.text is None:
        return
    before = take_text(path)
    known = _remembered(runtime, path)
    first = known["before"] if known is not None and known.get("after") == before else before
    folder = private_dir(os.path.join(private_dir(runtime), _FOLDER))
    _remember_made(folder, _make_directories(os.path.dirname(path)))
    _put(path, change.text)
    said = {"path": path, "before": first, "after": change.text}
    write_whole(os.path.join(folder, _file_name(path)), json.dumps(said).encode())


def restore(runtime: str, path: str) -> bool:
    """Put a file back as it was before anything of gitcoord's came into it; false where somebody changed it since.

    Raises:
        CoordError: it cannot be read or written.
    """
    known = _remembered(runtime, path)
    if known is None or known.get("after") != take_text(path):
        return False
    _become(runtime, path, known["before"])
    return True


def _become(runtime: str, path: str, text: str | None) -> None:
    """Let a file have a text, or be no more, and forget it."""
    if text is None:
        os.unlink(path)
        _drop_made(os.path.join(runtime, _FOLDER))
    else:
        _put(path, text)
    remove(os.path.join(runtime, _FOLDER, _file_name(path)))


def _made(folder: str) -> list[str]:
    try:
        with open(os.path.join(folder, _MADE), "rb") as file:
            made: Any = parse_object(file.read(_READ_LIMIT)).get("made", [])
    except OSError:
        return []
    return [str(item) for item in made] if isinstance(made, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _remember_made(folder: str, fresh: list[str]) -> None:
    if fresh:
        write_whole(os.path.join(folder, _MADE), json.dumps({"made": [*_made(folder), *fresh]}).encode())


def _drop_made(folder: str) -> None:
    """Remove the directories that were made for files which are gone, as far as nobody put something there."""
    made = _made(folder)
    for directory in sorted(made, key=len, reverse=True):
        _drop_empty(directory)
    left = [directory for directory in made if os.path.isdir(directory)]
    if left != made:
        write_whole(os.path.join(folder, _MADE), json.dumps({"made": left}).encode())


def take_out(runtime: str, path: str, entries: list[Entry]) -> str:
    """Take the entries out of a file; return `removed`, or `missing` where there were none.

    Raises:
        CoordError: it cannot be read or written.
    """
    text = take_text(path)
    if text is None or not has_ours(path, entries):
        return "missing"
    known = _remembered(runtime, path)
    whole = known is not None and known.get("after") == text
    after = (
        known["before"]
        if whole and known is not None and _only(entries, known, path)
        else _without(path, text, entries)
    )
    _become(runtime, path, after)
    return "removed"


def _only(entries: list[Entry], known: dict[str, Any], path: str) -> bool:
    """Tell whether all that was ever put into a file is what is taken out now."""
    rest = _without(path, str(known["after"]), entries)
    return rest is None or "gitcoord" not in rest.replace(str(known["before"] or ""), "")


def _without(path: str, text: str, entries: list[Entry]) -> str | None:
    """Return a text without the entries; None where nothing is left that anybody else wrote."""
    if any(not entry.path for entry in entries):
        return None
    if path.endswith(".toml"):
        for entry in entries:
            text = tomltext.drop_table(text, entry.path)
        return text if text.strip() else None
    for entry in entries:
        if entry.path != ("version",):
            text = _cut(path, text, entry)
    left = jsontext.to_value(text, jsontext.parse(text, path))
    return text if left not in ({}, {"version": 1}) else None


def _cut(path: str, text: str, entry: Entry) -> str:
    """Return a text without one entry, and without the objects and lists that it alone needed."""
    keys = entry.path
    if entry.item:
        array = jsontext.find(jsontext.parse(text, path), keys)
        if array is None:
            return text
        for number, item in jsontext.numbered(array):
            if _is_ours(text[item.start : item.end]):
                text = jsontext.drop(text, array, number)
                array = jsontext.find(jsontext.parse(text, path), keys)
                if array is None:
                    break
        if array is None or array.items:
            return text
    for depth in range(len(keys) - 1, -1, -1):
        container = jsontext.find(jsontext.parse(text, path), keys[:depth])
        if container is None or keys[depth] not in container.members:
            return text
        inner = container.members[keys[depth]]
        if depth < len(keys) - 1 and inner.items:
            return text
        text = jsontext.drop(text, container, container.items.index(inner))
    return text


def _remembered(runtime: str, path: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(runtime, _FOLDER, _file_name(path)), "rb") as file:
            said = parse_object(file.read(_READ_LIMIT))
    except OSError:
        return None
    return said if said.get("path") == path and "before" in said and "after" in said else None


def had_hooks(runtime: str, path: str) -> bool:
    """Tell whether hooks of gitcoord's were written into a file, and were not taken out of it since by gitcoord."""
    known = _remembered(runtime, path)
    return known is not None and _is_ours(str(known["after"]))


def _file_name(path: str) -> str:
    import hashlib

    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json"


def _make_directories(path: str) -> list[str]:
    made: list[str] = []
    while not os.path.isdir(path):
        made.append(path)
        path = os.path.dirname(path)
    made.reverse()
    try:
        for directory in made:
            os.mkdir(directory)
    except OSError as error:
        raise CoordError(f"{made[-1]} cannot be made: {error.strerror}", next="look at its rights") from error
    return made


def _put(path: str, text: str) -> None:
    target = os.path.realpath(path)  # a settings file that is a link stays one
    draft = f"{target}.gitcoord-{os.getpid()}"
    try:
        mode = os.stat(target).st_mode & 0o777 if os.path.exists(target) else 0o644
        with open(draft, "x", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(draft, mode)
        os.replace(draft, target)
    except OSError as error:
        remove(draft)
        raise CoordError(f"{path} cannot be written: {error.strerror}", next="look at its rights") from error


def _drop_empty(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # somebody put something there
