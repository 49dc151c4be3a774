"""The verbs that end locks: unlock one's own, break another's, let go what was lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from gitcoord.coordinator import Plan
from gitcoord.errors import BadRequest, NotFound, NotHolder, Refused, UnknownSession
from gitcoord.model import Lock, Operation
from gitcoord.model_time import Stamp
from gitcoord.paths import Claim
from gitcoord.service.callers import Actor, Callers, SignOn
from gitcoord.service.looking import conflict_views, resolve
from gitcoord.service.receipts import facts_of
from gitcoord.service.views import View, lock_view
from gitcoord.state import State, claim_of
from gitcoord.transitions import locks, sessions
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gitcoord.service.desk import Desk


def named(lock: Lock) -> dict[str, Any]:
    """Return how an operation names a lock that it takes away."""
    return {name: lock[name] for name in ("path", "key", "kind", "session", "token", "grant")}


def _claims(desk: Desk, files: list[str], *, resource: bool) -> tuple[Claim, ...]:
    return resolve(desk.access, files, resource=resource, fold_case=desk.access.state().fold_case)


def let_go(desk: Desk, session: str | None, claims: tuple[Claim, ...] | None) -> list[str]:
    """Let the caller no longer count on what it lost together with its place on the log, and return these paths."""
    wanted = [one for one in desk.callers.displaced(session) if one.lost]
    if not wanted:
        return []
    from gitcoord.runtime import displaced

    places = None if claims is None else {sessions.place(locks.claim_record(claim)) for claim in claims}
    return displaced.let_go(desk.access.runtime, wanted, places)


# -- unlock


class Unlocking(NamedTuple):
    """What an unlock found to do."""

    released: list[str]
    not_held: list[str]


def unlock(desk: Desk, files: list[str] | None, *, resource: bool, session: str | None, notices: list[str]) -> View:
    """Release what the session holds of these, or (None) all that it holds."""
    claims = None if files is None else _claims(desk, files, resource=resource)
    found: list[Unlocking] = []
    said: list[Actor] = []
    gone = let_go(desk, session, claims)
    try:
        receipt = desk.submit(release_plan(desk.callers, claims, session, found, said), notices, said)
    except Refused as refusal:
        if not gone:
            raise
        # What was named was lost together with the session, and that is all there was.
        left = [path for path in refusal.facts.get("not_held", []) if path not in gone]
        return {"ok": True, "released": gone, "not_held": left, "revision": desk.access.state().revision}
    done = found[0]
    return {
        "ok": True,
        "released": [*gone, *done.released],
        "not_held": [path for path in done.not_held if path not in gone],
        "revision": receipt.state.revision,
    }


def release_plan(
    callers: Callers, claims: tuple[Claim, ...] | None, session: str | None, found: list[Unlocking], said: list[Actor]
) -> Callable[[State, Stamp], list[Operation]]:
    """Return the plan of an unlock request; None for the claims means all that the session holds.

    Raises, when asked: NotHolder if others hold exactly what was named; NotFound if nothing named is locked.
    """

    def plan(state: State, now: Stamp) -> list[Operation]:
        try:
            actor = callers.actor(state, session, now, None)
        except UnknownSession:
            with suppress(NotFound):  # who holds them is worth more than that nobody is signed on
                _check_missing(callers, state, callers.me(state, session), [], list(claims or ()))
            raise
        said[:] = [actor]
        record = state.session(actor.session)
        held = [] if record is None or claims is not None else list(state.locks_of(record))
        mine = [claim_of(lock) for lock in held]
        missing: list[Claim] = []
        lost = set[str]() if record is None else {one["key"] for one in record.get("lost", [])}
        for claim in claims or ():
            is_mine = state.lock(claim, actor.session) is not None or locks.claim_record(claim)["key"] in lost
            (mine if is_mine else missing).append(claim)
        _check_missing(callers, state, actor.session, mine, missing)
        found[:] = [Unlocking([_path(c) for c in mine], [_path(c) for c in missing])]
        if not mine:
            return []
        return [callers.operation("lock.release", actor, now, claims=[locks.claim_record(c) for c in mine])]

    return plan


def _path(claim: Claim) -> str:
    return locks.claim_record(claim)["path"]


def _breaking(claim: Claim) -> str:
    flag = "--resource " if claim.kind == "resource" else ""
    return f"gitcoord unlock --force {flag}{_path(claim)} -m REASON"


def _check_missing(callers: Callers, state: State, me: str | None, mine: list[Claim], missing: list[Claim]) -> None:
    for claim in missing:
        others = [k for k in state.overlapping(claim) if claim_of(k).parts == claim.parts and k["session"] != me]
        if others:
            holder = others[0]["session"]
            raise NotHolder(
                f"{_path(claim)} is locked by {holder} since {others[0]['locked_at']}, not by {me or 'you'}",
                next=f"ask {holder} to release it; breaking it needs a reason: {_breaking(claim)}",
                conflicts=conflict_views(state, (claim,), others, callers),
                released=[],
                not_held=[_path(c) for c in missing],
            )
    if missing and not mine:
        near = [k["path"] for claim in missing for k in state.overlapping(claim) if k["session"] == me]
        hint = f"; {me} holds {', '.join(near[:5])}" if near else ""
        raise NotFound(
            f"{', '.join(_path(c) for c in missing[:5])}: not locked{hint}",
            next="gitcoord locks --ours",
            released=[],
            not_held=[_path(c) for c in missing],
        )


# -- break


def break_locks(
    desk: Desk, files: list[str], reason: str, *, resource: bool, session: str | None, notices: list[str]
) -> View:
    """Break all that others hold on exactly these."""
    if not reason.strip():
        raise BadRequest("breaking a lock needs a reason", next="say why: -m REASON")
    claims, said, before = _claims(desk, files, resource=resource), list[Actor](), list[State]()

    def make(sign_on: SignOn | None) -> Plan:
        plan = break_plan(desk.callers, claims, reason, session, sign_on, said)

        def watched(state: State, now: Stamp) -> list[Operation]:
            before[:] = [state]
            return plan(state, now)

        return watched

    receipt = desk.submit_signed_on(make, session, notices, said)
    found = facts_of(receipt, "lock.break")
    broken: list[Lock] = [] if found is None else found[1]["broken"]
    return {"ok": True, "broken": [lock_view(before[0], k) for k in broken], "revision": receipt.revisions[-1]}


def break_plan(
    callers: Callers,
    claims: tuple[Claim, ...],
    reason: str,
    session: str | None,
    sign_on: SignOn | None,
    said: list[Actor],
) -> Callable[[State, Stamp], list[Operation]]:
    """Return the plan that breaks all that others hold on exactly these claims."""

    def plan(state: State, now: Stamp) -> list[Operation]:
        actor = callers.actor(state, session, now, sign_on)
        said[:] = [actor]
        taken: list[dict[str, Any]] = []
        for claim in claims:
            over = [k for k in state.overlapping(claim) if k["session"] != actor.session]
            exact = [k for k in over if claim_of(k).parts == claim.parts]
            if not exact:
                near = ", ".join(f"{k['path']} ({k['session']})" for k in over[:5])
                hint = f"; what overlaps it: {near}" if near else ""
                raise NotFound(f"nobody else has locked {_path(claim)}{hint}", next="gitcoord locks", broken=[])
            taken.extend(named(lock) for lock in exact)
        return [*actor.first, callers.operation("lock.break", actor, now, locks=taken, reason=reason)]

    return plan
