"""Reading the log: the tip, a commit, the state at either. Takes no lock and writes nothing.

Costs one ref look-up while nothing has changed; what changed is read, and what did not is shared (`gitcoord.tree`).

The ref is believed as far as this clone's own files agree. Where another program set it back, deleted it or let it name
what is none of the log's, the newest commit is read at which gitcoord left it, and `Look.stray` says so. What only grew
from there is believed, whoever moved it: `gitcoord verify` judges that.
"""

from __future__ import annotations

import os

from gitcoord import render
from gitcoord.errors import CoordError, IntegrityFault, NotARepository, NotInitialised
from gitcoord.model import LOG_REF
from gitcoord.records import Records
from gitcoord.runtime.reflog import Left, Reflog
from gitcoord.state import State
from gitcoord.store.objects import ObjectStore
from gitcoord.store.refs import LogRef
from gitcoord.store.repository import Repository
from gitcoord.tree import NodeCache
from gitcoord.values import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMITS_KEPT = 20_000
_LOOKS = 20
# Reading so many commits one by one costs about as much as to start git.
_WALKED = 100
BEGIN_ANEW = (
    "Put a good copy back (a backup, another clone; gitcoord sync, where a remote has it); to go on without what is "
    f"lost: git update-ref -d {LOG_REF}, then: gitcoord init"
)
"""What to do where the newest commit of the log cannot be read."""


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


class Stray(NamedTuple):
    """How another program left the log's ref, so that it is not believed.

    Attributes:
        kind: `deleted`, `unreadable` (the ref holds no object name), `foreign` (what it names is no commit of a log),
            `unrelated` (another repository's log), `rewound` (older than what is known, or a history without it).
        tip: the newest commit that is known here, and is read instead.
        found: what the ref names, where it names anything.
    """

    kind: Literal["deleted", "unreadable", "foreign", "unrelated", "rewound"]
    tip: bytes
    found: bytes | None


class Look(NamedTuple):
    """What a look at the log's ref found.

    Attributes:
        tip: the newest commit of the log.
        stray: how the ref was left, where it is not believed; None where it is in order.
        left: where gitcoord itself left it.
    """

    tip: bytes
    stray: Stray | None
    left: Left


