"""Reading the audit: what happened, the newest first.

The order is the agreed one: a log's first parents, and under each merge what it brought in, in the order in which it
was done again. What a merge refused stands there too, as refused: it was done in a clone, and is not in effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord import merge, names, paths, render
from gitcoord.errors import BadRequest, UnreadableRecord
from gitcoord.log import Commit, Log
from gitcoord.model import Header, Operation
from gitcoord.paths import Claim
from gitcoord.service.views import View
from gitcoord.state import claim_of
from gitcoord.transitions import locks
from gitcoord.values import Any, NamedTuple, cast

_MOST = 10_000


class Event(NamedTuple):
    """One operation of the log, where and how it came to be in effect, or not.

    Attributes:
        commit: the commit that records it.
        operation: what was done.
        revision: the one at which it took effect, or was refused.
        merged: the merge that brought it in; None where it lies on the chain of first parents.
        refused: why it is not in effect; None where it is.
    """

    commit: Commit
    operation: Operation
    revision: int
    merged: Commit | None = None
    refused: str | None = None


def entries(log: Log, claim: Claim | None, session: str | None, limit: int) -> list[View]:
    """Return the operations of the log in the agreed order, the newest first.

    Args:
        log: what is read.
        claim: only what names a lock that overlaps this claim.
        session: only what this session did, or what was done to it.
        limit: at most so many.

    Raises:
        BadRequest: the limit is no number from 1 to 10,000.
    """
    if not 1 <= limit <= _MOST:
        raise BadRequest(f"a limit of {limit} is out of range", next=f"give a number from 1 to {_MOST:,}")
    wanted = None if session is None else names.check_session_id(session)
    found: list[View] = []
    picked: list[Event] = []
    for event in events(log):
        if wanted is not None and wanted not in _sessions(event.operation):
            continue
        try:
            touched = _touched(log, event.commit, event.operation)
            if claim is None or any(meet(claim, locks.claim_from(record)) for record in touched):
                found.append(_entry(event, touched))
                picked.append(event)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            message = f"commit {event.commit.oid.hex()} holds an operation of an unknown shape"
            raise UnreadableRecord(message, next="gitcoord doctor", record="coord.json") from error
        if len(found) == limit:
            break
    return _with_signers(log, found, picked)


def with_ids(log: Log, ids: set[str]) -> list[View]:
    """Return the operations that have these ids, the newest first; looks back no further than the last of them."""
    left = set(ids)
    found: list[View] = []
    for event in events(log):
        if event.operation["id"] in left:
            left.discard(event.operation["id"])
            found.append(_entry(event, _touched(log, event.commit, event.operation)))
        if not left:
            break
    return found


def _with_signers(log: Log, found: list[View], picked: list[Event]) -> list[View]:
    """Return entries with who signed each, and whether that is proven."""
    if not any(event.operation.get("signer") for event in picked):
        return found
    from gitcoord.service.proof import NOBODY, proofs

    known = proofs(log, [(event.commit, log.state_at(event.commit.oid).header) for event in picked])
    for entry, event in zip(found, picked, strict=True):
        proof = known.get(event.commit.oid, NOBODY)
        entry["signer"], entry["proven"] = proof.signer, proof.proven
    return found


def walk(log: Log) -> Iterator[tuple[Commit, Header]]:
    """Yield every commit of the log along first parents, the newest first, with its header."""
    here: bytes | None = log.tip()
    while here is not None:
        commit = log.commit(here)
        yield commit, log.state_at(here).header
        here = commit.parents[0] if commit.parents else None


def events(log: Log) -> Iterator[Event]:
    """Yield every operation of the log, the newest first; reads no further than it is asked to."""
    for commit, header in walk(log):
        yield from reversed(events_of(log, commit, header))


def events_of(log: Log, commit: Commit, header: Header) -> list[Event]:
    """Return the operations that came with a commit, the oldest first: what it brought in, and then its own."""
    operations = header["operations"]
    is_merge = len(commit.parents) == 2 and merge.is_merge(operations)
    brought = _brought(log, commit, operations[0]) if is_merge else []
    return [*brought, *(Event(commit, operation, header["revision"]) for operation in operations)]


def _brought(log: Log, merged: Commit, operation: Operation) -> list[Event]:
    """Return what a merge brought in, the oldest first; what merges behind it refused is among it."""
    first, second = merged.parents
    apart = merge.sides(log, first, second).theirs
    bodies: dict[str, tuple[bytes, Operation]] = {}
    order: dict[str, None] = {}
    refused: dict[str, str] = {}
    for oid in sorted(apart, key=lambda oid: (log.commit(oid).revision, oid)):
        for body in merge.operations_of(log, oid):
            bodies.setdefault(body["id"], (oid, body))
    for oid in [*merge.first_parents(log, second, apart), merged.oid]:
        for body in merge.operations_of(log, oid):
            if body["type"] != merge.MERGE:
                order.setdefault(body["id"])
                continue
            refused.update((str(one["id"]), str(one["message"])) for one in _refusals(body))
            order.update(dict.fromkeys([*map(str, cast("list[Any]", body["replayed"])), *refused]))
    taken = {str(one) for one in cast("list[Any]", operation["replayed"])}
    return [
        Event(log.commit(bodies[one][0]), bodies[one][1], merged.revision, merged, refused.get(one))
        for one in order
        if one in bodies and (one in taken or one in refused)
    ]


def _refusals(operation: Operation) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", operation["refused"])


def _touched(log: Log, commit: Commit, operation: Operation) -> list[dict[str, str]]:
    """Return the claims that an operation is about; for the end of a session, what was released with it."""
    ended = operation.get("target") if operation["type"] == "session.reap" else None
    if operation["type"] == "session.end" or operation.get("takeover"):
        ended = operation["session"]
    if ended is None or not commit.parents:
        return render.touched(operation)
    before = log.state_at(commit.parents[0])
    record = before.session(ended)
    return [] if record is None else [locks.claim_record(claim_of(lock)) for lock in before.locks_of(record)]


def meet(claim: Claim, other: Claim) -> bool:
    """Tell whether two claims are about the same: overlapping paths, or one resource."""
    if "resource" in (claim.kind, other.kind):
        return claim.kind == other.kind and claim.parts == other.parts
    return paths.overlaps(claim, other)


def _sessions(operation: Operation) -> set[str]:
    named = {operation.get("session"), operation.get("target")}
    named.update(other["session"] for other in operation.get("others", []))
    named.update(lock["session"] for lock in operation.get("locks", []))
    return {name for name in named if name is not None}


def _entry(event: Event, touched: list[dict[str, str]]) -> View:
    operation, why = event.operation, event.refused
    subject = render.subject(operation)
    return {
        "revision": event.revision,
        "commit": event.commit.oid.hex(),
        "merge": None if event.merged is None else event.merged.oid.hex(),
        "at": operation["clock"]["time"],
        "verb": render.verb(operation) if why is None else "refused",
        "type": operation["type"],
        "session": operation.get("session"),
        "id": operation["id"],
        "subject": subject if why is None else f"refused: {subject}",
        "paths": [record["path"] for record in touched],
        "reason": render.reason(operation) if why is None else why,
        "author": operation["author"]["name"],
        "signer": None,
        "proven": False,
    }
