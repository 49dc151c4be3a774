"""From two tips of the log to the one order that both sides agree on: what is missing, and the merge that adds it.

`order(commit)` is the order of its first parent with its own operations behind it; `order(merge)` is the order of its
first parent, and then what the order of its second parent has and the first's has not, by id, in the second's order.
The first parents of a tip are therefore the agreed order, and `git log --first-parent refs/coord` reads it. What that
other order has and did refuse stays refused, and is put on record again: the merges among the first parents tell of
every operation what became of it.

The laws (see `tests/property/test_merge_laws.py`): equal tips give the same commit, whoever merges, and where a side
has nothing that the other lacks there is nothing to merge; every operation of both sides is found in the history, and
is either in effect or recorded as refused; what an agreed tip refused is in effect at no later one.

Reads the log and writes nothing; `write` hands the objects of a merge to whoever keeps them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from gitcoord import render
from gitcoord.errors import IntegrityFault
from gitcoord.log import Commit
from gitcoord.model import ClockReading, Header, Operation, Refusal
from gitcoord.model_time import parse_time
from gitcoord.state import State
from gitcoord.transitions.merging import MERGE, Missing, Origin, placed, replay
from gitcoord.tree import Sink
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Protocol

    class Readable(Protocol):
        """What is read of a log."""

        def commit(self, oid: bytes) -> Commit:
            """Return what a commit says of itself."""
            ...

        def state_at(self, oid: bytes) -> State:
            """Return the state at a commit."""
            ...


_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_OURS, _THEIRS = 1, 2
_UNREPLAYED = (MERGE, "log.init")


class Sides(NamedTuple):
    """The commits that only one of two tips has behind it; the tip itself included."""

    ours: set[bytes]
    theirs: set[bytes]


class Merge(NamedTuple):
    """A merge that was made and is on no ref yet."""

    parents: tuple[bytes, bytes]
    state: State

    @property
    def operation(self) -> Operation:
        """The merge's own operation, which records what was refused."""
        return self.state.header["operations"][0]


def sides(log: Readable, ours: bytes, theirs: bytes) -> Sides:
    """Return which commits are behind one tip only.

    Walks from both tips towards the beginning, the largest revision first, and no further than where they meet.

    Raises:
        IntegrityFault: a commit's revision is not larger than its parents'.
    """
    found = _apart(log, [ours, theirs])
    return Sides(
        {oid for oid, flags in found.items() if flags == _OURS},
        {oid for oid, flags in found.items() if flags == _THEIRS},
    )


def _apart(log: Readable, tips: list[bytes]) -> dict[bytes, int]:
    """Return the commits that are behind some of these tips and not behind all, each with one bit for each tip."""
    everybody = (1 << len(tips)) - 1
    flags: dict[bytes, int] = {}
    queue: list[tuple[int, bytes]] = []
    unmet = 0  # how many in the queue are not behind all tips

    def reach(oid: bytes, flag: int, below: int | None) -> None:
        nonlocal unmet
        revision = log.commit(oid).revision
        if below is not None and revision >= below:
            # Nothing else makes sure that a commit's turn comes after all of its children's.
            raise IntegrityFault(
                f"commit {oid.hex()} has revision {revision}, and a child of it {below}",
                next="gitcoord doctor",
                commit=oid.hex(),
            )
        known = flags.get(oid, 0)
        if known | flag == known:
            return
        if not known:
            heapq.heappush(queue, (-revision, oid))
        flags[oid] = known | flag
        unmet += (flags[oid] != everybody) - (known not in (0, everybody))

    for number, tip in enumerate(tips):
        reach(tip, 1 << number, None)
    while unmet:
        _, oid = heapq.heappop(queue)
        flag = flags[oid]
        unmet -= flag != everybody
        commit = log.commit(oid)
        for parent in commit.parents:
            reach(parent, flag, commit.revision)
    return {oid: flag for oid, flag in flags.items() if flag != everybody}


def first_parents(log: Readable, tip: bytes, within: set[bytes]) -> list[bytes]:
    """Return a tip and its first parents as far as they lie within a set of commits, the oldest first."""
    found: list[bytes] = []
    here: bytes | None = tip
    while here is not None and here in within:
        found.append(here)
        parents = log.commit(here).parents
        here = parents[0] if parents else None
    return found[::-1]


