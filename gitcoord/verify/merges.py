"""Judging a commit with two parents.

A merge's tree is recomputed like any other: from the state of its first parent and the operations that the order of the
second parent has and that of the first has not. The one function here is what the rest of the verifier asks; a version
that knows no merges has no honest one to accept.
"""

from __future__ import annotations

from gitcoord.log import Log
from gitcoord.state import State
from gitcoord.tree import Sink
from gitcoord.verify.rules import Broken, Found


def state_of_merge(log: Log, found: Found, first: State, add: Sink) -> State:
    """Return the state that a merge has to have, for its tree to be compared with.

    Both parents, and all that lies behind them, were judged before and are good. The merge's place (repository,
    revision, ids), its signature, its rendered message and its dates are judged by the caller.

    Args:
        log: the log, for reading both parents' histories.
        found: the merge.
        first: the state of its first parent, to be changed.
        add: takes new objects.

    Raises:
        Broken: the merge is not what its parents make.
    """
    del log, first, add
    raise Broken("merge-unsupported", f"is a merge of {len(found.parents)} parents, which this version cannot judge")
