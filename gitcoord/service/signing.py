"""The verbs of sessions: sign on, resume, sign off, renew, and keep alive."""

from __future__ import annotations

from gitcoord import names
from gitcoord.coordinator import Plan, Receipt
from gitcoord.errors import Refused, SessionEnded, SessionTaken, UnknownSession
from gitcoord.model import Operation, Session
from gitcoord.model_time import Stamp, format_time
from gitcoord.runtime.files import is_id
from gitcoord.service import news
from gitcoord.service.callers import Actor, Own, SignOn
from gitcoord.service.project import project_of
from gitcoord.service.views import View
from gitcoord.state import State
from gitcoord.transitions import clocks
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gitcoord.service.desk import Desk

_IDLE_S = 60.0
_RENEW_AT = 0.5
_RENEW_OTHERS_AT = 0.1


class Request(NamedTuple):
    """What a caller asks of a sign-on."""

    session: str | None
    intent: str | None
    takeover: bool
    incarnation: str | None
    lease_s: int | None


def sign_on(desk: Desk, request: Request, notices: list[str]) -> View:
    """Sign on, resume an incarnation, or confirm the session that the caller has."""
    if request.session is not None:
        names.check_session_id(request.session)
    with desk.callers.signing:
        if request.incarnation is not None:
            return _resume(desk, request, notices)
        standing = _standing(desk, request)
        if standing is not None:
            return _confirm(desk, request, notices)
        return _start(desk, request, notices)


def _standing(desk: Desk, request: Request) -> Actor | None:
    """Return the session that the caller already has; a sign-on under another id is none."""
    own, callers = desk.callers.own, desk.callers
    if request.session is not None and (own is None or own.session != request.session):
        return None
    if own is None and callers.process:
        return None
    snapshot = desk.access.log.snapshot()
    try:
        return callers.standing_actor(snapshot.state, None, desk.access.now())
    except SessionEnded:
        return None


def _view(desk: Desk, record: Session, revision: int) -> View:
    return {
        "session": record["session"],
        "incarnation": record["incarnation"],
        "machine": record["machine_name"],
        "project": project_of(desk.access.repository),
        "revision": revision,
        "lease_expires_at": format_time(clocks.lease_end_ms(record)),
    }


def _signed(desk: Desk, receipt: Receipt, session: str) -> View:
    record = receipt.state.session(session)
    if record is None:
        raise UnknownSession(f"session {session} is gone again", session=session)
    return _view(desk, record, receipt.state.revision)


def _confirm(desk: Desk, request: Request, notices: list[str]) -> View:
    said: list[Actor] = []
    plan = _renewal_plan(desk, request.session, request.lease_s, request.intent, said)
    receipt = desk.submit(plan, notices, said)
    return _signed(desk, receipt, said[0].session)


def _renewal_plan(desk: Desk, session: str | None, lease_s: int | None, intent: str | None, said: list[Actor]) -> Plan:
    def plan(state: State, now: Stamp) -> list[Operation]:
        actor = desk.callers.actor(state, session, now, None)
        said[:] = [actor]
        return [desk.callers.operation("session.renew", actor, now, lease_s=lease_s, intent=intent, others=[])]

    return plan


def _start(desk: Desk, request: Request, notices: list[str]) -> View:
    """Sign on anew. A session that the caller had under another id ends with it, unless it holds something."""
    callers = desk.callers
    sign_on_made = callers.prepare()
    said: list[Actor] = []

    def plan(state: State, now: Stamp) -> list[Operation]:
        first = _ending(desk, state, now)
        work = state
        if first:
            work = state.fork()
            work.drop_session(first[0]["session"])
        made = callers.start_operation(
            work, now, sign_on_made, session=request.session, intent=request.intent or "", takeover=request.takeover
        )
        if request.lease_s is not None:
            made["lease_s"] = request.lease_s
        said[:] = [Actor(made["session"], sign_on_made.id, made["author"], [])]
        return [*first, made]

    started = False
    try:
        receipt = desk.access.submit(plan, offline=desk.offline)
        started = True
    except SessionTaken as refusal:
        if not request.takeover or request.session is None:
            raise
        from gitcoord.service import challenges

        raise challenges.with_challenge(desk, refusal, [request.session], None, notices) from None
    finally:
        if not started:
            callers.discard(sign_on_made)
    if callers.process or callers.wished is None:
        callers.adopt(receipt.operations[-1], sign_on_made)
    news.settle(lambda: news.pass_word(desk.access.runtime, receipt, notices), notices)
    return _signed(desk, receipt, said[0].session)


