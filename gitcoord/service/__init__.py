"""The service: what a caller can ask of gitcoord, and the answers of the public surface.

A `Desk` answers for one caller: one command, or one client's connection. It plans operations for the coordinator and
puts the outcome into the results that the faces show. Answers are plain JSON-able dicts; a refusal is an answer too.
"""

from __future__ import annotations

from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitcoord.service.desk import Desk, open_desk

__all__ = ["Desk", "doctor", "initialise", "open_desk"]


def __getattr__(name: str) -> Any:
    """Load the desk when it is asked for: a hook that only looks does without it."""
    if name not in ("Desk", "open_desk"):
        raise AttributeError(name)
    from gitcoord.service import desk

    return getattr(desk, name)


def initialise(
    start: str,
    *,
    remote: str | None = None,
    branch: bool = False,
    local: bool = False,
    adopt: bool = False,
    sign: str | None = None,
    key: str | None = None,
    trust: str | None = None,
) -> dict[str, Any]:
    """Make the log of the repository around a directory, or join its remote's; see `gitcoord.service.setup`."""
    from gitcoord.service import setup

    signing = setup.Signing(sign, key, trust)
    return setup.initialise(start, signing, remote=remote, branch=branch, local=local, adopt=adopt)


def doctor(start: str, *, fix: bool = False, door: bool = False) -> dict[str, Any]:
    """Look for what is not in order, and put it right if asked; see `gitcoord.service.examination`."""
    from gitcoord.service import examination

    return examination.examine(start, fix=fix, door=door)
