"""Running git from a hook, beside what the hook itself loads meanwhile.

`subprocess` costs a hook a fifth of its time, so a command that only prints is spawned without it.
"""

from __future__ import annotations

import os

from gitcoord import config
from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 1 << 16


class GitFailed(CoordError):
    """A git command that a hook needs failed."""

    code = "git_failed"


class Running:
    """A git command at work, whose output will be wanted."""

    def __init__(self, words: list[str], env: Mapping[str, str] | None = None) -> None:
        """Start it.

        Args:
            words: the command and its arguments, without `git`.
            env: its environment; the hook's own by default.

        Raises:
            GitFailed: there is no git.
        """
        self._words = words
        self._out, theirs = os.pipe()
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs, 1),
        ]
        given = config.environment() if env is None else dict(env)
        try:
            self._pid = os.posix_spawnp("git", ["git", *words], given, file_actions=actions)
        except OSError as error:
            os.close(self._out)
            raise GitFailed(
                f"git could not be started: {os.strerror(error.errno or 0)}", next="git --version"
            ) from error
        finally:
            os.close(theirs)

    def finish(self) -> bytes:
        """Wait for it and return what it printed.

        Raises:
            GitFailed: it said that it failed.
        """
        code, found = self.end()
        if code:
            raise GitFailed(f"git {self._words[0]} failed with {code}", next=f"git {' '.join(self._words[:3])}")
        return found

    def end(self) -> tuple[int, bytes]:
        """Wait for it and return its exit status and what it printed."""
        chunks: list[bytes] = []
        while chunk := os.read(self._out, _CHUNK):
            chunks.append(chunk)
        os.close(self._out)
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status), b"".join(chunks)


def output(words: list[str], *, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes:
    """Run a git command and return what it printed.

    Args:
        words: the command and its arguments, without `git`.
        stdin: what it reads; nothing by default.
        env: its environment; the hook's own by default.

    Raises:
        GitFailed: it failed.
    """
    if stdin is None:
        return Running(words, env).finish()
    import subprocess

    given = config.environment() if env is None else dict(env)
    try:
        done = subprocess.run(["git", *words], input=stdin, stdout=subprocess.PIPE, env=given, check=False)  # noqa: S603, S607 - words are this package's own, git is the user's
    except OSError as error:
        raise GitFailed(f"git could not be started: {error}", next="git --version") from error
    if done.returncode:
        raise GitFailed(f"git {words[0]} failed with {done.returncode}", next=f"git {' '.join(words[:3])}")
    return done.stdout


def names_in(listing: bytes) -> list[str]:
    """Return the names of a listing in which each ends in NUL; bytes that are not UTF-8 survive."""
    return [name.decode("utf-8", "surrogateescape") for name in listing.split(b"\0") if name]


def empty_tree() -> str:
    """Return the name of the tree that holds nothing."""
    return output(["hash-object", "-t", "tree", "--stdin"], stdin=b"").decode().strip()
