"""The MCP face under test: clients in memory, and real server processes spoken to line by line."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import mcp_types
from mcp import Client

from gitcoord.mcp_server.desks import ConnectionDesks, Finder, Place
from gitcoord.mcp_server.server import build_server
from gitcoord.service import initialise, open_desk
from support.repo import make_repo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gitcoord.service import Desk

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ERAS = ("legacy", "auto")
_END = object()


def child_environment(**more: str) -> dict[str, str]:
    """Return the environment for a process that imports gitcoord from this checkout."""
    return {**os.environ, "PYTHONPATH": ROOT, **more}


def coordinated_repo(path: str | os.PathLike[str]) -> str:
    """Make a repository with a few files and a log in it, and return its path."""
    repo = make_repo(path)
    assert initialise(repo)["ok"]
    return repo


def person(repo: str, session: str = "ada@host") -> Desk:
    """Open the desk of somebody at the command line."""
    return open_desk(repo, session=session, process=False)


def only(repo: str) -> Finder:
    """Return a finder that looks in one place."""
    return Finder(Place(repo, "--repo"), None, Place("/", "the working directory"))


@asynccontextmanager
async def connected(
    repo: str | Finder, mode: str = "auto", name: str = "Test Agent", **options: Any
) -> AsyncGenerator[Client]:
    """Yield a client of a server of its own in this process.

    Args:
        repo: the repository, or where to look for it.
        mode: the protocol era: "legacy" or "auto" (the newest).
        name: the client's name.
        options: further arguments of the client.
    """
    finder = only(repo) if isinstance(repo, str) else repo
    info = mcp_types.Implementation(name=name, version="1")
    async with Client(build_server(ConnectionDesks(finder)), mode=mode, client_info=info, **options) as client:
        yield client


async def ask(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return its structured answer, which its text has to repeat."""
    result = await client.call_tool(tool, arguments)
    assert [json.loads(block.text) for block in result.content if block.type == "text"] == [result.structured_content]
    return result.structured_content


class ServerProcess:
    """A real `gitcoord serve` on pipes.

    Args:
        repo: the repository; the process starts there.
        options: further arguments of `serve`.
        env: variables to set.
    """

    def __init__(self, repo: str, *options: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gitcoord", "serve", *options],
            cwd=repo,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(**(env or {})),
        )
        self.heard: list[dict[str, Any]] = []
        self._fresh: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._errors: list[bytes] = []
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._read_out, self._read_errors)]
        for thread in self._threads:
            thread.start()
        self._next_id = 100_000

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._fresh.put(json.loads(line))
        self._fresh.put(_END)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for thread in self._threads:
            thread.join(10)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    @property
    def errors(self) -> str:
        """What the server has written to its standard error."""
        return b"".join(self._errors).decode()

    def send(self, *lines: bytes) -> None:
        """Write lines as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def request(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a request and return its id."""
        self._next_id += 1
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method, **({"params": params} if params else {})}
        self.send(json.dumps(message).encode())
        return self._next_id

    def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send a notification."""
        self.send(json.dumps({"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}).encode())

    def answer(self, request_id: Any, timeout_s: float = 20) -> dict[str, Any]:
        """Wait for the answer to a request and return the whole message.

        Raises:
            AssertionError: the server ended, or did not answer in time.
        """
        while True:
            for message in self.heard:
                if "method" not in message and message.get("id") == request_id:
                    self.heard.remove(message)
                    return message
            try:
                message = self._fresh.get(timeout=timeout_s)
            except queue.Empty:
                raise AssertionError(f"no answer to {request_id!r} in {timeout_s} s: {self.errors}") from None
            assert message is not _END, f"the server ended: {self.errors}"
            self.heard.append(message)

    def shake_hands(self, name: str = "Test Agent") -> dict[str, Any]:
        """Open the connection as a client of the older protocol does, and return what the server says of itself."""
        info = {"name": name, "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
        told = self.answer(self.request("initialize", params))["result"]
        self.notify("notifications/initialized")
        return told

    def call(self, tool: str, /, **arguments: Any) -> int:
        """Begin a tool call and return its id."""
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def ask(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured answer."""
        return self.answer(self.call(tool, **arguments))["result"]["structuredContent"]

    def end_input(self) -> None:
        """Close the server's standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()
