"""What was found while a log was verified: how many commits, signed by whom, and what a reader ought to look at."""

from __future__ import annotations

from gitcoord import render
from gitcoord.model import Operation
from gitcoord.model_time import parse_time
from gitcoord.values import Any, NamedTuple

_LISTED = 1000
_REMEMBERED = 200
_MACHINES_REMEMBERED = 1000
_AHEAD_MS = 5 * 60 * 1000


class Notable(NamedTuple):
    """An event that is within the rules and rests on somebody's word, or on force."""

    commit: bytes
    revision: int
    kind: str
    text: str


class Tally:
    """Counts. `commits` is how many were judged; `unknown` were signed by keys that no policy vouches for.

    Of what is notable the newest is listed, up to a bound, and all is counted (`notables`).
    """

    def __init__(self) -> None:
        """Count nothing yet."""
        self.commits = 0
        self.unsigned = 0
        self.unknown = 0
        self.merges = 0
        self.signed: dict[str, int] = {}
        self.notable: list[Notable] = []
        self.notables = 0
        self._latest: dict[str, str] = {}
        self._earliest: dict[str, str] = {}

    def count(self, commit: bytes, revision: int, operations: list[Operation], owner: str | None) -> None:
        """Count a commit that was judged good."""
        self.commits += 1
        if owner is not None:
            self.signed[owner] = self.signed.get(owner, 0) + 1
        elif operations[0].get("signer") is not None:
            self.unknown += 1
        else:
            self.unsigned += 1
        for operation in operations:
            kind = _notable_kind(operation)
            if kind is not None:
                self._note(Notable(commit, revision, kind, render.subject(operation)))
            self._look_at_date(commit, revision, operation)

    def _look_at_date(self, commit: bytes, revision: int, operation: Operation) -> None:
        """Note a date that goes back behind an earlier one of the same machine: a warning, never a rule."""
        time, machine = operation["clock"]["time"], operation["clock"]["machine"]
        latest = self._latest.get(machine)
        if latest is None:
            self._latest[machine] = self._earliest[machine] = time
        elif time >= latest:  # as texts: all that gitcoord writes have one form
            self._latest[machine] = time
        else:
            self._earliest[machine] = min(time, self._earliest[machine])
            if _went_back(time, latest):
                self._note(Notable(commit, revision, "clock-went-back", render.subject(operation)))

    def _note(self, event: Notable) -> None:
        self.notables += 1
        self.notable.append(event)
        if len(self.notable) >= 2 * _LISTED:  # not at each one: that would move the whole list
            del self.notable[:-_LISTED]

    def told(self) -> dict[str, Any]:
        """Return all that was found, as JSON, for the tally of another process to `join`."""
        return {
            "counts": self.to_dict(),
            "notable": [(event.commit.hex(), *event[1:]) for event in self.notable[-_LISTED:]],
            "notables": self.notables,
            "latest": self._latest,
            "earliest": self._earliest,
        }

    def remembered(self) -> dict[str, Any]:
        """Return what `told` does, with an end to its size: the newest events, and the newest machines' clocks."""
        told = self.told()
        latest = sorted(self._latest, key=self._latest.__getitem__)[-_MACHINES_REMEMBERED:]
        return {
            **told,
            "notable": told["notable"][-_REMEMBERED:],
            "latest": {machine: self._latest[machine] for machine in latest},
            "earliest": {machine: self._earliest[machine] for machine in latest},
        }

    def join(self, told: dict[str, Any]) -> bool:
        """Add what another tally found of the commits that come next.

        Returns:
            False, and nothing is added, where that one could not see that a clock went back.
        """
        earliest: dict[str, str] = told["earliest"]
        if any(_went_back(time, self._latest.get(machine, time)) for machine, time in earliest.items()):
            return False
        self.add(told["counts"])
        found = [Notable(bytes.fromhex(commit), *rest) for commit, *rest in told["notable"]]
        self.notable = (self.notable + found)[-_LISTED:]
        self.notables += told["notables"]
        for machine, time in told["latest"].items():
            self._latest[machine] = max(time, self._latest.get(machine, time))
            self._earliest[machine] = min(earliest[machine], self._earliest.get(machine, earliest[machine]))
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, for the memory and for answers."""
        return {
            "commits": self.commits,
            "unsigned": self.unsigned,
            "unknown": self.unknown,
            "merges": self.merges,
            "signed": dict(sorted(self.signed.items())),
        }

    def add(self, counts: dict[str, Any]) -> None:
        """Add what an earlier run counted."""
        for name in ("commits", "unsigned", "unknown", "merges"):
            setattr(self, name, getattr(self, name) + counts[name])
        for owner, number in counts["signed"].items():
            self.signed[owner] = self.signed.get(owner, 0) + number


def _went_back(time: str, latest: str) -> bool:
    return time < latest and parse_time(time) < parse_time(latest) - _AHEAD_MS


def _notable_kind(operation: Operation) -> str | None:
    """Return what kind of notable event an operation is: an attested death, a takeover, a broken lock."""
    kind = operation["type"]
    if kind == "session.reap":
        return "attested-death" if operation["evidence"]["kind"] == "process-gone" else "reap"
    if kind == "session.start" and operation["takeover"] is not None:
        return "takeover"
    return {"lock.break": "forced-break", "policy.set": "policy-change"}.get(kind)
