"""Timing, ratios, and the table that they are printed in.

Two things that are compared are timed in turns within one loop, each after a warm-up, and their medians are divided:
what else the machine does meanwhile meets both alike.
"""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        group: which benchmark measured it; what `--only` names.
        what: what is compared with what.
        ours: gitcoord's figure.
        theirs: the figure that it is compared with; None where the limit is on `ours` itself.
        unit: of both figures.
        limit: what the ratio (or `ours`) must not pass; None is told for information only.
        at_least: the ratio must not fall below the limit, instead of not rising above it.
    """

    group: str
    what: str
    ours: float
    theirs: float | None
    unit: str
    limit: float | None
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """What is held against the limit."""
        if self.theirs is None:
            return self.ours
        # "Times faster" and "times as much" count the other way round when the figures are times.
        return self.theirs / self.ours if self.at_least and self.unit == "ms" else self.ours / self.theirs

    @property
    def missed(self) -> bool:
        """Whether the limit is passed."""
        if self.limit is None:
            return False
        return self.ratio < self.limit if self.at_least else self.ratio > self.limit


class Sizes(NamedTuple):
    """How much is measured.

    Attributes:
        writes: rounds of single writes.
        processes: rounds of starting a short process.
        servers: rounds of starting a server.
        many: how many locks and keys count as many.
        each: writes of each of the eight processes.
        calls: round trips over stdio.
    """

    writes: int
    processes: int
    servers: int
    many: int
    each: int
    calls: int


FULL = Sizes(writes=300, processes=40, servers=15, many=10_000, each=100, calls=300)
QUICK = Sizes(writes=20, processes=3, servers=1, many=300, each=10, calls=20)


def timed(call: Callable[[], object]) -> float:
    """Return how many milliseconds a call takes."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def in_turns(rounds: int, calls: Sequence[Callable[[int], float]], before: int | None = None) -> list[float]:
    """Run several things in turns and return the median of each one's own figures.

    Args:
        rounds: how often; more are run first and not counted.
        calls: each gets the round's number and returns its milliseconds. The order changes from round to round, so
            that nothing always runs in the wake of the same other.
        before: how many rounds are run first, as many as `warm_up` says by default. One is enough for what takes
            seconds: whatever is warm after that was warm before its end.
    """
    found: list[list[float]] = [[] for _ in calls]
    gc.collect()
    gc.disable()
    try:
        for number in range((warm_up(rounds) if before is None else before) + rounds):
            order = range(len(calls))
            for index in order if number % 2 else reversed(order):
                found[index].append(calls[index](number))
    finally:
        gc.enable()
    return [median_of(times, rounds) for times in found]


def warm_up(rounds: int) -> int:
    """Return how many rounds are run before those that count."""
    return max(2, rounds // 5)


def median_of(times: Sequence[float], rounds: int) -> float:
    """Return the median of the rounds that count: the last ones."""
    return statistics.median(times[-rounds:])


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, which is what a terminal shows well too."""
    lines = [("what", "gitcoord", "compared with", "ratio", "limit", "")]
    for row in rows:
        theirs = "" if row.theirs is None else _figure(row.theirs, row.unit)
        limit = "" if row.limit is None else f"{'>=' if row.at_least else '<='} {_bound(row)}"
        ratio = "" if row.theirs is None else f"{row.ratio:.2f}"
        verdict = "" if row.limit is None else "MISSED" if row.missed else "ok"
        lines.append((row.what, _figure(row.ours, row.unit), theirs, ratio, limit, verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


def _bound(row: Row) -> str:
    return f"{row.limit:g}" if row.theirs is not None else _figure(row.limit or 0, row.unit)
