"""What a tool call over stdio costs: `lock_files` against a tool of the same server that does nothing.

Both are called by the SDK's own client, as a Python program would; and, for information, by a client that only writes a
line and reads one, which hides nothing behind work of its own.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client, StdioServerParameters

from bench.ground import hold, must, project
from bench.measure import Row, Sizes, in_turns, median_of, timed, warm_up
from bench.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP = "stdio"
SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.py")


def rows(place: str, sizes: Sizes) -> Iterator[Row]:
    """Measure a call with syncing relaxed and on."""
    for durable, limit in ((False, 2.5), (True, 4)):
        how = "synced" if durable else "relaxed"
        repo = project(os.path.join(place, how))
        hold(repo, 10)
        env = {**os.environ, "GITCOORD_FSYNC": "1" if durable else "0"}
        params = StdioServerParameters(command=sys.executable, args=[SERVER, repo], env=env)
        ours, theirs = anyio.run(_by_client, params, sizes.calls)
        yield Row(GROUP, f"lock_files over stdio / an empty tool of the same server, {how}", ours, theirs, "ms", limit)
        ours, theirs = _by_wire([sys.executable, SERVER, repo], env, sizes.calls)
        yield Row(GROUP, f"the same without a client's own cost, {how}", ours, theirs, "ms", None)


async def _by_client(params: StdioServerParameters, rounds: int) -> list[float]:
    found: list[list[float]] = [[], []]
    async with Client(params) as client:

        async def call(tool: str, **arguments: Any) -> float:
            start = time.perf_counter()
            result = await client.call_tool(tool, arguments)
            took = (time.perf_counter() - start) * 1000
            assert not result.is_error, result.content
            must(result.structured_content)
            return took

        for number in range(warm_up(rounds) + rounds):
            found[0].append(await call("lock_files", **_lock(number)))
            await call("unlock_files", files=_lock(number)["files"])
            found[1].append(await call("nothing"))
    return [median_of(times, rounds) for times in found]


def _by_wire(command: list[str], env: dict[str, str], rounds: int) -> list[float]:
    with Wire(command, env) as wire:
        wire.shake_hands()

        def lock(number: int) -> float:
            took = timed(lambda: wire.call("lock_files", **_lock(number)))
            wire.call("unlock_files", files=_lock(number)["files"])
            return took

        calls: list[Callable[[int], float]] = [lock, lambda _: timed(lambda: wire.call("nothing"))]
        return in_turns(rounds, calls)


def _lock(number: int) -> dict[str, Any]:
    return {"files": [f"src/part{number % 10:02}/file{number}.py"], "reason": "Rework the connection pool."}
