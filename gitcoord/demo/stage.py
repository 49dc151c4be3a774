"""Where the demo is played: a scratch repository, and agents' servers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import Implementation

import gitcoord
from gitcoord import config
from gitcoord.demo.teller import NotAsTold

_TIMEOUT_S = 30
_LINES = 3
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL, and its SIGTERM asks nobody either
_FILES = {"src/app.py": "print('hello')\n", "src/db.py": "POOL = 5\n"}


class Agent:
    """One agent: an MCP client, and the process of its server."""

    def __init__(self, client: Client, pid_file: str) -> None:
        """Speak through `client` to the server whose process id stands in `pid_file`."""
        self._client = client
        self._pid_file = pid_file
        self.session = ""

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured answer.

        Raises:
            NotAsTold: the server gave none.
        """
        result = await self._client.call_tool(tool, arguments)
        answer: dict[str, Any] | None = result.structured_content
        if result.is_error or answer is None:
            raise NotAsTold(f"{tool} gave no answer but {result.content}")
        return answer

    def kill(self) -> int:
        """End the server as a crash would, and return the process id it had."""
        with open(self._pid_file, encoding="ascii") as file:
            pid = int(file.read())
        os.kill(pid, _KILL)
        return pid


class Stage:
    """The scratch repository.

    Neither the user's git configuration nor the variables of an agent that runs the demo have a say in it.
    """

    def __init__(self, directory: str) -> None:
        """Use an empty directory."""
        self.directory = directory
        self.root = os.path.join(directory, "project")
        kept = {name: value for name, value in config.environment().items() if not name.startswith("GIT")}
        above = os.path.dirname(os.path.dirname(gitcoord.__file__))
        path = os.pathsep.join(filter(None, (above, kept.get("PYTHONPATH"))))
        self._env = kept | {"PYTHONPATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def build(self) -> None:
        """Make a repository with two files and one commit."""
        for name, content in _FILES.items():
            path = os.path.join(self.root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
        self.git("init", "--quiet", "--template=")
        self.git("config", "user.name", "Demo")
        self.git("config", "user.email", "demo@example.com")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "Two files to contend for")

    def git(self, *words: str) -> str:
        """Run git in the repository and return what it printed."""
        return self._run(["git", *words])

    def gitcoord(self, *words: str) -> str:
        """Run the command line in the repository, as a person called dana, and return what it printed."""
        return self._run([sys.executable, "-m", "gitcoord", *words], GITCOORD_SESSION="dana")

    def state(self) -> dict[str, Any]:
        """Return what `gitcoord status` says."""
        return json.loads(self.gitcoord("status", "--json"))

    def _run(self, command: list[str], **more: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - our own words, no shell
                command,
                cwd=self.root,
                env=self._env | more,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_TIMEOUT_S,
            )
        except FileNotFoundError as error:
            raise NotAsTold(f"{command[0]} is not there to be run") from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()
            raise NotAsTold(f"{' '.join(command)} exited with {error.returncode}: {said}") from error
        except subprocess.TimeoutExpired as error:
            raise NotAsTold(f"{' '.join(command)} took more than {_TIMEOUT_S} s") from error
        return done.stdout.decode(errors="replace")

    def complaints(self) -> str:
        """Return the end of what the servers wrote on their standard error."""
        said: list[str] = []
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log"):
                with open(os.path.join(self.directory, name), encoding="utf-8", errors="replace") as file:
                    said += file.read().splitlines()[-_LINES:]
        return " / ".join(said)

    @asynccontextmanager
    async def agent(self, name: str) -> AsyncGenerator[Agent]:
        """Start a server and be its client, which calls itself `name`, until the block ends."""
        pid_file = os.path.join(self.directory, f"{name}.pid")
        env = {key: self._env[key] for key in ("PYTHONPATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")}
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "gitcoord.demo.player", pid_file, "serve", "--repo", self.root],
            env=env,
            cwd=self.directory,
        )
        info = Implementation(name=name, version=gitcoord.__version__)
        with open(os.path.join(self.directory, f"{name}.log"), "w", encoding="utf-8") as errors:  # noqa: ASYNC230
            transport = stdio_client(server, errlog=errors)
            async with Client(transport, client_info=info, read_timeout_seconds=_TIMEOUT_S) as client:
                yield Agent(client, pid_file)
