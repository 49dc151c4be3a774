"""What a write costs as the state grows: many locks held, many keys in a scope, against few."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.ground import desk, hold, must, project
from bench.measure import Row, Sizes, in_turns, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gitcoord.service import Desk

GROUP = "growth"
FEW = 10
SCOPE = "project:plan"


def rows(place: str, sizes: Sizes) -> Iterator[Row]:
    """Measure a lock beside many locks, and a store beside many keys."""
    ours, theirs = _compare(place, "spread", sizes, _locks, _lock_one)
    yield Row(GROUP, f"one lock with {sizes.many:,} held / with {FEW}", ours, theirs, "ms", 1.5)
    ours, theirs = _compare(place, "flat", sizes, _locks_in_one_directory, _lock_one_there)
    yield Row(GROUP, f"the same, all in one directory of {sizes.many:,} files", ours, theirs, "ms", None)
    ours, theirs = _compare(place, "keys", sizes, _keys, _store_one)
    yield Row(GROUP, f"store_data in a scope of {sizes.many:,} keys / of {FEW}", ours, theirs, "ms", 1.5)
    cold = desk(os.path.join(place, "spread-many"), "newcomer", durable=False)
    yield Row(GROUP, f"first lock of a new process with {sizes.many:,} held", _lock_one(cold, 0), None, "ms", None)


def _compare(
    place: str,
    name: str,
    sizes: Sizes,
    fill: Callable[[str, int], None],
    write: Callable[[Desk, int], float],
) -> list[float]:
    """Return the medians of a write into a full repository and into a nearly empty one, syncing relaxed."""
    writers: list[Callable[[int], float]] = []
    for label, count in (("many", sizes.many), ("few", FEW)):
        repo = project(os.path.join(place, f"{name}-{label}"))
        fill(repo, count)
        writer = desk(repo, "racer", durable=False)
        must(writer.sign_on())
        writers.append(lambda number, writer=writer: write(writer, number))
    return in_turns(sizes.writes, writers)


def _locks(repo: str, count: int) -> None:
    hold(repo, count)


def _locks_in_one_directory(repo: str, count: int) -> None:
    hold(repo, count, flat=True)


def _keys(repo: str, count: int) -> None:
    filler = desk(repo, "filler", durable=False)
    for number in range(count):
        must(filler.store_data(SCOPE, f"step-{number}", {"state": "open", "number": number}))


def _lock_one(writer: Desk, number: int) -> float:
    return _lock_and_release(writer, f"src/part{number % FEW:02}/new{number}.py")


def _lock_one_there(writer: Desk, number: int) -> float:
    return _lock_and_release(writer, f"src/one/new{number}.py")


def _lock_and_release(writer: Desk, path: str) -> float:
    answers: list[dict[str, object]] = []
    took = timed(lambda: answers.append(writer.lock_files([path], reason="Measure.")))
    must(answers[0])
    must(writer.unlock_files([path]))
    return took


def _store_one(writer: Desk, number: int) -> float:
    answers: list[dict[str, object]] = []
    took = timed(lambda: answers.append(writer.store_data(SCOPE, f"step-{number % FEW}", {"round": number})))
    must(answers[0])
    return took
