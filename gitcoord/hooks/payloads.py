"""What each agent's harness says, brought into one form.

The harnesses speak alike and not the same; where each one's words are documented stands beside its fixtures in the
tests. A tool that is not known to write is not judged.
"""

from __future__ import annotations

import os

from gitcoord import plainjson
from gitcoord.errors import BadRequest
from gitcoord.hooks.patches import is_patch, patched_files
from gitcoord.values import Any, NamedTuple, cast

BEFORE, AFTER, START, PROMPT, COMPACT, STOP, END = "before", "after", "start", "prompt", "compact", "stop", "end"


class Harness(NamedTuple):
    """One agent's harness.

    Attributes:
        agent: what its sessions are named after.
        mode: what holds where nobody sets a mode.
        events: what it calls the events that gitcoord answers.
    """

    agent: str
    mode: str
    events: dict[str, str]


_CLAUDE_EVENTS = {
    "PreToolUse": BEFORE,
    "PostToolUse": AFTER,
    "SessionStart": START,
    "UserPromptSubmit": PROMPT,
    "PreCompact": COMPACT,
    "Stop": STOP,
    "SessionEnd": END,
}

HARNESSES = {
    "claude": Harness("claude-code", "claim", _CLAUDE_EVENTS),
    "codex": Harness("codex", "deny", _CLAUDE_EVENTS),
    "vscode": Harness("vscode", "deny", _CLAUDE_EVENTS),
    "cursor": Harness(
        "cursor",
        "deny",
        {
            "preToolUse": BEFORE,
            "beforeShellExecution": BEFORE,
            "postToolUse": AFTER,
            "afterFileEdit": AFTER,
            "sessionStart": START,
            "beforeSubmitPrompt": PROMPT,
            "preCompact": COMPACT,
            "stop": STOP,
            "sessionEnd": END,
        },
    ),
    "gemini": Harness(
        "gemini",
        "deny",
        {
            "BeforeTool": BEFORE,
            "AfterTool": AFTER,
            "SessionStart": START,
            "BeforeAgent": PROMPT,
            "PreCompress": COMPACT,
            "AfterAgent": STOP,
            "SessionEnd": END,
        },
    ),
    "opencode": Harness(
        "opencode",
        "deny",
        {
            "tool.execute.before": BEFORE,
            "tool.execute.after": AFTER,
            "session.created": START,
            "experimental.session.compacting": COMPACT,
            "session.idle": STOP,
            "session.deleted": END,
        },
    ),
}
"""The harnesses by the name that `gitcoord hook` takes."""

_SHELLS = frozenset(
    {"bash", "shell", "powershell", "runshellcommand", "runinterminal", "runterminalcommand", "execcommand", "terminal"}
)
_WRITERS = frozenset(
    {
        "applypatch",
        "createfile",
        "delete",
        "deletefile",
        "edit",
        "editfile",
        "editfiles",
        "editnotebook",
        "editnotebookfile",
        "inserteditintofile",
        "multiedit",
        "multireplacestringinfile",
        "notebookedit",
        "patch",
        "replace",
        "replacestringinfile",
        "strreplace",
        "strreplaceeditor",
        "strreplacebasededittool",
        "write",
        "writefile",
    }
)
_PATH_KEYS = ("file_path", "filePath", "notebook_path", "target_file", "path", "absolute_path", "file")
_LIST_KEYS = ("files", "filePaths", "file_paths", "paths")
_NESTED_KEYS = ("edits", "replacements", "operations")
_LIMIT = 8 << 20


class Told(NamedTuple):
    """One event of an agent.

    Attributes:
        harness: in whose form it speaks and wants to be answered.
        agent: what its sessions are named after.
        event: what the harness calls it.
        kind: what it is.
        conversation: the harness's name of the conversation; may be empty.
        cwd: the directory that relative paths are relative to.
        files: what a tool writes, by name.
        command: the shell command that a tool runs.
        fields: all that was said.
    """

    harness: str
    agent: str
    event: str
    kind: str
    conversation: str
    cwd: str
    files: list[str]
    command: str | None
    fields: dict[str, Any]


