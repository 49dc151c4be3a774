"""The rules of challenges, of resuming, and of the log itself, on a log in memory."""

from __future__ import annotations

from typing import Any

import pytest

from gitcoord.errors import (
    BadRequest,
    CoordError,
    Refused,
    SessionEnded,
    UnsupportedFormat,
)
from gitcoord.transitions import advance
from support.clock import ManualClock
from support.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def proof(clock: ManualClock) -> dict[str, Any]:
    return {"boot": clock.stamp().boot, "device": 1, "inode": 2, "nonce": "n"}


def reap(ledger: Ledger, by: str, target: str, kind: str, clock: ManualClock | None = None) -> dict[str, Any]:
    fields = {"target": target, "target_incarnation": ledger.incarnations[target], "evidence": {"kind": kind}}
    return ledger.run("session.reap", by, clock, **fields)


def challenge(ledger: Ledger, by: str, target: str, clock: ManualClock | None = None) -> dict[str, Any]:
    fields = {"target": target, "target_incarnation": ledger.incarnations[target]}
    return ledger.run("session.challenge", by, clock, **fields)


# -- challenges


@pytest.fixture
def far() -> ManualClock:
    return ManualClock(machine="machine-b")


@pytest.fixture
def two_machines(ledger: Ledger, far: ManualClock) -> Ledger:
    """Return a log on which s1 of machine-a holds `a` with a lease of 100 s, and s2 of machine-b wants it."""
    ledger.start("s1", lease_s=100)
    ledger.start("s2", clock=far, lease_s=9000)
    ledger.lock("s1", "a")
    return ledger


def test_a_challenge_that_stood_a_whole_lease_and_a_little_more_ends_the_session(
    two_machines: Ledger, far: ManualClock
) -> None:
    challenge(two_machines, "s2", "s1", far)
    far.advance(104.9)
    with pytest.raises(Refused):
        reap(two_machines, "s2", "s1", "challenge", far)
    far.advance(0.1)
    reap(two_machines, "s2", "s1", "challenge", far)
    two_machines.lock("s2", "a", clock=far)


def test_no_setting_of_either_wall_clock_shortens_a_challenge(two_machines: Ledger, far: ManualClock) -> None:
    far.jump(86400 * 400)
    challenge(two_machines, "s2", "s1", far)
    two_machines.clock.advance(99)
    far.advance(99)
    far.jump(86400 * 400)
    with pytest.raises(Refused):
        reap(two_machines, "s2", "s1", "challenge", far)


def test_any_operation_of_the_challenged_voids_the_challenge(two_machines: Ledger, far: ManualClock) -> None:
    challenge(two_machines, "s2", "s1", far)
    far.advance(50)
    two_machines.store("s1", "s", "k", 1)
    assert "challenge" not in two_machines.session("s1")
    far.advance(1000)
    with pytest.raises(Refused):
        reap(two_machines, "s2", "s1", "challenge", far)


def test_a_second_challenge_does_not_start_the_clock_anew(two_machines: Ledger, far: ManualClock) -> None:
    challenge(two_machines, "s2", "s1", far)
    far.advance(100)
    challenge(two_machines, "s2", "s1", far)
    far.advance(5)
    reap(two_machines, "s2", "s1", "challenge", far)


def test_a_challenge_is_judged_by_the_challengers_machine_only(two_machines: Ledger, far: ManualClock) -> None:
    third = ManualClock(machine="machine-c")
    two_machines.start("s3", clock=third, lease_s=9000)
    challenge(two_machines, "s2", "s1", far)
    third.advance(1000)
    with pytest.raises(Refused):
        reap(two_machines, "s3", "s1", "challenge", third)


def test_a_challenger_that_comes_again_every_while_gets_there_beside_another_machines(
    two_machines: Ledger, far: ManualClock
) -> None:
    # Two machines that want the same thing must not set each other's clocks back for ever.
    third = ManualClock(machine="machine-c")
    two_machines.start("s3", clock=third, lease_s=9000)
    gone = False
    for _ in range(40):
        for name, clock in (("s2", far), ("s3", third)):
            for other in (two_machines.clock, far, third):
                other.advance(10)
            try:
                reap(two_machines, name, "s1", "challenge", clock)
            except Refused:
                challenge(two_machines, name, "s1", clock)
            else:
                gone = True
                break
        if gone:
            break
    assert gone


