"""Where each client really reads its MCP servers and hooks, and what gitcoord puts there.

Project scope: files in the worktree, which people share through the repository, so they name the program and no path
of a machine. What is there already stays as it is; doing it again changes nothing; taking it out leaves what was there.

Sources: the pages that the fixtures in tests/hooks/payloads name, read in their versions of 2026.
"""

from __future__ import annotations

import os

from gitcoord import config
from gitcoord.errors import BadRequest
from gitcoord.hooks import clientfiles
from gitcoord.hooks.clientfiles import Change, Entry
from gitcoord.hooks.payloads import HARNESSES
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gitcoord.store.repository import Repository

SERVERS, HOOKS = "servers", "hooks"

_OPENCODE_PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "opencode_plugin.js")

_STDIO: dict[str, Any] = {"command": "gitcoord", "args": ["serve"]}
_IN_WORKSPACE: dict[str, Any] = {"command": "gitcoord", "args": ["serve", "--repo", "${workspaceFolder}"]}
_TOOLS = "Edit|Write|MultiEdit|NotebookEdit|Bash|PowerShell"
_TIMEOUT_S = 15
_END_TIMEOUT_S = 3


class Client(NamedTuple):
    """What one client reads.

    Attributes:
        servers: its MCP server, in the project.
        user_servers: the same for all projects of a person; none where that is not one plain file.
        matchers: which tools its tool events are for; an event that is not named has no matcher.
        hooks_file: where its hooks are, in the project.
        user_hooks_file: the same for all projects of a person.
        note: what the person still has to do.
        user_note: what they have to do for all their projects.
    """

    servers: list[Entry]
    user_servers: list[Entry]
    matchers: dict[str, str]
    hooks_file: str
    user_hooks_file: str
    note: str = ""
    user_note: str = ""


CLIENTS = {
    "claude": Client(
        [Entry(".mcp.json", ("mcpServers", "gitcoord"), _STDIO)],
        [Entry(".claude.json", ("mcpServers", "gitcoord"), {"type": "stdio", **_STDIO})],
        {"PreToolUse": _TOOLS, "PostToolUse": _TOOLS},
        ".claude/settings.json",
        ".claude/settings.json",
        "Claude Code asks once whether the project's MCP server may start.",
    ),
    "cursor": Client(
        [Entry(".cursor/mcp.json", ("mcpServers", "gitcoord"), _IN_WORKSPACE)],
        [Entry(".cursor/mcp.json", ("mcpServers", "gitcoord"), _IN_WORKSPACE)],
        dict.fromkeys(("preToolUse", "postToolUse"), "Shell|Write|Delete|Edit|StrReplace|MultiEdit|EditNotebook"),
        ".cursor/hooks.json",
        ".cursor/hooks.json",
        "Cursor runs project hooks in trusted workspaces only.",
    ),
    "codex": Client(
        [Entry(".codex/config.toml", ("mcp_servers", "gitcoord"), _STDIO)],
        [Entry(".codex/config.toml", ("mcp_servers", "gitcoord"), _STDIO)],
        dict.fromkeys(("PreToolUse", "PostToolUse"), "Bash|apply_patch|Edit|Write"),
        ".codex/hooks.json",
        ".codex/hooks.json",
        "Codex runs project hooks only once the project and each hook are trusted: /hooks.",
    ),
    "gemini": Client(
        [Entry(".gemini/settings.json", ("mcpServers", "gitcoord"), _STDIO)],
        [Entry(".gemini/settings.json", ("mcpServers", "gitcoord"), _STDIO)],
        dict.fromkeys(("BeforeTool", "AfterTool"), "write_file|replace|edit|run_shell_command"),
        ".gemini/settings.json",
        ".gemini/settings.json",
    ),
    "vscode": Client(
        [Entry(".vscode/mcp.json", ("servers", "gitcoord"), {"type": "stdio", **_IN_WORKSPACE})],
        [],
        {},
        ".github/hooks/gitcoord.json",
        ".copilot/hooks/gitcoord.json",
        "VS Code's agent hooks are a preview, which an organisation may switch off.",
        "VS Code keeps the servers of all projects in a profile of its own, which is not written here: code --add-mcp"
        ' \'{"name":"gitcoord","type":"stdio","command":"gitcoord","args":["serve"]}\'',
    ),
    "opencode": Client(
        [
            Entry(
                "opencode.json",
                ("mcp", "gitcoord"),
                {"type": "local", "command": ["gitcoord", "serve"], "enabled": True},
            )
        ],
        [
            Entry(
                ".config/opencode/opencode.json",
                ("mcp", "gitcoord"),
                {"type": "local", "command": ["gitcoord", "serve"], "enabled": True},
            )
        ],
        {},
        ".opencode/plugins/gitcoord.js",
        ".config/opencode/plugins/gitcoord.js",
    ),
}
"""The clients by name."""

