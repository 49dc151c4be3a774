"""Where an agent stopped: kept at the end of each turn and before its context is compacted, told when it comes back.

A small private file for each session in the runtime directory of its clone; the newest of a worktree stands in for a
conversation that begins under a new name. It is the agent's own note: other sessions' words are not in it.
"""

from __future__ import annotations

import json
import os

from gitcoord.runtime.files import names, parse_object, private_dir, remove, write_whole
from gitcoord.values import Any, NamedTuple

_FOLDER = "checkpoints"
_TOUCHED = 20
_WORDS = 600
_KEPT = 200
_READ_LIMIT = 1 << 16


class Checkpoint(NamedTuple):
    """Where a session stopped.

    Attributes:
        session: whose.
        agent: of which harness.
        worktree: where it worked.
        at: when, as the log writes times.
        branch: on which branch.
        held: what it held.
        touched: the files that it wrote last.
        words: the end of what it said.
    """

    session: str
    agent: str
    worktree: str
    at: str
    branch: str
    held: list[str]
    touched: list[str]
    words: str


def read(runtime: str, session: str) -> Checkpoint | None:
    """Return where a session stopped; None where nothing is kept."""
    try:
        with open(os.path.join(runtime, _FOLDER, f"{session}.json"), "rb") as file:
            said = parse_object(file.read(_READ_LIMIT))
    except OSError:
        return None
    texts = {name: _text(said.get(name)) for name in ("session", "agent", "worktree", "at", "branch", "words")}
    return Checkpoint(**texts, held=_texts(said.get("held")), touched=_texts(said.get("touched")))


def newest(runtime: str, agent: str, worktree: str, but: str) -> Checkpoint | None:
    """Return the last checkpoint of a harness in a worktree that is another session's."""
    kept = (read(runtime, name.removesuffix(".json")) for name in names(os.path.join(runtime, _FOLDER)))
    found = [one for one in kept if one is not None and (one.agent, one.worktree) == (agent, worktree)]
    return max((one for one in found if one.session != but), key=lambda one: one.at, default=None)


def write(runtime: str, one: Checkpoint) -> None:
    """Keep a checkpoint in the place of the session's last one.

    Raises:
        StorageFault: it cannot be written.
    """
    folder = private_dir(os.path.join(runtime, _FOLDER))
    kept = one._replace(touched=one.touched[-_TOUCHED:], words=one.words[-_WORDS:])
    write_whole(os.path.join(folder, f"{one.session}.json"), json.dumps(kept._asdict()).encode("utf-8", "replace"))
    files = names(folder)
    if len(files) > _KEPT:
        paths = [os.path.join(folder, name) for name in files]
        paths.sort(key=lambda path: os.stat(path).st_mtime_ns)
        for path in paths[: len(files) - _KEPT]:
            remove(path)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
