"""Who plays: agents with real MCP servers, a person at the command line, and the stage that they share."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import Implementation

from support import program
from support.repo import git, git_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from anyio.abc import TaskGroup

    from mainjob.project import Project
    from mainjob.recorder import Recorder

TIMEOUT_S = 30
_POLL_S = 0.05
# A client library does not tell the process id of the server that it starts; the shell that becomes it writes it down.
_NOTED = 'echo $$ > "$0"; exec "$@"'


class Pending:
    """An answer that is still to come."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._event = anyio.Event()
        self._answer: Any = None

    @property
    def is_here(self) -> bool:
        """Whether the answer has come."""
        return self._event.is_set()

    async def fill(self, ask: Callable[[], Any]) -> None:
        """Ask, and keep the answer."""
        self._answer = await ask()
        self._event.set()

    async def answer(self, within_s: float = TIMEOUT_S) -> Any:
        """Wait for the answer.

        Raises:
            TimeoutError: it did not come in time.
        """
        with anyio.fail_after(within_s):
            await self._event.wait()
        return self._answer


class Agent:
    """One agent: an MCP client, and the process of its server.

    Attributes:
        name: what the client calls itself.
        client: the client.
        heard: the notifications that came by themselves.
    """

    def __init__(self, stage: Stage, name: str, client: Client, pid_file: str, heard: list[Any]) -> None:
        """Speak through a connected client."""
        self.name = name
        self.client = client
        self.heard = heard
        self._stage = stage
        self._pid_file = pid_file

    async def call(self, tool: str, *, quiet: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured answer, which its text has to repeat.

        Raises:
            ValueError: the server gave none, or two that differ.
        """
        if not quiet:
            shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            self._stage.recorder.asked(f"{self.name}: {tool}({shown})")
        result = await self.client.call_tool(tool, arguments)
        answer = cast("dict[str, Any] | None", result.structured_content)
        texts = [block.text for block in result.content if block.type == "text"]
        if answer is None or len(texts) != 1 or json.loads(texts[0]) != answer:
            raise ValueError(f"{tool} answered {answer} as structure and {texts} as text")
        if answer.get("granted"):
            self._stage.grants.append((answer["grant"], answer["token"]))
        return answer

    def begin(self, group: TaskGroup, tool: str, **arguments: Any) -> Pending:
        """Call a tool without waiting for the answer."""
        pending = Pending()
        group.start_soon(pending.fill, partial(self.call, tool, **arguments))
        return pending

    async def read(self, uri: str) -> dict[str, Any]:
        """Return the document of a resource, as it is now."""
        self._stage.recorder.asked(f"{self.name}: read {uri}")
        (contents,) = (await self.client.read_resource(uri, cache_mode="bypass")).contents
        return json.loads(contents.model_dump()["text"])

    @property
    def pid(self) -> int:
        """The process id of the server."""
        with open(self._pid_file, encoding="ascii") as file:
            return int(file.read())

    def is_served(self) -> bool:
        """Tell whether the server's process is there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """End the server as a crash would."""
        self._stage.recorder.asked(f"kill -9 {self.pid}   (the server of {self.name})")
        os.kill(self.pid, signal.SIGKILL)


class Person:
    """Somebody at the command line, in a shell whose `GITCOORD_SESSION` says who."""

    def __init__(self, stage: Stage, session: str) -> None:
        """Work in the main worktree."""
        self.session = session
        self._stage = stage

    async def run(
        self,
        *words: str | bytes,
        where: str | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        quiet: bool = False,
    ) -> program.Done:
        """Run a command and return how it ended.

        Args:
            words: what stands after `gitcoord`.
            where: the working directory; the main worktree's root by default.
            stdin: what it reads.
            env: variables to set.
            quiet: do not tell of it.
        """
        if not quiet:
            shown = shlex.join(os.fsdecode(word) for word in words)
            place = "" if where is None else f"   (in {where.removeprefix(self._stage.scratch + '/')})"
            self._stage.recorder.asked(f"{self.session}$ gitcoord {shown}{place}")
        variables = {"GITCOORD_SESSION": self.session, **(env or {})}
        here = where or self._stage.project.root
        return await anyio.to_thread.run_sync(
            partial(program.run, here, *words, stdin=stdin, env=variables, timeout_s=TIMEOUT_S)
        )

    async def ask(self, *words: str | bytes, where: str | None = None, quiet: bool = False) -> dict[str, Any]:
        """Run a command with `--json` and return its answer.

        Raises:
            ValueError: it printed none.
        """
        done = await self.run(*words, "--json", where=where, quiet=quiet)
        try:
            answer: dict[str, Any] = done.json
        except ValueError as error:
            raise ValueError(f"gitcoord {words} exited with {done.code}: {done.out}{done.err}") from error
        if answer.get("granted"):
            self._stage.grants.append((answer["grant"], answer["token"]))
        return answer

    def begin(self, group: TaskGroup, *words: str) -> Pending:
        """Run a command with `--json` without waiting for it."""
        pending = Pending()
        group.start_soon(pending.fill, partial(self.ask, *words))
        return pending


class Stage:
    """Where the job is done.

    Attributes:
        scratch: the directory of all that the job makes.
        project: the copy.
        recorder: notes what is expected and what comes.
        dana: the person.
        first: an agent in the main worktree, whose client speaks the older protocol.
        second: an agent in the linked worktree, whose client speaks the newest one.
        grants: the grant id and the token of each lock that anybody was granted.
        before: how the user's things were before gitcoord came.
        lost: what the agent that was killed would know: its incarnation and its lock's token.
    """

    first: Agent
    second: Agent

    def __init__(self, scratch: str, project: Project, recorder: Recorder, *, at_least: int) -> None:
        """Use a project that is meant to have so many files."""
        self.scratch = scratch
        self.project = project
        self.at_least = at_least
        self.before: dict[str, str] = {}
        self.lost: dict[str, Any] = {}
        self.recorder = recorder
        self.dana = Person(self, "dana")
        self.grants: list[tuple[str, int]] = []

    def git(self, *words: str) -> str:
        """Run git in the main worktree and return what it printed."""
        return git(self.project.root, *words)

    def git_bytes(self, *words: str) -> bytes:
        """Run git in the main worktree and return what it printed, byte for byte."""
        return git_bytes(self.project.root, *words)

    @asynccontextmanager
    async def agent(
        self, name: str, mode: str, *options: str, where: str = "", env: Mapping[str, str] | None = None, **more: Any
    ) -> AsyncGenerator[Agent]:
        """Start a server and be its client until the block ends.

        Args:
            name: what the client calls itself.
            mode: the protocol era: "legacy" or "auto" (the newest).
            options: further words after `gitcoord serve`.
            where: its working directory; one outside all repositories by default.
            env: variables to set.
            more: arguments of the client.
        """
        heard: list[Any] = []

        async def note(message: Any) -> None:
            heard.append(message)

        pid_file = os.path.join(self.scratch, f"{name}.pid")
        command = [sys.executable, "-m", "gitcoord", "serve", *options]
        server = StdioServerParameters(
            command="sh",
            args=["-c", _NOTED, pid_file, *command],
            env=program.program_env(**(env or {})),
            cwd=where or self.scratch,
        )
        with open(os.path.join(self.scratch, f"{name}.log"), "a", encoding="utf-8") as errors:  # noqa: ASYNC230
            async with Client(
                stdio_client(server, errlog=errors),
                client_info=Implementation(name=name, version="1"),
                read_timeout_seconds=TIMEOUT_S,
                message_handler=note,
                mode=mode,
                **more,
            ) as client:
                yield Agent(self, name, client, pid_file, heard)

    async def settle(self) -> None:
        """Release what the three hold and take their news, so that the next act begins with nothing.

        What somebody else holds still is an expectation that was not met; it is broken, so that it stays the only one.
        """
        for agent in (self.first, self.second):
            await agent.call("unlock_files", all=True, quiet=True)
        await self.dana.run("unlock", "--all", quiet=True)
        for lock in (await self.second.call("get_locked_files", quiet=True))["locks"]:
            self.recorder.expect("the act leaves nothing locked", f"{lock['path']} of {lock['session']}", ok=False)
            names = {"files": [lock["path"]], "resource": lock["kind"] == "resource"}
            await self.second.call("break_lock", reason="left behind", quiet=True, **names)

    async def waiting(self) -> list[str]:
        """Return the sessions that wait in line, first come first."""
        status = await self.dana.ask("status", quiet=True)
        return [entry["session"] for entry in status["waiting"]]

    async def until_waiting(self, *sessions: str) -> bool:
        """Wait until exactly these sessions wait in this order; false if that takes too long."""
        end = anyio.current_time() + TIMEOUT_S / 3
        while anyio.current_time() < end:
            if await self.waiting() == list(sessions):
                return True
            await anyio.sleep(_POLL_S)
        return False


async def until(happened: Callable[[], bool], within_s: float = 10) -> bool:
    """Wait until something is true; false if that takes too long."""
    end = anyio.current_time() + within_s
    while anyio.current_time() < end:
        if happened():
            return True
        await anyio.sleep(_POLL_S)
    return False
