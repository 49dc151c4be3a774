"""How the tip that a remote has now lies to the one that it was last seen to have.

A log grows along first parents: whatever was seen stays on the first-parent chain of all that comes. Anything else is
damage, a fast-forward too, for a merge can have everything behind it and still tell another order.
"""

from __future__ import annotations

from gitcoord.merge import first_parents, is_merge, operations_of, sides
from gitcoord.values import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gitcoord.merge import Readable

Growth = Literal["equal", "grown", "restored", "rewound", "reordered", "forked", "unrelated"]
"""`restored`: somebody put damage right, and all that was seen is behind it. The last four are damage: the remote's ref
was set back (`rewound`), set to a history that has the seen one as a second parent (`reordered`), to one that lacks it
(`forked`), or to the log of another repository (`unrelated`)."""


def has_first_parent(log: Readable, tip: bytes, wanted: bytes) -> bool:
    """Tell whether a commit is a tip or lies on its chain of first parents."""
    here = tip
    revision = log.commit(wanted).revision
    while here != wanted:
        commit = log.commit(here)
        if commit.revision <= revision or not commit.parents:
            return False
        here = commit.parents[0]
    return True


def is_behind(log: Readable, tip: bytes, wanted: bytes) -> bool:
    """Tell whether a commit is a tip or lies anywhere behind it."""
    return has_first_parent(log, tip, wanted) or not sides(log, tip, wanted).theirs


def growth(log: Readable, seen: bytes, found: bytes) -> Growth:
    """Return how a found tip lies to the one that was seen before.

    Raises:
        IntegrityFault: a commit on the way cannot be read, or its revision does not grow.
    """
    if seen == found:
        return "equal"
    if has_first_parent(log, found, seen):
        return "grown"
    if has_first_parent(log, seen, found):
        return "rewound"
    if log.state_at(seen).header["repository"] != log.state_at(found).header["repository"]:
        return "unrelated"
    apart = sides(log, seen, found)
    if apart.ours:
        return "forked"
    return "restored" if _is_restored(log, seen, found, apart.theirs) else "reordered"


def _is_restored(log: Readable, seen: bytes, found: bytes, new: set[bytes]) -> bool:
    """Tell whether a merge among the new commits says that it puts damage right, and brought in what was seen."""
    for oid in first_parents(log, found, new):
        operations = operations_of(log, oid)
        parents = log.commit(oid).parents
        puts_right = is_merge(operations) and operations[0]["restores"] and len(parents) == 2
        if puts_right and is_behind(log, parents[1], seen):
            return True
    return False
