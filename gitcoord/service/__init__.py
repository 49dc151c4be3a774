"""The service: what a caller can ask of gitcoord, and the answers of the public surface.

A `Desk` answers for one caller: one command, or one client's connection. It plans operations for the coordinator and
puts the outcome into the results that the faces show. Answers are plain JSON-able dicts; a refusal is an answer too.
"""

from __future__ import annotations

from gitcoord.service.desk import Desk, open_desk
from gitcoord.values import Any

__all__ = ["Desk", "doctor", "initialise", "open_desk"]


def initialise(
    start: str, *, sign: str | None = None, key: str | None = None, trust: str | None = None
) -> dict[str, Any]:
    """Make the log of the repository around a directory; see `gitcoord.service.setup`."""
    from gitcoord.service import setup

    return setup.initialise(start, setup.Signing(sign, key, trust))


def doctor(start: str, *, fix: bool = False) -> dict[str, Any]:
    """Look for what is not in order, and put it right if asked; see `gitcoord.service.examination`."""
    from gitcoord.service import examination

    return examination.examine(start, fix=fix)
