"""What stands in clients' files as their guard before a write, and why a client would not start it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from gitcoord.errors import CoordError
from gitcoord.hooks import clientfiles, clients, jsontext
from gitcoord.hooks.payloads import BEFORE, HARNESSES
from gitcoord.store.repository import Repository
from gitcoord.values import Any, NamedTuple, cast

_TOOLS = {
    "claude": ("Write", "file_path"),
    "codex": ("apply_patch", "command"),
    "cursor": ("Write", "file_path"),
    "gemini": ("write_file", "file_path"),
    "vscode": ("create_file", "filePath"),
}
# Where a client is told to run no hooks at all: its files, below the project and the home; the keys; the value.
_SWITCHES: dict[str, tuple[tuple[str, ...], tuple[str, ...], bool]] = {
    "claude": ((".claude/settings.json", ".claude/settings.local.json"), ("disableAllHooks",), True),
    "gemini": ((".gemini/settings.json",), ("hooksConfig", "enabled"), False),
}


class ClientGuard(NamedTuple):
    """One guard of a client.

    Attributes:
        client: whose.
        name: how it is called.
        command: what the client starts.
        fault: why it would not, or not for a write; empty where it would.
    """

    client: str
    name: str
    command: str
    fault: str


def installed(repository: Repository) -> Iterator[ClientGuard]:
    """Yield the guard of each client that has one, in the project and for all projects of the person."""
    scopes = ((False, ""), (True, " for all projects"))
    for user, where in scopes[0 if repository.worktree is not None else 1 :]:
        for row in clients.check(repository, "all", clients.HOOKS, user=user):
            name, path = row["client"], row["path"]
            if row["how"] != "missing":
                yield from _guards(repository, name, path, where, user=user)
            elif clientfiles.had_hooks(repository.runtime, path):
                again = f"gitcoord hooks install --agents {name}"
                yield ClientGuard(name, f"{name}{where}", "", f"it was installed, and {path} has it no more: {again}")


def _guards(repository: Repository, name: str, path: str, where: str, *, user: bool) -> Iterator[ClientGuard]:
    called = f"{name}{where}"
    if name == "opencode":
        known = (clients.check(repository, name, clients.HOOKS, flags=flags, user=user) for flags in ([], ["--warn"]))
        same = any(row["how"] == "there" for rows in known for row in rows)
        fault = "" if same else f"{path} is not the plugin of this version: gitcoord hooks install --agents opencode"
        command = "gitcoord hook opencode tool.execute.before"
        yield ClientGuard(name, f"{called} ({command})", command, fault)
        return
    event = next(event for event, kind in HARNESSES[name].events.items() if kind == BEFORE)
    items = list(_items(_value(path, ("hooks", event))))
    if not items:
        yield ClientGuard(name, called, "", f"{path} has nothing of gitcoord's for {event}")
    off = _switched_off(repository, name)
    for matcher, command in items:
        tool = _TOOLS[name][0]
        left_out = "" if _matches(matcher, tool) else f"{path}: its matcher {matcher!r} leaves out the tool {tool}"
        yield ClientGuard(name, f"{called} ({command})", command, off or left_out)


def payload(client: str, path: str, cwd: str, session: str) -> dict[str, Any]:
    """Return what a client says before it writes a file.

    Args:
        client: which.
        path: the file.
        cwd: where it works.
        session: how it calls its conversation.
    """
    if client == "opencode":
        return {"tool": "write", "args": {"filePath": path}, "sessionID": session}
    tool, key = _TOOLS[client]
    written = f"*** Begin Patch\n*** Update File: {path}\n*** End Patch\n" if key == "command" else path
    return {"session_id": session, "cwd": cwd, "tool_name": tool, "tool_input": {key: written}}


def _value(path: str, keys: tuple[str, ...]) -> Any:
    """Return what stands at some keys of a client's file; None where nothing does."""
    text = clientfiles.take_text(path)
    if text is None or not text.strip():
        return None
    node = jsontext.find(jsontext.parse(text, path), keys)
    return None if node is None else jsontext.to_value(text, node)


def _items(value: Any, matcher: str = "") -> Iterator[tuple[str, str]]:
    """Yield the commands of gitcoord's among an event's hooks, each with the matcher of its group."""
    for item in cast("list[Any]", value) if isinstance(value, list) else ():
        if isinstance(item, dict):
            fields = cast("dict[str, Any]", item)
            said: Any = fields.get("matcher")
            here = said if isinstance(said, str) else matcher
            command: Any = fields.get("command")
            if isinstance(command, str) and command.startswith("gitcoord hook "):
                yield here, command
            yield from _items(fields.get("hooks"), here)


def _matches(matcher: str, tool: str) -> bool:
    """Tell whether a matcher takes a tool: a plain one is a list of names, any other a pattern found anywhere."""
    if matcher in ("", "*"):
        return True
    if re.fullmatch(r"[\w\- ,|]+", matcher):
        return tool in (name.strip() for name in re.split(r"[|,]", matcher))
    try:
        return re.search(matcher, tool) is not None
    except re.error:
        return False


def _switched_off(repository: Repository, name: str) -> str:
    if name not in _SWITCHES:
        return ""
    files, keys, value = _SWITCHES[name]
    top = repository.worktree
    here = [] if top is None else [os.path.join(top, file) for file in files]
    for path in (*here, *(clients.in_home(name, file) for file in files)):
        try:
            off = _value(path, keys) is value
        except CoordError as error:
            return f"what {name} reads cannot be read: {error.message}"
        if off:
            return f"{path} switches all hooks off: {'.'.join(keys)}"
    return ""
