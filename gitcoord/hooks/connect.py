"""What hooks ask of a log that is shared between clones, each as one small function.

Where the log of a repository is not shared, nothing is waiting for a remote, nothing is fetched, and every lock is
decided here: then these say so, at no cost.
"""

from __future__ import annotations

from gitcoord.errors import IntegrityFault, RemoteFault
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitcoord.service.access import Access
    from gitcoord.service.desk import Desk

_PUSH_LIMIT_S = 10.0
_UNCONFIRMED = ("remote_unreachable", "remote_unknown", "remote_rejected")


def publish_and_fetch(access: Access) -> list[str]:
    """Fetch the log once and publish what waits in it, before a push of code.

    Args:
        access: the repository.

    Returns:
        what to tell the person who pushes; nothing where the log is not shared, or all went well.
    """
    if access.shared is None:
        return []
    access.limit_s = _PUSH_LIMIT_S
    sharer = access.sharer
    if sharer is None:
        return []
    try:
        sharer.meet()
    except (RemoteFault, IntegrityFault) as error:
        return [f"gitcoord: judged by what is known here, for the log was not brought together: {error.message}"]
    return []


def lock_within(desk: Desk, names: list[str], reason: str, seconds: float) -> dict[str, Any]:
    """Lock what an agent is about to write, waiting for the remote for a moment only: then provisionally.

    Args:
        desk: the agent's.
        names: paths, relative to the worktree's root.
        reason: shown to whoever meets the lock.
        seconds: for how long the remote may be silent.

    Returns:
        the answer of `lock_files`, with `unconfirmed`: why the remote has not agreed, where it has not.
    """
    if desk.access.shared is None:
        return desk.lock_files(names, reason=reason)
    desk.access.limit_s = seconds
    got = desk.lock_files(names, reason=reason)
    error = got.get("error")
    if error is None or error["code"] not in _UNCONFIRMED:
        return got
    return {**desk.lock_files(names, reason=reason, offline=True), "unconfirmed": error["message"]}
