"""From a directory to an opened repository: what every verb needs before it can begin."""

from __future__ import annotations

import os

from gitcoord import config
from gitcoord.errors import IntegrityFault
from gitcoord.locate import Place
from gitcoord.log import Log, Stray
from gitcoord.model import LOG_REF
from gitcoord.runtime.machine import Clock, SystemClock
from gitcoord.runtime.shared import read_contact, read_shared
from gitcoord.service.project import repository_config
from gitcoord.store.repository import Repository, find_repository, worktree_roots
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.coordinator import Coordinator, Plan, Receipt
    from gitcoord.model import Operation
    from gitcoord.model_time import Stamp
    from gitcoord.runtime.shared import Shared
    from gitcoord.sharing.sharer import Sharer
    from gitcoord.state import State

_NO = ("false", "no", "off", "0")


class Access:
    """An opened repository: its log for reading and, once somebody writes, its coordinator.

    Args:
        repository: the repository.
        place: what relative paths are relative to.
        clock: who tells the time.
        durable: whether what is written is synced before an answer.
        key: with what to sign, where the caller says it.

    Attributes:
        log: for reading; the coordinator itself once there is one.
        limit_s: for how long a remote may be silent, where that is less than usual.
        says: called, for people, with whom a write waits for, once that takes long; None tells nobody.
        publishes_later: somebody beside the verbs brings to the remote what is written here (see `gitcoord.sharing`).
    """

    def __init__(
        self, repository: Repository, place: Place, clock: Clock, *, durable: bool, key: str | None = None
    ) -> None:
        """Open for reading; nothing is read yet."""
        self.repository = repository
        self._place = place
        self._seen = _worktrees_changed(repository)
        self.clock = clock
        self.log: Log = Log(repository, durable=durable)
        self.says: Callable[[str], object] | None = None
        self.publishes_later = False
        self.limit_s: float | None = None
        self.durable = durable
        self._key = key
        self._prepared = False
        self._coordinator: Coordinator | None = None
        self._sharer: Sharer | None = None
        self._shared: Shared | None = None

    @property
    def place(self) -> Place:
        """Where the caller stands; worktrees that were added or removed meanwhile count."""
        seen = _worktrees_changed(self.repository)
        if seen != self._seen:
            self._place, self._seen = self._place._replace(roots=worktree_roots(self.repository)), seen
        return self._place

    @property
    def runtime(self) -> str:
        """The runtime directory."""
        return self.repository.runtime

    @property
    def coordinator(self) -> Coordinator:
        """The door for writing. A command that only looks never loads it."""
        if self._coordinator is None:
            from gitcoord.coordinator import Coordinator
            from gitcoord.service.signers import Signers

            self._coordinator = Coordinator(
                self.repository, self.clock, durable=self.durable, signers=Signers(self.repository, self._key)
            )
            self._coordinator.tell_waits(self.says)
            self.log = self._coordinator
        return self._coordinator

    @property
    def shared(self) -> Shared | None:
        """The remote that confirms; None where this clone shares with nobody. Costs one look for a file."""
        return read_shared(self.runtime)

    @property
    def sharer(self) -> Sharer | None:
        """The door for writing in a clone that shares; None in one that does not."""
        shared = self.shared
        if shared is None:
            return None
        from gitcoord.service.remotes import open_sharer, silence_s

        if self._sharer is None or shared != self._shared:
            self._sharer, self._shared = open_sharer(self, shared), shared
            self._sharer.tell_waits(self.says)
        self._sharer.meeting.transport.limit_s = silence_s(self)
        return self._sharer

    def submit(self, plan: Plan, *, offline: bool = False, since: Stamp | None = None) -> Receipt:
        """Let a plan's operations take effect, through whoever decides about them.

        Args:
            plan: as `Coordinator.submit` has it.
            offline: in a clone that shares: write here only, provisionally.
            since: in a clone that shares: when this was asked for, where that was before now.

        Raises:
            NotJoined: the log is shared, and this clone does not share it yet.
            CoordError: as `Coordinator.submit` and `Sharer.submit` have it.
        """
        sharer = self.sharer
        if sharer is None:
            self._prepare()
            return self.coordinator.submit(self._deciding(plan))

        def seeing(state: State, now: Stamp) -> list[Operation]:
            state.agreed = sharer.agreed()  # a refusal shows what is confirmed of what stands in the way
            return plan(state, now)

        receipt = sharer.submit(seeing, offline=offline or self.is_offline, since=since)
        receipt.state.agreed = sharer.agreed()
        return receipt

    def _deciding(self, plan: Plan) -> Plan:
        """Return a plan that is refused where a remote decides, and this clone does not ask it."""

        def decided(state: State, now: Stamp) -> list[Operation]:
            if "confirms" in state.policy:
                from gitcoord.service.joining import refuse_apart

                refuse_apart(self.repository, state.policy["confirms"])
            return plan(state, now)

        return decided

    def _prepare(self) -> None:
        """See that git reads what is about to be written: the log may have come without `init`, by a plain `git fetch`.

        Where there is no log, nothing is made.
        """
        if not self._prepared:
            from gitcoord.store.setup import prepare_runtime

            self.log.tip()
            prepare_runtime(self.repository)
            self._prepared = True

    def news_of_place(self) -> list[str]:
        """Return what is to be told of other programs here: how the log's ref was left, and who holds writers up."""
        doors = [door for door in (self._coordinator, self._sharer) if door is not None]
        told = [said for said in (door.held_up() for door in doors) if said]
        while self._coordinator is not None and self._coordinator.put_right:
            stray = self._coordinator.put_right.pop(0)
            told.append(f"{self.words_of(stray)}; it is put back to {stray.tip.hex()[:12]}, and nothing is lost")
        stray = None if self.log.last is None else self.log.last.stray
        if stray is not None:
            told.append(
                f"{self.words_of(stray)}; gitcoord goes by {stray.tip.hex()[:12]}, the newest commit that is known "
                "here, and puts the ref back with the next change (or: gitcoord doctor --fix)"
            )
        return told

    def words_of(self, stray: Stray) -> str:
        """Say what another program did to the log's ref, and what of the state that it names there cannot be read."""
        fault = self.fault_of(stray)
        return stray_words(stray) if fault is None else f"{stray_words(stray)}, and in it {fault}"

    def fault_of(self, stray: Stray) -> str | None:
        """Return what is wrong with the first record that cannot be read where the ref was moved to.

        None where nothing is, and where that is no state of a log at all.
        """
        if stray.kind != "foreign" or stray.found is None:
            return None
        try:
            state = self.log.state_at(stray.found)
        except IntegrityFault:
            return None
        return next((fault.message for fault in state.faults()), None)

    @property
    def is_offline(self) -> bool:
        """Whether it is set that this clone does without its remote: `GITCOORD_OFFLINE`, `gitcoord.offline`."""
        said = config.read_environment().offline
        return said if said is not None else self.is_set("gitcoord.offline", default=False)

    def is_set(self, name: str, *, default: bool) -> bool:
        """Return what the repository's own configuration says of a switch.

        Args:
            name: the key, in lower case.
            default: where it says nothing.
        """
        said = repository_config(self.repository).get(name, "").lower()
        return default if not said else said not in _NO

    def state(self) -> State:
        """Return the state at the tip, for looking only."""
        state = self.log.snapshot().state
        if self.shared is not None:
            seen = read_contact(self.runtime).tip
            state.agreed = self.log.first_state() if seen is None else self.log.state_at(seen)
        return state

    def now(self) -> Stamp:
        """Return what the clocks say."""
        return self.clock.stamp()


