"""The door of a clone that shares: what needs agreement is an answer only once the remote has it.

`submit` asks the plan on the local tip first. Where its operations need no agreement they are written here, as in a
clone that shares with nobody. Otherwise it builds *candidates*: a chain of commits on the local tip, beside the one of
unpublished local writes, in the manner of the coordinator that this class is one of. Under the network turn the chain
is pushed whole, with all that was waiting; when the remote took it the local ref follows. A lost race voids the chain:
what was pushed by others is fetched and merged, and each of its writers decides again.

A refusal rests on a look at the remote that began after the request: what was known here before may be old.
"""

from __future__ import annotations

import os
import time

from gitcoord.coordinator import Built, ChainFullError, Coordinator, Plan, Receipt
from gitcoord.errors import (
    Contention,
    CoordError,
    NotFound,
    NotHolder,
    Refused,
    RemoteFault,
    RemoteRejected,
    RemoteUnknown,
    RemoteUnreachable,
    SessionEnded,
    UnknownSession,
)
from gitcoord.log import Stray
from gitcoord.model import Operation
from gitcoord.model_time import Stamp
from gitcoord.runtime.group import Pending
from gitcoord.runtime.oslock import OsLock
from gitcoord.sharing.growth import has_first_parent
from gitcoord.sharing.meeting import Meeting
from gitcoord.sharing.words import not_known
from gitcoord.state import State
from gitcoord.transitions import clocks

_TRIES = 500
_STUCK = 8
_FILES = "candidate-"
_IN_LINE_S = 120.0
_BELIEVED_MS = 60_000  # a push takes longer than a disk
_BEHIND_PUSH_S = 0.5
_LONGEST_BACKOFF_S = 1.0

_AGREED = frozenset(
    {
        "session.start", "session.resume", "session.reap", "session.challenge",
        "lock.acquire", "lock.break", "lock.expire", "log.share",
    }
)  # fmt: skip
"""What is in effect only once the remote has it; the rest says so by an expected revision."""

_OWN_AFFAIRS = (NotHolder, NotFound, SessionEnded, UnknownSession)


class _NeedsAgreementError(Exception):
    """A plan wants what only the remote can grant."""


class _LostRaceError(Exception):
    """Another clone was quicker: what it pushed has to be fetched.

    Attributes:
        expected: what the remote was believed to have.
    """

    def __init__(self, expected: bytes | None) -> None:
        """Take the tip."""
        super().__init__("another clone was quicker")
        self.expected = expected


class _TogetherError(Exception):
    """The remote turned away a push that carried more than one request: whose fault it is has to be found out.

    Attributes:
        said: its words.
    """

    def __init__(self, said: RemoteRejected) -> None:
        """Take its words."""
        super().__init__(said.message)
        self.said = said


def needs_agreement(operation: Operation, agreed: State, now: Stamp) -> bool:
    """Tell whether an operation is in effect only once the remote has it.

    Also what a session does whose lease, as the remote knows it, has run out: somebody may have ended it there.

    Args:
        operation: what is to be done.
        agreed: the state that the remote was last seen to have.
        now: now.
    """
    if operation["type"] in _AGREED or operation.get("expect_revision") is not None:
        return True
    record = agreed.session(operation["session"])
    return record is not None and clocks.lease_is_over(record, clocks.reading(now))


