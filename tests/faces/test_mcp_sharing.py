"""Sharing over MCP, in both protocol eras: what the tools answer, and who is told what other clones did."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types
import pytest
from mcp.client.subscriptions import ResourceUpdated

from gitcoord.mcp_server import watch
from support.mcp_face import ERAS, ask, connected
from support.repo import git
from support.team import Team, desk, tip
from support.world import code, granted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from mcp import Client


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")
    monkeypatch.setattr(watch, "POLL_S", 0.01)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def following(team: Team, name: str, every_s: str = "0.1") -> str:
    """Return a sharing clone whose serving process meets the remote often, or hardly ever."""
    where = team.sharing(name)
    git(where, "config", "gitcoord.interval", every_s)
    return where


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + 20
    while not await what():
        assert time.monotonic() < end
        await anyio.sleep(0.02)


@pytest.mark.parametrize("mode", ERAS)
def test_locks_are_confirmed_and_refused_as_the_remote_has_it(team: Team, mode: str) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), following(team, "two", "3600")

    async def body() -> None:
        async with connected(where, mode) as client:
            answer = await ask(client, "lock_files", files=["a"])
            assert (answer["state"], answer["token"]) == ("confirmed", answer["revision"])
            won = granted(one.lock_files(["b"], reason="Rework"))
            refused = await ask(client, "lock_files", files=["b"])
            assert not refused["granted"]
            (held,) = refused["conflicts"]
            assert (held["session"], held["token"], held["state"]) == ("ada@one", won["token"], "confirmed")
            stored = await ask(client, "store_data", scope="s", key="k", value=1, expect_revision=0)
            assert stored["ok"]
            again = await ask(client, "store_data", scope="s", key="k", value=2, expect_revision=0)
            assert again["error"]["code"] == "revision_mismatch"

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_without_the_remote_the_refusal_says_so_and_offline_is_provisional(team: Team, mode: str) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), following(team, "two", "3600")

    async def body() -> None:
        async with connected(where, mode) as client:
            await ask(client, "sign_on")
            with team.without_remote():
                refused = await ask(client, "lock_files", files=["a"])
                assert (refused["granted"], refused["error"]["code"]) == (False, "remote_unreachable")
                assert "offline" in refused["error"]["next"]
                answer = await ask(client, "lock_files", files=["a", "b"], offline=True)
                assert (answer["state"], answer["token"]) == ("provisional", None)
                await ask(client, "lock_files", files=["c"], offline=True)
                assert (await ask(client, "sync"))["error"]["code"] == "remote_unreachable"
            granted(one.lock_files(["a"]))
            met = await ask(client, "sync")
            assert (met["ok"], met["ahead"], met["behind"]) == (True, 0, 0)
            assert [(one["claims"], one["code"]) for one in met["refused"]] == [(["a", "b"], "lock_held")]
            assert "refused after all" in met["notices"][0]
            (lock,) = (await ask(client, "get_locked_files", path="c"))["locks"]
            assert [(one["path"], one["session"], one["token"]) for one in met["confirmed"]] == [
                ("c", lock["session"], lock["token"])
            ]
            assert "notices" not in await ask(client, "get_locked_files")
            verbs = [entry["verb"] for entry in (await ask(client, "get_history", limit=3))["entries"]]
            assert verbs == ["merge", "lock", "refused"]

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_a_serving_process_follows_the_remote_by_itself(team: Team, mode: str) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), following(team, "two")

    async def body() -> None:
        async with connected(where, mode) as client:
            await ask(client, "sign_on")
            granted(one.lock_files(["a"]))

            async def is_seen() -> bool:
                return [lock["path"] for lock in (await ask(client, "get_locked_files"))["locks"]] == ["a"]

            await until(is_seen)
            assert (await ask(client, "store_data", scope="s", key="k", value=1))["ok"]

            async def is_published() -> bool:
                return team.tip() == tip(where)

            await until(is_published)
            assert one.sync()["ok"]
            assert one.retrieve_data("s", "k")["value"] == 1

    anyio.run(body)


async def subscribe(client: Client, uri: str) -> None:
    await client.session.send_request(
        mcp_types.SubscribeRequest(params=mcp_types.SubscribeRequestParams(uri=uri)), mcp_types.EmptyResult
    )


def test_subscribers_of_the_older_protocol_are_told_of_other_clones_locks(team: Team) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), following(team, "two")
    heard: list[str] = []

    async def hear(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            heard.append(str(message.params.uri))

    async def is_heard() -> bool:
        return "coord://locks" in heard

    async def body() -> None:
        async with connected(where, "legacy", message_handler=hear) as client:
            await subscribe(client, "coord://locks")
            granted(one.lock_files(["a"]))
            await until(is_heard)
            (contents,) = (await client.read_resource("coord://locks", cache_mode="bypass")).contents
            (lock,) = json.loads(contents.model_dump()["text"])["locks"]
            assert (lock["path"], lock["session"], lock["state"]) == ("a", "ada@one", "confirmed")

    anyio.run(body)


def test_listeners_of_the_newest_protocol_are_told_of_other_clones_locks(team: Team) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), following(team, "two")

    async def body() -> None:
        async with (
            connected(where, "auto") as client,
            client.listen(resource_subscriptions=["coord://locks"]) as events,
        ):
            granted(one.lock_files(["a"]))
            with anyio.fail_after(20):
                assert await anext(aiter(events)) == ResourceUpdated("coord://locks")

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_the_session_is_signed_off_on_the_remote_when_its_client_goes(team: Team, mode: str) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), following(team, "two", "3600")

    async def body() -> None:
        async with connected(where, mode) as client:
            assert (await ask(client, "lock_files", files=["a"]))["granted"]
            assert code(one.lock_files(["a"])) == "lock_held"

    anyio.run(body)
    assert granted(one.lock_files(["a"]))["state"] == "confirmed"
