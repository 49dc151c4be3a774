"""The alternatives that write what gitcoord wrote: pygit2, and git's own plumbing as subprocesses.

Each writes a step into a repository of its own, which had the same objects as gitcoord's before, and moves the ref by
compare-and-swap with a reflog entry. None of them decides, locks, or looks at anything else.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pygit2
from pygit2.enums import ObjectType

from bench.history import REF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.history import NewTree, Step


def sync_pygit2(durable: bool) -> None:
    """Let libgit2 sync objects, directories and refs, or not; it is a setting of the whole process."""
    pygit2.settings.enable_fsync_gitdir(durable)


class RawPygit2:
    """The least that libgit2 can do: whole objects that somebody else has put together, then the ref.

    Args:
        path: the repository to write into.
    """

    def __init__(self, path: str) -> None:
        self._repo = pygit2.Repository(path)

    def write(self, step: Step) -> None:
        """Write the step's objects and move the ref to its commit."""
        odb = self._repo.odb
        oid = None
        for kind, body in step.raw:
            oid = odb.write(kind, body)
        assert oid is not None
        self._repo.references[REF].set_target(oid, step.reflog)

    @property
    def tip(self) -> str:
        """The ref's value."""
        return str(self._repo.references[REF].target)


class Pygit2:
    """What a program on pygit2 does: blobs, a tree builder on each old tree, a commit, the ref.

    Args:
        path: the repository to write into.
    """

    def __init__(self, path: str) -> None:
        self._repo = pygit2.Repository(path)

    def write(self, step: Step) -> None:
        """Write the step's objects and move the ref to its commit."""
        repo = self._repo
        ref = repo.references[REF]
        for blob in step.blobs:
            repo.write(ObjectType.BLOB, blob)
        tree = None
        for new in step.trees:
            tree = self._write_tree(new)
        assert tree is not None
        oid = repo.create_commit(None, step.author, step.committer, step.message, tree, [ref.target])
        ref.set_target(oid, step.reflog)

    def _write_tree(self, new: NewTree) -> pygit2.Oid:
        builder = self._repo.TreeBuilder(new.before) if new.before else self._repo.TreeBuilder()
        for name, oid, mode in new.changes:
            if oid is None:
                builder.remove(name)
            else:
                builder.insert(name, oid, mode)
        return builder.write()

    @property
    def tip(self) -> str:
        """The ref's value."""
        return str(self._repo.references[REF].target)


class Plumbing:
    """`git hash-object`, `mktree`, `commit-tree`, `update-ref`: a process for each object and one for the ref.

    git syncs the files that it writes and no directory, so a power cut may take a name that it has answered with. To
    promise what the others promise, the directories are synced here, by the quickest way that there is: the objects'
    once each, before the ref moves, and the ref's after it.

    Args:
        path: the repository to write into.
        durable: whether git syncs what it writes.
        names: whether the directories are synced too.
    """

    def __init__(self, path: str, *, durable: bool, names: bool = True) -> None:
        sync = "loose-object,reference" if durable else "none"
        self._git = ["git", "-C", path, "-c", f"core.fsync={sync}", "-c", "core.fsyncMethod=fsync"]
        self._objects, self._ref = f"{path}/.git/objects", os.path.dirname(f"{path}/.git/{REF}")
        self._names = durable and names

    def write(self, step: Step) -> None:
        """Write the step's objects and move the ref to its commit."""
        made = [self._run("hash-object", "-w", "--stdin", stdin=blob) for blob in step.blobs]
        for tree in step.trees:
            rows = "".join(f"{m:06o} {k} {o}\t{n}\n" for m, k, o, n in tree.listing)
            made.append(self._run("mktree", stdin=rows.encode()))
        commit = self._run("commit-tree", step.tree, "-p", step.parent, stdin=step.message.encode(), env=_dates(step))
        self._sync(f"{self._objects}/{name[:2]}" for name in (*made, commit))
        self._run("update-ref", "--create-reflog", "-m", step.reflog, REF, commit, step.parent)
        self._sync([self._ref])

    def _sync(self, directories: Iterable[str]) -> None:
        for directory in dict.fromkeys(directories) if self._names else ():
            if not os.path.isdir(directory):
                continue  # its object was there before, in a pack
            fd = os.open(directory, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    def _run(self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        whole = {**os.environ, **env} if env else None
        done = subprocess.run([*self._git, *words], input=stdin, stdout=subprocess.PIPE, check=True, env=whole)
        return done.stdout.decode().strip()

    @property
    def tip(self) -> str:
        """The ref's value."""
        return self._run("rev-parse", REF)


def _dates(step: Step) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, who in (("AUTHOR", step.author), ("COMMITTER", step.committer)):
        found[f"GIT_{role}_NAME"] = who.name
        found[f"GIT_{role}_EMAIL"] = who.email
        found[f"GIT_{role}_DATE"] = f"@{who.time} +0000"
    return found
