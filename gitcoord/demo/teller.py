"""Who tells the demo: each step with what was expected and what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class NotAsTold(Exception):
    """A step came out differently than it was told."""


class Teller:
    """Says the steps as they happen, and keeps them.

    Attributes:
        steps: each step told so far, with its commands and checks.
    """

    def __init__(self, say: Callable[[str], None], pause_s: float) -> None:
        """Start with no steps.

        Args:
            say: gets each line, in which what others wrote may still hold anything.
            pause_s: how long to stop after a step, for somebody who reads along.
        """
        self.steps: list[dict[str, Any]] = []
        self._say = say
        self._pause_s = pause_s

    def begin(self, told: str, *commands: str) -> None:
        """Announce a step.

        Args:
            told: what is going to happen, in a sentence.
            commands: how it is asked for.
        """
        if self.steps:
            self._say("")
        self.steps.append({"step": len(self.steps) + 1, "told": told, "commands": list(commands), "checks": []})
        self._say(f"{len(self.steps)}. {told}")
        for command in commands:
            self._say(f"   > {command}")

    def check(self, expected: str, came: str, *, ok: bool) -> None:
        """Note what was expected and what came.

        Raises:
            NotAsTold: they differ.
        """
        self.steps[-1]["checks"].append({"expected": expected, "came": came, "ok": ok})
        self._say(f"   expected: {expected}")
        self._say(f"   came:     {came}{'' if ok else '   <- NOT AS TOLD'}")
        if not ok:
            step = self.steps[-1]
            raise NotAsTold(f"step {step['step']} ({step['told']}): expected {expected}; came {came}")

    def show(self, text: str) -> None:
        """Say what a command printed."""
        for line in text.expandtabs(4).rstrip("\n").split("\n"):
            self._say(f"   | {line}" if line else "   |")

    async def rest(self) -> None:
        """Give somebody who reads along the time to do so."""
        if self._pause_s:
            import anyio

            await anyio.sleep(self._pause_s)
