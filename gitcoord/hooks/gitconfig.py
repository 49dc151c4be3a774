"""Hooks in git's own config, where git knows them: a marked block in the repository's `config` file.

Written under `config.lock`, as git writes it, and cut out again byte for byte.

Source: git-hook(1) of git 2.54 and 2.55. A command runs through a shell with git's arguments behind it, those of the
config before the file in the hooks directory, each with the whole input.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator

from gitcoord import config
from gitcoord.errors import CoordError
from gitcoord.hooks import gitrun, scripts
from gitcoord.runtime.files import remove
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from gitcoord.store.repository import Repository

_COMMAND = '\\"$(git rev-parse --git-common-dir)/gitcoord/hooks/{event}\\"'
# git says three times or more that refs change; only once can it be stopped.
_ONLY = {"reference-transaction": '[ \\"$1\\" != prepared ] || '}


def add(common_dir: str, events: tuple[str, ...]) -> str:
    """Put a hook for each event into the config, in place of those of an earlier time; return the file's path.

    Raises:
        CoordError: it cannot be written, or another process is at it.
    """

    def change(text: str) -> str:
        rest = scripts.cut(text)
        if scripts.is_ours(rest):
            raise CoordError(
                f"{common_dir}/config has gitcoord's hooks and not the mark {scripts.END!r} behind them",
                next="take out by hand what begins with the mark before them",
            )
        mark = scripts.BEGIN if rest.endswith("\n") or not rest else f"\n{scripts.BEGIN_AFTER}"
        rows = [mark]
        for event in events:
            command = _ONLY.get(event, "") + _COMMAND.format(event=event)
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


def is_on(repository: Repository, event: str) -> bool:
    """Tell whether git runs gitcoord's hook for an event: its config can switch off one hook, or all of an event.

    Args:
        repository: where.
        event: git's hook, which `events` names; for a git that has hooks in its config.
    """
    env = config.without_repository(config.environment())
    where = repository.worktree or repository.git_dir
    _, listed = gitrun.Running(["-C", where, "hook", "list", event], env).end()
    return f"gitcoord-{event}".encode() in listed.splitlines()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError as error:
        raise CoordError(f"{path} cannot be read: {error.strerror}", next="git config --list") from error


def _edit(common_dir: str, change: Callable[[str], str]) -> str:
    path = os.path.join(common_dir, "config")
    with _in_place_of(path) as file:
        file.write(change(_read(path)))
    return path


@contextlib.contextmanager
def _in_place_of(path: str) -> Generator[TextIO]:
    """Give git's lock file to write into, which then becomes the config, and is gone where something went wrong."""
    lock = f"{path}.lock"
    try:
        fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError as error:
        raise CoordError(f"{lock} is there: another process changes the config", next="try again") from error
    except OSError as error:
        raise CoordError(f"{lock} cannot be made: {error.strerror}", next="look at its rights") from error
    became = False  # once it has, a lock of that name is another process's
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            os.fchmod(fd, os.stat(path).st_mode & 0o777)
            yield file
        os.replace(lock, path)
        became = True
    finally:
        if not became:
            remove(lock)
