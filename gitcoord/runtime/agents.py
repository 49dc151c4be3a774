"""Which agent's process stands behind a server: how a hook and an MCP server of one agent find out that they are one.

An agent starts its MCP server and its hooks. The server notes, beside its session, its parent process (its number and
when it started, since numbers are used again) and the harness's name of the conversation, if it was told one. A hook
looks for the server whose parent is one of its own ancestors. Where two servers of one process run (an editor with
several conversations), nothing is known, and nothing is guessed.

What is not promised: anything against somebody who forges these files; they lie in the runtime directory of the user.
"""

from __future__ import annotations

import os
import sys

from gitcoord import plainjson
from gitcoord.runtime.files import id_path, is_id, names, parse_object, private_dir, remove, write_whole
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_FOLDER = "agents"
_ANCESTORS = 12
_READ_LIMIT = 4096
# Programs that start a server for an agent and stay between the two.
_WRAPPERS = frozenset({"uv", "uvx", "pipx"})


class Process(NamedTuple):
    """One process of this machine."""

    pid: int
    parent: int
    started: str
    name: str


class Served(NamedTuple):
    """A session that a server signed on for its agent."""

    session: str
    incarnation: str


def process(pid: int) -> Process | None:
    """Return what the system says of a process; None where it is gone, or the system does not say."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                text = file.read(_READ_LIMIT).decode("ascii", "replace")
        except OSError:
            return None
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        return Process(pid, int(fields[1]), fields[19], name) if len(fields) > 19 else None
    return _asked(pid) if sys.platform == "darwin" else None


def _asked(pid: int) -> Process | None:
    """Ask `ps`, where there is no other way."""
    import subprocess

    command = ["/bin/ps", "-o", "ppid=,lstart=,comm=", "-p", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=5)  # noqa: S603 - a fixed command
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.decode("utf-8", "replace").split()
    if done.returncode or len(words) < 7 or not words[0].isdigit():
        return None
    return Process(pid, int(words[0]), " ".join(words[1:6]), os.path.basename(words[6]))


def note(runtime_dir: str, served: Served, conversation: str | None) -> None:
    """Note which agent's process started this one, a server, for the session that it signed on.

    Args:
        runtime_dir: the runtime directory.
        served: the session.
        conversation: the harness's name of the conversation, where it told one.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    agent = process(os.getppid())
    if agent is not None and agent.name in _WRAPPERS:
        agent = process(agent.parent)
    said = {
        "session": served.session,
        "conversation": conversation,
        "pid": None if agent is None or agent.pid <= 1 else agent.pid,
        "started": None if agent is None else agent.started,
    }
    folder = private_dir(os.path.join(runtime_dir, _FOLDER))
    write_whole(id_path(folder, served.incarnation), plainjson.encode(said, letters=False).encode())


def forget(runtime_dir: str, incarnation: str) -> None:
    """Drop the note of a session that is over."""
    if is_id(incarnation):
        remove(os.path.join(runtime_dir, _FOLDER, incarnation))


def sweep(runtime_dir: str, keep: Collection[str]) -> list[str]:
    """Drop the notes of sessions that are over, and return their ids.

    Args:
        runtime_dir: the runtime directory.
        keep: the incarnations that stand.
    """
    folder = os.path.join(runtime_dir, _FOLDER)
    gone = (name for name in names(folder) if is_id(name) and name not in keep)
    return sorted(name for name in gone if remove(os.path.join(folder, name)))


def find(runtime_dir: str, conversation: str | None, stands: Callable[[Served], bool]) -> Served | None:
    """Return the session of the server that the same agent started; None where that cannot be known.

    Args:
        runtime_dir: the runtime directory.
        conversation: the harness's name of the conversation, where this process was told one.
        stands: tells whether a session is still the one that was noted.
    """
    folder = os.path.join(runtime_dir, _FOLDER)
    noted = {name: _read(os.path.join(folder, name)) for name in names(folder) if is_id(name)}
    if not noted:
        return None
    if conversation:
        same = [name for name, said in noted.items() if said.get("conversation") == conversation]
        found = _only(noted, same, stands)
        if found is not None:
            return found
    for pid, started in _ancestors():
        same = [name for name, said in noted.items() if (said.get("pid"), said.get("started")) == (pid, started)]
        if same:
            return _only(noted, same, stands)
    return None


def _only(noted: dict[str, dict[str, object]], same: list[str], stands: Callable[[Served], bool]) -> Served | None:
    standing = [one for one in (Served(str(noted[name].get("session")), name) for name in same) if stands(one)]
    return standing[0] if len(standing) == 1 else None


def _read(path: str) -> dict[str, object]:
    try:
        with open(path, "rb") as file:
            return parse_object(file.read(_READ_LIMIT))
    except OSError:
        return {}


def _ancestors() -> list[tuple[int, str]]:
    """Return the processes that this one descends from, the nearest first, without the system's first."""
    found: list[tuple[int, str]] = []
    pid = os.getppid()
    while pid > 1 and len(found) < _ANCESTORS:
        one = process(pid)
        if one is None:
            break
        found.append((one.pid, one.started))
        pid = one.parent
    return found
