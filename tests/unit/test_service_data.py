"""Shared state as callers meet it: exact values, exact names, compare-and-set, scopes by pattern."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitcoord import canonical
from gitcoord.errors import exit_code
from gitcoord.service import Desk
from gitcoord.service.scopes import matching
from support.repo import fsck, read_log
from support.world import World, code


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "repo")


@pytest.fixture
def one(world: World) -> Desk:
    return world.agent("one")


@pytest.fixture
def two(world: World) -> Desk:
    return world.agent("two")


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    1.0,
    -0.0,
    0.1,
    1e308,
    5e-324,
    2**64,
    10**400,
    "",
    " ",
    "null",
    "[1]",
    '{"a": 1}',
    "1",
    "a\u0000b\u2028\ufeff😀e\u0301",
    [],
    [1],
    [None],
    {},
    {"": {"": [""]}},
    {"z": 1, "a": [True, 1, 1.0, "1"]},
    nested(100),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
def test_a_value_comes_back_to_another_caller_exactly(one: Desk, two: Desk, value: Any) -> None:
    stored = one.store_data("scope", "key", value)
    found = two.retrieve_data("scope", "key")
    assert stored == {"ok": True, "revision": 3}
    assert canonical.dumps(found["value"]) == canonical.dumps(value)
    assert type(found["value"]) is type(value)
    assert {name: found[name] for name in ("found", "revision", "stored_by")} == {
        "found": True,
        "revision": 3,
        "stored_by": "one-1",
    }
    assert found["stored_at"] == "2025-06-15T15:06:40.000Z"


def test_missing_is_an_answer_of_its_own_and_no_error(one: Desk) -> None:
    one.store_data("s", "null", None)
    missing = one.retrieve_data("s", "missing")
    assert missing == {"found": False, "value": None, "revision": 0, "stored_by": None, "stored_at": None}
    assert one.retrieve_data("s", "null")["found"] is True


def test_a_caller_that_changes_its_answer_changes_nobody_elses(one: Desk) -> None:
    one.store_data("s", "k", {"list": [1]})
    one.retrieve_data("s", "k")["value"]["list"].append(2)
    assert one.retrieve_data("s", "k")["value"] == {"list": [1]}


REFUSED: list[tuple[Any, str]] = [
    (float("nan"), "invalid_value"),
    ([float("inf")], "invalid_value"),
    ("\ud800", "invalid_value"),
    ({"\udfff": 1}, "invalid_value"),
    ((1,), "invalid_value"),
    ({1: 1}, "invalid_value"),
    (b"x", "invalid_value"),
    (nested(101), "invalid_value"),
    ("x" * (256 * 1024 - 1), "too_large"),
]


@pytest.mark.parametrize(("value", "expected"), REFUSED, ids=range(len(REFUSED)))
def test_a_value_that_cannot_come_back_is_refused_and_changes_nothing(
    world: World, one: Desk, value: Any, expected: str
) -> None:
    one.store_data("s", "k", "before")
    before = world.length()
    answer = one.store_data("s", "k", value)
    assert answer["ok"] is False
    assert code(answer) == expected
    assert exit_code(answer) == 2
    assert world.length() == before
    assert one.retrieve_data("s", "k")["value"] == "before"


def test_the_limit_is_stated_and_exact(one: Desk) -> None:
    assert one.store_data("s", "k", "x" * (256 * 1024 - 2))["ok"]
    message = one.store_data("s", "k", "x" * (256 * 1024 - 1))["error"]["message"]
    assert "262,145" in message
    assert "262,144" in message


@pytest.mark.parametrize(
    ("scope", "key"),
    [("", "k"), ("s", ""), ("s\0", "k"), ("s", "\ud800"), ("s" * 1025, "k"), ("s", "k" * 513)],
    ids=range(6),
)
def test_a_name_that_cannot_be_one_is_refused_by_every_verb(world: World, one: Desk, scope: str, key: str) -> None:
    one.sign_on()
    answers = [one.store_data(scope, key, 1), one.retrieve_data(scope, key), one.delete_data(scope, key)]
    if key == "k":
        answers += [one.list_keys(scope), one.delete_scope(scope)]
    assert {code(answer) for answer in answers} <= {"invalid_name", "too_large"}
    assert world.length() == 2


SCOPES = ["a/b", "a:b", "a__b", "a", " a", "a ", "A", "a//b", "/", ".git/x", "session:1", "issue:7", "日本", "a\nb"]


def test_scopes_and_keys_are_exact(world: World, one: Desk) -> None:
    for number, name in enumerate(SCOPES):
        one.store_data(name, "k", number)
        one.store_data("all", name, number)
    for number, name in enumerate(SCOPES):
        assert one.retrieve_data(name, "k")["value"] == number
        assert one.retrieve_data("all", name)["value"] == number
        assert one.list_keys(name) == {"keys": ["k"]}
    assert one.list_keys("all") == {"keys": sorted(SCOPES)}
    assert one.list_scopes() == {"scopes": sorted([*SCOPES, "all"])}
    assert fsck(world.root) == []


def test_a_key_with_slashes_is_not_a_scope(one: Desk) -> None:
    one.store_data("a", "b/c", 1)
    assert one.retrieve_data("a/b", "c")["found"] is False
    assert one.list_keys("a/b") == {"keys": []}


# -- compare-and-set


def test_zero_expects_absence(one: Desk, two: Desk) -> None:
    first = one.store_data("s", "k", 1, expect_revision=0)
    answer = two.store_data("s", "k", 2, expect_revision=0)
    assert code(answer) == "revision_mismatch"
    assert answer["ok"] is False
    assert answer["revision"] == first["revision"]
    assert "one-1" in answer["error"]["message"]


def test_of_two_that_store_over_one_revision_the_second_is_refused(one: Desk, two: Desk) -> None:
    seen = one.store_data("s", "k", 1)["revision"]
    assert two.store_data("s", "k", 2, expect_revision=seen)["ok"]
    assert code(one.store_data("s", "k", 3, expect_revision=seen)) == "revision_mismatch"
    assert one.retrieve_data("s", "k")["value"] == 2


def test_a_value_deleted_and_stored_anew_has_a_larger_revision(one: Desk) -> None:
    first = one.store_data("s", "k", 1)["revision"]
    one.delete_data("s", "k")
    assert code(one.store_data("s", "k", 1, expect_revision=first)) == "revision_mismatch"
    second = one.store_data("s", "k", 1, expect_revision=0)["revision"]
    assert second > first
    assert one.retrieve_data("s", "k")["revision"] == second


def test_a_store_elsewhere_does_not_move_a_keys_revision(one: Desk) -> None:
    seen = one.store_data("s", "k", 1)["revision"]
    one.store_data("s", "other", 1)
    one.store_data("s/k", "k", 1)
    assert one.store_data("s", "k", 2, expect_revision=seen)["ok"]


@pytest.mark.parametrize("expected", ["3", 1.5, True, -1], ids=repr)
def test_a_revision_that_is_none_is_refused(world: World, one: Desk, expected: Any) -> None:
    one.store_data("s", "k", 1)
    before = world.length()
    assert code(one.store_data("s", "k", 2, expect_revision=expected)) in ("bad_request", "revision_mismatch")
    assert world.length() == before


# -- deleting


def test_deleting_says_whether_there_was_something(world: World, one: Desk) -> None:
    one.store_data("s", "k", 1)
    assert one.delete_data("s", "k")["deleted"] is True
    before = world.length()
    again = one.delete_data("s", "k")
    assert again["deleted"] is False
    assert "error" not in again
    assert world.length() == before
    assert one.list_scopes() == {"scopes": []}


def test_deleting_another_revision_than_expected_is_refused(one: Desk) -> None:
    seen = one.store_data("s", "k", 1)["revision"]
    one.store_data("s", "k", 2)
    for expected in (seen, 0):
        answer = one.delete_data("s", "k", expect_revision=expected)
        assert code(answer) == "revision_mismatch"
        assert answer["deleted"] is False
    assert code(one.delete_data("s", "missing", expect_revision=5)) == "revision_mismatch"
    assert one.delete_data("s", "missing", expect_revision=0)["deleted"] is False
    assert one.retrieve_data("s", "k")["value"] == 2


def test_deleting_a_scope_deletes_exactly_that_one_in_one_commit(world: World, one: Desk) -> None:
    for scope in ("a", "a/b", "a:b", "ab"):
        one.store_data(scope, "k", 1)
        one.store_data(scope, "l/m", 1)
    before = world.length()
    assert one.delete_scope("a")["deleted"] == 2
    assert world.length() == before + 1
    assert one.list_scopes() == {"scopes": ["a/b", "a:b", "ab"]}
    assert one.delete_scope("a")["deleted"] == 0
    assert world.length() == before + 1


def test_every_store_is_an_entry_of_the_audit(world: World, one: Desk) -> None:
    one.store_data("issue:7", "state", "open")
    one.delete_data("issue:7", "state")
    subjects = [entry.subject for entry in read_log(world.root)]
    assert subjects[-2:] == ["store: issue:7 state (one-1)", "delete: issue:7 state (one-1)"]


# -- patterns


NAMED = ["session:1", "session:2/x", "issue:7", "a[b]", "a*b", "x\ny", "Session:3", "sessions"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("session:*", ["session:1", "session:2/x"]),
        ("issue:*", ["issue:7"]),
        ("*", NAMED),
        ("session:?", ["session:1"]),
        ("a[b]", ["a[b]"]),
        ("a[*", ["a[b]"]),
        ("x?y", ["x\ny"]),
        ("session", []),
        ("", []),
        ("session:1", ["session:1"]),
        ("[!a]*", []),
        ("a\\*b", []),
    ],
)
def test_a_pattern_matches_whole_scopes_and_only_star_and_question_mark_mean_something(
    pattern: str, found: list[str]
) -> None:
    assert matching(pattern, NAMED) == found


def test_scopes_are_listed_by_pattern(one: Desk) -> None:
    for scope in ("session:1", "session:2", "issue:7"):
        one.store_data(scope, "k", 1)
    assert one.list_scopes("session:*") == {"scopes": ["session:1", "session:2"]}
    assert one.list_scopes("nothing*") == {"scopes": []}
