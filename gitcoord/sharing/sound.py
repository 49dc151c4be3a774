"""Can a commit that somebody pushed be a commit of the log at all? Asked before anything is built on it.

Cheap and local: its records can be read, its revision follows from its parents', it belongs to the same log. That its
tree is what its operations make of its parent's is not looked at here.
"""

from __future__ import annotations

from gitcoord.errors import IntegrityFault, UnsupportedFormat
from gitcoord.merge import is_merge
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gitcoord.log import Commit
    from gitcoord.merge import Readable
    from gitcoord.state import State

_MOST_UNSOUND = 1000
_MERGE_SHAPE = {"replayed": list, "refused": list, "restores": (str, type(None)), "adopts": (str, type(None))}


class Sound(NamedTuple):
    """The newest commit that can be one of the log, and what is wrong with the tip above it.

    Attributes:
        tip: the found tip, or the nearest of its first parents that is sound; None where there is none.
        fault: why the found tip is not; None where it is.
    """

    tip: bytes | None
    fault: IntegrityFault | None


def newest_sound(log: Readable, found: bytes) -> Sound:
    """Return the newest commit, from a tip along first parents, that can be one of the log.

    Raises:
        UnsupportedFormat: a later version of gitcoord wrote one: nothing is wrong with it.
    """
    here: bytes | None = found
    fault: IntegrityFault | None = None
    for _ in range(_MOST_UNSOUND):
        if here is None:
            break
        try:
            _check(log, here)
        except UnsupportedFormat as error:
            raise UnsupportedFormat(
                f"commit {here.hex()} on the remote: {error.message}", next=error.next, commit=here.hex()
            ) from error
        except IntegrityFault as error:
            fault = fault or error
            here = _first_parent(log, here)
        else:
            return Sound(here, fault)
    return Sound(None, fault)


def _first_parent(log: Readable, oid: bytes) -> bytes | None:
    try:
        parents = log.commit(oid).parents
    except IntegrityFault:
        return None
    return parents[0] if parents else None


def _check(log: Readable, oid: bytes) -> None:
    commit = log.commit(oid)
    state = log.state_at(oid)
    wrong = _wrong(log, commit, state)
    if wrong:
        raise IntegrityFault(f"commit {oid.hex()} {wrong}", next="gitcoord doctor", commit=oid.hex())
    _ = state.policy


def _wrong(log: Readable, commit: Commit, state: State) -> str:
    """Return what keeps a commit from being one of the log; empty where nothing does."""
    header = state.header
    parents = [log.commit(parent) for parent in commit.parents]
    due = 1 + max((parent.revision for parent in parents), default=0)
    if header["revision"] != due or commit.revision != due:
        return f"says that it is revision {commit.revision} and {header['revision']}, and comes after {due - 1}"
    merges = is_merge(header["operations"])
    if len(parents) > 2 or merges != (len(parents) == 2):
        return f"has {len(parents)} parents"
    if merges and not _fits(header["operations"][0]):
        return "does not say what it merged"
    if parents and log.state_at(parents[0].oid).header["repository"] != header["repository"]:
        return f"is of another log ({header['repository']}) than the one before it"
    return ""


def _fits(operation: dict[str, Any]) -> bool:
    return all(name in operation and isinstance(operation[name], kind) for name, kind in _MERGE_SHAPE.items())
