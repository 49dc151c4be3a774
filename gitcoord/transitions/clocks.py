"""When time is up, by clocks that may be compared: those of one machine.

Within one boot the uptime counts, which no setting of the clock moves. Across boots the wall clock has to do. Readings
of two machines are never compared: a lease of another machine ends by challenge (see `sessions`).
"""

from __future__ import annotations

from gitcoord.model import Challenge, ClockReading, Lock, Session
from gitcoord.model_time import Stamp, format_time, parse_time

CHALLENGE_SLACK = 0.05


def reading(stamp: Stamp) -> ClockReading:
    """Return a stamp as operations record it."""
    return {
        "machine": stamp.machine,
        "boot": stamp.boot,
        "uptime_ms": stamp.uptime_ms,
        "time": format_time(stamp.at_ms),
    }


def elapsed_ms(since: ClockReading, now: ClockReading) -> int | None:
    """Return the milliseconds between two readings of one machine, or None where they are of two."""
    if since["machine"] != now["machine"]:
        return None
    if since["boot"] == now["boot"]:
        return now["uptime_ms"] - since["uptime_ms"]
    return parse_time(now["time"]) - parse_time(since["time"])


def lease_is_over(session: Session, now: ClockReading) -> bool:
    """Tell whether a session's lease has run out, as far as this machine may say."""
    passed = elapsed_ms(session["clock"], now)
    return passed is not None and passed >= session["lease_s"] * 1000


def lock_is_over(lock: Lock, now: ClockReading) -> bool:
    """Tell whether a lock's own time has run out, as far as this machine may say."""
    term = lock["term"]
    passed = None if term is None else elapsed_ms(term["clock"], now)
    return term is not None and passed is not None and passed >= term["ttl_s"] * 1000


def challenge_of(session: Session, machine: str) -> Challenge | None:
    """Return the challenge by which a machine asks whether a session lives, if one stands; any renewal ends it."""
    standing = session.get("challenges", [])
    return next((c for c in standing if c["clock"]["machine"] == machine and c["renewal"] == session["renewal"]), None)


def challenge_left_ms(session: Session, now: ClockReading) -> int | None:
    """Return how long this machine's challenge has still to stand; 0 when it is over, None where there is none.

    A whole lease and a little more, by the challenger's clock alone.
    """
    standing = challenge_of(session, now["machine"])
    passed = None if standing is None else elapsed_ms(standing["clock"], now)
    if passed is None:
        return None
    return max(0, round(session["lease_s"] * 1000 * (1 + CHALLENGE_SLACK) - passed))


def lease_end_ms(session: Session) -> int:
    """Return the wall-clock time at which the lease ends; for showing, never for a rule."""
    return parse_time(session["clock"]["time"]) + session["lease_s"] * 1000


def lock_end_ms(lock: Lock, session: Session) -> int:
    """Return the wall-clock time at which a lock ends; for showing, never for a rule."""
    end = lease_end_ms(session)
    term = lock["term"]
    return end if term is None else min(end, parse_time(term["clock"]["time"]) + term["ttl_s"] * 1000)
