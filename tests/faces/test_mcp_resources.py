"""Resources: what they show, and who is told that they changed, in both protocol eras."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types
import pytest
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError

from gitcoord.mcp_server import watch
from gitcoord.service import Desk, initialise
from support.mcp_face import ERAS, ask, connected, coordinated_repo, person
from support.repo import make_repo

if TYPE_CHECKING:
    from mcp import Client

ALL = ["coord://status", "coord://locks", "coord://log", "coord://sessions/test-agent-1"]


@pytest.fixture(name="repo")
def made_repo(tmp_path: Any) -> str:
    return coordinated_repo(tmp_path / "repo")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.01)


async def read(client: Client, uri: str) -> dict[str, Any]:
    (contents,) = (await client.read_resource(uri, cache_mode="bypass")).contents
    assert contents.mime_type == "application/json"
    return json.loads(contents.model_dump()["text"])


@pytest.mark.parametrize("mode", ERAS)
def test_resources_show_what_the_service_answers(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            await ask(client, "lock_files", files=["a"], reason="Because")
            locks = await ask(client, "get_locked_files")
            assert await read(client, "coord://locks") == locks
            assert (await read(client, "coord://sessions/test-agent-1"))["session"]["locked"] == locks["locks"]
            assert (await read(client, "coord://status"))["locks"] == locks["locks"]
            assert [entry["type"] for entry in (await read(client, "coord://log"))["entries"]] == [
                "lock.acquire",
                "session.start",
                "log.init",
            ]

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(
    "uri", ["coord://nonsense", "coord://sessions/", "coord://sessions/nobody", "coord://sessions/a/b", "file:///etc"]
)
def test_a_resource_that_is_not_there_is_an_error_of_the_protocol(repo: str, mode: str, uri: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            with pytest.raises(MCPError, match="not found"):
                await client.read_resource(uri)

    anyio.run(body)


async def subscribe(client: Client, uri: str) -> None:
    await client.session.send_request(
        mcp_types.SubscribeRequest(params=mcp_types.SubscribeRequestParams(uri=uri)), mcp_types.EmptyResult
    )


async def unsubscribe(client: Client, uri: str) -> None:
    await client.session.send_request(
        mcp_types.UnsubscribeRequest(params=mcp_types.UnsubscribeRequestParams(uri=uri)), mcp_types.EmptyResult
    )


class Heard:
    """Collects the URIs that a client of the older protocol is told of."""

    def __init__(self) -> None:
        self.uris: list[str] = []

    async def __call__(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            self.uris.append(str(message.params.uri))

    async def until(self, *uris: str) -> None:
        end = time.monotonic() + 10
        while not set(uris) <= set(self.uris):
            assert time.monotonic() < end, self.uris
            await anyio.sleep(0.005)


def test_subscribers_of_the_older_protocol_are_told_which_resources_others_changed(repo: str) -> None:
    async def body() -> None:
        heard = Heard()
        async with connected(repo, "legacy", message_handler=heard) as client:
            for uri in ALL:
                await subscribe(client, uri)
            other = person(repo)
            assert other.lock_files(["a"])["granted"]
            await heard.until("coord://status", "coord://locks", "coord://log")
            assert "coord://sessions/test-agent-1" not in heard.uris
            heard.uris.clear()
            assert person(repo, "bob@host").store_data("s", "k", 1)["ok"]
            await heard.until("coord://status", "coord://log")
            assert "coord://locks" not in heard.uris
            await ask(client, "sign_on")
            await heard.until("coord://sessions/test-agent-1")
            for uri in ALL:
                await unsubscribe(client, uri)
            heard.uris.clear()
            assert other.unlock_files(all=True)["ok"]
            await anyio.sleep(0.1)
            assert heard.uris == []

    anyio.run(body)


def test_listeners_of_the_newest_protocol_are_told_which_resources_others_changed(repo: str) -> None:
    async def body() -> None:
        async with connected(repo, "auto") as client:
            other = person(repo)
            async with client.listen(resource_subscriptions=["coord://locks"]) as events:
                assert other.store_data("s", "k", 1)["ok"]
                assert other.lock_files(["a"])["granted"]
                with anyio.fail_after(10):
                    assert await anext(aiter(events)) == ResourceUpdated("coord://locks")

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_a_log_that_appears_later_is_a_change(tmp_path: Any, mode: str) -> None:
    repo = make_repo(tmp_path / "repo")

    async def body() -> None:
        heard = Heard()
        async with connected(repo, mode, message_handler=heard) as client:
            if mode == "legacy":
                await subscribe(client, "coord://locks")
                assert initialise(repo)["ok"]
                await heard.until("coord://locks")
                return
            async with client.listen(resource_subscriptions=["coord://locks"]) as events:
                assert initialise(repo)["ok"]
                with anyio.fail_after(10):
                    assert await anext(aiter(events)) == ResourceUpdated("coord://locks")

    anyio.run(body)


def test_watching_takes_no_news_from_the_session_that_it_is_for(repo: str) -> None:
    async def body() -> None:
        heard = Heard()
        async with connected(repo, "legacy", message_handler=heard) as client:
            await ask(client, "lock_files", files=["a"])
            for uri in ALL:
                await subscribe(client, uri)
            assert person(repo).break_lock(["a"], "Holiday")["ok"]
            await heard.until(*ALL)
            assert "Holiday" in (await ask(client, "list_sessions"))["notices"][0]

    anyio.run(body)


def test_nobody_looks_while_nobody_is_subscribed(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Desk] = []
    real_tip = Desk.tip

    def counted(self: Desk) -> str:
        looks.append(self)
        return real_tip(self)

    monkeypatch.setattr(Desk, "tip", counted)

    async def looked_in_a_while() -> bool:
        await anyio.sleep(0.05)
        looks.clear()
        await anyio.sleep(0.1)
        return bool(looks)

    async def body() -> None:
        async with connected(repo, "legacy") as client:
            await ask(client, "sign_on")
            assert not await looked_in_a_while()
            await subscribe(client, "coord://log")
            assert await looked_in_a_while()
            await unsubscribe(client, "coord://log")
            assert not await looked_in_a_while()

    anyio.run(body)
