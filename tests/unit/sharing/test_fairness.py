"""How long who pushes holds back: pure, so the clock and what was seen of the remote are given."""

from __future__ import annotations

import pytest

from gitcoord.model_time import Stamp
from gitcoord.runtime.shared import Contact, moment
from gitcoord.sharing.fairness import backoff_s, way_s

NOW_MS = 5_000_000
PUSH_S = 0.25
A_TURN_S = 3 * PUSH_S


def stamp(ago_ms: int = 0, boot: str = "b") -> Stamp:
    return Stamp(1_700_000_000_000 - ago_ms, NOW_MS - ago_ms, boot, "m")


def contact(won: int, *, others_ago_ms: int | None = 1000, pushed_ago_ms: int = 0, boot: str = "b") -> Contact:
    others = None if others_ago_ms is None else moment(stamp(others_ago_ms, boot))
    return Contact(reached=moment(stamp(pushed_ago_ms, boot)), won=won, others=others)


def test_a_winner_gives_way_after_two_pushes_in_a_row_and_then_each_time_they_have_doubled() -> None:
    gives_way = [won for won in range(70) if way_s(contact(won), stamp(), PUSH_S) > 0]
    assert gives_way == [2, 4, 8, 16, 32, 64]


def test_it_gives_way_for_as_long_as_another_needs_to_fetch_and_push() -> None:
    assert way_s(contact(2), stamp(), PUSH_S) == A_TURN_S
    assert way_s(contact(2), stamp(), 2 * PUSH_S) == 2 * A_TURN_S
    assert way_s(contact(2), stamp(), 60.0) == 2.0, "a slow remote makes nobody wait for long"


@pytest.mark.parametrize(("pushed_ago_ms", "left_s"), [(250, A_TURN_S - 0.25), (750, 0.0), (60_000, 0.0)])
def test_who_paused_by_itself_waits_for_the_rest_only(pushed_ago_ms: int, left_s: float) -> None:
    assert way_s(contact(2, pushed_ago_ms=pushed_ago_ms), stamp(), PUSH_S) == left_s


@pytest.mark.parametrize("others_ago_ms", [None, 600_000, 4_000_000], ids=["never", "ten minutes ago", "long ago"])
@pytest.mark.parametrize("won", [0, 1, 2, 4, 64, 1 << 20])
def test_a_lone_clone_never_waits(won: int, others_ago_ms: int | None) -> None:
    assert way_s(contact(won, others_ago_ms=others_ago_ms), stamp(), PUSH_S) == 0.0


def test_others_count_for_ten_minutes() -> None:
    assert way_s(contact(2, others_ago_ms=599_999), stamp(), PUSH_S) == A_TURN_S


def test_what_was_seen_before_the_machine_started_again_makes_nobody_wait() -> None:
    assert way_s(contact(2, boot="before"), stamp(), PUSH_S) == 0.0
    assert way_s(Contact(won=2), stamp(), PUSH_S) == 0.0


def test_who_lost_waits_at_random_up_to_a_push_then_two_and_never_again() -> None:
    for lost_before, longest_s in ((1, PUSH_S), (2, 2 * PUSH_S)):
        waits = [backoff_s(lost_before, PUSH_S) for _ in range(500)]
        assert all(0 <= wait <= longest_s for wait in waits)
        assert len(set(waits)) > 10, "another time for each"
        assert max(waits) > longest_s / 2
    assert max(backoff_s(2, 60.0) for _ in range(500)) <= 1.0
    assert [backoff_s(lost_before, PUSH_S) for lost_before in (0, 3, 4, 400)] == [0.0] * 4
