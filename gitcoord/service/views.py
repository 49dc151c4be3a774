"""How records of the state are shown: the shapes of the public surface."""

from __future__ import annotations

from gitcoord.model import Lock, Session
from gitcoord.model_time import format_time
from gitcoord.state import State, claim_of
from gitcoord.transitions import clocks
from gitcoord.values import Any

View = dict[str, Any]


def lock_view(state: State, lock: Lock, *, lapsed: bool = False) -> View:
    """Return a lock as answers show it. Times are those of the holder's machine.

    A provisional lock has no token: only what the remote has agreed to is ordered. Its grant is its handle.

    Args:
        state: what it stands in.
        lock: its record.
        lapsed: its own time or its session's lease has run out, or its session is dead: it stands in nobody's way. A
            member that only such a lock has.
    """
    session = state.session(lock["session"])
    standing, agreed = lock_standing(state, lock)
    if agreed is not None and standing == "confirmed":
        # What the remote does not know of extends nothing: its own last renewal counts.
        session = agreed.session(lock["session"])
    view = {
        "path": lock["path"],
        "kind": lock["kind"],
        "mode": lock["mode"],
        "state": standing,
        "session": lock["session"],
        "grant": lock["grant"],
        "token": None if standing == "provisional" else lock["token"],
        "locked_at": lock["locked_at"],
        "expires_at": None if session is None else format_time(clocks.lock_end_ms(lock, session)),
        "reason": lock["reason"],
    }
    return {**view, "lapsed": True} if lapsed else view


def lock_standing(state: State, lock: Lock) -> tuple[str, State | None]:
    """Return whether a lock is local, provisional or confirmed, and the state that the remote was seen to have.

    Confirmed is what stands, by its grant, in the tree that the remote was last seen to have.
    """
    agreed = state.agreed
    if agreed is None:
        return "local", None
    there = agreed.lock(claim_of(lock), lock["session"])
    is_there = there is not None and there["grant"] == lock["grant"] and there["token"] == lock["token"]
    return ("confirmed" if is_there else "provisional"), agreed


def session_view(session: Session, standing: str) -> View:
    """Return a session as answers show it.

    Args:
        session: its record.
        standing: "live", "lapsed" or "dead", as this machine sees it.
    """
    return {
        "session": session["session"],
        "incarnation": session["incarnation"],
        "author": session["author"]["name"],
        "principal": session.get("principal"),
        "proven": "principal" in session,
        "agent": session["agent"],
        "intent": session["intent"],
        "machine": session["machine_name"],
        "started_at": session["started_at"],
        "renewed_at": session["clock"]["time"],
        "lease_expires_at": format_time(clocks.lease_end_ms(session)),
        "state": standing,
        "process": session["process"],
        "locks": session["held"],
    }


def held_message(conflict: View) -> str:
    """Return who holds what, since when, until when and why, in one sentence."""
    why = f': "{conflict["reason"]}"' if conflict["reason"] else ""
    wanted = conflict["path"]
    elsewhere = "another clone, " if conflict.get("another_clone") else ""
    under = "" if conflict["held_path"] == wanted else f" (as {conflict['held_path']})"
    return (
        f"{wanted} is held{under} by {conflict['session']} ({elsewhere}{conflict['mode']})"
        f" since {conflict['locked_at']} until {conflict['expires_at']}{why}"
    )
