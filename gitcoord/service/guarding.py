"""Guarding: what a session meets on many paths at once, for hooks that run before every edit, commit and push.

Says what `check` says of each of them, by the same look. Ten thousand paths are not looked up one by one: the files of
a directory on whose way only whole-directory locks lie share one look, and where nothing is locked there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitcoord import names, paths
from gitcoord.paths import Claim
from gitcoord.service.history import walk
from gitcoord.service.looking import Look, look_at
from gitcoord.state import State
from gitcoord.transitions import clocks
from gitcoord.transitions.locks import claim_from
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitcoord.log import Log
    from gitcoord.model import Lock, Lost, Session
    from gitcoord.model_time import Stamp
    from gitcoord.service.callers import Callers


_LOOKED_BACK = 2000


class Met(NamedTuple):
    """A path, and what a session meets there."""

    claim: Claim
    look: Look


class _Shelf(NamedTuple):
    """What the lock tree has for the files of one directory.

    Attributes:
        marked: a lock on the directory, or on one above it.
        wild: a name with wildcards on the way, so every file has to be looked at.
        names: the names in the directory at or below which something is locked.
    """

    marked: bool
    wild: bool
    names: frozenset[bytes]


_BARE = _Shelf(marked=False, wild=False, names=frozenset())


def met_at(callers: Callers, state: State, claims: Iterable[Claim], me: str | None, now: Stamp) -> Iterator[Met]:
    """Yield what a session meets at each claim."""
    lost = lost_beside(callers)
    for claim in claims:
        yield Met(claim, look_at(callers, state, claim, me, now, lost))


def lost_beside(callers: Callers) -> list[Lost]:
    """Return the locks that the caller lost together with its place on the log: no session's record has them."""
    return [lock for one in callers.displaced(None) for lock in one.lost]


def met_on(callers: Callers, state: State, files: Iterable[str], me: str | None, now: Stamp) -> Iterator[Met]:
    """Yield what a session meets on files of a commit, where it meets anything.

    Args:
        callers: who is asking.
        state: the log's state.
        files: names as git has them, letter by letter, relative to the repository's root.
        me: the session's id; None is nobody, to whom every lock is another's.
        now: what the clocks say.

    Raises:
        UnreadableRecord: a record on the way is not what it should be.
    """
    fold_case = state.fold_case
    shelves: dict[str, _Shelf] = {}
    shared: dict[str, Look] = {}
    for file in files:
        above, _, name = file.rpartition("/")
        shelf = shelves.get(above)
        if shelf is None:
            shelf = shelves[above] = _shelf(state, above, fold_case=fold_case)
        if shelf is _BARE:
            continue
        alone = shelf.wild or (shelf.names and _entry(name, fold_case=fold_case) in shelf.names)
        if not alone and not shelf.marked:
            continue
        claim = paths.claim_from_literal(file, fold_case=fold_case)
        if alone:
            look = look_at(callers, state, claim, me, now)
        else:
            look = shared.get(above)
            if look is None:
                look = shared[above] = look_at(callers, state, claim, me, now)
        if look.held or look.beside or look.over or look.lost or look.mine is not None:
            yield Met(claim, look)


def _shelf(state: State, directory: str, *, fold_case: bool) -> _Shelf:
    where = state.tree.open((b"locks",))
    marked = wild = False
    parts = directory.split("/") if directory else []
    for part in (*parts, None):
        if where is None:
            return _Shelf(marked, wild, frozenset()) if marked or wild else _BARE
        inside = where.names()
        marked = marked or any(name.startswith(b"@") for name in inside)
        wild = wild or bool(where.wild())
        if part is None:
            found = frozenset(name for name in inside if not name.startswith(b"@"))
            return _Shelf(marked, wild, found) if marked or wild or found else _BARE
        where = state.tree.enter(where, _entry(part, fold_case=fold_case))
    raise AssertionError


def _entry(name: str, *, fold_case: bool) -> bytes:
    """Return the lock tree's name for one part of a literal path."""
    return names.encode_part(paths.fold_part(paths.escape(name), fold_case=fold_case))


def refused_claims(lost: Iterable[Lost]) -> Iterator[tuple[Claim, str]]:
    """Yield what was counted on and refused by the remote after all, with the reason."""
    for one in lost:
        claim = claim_from({"path": one["path"], "key": one["key"], "kind": one["kind"]})
        yield claim, f"refused after all: {one['why']}"


def lost_claims(log: Log, record: Session) -> Iterator[tuple[Claim, str]]:
    """Yield what a session counted on and has no more, with how it went: taken from it, or refused by the remote.

    What was taken is looked for no further back than needed, and at most in the newest commits.
    """
    yield from refused_claims(record.get("lost", []))
    wanted = {notice["id"] for notice in record["notices"]}
    for (_, header), _ in zip(walk(log), range(_LOOKED_BACK), strict=False):
        for operation in header["operations"]:
            if operation["id"] in wanted:
                wanted.discard(operation["id"])
                mine = (lock for lock in operation.get("locks", []) if lock["session"] == record["session"])
                for lock in mine:
                    yield claim_from(lock), f"{operation['session']} took it; see gitcoord log"
        if not wanted:
            return


def is_over(lock: Lock, state: State, callers: Callers, now: Stamp) -> bool:
    """Tell whether a lock's own time, or its session's lease, has run out."""
    record = state.session(lock["session"])
    return clocks.lock_is_over(lock, clocks.reading(now)) or (
        record is not None and callers.evidence(record, now) is not None
    )
