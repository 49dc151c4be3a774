"""What a meeting with the remote came to for the operations that waited here: confirmed, or refused and why."""

from __future__ import annotations

from gitcoord import merge
from gitcoord.errors import IntegrityFault
from gitcoord.service.access import Access
from gitcoord.service.views import View, lock_standing
from gitcoord.sharing.losers import Here
from gitcoord.state import claim_of
from gitcoord.transitions.locks import claim_from
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitcoord.paths import Claim

_MOST = 1000
_MERGES_PARENTS = 2


def refused(access: Access, since: bytes, *, adopted: bool = False) -> list[dict[str, Any]]:
    """Return what the merges that lie between two tips refused, the newest first; at most 1,000.

    Args:
        access: the repository.
        since: the tip before.
        adopted: its log may have been taken over into another; what that one's own merges refused is no news then.
    """
    log = access.log
    ours, theirs = (log.state_at(oid).header["repository"] for oid in (since, log.tip()))
    taken_over = ours if adopted and ours != theirs else None
    apart = merge.sides(log, since, log.tip())
    found: list[dict[str, Any]] = []
    for oid in reversed(merge.first_parents(log, log.tip(), apart.theirs)):
        if len(log.commit(oid).parents) < _MERGES_PARENTS:
            continue
        operations = merge.operations_of(log, oid)
        if merge.is_merge(operations) and taken_over in (None, operations[0]["adopts"]):
            found += [{**one, "claims": [c["path"] for c in one["claims"]]} for one in operations[0]["refused"]]
    return found[:_MOST]


def confirmed(access: Access, since: bytes, seen: bytes | None) -> list[View]:
    """Return this clone's locks that waited for the remote's word and have it now, by path; at most 1,000.

    Args:
        access: the repository, after the meeting.
        since: the local tip before it.
        seen: the tip that the remote was seen to have before it; None for none: then every lock waited.

    Returns:
        for each `path`, `kind`, `mode`, `session`, `grant`, and the `token` that it has from now on.
    """
    state, here = access.state(), Here(access.coordinator)
    found: dict[tuple[str, str], View] = {}
    for claim, session, grant in _waited(access, since, seen):
        lock = state.lock(claim, session)
        if lock is None or lock["grant"] != grant or lock_standing(state, lock)[0] != "confirmed":
            continue
        holder = state.session(session)
        if holder is not None and here.is_ours(holder):
            names = ("path", "kind", "mode", "session", "grant", "token")
            found[lock["key"], session] = {name: lock[name] for name in names}
    return [found[key] for key in sorted(found)][:_MOST]


def _waited(access: Access, since: bytes, seen: bytes | None) -> Iterator[tuple[Claim, str, str]]:
    """Yield what was granted here and not yet on the remote: claim, session, grant. What is damaged granted nothing."""
    log = access.log
    try:
        if seen is None:
            for lock in log.state_at(since).locks():
                yield claim_of(lock), lock["session"], lock["grant"]
            return
        for oid in merge.sides(log, seen, since).theirs:
            for operation in merge.operations_of(log, oid):
                if operation["type"] == "lock.acquire":
                    for claim in operation["claims"]:
                        yield claim_from(claim), operation["session"], operation["id"]
    except IntegrityFault:
        return
