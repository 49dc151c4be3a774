"""The server: the protocol's requests on one side, a desk's methods on the other, no rule in between.

It is built on the SDK's low-level server, because a tool's arguments have to arrive exactly as they were sent, refusals
are results, and the tools' schemas are written by hand. Tools run on worker threads; a call that waits for a lock has a
pool of its own, so that waiting never keeps other calls from being answered.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import mcp_types
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import INVALID_PARAMS
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gitcoord import __version__
from gitcoord.errors import CoordError, SessionRequired
from gitcoord.mcp_server import data, guidance, history, locks, remote, resources, sessions
from gitcoord.mcp_server.answers import refusal, to_json, to_result
from gitcoord.mcp_server.desks import NOBODY, Caller
from gitcoord.mcp_server.schemas import checked
from gitcoord.mcp_server.threads import off_loop
from gitcoord.mcp_server.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mcp.server.context import ServerRequestContext

    from gitcoord.mcp_server.desks import Desk, Desks
    from gitcoord.mcp_server.toolset import Tool

    Context = ServerRequestContext[Any, Any]

logger = logging.getLogger(__name__)

CORE = {tool.name: tool for noun in (sessions, locks, data, history, remote) for tool in noun.TOOLS}
"""The tools by name, in the order in which they are listed."""

PROGRESS_S = 5.0
"""How often a caller that waits for a lock is told that it still waits."""

RETRY_S = 10.0
"""How long after a renewal that failed the next one is tried."""

_CALLS = 16
_WAITERS = 256
_ROOTS_TIMEOUT_S = 2.0
_CLOSE_TIMEOUT_S = 5.0


class Face:
    """What one server knows: whose desks it fronts, and who is subscribed to what.

    Args:
        desks: gives each caller its desk.
    """

    def __init__(self, desks: Desks) -> None:
        """Serve nobody yet."""
        self._desks = desks
        self._calls = anyio.CapacityLimiter(_CALLS)
        self._waiters = anyio.CapacityLimiter(_WAITERS)
        self._listed = [tool.described() for tool in CORE.values()]
        self._schemas = {name: tool.input_schema for name, tool in CORE.items()}
        bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(bus)
        self._watcher = NOBODY
        self._watch = Watch(self._observe, bus)

    @asynccontextmanager
    async def living(self, _: Server[Any]) -> AsyncGenerator[Face]:
        """Keep what runs beside the requests alive; at the end, sign off whoever is gone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch.run)
            tasks.start_soon(self._keep_alive)
            tasks.start_soon(self._follow)
            try:
                yield self
            finally:
                tasks.cancel_scope.cancel()
                with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
                    await self._close()

    async def _close(self) -> None:
        try:
            await off_loop(self._desks.close)
        except CoordError as error:
            logger.warning("signing off failed: %s", error)

    async def _keep_alive(self) -> None:
        """Renew the lease of who is signed on."""
        desk = await self._desks.opened()
        await _repeat(desk.keep_alive_once, "renewing the lease failed: %s")

    async def _follow(self) -> None:
        """Keep up with the remote that confirms, where the repository shares with one."""
        desk = await self._desks.found()
        await _repeat(desk.follow_once, "the remote: %s")

    async def list_tools(self, _: Context, __: Any) -> mcp_types.ListToolsResult:
        """Answer `tools/list`."""
        return mcp_types.ListToolsResult(tools=self._listed)

    async def call_tool(self, ctx: Context, params: mcp_types.CallToolRequestParams) -> mcp_types.CallToolResult:
        """Answer `tools/call`.

        Raises:
            MCPError: no such tool, or arguments that it does not take.
        """
        tool = CORE.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"unknown tool; there are: {', '.join(CORE)}")
        arguments = checked(self._schemas[tool.name], params.arguments or {})
        try:
            answer = await self._ask(ctx, tool, arguments)
        except CoordError as error:
            answer = refusal(tool, error)
        return to_result(answer)

    async def _ask(self, ctx: Context, tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
        names_session = tool.changes and tool.name != "sign_on" and "session" in tool.takes
        if self._desks.stateless and names_session and "session" not in arguments:
            raise SessionRequired(
                "this connection keeps no state between calls, so the call has to name its session",
                next="call sign_on, then pass the `session` that it returns",
            )
        desk = await self._desks.open(_caller(ctx))
        call: Callable[..., dict[str, Any]] = partial(getattr(desk, tool.name), **arguments)
        if tool.name != "lock_files":
            return await off_loop(call, self._calls)
        gone = Event()
        try:
            if not arguments.get("wait_s"):
                return await off_loop(partial(call, cancelled=gone.is_set), self._calls)
            return await self._wait(ctx, partial(call, cancelled=gone.is_set), arguments["wait_s"])
        finally:
            gone.set()  # a caller that cancelled or disconnected leaves the waiting line

    async def _wait(self, ctx: Context, call: Callable[[], dict[str, Any]], wait_s: float) -> dict[str, Any]:
        """Run a call that waits, and tell its caller now and then that it still does."""
        outcome: dict[str, Any] | CoordError = {}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_report_waiting, ctx, wait_s)
            try:
                outcome = await off_loop(call, self._waiters)
            except CoordError as error:
                outcome = error
            tasks.cancel_scope.cancel()
        if isinstance(outcome, CoordError):
            raise outcome
        return outcome

    async def list_resources(self, _: Context, __: Any) -> mcp_types.ListResourcesResult:
        """Answer `resources/list`."""
        return mcp_types.ListResourcesResult(resources=resources.RESOURCES)

    async def list_templates(self, _: Context, __: Any) -> mcp_types.ListResourceTemplatesResult:
        """Answer `resources/templates/list`."""
        return mcp_types.ListResourceTemplatesResult(resource_templates=resources.TEMPLATES)

    async def read_resource(
        self, ctx: Context, params: mcp_types.ReadResourceRequestParams
    ) -> mcp_types.ReadResourceResult:
        """Answer `resources/read`: a document, which also says why there is none to show.

        Programs read resources too, so a session's news is not spent on them: only tools deliver it.

        Raises:
            MCPError: no such resource.
        """
        uri = str(params.uri)
        if not resources.may_exist(uri):
            raise resources.not_found(uri)
        try:
            desk = await self._desks.observe(_caller(ctx))
            document = await off_loop(partial(resources.read_document, desk, uri), self._calls)
        except CoordError as error:
            document = {"ok": False, **error.facts, "error": error.to_dict()}
        if document is None:
            raise resources.not_found(uri)
        return resources.to_contents(uri, to_json(document)[1])

    async def subscribe(self, ctx: Context, params: mcp_types.SubscribeRequestParams) -> mcp_types.EmptyResult:
        """Answer the older protocol's `resources/subscribe`.

        Raises:
            MCPError: there can be no such resource.
        """
        uri = str(params.uri)
        if not resources.may_exist(uri):
            raise resources.not_found(uri)
        await self._remember(ctx)
        await self._watch.subscribe(uri, ctx.session)
        return mcp_types.EmptyResult()

    async def unsubscribe(self, _: Context, params: mcp_types.UnsubscribeRequestParams) -> mcp_types.EmptyResult:
        """Answer the older protocol's `resources/unsubscribe`."""
        self._watch.unsubscribe(str(params.uri))
        return mcp_types.EmptyResult()

    async def listen(
        self, ctx: Context, params: mcp_types.SubscriptionsListenRequestParams
    ) -> mcp_types.SubscriptionsListenResult:
        """Answer the newest protocol's `subscriptions/listen`: ends when the client goes."""
        uris = [uri for uri in params.notifications.resource_subscriptions or () if resources.may_exist(uri)]
        await self._remember(ctx)
        with self._watch.listening(uris):
            await self._watch.look_first(uris)
            return await self._listen(ctx, params)

    async def _remember(self, ctx: Context) -> None:
        """Find the caller's repository while the caller can be asked about it; a later one is found by itself."""
        self._watcher = _caller(ctx)
        try:
            await self._observe()
        except CoordError:
            logger.debug("no repository to watch yet")

    async def _observe(self) -> Desk:
        return await self._desks.observe(self._watcher)

    async def list_prompts(self, _: Context, __: Any) -> mcp_types.ListPromptsResult:
        """Answer `prompts/list`."""
        return mcp_types.ListPromptsResult(prompts=guidance.PROMPTS)

    async def get_prompt(self, _: Context, params: mcp_types.GetPromptRequestParams) -> mcp_types.GetPromptResult:
        """Answer `prompts/get`."""
        return guidance.get_prompt(params.name, params.arguments or {})

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """Return a tool's input schema, for the check of the headers that mirror arguments."""
        return self._schemas.get(name)


