"""Time as the rest of the program sees it: values that somebody else measured, and arithmetic on them.

Nothing here asks for the time. A `Stamp` is what one machine's clocks said at one moment; `elapsed_ms` is the only way
to compare two of them, because only times of one machine may be compared and because a wall clock may be set at any
moment. Texts are RFC 3339 in UTC with milliseconds, the one form that gitcoord shows and records.
"""

from __future__ import annotations

from gitcoord.values import NamedTuple

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_LAST_YEAR = 9999
# One moment is asked for several times: by the check of its record, by a rule, and by who shows it.
_PARSED_KEPT = 1000
_parsed: dict[str, int] = {}
# Most moments of a log share their minute with others: by all of the text up to the seconds.
_minutes: dict[str, int] = {}
_RECORDED = len("2026-01-02T03:04:05.678Z")
_SECONDS_AT = len("2026-01-02T03:04:")


class Stamp(NamedTuple):
    """What the clocks of one machine said at one moment.

    Attributes:
        at_ms: the wall clock, milliseconds since the epoch, UTC; it may be wrong and may jump.
        uptime_ms: milliseconds since the machine started, sleep included where the system can tell.
        boot: names the start of the machine that `uptime_ms` counts from.
        machine: names the machine.
    """

    at_ms: int
    uptime_ms: int
    boot: str
    machine: str


def elapsed_ms(earlier: Stamp, later: Stamp) -> int | None:
    """Return the milliseconds between two stamps, or None where nobody can know.

    Within one boot the uptime decides, so setting the wall clock neither ends nor stretches a lease. After a restart
    only the wall clock is left, and it is believed. Stamps of two machines are never compared.

    Args:
        earlier: the stamp that was taken first.
        later: the one taken afterwards, as a rule just now.

    Returns:
        Never less than 0, though the wall clock may have gone back.
    """
    if earlier.machine != later.machine:
        return None
    if earlier.boot == later.boot:
        return max(0, later.uptime_ms - earlier.uptime_ms)
    return max(0, later.at_ms - earlier.at_ms)


def _date_of(days: int) -> tuple[int, int, int]:
    """Return year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01.

    Counted in eras of 400 years that begin on the first of March, so that the leap day is the last of its year.
    """
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def _days_of(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date; the inverse of `_date_of`."""
    era, year_of_era = divmod(year - (month <= 2), 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def format_time(at_ms: int) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds, such as `2026-01-02T03:04:05.678Z`.

    Args:
        at_ms: milliseconds since the epoch.

    Raises:
        ValueError: the year is not between 0 and 9999, so four digits do not hold it.
    """
    days, rest = divmod(at_ms, _DAY_MS)
    year, month, day = _date_of(days)
    if not 0 <= year <= _LAST_YEAR:
        msg = f"the time {at_ms} ms lies outside the years 0 to {_LAST_YEAR}"
        raise ValueError(msg)
    minutes, ms = divmod(rest, _MINUTE_MS)
    hour, minute = divmod(minutes, 60)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{ms // 1000:02}.{ms % 1000:03}Z"


def _number(text: str, low: int, high: int) -> int:
    """Return an unsigned decimal of ASCII digits within bounds; `int` alone takes signs, spaces and other scripts."""
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise ValueError(text)
    return int(text)


def _offset_ms(text: str) -> int:
    if text == "Z":
        return 0
    if len(text) != 6 or text[0] not in "+-" or text[3] != ":":
        raise ValueError(text)
    offset = (_number(text[1:3], 0, 23) * 60 + _number(text[4:], 0, 59)) * _MINUTE_MS
    return -offset if text[0] == "-" else offset


def _parse(text: str) -> int:
    if len(text) < 20 or (text[4], text[7], text[10], text[13], text[16]) != ("-", "-", "T", ":", ":"):
        raise ValueError(text)
    rest, ms = text[19:], 0
    if rest[0] == ".":
        digits = len(rest) - len(rest[1:].lstrip("0123456789")) - 1
        ms = _number((rest[1 : digits + 1] + "00")[:3] if digits else "", 0, 999)
        rest = rest[digits + 1 :]
    date = (_number(text[:4], 0, _LAST_YEAR), _number(text[5:7], 1, 12), _number(text[8:10], 1, 31))
    days = _days_of(*date)
    if _date_of(days) != date:  # the 30th of February
        raise ValueError(text)
    minutes = _number(text[11:13], 0, 23) * 60 + _number(text[14:16], 0, 59)
    ms += _number(text[17:19], 0, 59) * 1000
    return days * _DAY_MS + minutes * _MINUTE_MS + ms - _offset_ms(rest)


def parse_time(text: str) -> int:
    """Return the milliseconds since the epoch of an RFC 3339 time.

    Takes any offset and any number of decimals, of which it keeps three. A leap second is refused: no clock that
    gitcoord reads shows one.

    Args:
        text: such as `2026-01-02T03:04:05.678Z` or `2026-01-02T04:04:05+01:00`.

    Raises:
        ValueError: it is not such a time; the message quotes it.
    """
    known = _parsed.get(text)
    if known is not None:
        return known
    try:
        at_ms = _in_known_minute(text)
        if at_ms is None:
            at_ms = _parse(text)
            if len(text) == _RECORDED:
                _keep(_minutes, text[:_SECONDS_AT], at_ms - at_ms % _MINUTE_MS)
    except ValueError:
        msg = f"not a time like 2026-01-02T03:04:05.678Z: {text!r}"
        raise ValueError(msg) from None
    _keep(_parsed, text, at_ms)
    return at_ms


def _in_known_minute(text: str) -> int | None:
    """Return the same for a text of the form that is recorded, where its minute was parsed; None where it was not."""
    minute = _minutes.get(text[:_SECONDS_AT])
    if minute is None or len(text) != _RECORDED or text[19] != "." or text[23] != "Z":
        return None
    return minute + _number(text[17:19], 0, 59) * 1000 + _number(text[20:23], 0, 999)


def _keep(known: dict[str, int], text: str, at_ms: int) -> None:
    if len(known) >= _PARSED_KEPT:
        known.clear()
    known[text] = at_ms
