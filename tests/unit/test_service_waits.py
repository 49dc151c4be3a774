"""Waiting for a lock: granted when it is free, first come first served, with limits, rings and deaths."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitcoord.runtime.machine import SystemClock
from gitcoord.runtime.waiting import Line
from gitcoord.service import Desk
from support.world import World, code, granted

PATIENCE_S = 15.0


class Ask(threading.Thread):
    """A request that waits, in a thread of its own."""

    def __init__(self, desk: Desk, files: list[str], **fields: Any) -> None:
        super().__init__(daemon=True)
        self.answer: dict[str, Any] = {}
        self._ask = lambda: desk.lock_files(files, wait_s=PATIENCE_S, **fields)
        self.start()

    def run(self) -> None:
        self.answer = self._ask()

    def done(self, within_s: float = PATIENCE_S) -> dict[str, Any]:
        self.join(within_s)
        assert not self.is_alive(), "it still waits"
        return self.answer


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "repo", real_time=True)
    yield made
    made.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.005)


def waiting(world: World) -> list[str]:
    """Return who stands in the line, the first comer first."""
    runtime = world.coordinator.repository.runtime
    return [waiter.session for waiter in Line(runtime).others(SystemClock(runtime).stamp())]


def joined(world: World, *sessions: str) -> None:
    until(lambda: waiting(world) == list(sessions))


def agents(world: World, *hints: str) -> list[Desk]:
    desks = [world.agent(hint) for hint in hints]
    for desk in desks:
        desk.sign_on()
    return desks


# -- granted


def test_a_waiter_is_granted_as_soon_as_the_holder_releases(world: World) -> None:
    one, two = agents(world, "one", "two")
    first = granted(one.lock_files(["a"]))
    ask = Ask(two, ["a"], reason="next")
    joined(world, "two-1")
    one.unlock_files(["a"])
    began = time.monotonic()
    answer = granted(ask.done())
    assert time.monotonic() - began < 2
    assert answer["token"] > first["token"]
    assert answer["locks"][0]["reason"] == "next"
    assert waiting(world) == []


def test_one_who_need_not_wait_is_granted_at_once_and_never_in_the_line(world: World) -> None:
    (one,) = agents(world, "one")
    assert granted(one.lock_files(["a"], wait_s=PATIENCE_S))["session"] == "one-1"
    assert waiting(world) == []


@pytest.mark.parametrize("way", ["sign_off", "break", "close", "death"])
def test_a_waiter_is_granted_whatever_way_the_lock_ends(world: World, way: str) -> None:
    one, two, three = agents(world, "one", "two", "three")
    granted(one.lock_files(["a", "b"]))
    ask = Ask(two, ["a"])
    joined(world, "two-1")
    {
        "sign_off": one.sign_off,
        "break": lambda: three.break_lock(["a"], "needed"),
        "close": one.close,
        "death": lambda: world.kill(one),
    }[way]()
    assert granted(ask.done())["session"] == "two-1"


def test_a_waiter_is_granted_when_the_locks_own_time_is_up(world: World) -> None:
    one, two = agents(world, "one", "two")
    granted(one.lock_files(["a"], ttl_s=1))
    assert granted(Ask(two, ["a"]).done())["session"] == "two-1"
    assert len(world.operations("lock.expire")) == 1


def test_a_waiter_for_several_is_granted_when_all_are_free(world: World) -> None:
    one, two, three = agents(world, "one", "two", "three")
    granted(one.lock_files(["a"]))
    granted(two.lock_files(["b"]))
    ask = Ask(three, ["a", "b", "c"])
    joined(world, "three-1")
    one.unlock_files(["a"])
    ask.join(0.3)
    assert ask.is_alive()
    two.unlock_files(["b"])
    assert len(granted(ask.done())["locks"]) == 3


def test_waiting_sharers_are_granted_together(world: World) -> None:
    one, two, three = agents(world, "one", "two", "three")
    granted(one.lock_files(["a"]))
    asks = [Ask(desk, ["a"], mode="shared") for desk in (two, three)]
    until(lambda: len(waiting(world)) == 2)
    one.unlock_files(["a"])
    for ask in asks:
        granted(ask.done())


def test_a_first_operation_that_waits_signs_on(world: World) -> None:
    (one,) = agents(world, "one")
    granted(one.lock_files(["a"]))
    ask = Ask(world.agent("new"), ["a"])
    joined(world, "new-1")
    one.unlock_files(["a"])
    assert granted(ask.done())["session"] == "new-1"


# -- the order


def test_first_come_first_served(world: World) -> None:
    hints = ["holder", "w1", "w2", "w3", "w4"]
    desks = agents(world, *hints)
    granted(desks[0].lock_files(["a"]))
    asks: list[Ask] = []
    for number, desk in enumerate(desks[1:], 1):
        asks.append(Ask(desk, ["a"]))
        joined(world, *[f"w{earlier}-1" for earlier in range(1, number + 1)])
    for holder, ask in zip(desks, asks, strict=False):
        holder.unlock_files(["a"])
        granted(ask.done())
    order = [operation["session"] for operation in world.operations("lock.acquire")]
    assert order == ["holder-1", "w1-1", "w2-1", "w3-1", "w4-1"]


def test_nobody_overtakes_who_waits_in_line(world: World) -> None:
    one, two, three = agents(world, "one", "two", "three")
    granted(one.lock_files(["a"], mode="shared"))
    ask = Ask(two, ["a"])
    joined(world, "two-1")
    answer = three.lock_files(["a"], mode="shared")
    assert code(answer) == "lock_held"
    assert "two-1" in answer["error"]["message"]
    assert answer["conflicts"][0]["state"] == "waiting"
    granted(three.lock_files(["b"]))
    granted(three.lock_files(["a"], mode="intent"))
    granted(one.lock_files(["a"], mode="shared", reason="still"))
    one.unlock_files(["a"])
    granted(ask.done())


def test_who_waits_for_something_else_is_not_in_the_way(world: World) -> None:
    one, two, three = agents(world, "one", "two", "three")
    granted(one.lock_files(["a", "b"]))
    asks = [Ask(two, ["a"]), Ask(three, ["b"])]
    until(lambda: len(waiting(world)) == 2)
    one.unlock_files(["b"])
    granted(asks[1].done())
    assert asks[0].is_alive()
    one.unlock_files(["a"])
    granted(asks[0].done())


# -- giving up


@pytest.mark.parametrize("wait_s", [0, 0.2, 0.7])
def test_a_wait_gives_up_at_its_limit_and_says_who_holds_it(world: World, wait_s: float) -> None:
    one, two = agents(world, "one", "two")
    granted(one.lock_files(["a"], reason="long"))
    before, began = world.length(), time.monotonic()
    answer = two.lock_files(["a"], wait_s=wait_s)
    took = time.monotonic() - began
    assert code(answer) == "wait_timeout"
    assert answer["granted"] is False
    assert "one-1" in answer["error"]["message"]
    assert answer["conflicts"][0]["session"] == "one-1"
    assert wait_s <= took < wait_s + 2
    assert world.length() == before
    assert waiting(world) == []


def test_a_wait_of_less_than_nothing_is_refused(world: World) -> None:
    (one,) = agents(world, "one")
    for wait_s in (-1, float("nan")):
        assert code(one.lock_files(["a"], wait_s=wait_s)) == "bad_request"


def test_a_wait_that_is_called_off_ends_soon_and_leaves_the_line(world: World) -> None:
    one, two, three = agents(world, "one", "two", "three")
    granted(one.lock_files(["a"]))
    called_off = threading.Event()
    ask = Ask(two, ["a"], cancelled=called_off.is_set)
    joined(world, "two-1")
    called_off.set()
    answer = ask.done(2)
    assert answer["granted"] is False
    assert waiting(world) == []
    one.unlock_files(["a"])
    granted(three.lock_files(["a"]))


def test_a_waiter_whose_session_ended_meanwhile_is_told(world: World) -> None:
    one, two = agents(world, "one", "two")
    granted(one.lock_files(["a"]))
    ask = Ask(two, ["a"])
    joined(world, "two-1")
    world.command("ada@host").sign_off(session="two-1")
    assert code(ask.done()) == "session_ended"
    assert waiting(world) == []


def test_what_is_wrong_with_a_request_is_said_without_waiting(world: World) -> None:
    one, two = agents(world, "one", "two")
    granted(one.lock_files(["a"]))
    began = time.monotonic()
    assert code(two.lock_files(["../out"], wait_s=3)) == "invalid_path"
    assert code(two.lock_files(["a"], mode="odd", wait_s=3)) == "bad_request"
    assert code(two.lock_files(["a"], reason="x" * 2001, wait_s=3)) == "too_large"
    assert code(two.lock_files(["a"], ttl_s=-1, wait_s=3)) == "bad_request"
    assert time.monotonic() - began < 2


# -- rings


def test_of_two_that_wait_for_each_other_the_newer_is_told(world: World) -> None:
    one, two = agents(world, "one", "two")
    granted(one.lock_files(["a"]))
    granted(two.lock_files(["b"]))
    older = Ask(one, ["b"])
    joined(world, "one-1")
    answer = two.lock_files(["a"], wait_s=PATIENCE_S)
    assert code(answer) == "deadlock"
    assert answer["granted"] is False
    assert sorted(answer["ring"]) == ["one-1", "two-1"]
    assert "unlock" in answer["error"]["next"]
    assert older.is_alive()
    two.unlock_files(all=True)
    granted(older.done())


def test_of_a_ring_of_three_only_the_newest_is_told(world: World) -> None:
    desks = agents(world, "one", "two", "three")
    for desk, path in zip(desks, "abc", strict=True):
        granted(desk.lock_files([path]))
    asks = [Ask(desks[0], ["b"])]
    joined(world, "one-1")
    asks.append(Ask(desks[1], ["c"]))
    joined(world, "one-1", "two-1")
    assert code(desks[2].lock_files(["a"], wait_s=PATIENCE_S)) == "deadlock"
    assert all(ask.is_alive() for ask in asks)
    desks[2].unlock_files(all=True)
    granted(asks[1].done())
    desks[1].unlock_files(all=True)
    granted(asks[0].done())


def test_two_sharers_that_both_want_it_alone_do_not_wait_for_ever(world: World) -> None:
    one, two = agents(world, "one", "two")
    for desk in (one, two):
        granted(desk.lock_files(["a"], mode="shared"))
    older = Ask(one, ["a"])
    joined(world, "one-1")
    assert code(two.lock_files(["a"], wait_s=PATIENCE_S)) == "deadlock"
    two.unlock_files(["a"])
    granted(older.done())


def test_a_ring_that_goes_through_the_line_itself_is_found(world: World) -> None:
    # two waits for one, who holds `a`; one waits behind two, who came first for the free `b`.
    one, two = agents(world, "one", "two")
    granted(one.lock_files(["a"]))
    older = Ask(two, ["a", "b"])
    joined(world, "two-1")
    answer = one.lock_files(["b"], wait_s=3)
    assert code(answer) == "deadlock", answer
    one.unlock_files(["a"])
    granted(older.done())


def test_an_upgrade_that_need_not_stand_behind_an_earlier_waiter_is_no_deadlock(world: World) -> None:
    # one waits for three only: who holds something already is not kept behind those that came later to it.
    one, two, three = agents(world, "one", "two", "three")
    for desk in (one, three):
        granted(desk.lock_files(["a"], mode="shared"))
    later = Ask(two, ["a"])
    joined(world, "two-1")
    upgrade = Ask(one, ["a"])
    upgrade.join(0.6)
    assert upgrade.is_alive(), upgrade.answer
    three.unlock_files(["a"])
    granted(upgrade.done())
    one.unlock_files(["a"])
    granted(later.done())


def test_waiting_for_who_waits_for_nobody_is_no_deadlock(world: World) -> None:
    one, two, three = agents(world, "one", "two", "three")
    granted(one.lock_files(["a"]))
    granted(two.lock_files(["b"]))
    asks = [Ask(two, ["a"])]
    joined(world, "two-1")
    asks.append(Ask(three, ["b"]))
    joined(world, "two-1", "three-1")
    one.unlock_files(["a"])
    granted(asks[0].done())
    two.unlock_files(["b"])
    granted(asks[1].done())


# -- deaths


def test_a_dead_waiter_is_forgotten(world: World) -> None:
    one, two = agents(world, "one", "two")
    granted(one.lock_files(["a"]))
    runtime = world.coordinator.repository.runtime
    now = SystemClock(runtime).stamp()
    record = {"path": "a", "key": "a", "kind": "file"}
    wish = {"session": "ghost", "incarnation": "x", "mode": "exclusive", "claims": [record], "reason": ""}
    place = Line(runtime).join(wish, now)
    assert waiting(world) == ["ghost"]
    one.unlock_files(["a"])
    assert code(two.lock_files(["a"])) == "lock_held"
    place._held.close()  # pyright: ignore[reportPrivateUsage] - what the kernel does at a process's death
    granted(two.lock_files(["a"]))
    assert waiting(world) == []


@pytest.mark.parametrize(
    "claims",
    [None, "text", [1], [{}], [{"path": "a", "key": "", "kind": "file"}], {"path": "a"}],
    ids=repr,
)
def test_a_waiter_that_says_nonsense_stops_nobody(world: World, claims: Any) -> None:
    (one,) = agents(world, "one")
    runtime = world.coordinator.repository.runtime
    now = SystemClock(runtime).stamp()
    wish = {"session": "odd", "incarnation": "x", "mode": "exclusive", "claims": claims, "reason": ""}
    place = Line(runtime).join(wish, now)
    granted(one.lock_files(["a"]))
    one.status()
    place.leave()