def _ending(desk: Desk, state: State, now: Stamp) -> list[Operation]:
    """Return the end of the session that the caller had so far, if it stands.

    Raises:
        Refused: it holds locks.
    """
    own = desk.callers.own
    record = None if own is None else state.session(own.session)
    if own is None or record is None or record["incarnation"] != own.incarnation:
        return []
    if record["held"]:
        raise Refused(
            f"you are signed on as {own.session} and hold {record['held']} lock{'s' * (record['held'] > 1)}",
            next="sign off first, which releases them, or go on as that session",
            session=own.session,
        )
    return [desk.callers.operation("session.end", Actor(own.session, own.incarnation, record["author"], []), now)]


def _check_known(desk: Desk, incarnation: str) -> None:
    """Let an incarnation pass that was ever signed on, as far as this clone knows; reads the log back to it.

    Raises:
        SessionEnded: it was not.
    """
    from gitcoord.service.history import with_ids

    if not any(entry["type"] == "session.start" for entry in with_ids(desk.access.log, {incarnation})):
        raise SessionEnded(
            f"the incarnation {incarnation} is not known here: nobody signed on as it",
            next="see who is here: gitcoord session list; or sign on without an incarnation",
            incarnation=incarnation,
        )


def _resume(desk: Desk, request: Request, notices: list[str]) -> View:
    """Go on as an incarnation that was not ended, in this process."""
    callers = desk.callers
    wanted = request.incarnation or ""
    if not is_id(wanted):
        raise SessionEnded(f"{names.shown(wanted)} is no incarnation", next="sign on without one")
    state = desk.access.state()
    found = next((s for s in state.sessions() if s["incarnation"] == wanted), None)
    name = request.session or (None if found is None else found["session"])
    if name is None:
        _check_known(desk, wanted)
        raise SessionEnded(
            f"the incarnation {wanted} is over; its locks are released",
            next="sign on anew, and look at what you had locked before you write it again",
            incarnation=wanted,
        )
    own = callers.own
    if own is not None and own.incarnation == wanted:
        return _confirm(desk, request, notices)
    if not callers.process and found is not None and callers.lives(found, desk.access.now()):
        return _confirm(desk, request._replace(session=name), notices)
    sign_on_made = callers.prepare(wanted)
    said: list[Actor] = []

    def plan(state: State, now: Stamp) -> list[Operation]:
        record = state.session(name)
        author = callers.author(name) if record is None else record["author"]
        actor = Actor(name, wanted, author, [])
        said[:] = [actor]
        first = _ending(desk, state, now)
        return [
            *first,
            callers.operation("session.resume", actor, now, **_resumption(desk, state, request, sign_on_made)),
        ]

    resumed = False
    try:
        receipt = desk.submit(plan, notices, said)
        resumed = True
    except SessionEnded:
        if found is None:
            _check_known(desk, wanted)
        raise
    finally:
        if not resumed:
            callers.discard(sign_on_made)
    callers.adopt(receipt.operations[-1], sign_on_made)
    return _signed(desk, receipt, name)


def _resumption(desk: Desk, state: State, request: Request, made: SignOn) -> dict[str, Any]:
    from gitcoord.runtime.machine import machine_name

    return {
        "process": desk.callers.process,
        "proof": None if made.life is None else made.life.proof,
        "lease_s": request.lease_s or desk.callers.usual_lease_s(state),
        "machine_name": machine_name(),
    }


