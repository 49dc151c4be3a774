"""Which commits are to be judged, and in which order: those behind a tip that are not behind one that is known good."""

from __future__ import annotations

from heapq import heappop, heappush

from gitcoord.errors import ObjectMissing
from gitcoord.values import NamedTuple
from gitcoord.verify.evidence import Reader, Seen

_BODIES_KEPT = 100_000
_NEW, _GOOD = 1, 2


class Missing(Exception):
    """A commit that another one names as its parent is not there."""

    def __init__(self, child: bytes | None, error: ObjectMissing) -> None:
        """Keep who names it, and what the store says."""
        super().__init__(error.message)
        self.child = child
        self.error = error


class History(NamedTuple):
    """What is behind a tip.

    Attributes:
        commits: those to be judged, every one after its parents.
        edges: commits whose parents a shallow clone does not have, and merges of histories that end there: their own
            states have to be taken as they are.
        grown: the good commit is behind the tip.
        first_parents: from the tip back, as far as was walked.
    """

    commits: list[Seen]
    edges: list[Seen]
    grown: bool
    first_parents: list[bytes]


def between(reader: Reader, good: bytes | None, new: bytes, *, cut_off: bool = False) -> History:
    """Return what is behind a tip and not behind a good commit.

    Commits are visited by the revision that their messages state. One that lies about it may cost more reading, and is
    never left out.

    Args:
        reader: reads commits.
        good: nothing behind it is looked for; None looks for all.
        new: the tip.
        cut_off: merges whose making a shallow clone does not show end the history also behind a good commit. For who
            asks about a stretch of a log that is here already: of what arrives nothing is taken as it is.

    Raises:
        Missing: a commit is not there.
        ObjectDamaged: it cannot be read.
    """
    walk = _Walk(reader, to_the_ends=cut_off)
    if good is not None:
        walk.paint(good, _GOOD, None)
    walk.paint(new, _NEW, None)
    walk.run()
    if good is None or cut_off:
        walk.cut_merges()
    if cut_off:
        walk.edges = [seen for seen in walk.edges if walk.colour[seen.oid] == _NEW]
    grown = good is None or walk.colour[good] & _NEW != 0
    return History(walk.ordered(new), walk.edges, grown, walk.first_parents(new))


class _Walk:
    """Paints what is behind the good commit and what is behind the tip, the newest first.

    Args:
        reader: reads commits.
        to_the_ends: in a shallow clone, up to where the history ends, also where all that is new was found before.
    """

    def __init__(self, reader: Reader, *, to_the_ends: bool) -> None:
        self._reader = reader
        self._shallow = reader.shallow()
        self._to_the_ends = to_the_ends and bool(self._shallow)
        self._heap: list[tuple[int, bytes]] = []
        self._open: set[bytes] = set()
        self.colour: dict[bytes, int] = {}
        self.seen: dict[bytes, Seen] = {}
        self.edges: list[Seen] = []

    def paint(self, oid: bytes, colour: int, child: bytes | None) -> None:
        before = self.colour.get(oid, 0)
        after = before | colour
        if after == before:
            return
        seen = self.seen.get(oid)
        if seen is None:
            try:
                seen = self._reader.seen(oid)
            except ObjectMissing as error:
                raise Missing(child, error) from error
            self.seen[oid] = seen if len(self.seen) < _BODIES_KEPT else seen._replace(body=b"")
        self.colour[oid] = after
        if after == _NEW:
            self._open.add(oid)
        else:
            self._open.discard(oid)
        heappush(self._heap, (-seen.revision, oid))

    def run(self) -> None:
        while self._heap and (self._open or self._to_the_ends):
            oid = heappop(self._heap)[1]
            self._open.discard(oid)
            seen = self.seen[oid]
            try:
                for parent in seen.parents:
                    self.paint(parent, self.colour[oid], oid)
            except Missing as missing:
                if missing.child not in self._shallow:
                    raise
                self.edges.append(seen)

    def cut_merges(self) -> None:
        """Let the merges end the history too whose making cannot be seen: what both their sides share may be cut off.

        A merge is made anew from all that one of its sides has and the other has not. Where the history of a shallow
        clone ends within that, what lies behind is on both sides or on one, and nothing here tells which.
        """
        ends = {seen.oid for seen in self.edges}
        if not ends:
            return
        behind: dict[bytes, frozenset[bytes]] = {}
        nothing = frozenset[bytes]()
        for seen in sorted(self.seen.values(), key=lambda seen: seen.revision):
            sides = [behind.get(parent, nothing) for parent in seen.parents]
            behind[seen.oid] = nothing.union(*sides, {seen.oid} & ends)
            apart = len(sides) == 2 and sides[0] != sides[1]
            if apart and seen.oid not in ends and self.colour[seen.oid] == _NEW:
                self.edges.append(seen)

    def ordered(self, new: bytes) -> list[Seen]:
        """Return the new commits, each after its parents, first parents' histories first."""
        edges = {seen.oid for seen in self.edges}
        found: list[Seen] = []
        done: set[bytes] = set()
        stack: list[tuple[bytes, bool]] = [(new, False)]
        while stack:
            oid, ready = stack.pop()
            if ready:
                found.append(self.seen[oid])
                continue
            if oid in done or self.colour.get(oid) != _NEW:
                continue
            done.add(oid)
            if oid not in edges:
                stack.append((oid, True))
            stack.extend((parent, False) for parent in reversed(self.seen[oid].parents))
        return found

    def first_parents(self, new: bytes) -> list[bytes]:
        found: list[bytes] = []
        here: bytes | None = new
        while here is not None and here in self.seen:
            found.append(here)
            parents = self.seen[here].parents
            here = parents[0] if parents else None
        return found
