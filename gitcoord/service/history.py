"""Reading the audit: what happened, the newest first."""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord import names, paths, render
from gitcoord.errors import BadRequest
from gitcoord.log import Commit, Log
from gitcoord.model import Header, Operation
from gitcoord.paths import Claim
from gitcoord.service.views import View
from gitcoord.transitions.locks import claim_from

_MOST = 10_000


def entries(log: Log, claim: Claim | None, session: str | None, limit: int) -> list[View]:
    """Return the operations of the log along first parents, the newest first.

    Args:
        log: what is read.
        claim: only what names a lock that overlaps this claim.
        session: only what this session did, or what was done to it.
        limit: at most so many.

    Raises:
        BadRequest: the limit is no number from 1 to 10,000.
    """
    if not 1 <= limit <= _MOST:
        raise BadRequest(f"a limit of {limit} is none", next=f"give a number from 1 to {_MOST:,}")
    wanted = None if session is None else names.check_session_id(session)
    found: list[View] = []
    for commit, header in walk(log):
        for operation in reversed(header["operations"]):
            if _fits(operation, claim, wanted):
                found.append(_entry(commit, header, operation))
                if len(found) == limit:
                    return found
    return found


def walk(log: Log) -> Iterator[tuple[Commit, Header]]:
    """Yield every commit of the log along first parents, the newest first, with its header."""
    here: bytes | None = log.tip()
    while here is not None:
        commit = log.commit(here)
        yield commit, log.state_at(here).header
        here = commit.parents[0] if commit.parents else None


def _fits(operation: Operation, claim: Claim | None, session: str | None) -> bool:
    if session is not None and session not in _sessions(operation):
        return False
    if claim is None:
        return True
    touched = [claim_from(record) for record in render.touched(operation)]
    if claim.kind == "resource":
        return any(other.kind == "resource" and other.parts == claim.parts for other in touched)
    return any(other.kind != "resource" and paths.overlaps(claim, other) for other in touched)


def _sessions(operation: Operation) -> set[str]:
    named = {operation.get("session"), operation.get("target")}
    named.update(other["session"] for other in operation.get("others", []))
    named.update(lock["session"] for lock in operation.get("locks", []))
    return {name for name in named if name is not None}


def _entry(commit: Commit, header: Header, operation: Operation) -> View:
    return {
        "revision": header["revision"],
        "commit": commit.oid.hex(),
        "at": operation["clock"]["time"],
        "verb": render.verb(operation),
        "type": operation["type"],
        "session": operation.get("session"),
        "id": operation["id"],
        "subject": render.subject(operation),
        "paths": [record["path"] for record in render.touched(operation)],
        "reason": render.reason(operation),
        "author": operation["author"]["name"],
    }
