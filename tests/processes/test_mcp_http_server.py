"""A real HTTP server process: both protocol eras, the guards on the wire, sessions named by their callers."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourceUpdated

from support.mcp_face import ERAS, ask, child_environment, coordinated_repo, person
from support.procs import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator


class Running:
    """A server process, its URL and its token."""

    def __init__(self, repo: str, process: subprocess.Popen[bytes]) -> None:
        self.repo = repo
        self.process = process
        assert process.stderr is not None
        shown = process.stderr.readline() + process.stderr.readline()
        found = re.fullmatch(rb"gitcoord serves MCP at (\S+)\nAuthorization: Bearer (\S+)\n", shown)
        assert found, shown
        self.url, self.token = (part.decode() for part in found.groups())

    @contextlib.asynccontextmanager
    async def connected(self, mode: str) -> AsyncGenerator[Client]:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {self.token}"}) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
        ):
            yield client


@contextlib.contextmanager
def serving(repo: str, *options: str) -> Generator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-m", "gitcoord", "serve", "--http", "127.0.0.1:0", *options],
        cwd=repo,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=child_environment(),
    )
    assert process.stderr is not None
    try:
        yield Running(repo, process)
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()


@pytest.fixture(name="running", scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(coordinated_repo(tmp_path_factory.mktemp("http") / "repo")) as running:
        yield running


@pytest.mark.parametrize("mode", ERAS)
def test_a_change_has_to_name_its_session_and_a_sign_on_gives_one(running: Running, mode: str) -> None:
    async def body() -> None:
        async with running.connected(mode) as client:
            refused = await ask(client, "lock_files", files=[f"{mode}.py"])
            assert (refused["granted"], refused["error"]["code"]) == (False, "session_required")
            assert "sign_on" in refused["error"]["next"]
            one, two = [(await ask(client, "sign_on"))["session"] for _ in range(2)]
            assert one != two
            assert (await ask(client, "lock_files", files=[f"{mode}.py"], session=one))["session"] == one
            refused = await ask(client, "lock_files", files=[f"{mode}.py"], session=two)
            assert refused["conflicts"][0]["session"] == one
            for session in (one, two):
                assert (await ask(client, "sign_off", session=session))["ok"]

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_news_goes_to_the_session_that_is_named_and_to_nobody_else(running: Running, mode: str) -> None:
    async def body() -> None:
        async with running.connected(mode) as client:
            session = (await ask(client, "sign_on"))["session"]
            await ask(client, "lock_files", files=["news.py"], session=session)
            assert person(running.repo).break_lock(["news.py"], "Holiday")["ok"]
            assert "notices" not in await ask(client, "list_sessions")
            answer = await ask(client, "store_data", scope="s", key="k", value=1, session=session)
            assert "Holiday" in answer["notices"][0]
            await ask(client, "sign_off", session=session)

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_a_client_that_goes_away_while_it_waits_leaves_the_line(running: Running, mode: str) -> None:
    ada = person(running.repo)
    assert ada.lock_files(["wait.py"])["granted"]

    async def body() -> None:
        async with running.connected(mode) as client:
            session = (await ask(client, "sign_on"))["session"]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: ask(client, "lock_files", files=["wait.py"], wait_s=60, session=session))
                await anyio.to_thread.run_sync(wait_until, lambda: len(ada.status()["waiting"]) == 1, "somebody waits")
                tasks.cancel_scope.cancel()
        wait_until(lambda: ada.status()["waiting"] == [], "nobody waits")

    anyio.run(body)
    assert ada.unlock_files(all=True)["ok"]


def test_a_listener_of_the_newest_protocol_is_told_of_changes(running: Running) -> None:
    async def body() -> None:
        async with (
            running.connected("auto") as client,
            client.listen(resource_subscriptions=["coord://log"]) as events,
        ):
            assert person(running.repo).store_data("s", "listen", 1)["ok"]
            with anyio.fail_after(10):
                assert await anext(aiter(events)) == ResourceUpdated("coord://log")

    anyio.run(body)


def test_requests_without_the_token_or_from_another_site_are_refused(running: Running) -> None:
    good = {"Authorization": f"Bearer {running.token}", "Accept": "application/json, text/event-stream"}
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    cases: list[tuple[dict[str, str], int]] = [
        ({**good, "Authorization": ""}, 401),
        ({**good, "Authorization": "Bearer " + "x" * len(running.token)}, 401),
        ({**good, "Host": "evil.example"}, 421),
        ({**good, "Host": "127.0.0.1.evil.example"}, 421),
        ({**good, "Origin": "http://evil.example"}, 403),
        ({**good, "Origin": "null"}, 403),
        (good, 200),
        ({**good, "Origin": running.url.removesuffix("/mcp")}, 200),
    ]
    with httpx2.Client() as http:
        for headers, status in cases:
            assert http.post(running.url, json=message, headers=headers).status_code == status, headers


def test_nothing_that_a_client_can_send_ends_the_server(running: Running) -> None:
    headers = {
        "Authorization": f"Bearer {running.token}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    bodies: list[bytes] = [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b"\xff",
        b'{"a":1,"a":2}',
        b"[" * 200_000,
        b"x" * 5_000_000,
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800","arguments":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_keys","arguments":{"scope":"\\ud800"}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sign_off","arguments":{"session":NaN}}}',
    ]
    with httpx2.Client() as http:
        for body in bodies:
            for version in ("2025-06-18", "2026-07-28", "nonsense"):
                answer = http.post(running.url, content=body, headers={**headers, "MCP-Protocol-Version": version})
                assert answer.status_code < 500, (body[:80], version, answer.text)
    assert running.process.poll() is None


def test_a_signal_ends_the_server_and_its_callers_sessions_go_on(tmp_path: Any) -> None:
    repo = coordinated_repo(tmp_path / "repo")

    async def body(running: Running) -> str:
        async with running.connected("auto") as client:
            session = (await ask(client, "sign_on"))["session"]
            assert (await ask(client, "lock_files", files=["a"], session=session))["granted"]
            return session

    with serving(repo) as running:
        session = anyio.run(body, running)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(10) == 0
    (view,) = person(repo).list_sessions()["sessions"]
    assert (view["session"], view["state"], view["process"], view["locks"]) == (session, "live", False, 1)
