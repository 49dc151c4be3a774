"""The verb that locks: at once, or waiting in line."""

from __future__ import annotations

from collections.abc import Callable

from gitcoord.coordinator import Receipt
from gitcoord.errors import BadRequest, LockHeld, Refused
from gitcoord.model import MODES, Lock, Mode, Operation
from gitcoord.model_time import Stamp, format_time
from gitcoord.paths import Claim
from gitcoord.runtime.waiting import Line
from gitcoord.service.callers import Actor, Callers, SignOn
from gitcoord.service.looking import conflict_views, has_to_let_pass, links, resolve, waiter_claims
from gitcoord.service.receipts import facts_of
from gitcoord.service.unlocking import let_go, named
from gitcoord.service.views import View, held_message, lock_view
from gitcoord.state import State
from gitcoord.transitions import clocks, locks
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from gitcoord.service.desk import Desk

_LONGEST_WAIT_S = 24 * 3600
# How often a clone looks at the remote for those who wait for something that another clone holds.
_LOOK_EVERY_MS = 1500


class Wish(NamedTuple):
    """What a caller wants locked."""

    claims: tuple[Claim, ...]
    mode: Mode
    reason: str
    ttl_s: int | None


class Request(NamedTuple):
    """What a caller asks of a lock, as it came."""

    files: list[str]
    mode: str
    reason: str
    ttl_s: int | None
    wait_s: float | None
    resource: bool
    session: str | None
    cancelled: Callable[[], bool] | None
    offline: bool = False


class Ahead(NamedTuple):
    """Which waiters a request has to let pass."""

    line: Line
    before: str | None


def make_wish(claims: tuple[Claim, ...], mode: str, reason: str, ttl_s: int | None) -> Wish:
    """Return a wish whose mode is one.

    Raises:
        BadRequest: it is not.
    """
    if mode not in MODES:
        raise BadRequest(f"{mode!r} is no lock mode", next=f"one of {', '.join(MODES)}")
    return Wish(claims, mode, reason, ttl_s)


def held_error(callers: Callers, state: State, claims: tuple[Claim, ...], held: list[Lock]) -> LockHeld:
    """Return the refusal that names who holds what, since when, until when, why, and what to try."""
    conflicts = conflict_views(state, claims, held, callers)
    more = f"; and {len(held) - 1} more" if len(held) > 1 else ""
    first = conflicts[0]
    return LockHeld(
        held_message(first) + more,
        next=f"wait for it (--wait 60s, over MCP wait_s), work elsewhere, or ask {first['session']} to release it",
        conflicts=conflicts,
        held=held,
    )


# -- lock


def acquire_plan(
    callers: Callers,
    wish: Wish,
    session: str | None,
    sign_on: SignOn | None,
    ahead: Ahead,
    said: list[Actor],
    *,
    clearing: bool,
) -> Callable[[State, Stamp], list[Operation]]:
    """Return the plan of a lock request.

    With `clearing`, it clears away what stands in the way only in name: locks whose time is up, and sessions that are
    gone. Each in an operation, and so a commit, of its own that says why.
    """

    def plan(state: State, now: Stamp) -> list[Operation]:
        actor = callers.actor(state, session, now, sign_on)
        said[:] = [actor]
        mode = kept_mode(state, wish, actor.session)
        overtaken = _overtaken(state, wish, actor, ahead, now)
        cleared = _clearing(callers, state, wish, actor, now) if clearing or overtaken is not None else []
        if overtaken is not None:
            raise overtaken
        return [
            *actor.first,
            *cleared,
            callers.operation(
                "lock.acquire",
                actor,
                now,
                claims=[locks.claim_record(claim) for claim in wish.claims],
                mode=mode,
                reason=wish.reason,
                ttl_s=wish.ttl_s,
            ),
        ]

    return plan


