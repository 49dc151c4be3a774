"""Clones of a log in memory: tips that grow apart, merge and meet at one remote, without git or files."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from gitcoord import merge, render
from gitcoord.errors import ObjectMissing
from gitcoord.log import Commit
from gitcoord.model import Operation, Policy
from gitcoord.records import Records
from gitcoord.state import State
from gitcoord.transitions import Facts, advance
from gitcoord.tree import NodeCache
from support.ledger import Ledger, MemoryObjects


class Dag:
    """Commits in memory, read as `gitcoord.merge` reads a log.

    Attributes:
        objects: where all of them are.
    """

    def __init__(self, objects: MemoryObjects | None = None) -> None:
        self.objects = objects or MemoryObjects()
        self._nodes = NodeCache(self.objects.read, 20)
        self._records = Records()
        self._commits: dict[bytes, Commit] = {}

    def elsewhere(self) -> Dag:
        """Return the same commits as another process sees them, which remembers nothing."""
        return Dag(self.objects)

    def commit(self, oid: bytes) -> Commit:
        """Return what a commit says of itself."""
        if oid not in self._commits:
            if oid not in self.objects.by_oid:
                raise ObjectMissing(f"there is no {oid.hex()}")
            self._commits[oid] = Commit(oid, *render.parse_commit(oid, self.objects.read(oid)[1]))
        return self._commits[oid]

    def state_at(self, oid: bytes) -> State:
        """Return the state at a commit."""
        state = State(self._nodes, self.commit(oid).tree, self._records)
        state.check_format()
        return state

    def operations(self, oid: bytes) -> list[Operation]:
        """Return what a commit records."""
        return self.state_at(oid).header["operations"]

    def write(self, state: State, parents: list[bytes]) -> bytes:
        """Add a commit."""
        return self.objects.add(b"commit", render.commit(state.write(self.objects.add), parents, state.header))

    def by_hand(self, like: bytes, operations: list[Any], parents: list[bytes], revision: int) -> bytes:
        """Add a commit as anybody might make it: another one's state, with other words about how it came to be."""
        state = self.state_at(like).fork()
        state.header = {**state.header, "operations": operations, "revision": revision}
        lines = [b"tree " + state.write(self.objects.add).hex().encode()]
        lines += [b"parent " + oid.hex().encode() for oid in parents]
        return self.objects.add(b"commit", b"\n".join(lines) + b"\n\nby hand\n\nCoord-Rev: %d\n" % revision)

    def merge(self, ours: bytes, theirs: bytes, **why: str) -> bytes | None:
        """Add the merge of two tips; None where there is nothing to merge."""
        made = merge.merged(self, ours, theirs, **why)
        return None if made is None else merge.write(made, self.objects.add).oid

    def first_parents(self, tip: bytes) -> list[bytes]:
        """Return the agreed order of commits, the oldest first."""
        found = [tip]
        while parents := self.commit(found[-1]).parents:
            found.append(parents[0])
        return found[::-1]


class Branch(Ledger):
    """A clone's log: each `apply` is a commit on its tip.

    Attributes:
        dag: the commits of all clones.
        tip: this clone's newest commit.
    """

    def __init__(self, dag: Dag | None = None, *, repository: str = "repository-1", case: str = "sensitive") -> None:
        self.dag = dag or Dag()
        self.tip: bytes | None = None
        self._ids = itertools.count(1)
        self._repository = repository
        super().__init__(case=case)
        self.objects = self.dag.objects

    def new_id(self) -> str:
        """Return an id that no clone has had."""
        return f"ID{self._repository[-1]}{next(self._ids):08}"

    def init_operation(self, policy: dict[str, Any] | Policy) -> Operation:
        """Return the operation that begins a log."""
        return {**super().init_operation(policy), "repository": self._repository}

    @property
    def head(self) -> bytes:
        """The tip, which is there once the log has begun."""
        assert self.tip is not None
        return self.tip

    def clone(self) -> Branch:
        """Return another clone, which goes on from here on its own."""
        made = copy.copy(self)
        made.trees, made.incarnations = list(self.trees), dict(self.incarnations)
        return made

    def apply(self, *operations: Operation) -> list[Facts]:
        """Let operations be the next commit; a refusal leaves the log as it was."""
        work = self._tip.fork() if self.tip is None else self.dag.state_at(self.tip).fork()
        facts = advance(work, list(operations))
        self.move(self.dag.write(work, [] if self.tip is None else [self.tip]))
        return facts

    def move(self, tip: bytes) -> None:
        """Let another commit be the tip; whoever is signed on there acts from here on."""
        self.tip = tip
        self._tip = self.dag.state_at(tip)
        self.trees.append(self.dag.commit(tip).tree)
        for record in self._tip.sessions():
            self.incarnations[record["session"]] = record["incarnation"]

    def merge_in(self, theirs: bytes) -> bytes | None:
        """Merge another tip into this one, which is the first parent."""
        made = self.dag.merge(self.head, theirs)
        if made is not None:
            self.move(made)
        return made


class Remote:
    """The one tip that all clones agree on.

    Attributes:
        tips: every tip that it had, the oldest first.
    """

    def __init__(self, tip: bytes) -> None:
        self.tips = [tip]

    @property
    def tip(self) -> bytes:
        """The newest tip."""
        return self.tips[-1]

    def publish(self, branch: Branch) -> None:
        """Let a clone bring its tip here: by a push where it extends ours, else by a merge."""
        if self.tip not in branch.dag.first_parents(branch.head):
            branch.move(branch.dag.merge(self.tip, branch.head) or self.tip)
        if branch.head != self.tip:
            self.tips.append(branch.head)

    def race(self, branch: Branch, first: Branch) -> None:
        """Let a clone make a merge, lose against another, and make it anew from the tip that it had."""
        branch.dag.merge(self.tip, branch.head)
        self.publish(first)
        self.publish(branch)