class Sharer(Coordinator):
    """Extends a log on which a remote has the last word. Safe for several threads, and beside any number of processes.

    Args:
        local: the clone's own door, for what needs no agreement.
        meeting: the clone and its remote.
    """

    def __init__(self, local: Coordinator, meeting: Meeting) -> None:
        """Open; reads nothing yet."""
        durable = local.objects.durable
        super().__init__(
            local.repository,
            local.clock,
            durable=durable,
            files=_FILES,
            patience_s=_IN_LINE_S,
            believed_ms=_BELIEVED_MS,
            beside=local,
            signers=local.signers,
        )
        self.local = local
        self.meeting = meeting
        self._push_s = 0.0
        self._queue = f"{local.repository.runtime}/{_FILES}publish.lock"

    def put_back(self) -> Stray | None:
        """Put the log's ref back as the clone's own door does it."""
        return self.local.put_back()

    # -- what was agreed

    def agreed(self) -> State:
        """Return the state that the remote was last seen to have; one without anything where it has none."""
        seen = self.meeting.seen
        return self.first_state() if seen is None else self.state_at(seen)

    # -- writing

    def submit(self, plan: Plan, *, offline: bool = False, since: Stamp | None = None) -> Receipt:
        """Let a plan's operations take effect, all or none, once whoever decides about them has agreed.

        Args:
            plan: as `Coordinator.submit` has it.
            offline: write here only; what needs agreement is then provisional.
            since: when this was asked for, where that was before now: a look at the remote since then is fresh enough.

        Raises:
            Refused: the plan or a rule said no, as the remote was seen after this was asked for.
            RemoteUnreachable: the remote was not reached; nothing is in effect.
            RemoteUnknown: its answer was lost; what was asked for may be in effect.
            RemoteRejected: it does not take the log.
            CoordError: as `Coordinator.submit` has it.
        """
        if not self.meeting.is_vouched:
            with self._publish_turn:
                self.meeting.vouch()
        if offline:
            return self.local.submit(plan)
        began = since or self.clock.stamp()
        self._let_a_push_end()
        try:
            return self.local.submit(self._without_agreement(plan))
        except (_NeedsAgreementError, Refused):
            pass
        receipt = self._confirm(plan, began)
        self._tidy()
        return receipt

    def _without_agreement(self, plan: Plan) -> Plan:
        def guarded(state: State, now: Stamp) -> list[Operation]:
            operations = plan(state, now)
            agreed = self.agreed()
            if any(needs_agreement(operation, agreed, now) for operation in operations):
                raise _NeedsAgreementError
            return operations

        return guarded

    def _let_a_push_end(self) -> None:
        """Stand behind a push under way, for a moment: what is written beside it has to be merged afterwards."""
        turn = OsLock(self._queue)
        if turn.acquire_within(_BEHIND_PUSH_S):
            turn.release()

    def _confirm(self, plan: Plan, began: Stamp) -> Receipt:
        stuck = races = 0
        remembered = turned_away = self.meeting.waiting.refusal(self.tip())
        for _ in range(_TRIES):
            seen = self.meeting.seen
            try:
                receipt = self._attempt(plan, began, turned_away)
            except _TogetherError as together:
                turned_away = together.said
                continue
            except RemoteRejected as said:
                if said is not remembered:
                    raise
                self.meeting.waiting.forget()  # that was then; now it may be taken
                turned_away = None
                continue
            except _LostRaceError as race:
                self._run_after(race, races)
                races += 1
                stuck = stuck + 1 if self.meeting.seen == seen else 0
                if stuck >= _STUCK:
                    raise RemoteRejected(
                        f"{self.meeting.shared.remote} lets nobody write {self.meeting.shared.ref}: it says that it "
                        "moved, and it did not",
                        next="gitcoord sync",
                    ) from None
                continue
            if receipt is not None:
                return receipt
        raise Contention(f"others were quicker {_TRIES} times in a row", next="try again")

    def _run_after(self, race: _LostRaceError, lost_before: int) -> None:
        """Fetch what another clone was quicker with, the later the more often that was so.

        Between the fetch and the next push nothing is waited for: only what lies between the two can be overtaken. How
        long is measured by what a push takes here, and is another for each who waits.
        """
        if lost_before:
            longest_s = min(self._push_s * 2 ** (lost_before - 1), _LONGEST_BACKOFF_S)
            time.sleep(longest_s * os.urandom(1)[0] / 255)
        with self._publish_turn as ordered:
            self._check_turn(self.clock.stamp(), ordered=ordered)
            if self.meeting.seen == race.expected:
                self.meeting.catch_up()

    def _attempt(self, plan: Plan, began: Stamp, turned_away: RemoteRejected | None) -> Receipt | None:
        """Decide, and bring it to the remote; None where that has to be done again.

        Args:
            plan: the plan.
            began: when it was asked for.
            turned_away: what the remote said to a push that carried it with others'; then it is tried alone, on nothing
                but what is there.

        Raises:
            _TogetherError: the remote turned it away together with others'.
            CoordError: as `submit` has it.
        """
        alone_on = self.meeting.seen if turned_away is not None else None
        try:
            built = self._build(plan, alone_on)
        except ChainFullError as full:
            self._publish(full.built)
            return None
        if turned_away is not None and isinstance(built.refusal, _OWN_AFFAIRS):
            raise turned_away  # it rests on what waits here: its session, its lock
        if built.refusal is None and built.receipt.operations:
            return built.receipt if self._publish(built) else None
        if not self._is_last_word(built.refusal, began):
            return None
        if built.refusal is not None:
            self._refuse(plan, built)
            return None
        return built.receipt if built.published or self._publish(built) else None

    def _is_last_word(self, refusal: Refused | None, began: Stamp) -> bool:
        """Tell whether a refusal rests on a look at the remote since it was asked for; if not, look.

        What a caller does not hold, or is not, it knows by itself: there a remote that is not reached changes nothing.

        Raises:
            RemoteFault: the remote was not reached, and the refusal is of what others may have let go.
        """
        if self.meeting.contact.reached_since(began):
            return True
        try:
            with self._publish_turn as ordered:
                self._check_turn(began, ordered=ordered)
                if not self.meeting.contact.reached_since(began):
                    self.meeting.meet()
        except RemoteFault:
            if isinstance(refusal, _OWN_AFFAIRS):
                return True
            raise
        return False

    def _refuse(self, plan: Plan, built: Built) -> None:
        """Raise the refusal if it rests on what is published; where only candidates stand in the way, publish those.

        A candidate may yet fail, and then nobody ever held what it asked for.

        Raises:
            Refused: what is published says no too.
            CoordError: the candidates could not be published.
        """
        if built.published and built.refusal is not None:
            raise built.refusal
        state = self.state_at(self.tip())
        work = state.fork()
        for operation in plan(state, self.clock.stamp()):
            self._next(work, operation)
        self._publish(built)

    def _check_turn(self, began: Stamp, *, ordered: bool) -> None:
        """Let those who waited while the network failed share its answer, instead of each trying in vain.

        Raises:
            RemoteFault: it failed since they asked, or nobody got a turn.
        """
        if not ordered:
            raise RemoteUnreachable(
                f"another process of this clone is at {self.meeting.shared.remote} and does not come back",
                next=f"find it: fuser {self._queue}",
            )
        contact = self.meeting.contact
        if contact.failed is not None and contact.failed_since(began):
            code, message, hint = (str(contact.failed.get(name, "")) for name in ("code", "message", "next"))
            if code != RemoteRejected.code:  # what was turned away says nothing of anything else
                raise (RemoteUnknown if code == RemoteUnknown.code else RemoteUnreachable)(message, next=hint)

    def _publish(self, built: Built) -> bool:
        """Let the remote's log, and then the local ref, reach a built commit. False: they never will.

        Raises:
            RemoteFault: the remote was not reached, does not take it, or its answer was lost.
        """
        with self._publish_turn as ordered:
            if self._is_seen(built):
                return True
            if not ordered:
                raise RemoteUnknown(
                    f"another process of this clone is at {self.meeting.shared.remote}, perhaps with what you asked "
                    "for, and does not come back",
                    next=f"find it: fuser {self._queue}",
                )
            try:
                self._check_turn(built.began, ordered=ordered)
                return self._brought(built)
            except RemoteUnknown:
                raise
            except (CoordError, _TogetherError, _LostRaceError):
                self._drop_pending()  # what is answered with a failure does not happen afterwards
                raise

    def _brought(self, built: Built) -> bool:
        """Push the chain that a built commit is part of, unless it is seen there; False where it never will be.

        Raises:
            _TogetherError: the remote turned the chain away, and there is more in it than this.
            RemoteFault: as `_publish` has it.
        """
        self.meeting.vouch()
        self.meeting.settle()
        if self._is_seen(built):
            return True
        seen = self.meeting.seen
        if seen is not None and not has_first_parent(self, self.tip(), seen):
            self.meeting.join()
        if built.alone and built.chain is not None:
            chain = built.chain.after(self.meeting.seen or self.tip())
        else:
            chain = self._chain_with(built.target, self.tip())
        if chain is None or built.target not in chain.commits:
            return False
        objects = self._collected(chain)
        if objects is None:
            self._drop_pending()
            return False
        self.objects.publish(objects)
        try:
            return self._push(chain)
        except RemoteRejected as said:
            if self.meeting.flights.may_land(built.target):
                raise not_known(said) from None
            carried = len(chain.commits) > len(built.receipt.operations) or chain.base != self.meeting.seen
            if carried and self.meeting.seen is not None:
                raise _TogetherError(said) from None
            raise

    def _push(self, chain: Pending) -> bool:
        head = chain.head
        expected, began = self.meeting.seen, time.monotonic()
        try:
            taken = self.meeting.push(head, expected)
        except RemoteUnknown:
            self.meeting.settle(head)  # at once: most answers that are lost can be found
            if self.meeting.flights.is_open():
                raise
            taken = self.meeting.seen is not None and has_first_parent(self, self.meeting.seen, head)
        self._push_s = time.monotonic() - began
        if not taken:
            self._drop_pending()
            raise _LostRaceError(expected)
        self._led += 1
        try:
            self.meeting.join((chain.base, head))
        except CoordError:
            return True  # it is on the remote; this clone's ref follows with the next contact
        return True

    def _is_seen(self, built: Built) -> bool:
        seen = self.meeting.seen
        return seen is not None and self._contains(seen, built.target, built.revision)

    # -- keeping up

    def publish(self) -> bool:
        """Bring to the remote what lies here and not there; False where somebody else is about to.

        Raises:
            RemoteFault: the remote was not reached, does not take it, or an answer was lost.
        """
        began = self.clock.stamp()
        with self._publish_turn as ordered:
            if not ordered:
                return False
            if self.meeting.seen != self.tip():
                self._check_turn(began, ordered=ordered)
                self.meeting.publish()
            return True

    def meet(self) -> None:
        """Take in what is new on the remote, and bring to it what lies here.

        Raises:
            RemoteFault: the remote was not reached, does not take it, or an answer was lost.
            IntegrityFault: what is there is not to be believed, or not to be put right without being asked.
        """
        with self._publish_turn as ordered:
            self._check_turn(self.clock.stamp(), ordered=ordered)
            self.meeting.meet()
            self.meeting.publish()

    def adopt(self) -> str | None:
        """Take this clone's log over into the remote's, where the two began apart.

        Returns:
            the fingerprint of the remote's log's root, where it has one.

        Raises:
            CoordError: as `meet` has it.
        """
        with self._publish_turn as ordered:
            self._check_turn(self.clock.stamp(), ordered=ordered)
            self.meeting.vouch()
            root = self.meeting.adopt()
            self.meeting.meet()
            return root
