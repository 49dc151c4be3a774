"""This clone's side of a meeting: what is kept and noted here, merges that are written, the tip that moves."""

from __future__ import annotations

from gitcoord import merge
from gitcoord.coordinator import Coordinator
from gitcoord.runtime import displaced
from gitcoord.runtime import shared as notes
from gitcoord.runtime.shared import Contact
from gitcoord.sharing.losers import losers
from gitcoord.sharing.signing import signer_of
from gitcoord.sharing.words import event
from gitcoord.store.siderefs import KEPT, write_side_ref
from gitcoord.values import Any


class Ours:
    """A clone, as meetings change it. The caller has the network turn for every method.

    Args:
        local: the clone's own log.
    """

    def __init__(self, local: Coordinator) -> None:
        """Remember it."""
        self.local = local
        self._repository = local.repository
        self._runtime = local.repository.runtime

    def keep(self, *tips: bytes) -> None:
        """Keep tips for the eye, where no fetch overwrites them."""
        for tip in tips:
            write_side_ref(self._repository, f"{KEPT}/{tip.hex()}", tip)

    def event(self, name: str, expected: bytes, found: bytes | None, done: str) -> dict[str, Any]:
        """Return what was not in order, met now; see `words.event`."""
        return event(self.local.clock.stamp(), name, expected, found, done)

    def note(self, contact: Contact, name: str, expected: bytes, found: bytes | None, done: str) -> None:
        """Write a contact down with one more event."""
        notes.write_contact(self._runtime, contact.with_event(self.event(name, expected, found, done)))

    def is_noted(self, contact: Contact, name: str, expected: bytes) -> bool:
        """Tell whether a contact has such an event of this tip."""
        return (name, expected.hex()) in [(known["event"], known.get("expected")) for known in contact.events]

    def note_once(self, contact: Contact, name: str, expected: bytes, found: bytes | None, done: str) -> None:
        """Write a contact down with one more event, unless it has such a one."""
        if not self.is_noted(contact, name, expected):
            self.note(contact, name, expected, found, done)

    def move(self, old: bytes, new: bytes, message: str) -> bool:
        """Move the local tip; who loses its place on the log by it finds a note first, for then nothing tells of it."""
        for one in losers(self.local, old, new):
            displaced.note(self._runtime, one)
        return self.local.move(old, new, message)

    def written(self, made: merge.Merge) -> bytes:
        """Write a merge's objects where git can push them from."""
        signer = signer_of(self.local, made)
        batch = self.local.objects.batch()
        commit = merge.write(made, batch.add, lambda body: self.local.signed(body, signer))
        self.local.objects.sync(batch.paths)
        self.local.keep(commit)
        return commit.oid
