"""Starting and stopping the server process."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from gitcoord.mcp_server.desks import ConnectionDesks, Finder, HttpDesks
from gitcoord.mcp_server.server import build_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Sequence

    from gitcoord.mcp_server.desks import Desks
    from gitcoord.mcp_server.http import Endpoint

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
_PERSON = (
    "gitcoord serve talks to an MCP client on standard input and output; name this command in your agent's "
    "configuration, and press Ctrl-C here.\n"
)


def serve_stdio(repo: str | None, session: str | None, key: str | None = None) -> int:
    """Serve standard input and output until the client goes; see `gitcoord.mcp_server.run_stdio`."""
    from gitcoord.config import read_environment
    from gitcoord.mcp_server.stdio import claim_wire

    if os.isatty(0):
        sys.stderr.write(_PERSON)
    wire = claim_wire()
    desks = ConnectionDesks(Finder.from_environment(repo), session or read_environment().session, key)
    anyio.run(_serve_streams, desks, *wire)
    return 0


async def _serve_streams(desks: Desks, wire_in: int, wire_out: int) -> None:
    from gitcoord.mcp_server.stdio import stdio_streams

    server = build_server(desks)
    async with anyio.create_task_group() as tasks:
        with _signals() as received:
            tasks.start_soon(_end_on_signal, received, tasks.cancel_scope)
            async with stdio_streams(wire_in, wire_out) as (messages, writer):
                await server.run(messages, writer, server.create_initialization_options())
            tasks.cancel_scope.cancel()


def serve_http(address: str, repo: str | None, allow_remote: Sequence[str], key: str | None = None) -> int:
    """Serve streamable HTTP until a signal ends it; see `gitcoord.mcp_server.run_http`."""
    from gitcoord.config import environment
    from gitcoord.mcp_server.http import Endpoint

    endpoint = Endpoint.bind(address, allow_remote, environment().get("GITCOORD_HTTP_TOKEN"))
    sys.stderr.write(endpoint.announcement())
    sys.stderr.flush()
    anyio.run(_serve_endpoint, endpoint, HttpDesks(Finder.from_environment(repo), key))
    return 0


async def _serve_endpoint(endpoint: Endpoint, desks: HttpDesks) -> None:
    with _signals():  # uvicorn stops in good order at a signal, then raises it again: here that ends quietly
        await endpoint.serve(build_server(desks))


@contextmanager
def _signals() -> Generator[AsyncIterator[signal.Signals] | None]:
    """Catch the signals that ask a process to end, where the platform lets an event loop do so."""
    try:
        receiver = anyio.open_signal_receiver(*_ENDING)
        with receiver as received:
            yield received
    except NotImplementedError:
        yield None


async def _end_on_signal(received: AsyncIterator[signal.Signals] | None, scope: anyio.CancelScope) -> None:
    if received is None:
        return
    async for _ in received:
        scope.cancel()
        return
