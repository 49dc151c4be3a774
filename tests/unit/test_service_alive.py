"""Keeping alive: rarely, in one commit for the whole machine, and for nobody who holds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitcoord.model_time import parse_time
from gitcoord.service import Desk
from support.clock import ManualClock
from support.world import World, code, granted

DAY_S = 86_400
AGENTS = 10


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "repo")


def live_for(world: World, desks: list[Desk], seconds: float) -> list[float]:
    """Let time pass while every desk is asked when it wants to be; return what they asked for."""
    now, end = 0.0, seconds
    due = [desk.keep_alive_once() for desk in desks]
    asked = list(due)
    while min(due) < end:
        which = due.index(min(due))
        world.clock.advance(due[which] - now)
        now = due[which]
        wait = desks[which].keep_alive_once()
        asked.append(wait)
        assert wait > 0
        due[which] = now + wait
    world.clock.advance(end - now)
    return asked


def states(world: World) -> dict[str, str]:
    return {view["session"]: view["state"] for view in world.command("looker").list_sessions()["sessions"]}


def test_a_day_of_ten_agents_that_hold_locks_adds_at_most_500_commits_and_all_live(world: World) -> None:
    desks = [world.agent("agent") for _ in range(AGENTS)]
    for number, desk in enumerate(desks):
        granted(desk.lock_files([f"file-{number}"]))
        world.clock.advance(37)
    before = world.length()
    live_for(world, desks, DAY_S)
    added = world.length() - before
    assert added <= 500, added
    assert len(states(world)) == AGENTS
    assert set(states(world).values()) == {"live"}
    other = world.agent("other")
    assert code(other.lock_files(["file-0"])) == "lock_held"
    # A lease of 900 s that was renewed by its half has more than 400 s left at any moment.
    for view in other.list_sessions()["sessions"]:
        assert parse_time(view["lease_expires_at"]) - world.clock.at_ms > 400_000


def test_a_day_of_ten_idle_agents_adds_no_commit(world: World) -> None:
    desks = [world.agent("agent") for _ in range(AGENTS)]
    for desk in desks:
        desk.sign_on()
    before = world.length()
    asked = live_for(world, desks, DAY_S)
    assert world.length() == before
    assert min(asked) >= 10


def test_an_idle_agents_session_goes_on_when_it_works_again(world: World) -> None:
    desk = world.agent("agent")
    first = desk.sign_on()
    live_for(world, [desk], DAY_S)
    assert granted(desk.lock_files(["a"]))["session"] == first["session"]
    assert desk.sign_on()["incarnation"] == first["incarnation"]


def test_a_desk_that_never_signed_on_and_a_command_renew_nothing(world: World) -> None:
    command = world.command()
    granted(command.lock_files(["a"]))
    before = world.length()
    for desk in (world.agent("never"), command):
        for _ in range(50):
            world.clock.advance(60)
            assert desk.keep_alive_once() > 0
    assert world.length() == before


def test_one_renewal_renews_the_living_holders_of_the_machine_only(world: World) -> None:
    one, two, idle, dead = (world.agent(hint) for hint in ("one", "two", "idle", "dead"))
    far = world.agent("far", clock=ManualClock(machine="machine-b"))
    for desk in (one, two, dead, far):
        granted(desk.lock_files([f"{desk.callers.hint}.txt"]))
    idle.sign_on()
    granted(world.command("ada@host").lock_files(["ada.txt"]))
    world.kill(dead)
    world.clock.advance(451)
    one.keep_alive_once()
    (renewal,) = world.operations("session.renew")
    assert [other["session"] for other in renewal["others"]] == ["two-1"]


def test_a_renewal_comes_before_half_the_lease_is_gone_and_not_much_sooner(world: World) -> None:
    desk = world.agent("one")
    granted(desk.lock_files(["a"]))
    assert desk.keep_alive_once() == 450
    world.clock.advance(449)
    assert desk.keep_alive_once() == 1
    world.clock.advance(1)
    assert desk.keep_alive_once() == 450
    assert len(world.operations("session.renew")) == 1


def test_ordinary_operations_put_the_renewal_off(world: World) -> None:
    desk = world.agent("one")
    granted(desk.lock_files(["a"]))
    for _ in range(100):
        world.clock.advance(400)
        desk.store_data("s", "k", 1)
        desk.keep_alive_once()
    assert world.operations("session.renew") == []


def test_a_lengthened_lease_is_renewed_by_half_of_it(world: World) -> None:
    desk = world.agent("one")
    granted(desk.lock_files(["a"], ttl_s=7200))
    assert desk.keep_alive_once() == 3600


def test_a_reaped_session_is_not_kept_alive_and_nothing_is_raised(world: World) -> None:
    desk = world.agent("one")
    granted(desk.lock_files(["a"]))
    world.clock.advance(900)
    granted(world.agent("two").lock_files(["a"]))
    before = world.length()
    for _ in range(20):
        world.clock.advance(60)
        assert desk.keep_alive_once() > 0
    assert world.length() == before


@pytest.mark.parametrize("jump_s", [-DAY_S * 365, DAY_S * 365])
def test_setting_the_wall_clock_neither_hastens_nor_delays_a_renewal(world: World, jump_s: int) -> None:
    desk = world.agent("one")
    granted(desk.lock_files(["a"]))
    world.clock.jump(jump_s)
    assert desk.keep_alive_once() == 450
    world.clock.advance(450)
    desk.keep_alive_once()
    assert len(world.operations("session.renew")) == 1
