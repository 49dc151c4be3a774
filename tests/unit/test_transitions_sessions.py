"""The rules of sessions, on a log in memory: who may be whom, for how long, and how one is found gone."""

from __future__ import annotations

from typing import Any

import pytest

from gitcoord.errors import (
    BadRequest,
    CoordError,
    InvalidName,
    LimitReached,
    Refused,
    SessionEnded,
    SessionTaken,
)
from gitcoord.model import DEFAULT_LIMITS
from gitcoord.transitions import clocks
from support.clock import ManualClock
from support.ledger import Ledger, reading


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def proof(clock: ManualClock) -> dict[str, Any]:
    return {"boot": clock.stamp().boot, "device": 1, "inode": 2, "nonce": "n"}


def start_with_process(ledger: Ledger, session: str) -> None:
    ledger.start(session, proof=proof(ledger.clock))


def reap(ledger: Ledger, by: str, target: str, kind: str, clock: ManualClock | None = None) -> dict[str, Any]:
    fields = {"target": target, "target_incarnation": ledger.incarnations[target], "evidence": {"kind": kind}}
    return ledger.run("session.reap", by, clock, **fields)


def challenge(ledger: Ledger, by: str, target: str, clock: ManualClock | None = None) -> dict[str, Any]:
    fields = {"target": target, "target_incarnation": ledger.incarnations[target]}
    return ledger.run("session.challenge", by, clock, **fields)


# -- signing on


def test_a_session_is_on_the_state_with_what_it_said(ledger: Ledger) -> None:
    made = ledger.start("s1", intent="rework", agent="claude-code", lease_s=600)
    record = ledger.session("s1")
    assert record["incarnation"] == made["id"]
    assert (record["intent"], record["agent"], record["lease_s"], record["held"]) == ("rework", "claude-code", 600, 0)
    assert record["clock"] == reading(ledger.clock)


def test_a_live_id_is_refused_with_who_has_it_and_since_when(ledger: Ledger) -> None:
    ledger.start("s1")
    since = ledger.session("s1")["started_at"]
    ledger.clock.advance(5)
    with pytest.raises(SessionTaken) as caught:
        ledger.start("s1")
    assert "Ada Test" in caught.value.message
    assert since in caught.value.message
    assert caught.value.facts["since"] == since


@pytest.mark.parametrize("kind", ["process-gone", "lease-over", "challenge"])
def test_a_live_session_is_not_taken_over(ledger: Ledger, kind: str) -> None:
    ledger.start("s1")
    ledger.clock.advance(899)
    with pytest.raises(Refused, match=kind):
        ledger.start("s1", takeover=ledger.takeover_of("s1", kind))


def test_a_takeover_of_another_incarnation_than_the_newest_is_refused(ledger: Ledger) -> None:
    ledger.start("s1")
    stale = ledger.takeover_of("s1", "lease-over")
    ledger.clock.advance(900)
    ledger.start("s1", takeover=ledger.takeover_of("s1", "lease-over"))
    ledger.clock.advance(900)
    with pytest.raises(SessionTaken):
        ledger.start("s1", takeover=stale)


@pytest.mark.parametrize("kind", ["lease-over", "process-gone", "magic"])
def test_a_takeover_of_nobody_is_refused(ledger: Ledger, kind: str) -> None:
    # The audit would tell of a death that never was.
    with pytest.raises(CoordError):
        ledger.start("s1", takeover={"incarnation": "nobody", "evidence": {"kind": kind}})


def test_a_takeover_is_a_new_incarnation_and_inherits_no_lock(ledger: Ledger) -> None:
    ledger.start("s1")
    ledger.start("s2")
    ledger.lock("s1", "a", "b")
    ledger.lock("s1", "deploy", resource=True)
    before = ledger.incarnations["s1"]
    ledger.clock.advance(900)
    ledger.start("s1", takeover=ledger.takeover_of("s1", "lease-over"))
    assert ledger.session("s1")["incarnation"] != before
    assert ledger.session("s1")["held"] == 0
    assert ledger.held("s1") == []
    ledger.lock("s2", "a")


