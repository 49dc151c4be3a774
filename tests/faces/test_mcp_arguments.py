"""Malformed calls are errors of the protocol, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from gitcoord.mcp_server.locks import TOOLS
from gitcoord.mcp_server.schemas import checked
from support.mcp_face import ERAS, ask, connected, coordinated_repo
from support.repo import log_length

if TYPE_CHECKING:
    from pathlib import Path

MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("nonsense", {}, "unknown tool"),
    ("lock_files", {}, "'files' is missing"),
    ("lock_files", {"files": "src/app.py"}, "must be an array of strings, not a string"),
    ("lock_files", {"files": '["src/app.py"]'}, "must be an array of strings, not a string"),
    ("lock_files", {"files": []}, "must not be empty"),
    ("lock_files", {"files": ["a", 1]}, "'files'[1] must be a string, not an integer"),
    ("lock_files", {"files": [None]}, "must be a string, not null"),
    ("lock_files", {"files": ["a\ud800"]}, "lone surrogate"),
    ("lock_files", {"files": ["a"], "mode": "greedy"}, "must be one of: exclusive, shared, intent"),
    ("lock_files", {"files": ["a"], "mode": None}, "must be a string, not null"),
    ("lock_files", {"files": ["a"], "ttl_s": 0}, "at least 1"),
    ("lock_files", {"files": ["a"], "ttl_s": True}, "must be an integer, not a boolean"),
    ("lock_files", {"files": ["a"], "ttl_s": "60"}, "must be an integer, not a string"),
    ("lock_files", {"files": ["a"], "wait_s": -1}, "at least 0"),
    ("lock_files", {"files": ["a"], "wait_s": [1]}, "must be a number, not an array"),
    ("lock_files", {"files": ["a"], "resource": "yes"}, "must be true or false, not a string"),
    ("lock_files", {"files": ["a"], "path": "b"}, 'unknown argument "path"'),
    ("lock_files", {"files": ["a"], "\ud800": 1}, "unknown argument"),
    ("store_data", {"scope": "s", "key": "k"}, "'value' is missing"),
    ("store_data", {"scope": "s", "key": "k", "value": 1, "expect_revision": None}, "must be an integer, not null"),
    ("store_data", {"scope": "s", "key": "k", "value": 1, "expect_revision": -1}, "at least 0"),
    (
        "store_data",
        {"scope": "s", "key": "k", "value": 1, "expect_revision": 1.5},
        "must be an integer, not a fraction",
    ),
    ("store_data", {"scope": {}, "key": "k", "value": 1}, "must be a string, not an object"),
    ("retrieve_data", {"scope": "s"}, "'key' is missing"),
    ("break_lock", {"files": ["a"]}, "'reason' is missing"),
    ("break_lock", {"files": ["a"], "reason": ""}, "must not be empty"),
    ("list_sessions", {"all": True}, "the tool takes: none"),
    ("get_history", {"limit": 0}, "at least 1"),
    ("get_history", {"limit": 10**30}, "at most"),
]


@pytest.mark.parametrize("mode", ERAS)
def test_a_malformed_call_is_an_error_of_the_protocol_that_says_what_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, mode: str
) -> None:
    repo = coordinated_repo(tmp_path_factory.mktemp("repo"))

    async def body() -> None:
        async with connected(repo, mode) as client:
            for tool, arguments, why in MALFORMED:
                with pytest.raises(MCPError) as caught:
                    await client.call_tool(tool, arguments)
                assert caught.value.code == INVALID_PARAMS, (tool, arguments)
                assert why in caught.value.message, (tool, arguments)
            assert log_length(repo) == 1
            assert (await ask(client, "list_sessions")) == {"sessions": []}

    anyio.run(body)


def test_numbers_that_no_json_has_are_refused() -> None:
    for wait_s in (float("nan"), float("inf")):
        with pytest.raises(MCPError, match="must be a number"):
            checked(TOOLS[0].input_schema, {"files": ["a"], "wait_s": wait_s})
    checked(TOOLS[0].input_schema, {"files": ["a"], "wait_s": 0.5})


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    found = checked(TOOLS[0].input_schema, {"files": ["a"], "ttl_s": 60.0, "wait_s": 1.0})
    assert (found, type(found["ttl_s"])) == ({"files": ["a"], "ttl_s": 60, "wait_s": 1.0}, int)
    for wrong in (60.5, -60.0, float("nan"), float("inf")):
        with pytest.raises(MCPError):
            checked(TOOLS[0].input_schema, {"files": ["a"], "ttl_s": wrong})


@pytest.mark.parametrize("mode", ERAS)
def test_a_call_with_a_whole_fraction_is_answered(tmp_path: Path, mode: str) -> None:
    repo = coordinated_repo(tmp_path)

    async def body() -> None:
        async with connected(repo, mode) as client:
            stored = await ask(client, "store_data", scope="s", key="k", value=1.0, expect_revision=0.0)
            assert stored["ok"], stored
            assert len((await ask(client, "get_history", limit=1.0))["entries"]) == 1

    anyio.run(body)
