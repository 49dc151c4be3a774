"""Commits of the log that arrive at a server: the log only grows, and each commit is what it says it is.

Growth means that the old tip lies on the new tip's first-parent chain. Every commit on the way is replayed: the
operations in its `coord.json`, run on its parent's state, have to give its tree, bit for bit, and its message, author
and dates have to be the ones that are rendered from them.
"""

from __future__ import annotations

from gitcoord import render
from gitcoord.errors import BadRequest, IntegrityFault, Refused
from gitcoord.hooks import connect
from gitcoord.log import Log
from gitcoord.store.through_git import ThroughGit
from gitcoord.transitions import advance
from gitcoord.tree import NodeCache
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitcoord.state import State
    from gitcoord.store.repository import Repository

_WAY_OUT = "gitcoord doctor, in the clone that pushes"


class CommitRefuted(IntegrityFault):
    """A commit of the log is not what its parent and its operations make of it."""

    code = "commit_refuted"


class NoGrowth(IntegrityFault):
    """The log was to be rewound, replaced or deleted."""

    code = "log_must_grow"


class Arriving(Log):
    """The log of a repository as it is in the middle of a push: its new commits are in quarantine.

    Args:
        repository: where.
        env: the hook's environment, which says where the quarantine is.
    """

    def __init__(self, repository: Repository, env: Mapping[str, str]) -> None:
        """Open; reads nothing yet."""
        super().__init__(repository, durable=False)
        self.objects = ThroughGit(repository, env)
        self._nodes = NodeCache(self.objects.read, self.objects.oid_size)


def verify_arrival(arriving: Arriving, old: bytes | None, new: bytes) -> int:
    """Let the log's new tip pass if it grew from the old one by good commits; return how many.

    Raises:
        NoGrowth: it did not grow.
        CommitRefuted: a commit is not what it says; the first such, from the old end.
        IntegrityFault: one cannot be read.
    """
    fresh: list[bytes] = []
    here: bytes | None = new
    while here is not None and here != old:
        fresh.append(here)
        parents = arriving.commit(here).parents
        here = parents[0] if parents else None
    if old is not None and here != old:
        raise NoGrowth(
            f"the log only grows: {old.hex()[:10]} is not on the first-parent chain of {new.hex()[:10]}",
            next="fetch the log and let gitcoord bring the two together (gitcoord sync)",
        )
    for oid in reversed(fresh):
        connect.verify_commit(arriving, oid)
    return len(fresh)


def replay(log: Log, oid: bytes) -> None:
    """Let a commit pass if replaying its operations on its parent's state, or its two parents' merge, gives all of it.

    Raises:
        CommitRefuted: it does not.
        IntegrityFault: it cannot be read.
    """
    commit = log.commit(oid)
    name = oid.hex()[:10]
    if len(commit.parents) > 1:
        _check_same(log, oid, commit.parents, _merged(log, oid, commit.parents))
        return
    work = log.state_at(commit.parents[0]).fork() if commit.parents else log.first_state()
    header = log.state_at(oid).header
    if header["revision"] != work.revision + 1:
        raise CommitRefuted(f"log commit {name} has revision {header['revision']}, its parent {work.revision}")
    try:
        advance(work, header["operations"])
    except (Refused, BadRequest) as error:
        raise CommitRefuted(f"log commit {name} does what the rules refuse: {error.message}", next=_WAY_OUT) from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise CommitRefuted(f"log commit {name} holds an operation of an unknown shape", next=_WAY_OUT) from error
    if work.header["repository"] != header["repository"]:
        raise CommitRefuted(f"log commit {name} is of another log", next=_WAY_OUT)
    _check_same(log, oid, commit.parents, work)


def _merged(log: Log, oid: bytes, parents: list[bytes]) -> State:
    """Return the state that the rules of merging give for a merge's parents."""
    from gitcoord import merge

    name = oid.hex()[:10]
    operation = log.state_at(oid).header["operations"][0]
    if len(parents) != 2 or not merge.is_merge([operation]):
        raise CommitRefuted(f"log commit {name} has {len(parents)} parents and records no merge", next=_WAY_OUT)
    told = {key: operation.get(key) for key in ("restores", "adopts")}
    made = merge.merged(log, parents[0], parents[1], restores=told["restores"], adopts=told["adopts"])
    if made is None:
        raise CommitRefuted(f"log commit {name} merges what has nothing to merge", next=_WAY_OUT)
    return made.state


def _check_same(log: Log, oid: bytes, parents: list[bytes], work: State) -> None:
    """Let a commit pass if it is, bit for bit, what its operations make."""
    name = oid.hex()[:10]
    tree = work.write(log.objects.hash_object)
    if tree != log.commit(oid).tree:
        raise CommitRefuted(
            f"log commit {name} has another tree than its operations make of its parent's state", next=_WAY_OUT
        )
    _, body = log.objects.read(oid)
    if _unsigned(body) != render.commit(tree, parents, work.header):
        raise CommitRefuted(
            f"log commit {name} says something else than its operations: its message, author or dates", next=_WAY_OUT
        )


def _unsigned(body: bytes) -> bytes:
    """Return a commit's body without its signature."""
    head, blank, text = body.partition(b"\n\n")
    kept: list[bytes] = []
    signature = False
    for line in head.split(b"\n"):
        signature = line.startswith((b"gpgsig ", b"gpgsig-sha256 ")) or (signature and line.startswith(b" "))
        if not signature:
            kept.append(line)
    return b"\n".join(kept) + blank + text
