"""The rules of locks: who may hold what beside whom.

Two locks of two sessions stand in each other's way when their claims overlap (see `gitcoord.paths`) and their modes do
not go together: exclusive goes with nothing, shared with shared, intent with all (it warns). One's own locks never
stand in one's way. An operation's claims are granted all or none.

A lock that others hold is gone only through an operation that says so: its holder's release or end, a break with a
reason, the expiry of its own time, or the reaping of its session. `acquire` itself never removes one.
"""

from __future__ import annotations

from gitcoord import names, paths
from gitcoord.errors import BadRequest, InvalidPath, LimitReached, LockHeld, NotFound, NotHolder, Refused, TooLarge
from gitcoord.model import MODES, Lock, Mode, Operation, Session
from gitcoord.paths import Claim
from gitcoord.state import State
from gitcoord.transitions import clocks, sessions
from gitcoord.values import Any, cast

_RANK: dict[Mode, int] = {"intent": 0, "shared": 1, "exclusive": 2}


def claim_from(record: dict[str, str]) -> Claim:
    """Return the claim that an operation names by `path`, `key` and `kind`.

    Raises:
        InvalidPath: it is not one.
    """
    key, path = names.from_json_text(record["key"]), names.from_json_text(record["path"])
    parts = tuple(key.split("/")) if key != "." else ()
    resource = record["kind"] == "resource"
    sound = record["kind"] in ("file", "directory", "pattern", "resource") and "\0" not in key
    sound = sound and not {"", ".", ".."} & set(parts) and (parts or record["kind"] == "directory")
    if not sound or (not resource and (record["kind"] == "pattern") != paths.has_wildcard(key)):
        raise InvalidPath(f"{record['path']!r} is no claim")
    if not resource and path.isascii() and path.lower() != key.lower():
        raise InvalidPath(f"{record['path']!r} is shown for {record['key']!r}")
    return Claim(record["kind"], parts, path)


def claim_record(claim: Claim) -> dict[str, str]:
    """Return how operations and records name a claim."""
    return {
        "path": names.to_json_text(claim.spelled),
        "key": names.to_json_text(claim.key or "."),
        "kind": claim.kind,
    }


def stand_in_the_way(wanted: Mode, held: Mode) -> bool:
    """Tell whether two sessions may not hold these modes on overlapping claims."""
    return "intent" not in (wanted, held) and "exclusive" in (wanted, held)


def conflicts(state: State, claim: Claim, mode: Mode, session: str) -> list[Lock]:
    """Return the locks of others that stand in the way of this claim."""
    return [
        lock for lock in state.overlapping(claim) if lock["session"] != session and stand_in_the_way(mode, lock["mode"])
    ]


def is_stronger(one: Mode, other: Mode) -> bool:
    """Tell whether a mode excludes more than another one."""
    return _RANK[one] > _RANK[other]


