"""Canonical JSON: equal values have equal bytes, and what is stored comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitcoord.canonical import MAX_DEPTH, check_value, dumps, loads, parse_value
from gitcoord.errors import InvalidValue, TooLarge, UnreadableRecord

LIMIT = 256 * 1024
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**53 + 1,
    10**300,
    -(10**40),
    0.1,
    1.0,
    -0.0,
    1e-320,
    1.7976931348623157e308,
    "",
    " ",
    "null",
    "[1]",
    '{"a": 1}',
    '"quoted"',
    "a\u0000b",
    "line\nbreak\ttab\u2028",
    "grüße 日本 😀",
    "e\u0301",
    "\ufeff",
    [],
    {},
    [[]],
    [None],
    [1],
    [1, 1.0, True, "1"],
    {"": ""},
    {"b": 1, "a": {"z": [], "y": {}}},
    {"\u00e9": 1, "e\u0301": 2},
    [[[[[[{"deep": [1, {"er": None}]}]]]]]],
]


def exactly(one: Any, other: Any) -> bool:
    """Compare with types: 1, 1.0 and True are three values, and so are 0.0 and -0.0."""
    return type(one) is type(other) and repr(one) == repr(other)


def nested(levels: int, inside: Any = None) -> Any:
    value: Any = [] if inside is None else [inside]
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    check_value(value, LIMIT)
    assert exactly(loads(dumps(value), "here"), json.loads(json.dumps(value, sort_keys=True)))
    assert loads(dumps(value), "here") == value


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_writing_what_was_read_gives_the_same_bytes(value: Any) -> None:
    body = dumps(value)
    assert dumps(loads(body, "here")) == body
    assert body.endswith(b"\n")


def test_the_order_in_which_members_were_put_makes_no_difference() -> None:
    assert dumps({"b": {"y": 1, "x": 2}, "a": 3}) == dumps({"a": 3, "b": {"x": 2, "y": 1}})


def test_keys_are_sorted_by_code_point_at_every_depth() -> None:
    keys = ["Z", "a", "é", "\uffff", "😀"]
    value: Any = dict.fromkeys(reversed(keys), 0)
    for _ in range(6):
        value = {"in": value, **dict.fromkeys(reversed(keys), 0)}
    text = dumps(value).decode()
    found = [text.index(f'"{key}": 0') for key in keys]
    assert found == sorted(found)
    assert list(loads(dumps(value), "here")) == sorted(value)


def test_a_record_has_one_field_a_line() -> None:
    assert dumps({"b": [1, "é"], "a": {}}) == '{\n "a": {},\n "b": [\n  1,\n  "é"\n ]\n}\n'.encode()


def test_a_changed_field_changes_one_line() -> None:
    before = dumps({"locks": [{"path": "a", "token": 1}], "session": "s"}).splitlines()
    after = dumps({"locks": [{"path": "a", "token": 2}], "session": "s"}).splitlines()
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}{}",
        b"NaN",
        b"[Infinity]",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"'a'",
        b"[1,]",
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_one_json_document_is_named_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableRecord, match=r"locks/a\.json") as caught:
        loads(body, "locks/a.json")
    assert caught.value.facts["record"] == "locks/a.json"


@pytest.mark.parametrize("text", ["", "nope", "NaN", "-Infinity", "[1", "'a'", "[" * 100_000], ids=lambda t: t[:9])
def test_typed_text_that_is_no_json_value_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_value(text)
    assert "--text" in caught.value.next


def test_a_typed_number_that_no_float_holds_is_refused_when_it_is_stored() -> None:
    with pytest.raises(InvalidValue):
        check_value(parse_value("1e999"), LIMIT)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [float("-inf")],
        b"bytes",
        (1, 2),
        {1, 2},
        {1: "a"},
        {None: "a"},
        {"a": {True: 1}},
        object(),
        1j,
        [Text("a")],
        10**5000,
    ],
    ids=lambda value: repr(value)[:12] if not isinstance(value, int) else "a very long integer",
)
def test_a_value_that_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        check_value(value, LIMIT)


@pytest.mark.parametrize("value", ["\ud800", ["a\udfff"], {"\udc80": 1}, {"a": {"b": ["\udbff\udbff"]}}], ids=ascii)
def test_a_lone_surrogate_is_refused_by_its_code(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"U\+D[89A-F]"):
        check_value(value, LIMIT)


def test_a_pair_of_surrogates_that_json_joined_is_a_letter() -> None:
    value = parse_value('"\\ud83d\\ude00"')
    check_value(value, LIMIT)
    assert value == "😀"


@pytest.mark.parametrize("inside", [None, 1, "text", True], ids=repr)
def test_a_hundred_levels_are_taken_whatever_lies_in_the_innermost(inside: Any) -> None:
    value = nested(MAX_DEPTH, inside)
    check_value(value, LIMIT)
    assert loads(dumps({"value": value}), "here") == {"value": value}


@pytest.mark.parametrize("value", [nested(MAX_DEPTH + 1), nested(MAX_DEPTH + 1, 1), nested(100_000)], ids=range(3))
def test_a_hundred_and_one_levels_are_refused(value: Any) -> None:
    with pytest.raises(InvalidValue, match="100 levels"):
        check_value(value, LIMIT)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidValue):
        check_value(value, LIMIT)


@pytest.mark.parametrize("letter", ["a", "é", "😀"])
def test_the_limit_counts_bytes_and_is_exact(letter: str) -> None:
    size = len(letter.encode())
    fits = letter * ((1000 - 2) // size) + "a" * ((1000 - 2) % size)
    check_value(fits, 1000)
    with pytest.raises(TooLarge, match="1,001 bytes as JSON; the limit is 1,000"):
        check_value(fits + "a", 1000)
