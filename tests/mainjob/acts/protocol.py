"""The protocol: tools, resources, prompts and notifications in both eras, and what malformed calls come to."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError

from mainjob.cast import TIMEOUT_S, until
from support.mcp_face import ServerProcess

if TYPE_CHECKING:
    from mainjob.cast import Agent, Stage

_CORE = [
    *("sign_on", "sign_off", "list_sessions"),
    *("lock_files", "unlock_files", "get_locked_files", "break_lock"),
    *("store_data", "retrieve_data", "delete_data", "list_keys", "list_scopes", "delete_scope"),
    "get_history",
    "sync",
]
_READING = ("list_sessions", "get_locked_files", "retrieve_data", "list_keys", "list_scopes", "get_history")


async def surface(stage: Stage) -> None:
    """Surface: the core tools with schemas and annotations, instructions, prompts; the same in both eras."""
    note = stage.recorder
    for agent in (stage.first, stage.second):
        version = agent.client.protocol_version
        tools = (await agent.client.list_tools(cache_mode="bypass")).tools
        note.same(f"the core tools, by protocol {version}", [tool.name for tool in tools], _CORE)
        bare = [tool for tool in tools if not (tool.description and tool.output_schema and tool.annotations)]
        note.same("each described, with an output schema and annotations", [tool.name for tool in bare], [])
        reading = [t.name for t in tools if t.annotations is not None and t.annotations.read_only_hint]
        note.same("those that only read say so", sorted(reading), sorted(_READING))
        _weigh(stage, tools)
        told = agent.client.instructions or ""
        words = ("lock_files", "granted", "unlock_files", "sign_off")
        note.expect("instructions teach the way of working", told, ok=all(word in told for word in words))
        prompts = [prompt.name for prompt in (await agent.client.list_prompts()).prompts]
        note.same("prompts", prompts, ["startup", "sign-off"])
        for name, arguments in (("startup", {"task": "tidy the types"}), ("sign-off", {})):
            (message,) = (await agent.client.get_prompt(name, arguments)).messages
            text = message.content.text if message.content.type == "text" else ""
            note.expect(f"prompt {name}", text, ok="sign_o" in text and all(v in text for v in arguments.values()))
        resources = sorted(str(r.uri) for r in (await agent.client.list_resources()).resources)
        note.same("resources", resources, ["coord://locks", "coord://log", "coord://policy", "coord://status"])
        templates = (await agent.client.list_resource_templates()).resource_templates
        note.same("and a template", [t.uri_template for t in templates], ["coord://sessions/{id}"])


def _weigh(stage: Stage, tools: list[mcp_types.Tool]) -> None:
    whole = [tool.model_dump(by_alias=True, exclude_none=True) for tool in tools]
    lean = [{name: value for name, value in tool.items() if name != "outputSchema"} for tool in whole]
    sizes = [len(json.dumps(listed, separators=(",", ":"))) for listed in (lean, whole)]
    stage.recorder.expect(
        "15 KB without output schemas, 24 KB with", sizes, ok=sizes[0] <= 15_000 and sizes[1] <= 24_000
    )


async def documents(stage: Stage) -> None:
    """Resources: they show what the tools tell."""
    note, first, second = stage.recorder, stage.first, stage.second
    path = stage.project.files[0]
    await first.call("lock_files", files=[path], reason="to be read about")
    for agent in (first, second):
        locks = (await agent.call("get_locked_files"))["locks"]
        note.same("coord://locks", (await agent.read("coord://locks")).get("locks"), locks)
        status = await agent.read("coord://status")
        note.same("coord://status has them too", status.get("locks"), locks)
        here = [s["session"] for s in (await agent.call("list_sessions"))["sessions"]]
        note.same("and who is here", [s["session"] for s in status["sessions"]], here)
        shown = await agent.read("coord://sessions/claude-code-1")
        note.same("coord://sessions/{id}", shown["session"]["locked"], locks)
        log = await agent.read("coord://log")
        note.same("coord://log", log, await agent.call("get_history", limit=50))
        for uri in ("coord://sessions/nobody", "coord://nonsense"):
            try:
                came = str(await agent.read(uri))
            except MCPError as error:
                came = f"protocol error: {error}"
            note.expect(f"{uri} is not there", came, ok="not found" in came)


async def news(stage: Stage) -> None:
    """Notifications: who watches a resource is told when somebody else changes it, in both eras."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    uri = "coord://locks"
    request = mcp_types.SubscribeRequest(params=mcp_types.SubscribeRequestParams(uri=uri))
    await first.client.session.send_request(request, mcp_types.EmptyResult)
    first.heard.clear()
    async with second.client.listen(resource_subscriptions=[uri]) as events:
        await dana.ask("lock", stage.project.files[0])
        heard = await until(lambda: uri in _updated(first))
        note.expect("by the older protocol's subscription", _updated(first), ok=heard)
        event = None
        with anyio.move_on_after(10):
            event = await anext(aiter(events))
        note.same("by the newest one's listening", event, ResourceUpdated(uri))
    params = mcp_types.UnsubscribeRequestParams(uri=uri)
    await first.client.session.send_request(mcp_types.UnsubscribeRequest(params=params), mcp_types.EmptyResult)
    first.heard.clear()
    await dana.ask("unlock", "--all")
    await anyio.sleep(1.2)
    note.same("not after unsubscribing", _updated(first), [])


