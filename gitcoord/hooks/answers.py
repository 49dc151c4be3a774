"""What each harness wants to hear: a verdict and words, in its own JSON.

A tool call that is fine gets no decision at all, so that the harness's own permissions stay what they are.
"""

from __future__ import annotations

from gitcoord.hooks.payloads import AFTER, BEFORE, PROMPT, START
from gitcoord.values import Any, NamedTuple


class Reply(NamedTuple):
    """What gitcoord says of an event.

    Attributes:
        deny: why the tool must not run; None where it may.
        context: what the agent should know.
        warning: what the person should see.
    """

    deny: str | None = None
    context: str = ""
    warning: str = ""


Answer = dict[str, Any]


def render(harness: str, event: str, kind: str, reply: Reply) -> Answer | None:
    """Return the JSON object that a harness takes for this reply; None where nothing is to be said."""
    if harness == "cursor":
        return _cursor(event, kind, reply)
    if harness == "gemini":
        return _gemini(event, kind, reply)
    if harness == "opencode":
        said = {"deny": reply.deny, "context": reply.context, "warning": reply.warning}
        return {name: text for name, text in said.items() if text} or None
    return _claude(event, kind, reply)


def _claude(event: str, kind: str, reply: Reply) -> Answer | None:
    """Claude Code, and those that took its form: Codex and VS Code."""
    answer: Answer = {}
    specific: Answer = {}
    if reply.deny is not None and kind == BEFORE:
        specific = {"permissionDecision": "deny", "permissionDecisionReason": reply.deny}
    elif reply.context and kind in (BEFORE, AFTER, START, PROMPT):
        specific = {"additionalContext": reply.context}
    if specific:
        answer["hookSpecificOutput"] = {"hookEventName": event, **specific}
    if reply.warning:
        answer["systemMessage"] = reply.warning
    return answer or None


def _cursor(event: str, kind: str, reply: Reply) -> Answer | None:
    if kind == BEFORE:
        if reply.deny is None:
            return None
        return {"permission": "deny", "user_message": reply.deny, "agent_message": reply.deny}
    if kind in (AFTER, START) and event != "afterFileEdit" and (reply.context or reply.warning):
        return {"additional_context": reply.context or reply.warning}
    return None


def _gemini(event: str, kind: str, reply: Reply) -> Answer | None:
    answer: Answer = {}
    if reply.deny is not None and kind == BEFORE:
        answer = {"decision": "deny", "reason": reply.deny}
    elif reply.context and kind in (AFTER, START, PROMPT):
        answer["hookSpecificOutput"] = {"hookEventName": event, "additionalContext": reply.context}
    warning = reply.warning or (reply.context if kind == BEFORE and reply.deny is None else "")
    if warning:
        answer["systemMessage"] = warning
    return answer or None
