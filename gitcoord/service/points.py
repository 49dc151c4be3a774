"""Points of the log: what people call a moment, a revision or a commit."""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import merge
from gitcoord.errors import BadRequest, NotFound
from gitcoord.log import Commit, Log
from gitcoord.model_time import Stamp, parse_time
from gitcoord.state import State

_SHORTEST = 7
_HEX = frozenset("0123456789abcdef")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIP = ("", "tip", "HEAD", "refs/coord", "refs/gitcoord/main")


def find(log: Log, text: str, now_ms: int) -> Commit:
    """Return the commit of the log, along first parents, that a text means.

    Args:
        log: what is searched.
        text: a revision (`1042`), a commit (at least seven hex digits), a time (RFC 3339, a date, or `2h` for two hours
            ago), `tip` or its ref's name, and with `~3` behind it the third before it. Of a time it is the newest
            commit that was not made after it, by its own date.
        now_ms: what `2h` counts from.

    Raises:
        BadRequest: it is none of these.
        NotFound: the log has no such point.
    """
    here = log.commit(log.tip())
    if text in _TIP:
        return here
    if text.isascii() and text.isdigit() and len(text) < 19:
        wanted = int(text)
        found = _first(log, here, lambda commit: 0 < commit.revision <= wanted, text)
        if found.revision != wanted:
            raise NotFound(f"the log has no revision {text} of its own", next="gitcoord log", point=text)
        return found
    if len(text) >= _SHORTEST and _HEX.issuperset(text):
        return _first(log, here, lambda commit: commit.oid.hex().startswith(text), text)
    name, tilde, count = text.partition("~")
    if tilde and name in _TIP[1:] and (not count or (count.isascii() and count.isdigit() and len(count) < 19)):
        return _back(log, here, int(count or 1), text)
    at_ms = _moment(text, now_ms)
    return _first(log, here, lambda commit: _time_of(log, commit) <= at_ms, text)


def then(state: State, text: str, now_ms: int) -> Stamp:
    """Return what the clocks said at a point of the log: those of its commit, and up to a time that was asked for.

    Args:
        state: the commit's.
        text: as `find` takes it, which has found that commit.
        now_ms: as for `find`.
    """
    clock = state.header["operations"][-1]["clock"]
    made_ms = parse_time(clock["time"])
    try:
        later_ms = max(0, _moment(text, now_ms) - made_ms)
    except BadRequest:
        later_ms = 0
    return Stamp(made_ms + later_ms, clock["uptime_ms"] + later_ms, clock["boot"], clock["machine"])


def _back(log: Log, here: Commit, count: int, text: str) -> Commit:
    """Return the commit so many first parents behind one, as git's `~` has it.

    Raises:
        NotFound: the log is shorter.
    """
    for _ in range(count):
        if not here.parents:
            raise NotFound(f"the log has no {text}", next="gitcoord log", point=text)
        here = log.commit(here.parents[0])
    return here


def _first(log: Log, here: Commit, fits: Callable[[Commit], bool], text: str) -> Commit:
    """Return the newest commit from here back that fits.

    Raises:
        NotFound: none does.
    """
    tip = here
    while not fits(here):
        if not here.parents:
            _check_apart(log, tip, text)
            began = log.state_at(here.oid).header["operations"][0]["clock"]["time"]
            raise NotFound(f"the log has no {text}; it begins at {began}", next="gitcoord log", point=text)
        here = log.commit(here.parents[0])
    return here


def _check_apart(log: Log, here: Commit, text: str) -> None:
    """Tell of a commit that a merge brought in that it was never the log's own state.

    Raises:
        NotFound: it is such a commit.
    """
    while len(text) >= _SHORTEST and _HEX.issuperset(text) and here.parents:
        if len(here.parents) == 2:
            for oid in merge.sides(log, *here.parents).theirs:
                if oid.hex().startswith(text):
                    raise NotFound(
                        f"commit {oid.hex()} was made apart, and came with the merge of revision {here.revision}",
                        next=f"gitcoord at {here.oid.hex()}",
                        point=text,
                    )
        here = log.commit(here.parents[0])


def _moment(text: str, now_ms: int) -> int:
    """Return the milliseconds since the epoch that a text means.

    Raises:
        BadRequest: it means no moment.
    """
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isascii() and number.isdigit() and len(number) < 10:
        return now_ms - int(number) * _UNITS[unit] * 1000
    for form in (text, text.replace(" ", "T", 1), f"{text}Z", f"{text.replace(' ', 'T', 1)}Z", f"{text}T23:59:59.999Z"):
        try:
            return parse_time(form)
        except ValueError:
            continue
    raise BadRequest(
        f"{text!r} is no point of the log",
        next="name a revision (1042), a commit (7 hex digits or more), a time (2026-01-31T09:00:00Z), or 2h for ago",
    )


def _time_of(log: Log, commit: Commit) -> int:
    return parse_time(log.state_at(commit.oid).header["operations"][0]["clock"]["time"])
