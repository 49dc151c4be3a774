"""Pushes to the remote, each noted before it begins: what became of one whose answer was lost is found out.

A push names what the remote's ref must hold before it (`expected`), and the remote compares and swaps. So while its ref
holds that, a push that was cut off can land yet, and once it holds anything else, it never can. Two ways lead there:

- the identical push is made again, and whichever of the two comes first, both mean one commit;
- where the remote turns that away by now, its ref stays where it is, and the first one's end stays *open*: it may have
  passed before. Then any other push over the same `expected` decides it: of all of them the remote takes one.

Nothing that is in an open push is answered with anything but "unknown" until then.
"""

from __future__ import annotations

from gitcoord.coordinator import Coordinator
from gitcoord.errors import NoSuchRemote, RemoteFault, RemoteRejected, RemoteUnknown, RemoteUnreachable
from gitcoord.model_time import Stamp
from gitcoord.remote.transport import Transport
from gitcoord.runtime import shared as notes
from gitcoord.runtime.shared import Contact, Flight, Shared
from gitcoord.sharing.fates import ask_about
from gitcoord.sharing.growth import has_first_parent, is_behind
from gitcoord.sharing.words import answer_lost, not_taken
from gitcoord.store.siderefs import PENDING, SEEN, drop_side_ref, write_side_ref
from gitcoord.values import Any, NamedTuple

_REPEATS = 5
_WITHOUT = "go on without it: --offline makes it provisional"
_UNKNOWN = "gitcoord sync finds out; until then it may be in effect, or not"


class Landing(NamedTuple):
    """What the remote's log ends with once the push that was under way is certain to have ended, either way."""

    tip: bytes | None


class Flights:
    """What was seen of a remote, and what is on its way there. The caller has the network turn for every method.

    Args:
        local: the clone's own log.
        shared: which remote.
        transport: reaches it.
    """

    def __init__(self, local: Coordinator, shared: Shared, transport: Transport) -> None:
        """Remember them; nothing is reached yet."""
        self.local = local
        self.shared = shared
        self.transport = transport
        self._repository = local.repository
        self._runtime = local.repository.runtime

    # -- what was seen

    @property
    def contact(self) -> Contact:
        """What was seen of the remote so far."""
        return notes.read_contact(self._runtime)

    @property
    def seen(self) -> bytes | None:
        """The tip that the remote's log was last seen to have."""
        return self.contact.tip

    def saw(
        self,
        tip: bytes | None,
        began: Stamp,
        *events: dict[str, Any],
        quarantine: dict[str, Any] | None = None,
    ) -> None:
        """Write down what a look at the remote found that began at a time, and what was not in order.

        Args:
            tip: the tip that it has.
            began: when the look began.
            events: what was not in order.
            quarantine: the bad history that is there.
        """
        before = self.contact
        after = before._replace(tip=tip, reached=notes.moment(began), failed=None, quarantine=quarantine)
        for one in events:
            after = after.with_event(one)
        notes.write_contact(self._runtime, after)
        if tip is not None and tip != before.tip:
            write_side_ref(self._repository, f"{SEEN}/{self.shared.label}", tip)

    def failed(self, error: RemoteFault, began: Stamp) -> RemoteFault:
        """Note that a try failed, for those who wait behind it, and return the error with the way out."""
        way_out = None
        if isinstance(error, RemoteUnreachable):
            way_out = _WITHOUT if isinstance(error, NoSuchRemote) else f"try again, or {_WITHOUT}"
        way_out = _UNKNOWN if isinstance(error, RemoteUnknown) else way_out
        said = type(error)(error.message, next="; ".join(filter(None, (way_out, error.next))), **error.facts)
        failed = {**notes.moment(began), **said.to_dict()}
        notes.write_contact(self._runtime, self.contact._replace(failed=failed))
        return said

    # -- pushing

    def push(self, head: bytes, expected: bytes | None, *, drops: bool = False) -> bool:
        """Let the remote's log end with a commit, if it ends with what is expected; False where it does not.

        On success `seen` is the commit.

        Args:
            head: the commit.
            expected: what the remote's log ends with.
            drops: what is expected is no commit of the log, and goes.

        Raises:
            RemoteUnreachable: nothing was sent.
            RemoteRejected: the remote does not take it.
            RemoteUnknown: its end is not known; `landing` finds out.
        """
        if expected is not None and not drops and not is_behind(self.local, head, expected):
            msg = f"{head.hex()} does not have {expected.hex()} behind it, and would throw it away"
            raise AssertionError(msg)
        before = notes.read_flight(self._runtime)
        still = before if before is not None and before.expected == expected else None
        flight = Flight(head, expected, tuple(one for one in (still.heads if still else ()) if one != head))
        notes.write_flight(self._runtime, flight)
        try:
            taken = self._fly(flight)
        except RemoteUnknown:
            write_side_ref(self._repository, f"{PENDING}/{head.hex()}", head)
            raise
        except RemoteFault:
            notes.write_flight(self._runtime, still)
            raise
        if still is not None and not taken:
            notes.write_flight(self._runtime, still)  # perhaps it was just that one which landed
        else:
            if before is not None:
                ask_about(self.local, self._runtime, before, answered=head)
            self.close(before or flight)
        return taken

    def _fly(self, flight: Flight) -> bool:
        began = self.local.clock.stamp()
        try:
            said = self.transport.push(flight.head, flight.expected)
        except RemoteFault as error:
            raise self.failed(error, began) from None
        if said.outcome == "unknown":
            unknown = answer_lost(self.shared, said.reason)
            raise self.failed(unknown, began)
        if said.outcome == "rejected":
            if self.contact.failed is not None:  # it was reached: what failed before is not the last word any more
                notes.write_contact(self._runtime, self.contact._replace(failed=None))
            raise not_taken(self.shared, said.reason)
        if said.outcome == "taken":
            self.saw(flight.head, began)
        return said.outcome == "taken"

    # -- finding out

    def landing(self, flight: Flight) -> Landing | None:
        """Return what the remote has once a push is certain to have ended; None where its end stays open.

        Raises:
            RemoteFault: that cannot be found out now.
        """
        for _ in range(_REPEATS):
            found = self.transport.look()
            if found != flight.expected or found == flight.head:
                return Landing(found)
            try:
                taken = self._fly(flight)
            except RemoteRejected:
                # That says nothing of the other: it may have passed, and land yet.
                return None
            if taken:
                return Landing(flight.head)
        raise RemoteUnreachable(f"{self.shared.remote} lets nobody write {self.shared.ref} just now")

    def close(self, flight: Flight) -> None:
        """Forget a push whose end is known."""
        for head in flight.heads:
            drop_side_ref(self._repository, f"{PENDING}/{head.hex()}")
        notes.write_flight(self._runtime, None)

    def is_open(self) -> bool:
        """Tell whether the end of a push is not known."""
        return notes.read_flight(self._runtime) is not None

    def may_land(self, commit: bytes) -> bool:
        """Tell whether a push whose end is not known has this commit in it."""
        flight = notes.read_flight(self._runtime)
        return flight is not None and any(has_first_parent(self.local, head, commit) for head in flight.heads)
