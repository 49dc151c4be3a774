"""What was written here and waits for the remote: its operations, laid anew where the remote turns the rest away.

A remote may refuse one operation for ever (a hook that looks for secrets does), and then every commit that has it
behind it. So that this stops nobody, the others' operations are laid anew on what the remote has: the same operations,
with their ids and times, in commits that have no refused one behind them. Nobody else ever had the first ones.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import render
from gitcoord.coordinator import Coordinator
from gitcoord.errors import BadRequest, NoKey, Refused, RemoteRejected
from gitcoord.log import Commit
from gitcoord.merge import first_parents, is_merge, operations_of, sides
from gitcoord.model import Operation
from gitcoord.runtime.displaced import Displaced, note
from gitcoord.sharing.flights import Flights
from gitcoord.store.siderefs import KEPT, write_side_ref
from gitcoord.transitions import advance
from gitcoord.transitions.locks import claim_from
from gitcoord.transitions.merging import UNTOLD, described
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitcoord.model import Lost


_MOST_PUSHES = 24


class Anew(NamedTuple):
    """Operations in commits of their own on another tip.

    Attributes:
        head: the newest of these commits.
        refused: what does not hold there, and why.
    """

    head: bytes
    refused: list[tuple[Operation, str]]


class Waiting:
    """What waits in a clone for its remote. The caller has the network turn for every method.

    Args:
        flights: what was seen of the remote, and what is on its way there.
        move: moves the local tip; False where it is somewhere else.
    """

    def __init__(self, flights: Flights, move: Callable[[bytes, bytes, str], bool]) -> None:
        """Remember them; the remote has refused nothing yet."""
        self._flights = flights
        self._local = flights.local
        self._move = move
        self._refused: tuple[bytes, RemoteRejected] | None = None

    def is_refused(self, tip: bytes, said: RemoteRejected) -> None:
        """Remember what the remote said of a tip: nothing is pushed along with what waits there until it moves on."""
        self._refused = tip, said

    def forget(self) -> None:
        """Let what waits be tried again with what is pushed next."""
        self._refused = None

    def refusal(self, tip: bytes) -> RemoteRejected | None:
        """Return what the remote said of what waits at a tip, as far as this process knows; None where it did not."""
        refused = self._refused
        return None if refused is None or refused[0] != tip or tip == self._flights.seen else refused[1]

    def lay_anew(self, tip: bytes, operations: list[Operation] | None = None) -> None:
        """Let the local tip be what the remote has, with this clone's own operations upon it.

        Args:
            tip: the local tip.
            operations: what of it is not there; None is all that the remote was not seen to have.

        Raises:
            RemoteRejected: it cannot be; all stays as it is.
            CoordError: the store failed.
        """
        seen, said = self._flights.seen, self.refusal(tip)
        if seen is None or said is None:
            return
        if operations is None:
            operations = unpublished(self._local, tip, seen)
        made = None if operations is None else lay(self._local, seen, operations)
        if made is None:
            raise said
        if made.refused:
            write_side_ref(self._local.repository, f"{KEPT}/{tip.hex()}", tip)
        for operation, why in made.refused:
            word = word_of(self._local, tip, operation, why)
            if word is not None:
                note(self._local.repository.runtime, word)
        if self._move(tip, made.head, f"laid anew on what {self._flights.shared.remote} has"):
            self._refused = made.head, said

    def sift(self, tip: bytes) -> bool:
        """Bring to the remote what it takes of what waits, and leave here what it turns away.

        What a session did after something that is turned away waits behind it, for it may rest on it.

        Returns:
            whether nothing is left.

        Raises:
            RemoteFault: the remote was not reached, or an answer was lost.
        """
        seen = self._flights.seen
        waiting = None if seen is None else unpublished(self._local, tip, seen)
        if not waiting or len(waiting) == 1:
            return False
        groups, taken, stuck = _halves(waiting), set[str](), set[str | None]()
        for _ in range(_MOST_PUSHES):
            if not groups:
                break
            group = [one for one in groups.pop(0) if one.get("session") not in stuck]
            if not group or self._is_taken(group):
                taken.update(one["id"] for one in group)
            elif len(group) > 1:
                groups[:0] = _halves(group)
            else:
                stuck.add(group[0].get("session"))
        if taken:
            self.lay_anew(tip, [one for one in waiting if one["id"] not in taken])
        return len(taken) == len(waiting)

    def _is_taken(self, group: list[Operation]) -> bool:
        """Try to publish some of what waits, without the rest."""
        seen = self._flights.seen
        made = None if seen is None else lay(self._local, seen, group)
        if made is None or made.refused:
            return False
        try:
            return self._flights.push(made.head, seen)
        except RemoteRejected:
            return False


def _halves(operations: list[Operation]) -> list[list[Operation]]:
    middle = len(operations) // 2
    return [operations[:middle], operations[middle:]]


def unpublished(log: Coordinator, tip: bytes, seen: bytes) -> list[Operation] | None:
    """Return the operations that a tip has beyond what the remote was last seen to have, in order.

    None where they are not this clone's own one after another, each in a commit without a merge.

    Raises:
        IntegrityFault: something that had to be read cannot be.
    """
    beyond = sides(log, seen, tip).theirs
    chain = first_parents(log, tip, beyond)
    found = [operations_of(log, oid) for oid in chain]
    plain = len(chain) == len(beyond) and not any(is_merge(operations) for operations in found)
    return [operation for operations in found for operation in operations] if plain else None


def lay(log: Coordinator, base: bytes, operations: list[Operation]) -> Anew | None:
    """Write operations into commits on another tip, where git can push them from; None where they cannot be signed.

    Raises:
        CoordError: the store failed.
    """
    head, state, refused = base, log.state_at(base), list[tuple[Operation, str]]()
    for operation in operations:
        work = state.fork()
        try:
            advance(work, [operation])
        except (Refused, BadRequest) as error:
            refused.append((operation, error.message))
            continue
        try:
            signer = None if log.signers is None else log.signers(state, [operation])
        except NoKey:
            return None
        if operation.get("signer") != (None if signer is None else signer.fingerprint):
            return None
        batch = log.objects.batch()
        tree = work.write(batch.add)
        oid = batch.add(b"commit", log.signed(render.commit(tree, [head], work.header), signer))
        log.objects.sync(batch.paths)
        log.keep(Commit(oid, tree, [head], work.revision))
        head, state = oid, work
    return Anew(head, refused)


def word_of(log: Coordinator, tip: bytes, operation: Operation, why: str) -> Displaced | None:
    """Return what is told of an operation that did not hold when it was laid anew; None where it is not missed."""
    if operation["type"] in UNTOLD or "session" not in operation:
        return None
    record = log.state_at(tip).session(operation["session"])
    process = record is not None and record["process"]
    text = (
        f"{described(operation)} of {operation['clock']['time']}, made without the remote, is refused after all: {why}"
    )
    lost: list[Lost] = []
    if operation["type"] == "lock.acquire":
        held = [log.state_at(tip).lock(claim_from(claim), operation["session"]) for claim in operation["claims"]]
        lost = [
            {"path": one["path"], "key": one["key"], "kind": one["kind"], "grant": one["grant"], "why": why}
            for one in held
            if one is not None and one["grant"] == operation["id"]
        ]
    return Displaced(operation["id"], operation["session"], operation["incarnation"], process, text, tuple(lost))
