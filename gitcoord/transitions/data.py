"""The rules of shared state: exact scopes, exact keys, any JSON value, and compare-and-set.

A key's revision is the log's revision at which its value was stored, so it never comes again: a value that was deleted
and stored anew has a larger one. `expect_revision` 0 means that the key must be absent.
"""

from __future__ import annotations

from gitcoord import canonical, names
from gitcoord.errors import BadRequest, NotFound, RevisionMismatch
from gitcoord.model import Datum, Operation
from gitcoord.state import State
from gitcoord.values import Any, cast


def _check_expected(operation: Operation, old: Datum | None) -> None:
    expected = operation["expect_revision"]
    actual = 0 if old is None else old["revision"]
    if expected is not None and expected != actual:
        by = "" if old is None else f", stored by {old['stored_by']} at {old['stored_at']}"
        raise RevisionMismatch(
            f"{operation['key']!r} in {operation['scope']!r} is at revision {actual}{by}; {expected} was expected",
            next="read it again, and store with the revision that you read",
            revision=actual,
        )


def store(state: State, operation: Operation) -> dict[str, Any]:
    """`data.store`: scope, key, value, expect_revision (or None), replaces (the id of the store that it is over).

    Of a sealed value, `value` is the ciphertext, and `sealed` says by what and to whom.
    """
    scope, key = operation["scope"], operation["key"]
    names.check_scope(scope)
    names.check_key(key)
    canonical.check_value(operation["value"], state.policy["limits"]["value_bytes"])
    old = state.datum(scope, key)
    _check_expected(operation, old)
    if operation["replaces"] != (None if old is None else old["store"]):
        raise RevisionMismatch(f"{key!r} in {scope!r} was stored anew meanwhile", next="read it again")
    datum: Datum = {
        "scope": scope,
        "key": key,
        "value": operation["value"],
        "revision": operation["revision"],
        "stored_by": operation["session"],
        "stored_at": operation["clock"]["time"],
        "store": operation["id"],
    }
    if "sealed" in operation:
        sealed = operation["sealed"]
        if type(sealed) is not dict or type(operation["value"]) is not str:
            raise BadRequest("a sealed value is a text, and `sealed` says to whom")
        datum["sealed"] = cast("dict[str, Any]", sealed)
    state.put_datum(datum)
    return {}


def delete(state: State, operation: Operation) -> dict[str, Any]:
    """`data.delete`: scope, key, expect_revision (or None)."""
    old = state.datum(operation["scope"], operation["key"])
    _check_expected(operation, old)
    if old is None:
        raise NotFound(f"there is no {operation['key']!r} in {operation['scope']!r}", next="gitcoord data list SCOPE")
    state.drop_datum(operation["scope"], operation["key"])
    return {}


def delete_scope(state: State, operation: Operation) -> dict[str, Any]:
    """`data.delete_scope`: scope. Removes every key of exactly this scope, not of those below it."""
    keys = state.keys(operation["scope"])
    if not keys:
        raise NotFound(f"there is no scope {operation['scope']!r}", next="gitcoord data scopes")
    for key in keys:
        state.drop_datum(operation["scope"], key)
    return {"deleted": len(keys)}
