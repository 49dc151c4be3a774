"""The one door through which the log changes: read the tip, decide, write objects, move the ref, or decide again.

`submit` takes a *plan*: a function from the newest state to the operations that are wanted on it. The plan is asked
anew whenever the ground moved, so a decision always rests on the state that its commit extends.

Two OS locks order the writers of a clone, for speed and fairness and for nothing else. Under the *build lock* a writer
builds its commits on the newest built one, published or not. Under the *publish lock* one process at a time syncs all
that was built and swaps the ref; the others find their commit published when their turn comes. A swap that fails (git
itself, or another program, moved the ref) voids the chain, and each of its writers decides again.

An answer, a refusal too, is given only once the commit it rests on is published: `submit` returns after that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from gitcoord import render
from gitcoord.errors import Contention, Refused
from gitcoord.log import Commit, Log
from gitcoord.model import LOG_REF, Operation
from gitcoord.model_time import Stamp
from gitcoord.runtime.group import Pending, PendingFile
from gitcoord.runtime.machine import Clock
from gitcoord.runtime.oslock import OsLock
from gitcoord.state import State
from gitcoord.store.repository import Repository
from gitcoord.transitions import Facts, advance
from gitcoord.values import Any, NamedTuple

_TRIES = 200
_CHAIN_LIMIT = 256


Plan = Callable[[State, Stamp], list[Operation]]


class Receipt(NamedTuple):
    """What was published: a commit for each operation, or nothing where the plan had nothing to do."""

    operations: list[Operation]
    facts: list[Facts]
    revisions: list[int]
    tip: bytes
    state: State


class _Built(NamedTuple):
    receipt: Receipt
    target: bytes
    revision: int
    refusal: Refused | None
    published: bool


class Coordinator(Log):
    """Extends the log of one repository. Safe for several threads, and beside any number of processes.

    Args:
        repository: where.
        clock: who tells the time.
        durable: whether objects and the ref are synced before an answer; without it a power cut may lose
            what was acknowledged, a killed process still loses nothing.
    """

    def __init__(self, repository: Repository, clock: Clock, *, durable: bool = True) -> None:
        """Open; reads nothing yet."""
        super().__init__(repository, durable=durable)
        self.clock = clock
        self._pending = PendingFile(repository.runtime)
        self._build_lock = OsLock(f"{repository.runtime}/build.lock")
        self._publish_lock = OsLock(f"{repository.runtime}/publish.lock")
        self._building = threading.Lock()
        self._publishing = threading.Lock()

    # -- writing

    def submit(self, plan: Plan) -> Receipt:
        """Let a plan's operations take effect, all or none, in one commit each.

        Args:
            plan: asked for the operations on the newest state, under the build lock, as often as the ground
                moves; it must not change the state. No operations means that there is nothing to do.

        Returns:
            what was published; the state in it is the one after the last operation.

        Raises:
            Refused: the plan or a rule said no, on a state that is published.
            Contention: the ref could not be moved for long.
            CoordError: the store failed; nothing is known to have been published.
        """
        for _ in range(_TRIES):
            built = self._build(plan)
            if built.published or self._publish(built.target, built.revision):
                if built.refusal is not None:
                    raise built.refusal
                return built.receipt
        raise Contention(
            f"{LOG_REF} moved under {_TRIES} attempts in a row", next="see what else writes it: git reflog refs/coord"
        )

    def _build(self, plan: Plan) -> _Built:
        with self._building, self._build_lock:
            now = self.clock.stamp()
            tip = self.tip()
            found = self._pending.read(now)
            pending = (None if found is None else found.after(tip)) or Pending(tip, (), ())
            if len(pending.commits) >= _CHAIN_LIMIT:
                pending = Pending(tip, (), ())
            base = pending.head
            state = self.state_at(base)
            nothing = Receipt([], [], [], base, state)
            try:
                operations = plan(state, now)
                work = state.fork()
                made = [(operation, *self._next(work, operation)) for operation in operations]
            except Refused as refusal:
                return _Built(nothing, base, self.commit(base).revision, refusal, base == tip)
            if not made:
                return _Built(nothing, base, self.commit(base).revision, None, base == tip)
            return self._written(pending, made, now)

    @staticmethod
    def _next(work: State, operation: Operation) -> tuple[Facts, int, State]:
        facts = advance(work, [operation])[0]
        return facts, work.revision, work.fork()

    def _written(self, pending: Pending, made: list[tuple[Operation, Facts, int, State]], now: Stamp) -> _Built:
        parent = pending.head
        chain, files = pending.commits, pending.files
        for _, _, revision, after in made:
            batch = self.objects.batch()
            tree = after.write(batch.add)
            body = render.commit(tree, [parent], after.header)
            parent = batch.add(b"commit", body)
            self.keep(Commit(parent, tree, [chain[-1] if chain else pending.base], revision))
            chain, files = (*chain, parent), (*files, tuple(batch.paths))
        self._pending.write(Pending(pending.base, chain, files), now)
        last = made[-1]
        receipt = Receipt([m[0] for m in made], [m[1] for m in made], [m[2] for m in made], parent, last[3])
        return _Built(receipt, parent, last[2], None, published=False)

    def _publish(self, target: bytes, revision: int) -> bool:
        """Let the ref reach a built commit. False: it never will, for the ref went elsewhere."""
        with self._publishing, self._publish_lock:
            tip = self.tip()
            if self._contains(tip, target, revision):
                return True
            now = self.clock.stamp()
            found = self._pending.read(now)
            pending = None if found is None else found.after(tip)
            if pending is None or target not in pending.commits:
                return False
            self.objects.sync([path for paths in pending.files for path in paths])
            header = self.state_at(pending.head).header
            operation = header["operations"][0]
            return self.ref.swap(
                tip,
                pending.head,
                who=render.ident(operation["author"]),
                at_s=now.at_ms // 1000,
                message=f"coord: {render.subject(operation)}",
            )

    def mend_refs(self) -> None:
        """Make the alias and the reflog of the log's ref, where they are missing."""
        with self._publishing, self._publish_lock:
            if self.ref.alias_state() != "ok":
                self.ref.make_alias()
            self.ref.make_log()

    def _contains(self, tip: bytes, target: bytes, revision: int) -> bool:
        """Tell whether a commit of this revision is the tip or behind it."""
        here = tip
        while here != target:
            commit = self.commit(here)
            if commit.revision <= revision or not commit.parents:
                return False
            here = commit.parents[0]
        return True

    def begin(self, operation: Operation) -> bool:
        """Make the log with its first operation; False if there is one by now."""
        state = self.first_state()
        advance(state, [operation])
        with self._publishing, self._publish_lock:
            if self.ref.read() is not None:
                return False
            batch = self.objects.batch()
            tree = state.write(batch.add)
            oid = batch.add(b"commit", render.commit(tree, [], state.header))
            self.objects.sync(batch.paths)
            return self.ref.swap(
                None,
                oid,
                who=render.ident(operation["author"]),
                at_s=self.clock.stamp().at_ms // 1000,
                message=f"coord: {render.subject(operation)}",
            )


def facts_of(receipt: Receipt, kind: str) -> tuple[Operation, dict[str, Any], int] | None:
    """Return the last operation of a type in a receipt with its facts and revision."""
    rows = list(zip(receipt.operations, receipt.facts, receipt.revisions, strict=True))
    return next((row for row in reversed(rows) if row[0]["type"] == kind), None)
