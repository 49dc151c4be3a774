"""Judging a commit with two parents.

A merge's state is made anew like any other: from that of its first parent and the operations that the order of the
second parent has and that of the first has not. Nothing in it is whoever merged's own but the signature.
"""

from __future__ import annotations

from gitcoord import merge
from gitcoord.errors import CoordError, IntegrityFault
from gitcoord.log import Log
from gitcoord.state import State
from gitcoord.verify.rules import Broken, Found


def state_of_merge(log: Log, found: Found) -> State:
    """Return the state that a merge has to have, for its tree to be compared with.

    Both parents, and all that lies behind them, were judged before and are good. The merge's place (repository,
    revision, ids), its signature, its rendered message and its dates are judged by the caller.

    Args:
        log: the log, for reading both parents' histories.
        found: the merge.

    Raises:
        Broken: the merge is not what its parents make.
    """
    operations = found.header["operations"]
    if len(found.parents) != 2 or len(operations) != 1 or not merge.is_merge(operations):
        raise Broken("merge", f"has {len(found.parents)} parents and is no merge of two")
    operation = operations[0]
    ours, theirs = found.parents
    try:
        made = merge.merged(log, ours, theirs, restores=operation["restores"], adopts=operation["adopts"])
    except IntegrityFault:
        raise
    except CoordError as error:
        raise Broken("merge", f"cannot be made of its parents: {error.message}") from error
    if made is None:
        raise Broken("merge", "brings nothing that its first parent lacks")
    return made.state
