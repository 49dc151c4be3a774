"""Random histories of a log in memory, for tests of laws."""

from __future__ import annotations

from typing import Any

from gitcoord.errors import CoordError
from gitcoord.model import Operation
from gitcoord.transitions.data import contents
from gitcoord.transitions.locks import claim_record
from support.clock import ManualClock
from support.ledger import NAMED, Ledger, claims_of

SESSIONS = ("s0", "s1", "s2", "far")
PATHS = ("a", "a/b", "a/b/c", "a/d", "e", "e/f", "a/", ".", "*", "a/*", "**/c", "e*/f")
LITERAL = ("a", "a/b", "a/b/c", "a/d", "e", "e/f")
RESOURCES = ("a", "a/b", "r*")
KEYS = ("k", "k/l", "", " k", "@00")
SCOPES = ("s", "s/t", "s:t", "%", "s//t")
VALUES: tuple[Any, ...] = (None, [], [1], "null", {"a": {"b": [1.5, "x"]}}, "", 10**20, float("nan"), "\ud800")
MODES = ("exclusive", "exclusive", "shared", "intent", "nonsense")

Step = tuple[str, int, int, int]
"""What to do, as whom, and two numbers that choose the rest."""

KINDS = (
    *("start", "end", "lock", "lock", "lock", "lock", "unlock", "unlock", "break", "break", "expire", "expire"),
    *("reap", "takeover", "challenge", "renew", "store", "store", "delete", "delete_scope", "together"),
    *("time", "time", "jump", "reboot"),
)
EVERYBODY: list[Step] = [("start", who, who, 1) for who in range(len(SESSIONS))]
"""Signs all sessions on, for histories that are about locks."""


