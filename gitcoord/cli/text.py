"""What a terminal may be shown, and how moments read.

Reasons, intents, names and paths come from other sessions. A terminal obeys escape sequences, and a text that reorders
or hides its own letters deceives: both are shown here as the escapes that a programmer would write.
"""

from __future__ import annotations

from gitcoord.model_time import parse_time
from gitcoord.values import Any

LINE_LIMIT = 200
_JOINERS = "\u00a0\u200c\u200d\u3000"  # spaces of some scripts, and what joins letters and emoji
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}


def visible(value: object, limit: int = LINE_LIMIT) -> str:
    """Return a text as one line in which nothing acts on the terminal.

    Args:
        value: the text; None is nothing.
        limit: the most characters to show; what is beyond is cut and marked.
    """
    line = "" if value is None else str(value)
    cut = len(line) > limit
    line = line[:limit]
    if not line.isprintable():
        line = "".join(map(_shown, line))
    return line + "..." if cut else line


def visible_lines(value: str) -> str:
    """Return a text whose line breaks and tabs stay, and in which nothing else acts on the terminal."""
    return "".join(letter if letter in "\n\t" else _shown(letter) for letter in value)


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in _JOINERS:
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python carries it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return _SHORT.get(letter, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return a JSON document, without the newline at its end.

    Letters that could act on a terminal stand as JSON escapes: the document says the same. A lone surrogate, of a path
    whose bytes are not UTF-8, is spelled out as over MCP: no JSON text can carry it.
    """
    import json

    document = json.dumps(value, ensure_ascii=False, indent=indent)
    if document.isprintable():
        return document
    return "".join(map(_escaped, document))


def _escaped(letter: str) -> str:
    if letter == "\n" or letter.isprintable() or letter in _JOINERS:
        return letter
    if 0xD800 <= ord(letter) <= 0xDFFF:
        return f"\\\\u{ord(letter):04x}"
    import json

    return json.dumps(letter)[1:-1]


def moment(stamp: str | None, now_ms: int) -> str:
    """Return a moment as people and programs both can take it: `2026-01-31T09:00:00Z (in 12 min)`.

    Args:
        stamp: RFC 3339 in UTC, or None for never.
        now_ms: what to count from, in milliseconds since the epoch.
    """
    if not stamp:
        return "no end"
    return f"{to_second(stamp)} ({distance(stamp, now_ms)})"


def to_second(stamp: str | None) -> str:
    """Return a moment without the fraction of its second."""
    if stamp and len(stamp) == 24 and stamp[19] == "." and stamp[23] == "Z":
        stamp = stamp[:19] + "Z"
    return visible(stamp)


def distance(stamp: str | None, now_ms: int) -> str:
    """Return how far away a moment is: `in 12 min`, `3 h ago`.

    Args:
        stamp: RFC 3339 in UTC, or None for never.
        now_ms: what to count from, in milliseconds since the epoch.
    """
    if not stamp:
        return "no end"
    try:
        gap_s = (parse_time(stamp) - now_ms) / 1000
    except ValueError:
        return "at an unknown time"
    size = _span(abs(gap_s))
    if size == "0 s":
        return "now"
    return f"in {size}" if gap_s > 0 else f"{size} ago"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if minutes and hours < 6 else f"{round(seconds / 3600)} h"
    return f"{seconds / 86400:.0f} days"
