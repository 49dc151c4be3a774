"""The cost of one lock: against the same objects written by pygit2 and by git's plumbing."""

from __future__ import annotations

import gc
import os
from functools import partial
from typing import TYPE_CHECKING

from bench.ground import copy_of, desk, hold, must, project
from bench.history import Source
from bench.measure import Row, Sizes, median_of, timed, warm_up
from bench.writers import Plumbing, Pygit2, RawPygit2, sync_pygit2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GROUP = "write"
REASON = "Rework the connection pool."


Writer = RawPygit2 | Pygit2 | Plumbing


class Race:
    """gitcoord locks and unlocks files in one repository; others write what it wrote into copies of that.

    Args:
        place: where to make the repositories.
        durable: whether gitcoord syncs; the others were made to do the same.
        makers: each makes a competitor from the path of its copy.
    """

    def __init__(self, place: str, makers: Sequence[Callable[[str], Writer]], *, durable: bool) -> None:
        repo = project(place)
        hold(repo, 10)
        self._durable = durable
        self._desk = desk(repo, "racer", durable=durable)
        must(self._desk.sign_on())
        self._source = Source(repo)
        self._writers = [make(copy_of(repo, str(number))) for number, make in enumerate(makers)]

    def run(self, rounds: int) -> list[float]:
        """Return the medians of one lock: gitcoord's, then each competitor's."""
        found: list[list[float]] = []
        gc.collect()
        gc.disable()
        try:
            for number in range(warm_up(rounds) + rounds):
                path = f"src/part{number % 10:02}/file{number}.py"
                found.append(self._both(lambda path=path: self._desk.lock_files([path], reason=REASON)))
                self._both(lambda path=path: self._desk.unlock_files([path]))
        finally:
            gc.enable()
        return [median_of(times, rounds) for times in zip(*found, strict=True)]

    def _both(self, verb: Callable[[], dict[str, object]]) -> list[float]:
        before = self._source.tip()
        answers: list[dict[str, object]] = []
        self._settle()
        times = [timed(lambda: answers.append(verb()))]
        must(answers[0])
        (step,) = self._source.since(before)
        for writer in self._writers:
            self._settle()
            times.append(timed(lambda writer=writer: writer.write(step)))
            assert writer.tip == step.commit, "the competitor did not write what gitcoord wrote"
        return times

    def _settle(self) -> None:
        # A sync pays for what others wrote before and did not sync: let nobody inherit such a debt.
        if self._durable:
            os.sync()


def rows(place: str, sizes: Sizes) -> Iterator[Row]:
    """Measure one lock with syncing on and relaxed."""
    for durable in (True, False):
        how = "synced" if durable else "relaxed"
        sync_pygit2(durable)
        race = Race(os.path.join(place, f"pygit2-{how}"), [RawPygit2, Pygit2], durable=durable)
        ours, raw, built = race.run(sizes.writes)
        yield Row(GROUP, f"one lock / pygit2 writing the same, {how}", ours, built, "ms", 3)
        yield Row(GROUP, f"one lock / libgit2 given finished objects, {how}", ours, raw, "ms", None)
        makers = [partial(Plumbing, durable=durable)]
        if durable:
            makers.append(partial(Plumbing, durable=True, names=False))
        race = Race(os.path.join(place, f"plumbing-{how}"), makers, durable=durable)
        ours, plumbing, *nameless = race.run(max(5, sizes.writes // 10))
        yield Row(GROUP, f"git's plumbing / one lock, {how}", ours, plumbing, "ms", 8, at_least=True)
        for less in nameless:
            what = "git's plumbing, its names left unsynced / one lock, synced"
            yield Row(GROUP, what, ours, less, "ms", None, at_least=True)
