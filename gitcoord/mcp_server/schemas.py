"""The JSON Schemas of the tools, built from a few words, and the check of a call's arguments against them.

One description serves both ends: what `tools/list` tells a client is what `checked` enforces, nothing is coerced and
nothing is parsed a second time: a string that looks like JSON stays a string. A whole number is an integer however it
is written, as JSON Schema has it. Only the keywords that the tools use are understood here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

type_names = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
}


def text(description: str = "", **more: Any) -> dict[str, Any]:
    """Return the schema of a string."""
    return _described({"type": "string", **more}, description)


def flag(description: str = "") -> dict[str, Any]:
    """Return the schema of a boolean."""
    return _described({"type": "boolean"}, description)


def integer(description: str = "", **more: Any) -> dict[str, Any]:
    """Return the schema of an integer."""
    return _described({"type": "integer", **more}, description)


def number(description: str = "", **more: Any) -> dict[str, Any]:
    """Return the schema of a number."""
    return _described({"type": "number", **more}, description)


def texts(description: str = "", **more: Any) -> dict[str, Any]:
    """Return the schema of a list of strings."""
    return _described({"type": "array", "items": {"type": "string"}, **more}, description)


def anything(description: str) -> dict[str, Any]:
    """Return the schema that every JSON value fits, null too."""
    return {"description": description}


def records(members: Mapping[str, Any] | None = None, description: str = "") -> dict[str, Any]:
    """Return the schema of a list of objects."""
    item: dict[str, Any] = {"type": "object", "properties": dict(members)} if members else {"type": "object"}
    return _described({"type": "array", "items": item}, description)


def maybe(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that also lets null through."""
    return {**schema, "type": [schema["type"], "null"]}


def _described(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description} if description else schema


def checked(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments if they fit the tool's input schema exactly; a whole number as an `int`.

    Args:
        schema: an object's schema without further members allowed.
        arguments: what the client sent.

    Raises:
        MCPError: an argument is unknown, missing or of another type; the message names it and says what is taken.
    """
    properties: Mapping[str, Any] = schema["properties"]
    for name in arguments:
        if name not in properties:
            known = ", ".join(properties)
            raise _invalid(f"unknown argument {json.dumps(name)}; the tool takes: {known or 'none'}")
    for name in schema.get("required", ()):
        if name not in arguments:
            raise _invalid(f"argument {name!r} is missing")
    found: dict[str, Any] = {}
    for name, given in arguments.items():
        schema = properties[name]
        whole = schema.get("type") == "integer" and type(given) is float and given.is_integer()
        found[name] = int(given) if whole else given
        _check_value(f"argument {name!r}", schema, found[name])
    return found


def _check_value(what: str, schema: Mapping[str, Any], value: Any) -> None:
    kind = schema.get("type")
    if kind is None:
        return
    if not _fits(kind, value):
        raise _invalid(f"{what} must be {_SPOKEN[kind]}, not {_kind_of(value)}")
    if kind == "string":
        _check_text(what, schema, value)
    elif kind == "array":
        items = cast("list[Any]", value)
        if len(items) < schema.get("minItems", 0):
            raise _invalid(f"{what} must not be empty")
        for index, item in enumerate(items):
            _check_value(f"{what}[{index}]", schema["items"], item)
    elif kind in {"integer", "number"}:
        _check_bounds(what, schema, value)


def _check_text(what: str, schema: Mapping[str, Any], value: str) -> None:
    if "enum" in schema and value not in schema["enum"]:
        raise _invalid(f"{what} must be one of: {', '.join(schema['enum'])}")
    if len(value) < schema.get("minLength", 0):
        raise _invalid(f"{what} must not be empty")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _invalid(f"{what} holds a lone surrogate, which is no Unicode text") from error


def _check_bounds(what: str, schema: Mapping[str, Any], value: float) -> None:
    if "minimum" in schema and value < schema["minimum"]:
        raise _invalid(f"{what} must be at least {schema['minimum']}")
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        raise _invalid(f"{what} must be more than {schema['exclusiveMinimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        raise _invalid(f"{what} must be at most {schema['maximum']}")


def _fits(kind: str, value: Any) -> bool:
    if kind == "number":
        return type(value) is int or (type(value) is float and isfinite(value))
    return type(value) is _TYPES[kind]


_TYPES: dict[str, type[Any]] = {"string": str, "boolean": bool, "integer": int, "array": list}
_SPOKEN = {
    "string": "a string",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "array": "an array of strings",
}
_FOUND = {
    "str": "a string",
    "bool": "a boolean",
    "int": "an integer",
    "float": "a fraction",
    "list": "an array",
    "dict": "an object",
    "NoneType": "null",
}


def _kind_of(value: Any) -> str:
    return _FOUND.get(type(value).__name__, "that")


def _invalid(message: str) -> MCPError:
    return MCPError(INVALID_PARAMS, message)
