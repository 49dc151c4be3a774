"""Changing a TOML file of somebody else's without touching the rest: one table is added at its end, or cut out."""

from __future__ import annotations

import json
import re

from gitcoord.errors import CoordError
from gitcoord.values import Any, cast


class NotToml(CoordError):
    """A file that ought to hold TOML does not."""

    code = "not_toml"


def set_table(text: str, name: str, path: tuple[str, ...], value: dict[str, Any]) -> str:
    """Return the text in which a table has these values.

    Args:
        text: the file's.
        name: of the file, for the message.
        path: the table's keys.
        value: texts and lists of texts.

    Raises:
        NotToml: the file holds none, or has the table in a form that cannot be replaced.
    """
    if _table(_parsed(text, name), path) == value:
        return text
    rest = drop_table(text, path)
    if _table(_parsed(rest, name), path) is not None:
        raise NotToml(f"{'.'.join(path)} is in {name} already, in another form", next="change it by hand: --print")
    gap = "" if not rest else "\n" if rest.endswith("\n") else "\n\n"
    rows = [f"[{'.'.join(path)}]", *(f"{key} = {json.dumps(item)}" for key, item in value.items()), ""]
    return rest + gap + "\n".join(rows)


def drop_table(text: str, path: tuple[str, ...]) -> str:
    """Return the text without a table, its own tables, and the empty line before it."""
    name = re.escape(".".join(path))
    pattern = rf"(?ms)(?:^[ \t]*\n)?^\[{name}(?:\.[^\]\n]*)?\][^\n]*(?:\n(?!\s*\[)[^\n]*)*\n?"
    return re.sub(pattern, "", text)


def _parsed(text: str, name: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(
            f"{name} holds no TOML that can be read: {error}", next="mend it, or add the lines by hand"
        ) from error


def _table(data: dict[str, Any], path: tuple[str, ...]) -> Any:
    here: Any = data
    for key in path:
        here = cast("dict[str, Any]", here).get(key) if isinstance(here, dict) else None
    return here
