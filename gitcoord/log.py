"""Reading the log: the tip, a commit, the state at either. Takes no lock and writes nothing.

Costs one ref look-up while nothing has changed; what changed is read, and what did not is shared (`gitcoord.tree`).
"""

from __future__ import annotations

import os

from gitcoord import render
from gitcoord.errors import NotARepository, NotInitialised
from gitcoord.records import Records
from gitcoord.state import State
from gitcoord.store.objects import ObjectStore
from gitcoord.store.refs import LogRef
from gitcoord.store.repository import Repository
from gitcoord.tree import NodeCache
from gitcoord.values import NamedTuple

_COMMITS_KEPT = 20_000


class Commit(NamedTuple):
    """What the log says of one commit, without its state."""

    oid: bytes
    tree: bytes
    parents: list[bytes]
    revision: int


class Snapshot(NamedTuple):
    """The state at one tip; for looking only, unless forked."""

    tip: bytes
    state: State


class Log:
    """The log of one repository, for reading. Safe for several threads.

    Args:
        repository: where.
        durable: for those who write (`gitcoord.coordinator`): whether what is written is synced before an answer.
    """

    def __init__(self, repository: Repository, *, durable: bool = True) -> None:
        """Open; reads nothing yet."""
        self.repository = repository
        self.objects = ObjectStore(repository, durable=durable)
        self.ref = LogRef(repository, durable=durable)
        self._nodes = NodeCache(self.objects.read, self.objects.oid_size)
        self._records = Records()
        self._commits: dict[bytes, Commit] = {}

    def share_with(self, other: Log) -> None:
        """Know what another log of the same repository knows: objects, parsed trees, records, commits."""
        self.objects, self.ref = other.objects, other.ref
        self._nodes, self._records, self._commits = other._nodes, other._records, other._commits

    def tip(self) -> bytes:
        """Return the newest commit of the log, at the cost of one ref look-up.

        Raises:
            NotInitialised: there is no log.
            NotARepository: the repository is gone.
        """
        tip = self.ref.read()
        if tip is None:
            where = self.repository.common_dir
            if not os.path.isdir(where):
                raise NotARepository(
                    f"{where} is gone: the repository was moved or removed", next="start anew where it is"
                )
            raise NotInitialised("this repository has no log yet", next="gitcoord init")
        return tip

    def snapshot(self) -> Snapshot:
        """Return the state at the tip. Takes no lock and writes nothing."""
        tip = self.tip()
        return Snapshot(tip, self.state_at(tip))

    def state_at(self, oid: bytes) -> State:
        """Return the state at a commit.

        Raises:
            UnsupportedFormat: a later version of gitcoord wrote it, and nothing of it is believed.
            UnreadableRecord: it does not say what it is.
        """
        state = State(self._nodes, self.commit(oid).tree, self._records)
        state.check_format()
        return state

    def commit(self, oid: bytes) -> Commit:
        """Return what a commit says of itself.

        Raises:
            ObjectMissing: no such commit.
            ObjectDamaged: it is no commit, or cannot be read.
        """
        found = self._commits.get(oid)
        if found is None:
            _, body = self.objects.read(oid)
            found = Commit(oid, *render.parse_commit(oid, body))
            self.keep(found)
        return found

    def first_state(self) -> State:
        """Return the state before the first operation."""
        return State(self._nodes, None, self._records)

    def keep(self, commit: Commit) -> None:
        """Remember a commit that was just written."""
        if len(self._commits) >= _COMMITS_KEPT:
            self._commits.clear()
        self._commits[commit.oid] = commit
