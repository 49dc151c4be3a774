"""The rules of releasing and breaking, on a log in memory: who may, and who is told."""

from __future__ import annotations

from typing import Any

import pytest

from gitcoord.errors import BadRequest, CoordError, NotFound, NotHolder
from gitcoord.transitions.locks import claim_record
from support.ledger import Ledger, claims_of, reading


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    for name in ("s1", "s2", "s3"):
        made.start(name)
    return made


def breaking(ledger: Ledger, by: str, holder: str, *names: str, reason: Any = "stale") -> dict[str, Any]:
    return ledger.run("lock.break", by, locks=ledger.named(holder, *names), reason=reason)


def test_only_the_holder_releases(ledger: Ledger) -> None:
    ledger.lock("s1", "a")
    with pytest.raises(NotHolder):
        ledger.unlock("s2", "a")
    ledger.unlock("s1", "a")
    with pytest.raises(NotHolder):
        ledger.unlock("s1", "a")


def test_a_release_of_several_is_all_or_none(ledger: Ledger) -> None:
    ledger.lock("s1", "a")
    with pytest.raises(NotHolder):
        ledger.unlock("s1", "a", "b")
    assert ledger.held("s1") == ["a"]


@pytest.mark.parametrize("reason", ["", "  \n", None, "\ud800"])
def test_a_break_needs_a_reason(ledger: Ledger, reason: Any) -> None:
    ledger.lock("s1", "a")
    with pytest.raises(BadRequest):
        breaking(ledger, "s2", "s1", "a", reason=reason)
    assert ledger.held("s1") == ["a"]


def test_the_loser_of_a_break_is_told_who_why_and_when(ledger: Ledger) -> None:
    ledger.lock("s1", "a", "b")
    ledger.clock.advance(7)
    facts = breaking(ledger, "s2", "s1", "a", "b", reason="{held} for days")
    assert sorted(lock["path"] for lock in facts["broken"]) == ["a", "b"]
    (notice,) = ledger.session("s1")["notices"]
    for told in ("a, b", "s2", "{held} for days", reading(ledger.clock)["time"]):
        assert told in notice["text"]
    assert ledger.session("s1")["held"] == 0


def test_a_break_of_several_holders_tells_each_of_its_own(ledger: Ledger) -> None:
    ledger.lock("s1", "a", mode="shared")
    ledger.lock("s2", "a", mode="shared")
    ledger.lock("s2", "b")
    named = [*ledger.named("s1", "a"), *ledger.named("s2", "a", "b")]
    ledger.run("lock.break", "s3", locks=named, reason="stale")
    assert "on a was" in ledger.session("s1")["notices"][0]["text"]
    assert "on a, b was" in ledger.session("s2")["notices"][0]["text"]
    assert (ledger.session("s1")["held"], ledger.session("s2")["held"]) == (0, 0)


def test_a_path_with_braces_does_not_spoil_what_the_loser_is_told(ledger: Ledger) -> None:
    ledger.lock("s1", "app/{id}/{0}", "b{")
    breaking(ledger, "s2", "s1", "app/{id}/{0}", "b{", reason="{paths} {x}")
    text = ledger.session("s1")["notices"][0]["text"]
    assert "app/{id}/{0}, b{" in text
    assert text.endswith("{paths} {x}")


def test_a_break_means_the_grant_that_was_seen(ledger: Ledger) -> None:
    ledger.lock("s1", "a")
    seen = ledger.named("s1", "a")
    ledger.unlock("s1", "a")
    ledger.lock("s1", "a")
    with pytest.raises(NotFound):
        ledger.run("lock.break", "s2", locks=seen, reason="stale")
    assert ledger.held("s1") == ["a"]


def test_ones_own_lock_is_not_broken(ledger: Ledger) -> None:
    ledger.lock("s1", "a")
    with pytest.raises(BadRequest):
        breaking(ledger, "s1", "s1", "a")


def test_notices_are_kept_until_the_next_operation_and_then_gone(ledger: Ledger) -> None:
    ledger.lock("s1", "a")
    breaking(ledger, "s2", "s1", "a")
    ledger.lock("s2", "x")
    assert len(ledger.session("s1")["notices"]) == 1
    ledger.lock("s1", "b")
    assert ledger.session("s1")["notices"] == []


def test_the_newest_fifty_notices_are_kept(ledger: Ledger) -> None:
    for number in range(55):
        claims = [claim_record(claim) for claim in claims_of(f"f{number}")]
        quiet: dict[str, Any] = {"mode": "exclusive", "reason": "", "ttl_s": None, "keeps_notices": True}
        ledger.run("lock.acquire", "s1", claims=claims, **quiet)
        breaking(ledger, "s2", "s1", f"f{number}")
    notices = ledger.session("s1")["notices"]
    assert len(notices) == 50
    assert "f54" in notices[-1]["text"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("lock.release", {"claims": []}), ("lock.break", {"locks": [], "reason": "x"}), ("lock.expire", {"locks": []})],
)
def test_an_operation_on_nothing_is_refused(ledger: Ledger, kind: str, fields: dict[str, Any]) -> None:
    with pytest.raises(CoordError):
        ledger.run(kind, "s1", **fields)


def test_a_lock_whose_session_is_missing_can_still_be_broken(ledger: Ledger) -> None:
    ledger.lock("s1", "a")
    work = ledger.state.fork()
    work.drop_session("s1")  # what a damaged count of held locks may leave
    ledger._tip = work  # pyright: ignore[reportPrivateUsage] - no rule leaves it
    breaking(ledger, "s2", "s1", "a")
    ledger.lock("s2", "a")


def test_the_count_of_held_locks_is_that_of_the_records(ledger: Ledger) -> None:
    ledger.lock("s1", "a", "b")
    ledger.lock("s1", "b", "c")
    ledger.lock("s1", "c", mode="shared")
    assert ledger.session("s1")["held"] == 3
    ledger.unlock("s1", "a", "c")
    assert ledger.session("s1")["held"] == 1 == len(ledger.held("s1"))