def test_a_session_of_ones_own_machine_is_not_challenged(ledger: Ledger) -> None:
    ledger.start("s1")
    ledger.start("s2")
    with pytest.raises(BadRequest, match="its own clock decides"):
        challenge(ledger, "s2", "s1")


def test_a_takeover_by_challenge_makes_a_new_incarnation(two_machines: Ledger, far: ManualClock) -> None:
    challenge(two_machines, "s2", "s1", far)
    far.advance(105)
    two_machines.start("s1", clock=far, takeover=two_machines.takeover_of("s1", "challenge"))
    assert two_machines.held("s1") == []
    assert "challenge" not in two_machines.session("s1")


# -- resuming


def test_an_agent_that_resumes_goes_on_with_its_locks_and_tokens(ledger: Ledger) -> None:
    ledger.start("s1")
    ledger.lock("s1", "a")
    token = ledger.lock_of("s1", "a")["token"]
    ledger.clock.advance(5000)
    fields: dict[str, Any] = {"process": True, "proof": proof(ledger.clock), "lease_s": 600, "machine_name": "other"}
    ledger.run("session.resume", "s1", **fields)
    record = ledger.session("s1")
    assert (record["incarnation"], record["lease_s"], record["held"]) == (ledger.incarnations["s1"], 600, 1)
    assert record["proof"] == fields["proof"]
    assert ledger.lock_of("s1", "a")["token"] == token


def test_a_reaped_incarnation_does_not_resume(ledger: Ledger) -> None:
    ledger.start("s1", lease_s=60)
    ledger.start("s2")
    ledger.clock.advance(60)
    reap(ledger, "s2", "s1", "lease-over")
    with pytest.raises(SessionEnded):
        ledger.run("session.resume", "s1", process=False, proof=None, lease_s=60, machine_name="m")


# -- the log itself


def test_a_log_begins_once(ledger: Ledger) -> None:
    ledger.start("s1")
    forged = ledger.init_operation({"version": 1, "case": "insensitive", "unsigned": "accepted", "limits": {}})
    forged["repository"] = "another"
    with pytest.raises(CoordError):
        ledger.apply(forged)


def test_nothing_rides_in_the_commit_that_begins_a_log() -> None:
    ledger = Ledger()
    first = ledger.init_operation(ledger.state.policy)
    with pytest.raises(CoordError):
        advance(ledger.objects.state(None), [first, ledger.operation("session.end", "s1")])


def test_an_operation_without_a_log_is_refused(ledger: Ledger) -> None:
    with pytest.raises(CoordError):
        advance(ledger.objects.state(None), [ledger.operation("session.end", "s1")])


def test_a_commit_without_operations_is_none(ledger: Ledger) -> None:
    with pytest.raises(BadRequest):
        advance(ledger.state.fork(), [])


@pytest.mark.parametrize("kind", ["task.claim", "", "log.init"])
def test_an_operation_that_these_rules_do_not_know_is_refused_and_named(ledger: Ledger, kind: str) -> None:
    ledger.start("s1")
    known = ledger.operation("session.renew", "s1", lease_s=None, intent=None, others=[])
    unknown = ledger.operation(kind, "s1")
    with pytest.raises(UnsupportedFormat, match=unknown["id"]):
        ledger.apply(known, unknown)


def test_revisions_grow_by_one_with_each_commit_however_many_operations_it_has(ledger: Ledger) -> None:
    ledger.start("s1")
    before = ledger.revision
    ledger.apply(*[ledger.operation("session.renew", "s1", lease_s=None, intent=None, others=[]) for _ in range(3)])
    assert ledger.revision == before + 1


def test_a_refusal_leaves_the_log_as_it_was(ledger: Ledger) -> None:
    ledger.start("s1")
    before = (ledger.trees[-1], ledger.revision)
    good = ledger.operation("session.renew", "s1", lease_s=None, intent="x", others=[])
    bad = ledger.operation("session.renew", "s1", lease_s=0, intent=None, others=[])
    with pytest.raises(CoordError):
        ledger.apply(good, bad)
    assert (ledger.trees[-1], ledger.revision) == before
