"""HTTP on loopback: guarded by a token and by names; callers name their sessions."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from mainjob.cast import TIMEOUT_S
from support import program

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mainjob.cast import Stage

_CALLERS = 6
_ANNOUNCED = re.compile(r"gitcoord serves MCP at (\S+)\nAuthorization: Bearer (\S+)\n")


class _Served:
    """A running endpoint: its process, URL and token."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, token: str) -> None:
        self.process = process
        self.url = url
        self.token = token

    @asynccontextmanager
    async def client(self, name: str, mode: str) -> AsyncGenerator[Client]:
        """Connect a client."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=TIMEOUT_S) as http,
            Client(
                streamable_http_client(self.url, http_client=http),
                mode=mode,
                client_info=Implementation(name=name, version="1"),
            ) as client,
        ):
            yield client


@asynccontextmanager
async def _serving(stage: Stage) -> AsyncGenerator[_Served]:
    words = ("serve", "--http", "127.0.0.1:0")
    stage.recorder.asked(f"gitcoord {' '.join(words)}")
    process = await anyio.to_thread.run_sync(partial(program.start, stage.project.root, *words))
    assert process.stderr is not None
    try:
        shown = b"".join([await anyio.to_thread.run_sync(process.stderr.readline) for _ in range(2)]).decode()
        found = _ANNOUNCED.fullmatch(shown)
        stage.recorder.expect("it prints its URL and a token", shown.split("Bearer")[0], ok=found is not None)
        if found is None:
            raise ValueError(shown)
        yield _Served(process, *found.groups())
    finally:
        process.kill()
        await anyio.to_thread.run_sync(process.communicate)


async def guarded(stage: Stage) -> None:
    """Guards: a token, its own names in Host and Origin, loopback only unless another name is allowed."""
    note, dana = stage.recorder, stage.dana
    async with _serving(stage) as served:
        good = {"Authorization": f"Bearer {served.token}", "Accept": "application/json, text/event-stream"}
        own = served.url.removesuffix("/mcp")
        cases: list[tuple[str, dict[str, str], int]] = [
            ("without a token", {**good, "Authorization": ""}, 401),
            ("with a wrong token", {**good, "Authorization": "Bearer " + "x" * len(served.token)}, 401),
            ("with another Host", {**good, "Host": "evil.example"}, 421),
            ("with a Host that begins alike", {**good, "Host": "127.0.0.1.evil.example"}, 421),
            ("from another site", {**good, "Origin": "http://evil.example"}, 403),
            ("as it should be", good, 200),
            ("from its own origin", {**good, "Origin": own}, 200),
        ]
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        async with httpx2.AsyncClient(timeout=TIMEOUT_S) as http:
            for what, headers, status in cases:
                answer = await http.post(served.url, json=message, headers=headers)
                note.same(f"a request {what}", answer.status_code, status)
        served.process.send_signal(signal.SIGTERM)
        code = await anyio.to_thread.run_sync(served.process.wait)
        note.same("a polite signal ends it in good order", code, 0)
    for address in ("0.0.0.0:0", "[::]:0"):
        done = await dana.run("serve", "--http", address)
        note.expect(f"{address} is refused, exit 2", f"{done.code}: {done.err}", ok=done.code == 2)


async def callers(stage: Stage) -> None:
    """Callers: no state on the connection, so each names its session; ids are different for all."""
    note, path = stage.recorder, stage.project.files[0]
    async with _serving(stage) as served:
        for mode in ("legacy", "auto"):
            async with served.client("gemini-cli", mode) as client:
                version = client.protocol_version
                refused = await _ask(client, "lock_files", files=[path])
                note.refused(f"by protocol {version}: who is it?", refused, "session_required")
                ids = await _sign_on_at_once(client)
                note.expect(f"{_CALLERS} sign on at once, with {_CALLERS} ids", ids, ok=len(set(ids)) == _CALLERS)
                base = "agent" if mode == "legacy" else "gemini-cli"  # the older protocol names its client only once
                note.same("the lowest free ones", ids, [f"{base}-{number + 1}" for number in range(_CALLERS)])
                one, two = ids[:2]
                held = await _ask(client, "lock_files", files=[path], session=one)
                note.granted("one locks a file", held)
                refused = await _ask(client, "lock_files", files=[path], session=two)
                note.refused("the other is refused", refused, "lock_held")
                agent = await stage.first.call("lock_files", files=[path])
                note.refused("the agent on stdio too", agent, "lock_held")
                unknown = await _ask(client, "lock_files", files=["x"], session="gemini-cli-77", wait_s=0)
                note.expect("an id that nobody has signs on", unknown, ok=unknown.get("session") == "gemini-cli-77")
                for session in (*ids, "gemini-cli-77"):
                    ended = await _ask(client, "sign_off", session=session)
                    note.expect(f"{session} signs off", ended, ok=ended.get("ok") is True)


async def _ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer: dict[str, Any] | None = (await client.call_tool(tool, arguments)).structured_content
    if answer is None:
        raise ValueError(f"{tool} gave no structured answer")
    return answer


async def _sign_on_at_once(client: Client) -> list[str]:
    ids: list[str] = []

    async def sign_on() -> None:
        ids.append(str((await _ask(client, "sign_on")).get("session")))

    async with anyio.create_task_group() as group:
        for _ in range(_CALLERS):
            group.start_soon(sign_on)
    return sorted(ids)
