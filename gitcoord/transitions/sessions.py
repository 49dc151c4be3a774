"""The rules of sessions: who is here, for how long, and how one is found gone.

A session begins with `session.start`, whose id is its incarnation. It lasts until it ends itself, or until somebody
who wants what it holds (its locks, its id) shows one of three pieces of evidence:

- `process-gone`: its machine attests, in the same boot, that the OS lock which the process held is free;
- `lease-over`: by the clocks of its own machine, its lease ran out since its last operation;
- `challenge`: from another machine, a challenge on the log stood for a whole lease and a little more, and the session
  did not renew. Only the challenger's clock is asked, so no difference of clocks can make two holders.

A lease that ran out ends nothing by itself: until somebody acts on it, the next operation of the session revives it.
"""

from __future__ import annotations

from gitcoord import names, principals
from gitcoord.errors import BadRequest, LimitReached, Refused, SessionEnded, SessionTaken
from gitcoord.model import Challenge, Lock, Lost, Operation, Session
from gitcoord.state import State, claim_of
from gitcoord.transitions import clocks
from gitcoord.values import Any, cast

_NOTICES_KEPT = 50
_LOST_KEPT = 100
_INTENT_BYTES = 500
AGENT_BYTES = 100


def require(state: State, session: str, incarnation: str) -> Session:
    """Return the session if it is on the state with this incarnation.

    Raises:
        SessionEnded: it is not, or by now somebody else has its id.
    """
    record = state.session(session)
    if record is None:
        raise SessionEnded(
            f"session {session} ({incarnation}) is over; its locks are released",
            next="sign on again, and look again at what you had locked before you write it",
            session=session,
        )
    if record["incarnation"] != incarnation:
        raise SessionEnded(
            f"session {session} was taken over at {record['started_at']} by {record['author']['name']}; "
            f"the incarnation {incarnation} is over and holds nothing",
            next="sign on under another id, and look again at what you had locked before you write it",
            session=session,
        )
    return record


def renew_actor(state: State, operation: Operation) -> None:
    """Renew the lease of the session that acts, and clear the notices that its answer delivers.

    An operation that nobody waits for (a renewal in the background) says `keeps_notices`.
    """
    record = require(state, operation["session"], operation["incarnation"])
    principals.check_actor(record.get("principal"), operation["principal"], record["session"])
    fresh = _renewed(record, operation)
    # What is replayed was decided elsewhere, by somebody who could not have heard what stands here.
    if operation.get("keeps_notices") or operation["replayed"]:
        fresh["notices"] = record["notices"]
    state.put_session(fresh)


def _renewed(record: Session, operation: Operation) -> Session:
    if late_ms(record, operation):
        # A lease that was renewed later is not shortened; a challenge of that renewal has seen a later sign of life.
        return cast("Session", {**record, "notices": []})
    fresh = cast("Session", {**record, "clock": operation["clock"], "renewal": operation["id"], "notices": []})
    fresh.pop("challenges", None)
    return fresh


def late_ms(record: Session, operation: Operation) -> int:
    """Return by how much an operation that is replayed is older than its session's last sign of life; 0 if it is not.

    What such a one asked of the lease was asked from its own time on.
    """
    passed = clocks.elapsed_ms(record["clock"], operation["clock"]) if operation["replayed"] else None
    return max(0, -passed) if passed is not None else 0


def check_lease(state: State, lease_s: Any) -> None:
    """Let a lease's length pass if the policy allows it.

    Raises:
        BadRequest: not a positive whole number of seconds.
        LimitReached: longer than the policy's limit.
    """
    longest = state.policy["limits"]["lease_max_s"]
    if type(lease_s) is not int or lease_s < 1:
        raise BadRequest(f"a time of {lease_s!r} s is no positive whole number of seconds", next="give at least 1 s")
    if lease_s > longest:
        raise LimitReached(
            f"{lease_s} s is longer than the {longest} s that this log allows", next=f"ask for at most {longest} s"
        )


def _check_text(text: Any, limit: int, what: str) -> None:
    if type(text) is not str or not names.is_unicode(text) or len(text.encode()) > limit:
        raise BadRequest(f"{what} must be valid Unicode text of at most {limit} bytes", next="shorten it")


