"""What kill -9 leaves behind, and who may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from mainjob.cast import TIMEOUT_S, until

if TYPE_CHECKING:
    from mainjob.cast import Stage

_REASON = "half way through"
_AT_ONCE_S = 5.0


async def killed(stage: Stage) -> None:
    """Kill -9: the first agent's server dies while it holds a file; it is seen dead at once."""
    note, first = stage.recorder, stage.first
    answer = await first.call("lock_files", files=[stage.project.files[0]], reason=_REASON)
    note.granted("the first holds a file", answer)
    shown = await stage.dana.ask("session", "show", "claude-code-1")
    stage.lost = {"token": answer["token"], "incarnation": shown["session"]["incarnation"]}
    first.kill()
    note.expect("the process is gone", "gone", ok=await until(lambda: not first.is_served()))
    shown = await stage.dana.ask("session", "show", "claude-code-1")
    note.same("it is dead at once", shown["session"]["state"], "dead")
    status = await stage.dana.ask("status")
    told = [line for line in status["warnings"] if "claude-code-1" in line]
    note.expect("status warns of what the dead one holds", told, ok=len(told) == 1)


async def resume(stage: Stage) -> None:
    """Resume: an agent comes back in a new process, presents its incarnation, and has its lock still."""
    note, second, dana = stage.recorder, stage.second, stage.dana
    path = "phoenix/ashes.txt"
    async with stage.agent("phoenix", "auto", "--repo", stage.project.root) as agent:
        incarnation = (await agent.call("sign_on"))["incarnation"]
        granted = await agent.call("lock_files", files=[path], reason=_REASON)
        agent.kill()
        note.expect("killed while it holds a file", "gone", ok=await until(lambda: not agent.is_served()))
    async with stage.agent("phoenix", "legacy", "--repo", stage.project.root) as agent:
        answer = await agent.call("sign_on", incarnation=incarnation)
        note.same("the same id", answer.get("session"), "phoenix-1")
        note.same("the same incarnation", answer.get("incarnation"), incarnation)
        locks: list[dict[str, Any]] = (await agent.call("get_locked_files", path=path))["locks"]
        held = [(lock["session"], lock["token"], lock["reason"]) for lock in locks]
        note.same("the lock is still its own, token and reason too", held, [("phoenix-1", granted["token"], _REASON)])
        again = await second.call("sign_on", incarnation=incarnation)
        note.refused("nobody else can be a living incarnation", again, "session_taken")
        note.refused("and its lock counts", await dana.ask("lock", path), "lock_held")
        agent.kill()
        note.expect("killed again", "gone", ok=await until(lambda: not agent.is_served()))
    note.granted("then its lock is free at once", await dana.ask("lock", path))


async def take_over(stage: Stage) -> None:
    """Takeover: of the dead one's id, by who asks for it; no lock is inherited."""
    note, first, second = stage.recorder, stage.first, stage.second
    path = stage.project.files[0]
    refused = await first.call("sign_on", session="claude-code-1")
    note.refused("not without asking for it", refused, "session_taken")
    taken = await first.call("sign_on", session="claude-code-1", takeover=True)
    note.same("the id of the dead one", taken.get("session"), "claude-code-1")
    fresh = taken.get("incarnation")
    note.expect("under a new incarnation", str(fresh), ok=bool(fresh) and fresh != stage.lost["incarnation"])
    note.same("with none of its locks", (await first.call("get_locked_files", path=path))["locks"], [])
    subject = stage.git("log", "-1", "--format=%s", "refs/coord")
    note.same("the log says why", subject, "takeover: claude-code-1 (its process is gone)")
    old = await second.call("sign_on", incarnation=stage.lost["incarnation"])
    note.refused("the old incarnation is over for good", old, "session_ended")
    answer = await second.call("lock_files", files=[path])
    note.granted("the file is free", answer)
    lost = stage.lost["token"]
    note.expect(f"with a token above the dead one's {lost}", answer, ok=answer["token"] > lost)


async def inherit(stage: Stage) -> None:
    """Kill -9 once more: one who waits in line gets the dead one's file at once, and the log says why."""
    note, first, second = stage.recorder, stage.first, stage.second
    path = stage.project.files[1]
    held = await first.call("lock_files", files=[path, stage.project.inner + "/"], reason=_REASON)
    note.granted("the first holds a file and a directory", held)
    async with anyio.create_task_group() as group:
        pending = second.begin(group, "lock_files", files=[path], wait_s=TIMEOUT_S, reason="taking over")
        note.expect("the second waits in line", "it waits", ok=await stage.until_waiting("codex-1"))
        first.kill()
        at = anyio.current_time()
        answer = await pending.answer()
        took_s = anyio.current_time() - at
        note.granted("granted to the one who waited", answer)
        note.expect(f"at once (within {_AT_ONCE_S:.0f} s)", f"after {took_s:.2f} s", ok=took_s < _AT_ONCE_S)
        note.expect(f"with a token above {held['token']}", answer, ok=answer["token"] > held["token"])
    subjects = stage.git("log", "-2", "--format=%s", "refs/coord").splitlines()
    wanted = [f"lock: {path} (codex-1)", "reap: claude-code-1 (its process is gone), by codex-1"]
    note.same("the log says why", subjects, wanted)
    left = await second.call("get_locked_files", path=stage.project.inner)
    note.same("and what else it held is free", left["locks"], [])
