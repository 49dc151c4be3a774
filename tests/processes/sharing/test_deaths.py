"""A process that dies at any named point of a push or a merge leaves what the next one finds its way from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from processes.sharing.workers import die_in_a_lock, die_in_a_merge
from support.agreement import Agreed, check_order, read_agreed
from support.procs import start
from support.repo import LOG_REF, git
from support.sharing import Clones, granted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POINTS = {f"before {name}" for name in ("push", "fetch", "write_flight", "write_contact", "move")}


@pytest.fixture
def worlds(tmp_path: Path) -> list[Clones]:
    """Two, each with a remote of its own: in one every second point is tried, in the other those between."""
    return [Clones(tmp_path / str(number), 2) for number in range(2)]


def die_everywhere(worlds: list[Clones], work: Callable[..., None]) -> tuple[list[Any], list[Agreed]]:
    """Let a server in each world try its points; return what they told, and what came of it."""
    with start(work, len(worlds), [world.clones for world in worlds]) as crew:
        crew.go()
        told = crew.finish()
    found: list[Agreed] = []
    for world in worlds:
        world.converge()
        world.check_sound()
        found.append(read_agreed(world.hub))
        check_order(found[-1])
    return [row for rows in told for row in rows], found


def reasons(agreed: list[Agreed]) -> set[str]:
    """Return the reasons of all locks that were granted; each trial has its own."""
    return {op.operation["reason"] for one in agreed for op in one.order if op.kind == "lock.acquire"}


def phases(rows: list[Any], where: int) -> set[str]:
    return {row[where] for row in rows if isinstance(row[where], str)}


def test_death_at_every_named_point_of_a_lock_that_loses_its_first_race(worlds: list[Clones]) -> None:
    told, agreed = die_everywhere(worlds, die_in_a_lock)
    stands = reasons(agreed)
    landed = 0
    for path, death, next_comer, far in told:
        if path in stands:
            landed += 1
            assert not next_comer["granted"], f"{path}, {death}"
            assert next_comer["conflicts"][0]["session"] == "mortal"
            holder = next_comer["conflicts"][0]
        else:
            assert isinstance(death, str), "it was answered, and stands nowhere"
            holder = granted(next_comer)
        assert far["error"]["code"] == "lock_held", f"{path}, {death}: {far}"
        assert [far["conflicts"][0][name] for name in ("session", "token")] == [holder["session"], holder["token"]]
    assert POINTS | {"before _drop_pending"} <= phases(told, 1)
    assert 0 < landed < len(told)


def test_death_at_every_named_point_of_a_merge(worlds: list[Clones]) -> None:
    told, agreed = die_everywhere(worlds, die_in_a_merge)
    stands = reasons(agreed)
    for kept, lost, death, notices, check_kept, check_lost, far in told:
        assert kept in stands, death
        assert lost not in stands, death
        assert check_kept["ok"], f"{death}: {check_kept}"
        assert not check_lost["ok"], f"{death}: {check_lost}"
        assert far["conflicts"][0]["reason"] == kept
        assert far["conflicts"][0]["token"] is not None
        assert len([notice for notice in notices if lost in notice]) == 1, f"{death}: {notices}"
    for world in worlds:
        merges = git(world.hub, "rev-list", "--first-parent", "--min-parents=2", LOG_REF).split()
        brought = [git(world.hub, "show", "-s", "--format=%P", f"{merge}^2").split() for merge in merges]
        assert merges
        assert all(len(parents) == 1 for parents in brought), "an unpublished merge is made anew, never built upon"
    assert POINTS | {"before look", "before written"} <= phases(told, 2)
