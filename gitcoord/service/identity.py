"""Who runs a command or a hook: the same session id for each of one conversation or person."""

from __future__ import annotations

from gitcoord import config, names
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.runtime.agents import Served
    from gitcoord.service.access import Access

_TAIL = 8


def session_of(named: str | None) -> str:
    """Return the session id of whoever runs this process.

    It is what was named, else `GITCOORD_SESSION`, else made from what the agent's harness says of itself, else from
    user and host.

    Raises:
        InvalidName: what was said can be no session id.
    """
    env = config.read_environment()
    said = env.session if named is None else named
    if said is not None:
        return names.check_session_id(said)
    if env.harness:
        return conversation_id(env.harness, env.harness_session or "")
    return names.user_session_id(env.login or config.login_name(), config.host_name())


def conversation_id(harness: str, conversation: str) -> str:
    """Return the session id of a harness's conversation.

    Args:
        harness: which one, such as `claude-code`.
        conversation: what the harness calls the conversation.
    """
    # The end of the conversation's id: some harnesses begin theirs with the time, which two of them may share.
    return names.session_id_from(f"{harness}-{conversation[-_TAIL:]}")


def served_session(access: Access, conversation: str | None) -> str | None:
    """Return the session of the MCP server that the same agent started, where that can be known; else None.

    Args:
        access: the repository.
        conversation: what the harness calls the conversation, where it told this process.
    """
    from gitcoord.runtime import agents

    def stands(served: Served) -> bool:
        record = access.state().session(served.session)
        return record is not None and record["incarnation"] == served.incarnation

    found = agents.find(access.runtime, conversation, stands)
    return None if found is None else found.session
