"""The rules of the policy: what holds for the whole log, and who may change it."""

from __future__ import annotations

from gitcoord.errors import BadRequest, Refused
from gitcoord.model import Confirms, Operation
from gitcoord.state import State
from gitcoord.values import Any

_TEXT_BYTES = 1000


def share(state: State, operation: Operation) -> dict[str, Any]:
    """`log.share`: remote, ref, url. From now on that remote confirms; each clone knows it under a name of its own."""
    named: Confirms = {"remote": operation["remote"], "ref": operation["ref"], "url": operation["url"]}
    for field, text in named.items():
        if type(text) is not str or not text.isprintable() or len(text.encode()) > _TEXT_BYTES:
            raise BadRequest(f"the {field} must be printable text of at most {_TEXT_BYTES} bytes")
    policy = state.policy
    if operation["replayed"] and "confirms" in policy:
        raise Refused(f"the log names its remote already: {policy['confirms']['remote']}")
    state.policy = {**policy, "version": policy["version"] + 1, "confirms": named}
    return {}