def sign_off(desk: Desk, session: str | None, notices: list[str]) -> View:
    """End a session and release all that it holds, in one commit."""
    from gitcoord.service.unlocking import let_go

    let_go(desk, session, None)
    said: list[Actor] = []

    def plan(state: State, now: Stamp) -> list[Operation]:
        actor = desk.callers.actor(state, session, now, None)
        said[:] = [actor]
        return [desk.callers.operation("session.end", actor, now)]

    receipt = desk.submit(plan, notices, said)
    own = desk.callers.own
    if own is not None and own.incarnation == said[0].incarnation:
        desk.callers.forget()
    released = [lock["path"] for lock in receipt.facts[-1]["released"]]
    return {"ok": True, "session": said[0].session, "released": released, "revision": receipt.revisions[-1]}


def renew(desk: Desk, session: str | None, lease_s: int | None, notices: list[str]) -> View:
    """Renew a session's lease now."""
    said: list[Actor] = []
    receipt = desk.submit(_renewal_plan(desk, session, lease_s, None, said), notices, said)
    view = _signed(desk, receipt, said[0].session)
    return {
        "ok": True,
        "session": view["session"],
        "lease_expires_at": view["lease_expires_at"],
        "revision": view["revision"],
    }


def present(desk: Desk, session: str | None, notices: list[str], *, offline: bool = False) -> Actor:
    """Return as whom the caller acts, signing on now where that is still to be done."""
    said: list[Actor] = []

    def make(sign_on_made: SignOn | None) -> Plan:
        def plan(state: State, now: Stamp) -> list[Operation]:
            actor = desk.callers.actor(state, session, now, sign_on_made)
            said[:] = [actor]
            return actor.first

        return plan

    desk.submit_signed_on(make, session, notices, said, offline=offline)
    return said[0]._replace(first=[])


# -- keeping alive


def keep_alive(desk: Desk) -> float:
    """Renew the desk's session where it holds something and half its lease is gone, and its neighbours with it.

    Returns:
        seconds until it wants to be called again.
    """
    own = desk.callers.own
    if own is None or not desk.callers.process:
        return _IDLE_S
    try:
        left = _due_in_s(desk.access.state(), own, desk.access.now())
        if left > 0:
            return left
        desk.access.submit(lambda state, now: _renewals(desk, state, own, now))
        return max(1.0, _due_in_s(desk.access.state(), own, desk.access.now()))
    except Refused:
        return _IDLE_S


def _due_in_s(state: State, own: Own, now: Stamp) -> float:
    record = state.session(own.session)
    if record is None or record["incarnation"] != own.incarnation:
        return _IDLE_S
    if record["held"] == 0:
        return min(_IDLE_S, record["lease_s"] * _RENEW_AT / 2)
    return record["lease_s"] * _RENEW_AT - _age_s(record, now)


def _age_s(record: Session, now: Stamp) -> float:
    passed = clocks.elapsed_ms(record["clock"], clocks.reading(now))
    return 0.0 if passed is None else passed / 1000


def _renewals(desk: Desk, state: State, own: Own, now: Stamp) -> list[Operation]:
    """Return one operation that renews the desk's session and all of this machine that live, hold and are not fresh."""
    if _due_in_s(state, own, now) > 0:
        return []
    record = state.session(own.session)
    if record is None:
        return []
    others = [
        {"session": other["session"], "incarnation": other["incarnation"]}
        for other in state.sessions()
        if other["session"] != own.session
        and other["held"] > 0
        and other["clock"]["machine"] == now.machine
        and other.get("principal") == record.get("principal")
        and _age_s(other, now) >= other["lease_s"] * _RENEW_OTHERS_AT
        and desk.callers.lives(other, now)
    ]
    actor = Actor(own.session, own.incarnation, record["author"], [])
    made = desk.callers.operation("session.renew", actor, now, lease_s=None, intent=None, others=others)
    made["keeps_notices"] = True
    return [made]
