"""The rules of locks, on a log in memory: who may hold what beside whom, and what a token promises."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gitcoord.errors import BadRequest, CoordError, LimitReached, LockHeld, Refused, TooLarge
from gitcoord.transitions import clocks
from gitcoord.transitions.locks import claim_record
from support.clock import ManualClock
from support.ledger import Ledger, claims_of, reading

MODES = ("exclusive", "shared", "intent")
FREE = {("shared", "shared"), *(pair for pair in itertools.product(MODES, MODES) if "intent" in pair)}


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    for name in ("s1", "s2", "s3"):
        made.start(name)
    return made


def breaking(ledger: Ledger, by: str, holder: str, *names: str, reason: Any = "stale") -> dict[str, Any]:
    return ledger.run("lock.break", by, locks=ledger.named(holder, *names), reason=reason)


def expiring(ledger: Ledger, by: str, holder: str, *names: str, clock: ManualClock | None = None) -> dict[str, Any]:
    return ledger.run("lock.expire", by, clock, locks=ledger.named(holder, *names))


# -- who may hold what beside whom


@pytest.mark.parametrize(("held", "wanted"), list(itertools.product(MODES, MODES)))
def test_modes_go_together_as_the_matrix_says(ledger: Ledger, held: str, wanted: str) -> None:
    ledger.lock("s1", "a", mode=held)
    if (held, wanted) in FREE:
        ledger.lock("s2", "a", mode=wanted)
        assert ledger.held("s2") == ["a"]
    else:
        with pytest.raises(LockHeld) as caught:
            ledger.lock("s2", "a", mode=wanted)
        assert [lock["session"] for lock in caught.value.facts["held"]] == ["s1"]
        assert "s1" in caught.value.message
        assert ledger.held("s2") == []


@pytest.mark.parametrize(("held", "wanted"), [pair for pair in itertools.product(MODES, MODES) if "intent" in pair])
def test_an_intent_warns_in_both_directions(ledger: Ledger, held: str, wanted: str) -> None:
    ledger.lock("s1", "a", mode=held)
    beside = ledger.lock("s2", "a", mode=wanted)["beside"]
    assert [(lock["session"], lock["mode"]) for lock in beside] == [("s1", held)]


PAIRS = [
    ("src", "src/a.py"),
    ("src/", "src/sub/deep/a.py"),
    ("src/*.py", "src/a.py"),
    ("src/**", "src/a/b"),
    ("src/*.py", "src/a*"),
    ("**/test_*.py", "tests/"),
    ("*", "README.md"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS + [(b, a) for a, b in PAIRS])
def test_what_overlaps_conflicts_in_both_directions(ledger: Ledger, one: str, other: str) -> None:
    ledger.lock("s1", one)
    with pytest.raises(LockHeld):
        ledger.lock("s2", other)


def test_resources_conflict_by_their_exact_name(ledger: Ledger) -> None:
    ledger.lock("s1", "deploy/prod", resource=True)
    for name in ("deploy", "deploy/prod/eu", "Deploy/prod", "deploy*"):
        ledger.lock("s2", name, resource=True)
    with pytest.raises(LockHeld):
        ledger.lock("s2", "deploy/prod", resource=True)


def test_a_path_that_does_not_exist_can_be_locked(ledger: Ledger) -> None:
    ledger.lock("s1", "not/there/yet.py")
    assert ledger.held("s1") == ["not/there/yet.py"]


def test_several_are_granted_all_or_none(ledger: Ledger) -> None:
    ledger.lock("s1", "b")
    before = ledger.trees[-1]
    with pytest.raises(LockHeld):
        ledger.lock("s2", "a", "b", "c")
    assert ledger.trees[-1] == before
    assert ledger.held("s2") == []
    ledger.lock("s2", "a", "c")
    tokens = {ledger.lock_of("s2", path)["token"] for path in ("a", "c")}
    assert tokens == {ledger.revision}


def test_every_lock_in_the_way_is_named_once(ledger: Ledger) -> None:
    ledger.lock("s1", "src/a", "src/b")
    ledger.lock("s2", "docs/c")
    with pytest.raises(LockHeld) as caught:
        ledger.lock("s3", "src", "docs", "src/a", "*/a")
    held = [(lock["path"], lock["session"]) for lock in caught.value.facts["held"]]
    assert sorted(held) == [("docs/c", "s2"), ("src/a", "s1"), ("src/b", "s1")]


def test_ones_own_locks_never_stand_in_ones_way(ledger: Ledger) -> None:
    ledger.lock("s1", "src/a.py")
    ledger.lock("s1", "src")
    ledger.lock("s1", "src/*.py")
    assert ledger.session("s1")["held"] == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "write"},
        {"mode": None},
        {"claims": []},
        {"reason": None},
        {"reason": "\ud800"},
        {"ttl_s": 0},
        {"ttl_s": -5},
        {"ttl_s": 1.5},
        {"ttl_s": True},
        {"ttl_s": "60"},
    ],
    ids=repr,
)
def test_a_malformed_request_is_refused_and_changes_nothing(ledger: Ledger, fields: dict[str, Any]) -> None:
    before = ledger.trees[-1]
    good: dict[str, Any] = {"claims": [claim_record(claims_of("a")[0])], "mode": "shared", "reason": "", "ttl_s": None}
    with pytest.raises(BadRequest):
        ledger.run("lock.acquire", "s1", **{**good, **fields})
    assert ledger.trees[-1] == before


@pytest.mark.parametrize(
    "record",
    [
        {"path": "a", "key": "", "kind": "file"},
        {"path": "a", "key": "a//b", "kind": "file"},
        {"path": "a", "key": "/a", "kind": "file"},
        {"path": "a", "key": "a/", "kind": "directory"},
        {"path": "a", "key": "a\0b", "kind": "file"},
        {"path": "a", "key": "a/../b", "kind": "file"},
        {"path": "a", "key": "a/./b", "kind": "file"},
        {"path": "a", "key": "a", "kind": "nothing"},
        {"path": "*.py", "key": "*.py", "kind": "file"},
        {"path": "harmless.md", "key": "src/app.py", "kind": "file"},
    ],
    ids=repr,
)
def test_a_claim_that_no_path_gives_is_refused(ledger: Ledger, record: dict[str, str]) -> None:
    with pytest.raises(CoordError):
        ledger.run("lock.acquire", "s1", claims=[record], mode="exclusive", reason="", ttl_s=None)


def test_the_same_claim_twice_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BadRequest, match="twice"):
        ledger.lock("s1", "a", "a")


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_reason_has_a_limit_in_bytes(ledger: Ledger, letter: str) -> None:
    fits = letter * (2000 // len(letter.encode()))
    ledger.lock("s1", "a", reason=fits)
    with pytest.raises(TooLarge, match="2,000"):
        ledger.lock("s1", "a", reason=fits + "x")


# -- re-locking


def test_relocking_keeps_token_grant_and_date_and_may_change_the_reason(ledger: Ledger) -> None:
    ledger.lock("s1", "a", reason="first")
    first = ledger.lock_of("s1", "a")
    ledger.clock.advance(60)
    ledger.lock("s1", "a", reason="second")
    second = ledger.lock_of("s1", "a")
    assert [second[name] for name in ("token", "grant", "locked_at")] == [
        first[name] for name in ("token", "grant", "locked_at")
    ]
    assert second["reason"] == "second"
    ledger.lock("s1", "a")
    assert ledger.lock_of("s1", "a")["reason"] == "second"
    assert ledger.session("s1")["held"] == 1


@pytest.mark.parametrize(("old", "new"), [("shared", "exclusive"), ("intent", "shared"), ("intent", "exclusive")])
def test_an_upgrade_when_alone_is_a_new_grant(ledger: Ledger, old: str, new: str) -> None:
    ledger.lock("s1", "a", mode=old, reason="why")
    first = ledger.lock_of("s1", "a")
    ledger.lock("s1", "a", mode=new)
    second = ledger.lock_of("s1", "a")
    assert second["mode"] == new
    assert second["token"] == ledger.revision
    assert second["token"] > first["token"]
    assert second["grant"] != first["grant"]
    assert second["reason"] == "why"


def test_an_upgrade_is_refused_while_others_share(ledger: Ledger) -> None:
    ledger.lock("s1", "a", mode="shared")
    ledger.lock("s2", "a", mode="shared")
    with pytest.raises(LockHeld):
        ledger.lock("s1", "a")
    assert ledger.lock_of("s1", "a")["mode"] == "shared"
    ledger.unlock("s2", "a")
    ledger.lock("s1", "a")


def test_a_downgrade_keeps_the_token_and_lets_others_share(ledger: Ledger) -> None:
    ledger.lock("s1", "a")
    token = ledger.lock_of("s1", "a")["token"]
    ledger.lock("s1", "a", mode="shared")
    assert ledger.lock_of("s1", "a")["token"] == token
    ledger.lock("s2", "a", mode="shared")


def test_a_file_that_became_a_directory_is_granted_anew(ledger: Ledger) -> None:
    ledger.lock("s1", "new")
    token = ledger.lock_of("s1", "new")["token"]
    ledger.lock("s1", "new/")
    lock = ledger.lock_of("s1", "new")
    assert lock["kind"] == "directory"
    assert lock["token"] > token
    assert ledger.session("s1")["held"] == 1


# -- tokens


def test_tokens_of_a_path_grow_through_release_break_expiry_reap_and_takeover(ledger: Ledger) -> None:
    tokens: list[int] = []

    def grant(session: str, ttl_s: int | None = None) -> None:
        ledger.lock(session, "a", ttl_s=ttl_s)
        tokens.append(ledger.lock_of(session, "a")["token"])

    grant("s1")
    ledger.unlock("s1", "a")
    grant("s1", 10)
    ledger.clock.advance(10)
    expiring(ledger, "s2", "s1", "a")
    grant("s2")
    breaking(ledger, "s3", "s2", "a")
    grant("s3")
    ledger.clock.advance(900)
    ledger.start("s3", takeover=ledger.takeover_of("s3", "lease-over"))
    grant("s3")
    ledger.clock.advance(900)
    ledger.run(
        "session.reap",
        "s1",
        target="s3",
        target_incarnation=ledger.incarnations["s3"],
        evidence={"kind": "lease-over"},
    )
    grant("s1")
    assert tokens == sorted(set(tokens))


# -- times


def test_a_ttl_ends_one_lock_and_leaves_the_others(ledger: Ledger) -> None:
    ledger.lock("s1", "a", ttl_s=60)
    ledger.lock("s1", "b")
    ledger.clock.advance(59.999)
    with pytest.raises(Refused, match="not up"):
        expiring(ledger, "s2", "s1", "a")
    ledger.clock.advance(0.001)
    with pytest.raises(Refused):
        expiring(ledger, "s2", "s1", "b")
    facts = expiring(ledger, "s2", "s1", "a")
    assert [lock["path"] for lock in facts["expired"]] == ["a"]
    assert ledger.held("s1") == ["b"]
    assert ledger.session("s1")["held"] == 1
    assert "a" in ledger.session("s1")["notices"][0]["text"]


def test_acquiring_never_removes_anothers_lock_by_itself(ledger: Ledger) -> None:
    ledger.lock("s1", "a", ttl_s=60)
    ledger.clock.advance(100_000)
    with pytest.raises(LockHeld):
        ledger.lock("s2", "a")


def test_a_lock_whose_time_is_up_is_kept_by_relocking_it(ledger: Ledger) -> None:
    ledger.lock("s1", "a", ttl_s=60)
    ledger.clock.advance(70)
    ledger.lock("s1", "a")
    assert ledger.lock_of("s1", "a")["term"] is None
    with pytest.raises(Refused):
        expiring(ledger, "s2", "s1", "a")


def test_a_ttl_beyond_the_lease_lengthens_the_lease_up_to_the_limit(ledger: Ledger) -> None:
    assert ledger.session("s1")["lease_s"] == 900
    ledger.lock("s1", "a", ttl_s=60)
    assert ledger.session("s1")["lease_s"] == 900
    ledger.lock("s1", "a", ttl_s=7200)
    assert ledger.session("s1")["lease_s"] == 7200
    ledger.clock.advance(7199)
    assert not clocks.lease_is_over(ledger.session("s1"), reading(ledger.clock))
    ledger.lock("s1", "a", ttl_s=86400)
    with pytest.raises(LimitReached, match="86400"):
        ledger.lock("s1", "a", ttl_s=86401)


@pytest.mark.parametrize("jump_s", [-86400, 86400])
def test_setting_the_wall_clock_ends_no_lock(ledger: Ledger, jump_s: int) -> None:
    ledger.lock("s1", "a", ttl_s=60)
    ledger.clock.jump(jump_s)
    with pytest.raises(Refused):
        expiring(ledger, "s2", "s1", "a")
    ledger.clock.advance(60)
    expiring(ledger, "s2", "s1", "a")


def test_a_lock_of_another_machine_is_not_ended_by_this_ones_clock(ledger: Ledger) -> None:
    far = ManualClock(machine="machine-b")
    ledger.start("s4", clock=far)
    ledger.lock("s1", "a", ttl_s=60)
    far.advance(10_000)
    with pytest.raises(Refused):
        expiring(ledger, "s4", "s1", "a", clock=far)
