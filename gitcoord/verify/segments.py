"""Judging a long log by several processes at once, each a stretch of it.

Whether a commit is what the rules make of the one before it needs nothing but the one before it: so the line of commits
is cut, the first stretch is judged here, and the others by helpers meanwhile, each from the tree that its predecessor
has. What hangs together across the cuts (that no id is used twice, whose clock went back, the root) is joined here, in
order.

A helper says "all good" or nothing. A stretch of which it does not say so, and one that does not join without a
question, is judged again here as if there were no helpers: so neither a verdict nor the commit and the rule that it
names can depend on them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from subprocess import DEVNULL, PIPE, Popen

from gitcoord.log import Log
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple
from gitcoord.verify.evidence import scratch_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from gitcoord.verify.evidence import Seen

_WORTH_IT = 1500
"""Below so many commits for each process, starting helpers costs about as much as they save."""

_AT_MOST = 8
_RUN = "import sys; sys.path.insert(0, sys.argv[1]); from gitcoord.verify.helper import main; main()"


class Good(NamedTuple):
    """What a helper tells of a stretch in which all commits are good.

    Attributes:
        ids: the digests of its operations' ids.
        tally: its counts (`Tally.told`).
        merges: whether there are merges in it.
        root: the fingerprint of the root, if the log got one in it.
        repository: the log's id.
    """

    ids: set[bytes]
    tally: dict[str, Any]
    merges: bool
    root: str | None
    repository: str


def cut(commits: list[Seen], processes: int | None = None) -> list[list[Seen]]:
    """Return the stretches in which commits are to be judged at the same time: one, where that is quicker.

    Args:
        commits: in the order in which they are judged.
        processes: how many may work; None is one for each processor that this process may use.
    """
    if processes is None:
        processes = min(_AT_MOST, _processors(), len(commits) // _WORTH_IT)
    size = -(-len(commits) // max(1, processes))
    return [commits[at : at + size] for at in range(0, len(commits), size)] if size else [commits]


def _processors() -> int:
    asked: Any = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if asked is None else len(asked(0))


class Helpers:
    """Processes that judge stretches of a log, for as long as the block lasts.

    Args:
        log: the log.
        pinned: the root that the log has to have; None believes its own first word.
        stretches: what each is to judge.
    """

    def __init__(self, log: Log, pinned: str | None, stretches: Sequence[list[Seen]]) -> None:
        """Start them."""
        self._running: list[Popen[bytes] | None] = []
        for commits in stretches:
            self._running.append(_start(log, pinned, commits))

    def __enter__(self) -> Self:
        """Return the helpers."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop who still works: nobody waits for it any more."""
        for process in self._running:
            if process is not None:
                process.kill()
                process.communicate()

    def answer(self, number: int) -> Good | None:
        """Wait for one helper; None where it did not find that all commits of its stretch are good."""
        process, self._running[number] = self._running[number], None
        if process is None:
            return None
        said, _ = process.communicate()
        line, _, ids = said.partition(b"\n")
        if process.returncode != 0 or not line:
            return None
        told = json.loads(line)
        size = told["digest"]
        found = {ids[at : at + size] for at in range(0, len(ids), size)}
        return Good(found, told["tally"], told["merges"], told["root"], told["repository"])


def _start(log: Log, pinned: str | None, commits: list[Seen]) -> Popen[bytes] | None:
    """Start a helper and give it its task; None where none can be started."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    task = json.dumps(
        {"repository": log.repository, "pinned": pinned, "size": log.objects.oid_size, "commits": len(commits)}
    )
    scratch = scratch_of(log).path
    try:
        os.makedirs(scratch, mode=0o700, exist_ok=True)
        # A file and no pipe: the helper takes its time to start, and a pipe holds less than this.
        with tempfile.TemporaryFile(dir=scratch) as file:
            file.write(task.encode() + b"\n" + b"".join(seen.oid for seen in commits))
            file.seek(0)
            # -P: what lies in the current directory is the user's, and no part of this program.
            return Popen([sys.executable, "-P", "-c", _RUN, package], stdin=file, stdout=PIPE, stderr=DEVNULL)  # noqa: S603 - this very program
    except OSError:
        return None
