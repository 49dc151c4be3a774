"""How long the faces take to start: a command, the server; and the size of `tools/list`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.ground import desk, must, project
from bench.measure import Row, Sizes, in_turns, timed
from bench.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAM = os.path.join(os.path.dirname(sys.executable), "gitcoord")
EMPTY_SERVER = "from mcp.server import MCPServer; MCPServer('empty').run()"
KILOBYTE = 1000


def start_rows(place: str, sizes: Sizes) -> Iterator[Row]:
    """Measure how long commands and the server take to start.

    Raises:
        SystemExit: the program is not installed beside this interpreter.
    """
    if not os.path.exists(PROGRAM):
        raise SystemExit(f"{PROGRAM} is not there: install this checkout first, pip install -e . --group dev")
    repo = project(os.path.join(place, "project"), files=True)
    holder = desk(repo, "holder")
    must(holder.lock_files(["src/db.py"], reason="Rework the connection pool."))
    bare = [sys.executable, "-c", "pass"]
    check, empty = _starts(sizes, repo, [PROGRAM, "check", "src/app.py"], bare)
    yield Row("start", "gitcoord check / python -c pass", check, empty, "ms", 3)
    usage, empty = _starts(sizes, repo, [PROGRAM, "--help"], bare)
    yield Row("start", "gitcoord --help / python -c pass", usage, empty, "ms", 5)
    ours, theirs = in_turns(
        sizes.servers,
        [
            lambda _: _first_answer([PROGRAM, "serve", "--repo", repo]),
            lambda _: _first_answer([sys.executable, "-c", EMPTY_SERVER]),
        ],
    )
    yield Row("start", "first answer of gitcoord serve / of an empty server of the SDK", ours, theirs, "ms", 1.15)


def _starts(sizes: Sizes, where: str, *commands: Sequence[str]) -> list[float]:
    def run(command: Sequence[str]) -> float:
        return timed(lambda: subprocess.run(command, cwd=where, stdout=subprocess.DEVNULL, check=True))

    return in_turns(sizes.processes, [lambda _, command=command: run(command) for command in commands])


def _first_answer(command: Sequence[str]) -> float:
    wires: list[Wire] = []

    def start() -> None:
        wires.append(Wire(command))
        wires[0].hail()

    took = timed(start)
    with wires[0]:
        return took


def surface_rows(place: str, _: Sizes) -> Iterator[Row]:
    """Measure what `tools/list` costs an agent's context."""
    repo = project(os.path.join(place, "project"))
    with Wire([sys.executable, "-m", "gitcoord", "serve", "--repo", repo], _environment()) as wire:
        wire.shake_hands()
        tools = wire.request("tools/list")["tools"]
    bare = [{name: value for name, value in tool.items() if name != "outputSchema"} for tool in tools]
    for what, listed, limit in (("without output schemas", bare, 15), ("with output schemas", tools, 24)):
        size = len(json.dumps({"tools": listed}, separators=(",", ":"), ensure_ascii=False).encode())
        yield Row("surface", f"tools/list {what}", size / KILOBYTE, None, "KB", limit)


def _environment() -> dict[str, str]:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return {**os.environ, "PYTHONPATH": root}