def _updated(agent: Agent) -> list[str]:
    found = [m for m in agent.heard if getattr(m, "method", "") == "notifications/resources/updated"]
    return [str(message.params.uri) for message in found]


_MALFORMED: list[tuple[str, dict[str, Any]]] = [
    ("no_such_tool", {}),
    ("lock_files", {}),
    ("lock_files", {"files": []}),
    ("lock_files", {"files": "a"}),
    ("lock_files", {"files": [1]}),
    ("lock_files", {"files": ["a"], "mode": "greedy"}),
    ("lock_files", {"files": ["a"], "ttl_s": 0}),
    ("lock_files", {"files": ["a"], "ttl_s": 1.5}),
    ("lock_files", {"files": ["a"], "ttl_s": "10"}),
    ("lock_files", {"files": ["a"], "wait_s": -1}),
    ("lock_files", {"files": ["a"], "resource": "yes"}),
    ("lock_files", {"files": ["a"], "nonsense": 1}),
    ("lock_files", {"files": ["a"], "session": ""}),
    ("store_data", {"scope": "s", "key": "k"}),
    ("store_data", {"scope": "", "key": "k", "value": 1}),
    ("store_data", {"scope": "s", "key": "k", "value": 1, "expect_revision": -1}),
    ("store_data", {"scope": "s", "key": "k", "value": 1, "expect_revision": True}),
    ("retrieve_data", {"scope": None, "key": "k"}),
    ("get_history", {"limit": 0}),
    ("get_history", {"limit": 10**30}),
    ("sign_on", {"takeover": "no"}),
    ("break_lock", {"files": ["a"], "reason": ""}),
]


async def malformed(stage: Stage) -> None:
    """Malformed calls: errors of the protocol, which end no server and write nothing."""
    note = stage.recorder
    for agent in (stage.first, stage.second):
        await agent.call("sign_on", quiet=True)
        tip, pid = stage.git("rev-parse", "refs/coord"), agent.pid
        for tool, arguments in _MALFORMED:
            try:
                came = f"an answer: {(await agent.client.call_tool(tool, arguments)).structured_content}"
            except MCPError as error:
                came = f"protocol error: {error}"
            note.expect(f"{agent.name}: {tool}({arguments})", came, ok=came.startswith("protocol error"))
        note.same("nothing was written", stage.git("rev-parse", "refs/coord"), tip)
        answer = await agent.call("lock_files", files=[stage.project.files[0]])
        note.granted("the server works on", answer)
        note.same("it is the same process", agent.pid, pid)
        await agent.call("unlock_files", all=True)


async def raw_lines(stage: Stage) -> None:
    """Raw lines: whatever bytes a client writes, the server answers or ignores, and lives."""
    await anyio.to_thread.run_sync(partial(_write_raw, stage))


def _write_raw(stage: Stage) -> None:
    note = stage.recorder
    call = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":%s}}'
    lines = [
        b"nonsense",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"{",
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":7,"method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":8,"method":"tools/call","params":[]}',
        b'{"jsonrpc":"2.0","id":9,"method":"no/such/method"}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"unknown"}}',
        call % (10, b"lock_files", b'{"files":["a"],"files":["b"]}'),
        call % (11, b"store_data", b'{"scope":"s","key":"k","value":NaN}'),
        call % (12, b"store_data", b'{"scope":"s","key":"k","value":"\\ud800"}'),
        call % (13, b"store_data", b'{"scope":"s","key":"k","value":1e999}'),
        call % (14, b"lock_files", b'{"files":["\\ud800"]}'),
        call % (15, b"lock_files", b"[]"),
        call % (16, b"store_data", b'{"scope":"s","key":"k","value":' + b"[" * 500 + b"]" * 500 + b"}"),
    ]
    tip = stage.git("rev-parse", "refs/coord")
    with ServerProcess(stage.project.root) as server:
        server.shake_hands("vandal")
        for line in lines:
            stage.recorder.asked(f"vandal: {line[:90]!r}")
            server.send(line)
        for number in range(7, 17):
            message = server.answer(number, TIMEOUT_S)
            said: Any = message.get("error") or message["result"].get("structuredContent")
            refused = "error" in message or "error" in (said or {})
            note.expect(f"request {number} is refused", said, ok=refused)
        note.same("nothing was written", stage.git("rev-parse", "refs/coord"), tip)
        answer = server.ask("lock_files", files=[stage.project.files[0]])
        note.granted("and the server works on", answer)
        server.end_input()
        note.same("until its client goes: then it signs off and ends", server.process.wait(TIMEOUT_S), 0)
        note.same("it complained of nothing that it did not foresee", "Traceback" in server.errors, False)
    subject = stage.git("log", "-1", "--format=%s", "refs/coord")
    note.same("the log's last line", subject, "sign-off: vandal-1")