class Log:
    """The log of one repository, for reading. Safe for several threads.

    Args:
        repository: where.
        durable: for those who write (`gitcoord.coordinator`): whether what is written is synced before an answer.

    Attributes:
        reflog: the ref's reflog.
        last: what the last look at the ref found; for telling of it, not for going by it.
    """

    def __init__(self, repository: Repository, *, durable: bool = True) -> None:
        """Open; reads nothing yet."""
        self.repository = repository
        self.objects = ObjectStore(repository, durable=durable)
        self.ref = LogRef(repository, durable=durable)
        self._nodes = NodeCache(self.objects.read, self.objects.oid_size)
        self._records = Records()
        self._commits: dict[bytes, Commit] = {}
        self.reflog = Reflog(self.ref.reflog)
        self.last: Look | None = None
        self._believed: Look | None = None

    def share_with(self, other: Log) -> None:
        """Know what another log of the same repository knows: objects, parsed trees, records, commits."""
        self.objects, self.ref, self.reflog = other.objects, other.ref, other.reflog
        self._nodes, self._records, self._commits = other._nodes, other._records, other._commits

    def tip(self) -> bytes:
        """Return the newest commit of the log, at the cost of one look at the ref and one at its reflog's size.

        Raises:
            CoordError: as `look` has it.
        """
        return self.look().tip

    def look(self) -> Look:
        """Look at the ref, and say which commit is the newest one of the log.

        Raises:
            NotInitialised: there is no log.
            NotARepository: the repository is gone.
            IntegrityFault: the ref holds no object name and nothing else is known, or what it was left at cannot be
                read and it is not there any more.
        """
        found, left = self._found(), self.reflog.left()
        believed = self._believed
        if believed is not None and left is believed.left and found == believed.tip:
            self.last = believed
            return believed
        look = None
        for _ in range(_LOOKS):
            # Who moves the ref writes the reflog first: what was read before is not to be judged by it.
            if isinstance(found, bytes) and self._is_where_left(found, left):
                look = Look(found, None, left)
                break
            again = self._found()
            if again == found:
                break
            found, left = again, self.reflog.left()
        look = look or self._judged(found, left)
        if look.stray is None and look.tip != left.before:
            self._believed = look
        self.last = look
        return look

    def exists(self) -> bool:
        """Tell whether there is a log: a ref that names it, or one that did and is gone.

        Raises:
            IntegrityFault: as `look` has it.
        """
        try:
            self.look()
        except NotInitialised:
            return False
        return True

    def named(self) -> bytes:
        """Return what the ref names, whether or not it is believed; for who judges the ref itself.

        Raises:
            NotInitialised: there is no such ref.
            IntegrityFault: it holds something else than an object name.
        """
        found = self.ref.read()
        if found is None:
            raise self._no_log()
        return found

    def _found(self) -> bytes | str | None:
        """Return what the ref names, why it names nothing, or None where there is no ref."""
        try:
            return self.ref.read()
        except IntegrityFault as fault:
            return fault.message

    def _is_where_left(self, found: bytes, left: Left) -> bool:
        """Tell whether the ref is where gitcoord left it, or at what it was before a move that is under way."""
        return found == left.tip or (found == left.before and self.ref.is_locked())

    def _judged(self, found: bytes | str | None, left: Left) -> Look:
        """Say what to believe of what the ref holds, by the newest commit at which gitcoord left it."""
        known, under_way = (left.tip, ()) if left.tip is not None else self._known_otherwise()
        if isinstance(found, bytes) and (
            known is None
            or found in under_way
            or self.has_behind(found, known)
            or self._grew_beside(found, known, under_way)
        ):
            return Look(found, None, left)
        if known is None:
            raise self._no_log() if found is None else self._nothing_known(str(found))
        try:
            kind = self._kind(found, self.state_at(known))
        except IntegrityFault as fault:
            fault.next = f"{LOG_REF} was left at it. {BEGIN_ANEW}"
            raise
        return Look(known, Stray(kind, known, found if isinstance(found, bytes) else None), left)

    def _kind(
        self, found: bytes | str | None, known: State
    ) -> Literal["deleted", "unreadable", "foreign", "unrelated", "rewound"]:
        if not isinstance(found, bytes):
            return "deleted" if found is None else "unreadable"
        try:
            if self.commit(found).revision == 0:
                return "foreign"
            theirs = self.state_at(found).header["repository"]
        except IntegrityFault:
            return "foreign"
        return "rewound" if theirs == known.header["repository"] else "unrelated"

    def _known_otherwise(self) -> tuple[bytes | None, tuple[bytes, ...]]:
        """Return the newest commit that the runtime files know of, and what the ref may hold without being stray.

        The reflog goes with the ref where git deletes it. What was built last need not have been published.
        """
        from gitcoord.runtime.group import PendingFile

        chain = PendingFile(self.repository.runtime).read_last()
        if chain is None:
            return None, ()
        known = (*reversed(chain.commits), chain.base)
        return next((oid for oid in known if self._is_readable(oid)), None), known

    def _grew_beside(self, found: bytes, known: bytes, chain: Sequence[bytes]) -> bool:
        """Tell whether the ref grew from all of a chain that can have been published: its objects are in the store."""
        from gitcoord.store.gathering import has_here

        published = next((oid for oid in chain if has_here(self.repository, oid)), None)
        return published is not None and published != known and self.has_behind(found, published)

    def _is_readable(self, oid: bytes) -> bool:
        try:
            self.state_at(oid)
        except IntegrityFault:
            return False
        return True

    def has_behind(self, found: bytes, known: bytes) -> bool:
        """Tell whether a commit of the log is another one, or has it behind it as far as can be read here.

        A way that is short is walked; git is asked about a long one, which it walks in a moment.
        """
        near, seen = [found], {found}
        try:
            floor = self.commit(known).revision
        except IntegrityFault:
            floor = 1
        try:
            while near:
                here = near.pop()
                if here == known:
                    return True
                commit = self.commit(here)
                if commit.revision < floor or commit.revision == 0:
                    continue  # revisions grow along the log, and what has none is none of it
                if len(seen) > _WALKED:
                    return self._git_finds_behind(found, known)
                near += [parent for parent in commit.parents if parent not in seen]
                seen.update(commit.parents)
        except IntegrityFault:
            return False
        return False

    def _git_finds_behind(self, found: bytes, known: bytes) -> bool:
        from gitcoord.config import environment
        from gitcoord.store.gathering import is_ancestor

        return is_ancestor(self.repository, known, found, environment())

    def _nothing_known(self, fault: str) -> IntegrityFault:
        way_out = f"nothing else is known of the log here; to begin anew: rm {self.ref.path}, then: gitcoord init"
        return IntegrityFault(fault, next=way_out, path=self.ref.path)

    def _no_log(self) -> CoordError:
        where = self.repository.common_dir
        if not os.path.isdir(where):
            return NotARepository(
                f"{where} is gone: the repository was moved or removed", next="start anew where it is"
            )
        return NotInitialised("this repository has no log yet", next="gitcoord init")

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
