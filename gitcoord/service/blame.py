"""Who held a path: every lock that covered it, since when, why, and how it ended.

Read from the states along first parents, and not from the operations alone: what a merge refused after all was never
held.
"""

from __future__ import annotations

from gitcoord import render
from gitcoord.errors import BadRequest
from gitcoord.log import Commit, Log
from gitcoord.model import Lock, Operation
from gitcoord.paths import Claim
from gitcoord.service.views import View
from gitcoord.state import State

_MOST = 10_000
_ENDS = {
    "lock.release": "released",
    "session.end": "signed off",
    "lock.break": "broken",
    "lock.expire": "ran out of its time",
    "session.reap": "reaped",
    "session.start": "taken over",
}
_TOPS = (b"locks", b"resources")


def holds(log: Log, claim: Claim, limit: int) -> list[View]:
    """Return every hold on what a claim covers, the newest first; `until` is None for what is still held.

    Args:
        log: what is read.
        claim: of the path.
        limit: at most so many.

    Raises:
        BadRequest: the limit is no number from 1 to 10,000.
    """
    if not 1 <= limit <= _MOST:
        raise BadRequest(f"a limit of {limit} is out of range", next=f"give a number from 1 to {_MOST:,}")
    found: list[View] = []
    open_holds: dict[tuple[str, str, str], View] = {}
    before: tuple[object, ...] | None = None
    for commit in reversed(_line(log)):
        state = log.state_at(commit.oid)
        here = _roots(state)
        if here == before:
            continue
        before = here
        held = {(lock["key"], lock["session"], lock["grant"]): lock for lock in state.overlapping(claim)}
        for hold_id in [known for known in open_holds if known not in held]:
            open_holds.pop(hold_id).update(_end(commit, state, hold_id))
        for hold_id, lock in held.items():
            known = open_holds.get(hold_id)
            if known is None:
                open_holds[hold_id] = _begin(commit, lock)
                found.append(open_holds[hold_id])
            else:
                known.update(reason=lock["reason"], mode=lock["mode"])
    return found[::-1][:limit]


def _line(log: Log) -> list[Commit]:
    found = [log.commit(log.tip())]
    while found[-1].parents:
        found.append(log.commit(found[-1].parents[0]))
    return found


def _roots(state: State) -> tuple[object, ...]:
    """Return what changes when any lock does."""
    return tuple(state.tree.root.base.index.get(top) for top in _TOPS)


def _begin(commit: Commit, lock: Lock) -> View:
    return {
        "path": lock["path"],
        "session": lock["session"],
        "mode": lock["mode"],
        "reason": lock["reason"],
        "token": lock["token"],
        "since": lock["locked_at"],
        "revision": commit.revision,
        "commit": commit.oid.hex(),
        "until": None,
        "ended": None,
        "ended_by": None,
        "ended_commit": None,
        "ended_why": None,
    }


def _end(commit: Commit, state: State, hold_id: tuple[str, str, str]) -> View:
    operations = state.header["operations"]
    operation = next((op for op in operations if _ends(op, hold_id)), operations[0])
    return {
        "until": operation["clock"]["time"],
        "ended": _how(operation),
        "ended_by": operation.get("session"),
        "ended_commit": commit.oid.hex(),
        "ended_why": render.reason(operation) or None,
    }


def _how(operation: Operation) -> str:
    if operation["type"] == "lock.acquire":
        return "granted anew"
    kind: str = operation["type"]
    return _ENDS.get(kind, kind)


def _ends(operation: Operation, hold_id: tuple[str, str, str]) -> bool:
    """Tell whether an operation is one that ends this hold."""
    key, session, _ = hold_id
    kind = operation["type"]
    if kind in ("session.end", "session.start"):
        return operation["session"] == session
    if kind == "session.reap":
        return operation["target"] == session
    named = any(record["key"] == key for record in render.touched(operation))
    if kind in ("lock.break", "lock.expire"):
        return named and any(record["session"] == session for record in operation["locks"])
    return named and operation.get("session") == session
