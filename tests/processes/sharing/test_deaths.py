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

SERVERS = 2
POINTS = {f"before {name}" for name in ("push", "fetch", "write_flight", "write_contact", "write_side_ref", "move")}
POINTS |= {"after move"}


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    return Clones(tmp_path, 2 * SERVERS)


def die_everywhere(clones: Clones, work: Callable[..., None]) -> tuple[list[Any], Agreed]:
    """Let two servers try all points between them; return what they told, and what came of it."""
    with start(work, SERVERS, clones.clones) as crew:
        crew.go()
        told = [row for rows in crew.finish() for row in rows]
    clones.converge()
    clones.check_sound()
    agreed = read_agreed(clones.hub)
    check_order(agreed)
    return told, agreed


def phases(rows: list[Any], where: int) -> set[str]:
    return {row[where] for row in rows if isinstance(row[where], str)}


def test_death_at_every_named_point_of_a_lock_that_loses_its_first_race(clones: Clones) -> None:
    told, agreed = die_everywhere(clones, die_in_a_lock)
    stands = {op.operation["reason"] for op in agreed.order if op.kind == "lock.acquire"}
    landed = 0
    for path, death, next_comer, far in told:
        if path in stands:
            landed += 1
            assert not next_comer["granted"], f"{path}, {death}"
            assert next_comer["conflicts"][0]["session"].startswith("mortal")
            holder = next_comer["conflicts"][0]
        else:
            assert isinstance(death, str), "it was answered, and stands nowhere"
            holder = granted(next_comer)
        assert far["error"]["code"] == "lock_held", f"{path}, {death}: {far}"
        assert [far["conflicts"][0][name] for name in ("session", "token")] == [holder["session"], holder["token"]]
    assert POINTS | {"before _drop_pending"} <= phases(told, 1)
    assert 0 < landed < len(told)


def test_death_at_every_named_point_of_a_merge(clones: Clones) -> None:
    told, agreed = die_everywhere(clones, die_in_a_merge)
    stands = {op.operation["reason"] for op in agreed.order if op.kind == "lock.acquire"}
    for kept, lost, death, notices, check_kept, check_lost, far in told:
        assert kept in stands, death
        assert lost not in stands, death
        assert check_kept["ok"], f"{death}: {check_kept}"
        assert not check_lost["ok"], f"{death}: {check_lost}"
        assert far["conflicts"][0]["reason"] == kept
        assert far["conflicts"][0]["token"] is not None
        assert len([notice for notice in notices if lost in notice]) == 1, f"{death}: {notices}"
    merges = git(clones.hub, "rev-list", "--first-parent", "--min-parents=2", LOG_REF).split()
    brought = [git(clones.hub, "show", "-s", "--format=%P", f"{merge}^2").split() for merge in merges]
    assert all(len(parents) == 1 for parents in brought), "an unpublished merge is made anew, never built upon"
    assert len(merges) >= len(told)
    assert POINTS | {"before look", "before _written"} <= phases(told, 2)
