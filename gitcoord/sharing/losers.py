"""Which of this clone's sessions lost their place on the log when it met the others, and what went with it.

A session is told of a refusal by the merge that refused it, on its own record. Where another clone signed on under its
id, or ended it, there is no such record: what it lost is found here, in what came between two tips, and is kept in the
runtime directory of the clone where it was at work (`gitcoord.runtime.displaced`).
"""

from __future__ import annotations

from gitcoord import merge
from gitcoord.runtime.clone import clone_id
from gitcoord.runtime.displaced import Displaced
from gitcoord.sharing.growth import has_first_parent
from gitcoord.transitions.merging import UNTOLD, described
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitcoord.coordinator import Coordinator
    from gitcoord.model import Lost, Operation, Refusal, Session
    from gitcoord.state import State

_NAMED = 5
_MERGES_PARENTS = 2


class _Refused(NamedTuple):
    """A refused operation, and why."""

    operation: Operation
    why: Refusal


def losers(log: Coordinator, before: bytes, after: bytes) -> Iterator[Displaced]:
    """Yield the sessions of this clone that lost their place between two tips through what others did.

    Args:
        log: the clone's log.
        before: its tip so far.
        after: the tip that it is about to have, which has the other behind it.

    Raises:
        IntegrityFault: something that had to be read cannot be.
    """
    was, now = log.state_at(before), log.state_at(after)
    here = Here(log)
    gone = {one["incarnation"]: one for one in was.sessions() if here.is_ours(one) and not _stands(now, one)}
    if not gone and has_first_parent(log, after, before):
        return
    came = merge.sides(log, before, after).theirs
    refused = _refusals(log, came)
    for one in refused.values():
        if one.operation["type"] == "session.start" and here.is_ours(one.operation) and not _stands(now, one.operation):
            gone.setdefault(one.operation["id"], _begun(one.operation))
    for incarnation, record in gone.items():
        own = [one for one in refused.values() if one.operation.get("incarnation") == incarnation]
        start = refused.get(incarnation)
        how = _how_refused(start) if start is not None else _how_ended(log, came, here, was, record)
        if how:
            word = how + _with_it(own, "with it" if start is not None else "refused after all")
            lost = tuple(_lost(was, record, own))
            yield Displaced(incarnation, record["session"], incarnation, record["process"], word, lost)


class Here:
    """Tells what was begun in this clone."""

    def __init__(self, log: Coordinator) -> None:
        """Remember which clone of which machine this is."""
        self._clone = clone_id(log.repository.runtime)
        self._machine = log.clock.stamp().machine

    def is_ours(self, record: Any) -> bool:
        """Tell whether a session, or a sign-on, was begun in this clone; one that does not say which is not."""
        return record["clock"]["machine"] == self._machine and record.get("clone", "") == self._clone != ""


def _stands(state: State, one: Any) -> bool:
    record = state.session(one["session"])
    return record is not None and record["incarnation"] == one["incarnation"]


def _begun(start: Operation) -> Session:
    """Return as much of a session's record as is looked at here, from a sign-on that ended again before it was met."""
    record: Any = {**start, "started_at": start["clock"]["time"], "held": 0}
    return record


def _refusals(log: Coordinator, came: set[bytes]) -> dict[str, _Refused]:
    """Return what the merges among some commits refused, by id, each with what it was."""
    found: dict[str, _Refused] = {}
    for oid in came:
        parents = log.commit(oid).parents
        if len(parents) != _MERGES_PARENTS:
            continue
        refusals = {one["id"]: one for one in merge.operations_of(log, oid)[0].get("refused", [])}
        if not refusals:
            continue
        for behind in merge.sides(log, parents[0], parents[1]).theirs:
            for operation in merge.operations_of(log, behind):
                why = refusals.get(operation["id"])
                if why is not None:
                    found.setdefault(operation["id"], _Refused(operation, why))
    return found


def _how_refused(start: _Refused) -> str:
    operation, why = start
    return (
        f"your session {operation['session']} of {operation['clock']['time']}, begun without the remote, is refused "
        f"after all: {why['message']}"
    )


def _how_ended(log: Coordinator, came: set[bytes], here: Here, was: State, record: Session) -> str:
    """Return how a session was ended by somebody of another clone; "" where it ended here, and whoever did it knows."""
    session, incarnation = record["session"], record["incarnation"]
    for oid in came:
        for operation in merge.operations_of(log, oid):
            kind, when = operation["type"], operation["clock"]["time"]
            if kind == "session.reap" and operation["target_incarnation"] == incarnation:
                actor = was.session(operation["session"])
                ours = actor is not None and here.is_ours(actor)
                return "" if ours else f"your session {session} was ended by {operation['session']} at {when}"
            taken = operation.get("takeover") if kind == "session.start" else None
            if taken is not None and taken["incarnation"] == incarnation:
                by = operation["author"]["name"]
                return "" if here.is_ours(operation) else f"your session {session} was taken over by {by} at {when}"
    return ""


def _with_it(own: list[_Refused], how: str) -> str:
    """Return what else of a session is refused, in words."""
    told = [one.operation for one in own if one.operation["type"] not in {*UNTOLD, "session.start"}]
    told.sort(key=lambda operation: operation["id"])
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    named = "; ".join(described(operation) for operation in told[:_NAMED])
    return f"; {how}: {named}{more}" if told else ""


def _lost(was: State, record: Session, own: list[_Refused]) -> Iterator[Lost]:
    """Yield the locks that a session held until now and whose grants are refused."""
    grants = {one.operation["id"]: one.why["message"] for one in own}
    for lock in was.locks_of(record):
        why = grants.get(lock["grant"])
        if why is not None:
            yield {"path": lock["path"], "key": lock["key"], "kind": lock["kind"], "grant": lock["grant"], "why": why}
