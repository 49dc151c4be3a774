"""Keeping the log's ref: let it be another commit, begin it, and put it back where another program moved it away.

All of it is compare-and-swap under the clone's publish lock, with a line of gitcoord's own in the reflog. What is built
and how a built commit comes to be published is said in `gitcoord.coordinator`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitcoord import envelope, render
from gitcoord.errors import NotInitialised
from gitcoord.log import Log, Stray
from gitcoord.model import Operation
from gitcoord.runtime.group import BELIEVED_MS, Pending, PendingFile
from gitcoord.runtime.machine import Clock
from gitcoord.runtime.turn import Turn
from gitcoord.store.entries import Object
from gitcoord.store.repository import Repository
from gitcoord.store.spool import Spool
from gitcoord.transitions import advance
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.signing import Signer


class Keeper(Log):
    """The log of one repository and its ref. Safe for several threads, and beside any number of processes.

    Args:
        repository: where.
        clock: who tells the time.
        durable: whether objects and the ref are synced before an answer; without it a power cut may lose
            what was acknowledged, a killed process still loses nothing.
        files: how the names of its files in the runtime directory begin, so that two chains can be built side by side.
        patience_s: how long a turn is waited for before the one who has it counts as stopped; None is the usual time.
        believed_ms: how long a chain is built upon that nobody has added to or published.
        beside: another log of the same repository, with which this one shares all that it knows.

    Attributes:
        put_right: how the ref was found, each time that it was put back; whoever tells of it empties it.
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
    ) -> None:
        """Open; reads nothing yet."""
        super().__init__(repository, durable=durable)
        self.clock = clock
        if beside is not None:
            self.share_with(beside)
        self.put_right: list[Stray] = []
        self._pending = PendingFile(repository.runtime, f"{files}pending", believed_ms)
        self._spool = Spool(repository.runtime, self.objects.oid_size, self.objects.fresh, f"{files}spool")
        self.objects.listen = self._listening(self.objects.listen)
        self._looked_at_alias = False
        self._gathered = b""
        self._build_turn = Turn(f"{repository.runtime}/{files}build.lock")
        self._publish_turn = Turn(f"{repository.runtime}/{files}publish.lock", patience_s)

    # -- what others built

    def _listening(self, others: Callable[[], None] | None) -> Callable[[], None]:
        """Return what brings in all that was built lately: in this chain, and in those beside it."""

        def listen() -> None:
            if others is not None:
                others()
            self._listen()

        return listen

    def _listen(self) -> None:
        """Learn the objects of what was built lately, published or not."""
        found = self._pending.read(self.clock.stamp())
        if found is not None:
            self._spool.catch_up(found.spool, found.places[0][0] if found.places else None, ())

    def _collected(self, chain: Pending) -> list[Object] | None:
        """Return all objects of a chain's commits; None where they are not known any more."""
        objects: list[Object] = []
        for commit, place in zip(chain.commits, chain.places, strict=True):
            found = self._spool.chunk(commit, place)
            if found is None:
                return None
            objects += found
        return objects

    # -- moving

    def _swap(
        self,
        old: bytes | None,
        new: bytes,
        operation: Operation,
        message: str = "",
        *,
        alone: bool = False,
        spoilt: bool = False,
        objects: Sequence[Object] = (),
    ) -> bool:
        """Write objects as one pack and move the ref, with a line in its reflog that names an operation."""
        return self.ref.swap(
            old,
            new,
            who=render.ident(operation["author"]),
            at_s=self.clock.stamp().at_ms // 1000,
            message=f"coord: {message or render.subject(operation)}",
            alone=alone,
            spoilt=spoilt,
            first=(lambda drafts: self.objects.publish(objects, drafts)) if objects else None,
        )

    def move(self, old: bytes | None, new: bytes, message: str) -> bool:
        """Let the ref be another commit, whose objects are all here; False where it is not at `old`.

        What is built on the old tip and not published never will be; its writers decide again.

        Args:
            old: what the ref holds; None where it must not exist.
            new: what it is to hold.
            message: for the reflog.

        Raises:
            CoordError: the store failed.
        """
        operation = self.state_at(new).header["operations"][0]
        with self._publish_turn as ordered:
            if not self._swap(old, new, operation, message, alone=not ordered):
                return False
            with self._build_turn as got:
                if got:
                    # Where the reflog is lost this file says what is known: no longer what was left behind here.
                    self._pending.write(Pending(new, (), ()), self.clock.stamp())
            return True

    def begin(self, operation: Operation, signer: Signer | None = None) -> bool:
        """Make the log with its first operation, signed where a signer is given; False if there is one by now.

        Raises:
            NoKey: it could not be signed.
        """
        if signer is not None:
            operation = {**operation, "signer": signer.fingerprint}
        state = self.first_state()
        advance(state, [operation])
        with self._publish_turn:
            if self.ref.read() is not None:
                return False
            batch = self.objects.batch()
            tree = state.write(batch.add)
            oid = batch.add(b"commit", self.signed(render.commit(tree, [], state.header), signer))
            self.objects.sync(batch.paths)
            return self._swap(None, oid, operation)

    def signed(self, body: bytes, signer: Signer | None) -> bytes:
        """Return a commit's body with a signature, where there is somebody to sign it.

        Raises:
            NoKey: it was to be signed and could not be.
        """
        return body if signer is None else envelope.wrap(body, signer.sign(body), self.objects.oid_size)

    # -- putting right

    def settle(self) -> None:
        """See to it that the ref is where it may be, and that all that it reaches is in gitcoord's directory.

        Raises:
            CoordError: as `Log.look` has it, or the store failed.
        """
        look = self.look()
        if look.stray is not None:
            self.put_back()
            look = self.look()
        if look.left.moved and look.tip != self._gathered:
            from gitcoord.config import environment
            from gitcoord.store.gathering import gather_moved

            gather_moved(self.repository, look.tip, look.left, environment())
            self._gathered = look.tip

    def put_back(self) -> Stray | None:
        """Put the log's ref back to the newest commit that is known here, where it is not in order.

        A history that it names instead is kept under `refs/gitcoord/kept/`. Tokens must never begin again at one while
        somebody remembers larger ones.

        Returns:
            how it was found; None where it was in order, or there is no log.

        Raises:
            CoordError: as `Log.look` has it, or the store failed.
        """
        with self._publish_turn as ordered:
            return self._put_back(ordered=ordered)

    def _put_back(self, *, ordered: bool) -> Stray | None:
        """Put it back, for who has the publish turn, or waited for it in vain."""
        with self._build_turn:
            try:
                stray = self.look().stray
            except NotInitialised:
                return None
            if stray is None:
                return None
            history = stray.found if stray.kind in ("rewound", "unrelated") else None
            if history is not None and not self.has_behind(stray.tip, history):
                from gitcoord.store.siderefs import KEPT, write_side_ref

                write_side_ref(self.repository, f"{KEPT}/{history.hex()}", history)
            put = self._swap(
                stray.found,
                stray.tip,
                self.state_at(stray.tip).header["operations"][0],
                f"put back, since the ref was {stray.kind}",
                alone=not ordered,
                spoilt=True,
                objects=self._built_up_to(stray.tip),
            )
            self.look()
            if not put:
                return None
            self.put_right.append(stray)
            return stray

    def _built_up_to(self, tip: bytes) -> Sequence[Object]:
        """Return the objects of what was built last, as far as a commit of it, if that is known still."""
        chain = self._pending.read_last()
        if chain is None or tip not in chain.commits:
            return ()
        count = chain.commits.index(tip) + 1
        return self._collected(chain._replace(commits=chain.commits[:count], places=chain.places[:count])) or ()

    def write_again(self) -> None:
        """Write what was built last to the disk once more, if it is known still: the copy there may be damaged."""
        chain = self._pending.read_last()
        objects = None if chain is None else self._collected(chain)
        if objects:
            self.objects.publish(objects)

    def _look_at_alias(self) -> None:
        """Put `refs/coord` right where a clone flattened it or it is gone; one that leads elsewhere is left alone."""
        self._looked_at_alias = True
        if self.ref.alias_state() in ("missing", "flattened") and self.exists():
            self.mend_refs()

    def mend_refs(self) -> None:
        """Make the alias and the reflog of the log's ref, where they are missing."""
        with self._publish_turn:
            if self.ref.alias_state() != "ok":
                self.ref.make_alias()
            self.ref.make_log()

    def tell_waits(self, says: Callable[[str], object] | None) -> None:
        """Let somebody be told, for people, for whom this process waits once that takes long."""
        self._build_turn.says = self._publish_turn.says = says

    def held_up(self) -> str:
        """Return who made this process wait in vain for its turn, and forget it; "" where nobody did."""
        said = self._publish_turn.in_vain or self._build_turn.in_vain
        self._publish_turn.in_vain = self._build_turn.in_vain = ""
        return said
