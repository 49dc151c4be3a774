"""Random histories of several clones of one log, that merge as they please and publish at one remote."""

from __future__ import annotations

import contextlib

from gitcoord.errors import CoordError
from gitcoord.model import Lock
from gitcoord.paths import overlaps
from gitcoord.state import State, claim_of
from gitcoord.transitions.locks import stand_in_the_way
from support.branches import Branch, Remote
from support.clock import ManualClock
from support.history import EVERYBODY, PATHS, History, Step
from support.orders import Orders

Move = tuple[str, int, int, list[Step]]
"""What happens after some steps of a clone's sessions: at which clone, and with which other."""

MOVES = ("work", "work", "merge", "merge", "under", "under", "publish", "race", "adopt", "again")


class Clone(History):
    """One clone's sessions at work."""

    def __init__(self, branch: Branch, far: ManualClock, paths: tuple[str, ...] = PATHS) -> None:
        super().__init__(paths)
        self.ledger: Branch = branch
        self.far = far


class Clones:
    """Clones that began as one, each with the sessions that signed on before.

    Attributes:
        remote: where they publish.
        orders: what the design says of every commit.
    """

    def __init__(self, common: list[Step], paths: tuple[str, ...] = PATHS, *, count: int = 3) -> None:
        first = Clone(Branch(), ManualClock(machine="machine-far"), paths)
        for step in EVERYBODY + common:
            first.take(step)
        self.all = [first]
        for number in range(1, count):
            branch = first.ledger.clone()
            if number == count - 1:  # the last is another machine, and its wall clock is hours ahead
                branch.clock = ManualClock(first.ledger.clock.at_ms + 9_000_000, machine="machine-b")
            self.all.append(Clone(branch, first.far, paths))
        self.dag = first.ledger.dag
        self.remote = Remote(first.ledger.head)
        self.orders = Orders(self.dag)

    def take(self, move: Move) -> None:
        """Let a clone's sessions take their steps, and the clone meet another or the remote."""
        kind, at, other, steps = move
        clone, second = self.all[at % len(self.all)], self.all[other % len(self.all)]
        branch, theirs = clone.ledger, second.ledger.head
        for step in steps:
            clone.take(step)
        if kind == "merge":
            branch.merge_in(theirs)
        elif kind == "under":
            branch.move(branch.dag.merge(theirs, branch.head) or theirs)
        elif kind == "publish":
            self.remote.publish(branch)
        elif kind == "race":
            self.remote.race(branch, second.ledger)
        elif kind == "again":
            self._again(clone, theirs)
        elif kind == "adopt" and self.orders.order(branch.head) == self.orders.order(theirs):
            branch.move(theirs)

    def _again(self, clone: Clone, theirs: bytes) -> None:
        """Let a clone do what another one did, as one that did not learn that its push had arrived."""
        operations = self.dag.operations(theirs)
        known = set(self.orders.order(clone.ledger.head))
        if len(self.dag.commit(theirs).parents) == 1 and not any(one["id"] in known for one in operations):
            with contextlib.suppress(CoordError):
                clone.ledger.apply(*operations)

    def tips(self) -> list[bytes]:
        """Return every clone's tip, and the remote's."""
        return [self.remote.tip, *(clone.ledger.head for clone in self.all)]

    def settle(self) -> None:
        """Let everybody publish, and see what all the others published."""
        for clone in self.all * 2:
            self.remote.publish(clone.ledger)


def conflicts(state: State) -> list[tuple[Lock, Lock]]:
    """Return the locks of two sessions that must not stand side by side."""
    held = list(state.locks())
    return [
        (one, other)
        for number, one in enumerate(held)
        for other in held[:number]
        if one["session"] != other["session"]
        and stand_in_the_way(one["mode"], other["mode"])
        and overlaps(claim_of(one), claim_of(other))
    ]


def miscounted(state: State) -> list[str]:
    """Return the sessions that hold another number of locks than their record says, or one that it calls lost."""
    held = [(lock["session"], lock["kind"] == "resource", lock["key"]) for lock in state.locks()]
    found: list[str] = []
    for record in state.sessions():
        mine = {(resource, key) for session, resource, key in held if session == record["session"]}
        lost = {(one["kind"] == "resource", one["key"]) for one in record.get("lost", [])}
        if record["held"] != len(mine) or mine & lost:
            found.append(record["session"])
    return found
