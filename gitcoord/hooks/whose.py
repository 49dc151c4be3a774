"""As which session an agent's event is judged, in the repository that it is about."""

from __future__ import annotations

from gitcoord import config, names
from gitcoord.hooks.ground import Ground, stand
from gitcoord.hooks.payloads import Told
from gitcoord.service import identity
from gitcoord.values import NamedTuple


class Standing(NamedTuple):
    """Where an event is judged, and as whom.

    Attributes:
        ground: the repository.
        me: the session.
        linked: it is the session of the agent's own MCP server.
    """

    ground: Ground
    me: str
    linked: bool


def standing_at(told: Told, start: str) -> Standing | None:
    """Return where an event is judged, and as whom; None where the repository has no log.

    Args:
        told: the event.
        start: a directory in the repository that it is about.

    Raises:
        NotARepository: there is none.
        InvalidName: `GITCOORD_SESSION` names no session.
    """
    agent = told.agent
    named = config.read_environment().session
    me = names.check_session_id(named) if named else identity.conversation_id(agent, told.conversation or "session")
    ground = stand(start, me, hint=agent, may_number=not named)
    if ground is None:
        return None
    me = ground.me or me
    if named:
        return Standing(ground, me, linked=True)
    served = identity.served_session(ground.access, told.conversation or None)
    if served is None:
        return Standing(ground, me, linked=False)
    again = stand(start, served, hint=agent)
    return None if again is None else Standing(again, served, linked=True)