_SKIPPED = {"cursor": ("beforeShellExecution", "afterFileEdit", "beforeSubmitPrompt"), "vscode": ("SessionEnd",)}
"""Events that are answered but not asked for: another one says the same, or no answer reaches anybody."""


def hook_entries(name: str, flags: list[str], *, user: bool = False) -> list[Entry]:
    """Return what makes a client ask gitcoord at its events.

    Args:
        name: the client.
        flags: options for gitcoord in every hook.
        user: for all projects of a person.
    """
    client = CLIENTS[name]
    path = client.user_hooks_file if user else client.hooks_file
    if name == "opencode":
        with open(_OPENCODE_PLUGIN, encoding="utf-8") as file:
            text = file.read()
        return [Entry(path, (), text.replace("__FLAGS__", ", ".join(f'"{flag}"' for flag in flags)))]
    found = [Entry(path, ("version",), 1)] if name == "cursor" else []
    for event in HARNESSES[name].events:
        if event not in _SKIPPED.get(name, ()):
            item = _item(name, event, client.matchers.get(event), flags)
            found.append(Entry(path, ("hooks", event), item, item=True))
    return found


def _item(name: str, event: str, matcher: str | None, flags: list[str]) -> dict[str, Any]:
    command = " ".join(["gitcoord hook", name, event, *flags])
    if name == "cursor":
        return {"command": command, **({"matcher": matcher} if matcher else {}), "timeout": _TIMEOUT_S}
    timeout = _END_TIMEOUT_S if event == "SessionEnd" else _TIMEOUT_S
    hook: dict[str, Any] = {"type": "command", "command": command, "timeout": timeout}
    if name == "vscode":
        return hook
    if name == "gemini":
        hook = {"name": "gitcoord", **hook, "timeout": timeout * 1000}
    return {**({"matcher": matcher} if matcher else {}), "hooks": [hook]}


def named(text: str) -> list[str]:
    """Return the clients that a list names; `all` is all of them.

    Raises:
        BadRequest: there is no such client.
    """
    found = [name.strip().lower() for name in text.split(",") if name.strip()]
    found = list(CLIENTS) if found == ["all"] else found
    for name in found:
        if name not in CLIENTS:
            raise BadRequest(f"no client {name!r} is known", next=f"some of {','.join(CLIENTS)}; or all")
    if not found:
        raise BadRequest("no client was named", next=f"some of {','.join(CLIENTS)}; or all")
    return list(dict.fromkeys(found))


def notes(text: str, *, user: bool = False) -> list[str]:
    """Return what people still have to do for these clients."""
    clients = [CLIENTS[name] for name in named(text)]
    return [note for one in clients for note in (one.note, one.user_note if user else "") if note]


def _entries(name: str, parts: tuple[str, ...], flags: list[str], *, user: bool) -> list[Entry]:
    found: list[Entry] = []
    if SERVERS in parts:
        found += CLIENTS[name].user_servers if user else CLIENTS[name].servers
    if HOOKS in parts:
        found += hook_entries(name, flags, user=user)
    return found