def parse(harness: str, event: str, text: str, here: str) -> Told:
    """Return what a harness says.

    Args:
        harness: its name.
        event: what it calls the event.
        text: the JSON object that it sends.
        here: the working directory, where it names none.

    Raises:
        BadRequest: no such harness or event, or no JSON object.
    """
    known = HARNESSES.get(harness)
    if known is None:
        raise BadRequest(f"no harness {harness!r}", next=f"one of {', '.join(HARNESSES)}")
    kind = known.events.get(event)
    if kind is None:
        raise BadRequest(f"{harness} has no event {event!r} that is answered", next=f"one of {', '.join(known.events)}")
    try:
        value: Any = plainjson.loads(text) if len(text) <= _LIMIT else None
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{harness} sent no JSON: {error}", next="gitcoord doctor") from error
    if not isinstance(value, dict):
        raise BadRequest(f"{harness} sent no JSON object", next="gitcoord doctor")
    fields = cast("dict[str, Any]", value)
    conversation = _text(fields, "conversation_id", "session_id", "sessionId", "sessionID")
    cwd = _text(fields, "cwd", "directory", "worktree") or _first_root(fields) or here
    files, command = _written(fields, kind)
    if command is not None:
        cwd = _text(_arguments(fields), "working_directory", "workdir", "dir_path", "directory", "cwd") or cwd
    agent = _agent(harness, fields)
    return Told(harness, agent, event, kind, conversation, os.path.join(here, cwd), files, command, fields)


def _agent(harness: str, fields: dict[str, Any]) -> str:
    """Return who speaks: Cursor and VS Code run hooks that were written down for Claude Code, with their own fields."""
    if "cursor_version" in fields:
        return HARNESSES["cursor"].agent
    if harness == "claude" and "sessionId" in fields and "session_id" not in fields:
        return HARNESSES["vscode"].agent
    return HARNESSES[harness].agent


def _text(fields: dict[str, Any], *names: str) -> str:
    return next((fields[name] for name in names if isinstance(fields.get(name), str) and fields[name]), "")


def _first_root(fields: dict[str, Any]) -> str:
    roots = _strings(fields.get("workspace_roots"))
    return roots[0] if roots else ""


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list):
        return []
    return [item for item in cast("list[Any]", value) if isinstance(item, str)]


def _arguments(fields: dict[str, Any]) -> dict[str, Any]:
    for name in ("tool_input", "toolArgs", "args"):
        value: Any = fields.get(name)
        if isinstance(value, str):
            try:
                value = plainjson.loads(value)
            except ValueError:
                continue
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
    return {}


def _written(fields: dict[str, Any], kind: str) -> tuple[list[str], str | None]:
    """Return the files that a tool writes by name, and the shell command that it runs."""
    if kind not in (BEFORE, AFTER):
        return [], None
    tool = _text(fields, "tool_name", "toolName", "tool")
    if not tool:  # an event of its own: a shell command, or an edit
        command = fields.get("command")
        return ([], command) if isinstance(command, str) else (_named(fields), None)
    name = tool.replace("_", "").replace("-", "").lower()
    arguments = _arguments(fields)
    said = _text(arguments, "command", "patchText", "input", "patch")
    if name in _SHELLS and not is_patch(said):
        return [], said
    if is_patch(said):
        return patched_files(said), None
    return (_named(arguments) if name in _WRITERS else []), None


def _named(arguments: dict[str, Any]) -> list[str]:
    found = [arguments[key] for key in _PATH_KEYS if isinstance(arguments.get(key), str)]
    for key in _LIST_KEYS:
        found += _strings(arguments.get(key))
    for key in (*_NESTED_KEYS, "files"):
        nested: Any = arguments.get(key)
        if isinstance(nested, list):
            for item in cast("list[Any]", nested):
                if isinstance(item, dict):
                    found += _named(cast("dict[str, Any]", item))
    return list(dict.fromkeys(path for path in found if path))
