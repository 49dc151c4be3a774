"""`gitcoord hook <harness> <event>`: the one door of all hooks, and what an error of gitcoord's own means there.

A broken guard must not look like a passing one. What it could not judge is said aloud; whether it passes is a setting
(`open` or `closed`). A repository without a log, and a place without a repository, pass in silence.
"""

from __future__ import annotations

import sys

from gitcoord.errors import CoordError, NotARepository, NotInitialised, UnsupportedRepository
from gitcoord.hooks import git_events
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

USAGE = 2
_OPTIONS = ("--mode", "--errors", "--own")


def main(words: list[str]) -> int:
    """Answer one call of a hook and return the exit code.

    Args:
        words: the harness, the event, options of this program, then `--` and the caller's own arguments.
    """
    flags: dict[str, str] = {}
    names: list[str] = []
    rest = list(words)
    while rest and rest[0] != "--":
        word = rest.pop(0)
        if word in _OPTIONS and rest:
            flags[word[2:]] = rest.pop(0)
        elif word == "--warn":
            flags["mode"] = "warn"
        else:
            names.append(word)
    if len(names) < 2:
        print("gitcoord: usage: gitcoord hook <harness> <event>", file=sys.stderr)
        return USAGE
    harness, event, *more = names
    if harness == "git":
        return _git(event, git_events.Call([*more, *rest[1:]], flags))
    from gitcoord.hooks import agent

    return agent.main(harness, event, flags)


def _git(event: str, call: git_events.Call) -> int:
    handler = git_events.HANDLERS.get(event)
    if handler is None:
        print(f"gitcoord: git has no hook {event!r} that gitcoord knows", file=sys.stderr)
        return USAGE
    try:
        return 0 if handler(call) else git_events.REFUSED
    except (NotARepository, NotInitialised) as error:
        if isinstance(error, UnsupportedRepository):
            return broken(f"git's {event}", error, call.flags, default="open")
        return 0
    except Exception as error:  # noqa: BLE001 - an error of the guard is no verdict: the setting says what it means
        return broken(f"git's {event}", error, call.flags, default="closed" if event in git_events.CLOSED else "open")


def broken(what: str, error: Exception, flags: Mapping[str, str], *, default: str) -> int:
    """Say that a hook could not judge, and return the code for what the setting makes of that."""
    closed = errors_setting(flags, default) == "closed"
    said = f"{error.message}" if isinstance(error, CoordError) else f"{type(error).__name__}: {error}"
    verdict = "refused" if closed else "not guarded: nothing was checked, and it passes"
    print(f"gitcoord: {what} could not be judged ({said}); {verdict}", file=sys.stderr)
    way_out = getattr(error, "next", "") or "gitcoord doctor"
    print(f"next: {way_out}    (git config gitcoord.hookErrors open|closed)", file=sys.stderr)
    return git_events.REFUSED if closed else 0


def errors_setting(flags: Mapping[str, str], default: str, places: Iterable[str] = ()) -> str:
    """Return what an error of gitcoord's own means, read with as little as possible: the rest may be broken.

    Args:
        flags: what the hook's command line says.
        default: what holds where nobody says anything.
        places: directories whose repositories are asked; the working directory's by default. One that says `closed`
            closes.
    """
    import os

    from gitcoord import config
    from gitcoord.service.project import repository_config
    from gitcoord.store.repository import find_repository

    env = config.environment()
    said = flags.get("errors") or env.get("GITCOORD_HOOK_ERRORS")
    if not said:
        found: set[str | None] = set()
        for place in [*places] or [os.getcwd()]:
            try:
                found.add(repository_config(find_repository(place, env)).get("gitcoord.hookerrors"))
            except (CoordError, OSError):
                continue
        said = "closed" if "closed" in found else "open" if "open" in found else None
    return said if said in ("open", "closed") else default
