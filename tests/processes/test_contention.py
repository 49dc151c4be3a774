"""Many processes write at once: nothing is lost, nothing is doubled, nobody holds what another holds."""

from __future__ import annotations

import functools
import itertools
import os
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord import coordinator
from gitcoord.runtime.machine import SystemClock
from gitcoord.service import initialise, open_desk
from gitcoord.store import refs
from processes.workers import Entry, entries, fight, freeze_pairs, join_in, kinds, mixed_operations, stores
from support.procs import start
from support.repo import LOG_REF, fsck, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gitcoord.model_time import Stamp
    from gitcoord.store.objects import Batch
    from support.procs import Link

WRITERS, COUNT = 8, 200


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    return where


def relaxed() -> dict[str, str]:
    return {"GITCOORD_FSYNC": "0"}


def check_answer(entry: Entry, session: str, answer: list[Any]) -> None:
    """Compare what a writer was told of one operation with what the log has at that revision."""
    kind, what, _ = answer
    operation = entry.operation
    assert operation["session"] == session
    if kind == "store":
        assert (entry.kind, operation["value"]) == ("data.store", what)
    else:
        assert entry.kind == {"lock": "lock.acquire", "unlock": "lock.release"}[kind]
        assert [claim["path"] for claim in operation["claims"]] == [what]


def test_eight_writers_lose_nothing_and_double_nothing(repo: str) -> None:
    with start(mixed_operations, WRITERS, repo, COUNT, env=relaxed()) as crew:
        crew.go()
        signed_on = [worker.next() for worker in crew]
        for worker in crew:
            worker.send("write")
        told = [lines[1:] for lines in crew.finish()]
    log = entries(repo)
    by_revision = {entry.revision: entry for entry in log}
    assert [entry.revision for entry in log] == list(range(1, len(log) + 1))
    names = [session for _, session, _ in signed_on]
    assert len(set(names)) == WRITERS
    acknowledged = 1 + WRITERS  # init, sign-ons
    for session, ((_, answers), (_, _, ended_at)) in zip(names, told, strict=True):
        assert len(answers) == COUNT
        for answer in answers:
            check_answer(by_revision[answer[2]], session, answer)
        assert by_revision[ended_at].operation["session"] == session
        assert by_revision[ended_at].kind == "session.end"
        acknowledged += COUNT + 1
    assert any(held for _, (_, held, _) in told), "some sign-off has something to release"
    revisions = [answer[2] for (_, answers), _ in told for answer in answers]
    assert len(set(revisions)) == len(revisions), "two answers rest on one commit"
    assert len(log) == acknowledged
    assert len({entry.operation["id"] for entry in log}) == len(log)
    assert len({entry.commit for entry in log}) == len(log)
    check_interleaved(log, names)
    assert fsck(repo) == []


def check_interleaved(log: list[Entry], names: list[str]) -> None:
    """The writers took turns: else the test has shown nothing about writing at once."""
    at_work = [
        entry.operation["session"] for entry in log if entry.kind in ("data.store", "lock.acquire", "lock.release")
    ]
    changes = sum(one != other for one, other in itertools.pairwise(at_work))
    assert changes > len(at_work) // 4, f"the author changed {changes} times in {len(at_work)} operations"
    last_start = max(at_work.index(name) for name in names)
    first_end = min(len(at_work) - 1 - at_work[::-1].index(name) for name in names)
    together = at_work[last_start : first_end + 1]
    assert len(together) > len(at_work) // 2, f"all of them were at work in {len(together)} operations only"


def check_one_holder(log: list[Entry]) -> list[int]:
    """Follow the holder of the one path along the log; return the tokens of its grants."""
    holder: str | None = None
    tokens: list[int] = []
    for entry in log:
        session = entry.operation.get("session")
        if entry.kind == "lock.acquire":
            assert holder is None, f"granted to {session} at {entry.revision} while {holder} holds it"
            holder = session
            tokens.append(entry.revision)
        elif entry.kind == "lock.release":
            assert holder == session
            holder = None
        else:
            assert entry.kind in ("log.init", "session.start", "session.end")
            assert holder is None or holder != session
    assert holder is None
    return tokens


@pytest.mark.parametrize(("wait_s", "rounds"), [(60.0, 20), (None, 150)])
def test_one_path_never_has_two_holders(repo: str, tmp_path: Path, wait_s: float | None, rounds: int) -> None:
    witness = str(tmp_path / "witness")
    with start(fight, WRITERS, repo, rounds, wait_s, witness, env=relaxed()) as crew:
        crew.go()
        for worker in crew:
            worker.next()
        for worker in crew:
            worker.send("fight")
        told = [lines[-1] for lines in crew.finish()]
    log = entries(repo)
    granted = check_one_holder(log)
    assert granted == sorted(set(granted))
    assert sorted(token for _, tokens, _ in told for token in tokens) == granted, "tokens that were told are the log's"
    for session, tokens, refused in told:
        assert tokens == sorted(tokens)
        assert len(tokens) + refused == rounds
        mine = [e.revision for e in log if e.kind == "lock.acquire" and e.operation["session"] == session]
        assert mine == tokens
    if wait_s is not None:
        assert len(granted) == WRITERS * rounds
        holders = [e.operation["session"] for e in log if e.kind == "lock.acquire"]
        changes = sum(one != other for one, other in itertools.pairwise(holders))
        assert changes > len(holders) // 2, "first come, first served: the holder changes"
    else:
        assert len(granted) > 20
        assert sum(refused for _, _, refused in told) > 50