def kept_mode(state: State, wish: Wish, session: str) -> Mode:
    """Return the mode in which a wish is asked for: who asks for less than it holds keeps what it holds.

    Raises:
        BadRequest: some of the claims are held in a stronger mode and others are not.
    """
    held = [state.lock(claim, session) for claim in wish.claims]
    stronger = [lock for lock in held if lock is not None and locks.is_stronger(lock["mode"], wish.mode)]
    if not stronger:
        return wish.mode
    first = stronger[0]
    if any(lock is None or lock["mode"] != first["mode"] for lock in held):
        raise BadRequest(
            f"{first['path']} is locked by you already ({first['mode']}), and a lock is not weakened in passing",
            next=f"leave {first['path']} out; to weaken it: gitcoord unlock {first['path']}, then lock it anew",
        )
    return first["mode"]


def _clearing(callers: Callers, state: State, wish: Wish, actor: Actor, now: Stamp) -> list[Operation]:
    """Return the operations that remove what is over of the locks in the way; raise if anything else is.

    Raises:
        LockHeld: somebody who is not gone holds what is wished.
    """
    in_the_way = {
        (lock["key"], lock["session"]): lock
        for claim in wish.claims
        for lock in locks.conflicts(state, claim, wish.mode, actor.session)
    }
    reading = clocks.reading(now)
    gone: dict[str, dict[str, Any] | None] = {}
    expired: dict[str, list[Lock]] = {}
    held: list[Lock] = []
    for lock in in_the_way.values():
        holder = lock["session"]
        if holder not in gone:
            record = state.session(holder)
            gone[holder] = None if record is None else callers.evidence(record, now)
        if gone[holder] is not None:
            continue
        if clocks.lock_is_over(lock, reading):
            expired.setdefault(holder, []).append(lock)
        else:
            held.append(lock)
    if held:
        raise held_error(callers, state, wish.claims, held)
    operations = [
        callers.operation(
            "session.reap",
            actor,
            now,
            target=holder,
            target_incarnation=cast("Any", state.session(holder))["incarnation"],
            evidence=evidence,
        )
        for holder, evidence in gone.items()
        if evidence is not None
    ]
    return operations + [
        callers.operation("lock.expire", actor, now, locks=[named(lock) for lock in over]) for over in expired.values()
    ]


def _overtaken(state: State, wish: Wish, actor: Actor, ahead: Ahead, now: Stamp) -> LockHeld | None:
    """Return the refusal of a request that would overtake somebody who came first; None where it would not."""
    for waiter in ahead.line.others(now, ahead.before):
        if waiter.session == actor.session or not locks.stand_in_the_way(wish.mode, cast("Mode", waiter.mode)):
            continue
        met = has_to_let_pass(state, wish.claims, actor.session, waiter_claims(waiter), cast("Mode", waiter.mode))
        if met is None:
            continue
        mine, other = met
        path = locks.claim_record(mine)["path"]
        return LockHeld(
            f"{path} is wanted by {waiter.session}, who waits in line since {format_time(waiter.since_ms)}",
            next="wait in line too (--wait 60s, over MCP wait_s)",
            conflicts=[
                {
                    "path": path,
                    "held_path": locks.claim_record(other)["path"],
                    "kind": other.kind,
                    "mode": waiter.mode,
                    "state": "waiting",
                    "session": waiter.session,
                    "grant": None,
                    "token": None,
                    "locked_at": format_time(waiter.since_ms),
                    "expires_at": None,
                    "reason": str(waiter.wish.get("reason", "")),
                }
            ],
            held=[],
        )
    return None


