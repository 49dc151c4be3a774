"""Records: what a file of the state has to look like before anything is believed of it.

A record that cannot be read, or is not of its kind's shape, raises with its place: nothing is granted because of it.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import canonical, names, principals
from gitcoord.errors import IntegrityFault, UnreadableRecord
from gitcoord.model import DEFAULT_LIMITS
from gitcoord.model_time import parse_time
from gitcoord.tree import Draft, Entry, Parts, Tree
from gitcoord.values import Any, cast

_RECORD_BYTES = 500
_KEPT_BYTES = 24 * 1024 * 1024
_SHAPES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "header": {"format": int, "rules": int, "repository": str, "revision": int, "operations": list},
    "policy": {"version": int, "case": str, "unsigned": str, "limits": dict},
    "session": {
        "session": str, "incarnation": str, "author": dict, "agent": str, "intent": str, "machine_name": str,
        "started_at": str, "clock": dict, "renewal": str, "lease_s": int, "usual_s": int, "process": bool,
        "proof": (dict, type(None)), "held": int, "notices": list,
    },
    "lock": {
        "path": str, "key": str, "kind": str, "mode": str, "session": str, "incarnation": str, "grant": str,
        "token": int, "locked_at": str, "reason": str, "term": (dict, type(None)),
    },
    "datum": {
        "scope": str, "key": str, "value": object, "revision": int, "stored_by": str, "stored_at": str, "store": str,
    },
}  # fmt: skip
_AUTHOR_SHAPE: dict[str, type | tuple[type, ...]] = {"name": str, "email": str}
_LOST_SHAPE: dict[str, type | tuple[type, ...]] = dict.fromkeys(("path", "key", "kind", "grant", "why"), str)
_MERGE_SHAPE: dict[str, type | tuple[type, ...]] = {
    "replayed": list, "refused": list, "restores": (str, type(None)), "adopts": (str, type(None)),
}  # fmt: skip
_REFUSAL_SHAPE: dict[str, type | tuple[type, ...]] = {
    "id": str, "type": str, "session": str, "incarnation": str, "claims": list, "code": str, "message": str,
    "after": int,
}  # fmt: skip
_OPERATION_SHAPE: dict[str, type | tuple[type, ...]] = {"id": str, "type": str}
_CLAIM_SHAPE: dict[str, type | tuple[type, ...]] = {"path": str, "key": str, "kind": str}
# Read with every commit, and never in need of quotes.
_TOP = {b"coord.json": "coord.json", b"policy.json": "policy.json"}
_ID_LIMIT = 64
_CASES = ("sensitive", "insensitive")
_CLOCK_SHAPE: dict[str, type | tuple[type, ...]] = {"machine": str, "boot": str, "uptime_ms": int, "time": str}


class Records:
    """Parsed records, shared by all states of one process. Callers must not change what they get.

    Found by object id once they are on the log, and by their bytes while they are not: what a rule has just written is
    not parsed again.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._by_oid: dict[bytes, dict[str, Any]] = {}
        self._by_body: dict[bytes, dict[str, Any]] = {}
        self._kept_bytes = self._fresh_bytes = 0

    def read(self, tree: Tree, found: bytes | Draft | Entry, kind: str, where: Parts) -> dict[str, Any]:
        """Return the record behind what the tree found.

        Raises:
            UnreadableRecord: not JSON, or not of this kind's shape.
        """
        if isinstance(found, Draft):
            return found.value
        if isinstance(found, bytes):
            fresh = self._by_body.get(found)
            return _checked(canonical.loads(found, shown(where)), kind, where) if fresh is None else fresh
        return self.record(found.oid, tree.blob, kind, where)

    def record(self, oid: bytes, read: Callable[[bytes], bytes], kind: str, where: Parts) -> dict[str, Any]:
        """Return the record in a blob.

        Args:
            oid: the blob.
            read: returns a blob's body.
            kind: what the record has to be.
            where: its place in the state, for errors.

        Raises:
            UnreadableRecord: not JSON, or not of this kind's shape.
        """
        record = self._by_oid.get(oid)
        if record is None:
            try:
                body = read(oid)
            except IntegrityFault as error:
                raise placed(error, where) from error
            record = _checked(canonical.loads(body, shown(where)), kind, where)
            self._keep(oid, record, len(body))
        return record

    def _keep(self, oid: bytes, record: dict[str, Any], size: int) -> None:
        self._kept_bytes += size + _RECORD_BYTES
        if self._kept_bytes > _KEPT_BYTES:
            self._by_oid, self._kept_bytes = {}, 0
        self._by_oid[oid] = record

    def note(self, record: Any) -> Draft:
        """Return what stands for a record that a rule made; its canonical bytes are made when it is written."""
        return Draft(record, self._encoded)

    def _encoded(self, record: Any) -> bytes:
        body = canonical.dumps(record)
        self._fresh_bytes += len(body) + _RECORD_BYTES
        if self._fresh_bytes > _KEPT_BYTES:
            self._by_body, self._fresh_bytes = {}, 0
        self._by_body[body] = record
        return body

    def written(self, oid: bytes, body: bytes) -> None:
        """Learn under which id a body was written."""
        record = self._by_body.pop(body, None)
        if record is not None:
            self._fresh_bytes -= len(body) + _RECORD_BYTES
            self._keep(oid, record, len(body))