def test_eight_that_begin_at_once_make_one_log_and_get_eight_ids(tmp_path: Path) -> None:
    for turn in range(2):
        repo = make_repo(tmp_path / f"repo{turn}")
        with start(join_in, WRITERS, repo) as crew:
            crew.go()
            told = [worker.next() for worker in crew]
            for worker in crew:
                worker.send("end")
            crew.finish()
        assert sum(created for created, _ in told) == 1
        assert sorted(session for _, session in told) == [f"same-name-{number}" for number in range(1, WRITERS + 1)]
        log = entries(repo)
        assert kinds(log) == {"log.init": 1, "session.start": WRITERS, "data.store": WRITERS}
        assert fsck(repo) == []


def test_writers_that_stop_at_any_moment_do_everything_once(repo: str) -> None:
    chance = random.Random(11)
    # The first stands between its building and its publishing, the other anywhere: a chain that is being made.
    pairs: list[tuple[int | str, int, bool]] = [("publish.lock", n, False) for n in range(1, 75)]
    pairs += [("publish.lock", n, True) for n in range(1, 16)]
    pairs += [(chance.randrange(1, 75), chance.randrange(1, 75), False) for _ in range(40)]
    with start(freeze_pairs, 1, repo, pairs, env=relaxed()) as crew:
        crew.go()
        told = crew.finish()[0]
    assert len(told) == len(pairs)
    stopped = [both for _, both, _ in told]
    assert sum(one for one, _ in stopped) > len(pairs) // 2, "most of the first writers did stop"
    assert sum(all(both) for both in stopped) > len(pairs) // 5, "often both stood still at once"
    on_log = stores(entries(repo))
    for pair, _, answers in told:
        assert len(answers) == 2
        for key, _ in answers:
            assert len(on_log[("frozen", key)]) == 1, f"{key} with stops at {pair}"
    revisions = [revision for _, _, answers in told for _, revision in answers]
    assert len(set(revisions)) == 2 * len(pairs)
    assert kinds(entries(repo)) == {"log.init": 1, "session.start": 1, "data.store": 2 * len(pairs)}
    assert fsck(repo) == []


class TurningClock(SystemClock):
    """A clock during whose k-th look somebody else gets the processor for a moment."""

    def __init__(self, repo: str, at: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(f"{repo}/.git/gitcoord")
        self._left = at
        self._meanwhile = meanwhile

    def stamp(self) -> Stamp:
        now = super().stamp()
        self._left -= 1
        if self._left == 0:
            self._meanwhile()
        return now

    @property
    def done(self) -> bool:
        """Whether the moment has come."""
        return self._left <= 0


def give_way(thread: threading.Thread) -> None:
    """Let a thread run for a moment; where its starter has a lock in its hands, it waits for that."""
    time.sleep(0.005)
    thread.start()
    thread.join(0.1)


def test_whoever_gets_in_between_doubles_nothing(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")
    at, done = 0, True
    expected: list[tuple[str, str]] = []
    while done:
        at += 1
        other = open_desk(repo, session="other")
        other.store_data("s", f"before {at}", at)
        thread = threading.Thread(target=other.store_data, args=("s", f"other {at}", at))

        clock = TurningClock(repo, at, functools.partial(give_way, thread))
        assert open_desk(repo, session="me", clock=clock).store_data("s", f"me {at}", at)["ok"]
        done = clock.done
        expected += [("s", f"before {at}"), ("s", f"me {at}")]
        if done:
            thread.join()
            expected.append(("s", f"other {at}"))
    assert at > 2
    on_log = stores(entries(repo))
    assert {place: len(values) for place, values in on_log.items()} == dict.fromkeys(expected, 1)


def test_what_was_answered_with_a_failure_does_not_happen_afterwards(
    repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refs, "PATIENCE_S", 0.02)
    me, other = open_desk(repo, session="me"), open_desk(repo, session="other")
    me.store_data("s", "first", 1)
    other.store_data("s", "second", 2)
    foreign = f"{repo}/.git/{LOG_REF}.lock"
    with open(foreign, "x", encoding="ascii"):
        refused = me.store_data("s", "failed", 3)
    locked = me.lock_files(["src/app.py"])
    assert (refused["error"]["code"], locked["error"]["code"]) == ("contention", "contention")
    os.unlink(foreign)
    assert other.store_data("s", "third", 4)["ok"]
    assert other.retrieve_data("s", "failed")["found"] is False
    assert other.get_locked_files()["locks"] == []
    assert other.list_keys("s")["keys"] == ["first", "second", "third"]


def store_many(link: Link, repo: str, count: int) -> None:
    """Worker: store values, where no more than two commits may wait to be published."""
    coordinator.CHAIN_LIMIT = 2
    desk = open_desk(repo, session=f"writer-{link.index}")
    assert desk.sign_on()["session"]
    objects = desk.access.coordinator.objects
    batch, built = objects.batch, 0

    def counted() -> Batch:
        nonlocal built
        built += 1
        return batch()

    objects.batch = counted
    link.emit("ready")
    link.receive()
    for number in range(count):
        answer = desk.store_data("many", f"{link.index}.{number}", number)
        assert answer["ok"], answer
    link.emit(built)


def test_who_finds_the_chain_full_publishes_it_and_voids_nothing(repo: str) -> None:
    with start(store_many, 6, repo, 30, env={"GITCOORD_FSYNC": "1"}) as crew:
        crew.go()
        assert all(worker.next() == "ready" for worker in crew)
        crew.go()
        built = sum(told[-1] for told in crew.finish())
    on_log = stores(entries(repo))
    assert on_log == {("many", f"{writer}.{number}"): [number] for writer in range(6) for number in range(30)}
    assert built == 6 * 30, "nothing was decided twice"
