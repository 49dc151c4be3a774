"""Looking at locks: from what was named to claims, what stands in the way, and whether one may edit.

Reads only; a hook asks this before every edit, so it loads little.
"""

from __future__ import annotations

from gitcoord import locate, names, paths
from gitcoord.errors import BadRequest, CoordError
from gitcoord.service.views import View, held_message, lock_standing, lock_view
from gitcoord.state import State, claim_of
from gitcoord.transitions import clocks, locks
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gitcoord.model import ClockReading, Lock, Lost, Mode, Session
    from gitcoord.model_time import Stamp
    from gitcoord.paths import Claim
    from gitcoord.runtime.waiting import Waiter
    from gitcoord.service.access import Access
    from gitcoord.service.callers import Callers

_CONFLICTS_SHOWN = 50


def resolve(access: Access, files: list[str], *, resource: bool, fold_case: bool) -> tuple[Claim, ...]:
    """Return the claims that a caller named, as answers show them; the same claim twice is one.

    A path that is not valid Unicode, or begins with a double quote, is quoted as git quotes it. What a symbolic link
    leads to is claimed with it, behind all that was named: who writes through the link writes there.

    Raises:
        InvalidPath: one of them cannot be locked.
        BadRequest: none was named.
    """
    if not files:
        raise BadRequest("no path was named", next="name at least one path")
    found: dict[tuple[str, ...], Claim] = {}
    texts = [names.from_json_text(shown) if shown.startswith('"') else shown for shown in files]
    place = access.place
    if resource:
        named = [paths.parse_resource(text) for text in texts]
    else:
        named = [locate.resolve(text, place, fold_case=fold_case) for text in texts]
        led = (locate.target_of(text, place, fold_case=fold_case) for text in texts)
        named += [claim for claim in led if claim is not None]
    for claim in named:
        known = found.setdefault(claim.parts, claim)
        if claim.kind == "directory" and known.kind == "file":
            found[claim.parts] = claim
    return tuple(found.values())


def links(access: Access, files: list[str], *, fold_case: bool) -> list[str]:
    """Say which of the named paths are symbolic links, and to what.

    Args:
        access: the repository.
        files: as `resolve` takes them.
        fold_case: the log takes upper and lower case for the same.
    """
    said: list[str] = []
    for shown in files:
        text = names.from_json_text(shown) if shown.startswith('"') else shown
        target = locate.target_of(text, access.place, fold_case=fold_case)
        if target is not None:
            there = locks.claim_record(target)["path"]
            said.append(f"{shown} is a symbolic link to {there}: what holds for the one holds for the other")
    return said


def conflict_views(
    state: State, claims: tuple[Claim, ...], held: list[Lock], callers: Callers | None = None
) -> list[View]:
    """Return the locks that stand in the way, each with the wanted path that it stands before.

    Args:
        state: what they stand in.
        claims: what was wanted.
        held: the locks.
        callers: who asks; a holder of the same name in another clone is then told from them (`another_clone`).
    """
    shown: list[View] = []
    for lock in held[:_CONFLICTS_SHOWN]:
        theirs = claim_of(lock)
        wanted = next((c for c in claims if paths.overlaps(c, theirs)), claims[0])
        view = {**lock_view(state, lock), "path": locks.claim_record(wanted)["path"], "held_path": lock["path"]}
        if callers is not None and callers.is_namesake(state, lock["session"]):
            view["another_clone"] = True
        shown.append(view)
    return shown


def wanted_locks(state: State, claim: Claim | None, *, resources: bool | None) -> list[Lock]:
    """Return the locks that overlap a claim, or all, by path and holder; resources last."""
    found = state.locks(resources=resources) if claim is None else state.overlapping(claim)
    return sorted(found, key=lambda lock: (lock["kind"] == "resource", lock["key"], lock["session"]))


def listed(state: State, found: Iterable[Lock], reading: ClockReading, gone: Callable[[Session], bool]) -> list[View]:
    """Return locks as a list shows them: those that have lapsed, as `look_at` has it, with that.

    Args:
        state: what they stand in.
        found: the locks.
        reading: what the clocks say.
        gone: tells of a session whether it is; asked once for each.
    """
    over: dict[str, bool] = {}
    views: list[View] = []
    for lock in found:
        holder = lock["session"]
        if holder not in over:
            record = state.session(holder)
            over[holder] = record is not None and gone(record)
        views.append(lock_view(state, lock, lapsed=over[holder] or clocks.lock_is_over(lock, reading)))
    return views


class Look(NamedTuple):
    """What a session meets where a claim is.

    Attributes:
        held: locks of others that forbid it to edit there.
        beside: marks of others that only warn.
        over: what lapsed there, as a sentence each.
        mine: the session's own exclusive lock that covers the claim.
        lost: a lock of its own that covered the claim and was refused after all.
        overdue: its own lock's lease is over by what the remote knows of it.
        weaker: the session's own lock that covers the claim and keeps only some others out, or none.
    """

    held: list[Lock]
    beside: list[Lock]
    over: list[str]
    mine: Lock | None
    lost: Lost | None = None
    overdue: bool = False
    weaker: Lock | None = None

    @property
    def may_edit(self) -> bool:
        """Whether nothing forbids the session to edit there."""
        return not (self.held or self.lost or self.overdue)


