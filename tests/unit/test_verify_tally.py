"""What was found while a log was verified: counted, listed up to a bound, and remembered."""

from __future__ import annotations

from typing import Any

from gitcoord.model_time import format_time
from gitcoord.verify.tally import Tally

_MINUTE = 60_000


def broken(number: int, at_ms: int, machine: str = "m") -> Any:
    """Return a break of locks, as far as a tally looks at it."""
    locks = [{"path": f"f{number}.py", "key": f"f{number}.py", "kind": "file", "session": "s", "token": 1}]
    clock = {"time": format_time(at_ms), "machine": machine}
    return {"type": "lock.break", "id": str(number), "session": "a", "locks": locks, "reason": "", "clock": clock}


def counted(numbers: range, tally: Tally | None = None) -> Tally:
    found = tally or Tally()
    for number in numbers:
        found.count(number.to_bytes(20, "big"), number, [broken(number, number)], None)
    return found


def test_the_newest_of_many_events_are_listed_and_all_are_counted() -> None:
    tally = counted(range(5000))
    assert tally.notables == 5000
    assert [event.revision for event in tally.notable[-1000:]] == list(range(4000, 5000))
    assert len(tally.notable) < 2000


def test_what_is_remembered_has_a_bound_and_goes_on_as_if_nothing_had_been_between() -> None:
    before = counted(range(3000))
    later = Tally()
    assert later.join(before.remembered())
    counted(range(3000, 3010), later)
    counted(range(3000, 3010), before)
    assert later.to_dict() == before.to_dict()
    assert later.notables == before.notables == 3010
    assert later.notable[-200:] == before.notable[-200:]
    assert len(later.remembered()["notable"]) == 200


def test_a_clock_that_went_back_behind_what_is_remembered_is_told() -> None:
    before = Tally()
    before.count(bytes(20), 1, [broken(1, 60 * _MINUTE)], None)
    later = Tally()
    assert later.join(before.remembered())
    later.count(bytes(20), 2, [broken(2, 0)], None)
    assert [event.kind for event in later.notable] == ["forced-break", "forced-break", "clock-went-back"]


def test_of_very_many_machines_the_latest_are_remembered() -> None:
    tally = Tally()
    for number in range(1500):
        tally.count(bytes(20), number, [broken(number, number * _MINUTE, f"m{number}")], None)
    told = tally.remembered()
    assert sorted(told["latest"]) == sorted(told["earliest"]) == sorted(f"m{number}" for number in range(500, 1500))
