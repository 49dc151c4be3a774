"""The rules of shared state, on a log in memory: exact keys, any JSON value, and compare-and-set."""

from __future__ import annotations

from typing import Any

import pytest

from gitcoord.errors import BadRequest, CoordError, InvalidName, InvalidValue, NotFound, RevisionMismatch, TooLarge
from support.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    made.start("s1")
    made.start("s2")
    return made


def value(ledger: Ledger, scope: str, key: str) -> Any:
    found = ledger.state.datum(scope, key)
    assert found is not None
    return found["value"]


def delete(ledger: Ledger, scope: str, key: str, expect_revision: int | None = None) -> None:
    ledger.run("data.delete", "s1", scope=scope, key=key, expect_revision=expect_revision)


VALUES: list[Any] = [
    "",
    "null",
    "[1]",
    None,
    [],
    [1],
    {},
    0,
    False,
    0.1,
    -0.0,
    10**30,
    "日本",
    {"a": [None, {"b": ""}]},
]


@pytest.mark.parametrize("stored", VALUES, ids=repr)
def test_a_value_comes_back_exactly(ledger: Ledger, stored: Any) -> None:
    ledger.store("s1", "scope", "key", stored)
    found = value(ledger, "scope", "key")
    assert repr(found) == repr(stored)


def test_null_missing_an_empty_list_and_a_list_are_four_answers(ledger: Ledger) -> None:
    for key, stored in (("null", None), ("empty", []), ("one", [1])):
        ledger.store("s1", "scope", key, stored)
    assert ledger.state.datum("scope", "missing") is None
    assert [value(ledger, "scope", key) for key in ("null", "empty", "one")] == [None, [], [1]]


def test_who_stored_it_and_when_come_with_it(ledger: Ledger) -> None:
    ledger.clock.advance(5)
    ledger.store("s2", "scope", "key", 1)
    found = ledger.state.datum("scope", "key")
    assert found is not None
    assert found["stored_by"] == "s2"
    assert found["revision"] == ledger.revision
    assert found["stored_at"] == ledger.session("s2")["clock"]["time"]


def test_zero_is_expected_of_what_is_absent(ledger: Ledger) -> None:
    ledger.store("s1", "scope", "key", 1, expect_revision=0)
    with pytest.raises(RevisionMismatch) as caught:
        ledger.store("s2", "scope", "key", 2, expect_revision=0)
    assert caught.value.facts["revision"] == ledger.revision
    assert value(ledger, "scope", "key") == 1


def test_a_store_over_the_expected_revision_is_done_and_over_another_refused(ledger: Ledger) -> None:
    ledger.store("s1", "scope", "key", 1)
    seen = ledger.revision
    ledger.store("s2", "scope", "other", 1)
    ledger.store("s2", "scope", "key", 2, expect_revision=seen)
    with pytest.raises(RevisionMismatch, match=f"{seen} was expected"):
        ledger.store("s1", "scope", "key", 3, expect_revision=seen)
    assert value(ledger, "scope", "key") == 2


def test_a_revision_is_the_keys_and_never_comes_again(ledger: Ledger) -> None:
    ledger.store("s1", "scope", "key", 1)
    first = ledger.revision
    delete(ledger, "scope", "key")
    with pytest.raises(RevisionMismatch):
        ledger.store("s1", "scope", "key", 2, expect_revision=first)
    ledger.store("s1", "scope", "key", 1, expect_revision=0)
    found = ledger.state.datum("scope", "key")
    assert found is not None
    assert found["revision"] > first


def test_a_store_names_the_store_that_it_replaces(ledger: Ledger) -> None:
    ledger.store("s1", "scope", "key", 1)
    with pytest.raises(RevisionMismatch):
        ledger.run(
            "data.store", "s2", scope="scope", key="key", value=2, expect_revision=None, replaces="another store"
        )
    with pytest.raises(RevisionMismatch):
        ledger.run("data.store", "s2", scope="scope", key="new", value=2, expect_revision=None, replaces="another")