def stray_words(stray: Stray) -> str:
    """Return what another program did to the log's ref, as a sentence without its end."""
    what = {
        "deleted": "was deleted",
        "unreadable": "holds no commit's name",
        "foreign": "names something that is none of the log's",
        "rewound": "was set back, or to a history without what is known here",
        "unrelated": "names another repository's log",
    }[stray.kind]
    there = f" ({stray.found.hex()[:12]})" if stray.found is not None else ""
    return f"another program moved {LOG_REF}: it {what}{there}"


def _worktrees_changed(repository: Repository) -> int:
    """Return a number that changes when a linked worktree is added or removed."""
    try:
        return os.stat(os.path.join(repository.common_dir, "worktrees")).st_mtime_ns
    except OSError:
        return 0


def open_access(start: str, base: str | None = None, clock: Clock | None = None, key: str | None = None) -> Access:
    """Open the repository around a directory; reads nothing of the log yet.

    Args:
        start: a directory in a worktree, or a git directory.
        base: what relative paths are relative to; None is the worktree's root.
        clock: who tells the time; this machine's clocks by default.
        key: with what to sign, as `git config user.signingKey` takes it; None leaves it to the configuration.

    Raises:
        NotARepository: there is none, or one that gitcoord cannot work in.
    """
    repository = find_repository(start, config.environment())
    roots = worktree_roots(repository)
    root = repository.worktree or repository.common_dir
    place = Place(roots, os.path.abspath(base) if base else root, (repository.git_dir, repository.common_dir))
    durable = config.read_environment().durable
    if durable is None:
        durable = repository_config(repository).get("gitcoord.fsync", "true").lower() not in _NO
    return Access(repository, place, clock or SystemClock(repository.runtime), durable=durable, key=key)
