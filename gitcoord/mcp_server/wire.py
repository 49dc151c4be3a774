"""Reading JSON strictly: what a client sent is taken exactly as it was meant, or refused, and never repaired.

Parsers let much pass that JSON does not know or that two programs read differently: a member given twice, `NaN`, a
number too large for any float, bytes that are no UTF-8. Here each of them is an error that names the request, so that
its client is answered instead of left waiting.
"""

from __future__ import annotations

import json
from typing import Any, cast

from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from gitcoord.mcp_server.answers import spell_out


class Malformed(Exception):
    """Bytes that are no message.

    Attributes:
        reply: the answer that its client gets.
    """

    def __init__(self, code: int, message: str, request_id: RequestId | None) -> None:
        """Prepare the answer."""
        super().__init__(message)
        self.reply = JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))


def read_message(line: bytes) -> JSONRPCMessage:
    """Return the message that a line holds.

    Raises:
        Malformed: it holds none; the error has the answer.
    """
    document = read_document(line)
    if not isinstance(document, dict):
        what = "a batch: send one message a line" if isinstance(document, list) else "no object"
        raise Malformed(INVALID_REQUEST, f"the message is {what}", None)
    members = cast("dict[str, Any]", document)
    if "id" in members and "method" in members and not _is_id(members["id"]):
        raise Malformed(INVALID_REQUEST, "the request's id must be a string or an integer", None)
    try:
        return jsonrpc_message_adapter.validate_python(members, by_name=False)
    except ValidationError as error:
        raise Malformed(INVALID_REQUEST, "the message is not a JSON-RPC 2.0 request", _id_of(members)) from error


def read_document(body: bytes) -> Any:
    """Return the JSON value that some bytes are.

    Raises:
        Malformed: they are none, or one that would not be read alike everywhere.
    """
    try:
        return _strict.decode(body.decode())
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Malformed(PARSE_ERROR, f"not JSON: {why}", _guess_id(body)) from error


def id_at_head(head: bytes) -> RequestId | None:
    """Return the id of a request of which only the beginning is known; None where that does not show it.

    Args:
        head: the first bytes of its line.
    """
    text = head.decode(errors="replace")
    found: dict[str, Any] = {}
    at = _past(text, 0, "{")
    while at is not None and text[at : at + 1] == '"':
        try:
            name, at = _strict.raw_decode(text, at)
            at = _past(text, at, ":")
            if name in found:
                return None
            found[name] = None
            value, at = (None, None) if at is None else _strict.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        # A number that goes on behind the head is another number.
        if at is not None and text[at:].strip():
            found[name] = value
            at = _past(text, at, ",")
    is_request = "method" in found or "params" in found
    return _id_of(found) if is_request and "\ufffd" not in str(found.get("id")) else None


def _past(text: str, at: int, mark: str) -> int | None:
    """Return where the next thing begins behind a mark, None where there is no such mark."""
    rest = text[at:].lstrip(_BLANKS)
    if not rest.startswith(mark):
        return None
    return len(text) - len(rest[1:].lstrip(_BLANKS))


def write_message(message: JSONRPCMessage) -> bytes:
    """Return a message as one line; what no JSON text can carry is spelled out."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except ValueError:
        plain = spell_out(message.model_dump(by_alias=True, exclude_unset=True))
        return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the member {json.dumps(twice)} is given twice")
    return found


def _finite(literal: str) -> float:
    value = float(literal)
    if value in {float("inf"), float("-inf")}:
        raise ValueError(f"the number {literal[:40]} is out of range")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


_BLANKS = " \t\r\n"
_strict = json.JSONDecoder(object_pairs_hook=_once, parse_float=_finite, parse_constant=_no_constant)


def _guess_id(body: bytes) -> RequestId | None:
    """Return the id of a message that was refused, where a less strict look finds one."""
    try:
        document = json.loads(body.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return _id_of(cast("dict[str, Any]", document)) if isinstance(document, dict) else None


def _id_of(members: dict[str, Any]) -> RequestId | None:
    found = members.get("id")
    return found if _is_id(found) else None


def _is_id(value: Any) -> bool:
    return type(value) is int or (type(value) is str and value == spell_out(value))
