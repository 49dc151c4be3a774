"""A clone that has a shared log and does not share it: a plain `git fetch` brought it, or the runtime files are gone.

What such a clone would grant by itself, nobody else would see, and the next clone would be granted the same.
"""

from __future__ import annotations

from gitcoord.errors import NotJoined
from gitcoord.remote.urls import same_place
from gitcoord.service.project import is_remote_url, repository_config
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.model import Confirms
    from gitcoord.store.repository import Repository


def remote_that_decides(repository: Repository, confirms: Confirms) -> str | None:
    """Return the name that this clone has for the remote which confirms; None where it has none.

    None too in the repository that is that remote: what is written there is agreed on by being written. Two spellings
    of one host are not seen to be one place.

    Args:
        repository: the clone; it shares with nobody.
        confirms: which remote it is, as the log says.
    """
    for key, url in repository_config(repository).items():
        if is_remote_url(key) and same_place(url, confirms["url"]):
            return key[len("remote.") : -len(".url")]
    return None


def refuse_apart(repository: Repository, confirms: Confirms) -> None:
    """Refuse a write in a clone that has the remote which confirms, and does not ask it.

    Args:
        repository: the clone; it shares with nobody.
        confirms: which remote it is, as the log says.

    Raises:
        NotJoined: the remote decides.
    """
    remote = remote_that_decides(repository, confirms)
    if remote is not None:
        raise NotJoined(
            f"this log is shared through {remote}, and this clone does not take part yet: "
            "nobody else would see what it writes; nothing was written",
            next="gitcoord init",
            remote=remote,
        )