def missing(log: Readable, ours: bytes, theirs: bytes) -> Missing:
    """Return what the order of `theirs` has and the order of `ours` has not, in their order.

    What a merge on their side refused is among it, with the refusal: it stays refused, and nothing else tells of it
    should that merge never be seen.

    Raises:
        IntegrityFault: a commit cannot be read, or contradicts the others.
    """
    apart = sides(log, ours, theirs)
    if not apart.theirs:
        return Missing([], {})
    # An operation may have been done in two clones (the answer to a push was lost, and it was tried again). What both
    # tips have behind them cannot hold one of theirs again unless their side began, or was joined, at several places.
    began = {parent for oid in apart.theirs for parent in log.commit(oid).parents} - apart.theirs
    elsewhere = apart.ours.union(_apart(log, sorted(began)) if len(began) > 1 else ())
    known = {operation["id"] for oid in elsewhere for operation in operations_of(log, oid)}
    bodies: dict[str, Operation] = {}
    for oid in sorted(apart.theirs, key=lambda oid: (log.commit(oid).revision, oid)):
        for operation in operations_of(log, oid):
            if operation["type"] not in _UNREPLAYED and operation["id"] not in known:
                bodies.setdefault(operation["id"], operation)
    found: dict[str, Operation] = {}
    refused: dict[str, Refusal] = {}
    for oid in first_parents(log, theirs, apart.theirs):
        for one, refusal in decided(operations_of(log, oid)):
            if one in bodies and one not in found:
                found[one] = bodies[one]
                if refusal is not None:
                    refused[one] = refusal
    lost = bodies.keys() - found.keys()
    if lost:
        raise IntegrityFault(
            f"operation {min(lost)} lies behind {theirs.hex()}, and no merge on the way replayed or refused it",
            next="gitcoord doctor",
            commit=theirs.hex(),
        )
    return Missing(list(found.values()), refused)


def operations_of(log: Readable, oid: bytes) -> list[Operation]:
    """Return the operations that a commit itself records; of a merge, its own one.

    Raises:
        IntegrityFault: it cannot be read, or its parents, its message and its header contradict each other.
    """
    header, commit = log.state_at(oid).header, log.commit(oid)
    operations = header["operations"]
    alone = len(operations) == 1
    parents = {"log.init": 0, MERGE: 2}.get(operations[0]["type"], 1)
    sound = all(operation["type"] not in _UNREPLAYED for operation in operations[1:]) and (alone or parents == 1)
    if not sound or len(commit.parents) != parents or header["revision"] != commit.revision:
        raise IntegrityFault(
            f"commit {oid.hex()} has {len(commit.parents)} parents and revision {commit.revision}, and records a "
            f"{operations[0]['type']} as revision {header['revision']}",
            next="gitcoord verify",
            commit=oid.hex(),
        )
    return operations


def decided(operations: list[Operation]) -> list[tuple[str, Refusal | None]]:
    """Return the ids that a commit puts in the log's order, each with why it is refused; None for what is in effect.

    Args:
        operations: what the commit records; of a merge, its own one.
    """
    return placed(operations[0]) if is_merge(operations) else [(operation["id"], None) for operation in operations]


def is_merge(operations: list[Operation]) -> bool:
    """Tell whether these are what a merge records."""
    return operations[0]["type"] == MERGE


def merged(
    log: Readable, ours: bytes, theirs: bytes, *, restores: str | None = None, adopts: str | None = None
) -> Merge | None:
    """Return the merge of two tips, or None where the second has nothing that the first lacks.

    Args:
        log: the log.
        ours: the first parent: the tip whose order counts, as a rule the remote's.
        theirs: the second parent, whose operations are replayed.
        restores: the damage that it puts right.
        adopts: the repository id of the other log, where the two began apart.

    Raises:
        IntegrityFault: something that had to be read cannot be, or the two are of different logs.
    """
    mine, other = log.state_at(ours), log.state_at(theirs).header
    if mine.header["repository"] != other["repository"] and adopts is None:
        raise IntegrityFault(
            f"the two tips are of different logs: {mine.header['repository']} and {other['repository']}",
            next="gitcoord sync --adopt",
        )
    lacking = missing(log, ours, theirs)
    if ours == theirs or (not lacking.operations and restores is None):
        return None
    origin = Origin(
        _id_of(ours, theirs, restores, adopts),
        _time_of(mine.header, other),
        1 + max(log.commit(ours).revision, log.commit(theirs).revision),
        restores,
        adopts,
    )
    return Merge((ours, theirs), replay(mine, origin, lacking))


def write(merge: Merge, add: Sink, sign: Callable[[bytes], bytes] = bytes) -> Commit:
    """Hand every new object of a merge to `add`, and return its commit.

    Args:
        merge: the merge.
        add: takes each object and returns its name.
        sign: puts a signature into the commit's body, where there is to be one.
    """
    tree = merge.state.write(add)
    parents = list(merge.parents)
    oid = add(b"commit", sign(render.commit(tree, parents, merge.state.header)))
    return Commit(oid, tree, parents, merge.state.header["revision"])


def _id_of(ours: bytes, theirs: bytes, restores: str | None, adopts: str | None) -> str:
    """Return an id that follows from the parents: 26 characters, as other operations have them."""
    import hashlib

    seed = b"\0".join((ours, theirs, (restores or "").encode(), (adopts or "").encode()))
    bits = int.from_bytes(hashlib.sha256(seed).digest()[:17], "big") >> 6
    return "".join(_CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))


def _time_of(ours: Header, theirs: Header) -> ClockReading:
    """Return the later of two commits' times, as a reading that no machine's clock can be compared with."""
    times = [header["operations"][0]["clock"]["time"] for header in (ours, theirs)]
    return {"machine": "", "boot": "", "uptime_ms": 0, "time": max(times, key=parse_time)}
