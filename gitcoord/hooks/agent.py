"""One event of an agent, from what its harness says to what it hears.

What a tool is about to write is judged by the path that it writes, in whichever worktree that lies; the working
directory only makes relative paths whole. A write outside of every repository that has a log passes in silence.
"""

from __future__ import annotations

import os
import sys

from gitcoord import plainjson
from gitcoord.errors import CoordError
from gitcoord.hooks import answers, payloads
from gitcoord.hooks.answers import Reply
from gitcoord.hooks.payloads import AFTER, BEFORE, Told
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(harness: str, event: str, flags: Mapping[str, str]) -> int:
    """Answer one event: read its JSON from standard input, print the answer's, and return the exit code."""
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    kind = BEFORE
    told: Told | None = None
    try:
        told = payloads.parse(harness, event, text, os.getcwd())
        kind = told.kind
        reply = answer(told, flags)
    except Exception as error:  # noqa: BLE001 - an error of the guard is no verdict: the setting says what it means
        reply = _broken(harness, event, error, flags, _places(told))
    said = answers.render(harness, event, kind, reply)
    if said is not None:
        sys.stdout.write(plainjson.encode(said, letters=False) + "\n")
        sys.stdout.flush()
    if reply.warning:
        sys.stderr.write(f"{reply.warning}\n")
    return 0


def answer(told: Told, flags: Mapping[str, str]) -> Reply:
    """Return what is to be said of an event.

    Raises:
        CoordError: it could not be judged.
    """
    if told.kind in (BEFORE, AFTER):
        if not told.files and told.command is None:
            return Reply()
        from gitcoord.hooks import edits

        return edits.before(told, flags) if told.kind == BEFORE else edits.after(told)
    from gitcoord.hooks import turns

    return turns.answer(told)


def _places(told: Told | None) -> list[str]:
    """Return the directories that an event is about: of the working directory, and of what is written by name."""
    if told is None:
        return []
    files = (os.path.join(told.cwd, file) for file in told.files)
    return list(dict.fromkeys([told.cwd, *(os.path.dirname(file) for file in files)]))


def _broken(harness: str, event: str, error: Exception, flags: Mapping[str, str], places: list[str]) -> Reply:
    from gitcoord.hooks.run import errors_setting

    said = error.message if isinstance(error, CoordError) else f"{type(error).__name__}: {error}"
    text = f"gitcoord could not judge {harness}'s {event}: {said}"
    if errors_setting(flags, "open", places) == "closed":
        return Reply(deny=f"{text}. Nothing may be written until it can: gitcoord doctor")
    return Reply(warning=f"{text}. This edit is NOT guarded: gitcoord doctor")
