"""Several clones that share one log through a bare remote, on one disk: partitions, hooks, clocks hours apart."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gitcoord.service import initialise, open_desk
from support.clock import ManualClock
from support.repo import LOG_REF, add_worktree, fsck, git, make_repo

if TYPE_CHECKING:
    from gitcoord.service import Desk

_HOUR_MS = 3_600_000
# Hooks are told who speaks, and what a test lays down for them.
_HOOK = "#!/bin/sh\n{script}\n"
# Stands in for ssh: the far side outlives whoever asked, as a server does.
_FAR = '#!/bin/sh\nexec setsid sh -c "$2"\n'


class Clones:
    """A bare remote and its clones; the first clone has a second worktree.

    Attributes:
        root: the directory of all.
        hub: the bare remote.
        clones: the clones' worktrees.
        side: a linked worktree of the first clone.
        clocks: a clock for each clone, each of a machine of its own, hours apart; used where a desk is asked for one.
    """

    def __init__(self, path: str | os.PathLike[str], count: int = 5) -> None:
        """Make the remote with a log on it, and clones that have joined it."""
        self.root = os.fspath(path)
        self.hub = make_repo(os.path.join(self.root, "hub.git"), bare=True)
        git(self.hub, "config", "receive.fsckObjects", "true")
        git(self.hub, "config", "receive.keepAlive", "0")  # a word to a client that is gone would end what receives
        seed = make_repo(os.path.join(self.root, "seed"))
        git(seed, "push", "-q", self.hub, "main")
        self.clones = [self._clone(number) for number in range(count)]
        self.side = add_worktree(self.clones[0], os.path.join(self.root, "side"))
        self.clocks = [
            ManualClock(1_750_000_000_000 + (number - 2) * 5 * _HOUR_MS, machine=f"machine-{number}")
            for number in range(count)
        ]
        self._desks: dict[tuple[str, str], Desk] = {}
        initialise(self.clones[0], remote="origin")
        for clone in self.clones[1:]:
            assert initialise(clone)["joined"], clone

    def _clone(self, number: int) -> str:
        where = os.path.join(self.root, f"clone{number}")
        git(self.root, "clone", "-q", self.hub, where)
        git(where, "config", "gitcoord.fsync", "false")
        return where

    @property
    def places(self) -> list[str]:
        """Where one can work: every clone's worktree, and the linked one."""
        return [*self.clones, self.side]

    # -- who is there

    def desk(self, number: int, session: str | None = None, *, real: bool = False, process: bool = False) -> Desk:
        """Return the desk of a session in a clone, the same one each time; by the clone's own clock unless `real`."""
        name = session or f"c{number}"
        key = self.clones[number], name
        if key not in self._desks:
            clock = None if real else self.clocks[number]
            self._desks[key] = open_desk(self.clones[number], session=name, process=process, clock=clock)
        return self._desks[key]

    def tick(self, seconds: float = 0.001) -> None:
        """Let time pass on all machines."""
        for clock in self.clocks:
            clock.advance(seconds)

    # -- the remote

    def partition(self) -> None:
        """Take the remote away."""
        os.rename(self.hub, f"{self.hub}.away")

    def heal(self) -> None:
        """Put it back; harmless where it is there."""
        if os.path.exists(f"{self.hub}.away"):
            os.rename(f"{self.hub}.away", self.hub)

    def cut_off(self, number: int) -> None:
        """Take the remote away from one clone."""
        git(self.clones[number], "remote", "set-url", "origin", f"{self.root}/nowhere")

    def reach(self, number: int) -> None:
        """Let a clone that was cut off reach the remote again; harmless for others."""
        git(self.clones[number], "remote", "set-url", "origin", self.hub)

    def hook(self, name: str, script: str) -> None:
        """Give the remote a hook, in one step."""
        path = f"{self.hub}/hooks/{name}"
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(_HOOK.format(script=script))
        os.chmod(f"{path}.new", 0o755)
        os.replace(f"{path}.new", path)

    def unhook(self, name: str) -> None:
        """Take a hook away from it."""
        os.unlink(f"{self.hub}/hooks/{name}")

    def set_far(self, number: int) -> None:
        """Let a clone reach the remote through a program that leaves the far side running when it is killed."""
        script = os.path.join(self.root, "far")
        if not os.path.exists(script):
            with open(script, "w", encoding="utf-8") as file:
                file.write(_FAR)
            os.chmod(script, 0o755)
        clone = self.clones[number]
        git(clone, "config", "core.sshCommand", script)
        git(clone, "config", "ssh.variant", "simple")
        git(clone, "remote", "set-url", "origin", f"ssh://far{self.hub}")

    # -- what became of it

    def remote_tip(self) -> str:
        """Return the tip of the remote's log."""
        return git(self.hub, "rev-parse", LOG_REF)

    def converge(self) -> str:
        """Let every clone meet the remote until all have the same tip, and return it."""
        tips: set[str] = set()
        for _ in range(4):
            for clone in self.clones:
                answer = open_desk(clone, session="converges").sync()
                assert answer["ok"], f"{clone}: {answer}"
            tips = {git(where, "rev-parse", LOG_REF) for where in (*self.clones, self.hub)}
            if len(tips) == 1:
                return tips.pop()
        raise AssertionError(f"the clones do not come to one tip: {tips}")

    def check_sound(self) -> None:
        """Let git look at every object of every repository."""
        for where in (self.hub, *self.clones):
            assert fsck(where) == [], where
            trees = {git(where, "rev-parse", f"{LOG_REF}^{{tree}}") for where in (self.hub, *self.clones)}
            assert len(trees) == 1, "the clones have one state"


def granted(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that has to be a confirmed grant."""
    assert answer["granted"], answer
    assert answer["state"] == "confirmed", answer
    assert isinstance(answer["token"], int), answer
    return answer


def done(answer: dict[str, Any], verdict: str = "ok") -> dict[str, Any]:
    """Return an answer that has to be a good one."""
    assert answer.get(verdict), answer
    assert "error" not in answer, answer
    return answer
