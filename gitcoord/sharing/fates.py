"""What became of operations whose push ended with nobody there to hear it: found by their ids, and told once."""

from __future__ import annotations

from gitcoord.errors import IntegrityFault
from gitcoord.merge import decided, first_parents, is_merge, operations_of, sides
from gitcoord.runtime import fates
from gitcoord.runtime.fates import Asked
from gitcoord.sharing.growth import has_first_parent
from gitcoord.transitions.locks import claim_from
from gitcoord.transitions.merging import UNTOLD
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitcoord.log import Log
    from gitcoord.model import Operation
    from gitcoord.runtime.shared import Flight

IN_EFFECT, REFUSED, NOWHERE = "in_effect", "refused", "not_on_the_log"


def ask_about(log: Log, runtime: str, flight: Flight, answered: bytes | None = None) -> None:
    """Note what was in a push that is certain to have ended, for who meets the remote next.

    What this clone has on its own log was answered when it was written, whatever became of the push.

    Args:
        log: the clone's log, before it moves to what the remote has.
        runtime: its runtime directory.
        flight: the push.
        answered: a commit of it whose caller is here, and gets an answer.
    """
    if flight.expected is None:
        return
    for head in flight.heads:
        if head == answered:
            continue
        for operation in _carried(log, head, flight.expected):
            if operation["type"] not in UNTOLD and "session" in operation:
                claims = operation.get("claims", [])
                since = flight.expected.hex()
                asked = Asked(operation["id"], operation["type"], operation["session"], claims, since)
                fates.note(runtime, asked)


def _carried(log: Log, head: bytes, expected: bytes) -> Iterator[Operation]:
    """Yield the operations of a chain of candidates; what of it cannot be read is left out."""
    here, tip = head, log.tip()
    try:
        while here != expected and not has_first_parent(log, tip, here):
            operations = operations_of(log, here)
            if not is_merge(operations):
                yield from operations
            parents = log.commit(here).parents
            if not parents:
                return
            here = parents[0]
    except IntegrityFault:
        return


def found_out(log: Log, runtime: str, seen: bytes) -> list[dict[str, Any]]:
    """Return what became of the operations that were noted, each once.

    Args:
        log: the clone's log.
        runtime: its runtime directory.
        seen: the tip of the remote's log, seen after each of their pushes was certain to have ended.

    Returns:
        for each `id`, `type`, `session`, `claims` (paths), `fate` (`in_effect`, `refused`, or `not_on_the_log`: it is
        not in effect, and never will be), `token` (of a lock in effect, else None), `message` (why it was refused).
    """
    return [
        {
            "id": one.id,
            "type": one.type,
            "session": one.session,
            "claims": [claim["path"] for claim in one.claims],
            **_fate(log, one, seen),
        }
        for one in fates.every(runtime)
        if fates.take(runtime, one)
    ]


def _fate(log: Log, one: Asked, seen: bytes) -> dict[str, Any]:
    new = sides(log, bytes.fromhex(one.since), seen).theirs
    for oid in first_parents(log, seen, new):
        for operation_id, refusal in decided(operations_of(log, oid)):
            if operation_id == one.id:
                if refusal is not None:
                    return {"fate": REFUSED, "token": None, "message": refusal["message"]}
                return {"fate": IN_EFFECT, "token": _token(log, oid, one), "message": ""}
    return {"fate": NOWHERE, "token": None, "message": ""}


def _token(log: Log, oid: bytes, one: Asked) -> int | None:
    if one.type != "lock.acquire":
        return None
    state = log.state_at(oid)
    held = [state.lock(claim_from(claim), one.session) for claim in one.claims]
    tokens = [lock["token"] for lock in held if lock is not None]
    return max(tokens, default=None)
