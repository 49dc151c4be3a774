"""What hooks cost: a commit's, and an agent's before it edits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.ground import desk, must, project
from bench.measure import Row, Sizes, in_turns, timed
from gitcoord.hooks import git_events, install
from gitcoord.store.repository import find_repository
from support.repo import git

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BARE = (sys.executable, "-c", "pass")
STAGED = ("git", "diff", "--cached", "--name-only")
OLD_GIT = (2, 39)
FEW = 10


def rows(place: str, sizes: Sizes) -> Iterator[Row]:
    """Measure the hook file that git starts, as git starts it, against a bare interpreter and one look at the index."""
    held = max(100, sizes.many // 10)
    repo = _repository(os.path.join(place, "few"), held, FEW)
    hook = os.path.join(repo, ".git", "hooks", "pre-commit")
    ours, empty, listed = _medians(sizes, repo, [hook], BARE, STAGED)
    yield Row(
        "hooks",
        f"pre-commit, {FEW} staged, {held:,} locks / 3 python -c pass + git diff --cached",
        ours,
        3 * empty + listed,
        "ms",
        1,
    )
    payload = os.path.join(place, "payload")
    with open(payload, "w", encoding="utf-8") as file:
        written = {"file_path": os.path.join(repo, "src", "file-1.py")}
        json.dump({"session_id": "bench", "cwd": repo, "tool_name": "Edit", "tool_input": written}, file)
    program = os.path.join(os.path.dirname(sys.executable), "gitcoord")
    words = [program, "hook", "claude", "PreToolUse", "--mode", "deny"]
    ours, empty = _medians(sizes, repo, words, BARE, stdin=payload)
    yield Row("hooks", f"PreToolUse, {held:,} locks / python -c pass", ours, empty, "ms", 3)
    many = sizes.many
    repo = _repository(os.path.join(place, "many"), held, many)
    hook = os.path.join(repo, ".git", "hooks", "pre-commit")
    ours, empty, listed = _medians(sizes, repo, [hook], BARE, STAGED)
    yield Row(
        "hooks",
        f"pre-commit, {many:,} staged / 3 python -c pass + 2 git diff --cached",
        ours,
        3 * empty + 2 * listed,
        "ms",
        1,
    )


def _repository(path: str, held: int, staged: int) -> str:
    """Make a repository in which one session holds locks beside what is staged."""
    repo = project(path)
    holder = desk(repo, "holder")
    names = [f"area-{number % 20}/part-{number}.py" for number in range(held)]
    must(holder.lock_files(names, reason="Rework the connection pool."))
    for number in range(staged):
        name = os.path.join(repo, f"src-{number % 97}", f"file-{number}.py")
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "w", encoding="ascii") as file:
            file.write(f"{number}\n")
    git(repo, "add", "-A")
    install.install(find_repository(repo, {}), git_events.CLIENT, [], OLD_GIT)
    return repo


def _medians(sizes: Sizes, where: str, *commands: Sequence[str], stdin: str = os.devnull) -> list[float]:
    def run(command: Sequence[str]) -> float:
        with open(stdin, "rb") as source:
            return timed(
                lambda: subprocess.run(command, cwd=where, stdin=source, stdout=subprocess.DEVNULL, check=True)
            )

    return in_turns(sizes.processes, [lambda _, command=command: run(command) for command in commands])
