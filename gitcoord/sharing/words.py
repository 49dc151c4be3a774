"""What is said of a remote that is not as it was: events for the record, and refusals to go on."""

from __future__ import annotations

from gitcoord.errors import IntegrityFault, RemoteDamaged, RemoteRejected, RemoteUnknown, UnrelatedLogs
from gitcoord.model_time import Stamp, format_time
from gitcoord.runtime.shared import BRANCH_REF, Shared
from gitcoord.values import Any

_REASON = 500


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


def quarantined(now: Stamp, good: bytes, found: bytes, fault: IntegrityFault, way_out: str) -> dict[str, Any]:
    """Return what is to be known of bad history while the remote has it.

    Args:
        now: when it was met.
        good: the newest commit that is used.
        found: the tip that the remote has.
        fault: the first thing that is wrong with it.
        way_out: what to do.
    """
    return {
        "tip": found.hex(),
        "good": good.hex(),
        "commit": str(fault.facts.get("commit", found.hex())),
        "rule": str(fault.facts.get("rule", "unreadable")),
        "reason": fault.message[:_REASON],
        "at": format_time(now.at_ms),
        "next": way_out,
    }


def unrelated(remote: str, ours: str, theirs: str) -> UnrelatedLogs:
    """Return the refusal to mix two logs that began apart."""
    return UnrelatedLogs(
        f"{remote} holds the log of repository {theirs}; this clone's is {ours}: they began apart",
        next=f"gitcoord sync --remote {remote} --adopt takes this clone's operations over into the remote's log",
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


def not_adopted(shared: Shared, found: bytes, fault: IntegrityFault) -> IntegrityFault:
    """Return the refusal to take a log over into one that is not good, or not of the trusted root."""
    way_out = fault.next
    if fault.facts.get("rule") == "root":
        way_out = f"if its root is to be trusted here: gitcoord init --remote {shared.remote} --adopt --trust KEY"
    message = f"the log on {shared.remote} is not one to take this clone's over into: {fault.message}"
    return type(fault)(message, next=way_out, **{"commit": found.hex(), **fault.facts})


def damaged(shared: Shared, name: str, before: bytes, found: bytes | None) -> RemoteDamaged:
    """Return the refusal to go on with a log that is not what it was, where it is not to be put right."""
    return RemoteDamaged(
        f"the log on {shared.remote} is {name}: it was last seen at {before.hex()}, and is now "
        f"{'gone' if found is None else 'at ' + found.hex()}",
        next="look at both (git log refs/gitcoord/kept/...), then: git config gitcoord.restore true, gitcoord sync",
        event=name,
    )


def answer_lost(shared: Shared, reason: str) -> RemoteUnknown:
    """Return what is said of a push whose end is not known."""
    return RemoteUnknown(
        f"the answer of {shared.remote} was lost ({reason or 'no answer'}); what was pushed may stand there, now or a "
        "little later"
    )


def not_known(said: RemoteRejected) -> RemoteUnknown:
    """Return what is said of a push that may have passed before the remote began to turn it away."""
    return RemoteUnknown(
        f"an earlier push of it may land yet, though by now: {said.message}",
        next="any other change that the remote takes decides it, and gitcoord sync tells which way",
    )


def not_taken(shared: Shared, reason: str) -> RemoteRejected:
    """Return what is said of a push that the remote does not take."""
    way_out = "see what the remote asks for"
    if shared.ref != BRANCH_REF:
        way_out += f"; where it takes branches only: gitcoord sync --remote {shared.remote} --branch"
    return RemoteRejected(f"{shared.remote} does not take {shared.ref}: {reason}", next=way_out)
