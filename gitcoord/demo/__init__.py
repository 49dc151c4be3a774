"""The demo: two agents' servers contend for a file in a scratch repository, one is killed, the log tells the story.

Nothing is staged: the servers are processes of their own, the clients speak MCP to them, the kill is a SIGKILL. Every
step says what is expected before it looks at what came, and the first that differs ends the demo with an error.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from typing import TYPE_CHECKING, Any

from gitcoord.demo.teller import NotAsTold, Teller

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def run(*, keep: bool, pause_s: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Play the demo and clean up, however it ends.

    Args:
        keep: leave the scratch repository where it is.
        pause_s: how long to stop after each step, for somebody who reads along.
        say: gets each line of the tale.

    Returns:
        `{ok, repository, steps, log}`, with `error` where a step was not as told; `repository` is None unless kept.
    """
    import anyio
    from mcp import MCPError

    from gitcoord.demo.stage import Stage
    from gitcoord.demo.story import play

    teller = Teller(say, pause_s)
    directory = tempfile.mkdtemp(prefix="gitcoord-demo-")
    stage = Stage(directory)
    before = signal.signal(signal.SIGTERM, _interrupt)
    answer: dict[str, Any] = {"ok": True, "repository": stage.root if keep else None, "steps": teller.steps, "log": ""}
    try:
        answer["log"] = anyio.run(play, stage, teller)
    except* NotAsTold as errors:
        answer |= _failed(_first(errors))
    except* MCPError as errors:
        answer |= _failed(
            f"a server did not answer: {_first(errors)}; the servers said: {stage.complaints() or 'nothing'}"
        )
    finally:
        signal.signal(signal.SIGTERM, before)
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
    return answer


def _failed(message: str) -> dict[str, Any]:
    way_out = "gitcoord demo --keep, then look at git log -p refs/coord in the repository that it leaves"
    return {"ok": False, "error": {"code": "demo_failed", "message": message, "next": way_out}}


def _first(errors: BaseExceptionGroup[Exception]) -> str:
    """Return what the first of them says; the task groups that it came through have wrapped it."""
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return str(found)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Let a polite request to end clean up as Ctrl-C does."""
    raise KeyboardInterrupt
