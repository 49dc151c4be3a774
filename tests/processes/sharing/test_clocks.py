"""Clones whose clocks are hours apart: a lease of another machine ends by challenge, and no two hold one path."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from support.agreement import Agreed, check_order, read_agreed
from support.sharing import Clones, granted

if TYPE_CHECKING:
    from pathlib import Path

LEASE_S = 100
WHOLE_S = LEASE_S * 1.05
STEPS = {"lock": 8, "unlock": 1, "renew": 2, "sync": 2, "cut": 2, "reach": 3, "jump": 1, "time": 9}


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    found = Clones(tmp_path, 4)
    for number in range(4):
        found.tick()
        found.desk(number).sign_on(lease_s=LEASE_S)
    return found


def lock(clones: Clones, number: int) -> dict[str, Any]:
    clones.tick()
    return clones.desk(number).lock_files(["p"], reason=f"c{number}")


def agreed_at_last(clones: Clones) -> Agreed:
    clones.converge()
    agreed = read_agreed(clones.hub)
    check_order(agreed)
    return agreed


def believes(clones: Clones, number: int) -> bool:
    """Tell whether a clone lets its session go on as the confirmed holder."""
    (row,) = clones.desk(number).check(["p"])["checked"]
    return row["ok"] and row["why"].startswith("locked by you") and "provisional" not in row["why"]


def believers(clones: Clones) -> list[int]:
    return [number for number in range(len(clones.clones)) if believes(clones, number)]


@pytest.mark.parametrize(("holder", "taker"), [(0, 3), (3, 0)])
def test_takeover_waits_for_a_whole_challenge_however_far_the_clocks_are_apart(
    clones: Clones, holder: int, taker: int
) -> None:
    first = granted(lock(clones, holder))
    # The taker's clock says that the lease was over long ago, or begins in the future: it may ask at once.
    refusal = lock(clones, taker)
    assert "challenged" in refusal["error"]["next"], refusal
    clones.tick(LEASE_S)
    assert not lock(clones, taker)["granted"], "a whole lease is not enough"
    assert believers(clones) == [], "and by now the holder does not go on either"
    clones.tick(WHOLE_S - LEASE_S)
    second = granted(lock(clones, taker))
    assert second["token"] > first["token"]
    assert believers(clones) == [taker]
    (reap,) = [op.operation for op in agreed_at_last(clones).order if op.kind == "session.reap"]
    assert reap["evidence"] == {"kind": "challenge"}


def test_renewals_that_did_not_reach_the_remote_extend_nothing(clones: Clones) -> None:
    granted(lock(clones, 0))
    clones.cut_off(0)
    assert not lock(clones, 3)["granted"]
    clones.tick(LEASE_S * 0.6)
    answer = clones.desk(0).renew()
    assert "error" not in answer, "a renewal needs no agreement while the lease runs"
    assert any("kept here" in notice for notice in answer["notices"])
    assert believers(clones) == [0]
    assert not lock(clones, 3)["granted"]
    clones.tick(LEASE_S * 0.4)
    assert believers(clones) == [], "its own renewal does not count for the holder"
    assert "as far as the remote knows" in clones.desk(0).check(["p"])["checked"][0]["why"]
    assert clones.desk(0).renew()["error"]["code"] == "remote_unreachable", "now somebody may have ended it there"
    clones.tick(WHOLE_S - LEASE_S)
    granted(lock(clones, 3))
    assert believers(clones) == [3]
    clones.reach(0)
    clones.tick()
    assert clones.desk(0).sync()["ok"]
    assert believers(clones) == [3]
    assert not clones.desk(0).check(["p"])["ok"]


def test_a_renewal_that_reaches_the_remote_ends_the_challenge(clones: Clones) -> None:
    granted(lock(clones, 0))
    for _ in range(3):
        assert not lock(clones, 3)["granted"]
        clones.tick(LEASE_S * 0.9)
        assert "error" not in clones.desk(0).renew()
        assert believers(clones) == [0]
    assert not lock(clones, 3)["granted"]


@pytest.mark.parametrize("seed", range(2))
def test_no_walk_leads_to_two_live_confirmed_holders(clones: Clones, seed: int) -> None:
    chance = random.Random(seed)
    grants: list[tuple[int, int]] = []
    for _ in range(40):
        who = chance.randrange(4)
        desk = clones.desk(who)
        step = chance.choices(list(STEPS), list(STEPS.values()))[0]
        clones.tick()
        if step == "lock":
            held = believers(clones)
            answer = desk.lock_files(["p"])
            if answer["granted"]:
                grants.append((who, answer["token"]))
                assert held in ([], [who]), f"granted to {who} while {held} holds it"
        elif step in ("renew", "sync"):
            getattr(desk, step)()
        elif step == "unlock":
            desk.unlock_files(["p"])
        elif step == "cut":
            clones.cut_off(who)
        elif step == "reach":
            clones.reach(who)
        elif step == "jump":
            clones.clocks[who].jump(chance.choice((-20_000, 20_000)))
        else:
            clones.tick(chance.choice((5, 40, LEASE_S, WHOLE_S)))
        assert len(believers(clones)) <= 1, f"{believers(clones)} after {step} of {who}"
    for number in range(4):
        clones.reach(number)
    clones.tick()
    tokens = [token for _, token in grants]
    assert tokens == sorted(tokens)
    assert len({who for who, _ in grants}) > 1, "it went from hand to hand"
    assert "session.reap" in [op.kind for op in agreed_at_last(clones).order]