def look_at(
    callers: Callers, state: State, claim: Claim, me: str | None, now: Stamp, lost: Iterable[Lost] = ()
) -> Look:
    """Return what a session meets where a claim is: the one place that says whether it may edit there.

    Args:
        callers: who asks.
        state: the log's state.
        claim: where.
        me: the session's id; None is nobody, to whom every lock is another's.
        now: what the clocks say.
        lost: what the asker lost, beyond what its session's own record says.
    """
    reading = clocks.reading(now)
    found = Look([], [], [], None)
    for lock in state.overlapping(claim):
        if lock["session"] == me:
            covers = claim.kind != "resource" and paths.covers_path(claim_of(lock), claim)
            if covers or claim_of(lock).parts == claim.parts:
                if lock["mode"] == "exclusive":
                    found = found._replace(mine=lock)
                elif found.weaker is None or lock["mode"] == "shared":
                    found = found._replace(weaker=lock)
            continue
        record = state.session(lock["session"])
        gone = record is not None and (clocks.lock_is_over(lock, reading) or callers.evidence(record, now) is not None)
        if gone:
            found.over.append(f"{lock['path']} of {lock['session']} has lapsed")
        elif lock["mode"] == "intent":
            found.beside.append(lock)
        else:
            found.held.append(lock)
    if found.mine is not None:
        return found._replace(overdue=_is_overdue(state, found.mine, reading))
    own = None if me is None else state.session(me)
    return found._replace(lost=_lost([*([] if own is None else own.get("lost", [])), *lost], claim))


def check_claim(
    callers: Callers, state: State, claim: Claim, me: str | None, now: Stamp, lost: Iterable[Lost] = ()
) -> View:
    """Return whether a session may edit what a claim covers, and why; takes what `look_at` takes."""
    look = look_at(callers, state, claim, me, now, lost)
    conflicts = conflict_views(state, (claim,), look.held, callers)
    warnings = [*look.over, *(f"{k['session']} means to work on {k['path']}" for k in look.beside)]
    if look.mine is not None and lock_standing(state, look.mine)[0] == "provisional":
        warnings.append(f"your lock on {look.mine['path']} is provisional: others may be granted it on the remote")
    path = locks.claim_record(claim)["path"]
    why = _why(state, look, conflicts, clocks.reading(now))
    return {"path": path, "ok": look.may_edit, "why": why, "conflicts": conflicts, "warnings": warnings}


def _why(state: State, look: Look, conflicts: list[View], reading: ClockReading) -> str:
    mine, lost = look.mine or look.weaker, look.lost
    if conflicts:
        return held_message(conflicts[0])
    if lost is not None:
        return f"your lock on {lost['path']} was refused after all: {lost['why']}; lock it again, or let it go (unlock)"
    if mine is None:
        return "nobody holds it"
    if clocks.lock_is_over(mine, reading):
        return f"your own lock's time is up (token {mine['token']}); nobody else holds it"
    if look.overdue:
        return (
            "your lease is over as far as the remote knows: others may have been granted what you hold; gitcoord sync"
        )
    token = lock_view(state, mine)["token"]
    how = f"token {token}" if token is not None else "provisional: the remote has not agreed yet"
    mode = "" if mine["mode"] == "exclusive" else f"{mine['mode']}, "
    return f"locked by you as {mine['path']} ({mode}{how})"


def _lost(lost: Iterable[Lost], claim: Claim) -> Lost | None:
    """Return the lock that a session counted on, that covered a claim, and that was refused after all."""
    for one in lost:
        theirs = locks.claim_from({"path": one["path"], "key": one["key"], "kind": one["kind"]})
        if theirs.parts == claim.parts or (
            "resource" not in (theirs.kind, claim.kind) and paths.overlaps(theirs, claim)
        ):
            return one
    return None


def _is_overdue(state: State, mine: Lock, reading: ClockReading) -> bool:
    """Tell whether the session's lease is over by what the remote knows of it: no renewal that stayed here counts."""
    standing, agreed = lock_standing(state, mine)
    if agreed is None or standing != "confirmed":
        return False
    record = agreed.session(mine["session"])
    return record is not None and clocks.lease_is_over(record, reading)


def waiter_claims(waiter: Waiter) -> tuple[Claim, ...]:
    """Return what somebody in the line waits for; nothing where its file tells nonsense."""
    try:
        return tuple(locks.claim_from(record) for record in waiter.claims)
    except (CoordError, TypeError, KeyError, AttributeError):
        return ()


def has_to_let_pass(
    state: State, mine: tuple[Claim, ...], session: str, theirs: tuple[Claim, ...], their_mode: Mode
) -> tuple[Claim, Claim] | None:
    """Return a claim of a request and one of an earlier waiter that meet; None where it may go first.

    Who holds a claim already, in a mode for which the waiter waits, stands in nobody's line to renew or upgrade it.
    """
    for one in mine:
        own = state.lock(one, session)
        if own is not None and locks.stand_in_the_way(their_mode, own["mode"]):
            continue
        for other in theirs:
            if paths.overlaps(one, other):
                return one, other
    return None
