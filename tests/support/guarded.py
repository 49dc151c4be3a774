"""A repository with a log and installed git hooks, in which the real git commits, pushes and is refused."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from gitcoord.hooks import canary, git_events, install, places
from gitcoord.service import Desk, initialise, open_desk
from gitcoord.store.repository import find_repository
from support.program import program_env
from support.repo import git, make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ME, OTHER = "me-1", "alice-1"
OLD_GIT = (2, 39)
"""A git without hooks in its config, whatever the one in use is: what is installed then runs with every git."""


def gits() -> dict[str, tuple[int, int]]:
    """Return the ways to install that the git in use runs: hook files, and hooks in its config where it knows them."""
    known = places.git_version()
    return {"files": OLD_GIT, **({"config": known} if known >= places.CONFIG_HOOKS else {})}


class Ran(NamedTuple):
    """How a git command ended."""

    code: int
    out: str
    err: str


def run_git(
    where: str,
    *words: str | bytes,
    session: str | None = ME,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    **more_env: str,
) -> Ran:
    """Run git as a session would, with hooks; nothing is raised."""
    more = {**(env or {}), **({"GITCOORD_SESSION": session} if session else {})}
    done = subprocess.run(
        ["git", "-C", where, *words],
        input=stdin,
        capture_output=True,
        check=False,
        env=program_env(**{"GIT_EDITOR": "true", **more, **more_env}),
        timeout=300,
    )
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def guard(where: str, flags: list[str] | None = None, version: tuple[int, int] | None = None) -> None:
    """Install git's hooks, as the git in use or another one knows them."""
    done = install.install(find_repository(where, {}), git_events.CLIENT, flags or [], version)
    assert all(one.how in ("file", "block", "chained", "config") for one in done), done


def hook_file(where: str, event: str) -> str:
    """Return the script that git starts for an event."""
    repository = find_repository(where, {})
    done = next(one for one in install.status(repository) if one.event == event)
    return canary.script_of(repository, done)


def make_guarded(
    path: str | os.PathLike[str], flags: list[str] | None = None, version: tuple[int, int] | None = None
) -> str:
    """Make a repository with a few files, a log and git's hooks."""
    where = make_repo(path)
    git(where, "config", "gitcoord.fsync", "false")
    initialise(where)
    guard(where, flags, version)
    return where


def desk(where: str, session: str = OTHER) -> Desk:
    """Return the desk of a command that runs as a session."""
    return open_desk(where, session=session, process=False)


def lock(where: str, *paths: str, session: str = OTHER, **more: str) -> dict[str, object]:
    """Let a session lock paths."""
    answer = desk(where, session).lock_files(list(paths), **more)  # pyright: ignore[reportArgumentType]
    assert answer["granted"], answer
    return answer


def tree_of(top: str, *, but: tuple[str, ...] = ()) -> dict[str, tuple[str, int, bytes]]:
    """Return every file and directory below a directory, with its kind, mode and bytes.

    Args:
        top: the directory.
        but: paths, relative to it, that do not count.
    """
    return {name: what for name, what in _walk(top) if not name.startswith(but or ("\0",))}


def _walk(top: str) -> Iterator[tuple[str, tuple[str, int, bytes]]]:
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            short = os.path.relpath(path, top)
            mode = os.lstat(path).st_mode
            if os.path.islink(path):
                yield short, ("link", mode, os.fsencode(os.readlink(path)))
            elif os.path.isdir(path):
                yield short, ("directory", mode, b"")
            else:
                with open(path, "rb") as file:
                    yield short, ("file", mode, file.read())


def write(where: str, name: str | bytes, text: str = "changed\n") -> None:
    """Write one file below a directory."""
    path = os.path.join(os.fsencode(where), os.fsencode(name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
