"""The one door through which the log changes: read the tip, decide, write objects, move the ref, or decide again.

`submit` takes a *plan*: a function from the newest state to the operations that are wanted on it. The plan is asked
anew whenever the ground moved, so a decision always rests on the state that its commit extends.

Two OS locks order the writers of a clone, for speed and fairness and for nothing else. Under the *build lock* a writer
builds its commits on the newest built one, published or not, and leaves their objects in the spool. Under the *publish
lock* one process at a time writes the objects of all that was built into one pack, syncs it and swaps the ref; the
others find their commit published when their turn comes. A swap that fails (git itself, or another program, moved the
ref) voids the chain, and each of its writers decides again.

An answer, a refusal too, is given only once the commit it rests on is published: `submit` returns after that.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import render
from gitcoord.errors import Contention, CoordError, Refused
from gitcoord.keeper import Keeper
from gitcoord.log import Commit, Log
from gitcoord.model import LOG_REF, Operation
from gitcoord.model_time import Stamp
from gitcoord.runtime.group import BELIEVED_MS, Pending
from gitcoord.runtime.machine import Clock
from gitcoord.state import State
from gitcoord.store.repository import Repository
from gitcoord.transitions import Facts, advance
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitcoord.signing import Signer

_TRIES = 200
CHAIN_LIMIT = 256
_CHAIN_BYTES = 3 << 20
_TIDIES_EACH = 4

Plan = Callable[[State, Stamp], list[Operation]]
ChooseSigner = Callable[[State, list[Operation]], "Signer | None"]
"""Says who signs operations that are wanted on a state; None leaves them unsigned."""


class Receipt(NamedTuple):
    """What was published: a commit for each operation, or nothing where the plan had nothing to do."""

    operations: list[Operation]
    facts: list[Facts]
    revisions: list[int]
    tip: bytes
    state: State


class Built(NamedTuple):
    """What one attempt came to: commits that wait to be published, or a refusal that rests on such.

    `chain` is what the target ends, as it was built; `alone` says that nobody else knows of it.
    """

    receipt: Receipt
    target: bytes
    revision: int
    refusal: Refused | None
    published: bool
    began: Stamp
    chain: Pending | None = None
    alone: bool = False


class ChainFullError(Exception):
    """As much is built and not published as may be: that has to be published before anything is built on it.

    Attributes:
        built: its newest commit, for `_publish`.
    """

    def __init__(self, built: Built) -> None:
        """Take the commit."""
        super().__init__("the chain of unpublished commits is full")
        self.built = built


class Coordinator(Keeper):
    """Extends the log of one repository. Safe for several threads, and beside any number of processes.

    Args:
        repository: where; this one and what follows as `Keeper` has them.
        clock: who tells the time.
        durable: whether what is written is synced before an answer.
        files: how the names of its files begin.
        patience_s: how long a turn is waited for.
        believed_ms: how long a chain is built upon that nobody has added to or published.
        beside: another log of the same repository.
        signers: says who signs what this process writes; None leaves all of it unsigned.
    """

    def __init__(
        self,
        repository: Repository,
        clock: Clock,
        *,
        durable: bool = True,
        files: str = "",
        patience_s: float | None = None,
        believed_ms: int = BELIEVED_MS,
        beside: Log | None = None,
        signers: ChooseSigner | None = None,
    ) -> None:
        """Open; reads nothing yet."""
        super().__init__(
            repository,
            clock,
            durable=durable,
            files=files,
            patience_s=patience_s,
            believed_ms=believed_ms,
            beside=beside,
        )
        self.signers = signers
        self._led = self._tidied_at = 0

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
        if not self._looked_at_alias:
            self._look_at_alias()
        for _ in range(_TRIES):
            try:
                built = self._build(plan)
            except ChainFullError as full:
                self._publish(full.built)
                continue
            if built.published or self._publish(built):
                self._tidy()
                if built.refusal is not None:
                    raise built.refusal
                return built.receipt
        raise Contention(
            f"{LOG_REF} moved under {_TRIES} attempts in a row", next="see what else writes it: git reflog refs/coord"
        )

    def _build(self, plan: Plan, alone_on: bytes | None = None) -> Built:
        """Decide and build: on the newest built commit, or on a published one and beside whatever else is built."""
        self.settle()
        with self._build_turn as got:
            ordered = got and alone_on is None
            now = self.clock.stamp()
            tip = self.tip() if alone_on is None else alone_on
            pending = self._chain_at(tip, now) if ordered else Pending(tip, (), ())
            base = pending.head
            state = self.state_at(base)
            nothing = Receipt([], [], [], base, state)
            try:
                operations = plan(state, now)
                signer = None if self.signers is None or not operations else self.signers(state, operations)
                if signer is not None:
                    operations = [{**operation, "signer": signer.fingerprint} for operation in operations]
                work = state.fork()
                made = [(operation, *self._next(work, operation)) for operation in operations]
            except Refused as refusal:
                return Built(nothing, base, self.commit(base).revision, refusal, base == tip, now)
            if not made:
                return Built(nothing, base, self.commit(base).revision, None, base == tip, now)
            chain = self._written(pending, made, signer)
            if ordered:
                chain = self._spooled(chain, len(made))
                self._pending.write(chain, self.clock.stamp())
            last = made[-1]
            receipt = Receipt([m[0] for m in made], [m[1] for m in made], [m[2] for m in made], chain.head, last[3])
            return Built(receipt, chain.head, last[2], None, False, now, chain, alone=not ordered)

    @staticmethod
    def _next(work: State, operation: Operation) -> tuple[Facts, int, State]:
        facts = advance(work, [operation])[0]
        return facts, work.revision, work.fork()

    def _chain_at(self, tip: bytes, now: Stamp) -> Pending:
        """Return the unpublished commits beyond the tip, their objects known; none of a chain that is not sound.

        Raises:
            ChainFullError: there are too many, or too much is in them.
        """
        found = self._pending.read(now)
        if found is None:
            return Pending(tip, (), ())
        chain = found.after(tip) or Pending(tip, (), (), found.spool)
        first = chain.places[0][0] if chain.places else None
        known = self._spool.catch_up(chain.spool, first, chain.commits)
        if not known:
            return Pending(tip, (), (), found.spool)
        if len(chain.commits) >= CHAIN_LIMIT or sum(size for _, size in chain.places) >= _CHAIN_BYTES:
            # A new chain in its place would void this one, and all in it would be done again.
            nothing = Receipt([], [], [], chain.head, self.state_at(chain.head))
            revision = self.commit(chain.head).revision
            raise ChainFullError(Built(nothing, chain.head, revision, None, False, now, chain))
        return chain

    def _written(
        self, pending: Pending, made: list[tuple[Operation, Facts, int, State]], signer: Signer | None
    ) -> Pending:
        """Build a commit for each operation, and return the chain that they lengthen.

        Their objects are known to this process alone: `_spooled` tells others, `_swap` lets all of git see them.

        Raises:
            NoKey: they were to be signed and could not be; nothing was written.
        """
        parent = pending.head
        chain, places = pending.commits, pending.places
        for _, _, revision, after in made:
            batch = self.objects.batch()
            tree = after.write(batch.add)
            body = render.commit(tree, [parent], after.header)
            before, parent = parent, batch.add(b"commit", self.signed(body, signer))
            self.keep(Commit(parent, tree, [before], revision))
            self.objects.fresh.note(parent, batch.objects)
            chain, places = (*chain, parent), (*places, (0, 0))
        return pending._replace(commits=chain, places=places)

    def _spooled(self, chain: Pending, count: int) -> Pending:
        """Leave the objects of a chain's last commits to whoever publishes it."""
        older = chain.places[:-count]
        places, spool = self._spool.append(chain.spool, chain.commits[-count:], unpublished=bool(older))
        return chain._replace(places=(*older, *places), spool=spool)

    def _publish(self, built: Built) -> bool:
        """Let the ref reach a built commit. False: it never will.

        Raises:
            Contention: the ref's lock file, or the publish lock, is held by somebody who does not go on.
            CoordError: the store failed. The commit is not published then, and never will be.
        """
        with self._publish_turn as ordered:
            look = self.look()
            if look.stray is not None:
                # What nobody moved the ref to, or what it was set back from, is no ground for an answer.
                self._put_back(ordered=ordered)
                look = self.look()
            tip = look.tip
            if look.stray is None and self._contains(tip, built.target, built.revision):
                return True
            try:
                if self._moved(built, tip, ordered=ordered):
                    return True
            except CoordError:
                if self._has_published(built):
                    return True  # the ref moved, and what failed came after
                self._drop_pending()
                raise
            if not ordered:
                raise Contention(
                    f"a process holds {self.repository.runtime}/publish.lock and does not go on; is it stopped?",
                    next=f"find it: fuser {self.repository.runtime}/publish.lock",
                )
            return False

    def _moved(self, built: Built, tip: bytes, *, ordered: bool) -> bool:
        """Write and sync what is built and swap the ref; where that cannot be, see to it that nobody does it later."""
        if built.chain is not None and (built.alone or not ordered):
            pending = built.chain.after(tip)
        else:
            pending = self._chain_with(built.target, tip)
        if pending is None or built.target not in pending.commits:
            return False
        objects = self._collected(pending)
        if objects is not None:
            operation = self.state_at(pending.head).header["operations"][0]
            if self._swap(tip, pending.head, operation, alone=not ordered, objects=objects):
                self._led += 1
                return True
        self._drop_pending()
        return self._has_published(built)

    def _has_published(self, built: Built) -> bool:
        look = self.look()
        return look.stray is None and self._contains(look.tip, built.target, built.revision)

    def _tidy(self) -> None:
        """Merge small packs now and then: in a short-lived process at its first write, in others at every fourth."""
        if self._led and self._led >= self._tidied_at:
            self._tidied_at = self._led + _TIDIES_EACH
            self.objects.tidy()

    def _chain_with(self, target: bytes, tip: bytes) -> Pending | None:
        """Return the chain beyond the tip that holds a commit; where there is none, let there be no chain at all.

        Looked at twice: without the build lock a reader may meet the file while it is written.
        """
        chain = self._look_for(target, tip)
        if chain is None:
            with self._build_turn as ordered:
                chain = self._look_for(target, tip)
                if chain is None and ordered:
                    self._pending.write(Pending(tip, (), ()), self.clock.stamp())
        return chain

    def _look_for(self, target: bytes, tip: bytes) -> Pending | None:
        found = self._pending.read(self.clock.stamp(), however_old=True)
        chain = None if found is None else found.after(tip)
        return chain if chain is not None and target in chain.commits else None

    def _drop_pending(self) -> None:
        """Let what is built and not published never be; its writers decide again."""
        with self._build_turn as ordered:
            if ordered:
                self._pending.write(Pending(self.tip(), (), ()), self.clock.stamp())

    def _contains(self, tip: bytes, target: bytes, revision: int) -> bool:
        """Tell whether a commit of this revision is the tip or behind it."""
        here = tip
        while here != target:
            commit = self.commit(here)
            if commit.revision <= revision or not commit.parents:
                return False
            here = commit.parents[0]
        return True