def lock(desk: Desk, request: Request, notices: list[str]) -> View:
    """Lock what is asked for, waiting for it if asked to."""
    looked = desk.look()
    state = looked.state
    claims = resolve(desk.access, request.files, resource=request.resource, fold_case=state.fold_case)
    wish = make_wish(claims, request.mode, request.reason, request.ttl_s)
    locks.check_request(state, wish.reason, wish.ttl_s)
    said: list[Actor] = []
    line = Line(desk.access.runtime)
    if not request.resource:
        notices += links(desk.access, request.files, fold_case=state.fold_case)

    asked = desk.access.now()
    seen = [looked]  # by the time of another try it is old

    def ask(before: str | None, *, clearing: bool) -> Receipt:
        ahead = Ahead(line, before)
        return desk.submit_signed_on(
            lambda sign_on: acquire_plan(desk.callers, wish, request.session, sign_on, ahead, said, clearing=clearing),
            request.session,
            notices,
            said,
            offline=request.offline,
            since=_fresh_enough(asked, desk.access.now()),
            seen=seen.pop() if seen else None,
        )

    def attempt(before: str | None) -> Receipt:
        try:
            return ask(before, clearing=False)
        except LockHeld as refusal:
            if "conflicts" in refusal.facts:
                raise
        # The rule itself said no: look whether what is in the way is still there, and tell who holds what.
        return ask(before, clearing=True)

    if request.wait_s is None:
        try:
            return _granted(desk, attempt(None), request, claims)
        except LockHeld as refusal:
            raise _challenged(desk, refusal, request, notices) from None
    if not 0 <= request.wait_s <= _LONGEST_WAIT_S:
        raise BadRequest(f"a wait of {request.wait_s} s is out of range", next=f"give 0 to {_LONGEST_WAIT_S} seconds")
    from gitcoord.service import signing, waits

    try:
        return _granted(desk, attempt(None), request, claims)
    except LockHeld as refusal:
        _challenged(desk, refusal, request, notices)
        actor = signing.present(desk, request.session, notices, offline=request.offline)
    waiting = waits.Waiting(
        desk.access,
        actor,
        wish,
        request.wait_s,
        cancelled=request.cancelled,
        meanwhile=lambda refusal: _challenged(desk, refusal, request, notices),
    )
    return _granted(desk, waiting.run(attempt), request, claims)


def _granted(desk: Desk, receipt: Receipt, request: Request, claims: tuple[Claim, ...]) -> View:
    """Return the answer of a granted request; what the caller had lost there is its own again."""
    view = granted_view(receipt, request.mode)
    let_go(desk, request.session, claims)
    return view


def _fresh_enough(asked: Stamp, now: Stamp) -> Stamp:
    """Return how far back a look at the remote may lie: not before the request, nor long ago for one that waits."""
    if asked.boot != now.boot or now.uptime_ms - asked.uptime_ms < _LOOK_EVERY_MS:
        return asked
    return now._replace(at_ms=now.at_ms - _LOOK_EVERY_MS, uptime_ms=now.uptime_ms - _LOOK_EVERY_MS)


def _challenged(desk: Desk, refusal: LockHeld, request: Request, notices: list[str]) -> Refused:
    """Challenge the holders of other machines that seem to be gone."""
    holders = sorted({lock["session"] for lock in refusal.facts.get("held", [])})
    here = desk.access.now().machine
    state = desk.access.state()
    records = [state.session(name) for name in holders]
    if all(record is None or record["clock"]["machine"] == here for record in records):
        return refusal
    from gitcoord.service import challenges

    return challenges.with_challenge(desk, refusal, holders, request.session, notices, offline=request.offline)


def granted_view(receipt: Receipt, wished: str) -> View:
    """Return the answer of a granted lock request, and say where a stronger mode was kept than was wished."""
    found = facts_of(receipt, "lock.acquire")
    if found is None:
        raise BadRequest("no lock was asked for")
    operation, facts, revision = found
    views = [lock_view(receipt.state, lock) for lock in facts["granted"]]
    warnings = [
        f"{lock['session']} has marked {lock['path']} as {lock['mode']} since {lock['locked_at']}"
        + (f': "{lock["reason"]}"' if lock["reason"] else "")
        for lock in facts["beside"]
    ]
    if operation["mode"] != wished:
        warnings.append(
            f"you hold {views[0]['path']} already, and it stays {operation['mode']}; unlock it to weaken it"
        )
    return {
        "granted": True,
        "session": operation["session"],
        "grant": views[0]["grant"],
        "token": max((view["token"] for view in views if view["token"] is not None), default=None),
        "revision": revision,
        "state": "provisional" if any(view["state"] == "provisional" for view in views) else views[0]["state"],
        "expires_at": min(view["expires_at"] for view in views),
        "locks": views,
        "warnings": list(dict.fromkeys(warnings)),
        "notices": [],  # what there is stands here at last; the answer of a grant always says
    }
