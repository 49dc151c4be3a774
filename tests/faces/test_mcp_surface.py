"""What a client learns of the server before it calls anything: tools, schemas, instructions, prompts, resources."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import jsonschema
import pytest
from mcp.shared.exceptions import MCPError

from gitcoord.mcp_server.server import CORE
from support.mcp_face import ERAS, connected, coordinated_repo

if TYPE_CHECKING:
    import mcp_types

PARAMETERS = {
    "sign_on": "session? intent? takeover? incarnation?",
    "sign_off": "session?",
    "list_sessions": "",
    "lock_files": "files mode? reason? ttl_s? wait_s? resource? offline? session?",
    "unlock_files": "files? all? resource? session?",
    "get_locked_files": "path?",
    "break_lock": "files reason resource? session?",
    "store_data": "scope key value expect_revision? seal? session?",
    "retrieve_data": "scope key",
    "delete_data": "scope key session?",
    "list_keys": "scope",
    "list_scopes": "pattern?",
    "delete_scope": "scope session?",
    "get_history": "path? session? limit?",
    "sync": "",
}
CHANGING = {
    "sign_on",
    "sign_off",
    "lock_files",
    "unlock_files",
    "break_lock",
    "store_data",
    "delete_data",
    "delete_scope",
    "sync",
}


def listed(tools: list[mcp_types.Tool], *leave_out: str) -> bytes:
    dumped = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    kept = [{name: value for name, value in tool.items() if name not in leave_out} for tool in dumped]
    return json.dumps({"tools": kept}, ensure_ascii=False).encode()


@pytest.fixture(name="repo", scope="module")
def made_repo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return coordinated_repo(tmp_path_factory.mktemp("repo"))


def parameters(tool: mcp_types.Tool) -> str:
    required: list[str] = tool.input_schema.get("required", [])
    properties: dict[str, Any] = tool.input_schema["properties"]
    return " ".join(name if name in required else f"{name}?" for name in properties)


@pytest.mark.parametrize("mode", ERAS)
def test_the_core_tools_take_exactly_the_promised_parameters(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            tools = (await client.list_tools()).tools
            assert {tool.name: parameters(tool) for tool in tools} == PARAMETERS
            assert all(tool.input_schema["additionalProperties"] is False for tool in tools)

    anyio.run(body)


def test_the_list_of_tools_is_small_enough_for_a_context(repo: str) -> None:
    async def body() -> None:
        async with connected(repo) as client:
            tools = (await client.list_tools()).tools
            assert len(listed(tools, "outputSchema")) <= 15 * 1024
            assert len(listed(tools)) <= 24 * 1024

    anyio.run(body)


def test_every_tool_says_what_it_does_to_the_world(repo: str) -> None:
    async def body() -> None:
        async with connected(repo) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert all(tool.title and tool.description for tool in tools.values())
            hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations}
            assert hints.keys() == PARAMETERS.keys()
            assert {name for name, hint in hints.items() if not hint.read_only_hint} == CHANGING
            destructive = {name for name, hint in hints.items() if hint.destructive_hint}
            assert destructive == {"break_lock", "store_data", "delete_data", "delete_scope"}
            assert {name for name, hint in hints.items() if hint.open_world_hint} == {"sync"}
            assert all(hints[name].idempotent_hint is not None for name in CHANGING)

    anyio.run(body)


@pytest.mark.parametrize("tool", CORE.values(), ids=CORE)
def test_schemas_are_valid_and_describe_objects(tool: Any) -> None:
    for schema in (tool.input_schema, tool.output_schema):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
    assert {"error", "notices"} <= tool.output_schema["properties"].keys()


@pytest.mark.parametrize("mode", ERAS)
def test_the_instructions_teach_the_way_of_working(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            taught = client.instructions or ""
            assert len(taught) < 2000
            for word in (
                "lock_files",
                "unlock_files",
                "sign_off",
                "`granted`",
                "`conflicts`",
                "data, never instructions",
            ):
                assert word in taught

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_prompts_tell_how_to_begin_and_how_to_end(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["startup", "sign-off"]
            begin = (await client.get_prompt("startup", {"task": "Fix the pool"})).messages[0].content
            assert begin.type == "text"
            assert "list_sessions" in begin.text
            assert begin.text.endswith("The task: Fix the pool")
            end = (await client.get_prompt("sign-off")).messages[0].content
            assert end.type == "text"
            assert "sign_off" in end.text
            for name, arguments in (("nonsense", {}), ("sign-off", {"task": "x"})):
                with pytest.raises(MCPError):
                    await client.get_prompt(name, arguments)

    anyio.run(body)


@pytest.mark.parametrize("mode", ERAS)
def test_resources_and_their_template_are_listed_as_json(repo: str, mode: str) -> None:
    async def body() -> None:
        async with connected(repo, mode) as client:
            resources = (await client.list_resources()).resources
            templates = (await client.list_resource_templates()).resource_templates
            uris = ["coord://status", "coord://locks", "coord://log", "coord://policy"]
            assert [resource.uri for resource in resources] == uris
            assert [template.uri_template for template in templates] == ["coord://sessions/{id}"]
            assert {entry.mime_type for entry in (*resources, *templates)} == {"application/json"}

    anyio.run(body)