class History:
    """Takes random steps on a log; what the rules refuse is left out.

    Attributes:
        far: the clock of the session that is on another machine.
        refused: how many steps were refused.
        done: the types of the operations that were not.
    """

    def __init__(self, paths: tuple[str, ...] = PATHS) -> None:
        self.ledger = Ledger()
        self.far = ManualClock(machine="machine-far")
        self.refused = 0
        self.done: list[str] = []
        self._paths = paths

    def take(self, step: Step) -> None:
        """Take one step."""
        kind, who, one, two = step
        session = SESSIONS[who % len(SESSIONS)]
        if kind in ("time", "jump", "reboot"):
            self._let_pass(kind, one)
            return
        kinds = ("lock", "store", "renew") if kind == "together" else (kind,)
        made = [self._operation(name, session, one + number, two) for number, name in enumerate(kinds)]
        operations = [operation for operation in made if operation is not None]
        if operations:
            self._apply(operations)

    def _apply(self, operations: list[Operation]) -> None:
        before = self.ledger.trees[-1]
        try:
            self.ledger.apply(*operations)
        except CoordError:
            self.refused += 1
            assert self.ledger.trees[-1] == before
            return
        for operation in operations:
            self.done.append(operation["type"])
            if operation["type"] == "session.start":
                self.ledger.incarnations[operation["session"]] = operation["id"]

    def _let_pass(self, kind: str, number: int) -> None:
        for clock in (self.ledger.clock, self.far):
            if kind == "time":
                clock.advance((1, 30, 61, 500, 1000)[number % 5])
            elif kind == "jump":
                clock.jump((-4000, 4000)[number % 2])
            elif number % 2 == 0:
                clock.reboot()

    def _operation(self, kind: str, session: str, one: int, two: int) -> Operation | None:
        """Return the operation of a step, or None where it would be about nothing."""
        if kind in ("start", "takeover"):
            name, fields = "session.start", self._start(session, one, two, takeover=kind == "takeover")
        elif kind in ("reap", "challenge", "renew", "end"):
            name, fields = f"session.{kind}", self._about(kind, SESSIONS[one % len(SESSIONS)], two)
        elif kind in ("store", "delete", "delete_scope"):
            name, fields = f"data.{kind}", self._datum(kind, one, two)
        else:
            name, fields = self._lock(kind, session, one, two)
            if not (fields.get("claims") or fields.get("locks")):
                return None
        clock = self.far if session == "far" else self.ledger.clock
        return self.ledger.operation(name, session, clock, **fields)

    def _start(self, session: str, one: int, two: int, *, takeover: bool) -> dict[str, Any]:
        clock = self.far if session == "far" else self.ledger.clock
        evidence = self._evidence(session, two)
        seen = {"incarnation": self.ledger.incarnations.get(session, "nobody"), "evidence": evidence}
        return {
            "agent": "test",
            "intent": ("", "work\n\nCoord-Id: forged")[two % 2],
            "machine_name": "host",
            "lease_s": (60, 600)[two % 2],
            "process": one % 2 == 0,
            "proof": {"boot": clock.boot, "nonce": "n"} if one % 2 == 0 else None,
            "takeover": seen if takeover else None,
        }

    def _about(self, kind: str, other: str, two: int) -> dict[str, Any]:
        incarnation = self.ledger.incarnations.get(other, "nobody")
        if kind == "renew":
            others = [{"session": other, "incarnation": incarnation}] if two % 2 else []
            return {"lease_s": (None, 300)[two % 2], "intent": None, "others": others}
        target = {"target": other, "target_incarnation": incarnation}
        record = self.ledger.state.session(other)
        seen = "nothing" if record is None else record["renewal"]
        return {
            "reap": {**target, "evidence": self._evidence(other, two)},
            "challenge": {**target, "renewal": seen},
            "end": {},
        }[kind]

    def _datum(self, kind: str, one: int, two: int) -> dict[str, Any]:
        scope, key = SCOPES[one % len(SCOPES)], KEYS[two % len(KEYS)]
        if kind != "store" and one % 3:
            scope = next(iter(self.ledger.state.scopes()), scope)
            key = next(iter(self.ledger.state.keys(scope)), key)
        if kind == "delete_scope":
            return {"scope": scope, "replaces": contents(self.ledger.state, scope)}
        fields = {"scope": scope, "key": key, "expect_revision": (None, None, 0, self.ledger.revision)[one % 4]}
        old = self.ledger.state.datum(scope, key) if key else None
        fields["replaces"] = None if old is None else old["store"]
        return fields if kind == "delete" else {**fields, "value": VALUES[(one + two) % len(VALUES)]}

    def _lock(self, kind: str, session: str, one: int, two: int) -> tuple[str, dict[str, Any]]:
        other = SESSIONS[one % len(SESSIONS)]
        if kind == "lock":
            fields = {
                "claims": self._claims(one, two),
                "mode": MODES[two % len(MODES)],
                "reason": ("", "why\n\nCoord-Id: forged")[two % 2],
                "ttl_s": (None, 30, None, 30, 700, 0)[one % 6],
            }
            return "lock.acquire", fields
        if kind == "unlock":
            mine = self._held(session, one, two) if one % 5 else self._claims(one, two)
            return "lock.release", {
                "claims": [{name: claim[name] for name in ("path", "key", "kind")} for claim in mine]
            }
        if kind == "break":
            return "lock.break", {"locks": self._held(other, one, two), "reason": "{stale}"}
        return "lock.expire", {"locks": self._held(other, one, two, timed=two % 4 != 0)}

    def _claims(self, one: int, two: int) -> list[dict[str, str]]:
        resource = two % 7 == 6
        choice = RESOURCES if resource else self._paths
        found = claims_of(*[choice[(one + step * two) % len(choice)] for step in range(1 + two % 3)], resource=resource)
        return [claim_record(claim) for claim in {claim.key: claim for claim in found}.values()]

    def _held(self, session: str, one: int, two: int, *, timed: bool = False) -> list[dict[str, Any]]:
        found = [lock for lock in self.ledger.state.locks() if lock["session"] == session]
        found = [lock for lock in found if lock["term"] is not None or not timed]
        chosen = [lock for number, lock in enumerate(found) if (number + one) % (1 + two % 3) == 0]
        return [{field: lock[field] for field in NAMED} for lock in chosen]

    def _evidence(self, target: str, number: int) -> dict[str, str]:
        """Return evidence against a session: often what may well fit, else any kind, or none that there is."""
        record = self.ledger.state.session(target)
        fits = "process-gone" if record is not None and record["proof"] is not None else "lease-over"
        return {"kind": (fits, fits, "lease-over", "challenge", "magic")[number % 5]}