def test_an_old_incarnation_is_refused_in_every_operation(ledger: Ledger) -> None:
    ledger.start("s1")
    ledger.start("s2")
    old = ledger.incarnations["s1"]
    ledger.clock.advance(900)
    ledger.start("s1", takeover=ledger.takeover_of("s1", "lease-over"))
    ledger.incarnations["s1"] = old
    tries: list[tuple[str, dict[str, Any]]] = [
        ("session.renew", {"lease_s": None, "intent": None, "others": []}),
        ("session.end", {}),
        ("lock.acquire", {"claims": [], "mode": "exclusive", "reason": "", "ttl_s": None}),
        ("data.store", {"scope": "s", "key": "k", "value": 1, "expect_revision": None, "replaces": None}),
        ("session.resume", {"process": False, "proof": None, "lease_s": 60, "machine_name": "m"}),
    ]
    for kind, fields in tries:
        with pytest.raises(SessionEnded, match="taken over"):
            ledger.run(kind, "s1", **fields)


def test_one_who_never_signed_on_is_refused(ledger: Ledger) -> None:
    with pytest.raises(SessionEnded):
        ledger.store("nobody", "s", "k", 1)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "a\nb", "x" * 65, "a.lock", "a.json", "ä", "@a", "a."])
def test_a_name_that_cannot_be_an_id_is_refused(ledger: Ledger, name: str) -> None:
    with pytest.raises(InvalidName):
        ledger.start(name)


@pytest.mark.parametrize("lease_s", [0, -1, 1.5, "900", True, None])
def test_a_lease_that_is_no_positive_whole_number_is_refused(ledger: Ledger, lease_s: Any) -> None:
    with pytest.raises(BadRequest):
        ledger.start("s1", lease_s=lease_s)


def test_a_lease_beyond_the_limit_is_refused_and_the_limit_told(ledger: Ledger) -> None:
    longest = DEFAULT_LIMITS["lease_max_s"]
    ledger.start("s1", lease_s=longest)
    with pytest.raises(LimitReached, match=str(longest)):
        ledger.start("s2", lease_s=longest + 1)


@pytest.mark.parametrize("field", ["intent", "agent"])
@pytest.mark.parametrize("text", ["x" * 501, "\ud800", 7, None], ids=["long", "surrogate", "number", "none"])
def test_a_text_that_cannot_be_recorded_is_refused(ledger: Ledger, field: str, text: Any) -> None:
    with pytest.raises(CoordError):
        ledger.start("s1", **{field: text})
    assert ledger.state.session("s1") is None


# -- leases


def test_a_lease_lasts_its_whole_time_and_no_longer(ledger: Ledger) -> None:
    ledger.start("s1", lease_s=60)
    record = ledger.session("s1")
    ledger.clock.advance(59.999)
    assert not clocks.lease_is_over(record, reading(ledger.clock))
    ledger.clock.advance(0.001)
    assert clocks.lease_is_over(record, reading(ledger.clock))


@pytest.mark.parametrize("jump_s", [-86400 * 365, -1, 1, 86400 * 365])
def test_setting_the_wall_clock_ends_and_stretches_no_lease(ledger: Ledger, jump_s: int) -> None:
    ledger.start("s1", lease_s=60)
    record = ledger.session("s1")
    ledger.clock.jump(jump_s)
    assert not clocks.lease_is_over(record, reading(ledger.clock))
    ledger.clock.advance(60)
    assert clocks.lease_is_over(record, reading(ledger.clock))


def test_after_a_reboot_the_wall_clock_decides(ledger: Ledger) -> None:
    ledger.start("s1", lease_s=60)
    record = ledger.session("s1")
    ledger.clock.advance(30)
    ledger.clock.reboot()
    assert not clocks.lease_is_over(record, reading(ledger.clock))
    ledger.clock.advance(29)
    assert not clocks.lease_is_over(record, reading(ledger.clock))
    ledger.clock.advance(1)
    assert clocks.lease_is_over(record, reading(ledger.clock))


