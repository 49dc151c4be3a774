from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitcoord.model_time import elapsed_ms, format_time, parse_time
from support.clock import ManualClock

YEAR_1_MS = -62_135_596_800_000
LAST_MS = 253_402_300_799_999
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def test_a_time_reads_as_rfc_3339_with_milliseconds() -> None:
    assert format_time(1_767_323_045_678) == "2026-01-02T03:04:05.678Z"
    assert format_time(0) == "1970-01-01T00:00:00.000Z"
    assert format_time(-1) == "1969-12-31T23:59:59.999Z"


@given(st.integers(YEAR_1_MS, LAST_MS))
def test_times_agree_with_the_standard_library_and_come_back(at_ms: int) -> None:
    text = format_time(at_ms)
    known = EPOCH + dt.timedelta(milliseconds=at_ms)
    assert text == known.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert parse_time(text) == at_ms


@given(st.integers(YEAR_1_MS + 86_400_000, LAST_MS - 86_400_000), st.integers(-1439, 1439))
def test_any_offset_is_understood(at_ms: int, minutes: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    known = (EPOCH + dt.timedelta(milliseconds=at_ms)).astimezone(zone)
    assert parse_time(known.isoformat(timespec="microseconds")) == at_ms


def test_decimals_beyond_the_third_are_dropped_and_missing_ones_are_zeros() -> None:
    assert parse_time("1970-01-01T00:00:01Z") == 1000
    assert parse_time("1970-01-01T00:00:01.5Z") == 1500
    assert parse_time("1970-01-01T00:00:01.123999999Z") == 1123


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05+1:00",
        "2026-01-02T03:04:05+01:00x",
        "2026-01-02T03:04:05z",
        "+026-01-02T03:04:05Z",
        "2026-01-02T03:04: 5Z",
        "٢٠٢٦-01-02T03:04:05Z",
        "2026-01-02T03:04:05.12٣Z",
    ],
)
def test_what_is_no_time_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="not a time") as caught:
        parse_time(text)
    assert repr(text) in str(caught.value)


def test_a_time_that_four_digits_do_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="years"):
        format_time(LAST_MS + 1)


def test_within_a_boot_a_jump_of_the_wall_clock_changes_nothing() -> None:
    clock = ManualClock()
    start = clock.stamp()
    clock.advance(10)
    clock.jump(1_000_000)
    assert elapsed_ms(start, clock.stamp()) == 10_000
    clock.jump(-5_000_000)
    assert elapsed_ms(start, clock.stamp()) == 10_000


def test_after_a_restart_the_wall_clock_is_all_there_is() -> None:
    clock = ManualClock()
    start = clock.stamp()
    clock.advance(10)
    clock.reboot()
    assert elapsed_ms(start, clock.advance(5)) == 15_000
    clock.jump(-100)
    assert elapsed_ms(start, clock.stamp()) == 0


def test_times_of_two_machines_are_never_compared() -> None:
    assert elapsed_ms(ManualClock().stamp(), ManualClock(machine="machine-b", boot="machine-a-boot-1").stamp()) is None


def test_an_earlier_stamp_is_never_a_negative_while_away() -> None:
    clock = ManualClock()
    start = clock.stamp()
    assert elapsed_ms(clock.advance(3), start) == 0