def build_server(desks: Desks) -> Server[Any]:
    """Return a server that answers for the callers of some desks.

    Args:
        desks: gives each caller its desk; closed when the server ends.
    """
    face = Face(desks)
    return Server(
        "gitcoord",
        version=__version__,
        title="gitcoord",
        description="Sessions, locks and shared state for agents that work in one repository",
        instructions=guidance.INSTRUCTIONS,
        lifespan=face.living,
        get_tool_input_schema=face.input_schema,
        on_list_tools=face.list_tools,
        on_call_tool=face.call_tool,
        on_list_resources=face.list_resources,
        on_list_resource_templates=face.list_templates,
        on_read_resource=face.read_resource,
        # A connection that keeps nothing has nowhere to send later notifications.
        on_subscribe_resource=None if desks.stateless else face.subscribe,
        on_unsubscribe_resource=None if desks.stateless else face.unsubscribe,
        on_subscriptions_listen=face.listen,
        on_list_prompts=face.list_prompts,
        on_get_prompt=face.get_prompt,
    )


async def _repeat(step: Callable[[], float], complaint: str) -> None:
    """Take a step again and again, each time after as many seconds as the last one asked for."""
    while True:
        try:
            pause_s = await off_loop(step)
        except CoordError as error:
            logger.warning(complaint, error)
            pause_s = RETRY_S
        await anyio.sleep(pause_s)


def _caller(ctx: Context) -> Caller:
    told = ctx.session.client_params
    return Caller(told.client_info.name if told else "", partial(_ask_roots, ctx))


async def _ask_roots(ctx: Context) -> list[str]:
    """Return the client's root directories, where it has said that it can be asked for them and answers in time."""
    capabilities = ctx.session.client_capabilities
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or not ctx.session.can_send_request:
        return []
    if capabilities is None or capabilities.roots is None:
        return []
    with anyio.move_on_after(_ROOTS_TIMEOUT_S):
        try:
            told = await ctx.session.send_request(
                mcp_types.ListRootsRequest(),
                mcp_types.ListRootsResult,
                metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
            )
        except (MCPError, ValidationError) as error:
            logger.warning("the client did not tell its roots: %s", error)
            return []
        return [url2pathname(urlsplit(str(root.uri)).path) for root in told.roots]
    return []


async def _report_waiting(ctx: Context, wait_s: float) -> None:
    started = anyio.current_time()
    while True:
        await anyio.sleep(PROGRESS_S)
        waited_s = round(anyio.current_time() - started, 3)
        await ctx.session.report_progress(waited_s, wait_s, "waiting for the lock")
