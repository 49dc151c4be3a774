"""One process's work with the remote: see what is there, and bring both sides together.

All of it runs under the clone's network turn. What was seen of the remote is written down before the local tip moves,
the local tip before the note of a push under way is dropped: a process that dies in between leaves what the next one
finds its way from.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import merge
from gitcoord.coordinator import Coordinator
from gitcoord.errors import (
    IntegrityFault,
    MergeUnsigned,
    RemoteFault,
    RemoteRejected,
    RemoteUnknown,
    RemoteUnreachable,
)
from gitcoord.model_time import Stamp
from gitcoord.remote.transport import Transport
from gitcoord.runtime import displaced
from gitcoord.runtime import shared as notes
from gitcoord.runtime.shared import Contact, Shared
from gitcoord.sharing.door import newest_good, way_to_repair
from gitcoord.sharing.fates import ask_about
from gitcoord.sharing.flights import Flights
from gitcoord.sharing.growth import has_first_parent, is_behind
from gitcoord.sharing.judging import REFLOG_READ_AGAIN, Judging
from gitcoord.sharing.ours import Ours
from gitcoord.sharing.waiting import Waiting, unpublished, word_of
from gitcoord.sharing.words import not_adopted, quarantined
from gitcoord.store.siderefs import KEPT

_ROUNDS = 50


class Meeting:
    """A clone and its remote. The caller has the network turn for every method.

    Args:
        local: the clone's own log.
        shared: which remote.
        transport: reaches it.
        restores: asked when there is damage on the remote: is it to be put right, or only told?
    """

    def __init__(
        self, local: Coordinator, shared: Shared, transport: Transport, *, restores: Callable[[], bool]
    ) -> None:
        """Remember them; nothing is reached yet."""
        self.local = local
        self.shared = shared
        self.transport = transport
        self.flights = Flights(local, shared, transport)
        self._runtime = local.repository.runtime
        self._ours = Ours(local)
        self._judging = Judging(self._ours, self.flights, restores=restores)
        self.waiting = Waiting(self.flights, self._ours.move)

    @property
    def contact(self) -> Contact:
        """What was seen of the remote so far."""
        return self.flights.contact

    @property
    def seen(self) -> bytes | None:
        """The tip that the remote's log was last seen to have."""
        return self.flights.seen

    def joined(self, good: bytes, found: bytes, fault: IntegrityFault | None, began: Stamp) -> None:
        """Write down what a clone without a log has taken over, and what above it is bad and was left there."""
        kept = None
        if fault is not None:
            self._ours.keep(found)
            kept = quarantined(began, good, found, fault, way_to_repair(self.local, good))
        self.flights.saw(good, began, quarantine=kept)

    def push(self, head: bytes, expected: bytes | None, *, drops: bool = False) -> bool:
        """Let the remote's log end with a commit, if it ends with what is expected; see `Flights.push`."""
        return self.flights.push(head, expected, drops=drops)

    def vouch(self) -> None:
        """Judge this clone's own tip where another program moved its ref; see `Judging.vouch`."""
        self._judging.vouch()

    @property
    def is_vouched(self) -> bool:
        """Whether no other program moved this clone's ref since its tip was judged."""
        return self._judging.is_vouched

    @property
    def incoming(self) -> str:
        """The local ref that takes what is fetched before it is judged."""
        return self._judging.incoming

    # -- looking

    def settle(self, answered: bytes | None = None) -> None:
        """Find out how a push ended whose answer was lost, and go on from there.

        Where the remote turns the same push away by now, its end stays open (`Flights.is_open`), and whatever is pushed
        next decides it.

        Args:
            answered: the pushed commit whose caller is here; what became of all others is told by who asks next.

        Raises:
            RemoteUnknown: that cannot be found out now.
        """
        flight = notes.read_flight(self._runtime)
        if flight is None:
            return
        began = self.local.clock.stamp()
        try:
            landing = self.flights.landing(flight)
            if landing is None:
                return
            self._judging.take_in(landing.tip, began)
        except RemoteUnknown:
            raise
        except RemoteFault as error:
            unknown = RemoteUnknown(f"how an earlier push ended is not known: {error.message}")
            raise self.flights.failed(unknown, began) from None
        ask_about(self.local, self._runtime, flight, answered)
        self.flights.close(flight)
        self.join()

    def meet(self) -> None:
        """Look at the remote, take in what is new there, and bring this clone's own operations to it.

        Raises:
            RemoteFault: the remote was not reached, or an answer was lost.
            IntegrityFault: what is there is not to be believed, or not to be put right without being asked.
        """
        self.vouch()
        self.settle()
        began = self.local.clock.stamp()
        try:
            found = self.transport.look()
            self._judging.take_in(found, began)
        except RemoteUnreachable as error:
            raise self.flights.failed(error, began) from None
        self.join()

    def catch_up(self) -> None:
        """Take in what somebody else pushed: like `meet`, without a look before the fetch."""
        began = self.local.clock.stamp()
        try:
            self._judging.take_in(self._judging.fetched(), began, fetched=True)
        except RemoteUnreachable as error:
            raise self.flights.failed(error, began) from None
        self.join()

    def adopt(self) -> str | None:
        """Take this clone's log over into the remote's, which began apart from it; then this clone has the remote's.

        The remote's comes through the same door as that which a clone without a log joins.

        Returns:
            the fingerprint of its root, where it has one.

        Raises:
            RemoteFault: the remote was not reached, or an answer was lost.
            IntegrityFault: what is there is not good, or has another root than the one that this clone trusts.
        """
        began = self.local.clock.stamp()
        for _ in range(_ROUNDS):
            found = self.transport.fetch(into=self.incoming)
            if found is None:
                return None
            tip = self.local.tip()
            ours, theirs = (self.local.state_at(oid).header["repository"] for oid in (tip, found))
            if ours == theirs:
                return None
            arrived = newest_good(self.local, found, None)
            if arrived.fault is not None:
                raise not_adopted(self.shared, found, arrived.fault)
            self._ours.keep(tip, found)
            made = merge.merged(self.local, found, tip, adopts=ours)
            head = found if made is None else self._ours.written(made)
            if head == found or self.push(head, found):
                self.flights.saw(head, began, self._ours.event("adopted", tip, found, f"taken over as {head.hex()}"))
                self._ours.move(tip, head, f"adopted into the log of {self.shared.remote}")
                return arrived.root
        return None

    # -- bringing together

    def join(self, ours: tuple[bytes, bytes] | None = None) -> None:
        """Bring the local tip to what was seen of the remote, and this clone's own operations to the remote.

        Where the network fails on the way the local tip stays behind, and nothing is lost.

        Args:
            ours: two tips between which there is nothing of others.
        """
        self._bring_back()
        for _ in range(_ROUNDS):
            tip, seen = self.local.tip(), self.seen
            if seen is None or tip == seen or has_first_parent(self.local, tip, seen):
                return
            try:
                if self.waiting.refusal(tip) is None and not self._carry(tip):
                    continue
            except RemoteRejected as said:
                self.waiting.is_refused(tip, said)
            if self.waiting.refusal(tip) is not None:
                self.waiting.lay_anew(tip)
                continue
            new = self.seen
            if new is None:
                continue
            move = self.local.move if ours == (tip, new) else self._ours.move
            if move(tip, new, f"joined {self.shared.remote}"):
                return

    def _bring_back(self) -> None:
        """Carry to the remote what another program set this clone's ref away from, and that is nowhere now."""
        contact = self.contact
        found, size = self.local.reflog.replaced_since(contact.local)
        if not found and 0 <= size - contact.local < REFLOG_READ_AGAIN:
            return
        for tip in found:
            try:
                for _ in range(_ROUNDS):
                    if not self._is_lost(tip) or self._carry(tip):
                        break
            except RemoteRejected as said:
                # It stays aside, and stops nobody; the next contact tries again.
                done = f"kept, and not on the remote yet: {said.message}"
                self._ours.note_once(self.contact, "turned_away", tip, self.seen, done)
                return
        # Not before: where the network failed on the way, the next contact has to find them again.
        notes.write_contact(self._runtime, self.contact._replace(local=size))

    def _is_lost(self, tip: bytes) -> bool:
        """Tell whether a tip is neither behind this clone's nor behind the remote's; one that is, is kept and named."""
        try:
            gone = not is_behind(self.local, self.local.tip(), tip)
            gone = gone and (self.seen is None or not is_behind(self.local, self.seen, tip))
        except IntegrityFault:
            return False  # it is of another log, or damaged; what can be read is kept all the same
        if gone and not self._ours.is_noted(self.contact, "local_rewound", tip):
            self._ours.keep(tip)
            done = "its operations are brought back by a merge"
            self._ours.note(self.contact, "local_rewound", tip, self.local.tip(), done)
        return gone

    def _carry(self, tip: bytes) -> bool:
        """See to it that all that a tip has is on the remote; False where the remote moved meanwhile."""
        seen = self.seen
        if seen is None:
            return False
        made = merge.merged(self.local, seen, tip)
        if made is None:
            return True
        try:
            head = self._ours.written(made)
        except MergeUnsigned as error:
            if not error.facts.get("revoked"):
                raise
            self._give_up(tip, seen, error)
            return True
        if self.push(head, seen):
            return True
        began = self.local.clock.stamp()
        self._judging.take_in(self._judging.fetched(), began, fetched=True)
        return False

    def _give_up(self, tip: bytes, seen: bytes, why: MergeUnsigned) -> None:
        """Keep for the eye what this clone did, and nobody will take since its key was revoked; tell its sessions."""
        self._ours.keep(tip)
        for operation in unpublished(self.local, tip, seen) or ():
            word = word_of(self.local, tip, operation, why.message)
            if word is not None:
                displaced.note(self._runtime, word)
        done = f"kept under {KEPT}, and not brought to the remote: {why.message}"
        self._ours.note(self.contact, "given_up", seen, tip, done)

    def publish(self) -> None:
        """Bring to the remote what lies here and not there.

        Raises:
            RemoteFault: the remote was not reached, does not take it, or an answer was lost.
        """
        self.vouch()
        self.settle()
        began = self.local.clock.stamp()
        for _ in range(_ROUNDS):
            tip, seen = self.local.tip(), self.seen
            if tip == seen:
                return
            if seen is not None and not has_first_parent(self.local, tip, seen):
                self.join()
                continue
            try:
                if self.push(tip, seen):
                    return
            except RemoteRejected as said:
                self.waiting.is_refused(tip, said)
                if not self.waiting.sift(tip):
                    raise self.flights.failed(said, began) from None
                continue
            self.catch_up()
