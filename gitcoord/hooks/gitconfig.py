"""Hooks in git's own config, where git knows them: a marked block in the repository's `config` file.

Written under `config.lock`, as git writes it, and cut out again byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from gitcoord.errors import CoordError
from gitcoord.hooks import scripts
from gitcoord.runtime.files import remove

_COMMAND = '\\"$(git rev-parse --git-common-dir)/gitcoord/hooks/{event}\\"'


def add(common_dir: str, events: tuple[str, ...]) -> str:
    """Put a hook for each event into the config, in place of those of an earlier time; return the file's path.

    Raises:
        CoordError: it cannot be written, or another process is at it.
    """

    def change(text: str) -> str:
        rest = scripts.cut(text)
        mark = scripts.BEGIN if rest.endswith("\n") or not rest else f"\n{scripts.BEGIN_AFTER}"
        rows = [mark]
        for event in events:
            command = _COMMAND.format(event=event)
            rows += [f'[hook "gitcoord-{event}"]', f'\tcommand = "{command}"', f"\tevent = {event}"]
        return rest + "\n".join([*rows, scripts.END, ""])

    return _edit(common_dir, change)


def drop(common_dir: str) -> str | None:
    """Take gitcoord's hooks out of the config and return its path; None where there were none.

    Raises:
        CoordError: it cannot be written, or another process is at it.
    """
    return _edit(common_dir, scripts.cut) if events(common_dir) else None


def events(common_dir: str) -> list[str]:
    """Return the events for which the config has gitcoord."""
    prefix, suffix = '[hook "gitcoord-', '"]'
    lines = (line.strip() for line in _read(os.path.join(common_dir, "config")).splitlines())
    return [line[len(prefix) : -len(suffix)] for line in lines if line.startswith(prefix) and line.endswith(suffix)]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError as error:
        raise CoordError(f"{path} cannot be read: {error.strerror}", next="git config --list") from error


def _edit(common_dir: str, change: Callable[[str], str]) -> str:
    path = os.path.join(common_dir, "config")
    lock = f"{path}.lock"
    try:
        fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError as error:
        raise CoordError(f"{lock} is there: another process changes the config", next="try again") from error
    except OSError as error:
        raise CoordError(f"{lock} cannot be made: {error.strerror}", next="look at its rights") from error
    try:
        mode = os.stat(path).st_mode & 0o777
        after = change(_read(path))
        with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(after)
        os.chmod(lock, mode)
        os.replace(lock, path)
    except BaseException:
        remove(lock)
        raise
    return path
