"""The tools over the real service, in both protocol eras: grants, refusals, exact values, waiting."""

from __future__ import annotations

import time
from typing import Any

import anyio
import jsonschema
import pytest
from mcp import Client

from gitcoord.mcp_server import server
from gitcoord.mcp_server.desks import Caller
from gitcoord.mcp_server.server import CORE
from gitcoord.service import Desk, initialise
from support.mcp_face import ERAS, ask, connected, coordinated_repo, person
from support.repo import log_length, make_repo, read_log

VALUES: list[Any] = [
    None,
    [],
    [1],
    {},
    "",
    "null",
    "[1, 2]",
    '{"a": 1}',
    "17",
    17,
    -0.5,
    1e300,
    10**40,
    True,
    {"a": {"b": [None, {"c": "\u2028 \U0001f512"}]}},
]


@pytest.fixture(name="repo")
def made_repo(tmp_path: Any) -> str:
    return coordinated_repo(tmp_path / "repo")


@pytest.mark.parametrize("mode", ERAS)
def test_a_first_change_signs_the_caller_on_under_its_clients_name(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode, "Claude Code") as one, connected(repo, mode, "Claude Code") as two:
            assert (await ask(one, "list_sessions"))["sessions"] == []
            assert (await ask(one, "lock_files", files=["src/app.py"]))["session"] == "claude-code-1"
            assert (await ask(two, "store_data", scope="s", key="k", value=1))["ok"]
            sessions = (await ask(one, "list_sessions"))["sessions"]
            assert [(view["session"], view["locks"]) for view in sessions] == [
                ("claude-code-1", 1),
                ("claude-code-2", 0),
            ]

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_a_held_file_is_refused_with_who_holds_it_why_and_what_to_do(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as one, connected(repo, mode) as two:
            granted = await ask(one, "lock_files", files=["src/"], reason="Rework the pool", ttl_s=600)
            assert granted["granted"] is True
            refused = await ask(two, "lock_files", files=["README.md", "./src//db.py"])
            assert refused["granted"] is False
            assert refused["error"]["code"] == "lock_held"
            assert refused["error"]["next"]
            (conflict,) = refused["conflicts"]
            assert (conflict["path"], conflict["held_path"]) == ("src/db.py", "src")
            assert (conflict["session"], conflict["reason"]) == (granted["session"], "Rework the pool")
            assert (await ask(two, "get_locked_files", path="src/app.py"))["locks"] == granted["locks"]
            assert (await ask(two, "get_locked_files", path="README.md"))["locks"] == []  # all or none

    anyio.run(body)


def test_a_refusal_is_a_result_and_what_a_person_must_repair_is_marked_as_an_error(repo: str) -> None:
    async def body() -> None:
        async with connected(repo) as one, connected(repo) as two:
            await ask(one, "lock_files", files=["a"])
            held = await two.call_tool("lock_files", {"files": ["a"]})
            assert held.is_error is False
            outside = await two.call_tool("lock_files", {"files": ["../a"]})
            assert outside.is_error is True
            assert outside.structured_content["error"]["code"] == "invalid_path"

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_any_json_value_comes_back_exactly_as_stored(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            for value in VALUES:
                assert (await ask(client, "store_data", scope="s", key="k", value=value))["ok"], value
                found = await ask(client, "retrieve_data", scope="s", key="k")
                assert found["found"] is True
                assert found["value"] == value
                assert type(found["value"]) is type(value)

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_absent_null_and_missing_are_three_different_things(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            assert (await ask(client, "retrieve_data", scope="s", key="k"))["found"] is False
            stored = await ask(client, "store_data", scope="s", key="k", value=None, expect_revision=0)
            assert stored["ok"] is True
            found = await ask(client, "retrieve_data", scope="s", key="k")
            assert (found["found"], found["value"], found["revision"]) == (True, None, stored["revision"])
            lost = await ask(client, "store_data", scope="s", key="k", value=1, expect_revision=0)
            assert (lost["ok"], lost["error"]["code"]) == (False, "revision_mismatch")
            assert (await ask(client, "store_data", scope="s", key="k", value=1))["ok"] is True

    anyio.run(body)


def test_a_value_that_cannot_come_back_is_refused_and_changes_nothing(repo: str) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]

    async def body() -> None:
        async with connected(repo, "legacy") as client:
            await ask(client, "sign_on")
            before = log_length(repo)
            for value, code in (("\ud800", "invalid_value"), (deep, "invalid_value"), ("x" * 300_000, "too_large")):
                refused = await ask(client, "store_data", scope="s", key="k", value=value)
                assert (refused["ok"], refused["error"]["code"]) == (False, code)
            assert log_length(repo) == before

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_every_answer_fits_the_schema_that_its_tool_lists(repo: str, mode: str) -> None:
    async def check(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
        answer = await ask(client, tool, **arguments)
        jsonschema.validate(answer, CORE[tool].output_schema)
        known = CORE[tool].output_schema["properties"].keys()
        if "error" not in answer:
            assert answer.keys() <= known, tool
        return answer

    async def body() -> None:
        async with connected(repo, mode) as one, connected(repo, mode) as two:
            await check(one, "sign_on", intent="Test")
            await check(one, "lock_files", files=["a", "b/*.py"])
            await check(two, "lock_files", files=["a"], mode="intent")
            await check(two, "lock_files", files=["a"])
            await check(two, "lock_files", files=["deploy/prod"], resource=True, mode="shared")
            await check(two, "get_locked_files")
            await check(two, "unlock_files", files=["a"])
            await check(two, "unlock_files")
            await check(two, "break_lock", files=["a"], reason="Gone")
            assert (await check(one, "store_data", scope="s", key="k", value={}))["notices"]
            await check(one, "store_data", scope="s", key="k", value={}, expect_revision=0)
            await check(one, "retrieve_data", scope="s", key="k")
            await check(one, "retrieve_data", scope="s", key="none")
            await check(one, "list_keys", scope="s")
            await check(one, "list_scopes", pattern="*")
            refused = await check(one, "delete_scope", scope="s", session="ghost")
            assert (refused["ok"], refused["error"]["code"]) == (False, "unknown_session")
            await check(one, "delete_data", scope="s", key="k", session="ghost")
            await check(one, "delete_data", scope="s", key="k")
            await check(one, "delete_data", scope="s", key="k")
            await check(one, "delete_scope", scope="s")
            await check(one, "list_sessions")
            await check(one, "get_history", path="a", limit=10)
            await check(one, "get_history")
            await check(one, "sign_off")
            await check(one, "sign_off")

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_what_is_told_once_is_told_to_the_session_that_it_is_for(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as one, connected(repo, mode) as two:
            await ask(one, "lock_files", files=["a"])
            await ask(two, "break_lock", files=["a"], reason="Holiday")
            await one.read_resource("coord://locks")  # a resource is read by programs too: it takes no news away
            (notice,) = (await ask(one, "list_sessions"))["notices"]
            assert "Holiday" in notice
            assert "notices" not in await ask(one, "list_sessions")

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_a_wait_ends_with_the_grant_and_keeps_no_other_call_waiting(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as one, connected(repo, mode) as two:
            await ask(one, "lock_files", files=["a"])
            got: list[dict[str, Any]] = []

            async def wait() -> None:
                got.append(await ask(two, "lock_files", files=["a"], wait_s=20))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await until_waiting(repo, 1)
                assert (await ask(two, "list_sessions"))["sessions"]  # the same connection, meanwhile
                await ask(one, "unlock_files", all=True)
            assert got[0]["granted"] is True

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_a_wait_that_its_client_cancels_leaves_the_line(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as one, connected(repo, mode) as two:
            await ask(one, "lock_files", files=["a"])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: ask(two, "lock_files", files=["a"], wait_s=60))
                await until_waiting(repo, 1)
                tasks.cancel_scope.cancel()
            await until_waiting(repo, 0)
            await ask(one, "unlock_files", files=["a"])
            assert (await ask(two, "get_locked_files"))["locks"] == []

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_a_wait_at_its_limit_says_so(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as one, connected(repo, mode) as two:
            await ask(one, "lock_files", files=["a"])
            refused = await ask(two, "lock_files", files=["a"], wait_s=0.05)
            assert (refused["granted"], refused["error"]["code"]) == (False, "wait_timeout")

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_a_long_wait_reports_progress_to_a_client_that_asked(
    repo: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PROGRESS_S", 0.02)
    seen: list[tuple[float, float | None, str | None]] = []

    async def body() -> None:
        async with connected(repo, mode) as one, connected(repo, mode) as two:
            await ask(one, "lock_files", files=["a"])

            async def heard(progress: float, total: float | None, message: str | None) -> None:
                seen.append((progress, total, message))
                if len(seen) == 2:
                    await ask(one, "unlock_files", all=True)

            result = await two.call_tool("lock_files", {"files": ["a"], "wait_s": 20}, progress_callback=heard)
            assert result.structured_content["granted"] is True

    anyio.run(body)
    assert len(seen) >= 2
    assert seen[0][0] < seen[1][0]
    assert seen[0][1] == 20


@pytest.mark.parametrize("mode", ERAS)
def test_a_connection_that_ends_signs_its_session_off(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            await ask(client, "lock_files", files=["a"])

    anyio.run(body)
    assert person(repo).list_sessions() == {"sessions": []}
    assert person(repo).get_locked_files() == {"locks": []}
    assert read_log(repo)[-1].trailers["Coord-Op"] == ["session.end"]


def test_a_path_whose_bytes_are_no_text_is_shown_as_git_quotes_it(repo: str) -> None:
    assert person(repo).lock_files(["caf\udce9"])["granted"]

    async def body() -> None:
        async with connected(repo) as client:
            (lock,) = (await ask(client, "get_locked_files"))["locks"]
            assert lock["path"] == '"caf\\351"'

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_the_lease_is_looked_after_while_the_connection_lasts(
    repo: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals: list[Desk] = []

    def renew(self: Desk) -> float:
        renewals.append(self)
        if len(renewals) == 2:
            raise RuntimeError("once it fails")
        return 0.01

    monkeypatch.setattr(Desk, "keep_alive_once", renew)
    monkeypatch.setattr(server, "RETRY_S", 0.01)

    async def body() -> None:
        async with connected(repo, mode) as client:
            await anyio.sleep(0.05)
            assert not renewals  # nobody has called yet
            await ask(client, "list_sessions")
            with anyio.fail_after(10):
                while len(renewals) < 5:  # noqa: ASYNC110 - another thread makes it true
                    await anyio.sleep(0.01)

    anyio.run(body)
    assert len(set(renewals)) == 1


@pytest.mark.parametrize("mode", ERAS)
def test_an_uninitialised_repository_is_a_structured_answer_until_it_is_initialised(tmp_path: Any, mode: str) -> None:
    repo = make_repo(tmp_path / "repo")
    calls = {
        "lock_files": {"files": ["a"]},
        "sign_on": {},
        "list_sessions": {},
        "retrieve_data": {"scope": "s", "key": "k"},
        "delete_scope": {"scope": "s"},
    }

    async def body() -> None:
        async with connected(repo, mode) as client:
            for tool, arguments in calls.items():
                answer = await ask(client, tool, **arguments)
                assert answer["ok"] is False
                assert answer["error"]["code"] == "not_initialised"
                assert "gitcoord init" in answer["error"]["next"]
            assert "not_initialised" in (await client.read_resource("coord://status")).contents[0].model_dump()["text"]
            assert initialise(repo)["ok"]
            assert (await ask(client, "lock_files", files=["a"]))["granted"] is True

    anyio.run(body)


class BrokenDesk:
    """A desk with a bug."""

    def keep_alive_once(self) -> float:
        return 60

    def close(self) -> None:
        raise RuntimeError("closing is broken too")

    def __getattr__(self, name: str) -> Any:
        def fail(**_: Any) -> dict[str, Any]:
            raise RuntimeError(f"a secret of {name}")

        return fail


class BrokenDesks:
    stateless = False

    async def open(self, caller: Caller) -> Any:
        assert caller
        return BrokenDesk()

    async def opened(self) -> Any:
        return BrokenDesk()

    async def found(self) -> Any:
        return BrokenDesk()

    async def observe(self, caller: Caller) -> Any:
        return await self.open(caller)

    def close(self) -> None:
        raise RuntimeError("nothing to close")


@pytest.mark.parametrize("mode", ERAS)
def test_an_error_that_nobody_foresaw_is_logged_and_answered_and_ends_nothing(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with Client(server.build_server(BrokenDesks()), mode=mode) as client:
            for _ in range(2):
                result = await client.call_tool("lock_files", {"files": ["a"]})
                assert result.is_error is True
                assert result.structured_content["error"]["code"] == "failed"
                assert "secret" not in str(result)
            assert len((await client.list_tools()).tools) == len(CORE)

    anyio.run(body)
    assert "a secret of lock_files" in caplog.text


async def until_waiting(repo: str, count: int) -> None:
    """Wait until so many stand in the waiting line."""
    desk = person(repo)
    end = time.monotonic() + 10
    while len(desk.status()["waiting"]) != count:
        assert time.monotonic() < end, desk.status()["waiting"]
        await anyio.sleep(0.01)
