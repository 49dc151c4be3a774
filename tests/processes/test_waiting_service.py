"""Waiting for locks through the service, with real processes: in order, up to a limit, never in a ring for ever."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.service import Desk, initialise, open_desk
from processes.workers import entries, hold, kinds, want
from support.procs import Crew, Worker, start, wait_until
from support.repo import fsck, make_repo

if TYPE_CHECKING:
    from pathlib import Path

A, B = "src/app.py", "src/db.py"


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    return where


@pytest.fixture
def watcher(repo: str) -> Desk:
    return open_desk(repo)


def waiting(watcher: Desk) -> list[str]:
    return [waiter["session"] for waiter in watcher.status()["waiting"]]


def wanting(repo: str, count: int, mine: list[str], wait_s: float) -> Crew:
    crew = start(want, count, repo, "w", mine, wait_s)
    crew.go()
    return crew


def ask(worker: Worker, watcher: Desk, me: str, paths: list[str]) -> None:
    """Let a worker wait for paths, and go on when it stands in the line."""
    worker.send(paths)
    wait_until(lambda: me in waiting(watcher), f"{me} waits", timeout_s=10)


def answer_of(worker: Worker, timeout_s: float = 10) -> dict[str, Any]:
    return worker.next(timeout_s)["answer"]


def test_first_come_first_served(repo: str, watcher: Desk) -> None:
    holder = open_desk(repo, session="holder")
    assert holder.lock_files([A])["granted"]
    with wanting(repo, 4, [], 30) as crew:
        names = [worker.next() for worker in crew]
        order = [2, 0, 3, 1]
        for at in order:
            ask(crew[at], watcher, names[at], [A])
        assert waiting(watcher) == [names[at] for at in order]
        refused = open_desk(repo, session="passer-by").lock_files([A])
        assert refused["error"]["code"] == "lock_held"
        assert holder.unlock_files([A])["ok"]
        for at in order:
            assert answer_of(crew[at])["granted"]
            passed = open_desk(repo, session="passer-by").lock_files([A])
            assert not passed["granted"], "nobody goes past the line"
            crew[at].send("unlock")
            assert crew[at].next()["ok"]
    log = entries(repo)
    grants = [entry.operation["session"] for entry in log if entry.kind == "lock.acquire"]
    assert grants == ["holder", *(names[at] for at in order)]
    assert waiting(watcher) == []
    assert fsck(repo) == []


def test_who_wants_something_else_is_not_held_up(repo: str, watcher: Desk) -> None:
    holder = open_desk(repo, session="holder")
    holder.lock_files([A])
    with wanting(repo, 1, [], 30) as crew:
        name = crew[0].next()
        ask(crew[0], watcher, name, ["src/"])
        other = open_desk(repo, session="other")
        assert other.lock_files(["docs/a.md"])["granted"]
        stands = other.lock_files([B])
        assert stands["conflicts"][0]["state"] == "waiting", "it lies below what the first in the line waits for"
        assert other.lock_files([B], mode="intent")["granted"], "a mark of intent stands in nobody's way"
        holder.unlock_files([A])
        assert answer_of(crew[0])["granted"]


def test_a_waiter_that_dies_is_forgotten(repo: str, watcher: Desk) -> None:
    holder = open_desk(repo, session="holder")
    holder.lock_files([A])
    with wanting(repo, 2, [], 30) as crew:
        names = [worker.next() for worker in crew]
        for worker, name in zip(crew, names, strict=True):
            ask(worker, watcher, name, [A])
        crew[0].kill()
        wait_until(lambda: waiting(watcher) == [names[1]], "the dead one is forgotten", timeout_s=5)
        holder.unlock_files([A])
        assert answer_of(crew[1])["granted"]
    assert names[0] not in [e.operation["session"] for e in entries(repo) if e.kind == "lock.acquire"]


def test_a_waiter_gets_what_the_dead_held_without_being_told(repo: str, watcher: Desk) -> None:
    with start(hold, 1, repo, "holder", [A]) as holders, wanting(repo, 1, [], 30) as crew:
        holders.go()
        holders[0].next()
        name = crew[0].next()
        ask(crew[0], watcher, name, [A])
        began = time.monotonic()
        holders[0].kill()
        assert answer_of(crew[0])["granted"]
        assert time.monotonic() - began < 3
    assert kinds(entries(repo))["session.reap"] == 1


@pytest.mark.parametrize("wait_s", [0, 0.4])
def test_the_wait_ends_at_its_limit(repo: str, wait_s: float) -> None:
    open_desk(repo, session="holder").lock_files([A])
    me = open_desk(repo, session="me")
    began = time.monotonic()
    answer = me.lock_files([A], wait_s=wait_s)
    assert wait_s <= time.monotonic() - began < wait_s + 2
    assert not answer["granted"]
    assert answer["error"]["code"] == "wait_timeout"
    assert answer["conflicts"][0]["session"] == "holder"
    assert waiting(me) == []


def test_a_wait_is_called_off(repo: str) -> None:
    open_desk(repo, session="holder").lock_files([A])
    me = open_desk(repo, session="me")
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    answer = me.lock_files([A], wait_s=30, cancelled=cancelled)
    assert not answer["granted"]
    assert "called off" in answer["error"]["message"]
    assert waiting(me) == []


def test_of_two_that_wait_for_each_other_the_newest_is_told(repo: str, watcher: Desk) -> None:
    with wanting(repo, 1, [A], 30) as old, wanting(repo, 1, [B], 30) as new:
        names = [old[0].next(), new[0].next()]
        ask(old[0], watcher, names[0], [B])
        new[0].send([A])
        told = new[0].next(10)
        assert told["answer"]["error"]["code"] == "deadlock"
        assert told["waited_s"] < 3
        assert sorted(told["answer"]["ring"]) == sorted(names)
        assert waiting(watcher) == [names[0]], "the older one waits on"
        new[0].send("unlock")
        assert new[0].next()["ok"]
        assert answer_of(old[0])["granted"]


def test_of_a_ring_of_three_the_newest_is_told(repo: str, watcher: Desk) -> None:
    paths = [A, B, "README.md"]
    crews = [wanting(repo, 1, [path], 30) for path in paths]
    try:
        names = [crew[0].next() for crew in crews]
        ask(crews[1][0], watcher, names[1], [paths[2]])
        ask(crews[2][0], watcher, names[2], [paths[0]])
        crews[0][0].send([paths[1]])
        told = crews[0][0].next(10)
        assert told["answer"]["error"]["code"] == "deadlock"
        assert told["answer"]["ring"][0] == names[0]
        assert len(told["answer"]["ring"]) == 3
        crews[0][0].send("unlock")
        assert crews[0][0].next()["ok"]
        assert answer_of(crews[2][0])["granted"]
    finally:
        for crew in crews:
            crew.__exit__()


def test_who_holds_what_the_first_in_the_line_waits_for_does_not_wait_for_the_line(repo: str, watcher: Desk) -> None:
    holder = open_desk(repo, session="holder")
    assert holder.lock_files([A])["granted"]
    with wanting(repo, 1, [], 30) as crew:
        name = crew[0].next()
        ask(crew[0], watcher, name, [A, B])
        # B is free, and the waiter cannot have it before the holder is done, who needs B to be done.
        began = time.monotonic()
        answer = holder.lock_files([B], wait_s=5)
        took_s = time.monotonic() - began
        assert answer["granted"] or answer["error"]["code"] == "deadlock", answer["error"]
        assert took_s < 3
        assert holder.unlock_files(all=True)["ok"]
        assert answer_of(crew[0])["granted"]


def test_two_that_would_upgrade_the_same_shared_lock_do_not_wait_for_ever(repo: str, watcher: Desk) -> None:
    me = open_desk(repo, session="me")
    assert me.lock_files([A], mode="shared")["granted"]
    with wanting(repo, 1, [], 30) as crew:
        name = crew[0].next()
        assert open_desk(repo, session=name).lock_files([A], mode="shared")["granted"]
        ask(crew[0], watcher, name, [A])
        answer = me.lock_files([A], wait_s=20)
        assert answer["error"]["code"] == "deadlock"
        assert me.unlock_files([A])["ok"]
        assert answer_of(crew[0])["granted"]
        assert watcher.get_locked_files()["locks"][0]["mode"] == "exclusive"


def test_a_stopped_waiter_holds_nobody_up(repo: str, watcher: Desk) -> None:
    holder = open_desk(repo, session="holder")
    holder.lock_files([A])
    with wanting(repo, 2, [], 30) as crew:
        names = [worker.next() for worker in crew]
        for worker, name in zip(crew, names, strict=True):
            ask(worker, watcher, name, [A])
        crew[0].freeze()
        holder.unlock_files([A])
        granted = answer_of(crew[1], timeout_s=10)
        assert granted["granted"]
        crew[0].thaw()
        crew[1].send("unlock")
        assert crew[1].next()["ok"]
        assert answer_of(crew[0])["granted"], "it has kept its place"
