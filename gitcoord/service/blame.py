"""Who held a path: every lock that covered it, since when, why, and how it ended.

Read from the states along first parents, and not from the operations alone: what a merge refused after all was never
held. How a hold ended, and that one both began and ended with a single commit, is told by the operations that came with
the commit, those that a merge brought in too.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitcoord import render
from gitcoord.errors import BadRequest
from gitcoord.log import Commit, Log
from gitcoord.model import Operation
from gitcoord.paths import Claim
from gitcoord.service import history
from gitcoord.service.history import Event
from gitcoord.service.views import View
from gitcoord.state import State
from gitcoord.transitions import locks
from gitcoord.values import Any

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

_HoldId = tuple[str, str, str]
"""A lock's key, its session and its grant."""


def holds(log: Log, claim: Claim, limit: int, lapsed: list[View]) -> list[View]:
    """Return every hold on what a claim covers, the newest first; `until` is None for what is still held.

    What is still held and has lapsed has the member `lapsed`: it is in nobody's way, and nobody has taken it yet.

    Args:
        log: what is read.
        claim: of the path.
        limit: at most so many.
        lapsed: the locks that have lapsed, as answers show them.

    Raises:
        BadRequest: the limit is no number from 1 to 10,000.
    """
    if not 1 <= limit <= _MOST:
        raise BadRequest(f"a limit of {limit} is out of range", next=f"give a number from 1 to {_MOST:,}")
    found: list[View] = []
    open_holds: dict[_HoldId, View] = {}
    before: tuple[object, ...] | None = None
    for commit in reversed(_line(log)):
        state = log.state_at(commit.oid)
        here, header = _roots(state), state.header
        if here == before and len(commit.parents) < 2 and len(header["operations"]) < 2:
            continue
        before = here
        held = {(lock["key"], lock["session"], lock["grant"]): lock for lock in state.overlapping(claim)}
        events = [event for event in history.events_of(log, commit, header) if event.refused is None]
        found += _passing(commit, events, claim, {*open_holds, *held})
        for hold_id in [known for known in open_holds if known not in held]:
            open_holds.pop(hold_id).update(_end(events, hold_id))
        for hold_id, lock in held.items():
            known = open_holds.get(hold_id)
            if known is None:
                open_holds[hold_id] = _begin(commit, lock)
                found.append(open_holds[hold_id])
            else:
                known.update(reason=lock["reason"], mode=lock["mode"])
    over = {(lock["path"], lock["session"], lock["grant"]) for lock in lapsed}
    for (_, session, grant), hold in open_holds.items():
        if (hold["path"], session, grant) in over:
            hold["lapsed"] = True
    return found[::-1][:limit]


def _passing(commit: Commit, events: list[Event], claim: Claim, known: set[_HoldId]) -> list[View]:
    """Return the holds that began and ended with one commit, so that no state has them.

    Args:
        commit: the one on the chain of first parents.
        events: what came with it.
        claim: of the path.
        known: the holds that the states before and after it have.
    """
    found: list[View] = []
    places = {hold_id[:2] for hold_id in known}
    for at, event in enumerate(events):
        operation = event.operation
        if operation["type"] != "lock.acquire":
            continue
        for record in operation["claims"]:
            hold_id = record["key"], operation["session"], operation["id"]
            later = [event for event in events[at + 1 :] if _ends(event.operation, hold_id)]
            if later and hold_id[:2] not in places and history.meet(claim, locks.claim_from(record)):
                begun = {
                    **{name: operation[name] for name in ("session", "mode", "reason")},
                    "path": record["path"],
                    "token": event.revision,
                    "locked_at": operation["clock"]["time"],
                }
                found.append({**_begin(commit, begun), **_end(later, hold_id)})
    return found


def _line(log: Log) -> list[Commit]:
    found = [log.commit(log.tip())]
    while found[-1].parents:
        found.append(log.commit(found[-1].parents[0]))
    return found


def _roots(state: State) -> tuple[object, ...]:
    """Return what changes when any lock does."""
    return tuple(state.tree.root.base.index.get(top) for top in _TOPS)


def _begin(commit: Commit, lock: Mapping[str, Any]) -> View:
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


def _end(events: list[Event], hold_id: _HoldId) -> View:
    """Return how a hold ended with what came with a commit; where no operation names it, with the commit's own."""
    event = next((event for event in events if _ends(event.operation, hold_id)), events[-1])
    operation = event.operation
    return {
        "until": operation["clock"]["time"],
        "ended": _how(operation),
        "ended_by": operation.get("session"),
        "ended_commit": event.commit.oid.hex(),
        "ended_why": render.reason(operation) or None,
    }


def _how(operation: Operation) -> str:
    if operation["type"] == "lock.acquire":
        return "granted anew"
    kind: str = operation["type"]
    return _ENDS.get(kind, kind)


def _ends(operation: Operation, hold_id: _HoldId) -> bool:
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
