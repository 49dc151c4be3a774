"""`pre-push`: the log is fetched and published once, and what is pushed is looked at once more."""

from __future__ import annotations

from collections.abc import Iterable

from gitcoord.hooks import connect, gitrun, pushed, speech
from gitcoord.model import ALIAS_REF
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitcoord.hooks.ground import Ground
    from gitcoord.hooks.settings import Settings

_OWN_REFS = "refs/gitcoord/"


class RefUpdate(NamedTuple):
    """One line that `pre-push` reads."""

    local_ref: str
    local: str
    remote_ref: str
    remote: str


def updates_in(text: str) -> list[RefUpdate]:
    """Return what `pre-push` was told is pushed."""
    return [RefUpdate(*line.split(" ")) for line in text.splitlines() if line.count(" ") == 3]


def is_zero(oid: str) -> bool:
    """Tell whether an object's name stands for none."""
    return not oid.strip("0")


def pre_push(ground: Ground, settings: Settings, remote: str, updates: list[RefUpdate]) -> bool:
    """Say what stands in a push's way; false where it must not be made."""
    code = [one for one in updates if not one.remote_ref.startswith((_OWN_REFS, ALIAS_REF))]
    if not code:
        return True
    speech.tell(connect.publish_and_fetch(ground.access))
    wanted = [one.local for one in code if not is_zero(one.local)]
    known = [f"--remotes={remote}", *_there(one.remote for one in code if not is_zero(one.remote))]
    found = pushed.commits(wanted, known)
    state, now = ground.now()
    faults = pushed.judge(pushed.Ground(ground.access.log, state, ground.callers, now, ground.asker(state)), found)
    if faults:
        verdict = "warning" if settings.mode == "warn" else "push refused"
        speech.tell([f"gitcoord: {verdict}:", *pushed.fault_lines(faults), pushed.way_out(faults)])
    return not faults or settings.mode == "warn"


def _there(oids: Iterable[str]) -> list[str]:
    """Return those commits that this clone has: the remote may be ahead of what was fetched."""
    found: list[str] = []
    for oid in oids:
        code, _ = gitrun.Running(["cat-file", "-e", f"{oid}^{{commit}}"]).end()
        if code == 0:
            found.append(oid)
    return found
