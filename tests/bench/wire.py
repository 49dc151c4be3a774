"""The least that a client of a stdio server can be: it writes a line and reads lines until the answer comes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "Bench", "version": "1"},
}


class Wire:
    """A server process and the pipes to it.

    Args:
        command: what to start.
        env: its environment; this process's own by default.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        self._next_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def hail(self) -> None:
        """Send the first request of the older protocol, which a client of either era may begin with, and wait."""
        self.request("initialize", _INITIALIZE)

    def shake_hands(self) -> None:
        """Open the connection."""
        self.hail()
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its result.

        Raises:
            AssertionError: the server ended, or answered with an error.
        """
        self._next_id += 1
        self._send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params or {}})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b'"id":%d' % self._next_id in line.replace(b" ", b""):
                message = json.loads(line)
                if message.get("id") == self._next_id:
                    return _result(message)
        raise AssertionError(f"the server ended with {self._process.wait()}")

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured answer, which must be no refusal."""
        result = self.request("tools/call", {"name": tool, "arguments": arguments})
        answer = result.get("structuredContent", result)
        assert not result.get("isError"), answer
        assert "error" not in answer, answer
        return answer

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def _result(message: dict[str, Any]) -> dict[str, Any]:
    assert "result" in message, message["error"]
    return message["result"]
