"""One screen's worth of the state."""

from __future__ import annotations

from gitcoord.model import Session
from gitcoord.model_time import Stamp, format_time, parse_time
from gitcoord.runtime.machine import machine_name
from gitcoord.runtime.waiting import Line
from gitcoord.service.looking import listed, waiter_claims
from gitcoord.service.project import project_of
from gitcoord.service.views import View, session_view
from gitcoord.state import State
from gitcoord.transitions import clocks, locks
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.service.desk import Desk

_SOON_MS = 5 * 60 * 1000
_ALIAS_WARNINGS = {
    "missing": "refs/coord is missing; the log itself is there (git fetches no short name): gitcoord init",
    "flattened": "refs/coord is a plain ref and will not follow the log",
    "elsewhere": "refs/coord points elsewhere",
}


def status(desk: Desk, state: State, now: Stamp, session: str | None) -> View:
    """Return who is here, what they hold and why, what lapses soon, who waits, and what is not in order."""
    access, callers = desk.access, desk.callers
    sessions = list(state.sessions())
    standing = {record["session"]: callers.standing(record, now) for record in sessions}
    views = [session_view(record, standing[record["session"]]) for record in sessions]
    reading = clocks.reading(now)
    held = listed(state, state.locks(), reading, lambda record: standing[record["session"]] != "live")
    me = callers.me(state, session)
    alias = access.log.ref.alias_state()
    return {
        "repository": {
            "id": state.header["repository"],
            "root": access.repository.worktree or access.repository.common_dir,
            "bare": access.repository.bare,
            "revision": state.revision,
            "tip": access.log.tip().hex(),
            "project": project_of(access.repository),
            "machine": machine_name(),
        },
        "session": next((view for view in views if view["session"] == me), None),
        "sessions": views,
        "locks": held,
        "lost": _lost(desk, sessions),
        "lapsing": [v for v in held if v["expires_at"] and parse_time(v["expires_at"]) - now.at_ms <= _SOON_MS],
        "waiting": [
            {
                "session": waiter.session,
                "paths": [locks.claim_record(claim)["path"] for claim in waiter_claims(waiter)],
                "since": format_time(waiter.since_ms),
            }
            for waiter in Line(access.runtime).others(now)
        ],
        "remote": _remote(desk),
        "warnings": [
            *([_ALIAS_WARNINGS[alias]] if alias != "ok" else []),
            *_apart(desk, state),
            *(w for record in sessions for w in _warnings(record, standing[record["session"]], now)),
        ],
    }


def _lost(desk: Desk, sessions: list[Session]) -> list[View]:
    """Return the locks that sessions counted on and were refused after all, and have neither let go nor got since."""
    found = [(record["session"], one) for record in sessions for one in record.get("lost", [])]
    if desk.access.shared is not None:
        from gitcoord.runtime import displaced

        found += [(each.session, one) for each in displaced.every(desk.access.runtime) for one in each.lost]
    return [
        {"session": session, "path": one["path"], "kind": one["kind"], "state": "lost", "why": one["why"]}
        for session, one in found
    ]


def _apart(desk: Desk, state: State) -> list[str]:
    """Say that this clone does not ask the remote which decides, where that is so."""
    if desk.access.shared is not None or "confirms" not in state.policy:
        return []
    from gitcoord.service.joining import remote_that_decides

    remote = remote_that_decides(desk.access.repository, state.policy["confirms"])
    said = f"this log is shared through {remote}, and this clone does not take part yet: gitcoord init"
    return [said] if remote is not None else []


def _remote(desk: Desk) -> View | None:
    """Return how this clone lies to the remote that confirms; None where it shares with nobody."""
    if desk.access.shared is None:
        return None
    from gitcoord.service import remotes

    return {**remotes.standing(desk.access), "events": remotes.late_events(desk.access)}


def _warnings(record: Session, standing: str, now: Stamp) -> list[str]:
    """Say what is odd about a session: dead or lapsed while it holds something, or a time in the future."""
    found: list[str] = []
    if standing != "live" and record["held"]:
        why = "its process is gone" if standing == "dead" else "its lease is over"
        found.append(f"{record['session']} still holds {record['held']}: {why}; whoever wants them gets them")
    ahead = clocks.elapsed_ms(record["clock"], clocks.reading(now))
    if ahead is not None and parse_time(record["clock"]["time"]) - now.at_ms > _SOON_MS:
        found.append(f"{record['session']} was last seen at {record['clock']['time']}, which is in the future")
    return found
