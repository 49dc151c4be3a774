"""What was granted without the remote and is refused there after all: its session learns of it once, and is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.service import open_desk
from support.agreement import check_order, read_agreed
from support.sharing import Clones, done, granted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gitcoord.service import Desk

# The next answer of any kind: each loser asks for another.
QUESTIONS: list[Callable[[Desk], dict[str, Any]]] = [
    lambda desk: desk.check(["other"]),
    lambda desk: desk.store_data("s", "k", 1),
    lambda desk: desk.get_locked_files(),
    lambda desk: desk.lock_files(["p"]),
]


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    return Clones(tmp_path)


def told_of(answer: dict[str, Any]) -> int:
    return sum("refused after all" in notice for notice in answer.get("notices", []))


def lock_apart(clones: Clones) -> list[Desk]:
    """Let every clone lock one path, and one of its own, while the remote is away."""
    desks = [clones.desk(number, real=True) for number in range(5)]
    for desk in desks:
        desk.sign_on()
    clones.partition()
    for number, desk in enumerate(desks):
        refused = desk.lock_files(["p"])
        assert refused["error"]["code"] == "remote_unreachable", refused
        assert "--offline" in refused["error"]["next"]
        answer = desk.lock_files(["p", f"own/{number}"], reason=f"c{number}", offline=True)
        assert (answer["granted"], answer["state"], answer["token"]) == (True, "provisional", None)
        row = desk.check(["p"])["checked"][0]
        assert row["ok"], row
        assert "provisional" in row["why"] + "".join(row["warnings"])
    clones.heal()
    return desks


def test_each_loser_is_told_once_in_its_next_answer_of_any_kind(clones: Clones) -> None:
    desks = lock_apart(clones)
    # Another program meets the remote for each clone: the sessions themselves have not asked anything yet.
    clones.converge()
    clones.check_sound()
    agreed = read_agreed(clones.hub)
    check_order(agreed)
    assert len(agreed.refused) == 4, "the whole of a request is refused, own path and all"
    assert told_of(desks[0].check(["p"])) == 0
    assert "token" in desks[0].check(["p"])["checked"][0]["why"]
    for number, (desk, ask) in enumerate(zip(desks[1:], QUESTIONS, strict=True), 1):
        again = open_desk(clones.clones[number], session=f"c{number}")
        answers = [ask(desk), desk.check(["p"]), again.get_locked_files(), again.store_data("s", f"k{number}", 1)]
        answers += [desk.sync(), again.check(["p"])]
        assert [told_of(answer) for answer in answers] == [1, 0, 0, 0, 0, 0], f"c{number}"
        for path in ("p", f"own/{number}"):
            assert not again.check([path])["ok"], f"c{number}: {path}"
    clones.converge()


def test_a_loser_is_stopped_until_it_locks_anew_or_lets_go(clones: Clones) -> None:
    desks = lock_apart(clones)
    for desk in desks:
        done(desk.sync())
    assert [desk.check(["p"])["ok"] for desk in desks] == [True, False, False, False, False]
    done(desks[0].unlock_files(["p"]))
    for desk in desks[1:]:
        done(desk.sync())
        (row,) = desk.check(["p"])["checked"]
        assert row["conflicts"] == [], "nobody holds it"
        assert not row["ok"], "and still it may not go on as if nothing had happened"
        assert "refused after all" in row["why"]
    done(desks[1].unlock_files(["p"]))
    assert desks[1].check(["p"])["ok"]
    granted(desks[2].lock_files(["p"]))
    assert desks[2].check(["p"])["ok"]
    assert not desks[2].check(["own/2"])["ok"], "the other path of the same request is lost still"
    done(desks[3].sync())
    assert not desks[3].check(["p"])["ok"]
    done(desks[3].unlock_files(["p"]))
    assert desks[3].check(["p"])["error"]["code"] == "lock_held", "it is held by another now"
    clones.converge()
    clones.check_sound()
    check_order(read_agreed(clones.hub))
