"""The order of a log and what became of each operation, word for word as the design says it and at any price.

`order(commit) = order(parent) + its operations`; `order(merge) = order(p1) + [what order(p2) has and order(p1) has
not, by id]`. What p2 refused stays refused; the rest is judged anew on p1's state. Shares no code with `gitcoord.merge`
or its replay: only the rules of the single operations are the program's.
"""

from __future__ import annotations

from typing import Any

from gitcoord.errors import BadRequest, Refused
from gitcoord.model import Operation
from gitcoord.state import State
from gitcoord.transitions import apply
from support.branches import Dag


class Orders:
    """What the design says of every commit of a `Dag`.

    Attributes:
        bodies: every operation by its id.
    """

    def __init__(self, dag: Dag) -> None:
        self._dag = dag
        self._orders: dict[bytes, tuple[str, ...]] = {}
        self._refused: dict[bytes, dict[str, str]] = {}
        self.bodies: dict[str, Operation] = {}
        self.merges: list[bytes] = []

    def order(self, oid: bytes) -> tuple[str, ...]:
        """Return the ids of all operations up to a commit."""
        self._learn(oid)
        return self._orders[oid]

    def refused(self, oid: bytes) -> set[str]:
        """Return which of them are not in effect."""
        self._learn(oid)
        return set(self._refused[oid])

    def _learn(self, oid: bytes) -> None:
        waiting = [oid]
        while waiting:
            here = waiting[-1]
            unknown = [parent for parent in self._dag.commit(here).parents if parent not in self._orders]
            waiting.extend(unknown)
            if not unknown:
                waiting.pop()
                if here not in self._orders:
                    self._compute(here)

    def _compute(self, oid: bytes) -> None:
        parents = self._dag.commit(oid).parents
        if len(parents) == 2:
            self._compute_merge(oid, *parents)
            return
        operations = self._dag.operations(oid)
        self.bodies.update({operation["id"]: operation for operation in operations})
        before = self._orders[parents[0]] if parents else ()
        self._orders[oid] = (*before, *(operation["id"] for operation in operations))
        self._refused[oid] = self._refused[parents[0]] if parents else {}

    def _compute_merge(self, oid: bytes, first: bytes, second: bytes) -> None:
        self.merges.append(oid)
        has = set(self._orders[first])
        added = [one for one in self._orders[second] if one not in has]
        state = self._dag.state_at(first).fork()
        refused: dict[str, str] = {}
        for one in added:
            attempt = state.fork()
            why = self._refused[second].get(one)
            if why is None:
                try:
                    apply(attempt, self.bodies[one], self._dag.commit(oid).revision, replayed=True)
                except (Refused, BadRequest) as refusal:
                    why = refusal.message
            if why is None:
                state = attempt
            else:
                refused[one] = why
                _note_lost(state, self.bodies[one], why)
                _number_anew(state, self.bodies[one], self._dag.commit(oid).revision)
        self._orders[oid] = (*self._orders[first], *added)
        self._refused[oid] = {**self._refused[first], **refused}
        assert essence(state) == essence(self._dag.state_at(oid))
        made = self._dag.operations(oid)[0]
        assert made["replayed"] == [one for one in added if one not in refused]
        assert {refusal["id"]: refusal["message"] for refusal in made["refused"]} == refused


def _note_lost(state: State, operation: Operation, why: str) -> None:
    """Let a session remember which locks it had counted on: it may unlock them, and nothing happens."""
    name = operation["session"]
    record = state.session(name)
    if operation["type"] != "lock.acquire" or record is None or record["incarnation"] != operation["incarnation"]:
        return
    held = {(lock["kind"] == "resource", lock["key"]) for lock in state.locks() if lock["session"] == name}
    lost = list(record.get("lost", []))
    for claim in operation["claims"]:
        where = claim["kind"] == "resource", claim["key"]
        if where not in held:
            lost = [one for one in lost if (one["kind"] == "resource", one["key"]) != where]
            one: Any = {**claim, "grant": operation["id"], "why": why}
            lost.append(one)
    if lost:
        state.put_session({**record, "lost": lost[-100:]})


def _number_anew(state: State, operation: Operation, revision: int) -> None:
    """Let a value beside which another one was refused have a revision that nobody knows."""
    if operation["type"] == "data.store" and operation["key"] in state.keys(operation["scope"]):
        datum: Any = state.datum(operation["scope"], operation["key"])
        fresh: Any = {**datum, "revision": revision}
        state.put_datum(fresh)


def essence(state: State) -> dict[str, Any]:
    """Return what a state says, but for the news of its sessions."""
    found: dict[str, Any] = {"policy": state.policy, "locks": list(state.locks())}
    found["data"] = [state.datum(scope, key) for scope in state.scopes() for key in state.keys(scope)]
    found["sessions"] = [{k: v for k, v in record.items() if k != "notices"} for record in state.sessions()]
    return found
