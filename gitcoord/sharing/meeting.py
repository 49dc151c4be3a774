"""One process's work with the remote: see what is there, judge it, bring both sides together.

All of it runs under the clone's network turn. What was seen of the remote is written down before the local tip moves,
the local tip before the note of a push under way is dropped: a process that dies in between leaves what the next one
finds its way from.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import merge
from gitcoord.coordinator import Coordinator
from gitcoord.errors import (
    BadCommit,
    IntegrityFault,
    MergeUnsigned,
    RemoteDamaged,
    RemoteFault,
    RemoteRejected,
    RemoteUnknown,
    RemoteUnreachable,
    UnrelatedLogs,
    UnsupportedFormat,
)
from gitcoord.model_time import Stamp
from gitcoord.remote.transport import Transport
from gitcoord.runtime import displaced
from gitcoord.runtime import shared as notes
from gitcoord.runtime.reflog import lost_tips, moved_by_others
from gitcoord.runtime.shared import Contact, Shared
from gitcoord.sharing.door import may_repair, newest_good
from gitcoord.sharing.flights import Flights
from gitcoord.sharing.growth import growth, has_first_parent, is_behind
from gitcoord.sharing.losers import losers
from gitcoord.sharing.signing import signer_of
from gitcoord.sharing.sound import newest_sound
from gitcoord.sharing.waiting import Waiting, unpublished, word_of
from gitcoord.sharing.words import MovedError, damaged, event, no_log, quarantined, unrelated
from gitcoord.store.siderefs import INCOMING, KEPT, write_side_ref
from gitcoord.values import Any

_ROUNDS = 50
# Of so much of the reflog it costs less to read it again than to note that it was read.
_REFLOG_READ_AGAIN = 1 << 15
_REPEATS = 5
_REPAIR = "ask somebody whose role has `repair` to run: gitcoord sync"
_SWITCHED_OFF = "look at it, then: git config gitcoord.restore true, gitcoord sync"


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
        self.restores = restores
        self.flights = Flights(local, shared, transport)
        self.waiting = Waiting(self.flights, self._move)
        self._repository = local.repository
        self._runtime = local.repository.runtime
        self._reflog = f"{self._repository.common_dir}/logs/refs/gitcoord/main"

    @property
    def contact(self) -> Contact:
        """What was seen of the remote so far."""
        return self.flights.contact

    @property
    def seen(self) -> bytes | None:
        """The tip that the remote's log was last seen to have."""
        return self.flights.seen

    def saw(
        self, tip: bytes | None, began: Stamp, *events: dict[str, Any], quarantine: dict[str, Any] | None = None
    ) -> None:
        """Write down what a look at the remote found; see `Flights.saw`."""
        self.flights.saw(tip, began, *events, quarantine=quarantine)

    def joined(self, good: bytes, found: bytes, fault: IntegrityFault | None, began: Stamp) -> None:
        """Write down what a clone without a log has taken over, and what above it is bad and was left there."""
        kept = None
        if fault is not None:
            self._keep(found)
            kept = quarantined(began, good, found, fault, _REPAIR)
        self.saw(good, began, quarantine=kept)

    def push(self, head: bytes, expected: bytes | None, *, drops: bool = False) -> bool:
        """Let the remote's log end with a commit, if it ends with what is expected; see `Flights.push`."""
        return self.flights.push(head, expected, drops=drops)

    # -- finding out

    def settle(self) -> None:
        """Find out how a push ended whose answer was lost, and go on from there.

        Where the remote turns the same push away by now, its end stays open (`Flights.is_open`), and whatever is pushed
        next decides it.

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
            self._take_in(landing.tip, began)
        except RemoteUnknown:
            raise
        except RemoteFault as error:
            unknown = RemoteUnknown(f"how an earlier push ended is not known: {error.message}")
            raise self.flights.failed(unknown, began) from None
        self.flights.close(flight)
        self.join()

    # -- fetching

    def vouch(self) -> None:
        """Judge this clone's own tip where another program moved its ref, like what comes from a remote.

        A bad one is kept for the eye, and the ref is set back to what is good: nothing bad is pushed or merged.

        Raises:
            IntegrityFault: nothing of it is good.
        """
        contact = self.contact
        moved, size = moved_by_others(self._reflog, contact.vouched)
        if not moved:
            if size - contact.vouched > _REFLOG_READ_AGAIN:
                notes.write_contact(self._runtime, contact._replace(vouched=size))
            return
        tip = self.local.tip()
        good, fault = (tip, None) if tip == self.seen else newest_good(self.local, tip, self.seen)[:2]
        if fault is not None:
            good = good or self.seen
            self._keep(tip)
            if good is None:
                raise fault
            if not self._move(tip, good, "set back to what is good"):
                return
            name = "forged" if isinstance(fault, BadCommit) else "unreadable"
            done = f"another program set this clone's ref to it; set back, since {fault.message}"
            contact = contact.with_event(self._event(name, good, tip, done))
        notes.write_contact(self._runtime, contact._replace(vouched=size))

    @property
    def is_vouched(self) -> bool:
        """Whether no other program moved this clone's ref since its tip was judged."""
        return not moved_by_others(self._reflog, self.contact.vouched)[0]

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
            self._take_in(found, began)
        except RemoteUnreachable as error:
            raise self.flights.failed(error, began) from None
        self.join()

    def catch_up(self) -> None:
        """Take in what somebody else pushed: like `meet`, without a look before the fetch."""
        began = self.local.clock.stamp()
        try:
            self._take_in(self.transport.fetch(into=self.incoming), began, fetched=True)
        except RemoteUnreachable as error:
            raise self.flights.failed(error, began) from None
        self.join()

    @property
    def incoming(self) -> str:
        """The local ref that takes what is fetched before it is judged."""
        return f"{INCOMING}/{self.shared.label}"

    def _take_in(self, found: bytes | None, began: Stamp, *, fetched: bool = False) -> None:
        """Judge the tip that the remote has, and let it be what was seen; damage is put right, or raised.

        Who was slower than another clone in putting it right looks again.
        """
        if found is not None and not fetched and found != self.seen and not self._is_here(found):
            found = self.transport.fetch(into=self.incoming)
        for _ in range(_REPEATS):
            try:
                self._judge(found, began)
            except MovedError:
                began = self.local.clock.stamp()
                found = self.transport.fetch(into=self.incoming)
            else:
                return
        message = f"the log on {self.shared.remote} is damaged, and moved each time it was put right"
        raise RemoteDamaged(message, next="gitcoord sync")

    def _judge(self, found: bytes | None, began: Stamp) -> None:
        before = self.seen
        if found is not None and found == before:
            self.saw(found, began)
            return
        if found is not None:
            found = self._sound(found, before, began)
        if found is None:
            if before is not None:
                self._restore_ref("deleted", before, None, began)
            else:
                self.saw(None, began)
            return
        if before is None:
            self._check_related(found)
            self.saw(found, began)
            return
        kind = growth(self.local, before, found)
        if kind in ("equal", "grown"):
            self.saw(found, began)
        elif kind == "restored":
            self.saw(found, began, self._event(kind, before, found, "taken over: nothing is missing in it"))
        elif kind == "rewound":
            self._restore_ref(kind, before, found, began)
        elif kind == "unrelated":
            self._keep(before, found)
            self._leave(kind, before, found, began, "left as it is: to take it over has to be asked for")
            raise self._unrelated(before, found)
        else:
            self._restore_order(kind, before, found, began)

    def _sound(self, found: bytes, before: bytes | None, began: Stamp) -> bytes:
        """Return the found tip if it can be one of the log; else set the remote back to the last one that can be.

        Raises:
            RemoteDamaged: it cannot be, and is not to be put right.
            UnsupportedFormat: a later version of gitcoord wrote it.
        """
        try:
            sound = newest_good(self.local, found, before)
        except UnsupportedFormat as later:
            if before is not None:
                self._leave("newer_format", before, found, began, f"not taken in: {later.message}")
            raise
        good, fault = sound.tip or before, sound.fault
        if fault is None:
            return found
        expected = before or good
        self._keep(found)
        if good is None or expected is None:
            raise no_log(self.shared, found, fault)
        if before is None:
            self._check_related(good)
        name = "forged" if isinstance(fault, BadCommit) else "unreadable"
        if before is not None and isinstance(fault, BadCommit):
            kind = growth(self.local, before, found)
            name = name if kind in ("grown", "unrelated") else kind
        way_out = _REPAIR if self.restores() else _SWITCHED_OFF
        quarantine = quarantined(self.local.clock.stamp(), good, found, fault, way_out)
        self._stop_unless_restoring(name, expected, found, began, quarantine)
        if not may_repair(self.local):
            self._leave(name, good, found, began, f"kept out, since {fault.message}", seen=expected, kept=quarantine)
            raise RemoteDamaged(
                f"the log on {self.shared.remote} is {name}: {fault.message}; what is good goes up to {good.hex()}",
                next=way_out,
                event=name,
                quarantine=quarantine,
            )
        if before is not None and name in ("forked", "reordered", "restored"):
            return self._restore_around(name, before, good, found, began)
        if not self.push(good, found, drops=True):
            raise MovedError
        self.saw(before, began, self._event(name, good, found, f"set back, since {fault.message}"))
        return good

    def _restore_around(self, name: str, before: bytes, good: bytes, found: bytes, began: Stamp) -> bytes:
        """Let what was seen come first again, with what is good of the other history; what is bad of it is left out."""
        made = None if is_behind(self.local, before, good) else merge.merged(self.local, before, good, restores=name)
        head = before if made is None else self._written(made)
        if not self.push(head, found, drops=True):
            raise MovedError
        self.saw(head, began, self._event(name, before, found, f"what is good of both is kept, as {head.hex()}"))
        return head

    def _is_here(self, oid: bytes) -> bool:
        """Tell whether a commit, and so all behind it, is known to be here: it is our tip, or lies behind it."""
        try:
            return has_first_parent(self.local, self.local.tip(), oid)
        except IntegrityFault:
            return False

    def _check_related(self, found: bytes) -> None:
        tip = self.local.tip()
        ours, theirs = (self.local.state_at(oid).header["repository"] for oid in (tip, found))
        if ours != theirs:
            raise self._unrelated(tip, found)

    def _unrelated(self, ours: bytes, theirs: bytes) -> UnrelatedLogs:
        one, other = (self.local.state_at(oid).header["repository"] for oid in (ours, theirs))
        return unrelated(self.shared.remote, one, other)

    # -- putting right

    def _event(self, name: str, expected: bytes, found: bytes | None, done: str) -> dict[str, Any]:
        return event(self.local.clock.stamp(), name, expected, found, done)

    def _keep(self, *tips: bytes) -> None:
        """Keep tips for the eye, where no fetch overwrites them."""
        for tip in tips:
            write_side_ref(self._repository, f"{KEPT}/{tip.hex()}", tip)

    def _stop_unless_restoring(
        self, name: str, before: bytes, found: bytes | None, began: Stamp, quarantine: dict[str, Any] | None = None
    ) -> None:
        self._keep(before, *([] if found is None else [found]))
        if self.restores():
            return
        self._leave(name, before, found, began, "left as it is: gitcoord.restore is off", kept=quarantine)
        raise damaged(self.shared, name, before, found)

    def _leave(
        self,
        name: str,
        before: bytes,
        found: bytes | None,
        began: Stamp,
        why: str,
        *,
        seen: bytes | None = None,
        kept: dict[str, Any] | None = None,
    ) -> None:
        """Note what is not put right; once, however often it is met."""
        one, last = self._event(name, before, found, why), self.contact.events[-1:]
        told = any({**one, "at": ""} == {**known, "at": ""} for known in last)
        self.saw(seen or before, began, *([] if told else [one]), quarantine=kept)

    def _restore_ref(self, name: str, before: bytes, found: bytes | None, began: Stamp) -> None:
        """Give the remote's log back the end that it had."""
        self._stop_unless_restoring(name, before, found, began)
        if self.push(before, found):
            self.saw(before, began, self._event(name, before, found, "put back to where it was"))
            return
        raise MovedError

    def _restore_order(self, name: str, before: bytes, found: bytes, began: Stamp) -> None:
        """Let what was seen come first again, and replay what the other history has more."""
        self._stop_unless_restoring(name, before, found, began)
        made = merge.merged(self.local, before, found, restores=name)
        if made is None:
            raise AssertionError("a merge that restores is always made")
        try:
            head = self._written(made)
        except MergeUnsigned as error:
            self._leave(name, before, found, began, f"left as it is: {error.message}")
            raise
        if self.push(head, found):
            new = self.seen or before
            self.saw(new, began, self._event(name, before, found, f"both kept, merged as {new.hex()}"))
            return
        raise MovedError

    def adopt(self) -> None:
        """Take this clone's log over into the remote's, which began apart from it; then this clone has the remote's.

        Raises:
            RemoteFault: the remote was not reached, or an answer was lost.
        """
        began = self.local.clock.stamp()
        for _ in range(_ROUNDS):
            found = self.transport.fetch(into=self.incoming)
            if found is None:
                return
            tip = self.local.tip()
            ours, theirs = (self.local.state_at(oid).header["repository"] for oid in (tip, found))
            if ours == theirs:
                return
            fault = newest_sound(self.local, found).fault
            if fault is not None:
                raise fault
            self._keep(tip, found)
            made = merge.merged(self.local, found, tip, adopts=ours)
            head = found if made is None else self._written(made)
            if head == found or self.push(head, found):
                self.saw(head, began, self._event("adopted", tip, found, f"taken over as {head.hex()}"))
                self._move(tip, head, f"adopted into the log of {self.shared.remote}")
                return

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
            move = self.local.move if ours == (tip, new) else self._move
            if move(tip, new, f"joined {self.shared.remote}"):
                return

    def _move(self, old: bytes, new: bytes, message: str) -> bool:
        """Move the local tip; who loses its place on the log by it finds a note first, for then nothing tells of it."""
        for one in losers(self.local, old, new):
            displaced.note(self._runtime, one)
        return self.local.move(old, new, message)

    def _bring_back(self) -> None:
        """Carry to the remote what another program set this clone's ref away from, and that is nowhere now."""
        contact = self.contact
        found, size = lost_tips(self._reflog, contact.local)
        if not found and 0 <= size - contact.local < _REFLOG_READ_AGAIN:
            return
        for tip in found:
            try:
                for _ in range(_ROUNDS):
                    if not self._is_lost(tip) or self._carry(tip):
                        break
            except RemoteRejected as said:
                # It stays aside, and stops nobody; the next contact tries again.
                contact = self.contact
                one = self._event("turned_away", tip, self.seen, f"kept, and not on the remote yet: {said.message}")
                if ("turned_away", tip.hex()) not in [
                    (event["event"], event.get("expected")) for event in contact.events
                ]:
                    notes.write_contact(self._runtime, contact.with_event(one))
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
        contact = self.contact
        named = ("local_rewound", tip.hex())
        if gone and named not in [(event["event"], event.get("expected")) for event in contact.events]:
            self._keep(tip)
            event = self._event("local_rewound", tip, self.local.tip(), "its operations are brought back by a merge")
            notes.write_contact(self._runtime, contact.with_event(event))
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
            head = self._written(made)
        except MergeUnsigned as error:
            if not error.facts.get("revoked"):
                raise
            self._give_up(tip, seen, error)
            return True
        if self.push(head, seen):
            return True
        began = self.local.clock.stamp()
        self._take_in(self.transport.fetch(into=self.incoming), began, fetched=True)
        return False

    def _give_up(self, tip: bytes, seen: bytes, why: MergeUnsigned) -> None:
        """Keep for the eye what this clone did, and nobody will take since its key was revoked; tell its sessions."""
        self._keep(tip)
        for operation in unpublished(self.local, tip, seen) or ():
            word = word_of(self.local, tip, operation, why.message)
            if word is not None:
                displaced.note(self._runtime, word)
        done = f"kept under {KEPT}, and not brought to the remote: {why.message}"
        notes.write_contact(self._runtime, self.contact.with_event(self._event("given_up", seen, tip, done)))

    def _written(self, made: merge.Merge) -> bytes:
        """Write a merge's objects where git can push them from."""
        signer = signer_of(self.local, made)
        batch = self.local.objects.batch()
        commit = merge.write(made, batch.add, lambda body: self.local.signed(body, signer))
        self.local.objects.sync(batch.paths)
        self.local.keep(commit)
        return commit.oid

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
