"""Canonical JSON: equal values have equal bytes, and a diff of two versions reads well.

Keys are sorted by code point, containers are broken into one member a line down to `_BROKEN_LEVELS` and compact below,
text is UTF-8 without escapes that are not needed, and a newline ends the document. gitcoord itself writes no floats;
a stored value may hold them, and Python's shortest round-trip form is what both ends agree on.
"""

from __future__ import annotations

from gitcoord import plainjson
from gitcoord.errors import InvalidValue, TooLarge, UnreadableRecord
from gitcoord.plainjson import encode as _encode
from gitcoord.plainjson import quoted as _quoted
from gitcoord.values import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_BROKEN_LEVELS = 4
MAX_DEPTH = 100
_LAYOUTS_KEPT = 1000
_MAX_DIGITS = 4300  # what Python turns into a number and back

_PLAIN: dict[Any, Callable[[Any], str]] = {
    str: _quoted,
    int: str,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
_FEW = 8
# Records of one kind have the same keys, mostly in the same order: they are sorted and quoted once.
_layouts: dict[tuple[int | str, ...], list[tuple[str, str]]] = {}
_CLOSED = ["\n" + " " * level + "}" for level in range(_BROKEN_LEVELS)]


def dumps(value: Any) -> bytes:
    """Return the canonical bytes of a JSON value.

    Args:
        value: what `check_value` accepts; nothing is checked here.

    Returns:
        UTF-8 with a final newline.
    """
    return (_render(value, 0) + "\n").encode()


def _render(value: Any, level: int) -> str:
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain(value)
    if not value:
        return "{}" if type(value) is dict else "[]" if type(value) is list else _encode(value)
    if level >= _BROKEN_LEVELS:
        if type(value) is dict and len(cast("dict[str, Any]", value)) <= _FEW:
            # A claim, as a rule: to set up the library's encoder costs more than all of it.
            members = cast("dict[str, Any]", value)
            return "{" + ", ".join(f"{_quoted(key)}: {_render(members[key], level)}" for key in sorted(members)) + "}"
        return _encode(value)
    below = level + 1
    rows: list[str] = []
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        for key, head in _layout(members, below):
            member = members[key]
            plain = _PLAIN.get(type(member))
            # Most members are plain: a call for each would be most of the time that a record takes.
            rows.append(head + (_render(member, below) if plain is None else plain(member)))
        return "{\n" + ",\n".join(rows) + _CLOSED[level]
    if isinstance(value, list):
        inner = " " * below
        rows = [inner + _render(item, below) for item in cast("list[Any]", value)]
        return "[\n" + ",\n".join(rows) + "\n" + " " * level + "]"
    return _encode(value)


def _layout(members: dict[str, Any], level: int) -> list[tuple[str, str]]:
    """Return the keys of an object in their order, each with all that its line has before the value."""
    spelled = (level, *members)
    known = _layouts.get(spelled)
    if known is None:
        if len(_layouts) >= _LAYOUTS_KEPT:
            _layouts.clear()
        inner = " " * level
        known = _layouts[spelled] = [(key, f"{inner}{_quoted(key)}: ") for key in sorted(members)]
    return known


def loads(body: bytes, where: str) -> Any:
    """Parse a JSON document that gitcoord wrote.

    Args:
        body: the document.
        where: its place on the log, for the error.

    Raises:
        UnreadableRecord: the bytes are not one JSON document.
    """
    try:
        value = plainjson.loads(body.decode())
        if b"\\ud" in body or b"\\uD" in body:
            _encode(value).encode()  # an escaped half of a pair is no text, and no face could show it
        return value  # noqa: TRY300 - the check above is part of the attempt
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(f"{where} is not readable: {error}", next="gitcoord doctor", record=where) from error


def parse_value(text: str) -> Any:
    """Parse a JSON value that a person typed.

    Raises:
        InvalidValue: the text is not one JSON value, or holds a number that would not come back as it is.
    """
    import json

    try:
        return json.loads(
            text, parse_constant=_no_constant, parse_float=_exact, parse_int=_whole, object_pairs_hook=_once_each
        )
    except (ValueError, RecursionError) as error:
        raise InvalidValue(
            f"not a JSON value: {error}", next="quote it as JSON, or say --text to store it as a string"
        ) from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a member twice")
    return found


def _exact(text: str) -> float:
    """Return a number that is kept exactly: one of up to 15 digits always is, and what Python or JavaScript prints."""
    from decimal import Decimal

    number = float(text)
    if number - number != 0 or Decimal(repr(number)) != Decimal(text):
        raise ValueError(f"{_cut(text)} has more digits, or is larger or smaller, than a number keeps")
    return number


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{_cut(text)} has {len(text):,} digits; a whole number keeps up to {_MAX_DIGITS:,}")
    return int(text)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:20]}..."


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def check_value(value: Any, limit_bytes: int) -> None:
    """Let a value pass if it comes back exactly as it is.

    Args:
        value: any Python value.
        limit_bytes: the largest allowed size of its compact JSON text in UTF-8.

    Raises:
        InvalidValue: not JSON (NaN, infinities, bytes, tuples, keys that are no strings), nested deeper than
            `MAX_DEPTH`, or with a lone surrogate.
        TooLarge: above `limit_bytes`.
    """
    _check_shape(value, 1)
    try:
        size = len(_encode(value).encode())
    except UnicodeEncodeError as error:
        raise InvalidValue(
            f"the value holds a lone surrogate (U+{ord(error.object[error.start]):04X}), which no UTF-8 text can carry",
            next="store valid Unicode text",
        ) from error
    except ValueError as error:
        raise InvalidValue(
            f"the value is not JSON: {error}", next="store null, numbers, text, lists or objects"
        ) from error
    if size > limit_bytes:
        raise TooLarge(
            f"the value takes {size:,} bytes as JSON; the limit is {limit_bytes:,}",
            next="store it in a file or as a git object, and its name here",
        )


def _check_shape(value: Any, depth: int) -> None:
    kind = cast("type[Any]", type(value))
    if value is None or kind in (bool, int, float, str):
        return
    if depth > MAX_DEPTH:
        raise InvalidValue(f"the value is nested deeper than {MAX_DEPTH} levels", next="flatten it")
    if kind is list:
        for item in value:
            _check_shape(item, depth + 1)
        return
    if kind is not dict:
        raise InvalidValue(f"a {kind.__name__} is no JSON value", next="store null, numbers, text, lists or objects")
    members = cast("dict[Any, Any]", value)
    for key, item in members.items():
        if type(key) is not str:
            raise InvalidValue(f"an object's key must be text, not {type(key).__name__}", next="make the keys strings")
        _check_shape(item, depth + 1)


def copy_of(value: Any) -> Any:
    """Return a JSON value whose containers are nobody else's."""
    if type(value) is dict:
        return {key: copy_of(item) for key, item in cast("dict[str, Any]", value).items()}
    if type(value) is list:
        return [copy_of(item) for item in cast("list[Any]", value)]
    return value
