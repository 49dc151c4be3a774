"""The rules of shared state: exact scopes, exact keys, any JSON value, and compare-and-set.

A key's revision is the log's revision at which its value was stored, so it never comes again: a value that was deleted
and stored anew has a larger one. `expect_revision` 0 means that the key must be absent.

What a store or a deletion is over it also names by the id of that store (`replaces`). Where operations of another clone
are replayed (see `merging`) revisions have changed and ids have not, so there the id alone decides: what was stored
meanwhile is never silently laid over. Two clones may have given one revision to two values of a key; of the one that
is refused nobody may take the other's revision for its own, so the merge numbers that one anew (`renumber`).
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
    if expected is not None and expected != actual and not operation["replayed"]:
        by = "" if old is None else f", stored by {old['stored_by']} at {old['stored_at']}"
        raise RevisionMismatch(
            f"{operation['key']!r} in {operation['scope']!r} is at revision {actual}{by}; {expected} was expected",
            next="read it again, and store with the revision that you read",
            revision=actual,
        )


def _check_replaced(operation: Operation, old: Datum | None) -> None:
    if operation.get("replaces") == (None if old is None else old["store"]):
        return
    how = "was deleted" if old is None else f"was stored anew by {old['stored_by']} at {old['stored_at']}"
    raise RevisionMismatch(
        f"{operation['key']!r} in {operation['scope']!r} {how} meanwhile",
        next="read it again, and store what is then right",
        revision=0 if old is None else old["revision"],
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
    _check_replaced(operation, old)
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


def renumber(state: State, scope: str, key: str, revision: int) -> None:
    """Let a key's value stay as it is and have another revision, so that what was read elsewhere of it is not it."""
    datum = state.datum(scope, key)
    if datum is not None:
        state.put_datum({**datum, "revision": revision})


def delete(state: State, operation: Operation) -> dict[str, Any]:
    """`data.delete`: scope, key, expect_revision (or None), replaces (the id of the store that it deletes)."""
    old = state.datum(operation["scope"], operation["key"])
    _check_expected(operation, old)
    if old is None:
        raise NotFound(f"there is no {operation['key']!r} in {operation['scope']!r}", next="gitcoord data list SCOPE")
    if "replaces" in operation or operation["replayed"]:
        _check_replaced(operation, old)
    state.drop_datum(operation["scope"], operation["key"])
    return {}


def delete_scope(state: State, operation: Operation) -> dict[str, Any]:
    """`data.delete_scope`: scope, replaces (see `contents`). Removes every key of exactly this scope, of none below."""
    keys = state.keys(operation["scope"])
    if not keys:
        raise NotFound(f"there is no scope {operation['scope']!r}", next="gitcoord data scopes")
    over = operation.get("replaces")
    if (over is not None or operation["replayed"]) and over != contents(state, operation["scope"]):
        raise RevisionMismatch(f"{operation['scope']!r} was stored into meanwhile", next="look at it again")
    for key in keys:
        state.drop_datum(operation["scope"], key)
    return {"deleted": len(keys)}


def contents(state: State, scope: str) -> str:
    """Return a digest of which stores a scope holds, by which a deletion names what it deletes."""
    import hashlib

    digest = hashlib.sha256()
    for key in state.keys(scope):
        datum = state.datum(scope, key)
        digest.update(f"{key!r} {'' if datum is None else datum['store']}\n".encode())
    return digest.hexdigest()
