"""The rule of merges: what another clone did is replayed on the state that the remote has, and judged anew.

Two clones that wrote apart have two orders of operations. Their merge has one: all that its first parent (the remote's
tip) has, in that order, and then what only its second parent has, in its own. Each of the latter is judged on the state
that it now meets, at its own recorded time and for its own incarnation, as if it were done in this moment: what still
holds takes effect, and gets the merge's revision as its token; what does not is refused, and the merge records it with
the reason. So nothing disappears: every operation of both sides is in effect, or is on record as refused.

An operation is replayed at most once on the way to any state, by its id, and what a merge refused is never taken up
again by a later one. A session that lost a lock keeps a note of it (`lost`) until it asks anew or lets it go, and gets
a notice with its next operation.

A merge that puts damage right may refuse a lock that the remote had confirmed, with a token above the one of the lock
that stays. What stands in the way of such a one is therefore granted anew: it keeps its `grant`, and its token is the
merge's revision, which is above both sides'.

Nothing of whoever merges goes into the result: author, id and time follow from the parents, so two clones that merge
the same tips make the same commit.

Sources: D. B. Terry et al., "Managing Update Conflicts in Bayou, a Weakly Connected Replicated Storage System", SOSP
1995: operations are kept and done again in the agreed order, rather than states compared.
"""

from __future__ import annotations

from gitcoord.errors import BadRequest, Refused
from gitcoord.model import FORMAT, RULES, ClockReading, Lost, Operation, Refusal
from gitcoord.state import State, claim_of
from gitcoord.transitions import apply, data, sessions, shapes
from gitcoord.values import NamedTuple

MERGE = "log.merge"
AUTHOR = {"name": "gitcoord", "email": "merge@gitcoord.invalid"}

# What nobody counts on in particular: a refusal of these is on record, and no session is told of it.
UNTOLD = frozenset({"lock.release", "session.end", "session.renew", "session.resume", "session.challenge"})
_WHAT = {
    "lock.acquire": "your lock on {paths}",
    "lock.break": "your breaking of {paths}",
    "lock.expire": "your expiry of {paths}",
    "data.store": "your store of {key} in {scope}",
    "data.delete": "your deletion of {key} in {scope}",
    "data.delete_scope": "your deletion of {scope}",
}


class Origin(NamedTuple):
    """What of a merge follows from its parents alone.

    Attributes:
        id: the merge's id.
        clock: its time: the later one of its parents'. No rule looks at it.
        revision: one more than the larger of its parents'.
        restores: the name of the damage that it puts right, where it does; None in the ordinary course.
        adopts: the repository id of another log that it takes in, where it does.
    """

    id: str
    clock: ClockReading
    revision: int
    restores: str | None = None
    adopts: str | None = None


class Missing(NamedTuple):
    """What one tip's order has and another's has not.

    Attributes:
        operations: in the order of the tip that has them.
        refused: which of them a merge on that tip's side refused, by id, as it put it on record.
    """

    operations: list[Operation]
    refused: dict[str, Refusal]


def replay(state: State, origin: Origin, missing: Missing) -> State:
    """Return the state of a merge.

    What the other side had refused is not judged again: it is put on record here too, and its session is told, for it
    may be that nobody ever saw the merge that refused it.

    Args:
        state: the first parent's; not changed.
        origin: what follows from the parents.
        missing: what the first parent's order lacks of the second's.

    Raises:
        UnsupportedFormat: an operation of a kind that these rules do not know.
        IntegrityFault: a record that had to be read cannot be.
    """
    repository = state.header["repository"]
    done: list[str] = []
    refused: list[Refusal] = []
    work = state.fork()
    for operation in missing.operations:
        shapes.check(operation)
        refusal = missing.refused.get(operation["id"])
        if refusal is None:
            refusal = _judged(work, operation, origin.revision)
        if refusal is None:
            done.append(operation["id"])
        else:
            refused.append({**refusal, "after": len(done)})
            if operation["type"] == "data.store":
                data.renumber(work, operation["scope"], operation["key"], origin.revision)
            if operation["type"] == "lock.acquire" and origin.restores is not None:
                _grant_anew(work, operation, origin.revision)
            _tell(work, operation, refusal["message"], origin.restores)
    merge: Operation = {
        "id": origin.id,
        "type": MERGE,
        "author": AUTHOR,
        "clock": origin.clock,
        "replayed": done,
        "refused": refused,
        "restores": origin.restores,
        "adopts": origin.adopts,
    }
    work.header = {
        "format": FORMAT,
        "rules": RULES,
        "repository": repository,
        "revision": origin.revision,
        "operations": [merge],
    }
    return work


