"""The process that judges one stretch of a log for another one; see `gitcoord.verify.segments`."""

from __future__ import annotations

import gc
import json
import sys

from gitcoord.log import Log
from gitcoord.store.repository import Repository
from gitcoord.values import Any
from gitcoord.verify.chain import Examination


def main() -> None:
    """Read a task from standard input, and say on standard output that all of it is good, if it is."""
    gc.disable()  # hardly anything here refers to itself, and the process ends with its stretch
    line, _, names = sys.stdin.buffer.read().partition(b"\n")
    task: dict[str, Any] = json.loads(line)
    size = task["size"]
    commits = [names[at : at + size] for at in range(0, len(names), size)]
    found = Examination(Log(Repository(*task["repository"]), durable=False), None, task["pinned"]).judged(commits)
    if found is None or len(commits) != task["commits"]:
        sys.exit(1)
    told = {
        "digest": len(next(iter(found.ids), b"")) or 1,
        "tally": found.tally,
        "merges": found.merges,
        "root": found.root,
        "repository": found.repository,
    }
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + b"".join(found.ids))