def acquire(state: State, operation: Operation) -> dict[str, Any]:
    """`lock.acquire`: claims, mode, reason, ttl_s.

    Re-locking what one holds keeps its token and grant, unless the mode grows or the claim becomes a directory; an
    empty reason keeps the old one.
    """
    mode: Mode = operation["mode"]
    _check_operation(state, operation)
    claims = [claim_from(record) for record in operation["claims"]]
    if not state.fold_case:
        for claim in claims:
            if claim.kind != "resource" and claim.spelled.isascii() and claim.spelled != (claim.key or "."):
                raise InvalidPath(f"{claim.spelled!r} is shown for {claim.key!r}")
    me: str = operation["session"]
    found: dict[tuple[str, str], Lock] = {}
    warnings: list[Lock] = []
    for claim in claims:
        for lock in state.overlapping(claim):
            if lock["session"] == me:
                continue
            if stand_in_the_way(mode, lock["mode"]):
                found[lock["key"], lock["session"]] = lock
            elif "intent" in (mode, lock["mode"]):
                warnings.append(lock)
    if found:
        raise LockHeld(_held_text(list(found.values())), held=list(found.values()))
    record = cast("Session", state.session(me))
    granted: list[Lock] = []
    added = 0
    for claim in claims:
        old = state.lock(claim, me)
        added += old is None
        lock = _granted(claim, old, operation)
        state.put_lock(claim, lock)
        granted.append(lock)
    ttl_s = operation["ttl_s"]
    lease_s = record["lease_s"]
    if ttl_s is not None:
        # The lock's time counts from its operation on; the lease has to reach as far, and no further.
        lease_s = max(lease_s, ttl_s - sessions.late_ms(record, operation) // 1000)
    record = cast("Session", {**record, "held": record["held"] + added, "lease_s": lease_s})
    state.put_session(sessions.without_lost(record, {sessions.place(claim) for claim in operation["claims"]}))
    return {"granted": granted, "beside": warnings}


def _check_operation(state: State, operation: Operation) -> None:
    if operation["mode"] not in MODES:
        raise BadRequest(f"{operation['mode']!r} is no lock mode", next=f"one of {', '.join(MODES)}")
    _check_named(operation["claims"])
    most = state.policy["limits"]["claims"]
    if len(operation["claims"]) > most:
        raise LimitReached(
            f"{len(operation['claims']):,} claims in one operation; the limit is {most:,}",
            next="lock the directory above",
        )
    keys = [(record["kind"] == "resource", record["key"]) for record in operation["claims"]]
    if len(set(keys)) != len(keys):
        raise BadRequest("a claim is named twice")
    check_request(state, operation["reason"], operation["ttl_s"])


def check_request(state: State, reason: Any, ttl_s: Any) -> None:
    """Let a reason and a time pass if the log's policy allows them.

    Raises:
        BadRequest: not text, or no positive whole number of seconds.
        TooLarge: the reason is too long.
        LimitReached: the time is too long.
    """
    check_reason(reason, state.policy["limits"]["reason_bytes"])
    if ttl_s is not None:
        sessions.check_lease(state, ttl_s)


def _check_named(named: list[Any]) -> None:
    if not named:
        raise BadRequest("no path was named", next="name at least one path")


def check_reason(reason: Any, limit: int) -> None:
    """Let a reason pass if it is text within the limit.

    Raises:
        BadRequest: not text, or not valid Unicode.
        TooLarge: longer than the limit, in bytes of UTF-8.
    """
    if type(reason) is not str:
        raise BadRequest("the reason must be text")
    try:
        size = len(reason.encode())
    except UnicodeEncodeError as error:
        raise BadRequest("the reason holds a lone surrogate", next="give valid Unicode text") from error
    if size > limit:
        raise TooLarge(f"the reason takes {size:,} bytes; the limit is {limit:,}", next="shorten it")


def _held_text(held: list[Lock]) -> str:
    first = held[0]
    more = f", and {len(held) - 1} more" if len(held) > 1 else ""
    return f"{first['path']} is held by {first['session']} since {first['locked_at']} ({first['mode']}){more}"


def _granted(claim: Claim, old: Lock | None, operation: Operation) -> Lock:
    mode: Mode = operation["mode"]
    ttl_s = operation["ttl_s"]
    fresh = old is None or is_stronger(mode, old["mode"]) or old["kind"] != claim.kind
    kept = None if fresh else old
    named = claim_record(claim)
    return {
        "path": named["path"],
        "key": named["key"],
        "kind": named["kind"],
        "mode": mode,
        "session": operation["session"],
        "incarnation": operation["incarnation"],
        "grant": operation["id"] if kept is None else kept["grant"],
        "token": operation["revision"] if kept is None else kept["token"],
        "locked_at": operation["clock"]["time"] if kept is None else kept["locked_at"],
        "reason": operation["reason"] or ("" if old is None else old["reason"]),
        "term": None if ttl_s is None else {"ttl_s": ttl_s, "clock": operation["clock"]},
    }


def release(state: State, operation: Operation) -> dict[str, Any]:
    """`lock.release`: claims. Each must be the session's own; one that it lost in a merge is only forgotten."""
    released: list[Lock] = []
    _check_named(operation["claims"])
    lost = {sessions.place(one) for one in cast("Session", state.session(operation["session"])).get("lost", [])}
    for record in operation["claims"]:
        claim = claim_from(record)
        lock = state.lock(claim, operation["session"])
        if lock is None and sessions.place(record) in lost:
            continue
        if lock is None:
            raise NotHolder(
                f"{record['path']} is not locked by {operation['session']}", next=f"gitcoord locks {record['path']}"
            )
        state.drop_lock(claim, operation["session"])
        released.append(lock)
    record_now = sessions.holding(cast("Session", state.session(operation["session"])), -len(released))
    state.put_session(sessions.without_lost(record_now, {sessions.place(claim) for claim in operation["claims"]}))
    return {"released": released}


def _is_that_grant(lock: Lock, record: dict[str, Any], operation: Operation) -> bool:
    """Tell whether a lock is the grant that an operation names; one that is replayed names it by its id."""
    if "grant" in record and lock["grant"] != record["grant"]:
        return False
    return lock["token"] == record["token"] or (operation["replayed"] and "grant" in record)


def _taken_away(state: State, operation: Operation, text: str) -> list[Lock]:
    """Remove the locks that an operation names by claim, holder and grant, and leave word with those who lost them."""
    lost: list[Lock] = []
    _check_named(operation["locks"])
    for record in operation["locks"]:
        claim = claim_from(record)
        lock = state.lock(claim, record["session"])
        if lock is None or not _is_that_grant(lock, record, operation):
            raise NotFound(f"{record['session']} holds {record['path']} no more", next="gitcoord locks")
        state.drop_lock(claim, lock["session"])
        lost.append(lock)
    for holder in sorted({lock["session"] for lock in lost}):
        gone = [lock["path"] for lock in lost if lock["session"] == holder]
        shown = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
        sessions.tell(state, holder, operation["id"], text.format(paths=shown), held=-len(gone))
    return lost


def break_locks(state: State, operation: Operation) -> dict[str, Any]:
    """`lock.break`: locks (each with its holder and token), reason. The reason must not be empty."""
    check_reason(operation["reason"], state.policy["limits"]["reason_bytes"])
    if not operation["reason"].strip():
        raise BadRequest("breaking a lock needs a reason", next="say why: -m REASON")
    if any(record["session"] == operation["session"] for record in operation["locks"]):
        raise BadRequest("one's own lock is unlocked, not broken", next="gitcoord unlock PATH")
    quoted = operation["reason"].replace("{", "{{").replace("}", "}}")
    text = f"your lock on {{paths}} was broken by {operation['session']} at {operation['clock']['time']}: {quoted}"
    return {"broken": _taken_away(state, operation, text)}


def expire(state: State, operation: Operation) -> dict[str, Any]:
    """`lock.expire`: locks (each with its holder and token) whose own time is up, by the clock of their machine."""
    for record in operation["locks"]:
        lock = state.lock(claim_from(record), record["session"])
        if lock is not None and not clocks.lock_is_over(lock, operation["clock"]):
            raise Refused(
                f"the time of {record['session']}'s lock on {record['path']} is not up", next="gitcoord locks"
            )
    when = operation["clock"]["time"]
    text = f"your lock on {{paths}} ran out of its time and {operation['session']} wanted it at {when}"
    return {"expired": _taken_away(state, operation, text)}
