"""A clock that tests set by hand."""

from __future__ import annotations

from gitcoord.model_time import Stamp
from gitcoord.runtime.machine import Clock


class ManualClock(Clock):
    """Stands still until it is told to move; it is a `Clock`."""

    def __init__(self, at_ms: int = 1_750_000_000_000, *, machine: str = "machine-a", boot: str | None = None) -> None:
        self.at_ms = at_ms
        self.uptime_ms = 1_000_000
        self.machine = machine
        self.boots = 1
        self._boot = boot

    @property
    def boot(self) -> str:
        return self._boot or f"{self.machine}-boot-{self.boots}"

    def stamp(self) -> Stamp:
        return Stamp(self.at_ms, self.uptime_ms, self.boot, self.machine)

    def advance(self, seconds: float) -> Stamp:
        """Let time pass, for every clock of the machine."""
        self.at_ms += round(seconds * 1000)
        self.uptime_ms += round(seconds * 1000)
        return self.stamp()

    def jump(self, seconds: float) -> Stamp:
        """Set the wall clock; no time passes."""
        self.at_ms += round(seconds * 1000)
        return self.stamp()

    def reboot(self) -> Stamp:
        """Start the machine anew: another boot, uptime from zero."""
        self.boots += 1
        self._boot = None
        self.uptime_ms = 0
        return self.stamp()