def shown(where: Parts) -> str:
    """Return a place in the state as git would print it."""
    if len(where) == 1 and where[0] in _TOP:
        return _TOP[where[0]]
    return names.quote(b"/".join(where).decode(errors="surrogateescape"))


def placed(error: IntegrityFault, where: Parts) -> IntegrityFault:
    """Return what is wrong with an object, with the place in the state that it has."""
    place = shown(where)
    return type(error)(f"{place}: {error.message}", next=error.next, **{**error.facts, "record": place})


def _fits(record: Any, shape: dict[str, type | tuple[type, ...]]) -> bool:
    if type(record) is not dict:
        return False
    fields = cast("dict[str, Any]", record)
    for name, kind in shape.items():  # noqa: SIM110 - it takes half as long as `all` of a generator
        if name not in fields or not isinstance(fields[name], kind):
            return False
    return True


def _listed(value: Any) -> list[Any]:
    """Return a list as it is; anything else as a list of what fits no shape."""
    return cast("list[Any]", value) if isinstance(value, list) else [None]


def _is_clock(value: Any) -> bool:
    if not _fits(value, _CLOCK_SHAPE):
        return False
    try:
        parse_time(value["time"])
    except ValueError:
        return False
    return True


def _is_id(value: Any) -> bool:
    """Tell whether a value can be an operation's id: a word that is one wherever a message shows it."""
    return isinstance(value, str) and len(value) <= _ID_LIMIT and value.isascii() and value.isalnum()


def _is_refusal(value: Any) -> bool:
    return (
        _fits(value, _REFUSAL_SHAPE)
        and _is_id(value["id"])
        and (value["session"] == "" or names.is_session_id(value["session"]))
        and value["type"].isascii()
        and value["type"].isprintable()
        and all(_fits(one, _CLAIM_SHAPE) for one in value["claims"])
    )


def _is_merge(value: dict[str, Any]) -> bool:
    """Tell whether a merge says what it replayed and refused in the form that the next merge reads."""
    return (
        _fits(value, _MERGE_SHAPE)
        and all(_is_id(one) for one in value["replayed"])
        and all(_is_refusal(one) for one in value["refused"])
    )


def _is_operation(value: Any) -> bool:
    return (
        _fits(value, _OPERATION_SHAPE)
        and _is_id(value["id"])
        and (value["type"] != "log.merge" or _is_merge(value))
        and _is_clock(value.get("clock"))
        and _fits(value.get("author"), _AUTHOR_SHAPE)
    )


def _checked(record: Any, kind: str, where: Parts) -> dict[str, Any]:
    fits = _fits(record, _SHAPES[kind])
    if fits and kind == "session":
        fits = _is_clock(record["clock"]) and _fits(record["author"], _AUTHOR_SHAPE)
    if fits and kind == "session":
        fits = all(_fits(one, _LOST_SHAPE) for one in _listed(record.get("lost", [])))
    if fits and kind == "lock" and record["term"] is not None:
        fits = isinstance(record["term"].get("ttl_s"), int) and _is_clock(record["term"].get("clock"))
    if fits and kind == "policy":
        fits = _fits(record["limits"], dict.fromkeys(DEFAULT_LIMITS, int)) and record["case"] in _CASES
        fits = fits and principals.fault_of(record) is None
    if fits and kind == "header":
        fits = bool(record["operations"]) and all(_is_operation(operation) for operation in record["operations"])
    if not fits:
        raise UnreadableRecord(
            f"{shown(where)} is not a {kind} record; nothing that it protects is granted",
            next="gitcoord doctor",
            record=shown(where),
        )
    return record
