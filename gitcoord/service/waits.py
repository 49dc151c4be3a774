"""Waiting for a lock: first come, first served within a clone, and no ring of waiters for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from gitcoord.errors import CoordError, Deadlock, LockHeld, RemoteUnreachable, WaitTimeout
from gitcoord.model import Mode
from gitcoord.runtime.waiting import Line, Place, Waiter, find_ring
from gitcoord.service.access import Access
from gitcoord.service.callers import Actor
from gitcoord.service.locking import Wish
from gitcoord.service.looking import has_to_let_pass, waiter_claims
from gitcoord.state import State
from gitcoord.transitions import locks

_LOOK_EVERY_S = 0.03
_TRY_EVERY_S = 0.5
_BEAT_EVERY_S = 0.5

Answer = TypeVar("Answer")


def _pause() -> None:
    time.sleep(_LOOK_EVERY_S)


class Waiting:
    """One waiter: stands in the line, tries when something moved, and gives up at its limit.

    Args:
        access: the repository.
        actor: the session that waits.
        wish: what it waits for.
        limit_s: for how long.
        cancelled: tells that nobody wants the answer any more.
        meanwhile: called with each refusal, while it waits on.
    """

    def __init__(
        self,
        access: Access,
        actor: Actor,
        wish: Wish,
        limit_s: float,
        *,
        cancelled: Callable[[], bool] | None,
        meanwhile: Callable[[LockHeld], object],
    ) -> None:
        """Prepare; `run` joins the line."""
        self._access = access
        self._actor = actor
        self._wish = wish
        self._limit_ms = limit_s * 1000
        self._cancelled = cancelled or (lambda: False)
        self._meanwhile = meanwhile
        self._line = Line(access.runtime)

    def run(self, attempt: Callable[[str], Answer]) -> Answer:
        """Ask until the lock is granted.

        Args:
            attempt: asks once, letting pass who came before this ticket; raises `LockHeld` while it is not to be had.

        Raises:
            WaitTimeout: the limit passed.
            Deadlock: the holders wait, in a ring, for this session, which came last.
            RemoteUnreachable: the limit passed while the remote that decides was not reached.
            CoordError: anything else that the attempt raised.
        """
        now = self._access.now()
        place = self._join(None)
        began, beaten, tried, seen = now.uptime_ms, now.uptime_ms, None, None
        held: LockHeld | None = None
        unreached: RemoteUnreachable | None = None
        try:
            while True:
                now = self._access.now()
                moved = (self._access.log.tip(), tuple(w.ticket for w in self._line.others(now, place.ticket)))
                if tried is None or moved != seen or now.uptime_ms - tried >= _TRY_EVERY_S * 1000:
                    seen, tried = moved, now.uptime_ms
                    try:
                        return attempt(place.ticket)
                    except LockHeld as refusal:
                        held, unreached = refusal, None
                    except RemoteUnreachable as error:
                        unreached = error  # it may be there again before the limit
                    if held is not None and unreached is None:
                        self._meanwhile(held)
                        self._check_ring(place, held)
                self._check_limit(began, unreached or held)
                if now.uptime_ms - beaten >= _BEAT_EVERY_S * 1000:
                    beaten = now.uptime_ms
                    place = place if place.beat(now) else self._join(began)
                _pause()
        finally:
            place.leave()

    def _join(self, since: int | None) -> Place:
        now = self._access.now()
        wish: dict[str, Any] = {
            "session": self._actor.session,
            "incarnation": self._actor.incarnation,
            "mode": self._wish.mode,
            "claims": [locks.claim_record(claim) for claim in self._wish.claims],
            "reason": self._wish.reason[:200],
        }
        if since is not None:
            wish["since_ms"] = now.at_ms - (now.uptime_ms - since)
        return self._line.join(wish, now)

    def _check_limit(self, began: int, held: LockHeld | RemoteUnreachable | None) -> None:
        now = self._access.now()
        if self._cancelled():
            raise CoordError("the wait was called off", next="ask again")
        if held is not None and now.uptime_ms - began >= self._limit_ms:
            if isinstance(held, RemoteUnreachable):
                raise held
            raise WaitTimeout(
                f"not granted within {self._limit_ms / 1000:g} s: {held.message}", next=held.next, **held.facts
            )

    def _check_ring(self, place: Place, held: LockHeld) -> None:
        """Refuse if the holders wait for us, each for the next, and we came last.

        Raises:
            Deadlock: so it is.
        """
        now = self._access.now()
        waiters = self._line.others(now)
        state = self._access.state()
        edges: dict[str, set[str]] = {}
        for at, waiter in enumerate(waiters):
            edges.setdefault(waiter.session, set()).update(_holders(state, waiter), _ahead(state, waiter, waiters[:at]))
        ring = find_ring(self._actor.session, edges)
        if ring is None:
            return
        newest = max((w for w in waiters if w.session in ring), key=lambda w: w.ticket)
        if newest.ticket == place.ticket:
            told = " waits for ".join([*ring, ring[0]])
            raise Deadlock(
                f"waiting would never end: {told}. {held.message}",
                next="release what you hold (gitcoord unlock --all), then ask again for all that you need at once",
                ring=ring,
                **held.facts,
            )


def _holders(state: State, waiter: Waiter) -> set[str]:
    return {
        lock["session"]
        for claim in waiter_claims(waiter)
        for lock in locks.conflicts(state, claim, cast("Mode", waiter.mode), waiter.session)
    }


def _ahead(state: State, waiter: Waiter, before: list[Waiter]) -> set[str]:
    """Return the sessions that came before a waiter, want what it wants, and have to be let pass."""
    return {
        other.session
        for other in before
        if other.session != waiter.session
        and locks.stand_in_the_way(cast("Mode", waiter.mode), cast("Mode", other.mode))
        and has_to_let_pass(
            state, waiter_claims(waiter), waiter.session, waiter_claims(other), cast("Mode", other.mode)
        )
        is not None
    }