def start(state: State, operation: Operation) -> dict[str, Any]:
    """`session.start`: session, agent, intent, machine_name, clone, lease_s, process, proof, takeover.

    `takeover` is None, or the `incarnation` that is taken over and the `evidence` that it is gone.
    """
    name = operation["session"]
    names.check_session_id(name)
    check_lease(state, operation["lease_s"])
    _check_text(operation["intent"], _INTENT_BYTES, "the intent")
    _check_text(operation["agent"], AGENT_BYTES, "the agent's name")
    old, takeover = state.session(name), operation["takeover"]
    released: list[Lock] = []
    if old is None and takeover is not None:
        raise Refused(f"there is no session {name} to take over", next="sign on without takeover", session=name)
    if old is not None:
        if takeover is None or takeover["incarnation"] != old["incarnation"]:
            raise SessionTaken(
                f"session {name} is {old['author']['name']}'s since {old['started_at']} ({old['machine_name']})",
                next="sign on under another id, or ask for takeover once it is gone",
                session=name,
                since=old["started_at"],
            )
        check_evidence(old, takeover["evidence"], operation)
        principals.check_actor(old.get("principal"), operation["principal"], name)
        released = _release_all(state, old)
    record: Session = {
        "session": name,
        "incarnation": operation["id"],
        "author": operation["author"],
        "agent": operation["agent"],
        "intent": operation["intent"],
        "machine_name": operation["machine_name"],
        "clone": operation.get("clone", ""),
        "started_at": operation["clock"]["time"],
        "clock": operation["clock"],
        "renewal": operation["id"],
        "lease_s": operation["lease_s"],
        "usual_s": operation["lease_s"],
        "process": operation["process"],
        "proof": operation["proof"],
        "held": 0,
        "notices": [],
    }
    if operation["principal"] is not None:
        record["principal"] = operation["principal"]
    state.put_session(record)
    return {"released": released}


def end(state: State, operation: Operation) -> dict[str, Any]:
    """`session.end`: all that the session holds is released with it."""
    record = cast("Session", state.session(operation["session"]))
    released = _release_all(state, record)
    state.drop_session(operation["session"])
    return {"released": released}


def _release_all(state: State, record: Session) -> list[Lock]:
    released = list(state.locks_of(record))
    for lock in released:
        state.drop_lock(claim_of(lock), lock["session"])
    return released


def renew(state: State, operation: Operation) -> dict[str, Any]:
    """`session.renew`: lease_s and intent (None keeps them), others (sessions and incarnations of the same machine).

    One commit renews all the sessions of a machine whose life its renewing process saw.
    """
    record = cast("Session", state.session(operation["session"]))
    if operation["lease_s"] is not None:
        check_lease(state, operation["lease_s"])
        if not late_ms(record, operation):
            record = cast("Session", {**record, "lease_s": operation["lease_s"], "usual_s": operation["lease_s"]})
    if operation["intent"] is not None:
        _check_text(operation["intent"], _INTENT_BYTES, "the intent")
        record = cast("Session", {**record, "intent": operation["intent"]})
    state.put_session(record)
    for other in operation["others"]:
        if operation["replayed"] and not _stands(state, other):
            continue  # it ended meanwhile; the rest is renewed all the same
        found = require(state, other["session"], other["incarnation"])
        if found["clock"]["machine"] != operation["clock"]["machine"]:
            raise Refused(f"session {other['session']} is of another machine and renews its own lease")
        principals.check_actor(found.get("principal"), operation["principal"], found["session"])
        fresh = _renewed(found, operation)
        fresh["notices"] = found["notices"]
        state.put_session(fresh)
    return {}


def _stands(state: State, other: dict[str, str]) -> bool:
    record = state.session(other["session"])
    return record is not None and record["incarnation"] == other["incarnation"]


def resume(state: State, operation: Operation) -> dict[str, Any]:
    """`session.resume`: process, proof, lease_s, machine_name; the agent goes on in another process."""
    record = cast("Session", state.session(operation["session"]))
    check_lease(state, operation["lease_s"])
    if late_ms(record, operation):
        return {}  # the agent was seen later than in the process that this one speaks of
    fields = ("process", "proof", "lease_s", "machine_name")
    resumed = {**record, **{name: operation[name] for name in fields}, "usual_s": operation["lease_s"]}
    state.put_session(cast("Session", resumed))
    return {}


