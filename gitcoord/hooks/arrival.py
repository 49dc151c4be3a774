"""Commits of the log that arrive at a server: the log only grows, and each commit is what it says it is.

Growth means that the old tip lies on the new tip's first-parent chain. Every commit on the way, and what merges bring
in, is verified as `gitcoord verify` does it: replayed bit for bit, rendered again, and signed as the policy before it
demands.
"""

from __future__ import annotations

from gitcoord.errors import IntegrityFault
from gitcoord.log import Log
from gitcoord.store.through_git import ThroughGit
from gitcoord.tree import NodeCache
from gitcoord.values import TYPE_CHECKING
from gitcoord.verify.chain import verify_all, verify_arriving

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    verdict = verify_all(arriving, new) if old is None else verify_arriving(arriving, old, new)
    if verdict.fault is not None:
        fault = verdict.fault
        raise CommitRefuted(
            f"log commit {fault.commit.hex()[:10]} breaks the rule {fault.rule}: it {fault.reason}", next=_WAY_OUT
        )
    return len(fresh)