@pytest.mark.parametrize("expect_revision", [1, 10**9])
def test_deleting_another_revision_than_expected_is_refused(ledger: Ledger, expect_revision: int) -> None:
    ledger.store("s1", "scope", "key", 1)
    with pytest.raises(RevisionMismatch):
        delete(ledger, "scope", "key", expect_revision)
    with pytest.raises(RevisionMismatch):
        delete(ledger, "scope", "missing", expect_revision)
    assert value(ledger, "scope", "key") == 1


def test_deleting_what_is_missing_is_refused(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        delete(ledger, "scope", "key")
    with pytest.raises(NotFound):
        ledger.run("data.delete_scope", "s1", scope="scope")


def test_deleting_a_scope_deletes_exactly_its_keys(ledger: Ledger) -> None:
    for scope in ("a", "a/b", "a:b", "a__b", "ab"):
        for key in ("k", "b/k", "l"):
            ledger.store("s1", scope, key, scope)
    facts = ledger.run("data.delete_scope", "s1", scope="a")
    assert facts["deleted"] == 3
    assert ledger.state.scopes() == ["a/b", "a:b", "a__b", "ab"]
    assert ledger.state.keys("a/b") == ["b/k", "k", "l"]


@pytest.mark.parametrize(
    ("scope", "key", "stored", "error"),
    [
        ("", "k", 1, InvalidName),
        ("s", "", 1, InvalidName),
        ("s\0", "k", 1, InvalidName),
        ("s", "k\0", 1, InvalidName),
        ("\ud800", "k", 1, InvalidName),
        ("s", "\udfff", 1, InvalidName),
        ("s" * 1025, "k", 1, TooLarge),
        ("s", "é" * 257, 1, TooLarge),
        ("s", "k", float("nan"), InvalidValue),
        ("s", "k", "\ud800", InvalidValue),
        ("s", "k", {1: 2}, InvalidValue),
        ("s", "k", "x" * (256 * 1024 - 1), TooLarge),
    ],
    ids=range(12),
)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(
    ledger: Ledger, scope: str, key: str, stored: Any, error: type[CoordError]
) -> None:
    before = ledger.trees[-1]
    operation = ledger.operation(
        "data.store", "s1", scope=scope, key=key, value=stored, expect_revision=None, replaces=None
    )
    with pytest.raises(error):
        ledger.apply(operation)
    assert ledger.trees[-1] == before


def test_the_longest_scope_key_and_value_are_stored(ledger: Ledger) -> None:
    scope, key, stored = "%/" * 512, "é" * 256, "x" * (256 * 1024 - 2)
    ledger.store("s1", scope, key, stored)
    assert value(ledger, scope, key) == stored
    assert ledger.state.scopes() == [scope]
    assert ledger.state.keys(scope) == [key]


def test_the_logs_own_limit_counts() -> None:
    ledger = Ledger(limits={"value_bytes": 10})
    ledger.start("s1")
    ledger.store("s1", "s", "k", "12345678")
    with pytest.raises(TooLarge, match="11 bytes as JSON; the limit is 10"):
        ledger.store("s1", "s", "k", "123456789")


def test_many_keys_of_one_scope_are_all_found(ledger: Ledger) -> None:
    keys = [f"key-{number}" for number in range(300)]
    operations = [
        ledger.operation("data.store", "s1", scope="s", key=key, value=key, expect_revision=0, replaces=None)
        for key in keys
    ]
    ledger.apply(*operations)
    assert ledger.state.keys("s") == sorted(keys)
    assert all(value(ledger, "s", key) == key for key in keys)


@pytest.mark.parametrize("expected", ["1", 1.0, True, -1], ids=repr)
def test_an_expected_revision_that_is_no_revision_is_refused(ledger: Ledger, expected: Any) -> None:
    ledger.store("s1", "scope", "key", 1)
    with pytest.raises((BadRequest, RevisionMismatch)):
        ledger.store("s1", "scope", "key", 2, expect_revision=expected)
