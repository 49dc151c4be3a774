"""What is said of a remote that is not as it was: events for the record, and refusals to go on."""

from __future__ import annotations

from gitcoord.errors import IntegrityFault, UnrelatedLogs
from gitcoord.model_time import Stamp, format_time
from gitcoord.runtime.shared import Shared
from gitcoord.values import Any


class MovedError(Exception):
    """The remote moved while damage on it was put right."""


def event(now: Stamp, name: str, expected: bytes, found: bytes | None, done: str) -> dict[str, Any]:
    """Return what was not in order, as `status` and `sync` show it.

    Args:
        now: when it was met.
        name: its name, as `growth` has it.
        expected: the tip that was last seen.
        found: the one that is there; None for none.
        done: what was done about it.
    """
    return {
        "event": name,
        "at": format_time(now.at_ms),
        "expected": expected.hex(),
        "found": None if found is None else found.hex(),
        "done": done,
    }


def unrelated(remote: str, ours: str, theirs: str) -> UnrelatedLogs:
    """Return the refusal to mix two logs that began apart."""
    return UnrelatedLogs(
        f"{remote} holds the log of repository {theirs}; this clone's is {ours}: they began apart",
        next="gitcoord sync --adopt takes this clone's operations over into the remote's log",
        local=ours,
        remote=theirs,
    )


def no_log(shared: Shared, found: bytes, fault: IntegrityFault) -> IntegrityFault:
    """Return the refusal to begin with something in which there is no commit of a log."""
    return IntegrityFault(
        f"what {shared.remote} has as {shared.ref} is no log: {fault.message}",
        next=f"see what was pushed there: git log refs/gitcoord/kept/{found.hex()}",
        commit=found.hex(),
    )
