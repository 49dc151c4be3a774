"""JSON as the interpreter itself reads and writes it, without the package around it.

`import json` also compiles regular expressions, of which reading and writing what is here need none. That took a fifth
of all that a hook before an edit may cost. What `json` is made of in CPython is used directly, and `json` itself where
a Python has it otherwise. Faults are ValueErrors; NaN and the infinities, which are no JSON, are faults too.
"""

from __future__ import annotations

from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_BLANK = " \t\n\r"


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


class _Rules:
    """What the scanner asks for; its names are those of `json.JSONDecoder`."""

    strict = True
    object_hook = array_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_no_constant)


def _refused(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _slow(*, letters: bool) -> Callable[[Any, int], Any]:
    from json import JSONEncoder

    encoder = JSONEncoder(ensure_ascii=not letters, allow_nan=False, sort_keys=True)
    return lambda value, _level: encoder.iterencode(value)


_scan: Callable[[str, int], tuple[Any, int]]
_chunks: Callable[[Any, int], Any]
_ascii: Callable[[Any, int], Any]
try:
    from _json import encode_basestring as quoted
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _scan = make_scanner(_Rules)  # pyright: ignore[reportArgumentType]
    _chunks = make_encoder(None, _refused, quoted, None, ": ", ", ", True, False, False)
    _ascii = make_encoder(None, _refused, encode_basestring_ascii, None, ": ", ", ", True, False, False)
except (ImportError, AttributeError, TypeError):  # pragma: no cover - another Python than CPython
    from json import JSONDecoder
    from json.encoder import encode_basestring as quoted

    _scan = JSONDecoder(parse_constant=_no_constant).scan_once  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    _chunks, _ascii = _slow(letters=True), _slow(letters=False)

__all__ = ["encode", "loads", "quoted"]


def loads(text: str) -> Any:
    """Return the one JSON value that a text is.

    Raises:
        ValueError: it is none, or more than one.
        RecursionError: it is nested too deeply.
    """
    try:
        value, end = _scan(text, len(text) - len(text.lstrip(_BLANK)))
    except StopIteration as error:
        raise ValueError(f"no JSON value at character {error.value}") from None
    except SystemError:
        # The scanner takes its error from `json.decoder`, and has none to raise where nobody loaded that.
        from json import JSONDecoder

        return JSONDecoder(parse_constant=_no_constant).decode(text)
    if text[end:].strip(_BLANK):
        raise ValueError(f"something behind the JSON value, at character {end}")
    return value


def encode(value: Any, *, letters: bool = True) -> str:
    """Return a value as JSON in one line, keys in order.

    Args:
        value: what it says.
        letters: all letters as they are; else those beyond ASCII, and halves of pairs, as escapes.

    Raises:
        ValueError: a number in it is none.
        TypeError: something in it is no JSON.
    """
    return "".join(_chunks(value, 0) if letters else _ascii(value, 0))
