"""Waiting in line: granted in turn, given up, ended where it would never end, forgotten where nobody waits any more."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import anyio

from mainjob.cast import TIMEOUT_S
from support import program

if TYPE_CHECKING:
    from mainjob.cast import Stage


async def turn(stage: Stage) -> None:
    """Turn: first come, first served, over MCP and at the command line alike."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    path = stage.project.files[0]
    held = await dana.ask("lock", path, "-m", "first things first")
    async with anyio.create_task_group() as group:
        one = first.begin(group, "lock_files", files=[path], wait_s=TIMEOUT_S, reason="one")
        note.expect("the first waits", "in line", ok=await stage.until_waiting("claude-code-1"))
        two = second.begin(group, "lock_files", files=[path], wait_s=TIMEOUT_S, reason="two")
        note.expect("the second waits behind", "in line", ok=await stage.until_waiting("claude-code-1", "codex-1"))
        state = await dana.ask("status")
        paths = [entry["paths"] for entry in state["waiting"]]
        note.same("status says for what", paths, [[path], [path]])
        eager = await dana.ask("lock", path, "--session", "eager")
        note.refused("who does not wait gets nothing", eager, "lock_held")
        seen = [c["session"] for c in eager.get("conflicts", [])]
        note.expect("and is told who holds it, not only who waits for it", seen, ok="dana" in seen)
        await dana.run("unlock", path)
        came = await one.answer()
        note.granted("released: the first gets it", came)
        note.expect("the second does not", "still waiting", ok=not two.is_here)
        jumper = await dana.ask("lock", path, "--session", "jumper")
        note.refused("nobody jumps the line", jumper, "lock_held")
        await first.call("unlock_files", files=[path])
        late = await two.answer()
        note.granted("then the second", late)
        tokens: list[int] = [held["token"], came["token"], late["token"]]
        note.expect("tokens grow from holder to holder", tokens, ok=tokens == sorted(set(tokens)))
    async with anyio.create_task_group() as group:
        person = dana.begin(group, "lock", path, "--wait", "20s")
        note.expect("the person waits", "in line", ok=await stage.until_waiting("dana"))
        await second.call("unlock_files", all=True)
        note.granted("and gets it", await person.answer())
    note.same("nobody waits any more", await stage.waiting(), [])


async def limit(stage: Stage) -> None:
    """Limit: who waited long enough is told who holds it still."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    path = stage.project.files[0]
    await first.call("lock_files", files=[path], reason="a long piece of work")
    began = time.monotonic()
    answer = await second.call("lock_files", files=[path], wait_s=0.7)
    took_s = time.monotonic() - began
    note.refused("after its limit", answer, "wait_timeout")
    note.expect("0.7 s, not much more", f"{took_s:.2f} s", ok=0.65 < took_s < 3)
    note.same("by whom", [c["session"] for c in answer.get("conflicts", [])], ["claude-code-1"])
    done = await dana.run("lock", path, "--wait", "1s")
    note.expect("the person too, exit 1", f"{done.code}: {done.err}", ok=done.code == 1 and "claude-code-1" in done.err)
    note.same("nobody is left in line", await stage.waiting(), [])
    answer = await second.call("lock_files", files=[stage.project.files[1]], wait_s=5)
    note.granted("what is free is granted at once", answer)


async def ring(stage: Stage) -> None:
    """Deadlock: of waiters that wait for each other, the newest is told at once."""
    note, first, second = stage.recorder, stage.first, stage.second
    one, two = stage.project.files[:2]
    await first.call("lock_files", files=[one])
    await second.call("lock_files", files=[two])
    async with anyio.create_task_group() as group:
        pending = first.begin(group, "lock_files", files=[two], wait_s=TIMEOUT_S)
        note.expect("the first waits for the second", "in line", ok=await stage.until_waiting("claude-code-1"))
        began = time.monotonic()
        answer = await second.call("lock_files", files=[one], wait_s=TIMEOUT_S)
        took_s = time.monotonic() - began
        note.refused("the second would wait for ever", answer, "deadlock")
        note.same("the ring is named", sorted(answer.get("ring", [])), ["claude-code-1", "codex-1"])
        note.expect("at once", f"{took_s:.2f} s", ok=took_s < 3)
        note.expect("the first waits on", "still waiting", ok=not pending.is_here)
        await second.call("unlock_files", all=True)
        note.granted("and gets it when the second gives way", await pending.answer())


async def gone(stage: Stage) -> None:
    """Gone: a waiter that was killed or called off is forgotten, and holds up nobody."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    path = stage.project.files[0]
    await first.call("lock_files", files=[path])
    words = ("lock", path, "--wait", "60s", "--session", "doomed")
    note.expect("somebody waits", "in line", ok=await _start_and_kill(stage, words))
    note.same("killed: forgotten", await stage.waiting(), [])
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            second.begin(group, "lock_files", files=[path], wait_s=TIMEOUT_S)
            note.expect("the second waits", "in line", ok=await stage.until_waiting("codex-1"))
            scope.cancel()
    note.expect("called off: it leaves the line", "nobody waits", ok=await stage.until_waiting())
    await first.call("unlock_files", all=True)
    note.granted("neither is in the way", await dana.ask("lock", path))
    note.same("nor gets it late", [k["session"] for k in (await first.call("get_locked_files"))["locks"]], ["dana"])
    note.granted("its server works on", await second.call("lock_files", files=[stage.project.files[1]]))
    await dana.run("session", "end", "doomed")


async def _start_and_kill(stage: Stage, words: tuple[str, ...]) -> bool:
    """Start a command, kill it once it waits, and return whether it did wait."""
    stage.recorder.asked(f"gitcoord {' '.join(words)}   (killed with SIGKILL while it waits)")
    process = await anyio.to_thread.run_sync(partial(program.start, stage.project.root, *words))
    waited = await stage.until_waiting("doomed")
    os.kill(process.pid, signal.SIGKILL)
    await anyio.to_thread.run_sync(process.communicate)
    return waited
