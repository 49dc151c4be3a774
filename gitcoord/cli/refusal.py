"""A refusal as a person reads it: who holds what, since when, until when, why, and what to try next."""

from __future__ import annotations

import sys

from gitcoord.cli.text import moment, visible
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitcoord.cli.acting import Answer

_PATH_LIMIT = 4096
_MESSAGE_LIMIT = 4000
_SHOWN = 10


def explain(answer: Answer) -> None:
    """Print a refusal on stderr.

    Args:
        answer: one that carries an `error`, and `conflicts` where somebody stands in the way.
    """
    from gitcoord.cli.acting import complain

    error = answer["error"]
    conflicts: list[dict[str, Any]] = answer.get("conflicts") or _checked_conflicts(answer)
    told = error.get("message")
    if conflicts and error.get("code") == "lock_held":  # its message says in one long line what follows in several
        others = sorted({f"{lock.get('session')}{' (another clone)' * _is_namesake(lock)}" for lock in conflicts})
        in_line = all(lock.get("state") == "waiting" for lock in conflicts)
        told = f"refused: {'wanted first' if in_line else 'held'} by {', '.join(others)}"
    complain(f"gitcoord: {visible(told, _MESSAGE_LIMIT)}")
    explain_conflicts(conflicts)
    if error.get("next"):
        complain(f"next: {visible(error['next'], _MESSAGE_LIMIT)}")


def _checked_conflicts(answer: Answer) -> list[dict[str, Any]]:
    return [lock for item in answer.get("checked") or () for lock in item.get("conflicts") or ()]


def _is_namesake(lock: dict[str, Any]) -> bool:
    return lock.get("another_clone") is True


def explain_conflicts(conflicts: list[dict[str, Any]]) -> None:
    """Print on stderr whose locks stand in the way."""
    from gitcoord.cli.acting import now_ms

    now = now_ms()
    for lock in conflicts[:_SHOWN]:
        path, held = lock.get("path"), lock.get("held_path") or lock.get("path")
        through = f" through {visible(held, _PATH_LIMIT)}" if held != path else ""
        waits = lock.get("state") == "waiting"
        how = "in line " if waits else "held by "
        elsewhere = "another clone, " * _is_namesake(lock)
        until = [] if waits else [f"    until    {moment(lock.get('expires_at'), now)}"]
        rows = [
            f"  {visible(path, _PATH_LIMIT)}",
            f"    {how} {visible(lock.get('session'))} ({elsewhere}{visible(lock.get('mode'))}){through}",
            f"    since    {moment(lock.get('locked_at'), now)}",
            *until,
            f"    why      {visible(lock.get('reason')) or '(no reason given)'}",
        ]
        print("\n".join(rows), file=sys.stderr)
    if len(conflicts) > _SHOWN:
        print(f"  and {len(conflicts) - _SHOWN} more", file=sys.stderr)
