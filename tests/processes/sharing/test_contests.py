"""Several clones want one path at once: the remote lets one have it, and the others are told who."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from processes.sharing.workers import want_at_once
from support.agreement import check_order, read_agreed
from support.procs import start
from support.sharing import Clones, granted

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 6


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    return Clones(tmp_path)


def check_round(path: str, told: list[Any]) -> str:
    """Exactly one is confirmed, and each other knows its name, its token and its time; return the winner's grant."""
    winners = [answer for _, _, answer in told if answer["granted"]]
    assert len(winners) == 1, told
    won = granted(winners[0])
    for _, _, answer in told:
        if answer["granted"]:
            continue
        assert answer["error"]["code"] == "lock_held", answer
        (conflict,) = answer["conflicts"]
        shown = {name: conflict[name] for name in ("path", "session", "token", "grant", "state")}
        assert shown == {name: {**won, "path": path}[name] for name in shown}, answer
        assert conflict["locked_at"] == won["locks"][0]["locked_at"]
    return won["grant"]


def asked_at_once(told: list[Any]) -> int:
    """Count those who began before the winner had its answer."""
    won_at = next(ended for _, ended, answer in told if answer["granted"])
    return sum(began < won_at for began, _, _ in told)


def test_of_many_clones_that_ask_at_once_one_is_confirmed(clones: Clones) -> None:
    # The first clone asks with three processes, one of them in its second worktree.
    places = [*clones.places, clones.clones[0]]
    grants: list[str] = []
    at_once = 0
    with start(want_at_once, len(places), places) as crew:
        crew.go()
        for number in range(ROUNDS):
            path = f"src/{number % 2}.py"
            for worker in crew:
                worker.send(path)
            told = [worker.next() for worker in crew]
            grants.append(check_round(path, told))
            at_once += asked_at_once(told)
            for worker in crew:
                worker.send("let go")
            assert [worker.next() for worker in crew] == ["let go"] * len(places)
        for worker in crew:
            worker.send("end")
        crew.finish()
    assert at_once > ROUNDS * len(places) // 2, "most of them asked before there was a winner"
    clones.converge()
    clones.check_sound()
    held = check_order(read_agreed(clones.hub))
    assert [one.grant for one in held] == grants, "what was answered is what happened"
    assert all(one.released for one in held)


def test_a_lock_of_a_session_that_bears_ones_own_id_in_another_clone_is_not_ones_own(clones: Clones) -> None:
    here, there = clones.desk(0, "dev", real=True), clones.desk(1, "dev", real=True)
    granted(here.lock_files(["p"]))
    there.offline = True
    assert there.lock_files(["q"])["state"] == "provisional", "it does not know of the other yet"
    assert there.check(["q"])["ok"]
    there.offline = False
    assert there.sync()["ok"]
    assert here.check(["p"])["ok"]
    assert there.check(["p"])["error"]["code"] == "lock_held"
    assert there.lock_files(["p"])["error"]["code"] == "session_taken"
    assert there.get_locked_files(owner="ours")["locks"] == []
    assert [lock["path"] for lock in there.get_locked_files(owner="theirs")["locks"]] == ["p"]
    assert there.status()["session"] is None
