"""Changing a JSON file of somebody else's without touching the rest: its order, spacing, comments and commas stay.

Reads what JSON allows and what editors' settings files allow besides: comments, and a comma before a closing bracket.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from gitcoord.errors import CoordError
from gitcoord.values import Any, NamedTuple

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ATOM = re.compile(r"[-+.\w]+")


class Node(NamedTuple):
    """A value in a text.

    Attributes:
        kind: `object`, `array`, `string` or `atom`.
        start: where it begins.
        end: where it is over.
        members: of an object, by key; the last of two equal keys counts.
        items: of an array, and of an object in order.
        starts: where each item begins, with its key.
    """

    kind: str
    start: int
    end: int
    members: dict[str, Node]
    items: list[Node]
    starts: list[int]


class NotJson(CoordError):
    """A file that ought to hold JSON does not."""

    code = "not_json"


def parse(text: str, path: str) -> Node:
    """Return the value that a text holds.

    Args:
        text: the file's.
        path: of the file, for the message.

    Raises:
        NotJson: it holds none.
    """
    broken = NotJson(f"{path} holds no JSON that can be read", next="mend it, or add the lines by hand: --print")
    try:
        node = _value(text, _skip(text, 0))
    except (ValueError, IndexError, RecursionError) as error:
        raise broken from error
    if _skip(text, node.end) != len(text):
        raise broken
    return node


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return at if found is None else found.end()


def _value(text: str, at: int) -> Node:
    if text[at] in "{[":
        return _container(text, at)
    pattern, kind = (_STRING, "string") if text[at] == '"' else (_ATOM, "atom")
    found = pattern.match(text, at)
    if found is None:
        raise ValueError(at)
    return Node(kind, at, found.end(), {}, [], [])


def _container(text: str, start: int) -> Node:
    closing = "}" if text[start] == "{" else "]"
    node = Node("object" if closing == "}" else "array", start, 0, {}, [], [])
    at = _skip(text, start + 1)
    while text[at] != closing:
        begins, key = at, ""
        if closing == "}":
            found = _STRING.match(text, at)
            if found is None:
                raise ValueError(at)
            key = json.loads(found.group(), strict=False)
            at = _skip(text, found.end())
            if text[at] != ":":
                raise ValueError(at)
            at = _skip(text, at + 1)
        item = _value(text, at)
        node.items.append(item)
        node.starts.append(begins)
        if closing == "}":
            node.members[key] = item
        at = _skip(text, item.end)
        if text[at] == ",":
            at = _skip(text, at + 1)
        elif text[at] != closing:
            raise ValueError(at)
    return node._replace(end=at + 1)


def to_value(text: str, node: Node) -> Any:
    """Return a value as Python has it."""
    if node.kind == "object":
        return {key: to_value(text, item) for key, item in node.members.items()}
    if node.kind == "array":
        return [to_value(text, item) for item in node.items]
    return json.loads(text[node.start : node.end], strict=False)


def find(node: Node, path: tuple[str, ...]) -> Node | None:
    """Return the value at a path of keys; None where there is none."""
    here: Node | None = node
    for key in path:
        here = None if here is None or here.kind != "object" else here.members.get(key)
    return here


def set_member(text: str, name: str, path: tuple[str, ...], value: Any) -> str:
    """Return the text in which a path of keys has a value; objects on the way are made as needed.

    Raises:
        NotJson: something on the way is there and is no object.
    """
    root = parse(text, name)
    for depth in range(len(path) - 1, -1, -1):
        container = find(root, path[:depth])
        if container is None:
            continue
        if container.kind != "object":
            raise NotJson(f"{'.'.join(path[:depth])} in {name} is no object", next="add the lines by hand: --print")
        whole = value
        for key in reversed(path[depth + 1 :]):
            whole = {key: whole}
        old = container.members.get(path[depth])
        if old is not None:
            return text[: old.start] + _written(text, old.start, whole) + text[old.end :]
        return _appended(text, container, f"{json.dumps(path[depth])}: ", whole)
    raise AssertionError


def append_item(text: str, name: str, path: tuple[str, ...], value: Any) -> str:
    """Return the text in which the array at a path has one more item; it is made as needed.

    Raises:
        NotJson: what is there is no array.
    """
    array = find(parse(text, name), path)
    if array is None:
        return set_member(text, name, path, [value])
    if array.kind != "array":
        raise NotJson(f"{'.'.join(path)} in {name} is no list", next="add the lines by hand: --print")
    return _appended(text, array, "", value)


def drop(text: str, container: Node, number: int) -> str:
    """Return the text without one item of an object or array, and without the comma that it needed."""
    end = container.items[number].end
    after = _skip(text, end)
    if number > 0:
        return text[: container.items[number - 1].end] + text[end:]
    if text[after] == ",":
        return text[: container.starts[0]] + text[_skip(text, after + 1) :]
    return text[: container.start + 1] + text[container.end - 1 :]


def numbered(container: Node) -> Iterator[tuple[int, Node]]:
    """Yield the items of an object or array with their numbers, the last first."""
    yield from reversed(list(enumerate(container.items)))


def _appended(text: str, container: Node, label: str, value: Any) -> str:
    inner = text[container.start + 1 : container.end - 1]
    if not container.items:
        step = _step(text)
        indent = _indent_at(text, container.start)
        body = label + _dump(value, step, indent + step)
        return f"{text[: container.start + 1]}\n{indent}{step}{body}\n{indent}{text[container.end - 1 :]}"
    last = container.items[-1].end
    flat = "\n" not in inner
    comma = _skip(text, last)
    at, mark = (comma + 1, "") if text[comma] == "," else (last, ",")
    if flat:
        return f"{text[:at]}{mark} {label}{json.dumps(value)}{text[at:]}"
    indent = _indent_at(text, container.starts[-1])
    return f"{text[:at]}{mark}\n{indent}{label}{_dump(value, _step(text), indent)}{text[at:]}"


def _written(text: str, at: int, value: Any) -> str:
    return _dump(value, _step(text), _indent_at(text, at))


def _dump(value: Any, step: str, indent: str) -> str:
    return json.dumps(value, indent=step, ensure_ascii=False).replace("\n", f"\n{indent}")


def _indent_at(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _step(text: str) -> str:
    found = re.search(r"\n([ \t]+)\S", text)
    return found.group(1) if found else "  "