_HOMES = {
    "claude": ("CLAUDE_CONFIG_DIR", ".claude", ""),
    "codex": ("CODEX_HOME", ".codex", ""),
    "gemini": ("GEMINI_CLI_HOME", ".gemini", ".gemini"),
    "opencode": ("XDG_CONFIG_HOME", ".config", ""),
}
"""Where clients look instead of in a directory of the home: the variable, the directory, and its name there."""


def in_home(name: str, file: str) -> str:
    """Return the path of a file that a client reads for all projects of a person.

    Args:
        name: the client.
        file: relative to the home.
    """
    variable, directory, called = _HOMES.get(name, ("", "", ""))
    instead = config.environment().get(variable) if variable else None
    if not instead:
        return os.path.join(os.path.expanduser("~"), file)
    first, _, rest = file.partition("/")
    below = os.path.join(called, rest) if first == directory else file
    return os.path.join(os.path.abspath(os.path.expanduser(instead)), below)


def _top(repository: Repository) -> str:
    if repository.worktree is None:
        raise BadRequest("a bare repository has no files that a client reads", next="use a clone with a worktree")
    return repository.worktree


def _changes(
    repository: Repository, text: str, parts: tuple[str, ...], flags: list[str], *, user: bool
) -> list[tuple[str, str, list[Entry]]]:
    top = "" if user else _top(repository)
    found: list[tuple[str, str, list[Entry]]] = []
    for name in named(text):
        files: dict[str, list[Entry]] = {}
        for entry in _entries(name, parts, flags, user=user):
            files.setdefault(entry.file, []).append(entry)
        found += [
            (name, in_home(name, file) if user else os.path.join(top, file), entries) for file, entries in files.items()
        ]
    return found


def _answer(name: str, path: str, change: Change) -> dict[str, Any]:
    return {"client": name, "path": path, "how": change.how, "text": change.text}


def apply(
    repository: Repository, text: str, parts: str | tuple[str, ...], flags: list[str], *, user: bool = False
) -> list[dict[str, Any]]:
    """Write what clients need where they read it; what is there already is left alone.

    Args:
        repository: for whom.
        text: the clients' names, with commas.
        parts: `SERVERS`, `HOOKS` or both.
        flags: options for gitcoord in every hook.
        user: for all projects of a person, in their home.

    Raises:
        BadRequest: no such client.
        NotJson: a file there cannot be read; nothing of it is changed.
        CoordError: a file cannot be written.
    """
    wanted = _changes(repository, text, _parts(parts), flags, user=user)
    prepared = [(name, path, clientfiles.prepare(path, entries)) for name, path, entries in wanted]
    for _, path, change in prepared:
        clientfiles.write(repository.runtime, path, change)
    return [_answer(*one) for one in prepared]


def check(
    repository: Repository,
    text: str,
    parts: str | tuple[str, ...],
    *,
    flags: list[str] | None = None,
    user: bool = False,
) -> list[dict[str, Any]]:
    """Return for each file whether all is there (`there`), or not (`missing`, `differs`); changes nothing."""
    found: list[dict[str, Any]] = []
    for name, path, entries in _changes(repository, text, _parts(parts), flags or [], user=user):
        change = clientfiles.prepare(path, entries)
        how = "there" if change.how == "there" else "missing" if not clientfiles.has_ours(path, entries) else "differs"
        found.append(_answer(name, path, change._replace(how=how)))
    return found


def remove(
    repository: Repository, text: str, parts: str | tuple[str, ...], *, user: bool = False
) -> list[dict[str, Any]]:
    """Take out what `apply` wrote; what was there before is there again.

    Raises:
        CoordError: a file cannot be read or written.
    """
    found: list[dict[str, Any]] = []
    for name, path, entries in _changes(repository, text, _parts(parts), [], user=user):
        how = clientfiles.take_out(repository.runtime, path, entries)
        found.append(_answer(name, path, Change(how, None)))
    return found


def _parts(parts: str | tuple[str, ...]) -> tuple[str, ...]:
    return (parts,) if isinstance(parts, str) else parts
