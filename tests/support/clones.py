"""Clones that talk to a remote through a `Transport`, and plain commits to push."""

from __future__ import annotations

import os

from gitcoord.remote import Transport
from gitcoord.store.repository import Repository, find_repository
from support.repo import git, make_repo

LOG_REF = "refs/gitcoord/main"
INCOMING = "refs/gitcoord/incoming/test"


def clone_of_nothing(path: str | os.PathLike[str], *, sha256: bool = False) -> str:
    """Make a repository with a commit on a branch of its own, as a clone with local work has it."""
    return make_repo(path, sha256=sha256)


def repository(where: str) -> Repository:
    """Return the repository in a directory."""
    return find_repository(where, {})


def transport(where: str, remote: str = "origin", *, limit_s: float = 20.0, ref: str = LOG_REF) -> Transport:
    """Return a transport of a clone."""
    return Transport(repository(where), remote, ref, limit_s=limit_s)


def commit(where: str, text: str, *parents: bytes) -> bytes:
    """Make a commit with one file, on no ref, and return its name."""
    blob = git(where, "hash-object", "-w", "--stdin", stdin=f"{text}\n".encode())
    tree = git(where, "mktree", stdin=f"100644 blob {blob}\tdata.json\n".encode())
    named = [word for parent in parents for word in ("-p", parent.hex())]
    return bytes.fromhex(git(where, "commit-tree", tree, "-m", text, *named))


def chain(where: str, length: int, *parents: bytes, name: str = "entry") -> list[bytes]:
    """Make a chain of commits and return their names, the oldest first."""
    made: list[bytes] = []
    for number in range(length):
        made.append(commit(where, f"{name} {number}", *(made[-1:] or parents)))
    return made
