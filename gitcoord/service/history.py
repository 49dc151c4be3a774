"""Reading the audit: what happened, the newest first."""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord import names, paths, render
from gitcoord.errors import BadRequest, UnreadableRecord
from gitcoord.log import Commit, Log
from gitcoord.model import Header, Operation
from gitcoord.paths import Claim
from gitcoord.service.views import View
from gitcoord.state import claim_of
from gitcoord.transitions import locks

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
    rows: list[tuple[Commit, Header]] = []
    for commit, header in walk(log):
        for operation in reversed(header["operations"]):
            if wanted is not None and wanted not in _sessions(operation):
                continue
            try:
                touched = _touched(log, commit, operation)
                if claim is None or any(_meet(claim, locks.claim_from(record)) for record in touched):
                    found.append(_entry(commit, header, operation, touched))
                    rows.append((commit, header))
            except (LookupError, TypeError, AttributeError, ValueError) as error:
                message = f"commit {commit.oid.hex()} holds an operation of an unknown shape"
                raise UnreadableRecord(message, next="gitcoord doctor", record="coord.json") from error
            if len(found) == limit:
                return _with_signers(log, found, rows)
    return _with_signers(log, found, rows)


def _with_signers(log: Log, found: list[View], rows: list[tuple[Commit, Header]]) -> list[View]:
    """Return entries with who signed each, and whether that is proven."""
    if not any(header["operations"][0].get("signer") for _, header in rows):
        return found
    from gitcoord.service.proof import NOBODY, proofs

    known = proofs(log, rows)
    for entry, (commit, _) in zip(found, rows, strict=True):
        proof = known.get(commit.oid, NOBODY)
        entry["signer"], entry["proven"] = proof.signer, proof.proven
    return found


def walk(log: Log) -> Iterator[tuple[Commit, Header]]:
    """Yield every commit of the log along first parents, the newest first, with its header."""
    here: bytes | None = log.tip()
    while here is not None:
        commit = log.commit(here)
        yield commit, log.state_at(here).header
        here = commit.parents[0] if commit.parents else None


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


def _meet(claim: Claim, other: Claim) -> bool:
    if "resource" in (claim.kind, other.kind):
        return claim.kind == other.kind and claim.parts == other.parts
    return paths.overlaps(claim, other)


def _sessions(operation: Operation) -> set[str]:
    named = {operation.get("session"), operation.get("target")}
    named.update(other["session"] for other in operation.get("others", []))
    named.update(lock["session"] for lock in operation.get("locks", []))
    return {name for name in named if name is not None}


def _entry(commit: Commit, header: Header, operation: Operation, touched: list[dict[str, str]]) -> View:
    return {
        "revision": header["revision"],
        "commit": commit.oid.hex(),
        "at": operation["clock"]["time"],
        "verb": render.verb(operation),
        "type": operation["type"],
        "session": operation.get("session"),
        "id": operation["id"],
        "subject": render.subject(operation),
        "paths": [record["path"] for record in touched],
        "reason": render.reason(operation),
        "author": operation["author"]["name"],
        "signer": None,
        "proven": False,
    }
