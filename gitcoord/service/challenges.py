"""Challenging the sessions of other machines, whose clocks cannot be asked.

A lease of another machine ends when a challenge stood on the log for a whole lease and a little more, by the
challenger's own clock, and the session did not renew. The challenge lies on the log, so commands that come and go need
no memory. Which sessions are worth one is a guess by the wall clock, and may be wrong: a challenge takes nothing from a
session that lives.
"""

from __future__ import annotations

from gitcoord.errors import Refused
from gitcoord.model import Operation, Session
from gitcoord.model_time import Stamp, format_time, parse_time
from gitcoord.service.callers import Actor
from gitcoord.service.desk import Desk
from gitcoord.state import State
from gitcoord.transitions import clocks


def challenge(desk: Desk, holders: list[str], session: str | None, notices: list[str], *, offline: bool = False) -> str:
    """Challenge those of these sessions that are of another machine and seem to be over.

    Args:
        desk: the caller's; signs on if it has to, for somebody must answer for the challenge.
        holders: session ids.
        session: as whom the caller acts.
        notices: takes the news.
        offline: in a clone that shares: write it here only.

    Returns:
        what to tell the caller: whose answer is awaited, and when to come back; empty where there is nothing to await.
    """
    state, now = desk.access.state(), desk.access.now()
    awaited = [record for name in holders if (record := state.session(name)) is not None and _seems_over(record, now)]
    if not awaited:
        return ""
    fresh = [record for record in awaited if clocks.challenge_of(record, now.machine) is None]
    if fresh:
        from gitcoord.service import signing

        actor = signing.present(desk, session, notices, offline=offline)
        desk.submit(lambda state, now: _operations(desk, state, now, actor, fresh), notices, [actor], offline=offline)
        state, now = desk.access.state(), desk.access.now()
    reading = clocks.reading(now)
    left = [
        clocks.challenge_left_ms(record, reading) for name in holders if (record := state.session(name)) is not None
    ]
    longest = max((ms for ms in left if ms is not None), default=None)
    if longest is None:
        return ""
    names = ", ".join(record["session"] for record in awaited)
    when = format_time(now.at_ms + longest)
    return f"{names} (of another machine) is challenged to show that it lives; come back at {when}"


def _seems_over(record: Session, now: Stamp) -> bool:
    if record["clock"]["machine"] == now.machine:
        return False
    last = parse_time(record["clock"]["time"])
    return now.at_ms >= last + record["lease_s"] * 1000 or last > now.at_ms


def _operations(desk: Desk, state: State, now: Stamp, actor: Actor, fresh: list[Session]) -> list[Operation]:
    found: list[Operation] = []
    for record in fresh:
        current = state.session(record["session"])
        if current is None or current["incarnation"] != record["incarnation"]:
            continue
        if clocks.challenge_of(current, now.machine) is None:
            target = {"target": record["session"], "target_incarnation": record["incarnation"]}
            target["renewal"] = current["renewal"]
            found.append(desk.callers.operation("session.challenge", actor, now, **target))
    return found


def with_challenge(
    desk: Desk, refusal: Refused, holders: list[str], session: str | None, notices: list[str], *, offline: bool = False
) -> Refused:
    """Return the refusal, with when to come back where its holders are challenged."""
    awaited = challenge(desk, holders, session, notices, offline=offline)
    if awaited:
        refusal.next = f"{awaited} (gitcoord lock --wait waits); or {refusal.next}"
    return refusal
