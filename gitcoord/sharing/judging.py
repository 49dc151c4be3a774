"""What the remote has is judged, and damage on it put right; so is this clone's own tip, where others moved its ref.

Nothing is merged here, and nothing of this clone's is published, but what puts damage right.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import merge
from gitcoord.errors import (
    BadCommit,
    CoordError,
    IntegrityFault,
    MergeUnsigned,
    RemoteDamaged,
    UnrelatedLogs,
    UnsupportedFormat,
)
from gitcoord.model_time import Stamp
from gitcoord.runtime import shared as notes
from gitcoord.sharing.door import may_repair, newest_good, way_to_repair
from gitcoord.sharing.flights import Flights
from gitcoord.sharing.growth import growth, has_first_parent, is_behind
from gitcoord.sharing.ours import Ours
from gitcoord.sharing.words import MovedError, damaged, no_log, quarantined, unrelated
from gitcoord.store.siderefs import INCOMING
from gitcoord.values import Any

REFLOG_READ_AGAIN = 1 << 15
"""Of so much of the reflog it costs less to read it again than to note that it was read."""
_SWITCHED_OFF = "look at it, then: git config gitcoord.restore true, gitcoord sync"
_REPEATS = 5


class Judging:
    """Judges for one clone. The caller has the network turn for every method.

    Args:
        ours: the clone.
        flights: what was seen of the remote, and what is on its way there.
        restores: asked when there is damage on the remote: is it to be put right, or only told?
    """

    def __init__(self, ours: Ours, flights: Flights, *, restores: Callable[[], bool]) -> None:
        """Remember them; nothing is judged yet."""
        self._ours = ours
        self._flights = flights
        self._restores = restores
        self._local = ours.local
        self._shared = flights.shared
        self._runtime = ours.local.repository.runtime
        self._found_good: tuple[bytes, bytes | None] | None = None

    # -- this clone's tip

    def vouch(self) -> None:
        """Judge this clone's own tip where another program moved its ref, like what comes from a remote.

        A bad one is kept for the eye, and the ref is set back to what is good: nothing bad is pushed or merged. What
        the ref cannot be at all is put back first, see `Keeper.put_back`.

        Raises:
            IntegrityFault: nothing of it is good.
        """
        contact = self._flights.contact
        stray = None if self._local.look().stray is None else self._local.put_back()
        if stray is not None:
            self._ours.keep(stray.tip)
            contact = contact.with_event(self._ours.event(f"local_{stray.kind}", stray.tip, stray.found, "put back"))
            notes.write_contact(self._runtime, contact)
        moved, size = self._local.reflog.moved_since(contact.vouched)
        if not moved:
            if size - contact.vouched > REFLOG_READ_AGAIN:
                notes.write_contact(self._runtime, contact._replace(vouched=size))
            return
        tip = self._local.tip()
        good, fault = (
            (tip, None) if tip == self._flights.seen else newest_good(self._local, tip, self._flights.seen)[:2]
        )
        if fault is not None:
            good = good or self._flights.seen
            self._ours.keep(tip)
            if good is None:
                raise fault
            if not self._ours.move(tip, good, "set back to what is good"):
                return
            name = "forged" if isinstance(fault, BadCommit) else "unreadable"
            done = f"another program set this clone's ref to it; set back, since {fault.message}"
            contact = contact.with_event(self._ours.event(name, good, tip, done))
        notes.write_contact(self._runtime, contact._replace(vouched=size))

    @property
    def is_vouched(self) -> bool:
        """Whether no other program moved this clone's ref since its tip was judged."""
        moved = self._local.reflog.moved_since(self._flights.contact.vouched)[0]
        return not moved and self._local.look().stray is None

    # -- what the remote has

    @property
    def incoming(self) -> str:
        """The local ref that takes what is fetched before it is judged."""
        return f"{INCOMING}/{self._shared.label}"

    def fetched(self) -> bytes | None:
        """Fetch what the remote has, and return its tip.

        It is judged while git looks whether all of it came. What is not found good then is judged again in its turn.
        """
        before = self._flights.seen

        def judge(tip: bytes) -> None:
            try:
                sound = newest_good(self._local, tip, before)
            except CoordError:
                return
            if sound.fault is None and sound.tip == tip:
                self._found_good = tip, before

        self._found_good = None
        return self._flights.transport.fetch(into=self.incoming, meanwhile=judge)

    def take_in(self, found: bytes | None, began: Stamp, *, fetched: bool = False) -> None:
        """Judge the tip that the remote has, and let it be what was seen; damage is put right, or raised.

        Who was slower than another clone in putting it right looks again.
        """
        if found is not None and not fetched and found != self._flights.seen and not self._is_here(found):
            found = self.fetched()
        for _ in range(_REPEATS):
            try:
                self._judge(found, began)
            except MovedError:
                began = self._local.clock.stamp()
                found = self.fetched()
            else:
                return
        message = f"the log on {self._shared.remote} is damaged, and moved each time it was put right"
        raise RemoteDamaged(message, next="gitcoord sync")

    def _judge(self, found: bytes | None, began: Stamp) -> None:
        before = self._flights.seen
        if found is not None and found == before:
            self._flights.saw(found, began)
            return
        if found is not None:
            found = self._sound(found, before, began)
        if found is None:
            if before is not None:
                self._restore_ref("deleted", before, None, began)
            else:
                self._flights.saw(None, began)
            return
        if before is None:
            self._check_related(found)
            self._flights.saw(found, began)
            return
        kind = growth(self._local, before, found)
        if kind in ("equal", "grown"):
            self._flights.saw(found, began)
        elif kind == "restored":
            self._flights.saw(
                found, began, self._ours.event(kind, before, found, "taken over: nothing is missing in it")
            )
        elif kind == "rewound":
            self._restore_ref(kind, before, found, began)
        elif kind == "unrelated":
            self._ours.keep(before, found)
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
        if self._found_good == (found, before):
            return found
        try:
            sound = newest_good(self._local, found, before)
        except UnsupportedFormat as later:
            if before is not None:
                self._leave("newer_format", before, found, began, f"not taken in: {later.message}")
            raise
        good, fault = sound.tip or before, sound.fault
        if fault is None:
            return found
        expected = before or good
        self._ours.keep(found)
        if good is None or expected is None:
            raise no_log(self._shared, found, fault)
        if before is None:
            self._check_related(good)
        name = "forged" if isinstance(fault, BadCommit) else "unreadable"
        if before is not None and isinstance(fault, BadCommit):
            kind = growth(self._local, before, found)
            name = name if kind in ("grown", "unrelated") else kind
        way_out = way_to_repair(self._local, good) if self._restores() else _SWITCHED_OFF
        quarantine = quarantined(self._local.clock.stamp(), good, found, fault, way_out)
        self._stop_unless_restoring(name, expected, found, began, quarantine)
        if not may_repair(self._local):
            self._leave(name, good, found, began, f"kept out, since {fault.message}", seen=expected, kept=quarantine)
            raise RemoteDamaged(
                f"the log on {self._shared.remote} is {name}: {fault.message}; what is good goes up to {good.hex()}",
                next=way_out,
                event=name,
                quarantine=quarantine,
            )
        if before is not None and name in ("forked", "reordered", "restored"):
            return self._restore_around(name, before, good, found, began)
        if not self._flights.push(good, found, drops=True):
            raise MovedError
        self._flights.saw(before, began, self._ours.event(name, good, found, f"set back, since {fault.message}"))
        return good

    def _is_here(self, oid: bytes) -> bool:
        """Tell whether a commit, and so all behind it, is known to be here: it is our tip, or lies behind it."""
        try:
            return has_first_parent(self._local, self._local.tip(), oid)
        except IntegrityFault:
            return False

    def _check_related(self, found: bytes) -> None:
        tip = self._local.tip()
        ours, theirs = (self._local.state_at(oid).header["repository"] for oid in (tip, found))
        if ours != theirs:
            raise self._unrelated(tip, found)

    def _unrelated(self, ours: bytes, theirs: bytes) -> UnrelatedLogs:
        one, other = (self._local.state_at(oid).header["repository"] for oid in (ours, theirs))
        return unrelated(self._shared.remote, one, other)

    # -- putting right

    def _stop_unless_restoring(
        self, name: str, before: bytes, found: bytes | None, began: Stamp, quarantine: dict[str, Any] | None = None
    ) -> None:
        self._ours.keep(before, *([] if found is None else [found]))
        if self._restores():
            return
        self._leave(name, before, found, began, "left as it is: gitcoord.restore is off", kept=quarantine)
        raise damaged(self._shared, name, before, found)

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
        one, last = self._ours.event(name, before, found, why), self._flights.contact.events[-1:]
        told = any({**one, "at": ""} == {**known, "at": ""} for known in last)
        self._flights.saw(seen or before, began, *([] if told else [one]), quarantine=kept)

    def _restore_ref(self, name: str, before: bytes, found: bytes | None, began: Stamp) -> None:
        """Give the remote's log back the end that it had."""
        self._stop_unless_restoring(name, before, found, began)
        if self._flights.push(before, found):
            self._flights.saw(before, began, self._ours.event(name, before, found, "put back to where it was"))
            return
        raise MovedError

    def _restore_order(self, name: str, before: bytes, found: bytes, began: Stamp) -> None:
        """Let what was seen come first again, and replay what the other history has more."""
        self._stop_unless_restoring(name, before, found, began)
        made = merge.merged(self._local, before, found, restores=name)
        if made is None:
            raise AssertionError("a merge that restores is always made")
        try:
            head = self._ours.written(made)
        except MergeUnsigned as error:
            self._leave(name, before, found, began, f"left as it is: {error.message}")
            raise
        if self._flights.push(head, found):
            new = self._flights.seen or before
            self._flights.saw(new, began, self._ours.event(name, before, found, f"both kept, merged as {new.hex()}"))
            return
        raise MovedError

    def _restore_around(self, name: str, before: bytes, good: bytes, found: bytes, began: Stamp) -> bytes:
        """Let what was seen come first again, with what is good of the other history; what is bad of it is left out."""
        made = None if is_behind(self._local, before, good) else merge.merged(self._local, before, good, restores=name)
        head = before if made is None else self._ours.written(made)
        if not self._flights.push(head, found, drops=True):
            raise MovedError
        self._flights.saw(
            head, began, self._ours.event(name, before, found, f"what is good of both is kept, as {head.hex()}")
        )
        return head