def test_after_a_reboot_a_clock_that_went_back_ends_nothing(ledger: Ledger) -> None:
    ledger.start("s1", lease_s=60)
    record = ledger.session("s1")
    ledger.clock.reboot()
    ledger.clock.jump(-3600)
    ledger.clock.advance(120)
    assert not clocks.lease_is_over(record, reading(ledger.clock))


def test_a_lapsed_lease_revives_with_the_sessions_next_operation(ledger: Ledger) -> None:
    ledger.start("s1", lease_s=60)
    ledger.lock("s1", "a")
    token = ledger.lock_of("s1", "a")["token"]
    ledger.clock.advance(10_000)
    ledger.store("s1", "s", "k", 1)
    assert not clocks.lease_is_over(ledger.session("s1"), reading(ledger.clock))
    assert ledger.lock_of("s1", "a")["token"] == token


@pytest.mark.parametrize("kind", ["store", "lock", "unlock", "renew"])
def test_any_operation_renews_the_lease(ledger: Ledger, kind: str) -> None:
    ledger.start("s1", lease_s=60)
    ledger.lock("s1", "held")
    ledger.clock.advance(50)
    {
        "store": lambda: ledger.store("s1", "s", "k", 1),
        "lock": lambda: ledger.lock("s1", "b"),
        "unlock": lambda: ledger.unlock("s1", "held"),
        "renew": lambda: ledger.run("session.renew", "s1", lease_s=None, intent=None, others=[]),
    }[kind]()
    ledger.clock.advance(59)
    assert not clocks.lease_is_over(ledger.session("s1"), reading(ledger.clock))


def test_one_renewal_renews_many_sessions_of_the_machine(ledger: Ledger) -> None:
    for name in ("s1", "s2", "s3"):
        ledger.start(name, lease_s=60)
    before = ledger.revision
    ledger.clock.advance(30)
    others = [{"session": name, "incarnation": ledger.incarnations[name]} for name in ("s2", "s3")]
    ledger.run("session.renew", "s1", lease_s=None, intent=None, others=others)
    ledger.clock.advance(59)
    assert ledger.revision == before + 1
    for name in ("s1", "s2", "s3"):
        assert not clocks.lease_is_over(ledger.session(name), reading(ledger.clock))


def test_a_renewal_by_a_neighbour_keeps_the_notices_for_the_session(ledger: Ledger) -> None:
    for name in ("s1", "s2"):
        ledger.start(name)
    ledger.lock("s2", "a")
    ledger.run("lock.break", "s1", locks=ledger.named("s2", "a"), reason="stale")
    others = [{"session": "s2", "incarnation": ledger.incarnations["s2"]}]
    ledger.run("session.renew", "s1", lease_s=None, intent=None, others=others)
    assert len(ledger.session("s2")["notices"]) == 1
    ledger.run("session.renew", "s2", lease_s=None, intent=None, others=[], keeps_notices=True)
    assert len(ledger.session("s2")["notices"]) == 1
    ledger.run("session.renew", "s2", lease_s=None, intent=None, others=[])
    assert ledger.session("s2")["notices"] == []


def test_a_session_of_another_machine_is_not_renewed_along(ledger: Ledger) -> None:
    far = ManualClock(machine="machine-b")
    ledger.start("s1")
    ledger.start("s2", clock=far)
    others = [{"session": "s2", "incarnation": ledger.incarnations["s2"]}]
    with pytest.raises(Refused, match="another machine"):
        ledger.run("session.renew", "s1", lease_s=None, intent=None, others=others)