def placed(merge: Operation) -> list[tuple[str, Refusal | None]]:
    """Return the ids that a merge put behind its first parent's order, in order; those that it refused with why."""
    found: list[tuple[str, Refusal | None]] = [(done, None) for done in merge["replayed"]]
    for refusal in reversed(merge["refused"]):
        found.insert(max(0, refusal["after"]), (refusal["id"], refusal))
    return found


def _judged(state: State, operation: Operation, revision: int) -> Refusal | None:
    """Let an operation take effect, or leave the state as it was and return why not."""
    state.savepoint()
    try:
        apply(state, operation, revision, replayed=True)
    except (Refused, BadRequest) as refused:
        state.rollback()
        return {
            "id": operation["id"],
            "type": operation["type"],
            "session": operation.get("session", ""),
            "incarnation": operation.get("incarnation", ""),
            "claims": operation.get("claims", []),
            "code": refused.code,
            "message": refused.message,
            "after": 0,
        }
    return None


def _grant_anew(state: State, operation: Operation, revision: int) -> None:
    """Lift the tokens of the locks that a refused claim met above the one that it may have been told."""
    from gitcoord.transitions.locks import claim_from, conflicts

    for record in operation["claims"]:
        try:
            claim = claim_from(record)
        except BadRequest:
            continue  # what is no claim was never granted
        for lock in conflicts(state, claim, operation["mode"], operation["session"]):
            state.put_lock(claim_of(lock), {**lock, "token": revision})


def _tell(state: State, operation: Operation, why: str, restores: str | None) -> None:
    """Leave word with the session whose operation is refused, and a note of the locks that it counted on."""
    session, incarnation = operation.get("session", ""), operation.get("incarnation", "")
    record = state.session(session) if session else None
    if operation["type"] in UNTOLD or record is None or record["incarnation"] != incarnation:
        return
    what = described(operation)
    how = "made without the remote" if restores is None else f"on a log that was {restores} and is put back"
    text = f"{what} of {operation['clock']['time']}, {how}, is refused after all: {why}"
    sessions.tell(state, session, operation["id"], text, held=0)
    if operation["type"] == "lock.acquire":
        sessions.lose(state, session, incarnation, _lost(state, operation, why))


def _lost(state: State, operation: Operation, why: str) -> list[Lost]:
    from gitcoord.transitions.locks import claim_from

    found: list[Lost] = []
    for claim in operation["claims"]:
        try:
            held = state.lock(claim_from(claim), operation["session"])
        except BadRequest:
            continue  # what is no claim was never counted on
        if held is None:
            lost: Lost = {
                "path": claim["path"],
                "key": claim["key"],
                "kind": claim["kind"],
                "grant": operation["id"],
                "why": why,
            }
            found.append(lost)
    return found


def described(operation: Operation) -> str:
    """Return what an operation was, in the words of a message to its session."""
    named: list[dict[str, str]] = operation.get("claims") or operation.get("locks") or []
    paths = ", ".join(record["path"] for record in named[:5])
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    template = _WHAT.get(operation["type"]) or f"your operation {operation['type']}"
    return template.format(paths=paths + more, scope=operation.get("scope"), key=operation.get("key"))
