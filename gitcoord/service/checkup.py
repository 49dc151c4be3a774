"""What `doctor` looks at in a clone that shares: the remote's settings, when it was met, what is left of meetings."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gitcoord.errors import CoordError, IntegrityFault, RemoteFault
from gitcoord.model_time import Stamp, parse_time
from gitcoord.runtime.oslock import OsLock
from gitcoord.runtime.shared import Contact, Shared, read_contact, read_flight
from gitcoord.service import quarantine, remotes
from gitcoord.service.access import Access
from gitcoord.service.examination import Finding
from gitcoord.store.siderefs import INCOMING, KEPT, PENDING, SEEN, drop_side_ref, read_side_refs, write_side_ref

_LATELY_S = 24 * 3600


def examine_sharing(access: Access, *, fix: bool) -> Iterator[Finding]:
    """Yield what is not in order about the remote that confirms; nothing in a clone that shares with nobody.

    Args:
        access: the repository.
        fix: put right what can be.
    """
    yield from _side_refs(access, fix=fix)
    shared = access.shared
    if shared is None:
        return
    yield from _settings(access, shared)
    yield from _flight(access, fix=fix)
    kept_out = quarantine.notice(access.runtime)
    if kept_out is not None:
        yield Finding("quarantined", kept_out, "error", fixable=False)
    contact = read_contact(access.runtime)
    yield from _contact(contact, shared, access.now())
    yield from _seen(access, shared, contact, fix=fix)
    for event in contact.events:
        message = f"{event['event']} on {event.get('at')}: {event.get('done')}"
        yield Finding("remote_event", message, "note", fixable=False)


def _settings(access: Access, shared: Shared) -> Iterator[Finding]:
    try:
        remotes.make_transport(access, shared).check_usable()
    except CoordError as error:
        way_out = f"; {error.next}" if error.next else ""
        yield Finding(error.code, f"{error.message}{way_out}", "error", fixable=False)


def _contact(contact: Contact, shared: Shared, now: Stamp) -> Iterator[Finding]:
    failed = contact.failed
    if failed is not None:
        message = f"{shared.remote} was tried in vain at {failed.get('time')}: {failed.get('message')}"
        yield Finding("remote_unreached", message, "warning", fixable=False)
    met = None if contact.reached is None else str(contact.reached.get("time"))
    if met is None:
        yield Finding("remote_not_met", f"{shared.remote} was never met; gitcoord sync", "warning", fixable=False)
    elif _age_s(met, now) > _LATELY_S:
        message = f"{shared.remote} was last met at {met}: what others did since is not known here; gitcoord sync"
        yield Finding("remote_not_met", message, "warning", fixable=False)


def _age_s(time: str, now: Stamp) -> float:
    try:
        return (now.at_ms - parse_time(time)) / 1000
    except ValueError:
        return float("inf")


def _flight(access: Access, *, fix: bool) -> Iterator[Finding]:
    """Say that the end of a push is not known, unless somebody is at it just now."""
    sharer = access.sharer
    if sharer is None or read_flight(access.runtime) is None or _is_under_way(access):
        return
    settled = False
    if fix:
        try:
            sharer.meet()
            settled = read_flight(access.runtime) is None
        except (RemoteFault, IntegrityFault):
            settled = False
    message = "how a push ended is not known: what was pushed may stand on the remote, or not; gitcoord sync"
    yield Finding("push_unsettled", message, "warning", fixable=True, fixed=settled)


def _is_under_way(access: Access) -> bool:
    turn = OsLock(os.path.join(access.runtime, "candidate-publish.lock"))
    if not turn.acquire_within(0):
        return True
    turn.release()
    return False


def _seen(access: Access, shared: Shared, contact: Contact, *, fix: bool) -> Iterator[Finding]:
    """Compare what was last seen with the ref that shows it to git: the file is what counts."""
    if contact.tip is None:
        return
    try:
        access.log.state_at(contact.tip)
    except IntegrityFault as error:
        message = f"the tip that {shared.remote} was last seen to have cannot be read: {error.message}"
        yield Finding("seen_unreadable", message, "error", fixable=False)
        return
    name = f"{SEEN}/{shared.label}"
    if read_side_refs(access.repository).get(name) == contact.tip:
        return
    fixed = fix and write_side_ref(access.repository, name, contact.tip)
    message = f"{name} is not what {shared.remote} was last seen to have ({contact.tip.hex()[:12]})"
    yield Finding("seen_ref_differs", message, "warning", fixable=True, fixed=fixed)


def _side_refs(access: Access, *, fix: bool) -> Iterator[Finding]:
    """Look at the refs beside the log's own; what is kept for the eye is counted."""
    found = read_side_refs(access.repository)
    flight = read_flight(access.runtime)
    kept = [name for name in found if name.startswith(f"{KEPT}/")]
    for name, oid in sorted(found.items()):
        known = name.startswith((f"{KEPT}/", f"{PENDING}/", f"{INCOMING}/", f"{SEEN}/"))
        left = name.startswith(f"{PENDING}/") and (flight is None or flight.head != oid)
        if not known:
            yield Finding("unknown_ref", f"{name} is none of gitcoord's refs", "note", fixable=False)
        elif left:
            if fix:
                drop_side_ref(access.repository, name)
            fixed = fix and name not in read_side_refs(access.repository)
            message = f"{name} is left of a push that has ended"
            yield Finding("pending_leftover", message, "warning", fixable=True, fixed=fixed)
    if kept:
        message = (
            f"{len(kept)} tips are kept under {KEPT}/ since the log was damaged or adopted; to look: "
            f"git log {kept[0]}; to let go: git update-ref -d REF"
        )
        yield Finding("kept_tips", message, "note", fixable=False)
