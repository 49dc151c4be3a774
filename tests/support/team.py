"""A team: one bare remote, and clones of it that share their log over it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from gitcoord.service import Desk, initialise, open_desk
from support.repo import LOG_REF, git, make_repo

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from support.clock import ManualClock

_WRAPPER = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$GITCALLS"
exec {git} "$@"
"""


class Team:
    """One bare remote and any number of clones.

    Attributes:
        root: the directory that all of it lies in.
        hub: the bare remote.
    """

    def __init__(self, path: Path) -> None:
        """Make the remote, with a few files in it."""
        self.root = path
        self.hub = str(path / "hub.git")
        seed = make_repo(path / "seed")
        git(seed, "clone", "-q", "--bare", seed, self.hub)
        git(self.hub, "remote", "remove", "origin")

    def clone(self, name: str) -> str:
        """Make a clone that has no log yet, and return its path."""
        where = str(self.root / name)
        git(str(self.root), "clone", "-q", self.hub, where)
        git(where, "config", "gitcoord.fsync", "false")
        return where

    def sharing(self, name: str) -> str:
        """Make a clone that shares with the remote: the first publishes the log, the others join it."""
        where = self.clone(name)
        answer = initialise(where, remote="origin")
        assert answer["ok"], answer
        assert answer["sharing"], answer
        return where

    def tip(self) -> str:
        """Return the tip of the log on the remote."""
        return git(self.hub, "rev-parse", LOG_REF)

    def set_hub(self, tip: str) -> None:
        """Let the remote's log end with a commit that it has, as somebody with rights on it could."""
        git(self.hub, "update-ref", LOG_REF, tip)

    @contextlib.contextmanager
    def without_remote(self) -> Generator[None]:
        """Take the remote away while the block runs."""
        away = f"{self.hub}.away"
        os.rename(self.hub, away)
        try:
            yield
        finally:
            os.rename(away, self.hub)

    def refuse(self, ref: str) -> None:
        """Let a hook of the remote refuse every ref of a name, as a shell pattern."""
        self.hook(
            "pre-receive",
            f'while read old new ref; do case "$ref" in {ref}) echo "no such refs here" >&2; exit 1;; esac; done',
        )

    def hook(self, name: str, body: str) -> None:
        """Give the remote a hook; without a body, take it away."""
        path = os.path.join(self.hub, "hooks", name)
        if not body:
            os.unlink(path)
            return
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{body}\n")
        os.chmod(path, 0o755)


def desk(where: str, session: str = "ada@host", clock: ManualClock | None = None) -> Desk:
    """Return the desk of somebody at the command line of a clone."""
    return open_desk(where, session=session, clock=clock)


def tip(where: str) -> str:
    """Return the tip of a clone's log."""
    return git(where, "rev-parse", LOG_REF)


def tree(where: str, rev: str = LOG_REF) -> str:
    """Return the name of the tree of a log's tip."""
    return git(where, "rev-parse", f"{rev}^{{tree}}")


def plain_commit(where: str, parents: list[str], files: Mapping[str, bytes | None], message: str = "hello") -> str:
    """Write a commit with plain git on top of others, its tree the first parent's with some files set or removed.

    Args:
        where: the repository.
        parents: its parents; the tree of the first is the start.
        files: what to set, None to remove.
        message: the commit's message.
    """
    index = {"GIT_INDEX_FILE": os.path.join(where, f"plain-index-{os.urandom(4).hex()}")}
    if parents:
        git(where, "read-tree", parents[0], env=index)
    for name, body in files.items():
        if body is None:
            git(where, f"--work-tree={where}", "update-index", "--force-remove", name, env=index)
            continue
        blob = git(where, "hash-object", "-w", "--stdin", stdin=body)
        git(where, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=index)
    made = git(where, "write-tree", env=index)
    if os.path.exists(index["GIT_INDEX_FILE"]):
        os.unlink(index["GIT_INDEX_FILE"])
    behind = [word for parent in parents for word in ("-p", parent)]
    person = {"GIT_AUTHOR_NAME": "Mallory", "GIT_AUTHOR_EMAIL": "m@example.invalid"}
    committer = {"GIT_COMMITTER_NAME": "Mallory", "GIT_COMMITTER_EMAIL": "m@example.invalid"}
    return git(where, "commit-tree", made, *behind, stdin=message.encode(), env={**person, **committer})


class GitCalls:
    """The git processes that were started while a block ran: a wrapper before git in the PATH writes them down."""

    def __init__(self, directory: Path) -> None:
        """Write the wrapper."""
        self._bin = str(directory / "bin")
        self._log = str(directory / "calls")
        os.makedirs(self._bin)
        real = next(p for p in (os.path.join(d, "git") for d in os.environ["PATH"].split(":")) if os.path.exists(p))
        path = os.path.join(self._bin, "git")
        with open(path, "w", encoding="utf-8") as file:
            file.write(_WRAPPER.format(git=real))
        os.chmod(path, 0o755)

    @contextlib.contextmanager
    def counted(self) -> Generator[list[str]]:
        """Yield a list that is filled at the end with the commands that met a remote: push, fetch, ls-remote."""
        path = os.environ["PATH"]
        os.environ["PATH"], os.environ["GITCALLS"] = f"{self._bin}:{path}", self._log
        open(self._log, "wb").close()
        found: list[str] = []
        try:
            yield found
        finally:
            os.environ["PATH"] = path
            del os.environ["GITCALLS"]
            with open(self._log, encoding="utf-8") as file:
                words = [line.split() for line in file]
            found += [word for line in words for word in line if word in ("push", "fetch", "ls-remote")][: len(words)]