def test_a_renewal_of_somebody_who_is_gone_changes_nothing(ledger: Ledger) -> None:
    ledger.start("s1")
    before = ledger.trees[-1]
    with pytest.raises(SessionEnded):
        ledger.run("session.renew", "s1", lease_s=None, intent=None, others=[{"session": "s9", "incarnation": "x"}])
    assert ledger.trees[-1] == before


# -- going


def test_signing_off_releases_all_that_the_session_holds_in_the_same_commit(ledger: Ledger) -> None:
    ledger.start("s1")
    ledger.start("s2")
    ledger.lock("s1", "a", "b/c", "src/*.py")
    ledger.lock("s1", "deploy", resource=True)
    ledger.lock("s2", "b/d")
    facts = ledger.run("session.end", "s1")
    assert sorted(lock["path"] for lock in facts["released"]) == ["a", "b/c", "deploy", "src/*.py"]
    assert ledger.held("s1") == []
    assert ledger.held("s2") == ["b/d"]
    assert ledger.state.session("s1") is None


@pytest.mark.parametrize("kind", ["process-gone", "lease-over", "challenge", "magic", ""])
def test_a_living_session_is_not_reaped(ledger: Ledger, kind: str) -> None:
    ledger.start("s1")
    ledger.start("s2")
    with pytest.raises(CoordError):
        reap(ledger, "s2", "s1", kind)
    assert ledger.state.session("s1") is not None


def test_a_reaped_sessions_locks_are_free_and_it_is_gone(ledger: Ledger) -> None:
    start_with_process(ledger, "s1")
    ledger.start("s2")
    ledger.lock("s1", "a", "b")
    facts = reap(ledger, "s2", "s1", "process-gone")
    assert sorted(lock["path"] for lock in facts["released"]) == ["a", "b"]
    assert ledger.state.session("s1") is None
    ledger.lock("s2", "a")
    with pytest.raises(SessionEnded):
        ledger.lock("s1", "c")


def test_without_a_process_nobody_attests_that_one_is_gone(ledger: Ledger) -> None:
    ledger.start("s1")
    ledger.start("s2")
    with pytest.raises(Refused):
        reap(ledger, "s2", "s1", "process-gone")


def test_after_a_reboot_a_free_lock_proves_nothing(ledger: Ledger) -> None:
    start_with_process(ledger, "s1")
    ledger.clock.reboot()
    ledger.start("s2")
    with pytest.raises(Refused):
        reap(ledger, "s2", "s1", "process-gone")


def test_another_machine_cannot_attest_a_death_nor_judge_a_lease(ledger: Ledger) -> None:
    far = ManualClock(machine="machine-b")
    start_with_process(ledger, "s1")
    ledger.start("s2", clock=far)
    far.advance(10_000)
    for kind in ("process-gone", "lease-over"):
        with pytest.raises(Refused):
            reap(ledger, "s2", "s1", kind, far)


def test_a_machine_that_shares_a_boots_name_cannot_attest_a_death_either(ledger: Ledger) -> None:
    twin = ManualClock(machine="machine-b", boot=ledger.clock.boot)
    start_with_process(ledger, "s1")
    ledger.start("s2", clock=twin)
    with pytest.raises(Refused):
        reap(ledger, "s2", "s1", "process-gone", twin)


def test_a_reap_names_the_incarnation_that_it_means(ledger: Ledger) -> None:
    ledger.start("s1", lease_s=60)
    ledger.start("s2", lease_s=9000)
    ledger.clock.advance(60)
    stale = ledger.incarnations["s1"]
    ledger.start("s1", takeover=ledger.takeover_of("s1", "lease-over"), lease_s=60)
    ledger.clock.advance(60)
    with pytest.raises(SessionEnded):
        ledger.run("session.reap", "s2", target="s1", target_incarnation=stale, evidence={"kind": "lease-over"})


def test_a_session_does_not_reap_itself(ledger: Ledger) -> None:
    ledger.start("s1", lease_s=60)
    ledger.clock.advance(100)
    with pytest.raises(CoordError):
        reap(ledger, "s1", "s1", "lease-over")
