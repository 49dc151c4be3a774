"""What hooks say. What other sessions wrote stands in it as their words: in one line, cut, and without effect."""

from __future__ import annotations

import sys

from gitcoord.render import visible
from gitcoord.service.guarding import Met, is_over
from gitcoord.service.looking import conflict_views
from gitcoord.service.views import held_message, lock_view
from gitcoord.transitions.locks import claim_record
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitcoord.model import Lock
    from gitcoord.model_time import Stamp
    from gitcoord.service.callers import Callers
    from gitcoord.state import State

SHOWN = 10
_LINE = 500


def line(text: str, limit: int = _LINE) -> str:
    """Return a text as one harmless line of limited length."""
    shown = visible(text)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def tell(lines: Iterable[str]) -> None:
    """Print lines on stderr, which is what git shows and no harness takes for an answer."""
    for text in lines:
        print(line(text, 4 * _LINE), file=sys.stderr)


def path_of(met: Met) -> str:
    """Return the path of what was met, as answers write it."""
    return claim_record(met.claim)["path"]


def held(state: State, met: Met) -> str:
    """Return who holds a path, since when, until when and why."""
    view = conflict_views(state, (met.claim,), met.look.held)[0]
    doubt = " (provisional: the remote has not confirmed it)" if view["state"] == "provisional" else ""
    return line(held_message(view)) + doubt


def held_lines(state: State, found: list[Met]) -> list[str]:
    """Return a line for each path that others hold, up to a limit."""
    lines = [f"  {held(state, met)}" for met in found[:SHOWN]]
    return [*lines, f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else lines


def beside_lines(found: Iterable[Met]) -> list[str]:
    """Return a line for each mark and each lapsed lock that only warns."""
    lines: dict[str, None] = {}
    for met in found:
        for lock in met.look.beside:
            why = f': "{lock["reason"]}"' if lock["reason"] else ""
            lines[f"  {lock['session']} means to work on {lock['path']}{why}"] = None
        for text in met.look.over:
            lines[f"  {text}"] = None
    kept = [line(text) for text in lines]
    return [*kept[:SHOWN], f"  and {len(kept) - SHOWN} more"] if len(kept) > SHOWN else kept


def doubts(state: State, callers: Callers, now: Stamp, found: Iterable[Met]) -> list[str]:
    """Return what is wrong with the session's own locks on what was met: lost, run out, or not confirmed."""
    lines: dict[str, None] = {}
    for met in found:
        lock, lost = met.look.mine, met.look.lost
        if lost is not None:
            lines[line(f"  your lock on {lost['path']} was lost: refused after all: {lost['why']}")] = None
        if lock is not None:
            why = doubt_about(lock, state, callers, now)
            if met.look.overdue:
                why = "has run out as far as the remote knows, and others may have it; gitcoord sync"
            if why:
                lines[line(f"  your lock on {lock['path']} {why}")] = None
    return list(lines)


def doubt_about(lock: Lock, state: State, callers: Callers, now: Stamp) -> str:
    """Return what is wrong with one's own lock; empty where nothing is."""
    standing = lock_view(state, lock)["state"]
    if is_over(lock, state, callers, now):
        return "has run out, and whoever wants it may have it; lock it again"
    if standing == "provisional":
        return "is provisional: the remote has not confirmed it; sync before you rely on it"
    return ""
