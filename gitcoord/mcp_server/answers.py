"""From a desk's answer to the protocol's: the one place where errors of any kind become results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import mcp_types

from gitcoord.errors import CoordError, exit_code

if TYPE_CHECKING:
    from gitcoord.mcp_server.toolset import Tool

_REFUSED = 1
_VERDICTS = ("ok", "granted", "found", "deleted")


def refusal(tool: Tool, error: CoordError) -> dict[str, Any]:
    """Return what a tool answers when its desk could not be asked: the same shape as a refusal of its own."""
    verdict: dict[str, Any] = {"ok": False}
    if tool.verdict:
        verdict[tool.verdict] = False
    return {**verdict, **error.facts, "error": error.to_dict()}


def to_result(answer: dict[str, Any]) -> mcp_types.CallToolResult:
    """Return a desk's answer as a tool's result: structured, and the same as JSON text.

    A healthy rule's refusal is a result like any other; what only a person can put right is marked as an error.
    """
    if "error" in answer and answer.keys().isdisjoint(_VERDICTS):
        answer = {"ok": False, **answer}
    answer, written = to_json(answer)
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(type="text", text=written)],
        structured_content=answer,
        is_error=exit_code(answer) > _REFUSED,
    )


def to_json(answer: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return an answer that any client can read, and its JSON text.

    A path whose bytes are not UTF-8 has lone surrogates, which no JSON text can carry: they are spelled out.
    """
    written = json.dumps(answer, ensure_ascii=False)
    if written.isascii():
        return answer, written
    try:
        written.encode()
    except UnicodeEncodeError:
        answer = spell_out(answer)
        written = json.dumps(answer, ensure_ascii=False)
    return answer, written


def spell_out(value: Any) -> Any:
    r"""Return a JSON value with each lone surrogate in its texts replaced by its escape, such as `\udcff`."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {spell_out(key): spell_out(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [spell_out(item) for item in cast("list[Any]", value)]
    return value
