"""What hooks ask of a log that is shared between clones, each as one small function.

Where the log of a repository is not shared, nothing is waiting for a remote, nothing is fetched, and every lock is
decided here: then these say so, at no cost.
"""

from __future__ import annotations

from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.hooks.arrival import Arriving
    from gitcoord.service.access import Access


def publish_and_fetch(access: Access, remote: str) -> list[str]:
    """Fetch the log once and publish what waits in it, before a push of code.

    Called with `GITCOORD_IN_HOOK` set for all that it starts, so that no hook runs a second time.

    Args:
        access: the repository.
        remote: the remote's name, or its URL, that is pushed to.

    Returns:
        what to tell the person who pushes; nothing where the log is not shared.
    """
    del access, remote
    return []


def confirmed_within(access: Access, grant: str, seconds: float) -> str:
    """Return the state of a fresh lock, after waiting at most so long for its remote.

    Args:
        access: the repository.
        grant: the lock's grant.
        seconds: how long to wait.

    Returns:
        `local` where no remote decides; else `confirmed`, `provisional` or `lost`.
    """
    del access, grant, seconds
    return "local"


def verify_commit(arriving: Arriving, oid: bytes) -> None:
    """Let a commit that arrives at a server pass if it is what its parent and its operations make of it.

    Raises:
        CoordError: it is not, and why.
    """
    from gitcoord.hooks.arrival import replay

    replay(arriving, oid)
