"""Reading and writing lines: what is not exactly JSON-RPC is answered, not repaired."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import INVALID_REQUEST, PARSE_ERROR, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from gitcoord.mcp_server.wire import Malformed, id_at_head, read_message, write_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def request(value: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":7,"method":"m","params":{"value":' + value.encode() + b"}}"


def refusal(line: bytes) -> JSONRPCError:
    with pytest.raises(Malformed) as caught:
        read_message(line)
    return caught.value.reply


@given(JSON)
def test_any_json_value_arrives_exactly_as_it_was_sent(value: Any) -> None:
    message = read_message(request(json.dumps(value)))
    assert isinstance(message, JSONRPCRequest)
    assert message.params is not None
    assert json.dumps(message.params["value"]) == json.dumps(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999", "out of range"),
        ('{"a":1,"a":2}', '"a" is given twice'),
        ("[1,]", "not JSON"),
        ("0" * 5 + "1", "not JSON"),
        ("9" * 5000, "not JSON"),
    ],
)
def test_a_value_that_is_no_json_is_refused_by_name_and_the_request_answered(value: str, why: str) -> None:
    reply = refusal(request(value))
    assert reply.error.code == PARSE_ERROR
    assert why in reply.error.message


def test_the_answer_to_a_refused_line_carries_the_requests_id_where_it_can_be_found() -> None:
    assert refusal(request("NaN")).id == 7
    assert refusal(b'{"jsonrpc":"2.0","id":"x\xff","method":"m"}').id == "x\N{REPLACEMENT CHARACTER}"
    assert refusal(b"nonsense").id is None
    assert refusal(b"[" * 100_000).id is None
    assert refusal(b'{"jsonrpc":"1.0","id":3,"method":"m"}').id == 3


def test_bytes_that_are_no_utf8_are_refused() -> None:
    assert refusal(b'{"jsonrpc":"2.0","id":1,"method":"\xff"}').error.code == PARSE_ERROR


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
        b"17",
        b"null",
        b'"text"',
        b"{}",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
    ],
)
def test_json_that_is_no_message_is_an_invalid_request(line: bytes) -> None:
    assert refusal(line).error.code == INVALID_REQUEST


def test_messages_of_every_kind_are_read() -> None:
    assert isinstance(read_message(b'{"jsonrpc":"2.0","method":"n"}'), JSONRPCNotification)
    assert isinstance(read_message(b'{"jsonrpc":"2.0","id":1,"result":{}}'), JSONRPCResponse)
    assert isinstance(read_message(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}'), JSONRPCError)


def test_a_message_is_written_on_one_line_whatever_it_holds() -> None:
    line = write_message(JSONRPCResponse(jsonrpc="2.0", id=1, result={"a": "x\ny", "b": None}))
    assert line.count(b"\n") == 1
    assert json.loads(line)["result"] == {"a": "x\ny", "b": None}


def test_a_lone_surrogate_is_spelled_out_in_what_is_written() -> None:
    line = write_message(JSONRPCResponse(jsonrpc="2.0", id=1, result={"\ud800": ["\udcff"]}))
    assert json.loads(line)["result"] == {"\\ud800": ["\\udcff"]}


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"a":"xxx', 7),
        (' { "method" : "m" ,\t"id" : "a b" , "params": {', "a b"),
        ('{"id":7,"params":{"a":', 7),
        ('{"params":{"id":3},"method":"m","id":7,"jsonrpc', 7),
        ('{"params":{"id":3,"a":"xxx', None),
        ('{"method":"m","id":7', None),
        ('{"method":"m","id":"cut', None),
        ('{"method":"m","id":7,"id":8,"params":{', None),
        ('{"method":"m","id":{},"params":{', None),
        ('{"jsonrpc":"2.0","id":7,"result":{"a":', None),
        ('{"method":"m","id":1.5,"params":{', None),
        ("[" * 8192, None),
        ('{"a":' + "[" * 8187, None),
        ("", None),
    ],
)
def test_the_head_of_a_line_that_is_too_long_tells_whose_request_it_is(head: str, found: int | str | None) -> None:
    assert id_at_head(head.encode()) == found