def check_evidence(target: Session, evidence: dict[str, Any], operation: Operation) -> None:
    """Let a reap or takeover pass if its evidence fits what the state says.

    Raises:
        Refused: the evidence does not show that the session is gone.
    """
    kind, now = evidence["kind"], operation["clock"]
    same_machine = target["clock"]["machine"] == now["machine"]
    proof = target["proof"]
    passed = clocks.elapsed_ms(target["clock"], now)
    since = passed is not None and passed >= 0  # replayed, it may be older than what the session did last
    shown = {
        "process-gone": same_machine and since and proof is not None and proof["boot"] == now["boot"],
        "lease-over": clocks.lease_is_over(target, now),
        "challenge": clocks.challenge_left_ms(target, now) == 0,
    }
    if kind not in shown:
        raise BadRequest(f"{kind!r} is no kind of evidence", next=f"one of {', '.join(shown)}")
    if not shown[kind]:
        raise Refused(f"{kind!r} does not show that session {target['session']} is gone", next="gitcoord session list")


def reap(state: State, operation: Operation) -> dict[str, Any]:
    """`session.reap`: target, target_incarnation, evidence. Releases all that the target held."""
    target = require(state, operation["target"], operation["target_incarnation"])
    if target["session"] == operation["session"]:
        raise BadRequest("a session does not reap itself", next="gitcoord session end")
    check_evidence(target, operation["evidence"], operation)
    released = _release_all(state, target)
    state.drop_session(target["session"])
    return {"released": released}


def challenge(state: State, operation: Operation) -> dict[str, Any]:
    """`session.challenge`: target, target_incarnation, renewal. Starts the clock against a session of another machine.

    `renewal` is the target's last one that the challenger saw. Replayed, a challenge counts from its own time, so one
    that was made against an older renewal, or does not say, would end a session that has renewed since.
    """
    target = require(state, operation["target"], operation["target_incarnation"])
    if target["clock"]["machine"] == operation["clock"]["machine"]:
        raise BadRequest(
            f"session {target['session']} is of this machine; its own clock decides", next="gitcoord session list"
        )
    seen = operation.get("renewal", None if operation["replayed"] else target["renewal"])
    if seen != target["renewal"]:
        raise Refused(f"session {target['session']} has renewed its lease since", next="gitcoord session list")
    if clocks.challenge_of(target, operation["clock"]["machine"]) is None:
        fresh = cast("Session", dict(target))
        made: Challenge = {"by": operation["session"], "clock": operation["clock"], "renewal": target["renewal"]}
        fresh["challenges"] = [*target.get("challenges", []), made]
        state.put_session(fresh)
    return {}


def tell(state: State, session: str, notice_id: str, text: str, *, held: int) -> None:
    """Leave a notice for a session's next operation, and count what it holds anew; one that is gone hears nothing."""
    record = state.session(session)
    if record is None:
        return
    notices = [*record["notices"], {"id": notice_id, "text": text}][-_NOTICES_KEPT:]
    state.put_session(holding(cast("Session", {**record, "notices": notices}), held))


def lose(state: State, session: str, incarnation: str, lost: list[Lost]) -> None:
    """Note on a session's record which locks it had counted on and was refused; its latest, at most so many."""
    record = state.session(session)
    if record is None or record["incarnation"] != incarnation or not lost:
        return
    fresh = without_lost(record, {place(one) for one in lost})
    fresh["lost"] = [*fresh.get("lost", []), *lost][-_LOST_KEPT:]
    state.put_session(fresh)


def place(claim: Any) -> tuple[bool, str]:
    """Return where a recorded claim or lock lies: among the resources or not, and under which key."""
    return claim["kind"] == "resource", claim["key"]


def without_lost(record: Session, places: set[tuple[bool, str]]) -> Session:
    """Return a session that no longer counts these claims as lost: it asked for them anew, or let them go."""
    left = [one for one in record.get("lost", []) if place(one) not in places]
    fresh = cast("Session", dict(record))
    fresh.pop("lost", None)
    if left:
        fresh["lost"] = left
    return fresh


def holding(record: Session, added: int) -> Session:
    """Return a session that holds so many locks more. One that holds none has its usual lease again."""
    held = record["held"] + added
    lease_s = record["lease_s"] if held else record["usual_s"]
    return cast("Session", {**record, "held": held, "lease_s": lease_s})
