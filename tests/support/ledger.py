"""A log in memory, for tests of the pure core: states, operations and trees without git, files or a clock."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from gitcoord.model import DEFAULT_LIMITS, ClockReading, Lock, Operation, Policy, Session
from gitcoord.model_time import format_time
from gitcoord.paths import Claim, parse_claim, parse_resource
from gitcoord.records import Records
from gitcoord.state import State
from gitcoord.transitions import Facts, advance
from gitcoord.transitions.locks import claim_record
from gitcoord.tree import NodeCache
from support.clock import ManualClock

NAMED = ("path", "key", "kind", "session", "token", "grant")
"""How breaks and expiries name a lock."""

AUTHOR = {"name": "Ada Test", "email": "ada@example.invalid"}


def object_id(kind: bytes, body: bytes) -> bytes:
    """Return an object's name as git computes it."""
    return hashlib.sha1(b"%s %d\0%s" % (kind, len(body), body)).digest()


class MemoryObjects:
    """An object store in a dict; counts what was added."""

    def __init__(self) -> None:
        self.by_oid: dict[bytes, tuple[bytes, bytes]] = {}
        self.added: list[tuple[bytes, bytes]] = []

    def read(self, oid: bytes) -> tuple[bytes, bytes]:
        return self.by_oid[oid]

    def add(self, kind: bytes, body: bytes) -> bytes:
        oid = object_id(kind, body)
        self.by_oid[oid] = (kind, body)
        self.added.append((kind, oid))
        return oid

    def state(self, root: bytes | None) -> State:
        """Return the state at a tree, read with nothing remembered."""
        return State(NodeCache(self.read, 20), root, Records())


def claims_of(*names: str, resource: bool = False, fold_case: bool = False) -> list[Claim]:
    """Return the claims that spelled paths, or names of resources, mean."""
    return [parse_resource(name) if resource else parse_claim(name, fold_case=fold_case) for name in names]


def reading(clock: ManualClock) -> ClockReading:
    """Return what a clock says, as operations record it."""
    now = clock.stamp()
    return {"machine": now.machine, "boot": now.boot, "uptime_ms": now.uptime_ms, "time": format_time(now.at_ms)}


class Ledger:
    """A log without git: each `apply` is a commit.

    Attributes:
        clock: the clock of the machine that most sessions are on.
        trees: the tree of every commit, the oldest first.
        incarnations: the newest incarnation of each session.
    """

    def __init__(self, *, limits: dict[str, int] | None = None, case: str = "sensitive") -> None:
        self.clock = ManualClock()
        self.objects = MemoryObjects()
        self.trees: list[bytes] = []
        self.incarnations: dict[str, str] = {}
        self._made = 0
        policy: dict[str, Any] = {"version": 1, "case": case, "unsigned": "accepted"}
        policy["limits"] = {**DEFAULT_LIMITS, **(limits or {})}
        self._tip = self.objects.state(None)
        self.apply(self.init_operation(policy))

    def init_operation(self, policy: dict[str, Any] | Policy) -> Operation:
        """Return the operation that begins a log."""
        return {
            "id": self.new_id(),
            "type": "log.init",
            "repository": "repository-1",
            "policy": policy,
            "clock": reading(self.clock),
            "author": AUTHOR,
        }

    def new_id(self) -> str:
        """Return an id that was not there before."""
        self._made += 1
        return f"ID{self._made:08}"

    # -- looking

    @property
    def state(self) -> State:
        """The state at the newest commit, for looking only."""
        return self._tip

    @property
    def revision(self) -> int:
        """The newest commit's revision."""
        return self._tip.revision

    def session(self, session: str) -> Session:
        """Return a session that is there."""
        found = self._tip.session(session)
        assert found is not None, f"{session} is not signed on"
        return found

    def lock_of(self, session: str, path: str, *, resource: bool = False) -> Lock:
        """Return a lock that is there."""
        found = self._tip.lock(claims_of(path, resource=resource)[0], session)
        assert found is not None, f"{session} does not hold {path}"
        return found

    def held(self, session: str) -> list[str]:
        """Return what a session holds, counted from the records."""
        return sorted(lock["path"] for lock in self._tip.locks() if lock["session"] == session)

    # -- growing

    def operation(self, kind: str, session: str, clock: ManualClock | None = None, **fields: Any) -> Operation:
        """Return a fresh operation of a session's newest incarnation."""
        return {
            "id": self.new_id(),
            "type": kind,
            "session": session,
            "incarnation": self.incarnations.get(session, "nobody"),
            "clock": reading(clock or self.clock),
            "author": AUTHOR,
            **fields,
        }

    def fork(self) -> Ledger:
        """Return a log that goes on from here on its own."""
        made = copy.copy(self)
        made.trees, made.incarnations = list(self.trees), dict(self.incarnations)
        return made

    def apply(self, *operations: Operation) -> list[Facts]:
        """Let operations be the next commit; a refusal leaves the log as it was."""
        work = self._tip.fork()
        facts = advance(work, list(operations))
        self.trees.append(work.tree.write(self.objects.add))
        self._tip = self.objects.state(self.trees[-1])
        return facts

    def run(self, kind: str, session: str, clock: ManualClock | None = None, **fields: Any) -> Facts:
        """Apply one operation."""
        return self.apply(self.operation(kind, session, clock, **fields))[0]

    def start(
        self,
        session: str,
        *,
        clock: ManualClock | None = None,
        lease_s: int = 900,
        proof: dict[str, Any] | None = None,
        takeover: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Operation:
        """Sign a session on."""
        made = self.operation(
            "session.start",
            session,
            clock,
            **{"agent": "test", "intent": "", "machine_name": "host", "lease_s": lease_s, **fields},
            process=proof is not None,
            proof=proof,
            takeover=takeover,
        )
        made["incarnation"] = made["id"]
        self.apply(made)
        self.incarnations[session] = made["id"]
        return made

    def takeover_of(self, session: str, kind: str) -> dict[str, Any]:
        """Return what a takeover of a session says."""
        return {"incarnation": self.incarnations[session], "evidence": {"kind": kind}}

    def lock(
        self,
        session: str,
        *names: str,
        mode: str = "exclusive",
        reason: str = "",
        ttl_s: Any = None,
        resource: bool = False,
        clock: ManualClock | None = None,
    ) -> Facts:
        """Lock paths or resources."""
        records = [claim_record(claim) for claim in claims_of(*names, resource=resource)]
        return self.run("lock.acquire", session, clock, claims=records, mode=mode, reason=reason, ttl_s=ttl_s)

    def unlock(self, session: str, *names: str, resource: bool = False) -> Facts:
        """Release paths or resources."""
        return self.run("lock.release", session, claims=[claim_record(c) for c in claims_of(*names, resource=resource)])

    def named(self, holder: str, *names: str, resource: bool = False) -> list[dict[str, Any]]:
        """Return how breaks and expiries name locks."""
        made: list[dict[str, Any]] = []
        for name in names:
            lock = self.lock_of(holder, name, resource=resource)
            made.append({field: lock[field] for field in NAMED})
        return made

    def store(self, session: str, scope: str, key: str, value: Any, expect_revision: int | None = None) -> Facts:
        """Store a value."""
        old = self._tip.datum(scope, key)
        replaces = None if old is None else old["store"]
        fields: dict[str, Any] = {
            "scope": scope,
            "key": key,
            "value": value,
            "expect_revision": expect_revision,
            "replaces": replaces,
        }
        return self.run("data.store", session, **fields)
