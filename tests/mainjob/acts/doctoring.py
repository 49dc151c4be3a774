"""Doctor: what goes wrong around the log is found by name, and put right where it can be."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from support.mcp_face import ServerProcess
from support.repo import loosen

if TYPE_CHECKING:
    from mainjob.cast import Stage

_LONG_AGO_S = 1_000_000_000


async def _found(stage: Stage, *words: str) -> dict[str, dict[str, Any]]:
    answer = await stage.dana.ask("doctor", *words)
    return {finding["code"]: finding for finding in answer["findings"]}


async def surroundings(stage: Stage) -> None:
    """Doctor: an alias flattened or missing, a leftover .lock, wrong rights; found, fixed, and gone."""
    note, dana = stage.recorder, stage.dana
    git_dir = os.path.join(stage.project.root, ".git")
    await dana.ask("doctor", "--fix")
    done = await dana.run("doctor")
    note.expect("all is in order", f"{done.code}: {done.out}{done.err}", ok=done.code == 0 and done.out == "")
    tip = stage.git("rev-parse", "refs/gitcoord/main")
    note.asked("refs/coord is flattened, a lock file is left behind, the directory is opened to all")
    stage.git("symbolic-ref", "--delete", "refs/coord")
    stage.git("update-ref", "refs/coord", tip)
    left = os.path.join(git_dir, "refs", "gitcoord", "main.lock")
    _leave(left)
    os.chmod(os.path.join(git_dir, "gitcoord"), 0o755)
    status = await dana.ask("status")
    note.expect("status warns", status["warnings"], ok=any("refs/coord" in line for line in status["warnings"]))
    broken = {"alias_flattened", "leftover_lock", "runtime_rights"}
    done = await dana.run("doctor")
    note.expect("doctor finds them, exit 5", f"{done.code}: {done.out}", ok=done.code == 5)
    found = await _found(stage)
    note.same("by name", set(found), broken)
    note.same("and offers to fix them", all(f["fixable"] and not f["fixed"] for f in found.values()), True)
    fixed = await _found(stage, "--fix")
    note.same("fixes them", {code for code, finding in fixed.items() if finding["fixed"]}, broken)
    note.same("then there is nothing", await _found(stage), {})
    mode = stat.S_IMODE(os.stat(os.path.join(git_dir, "gitcoord")).st_mode)
    came = (stage.git("symbolic-ref", "refs/coord"), os.listdir(os.path.dirname(left)), f"{mode:o}")
    note.same("really", came, ("refs/gitcoord/main", ["main"], "700"))

    stage.git("symbolic-ref", "--delete", "refs/coord")
    note.same("a missing alias", set(await _found(stage)), {"alias_missing"})
    note.granted("does not keep anybody from working", await dana.ask("lock", stage.project.files[0]))
    await dana.ask("doctor", "--fix")
    note.same("and is made again", stage.git("symbolic-ref", "refs/coord"), "refs/gitcoord/main")


async def gone(stage: Stage) -> None:
    """Doctor: a session whose process is gone and who still holds something."""
    note, path = stage.recorder, stage.project.files[0]
    await anyio.to_thread.run_sync(partial(_lock_and_die, stage, path))
    found = await _found(stage)
    note.same("it is found", set(found), {"dead_session"})
    message = found.get("dead_session", {}).get("message", "")
    note.expect("by name", message, ok="brittle-1" in message)
    done = await stage.dana.run("doctor")
    note.expect("a warning only: exit 0", f"{done.code}: {done.out}", ok=done.code == 0)
    fixed = await _found(stage, "--fix")
    note.same("it is ended", fixed.get("dead_session", {}).get("fixed"), True)
    entries = (await stage.dana.ask("log", "--session", "brittle-1", "-n", "1"))["entries"]
    note.same("the log says why", [e["type"] for e in entries], ["session.reap"])
    note.same("its lock is free", (await stage.dana.ask("locks", path))["locks"], [])


def _lock_and_die(stage: Stage, path: str) -> None:
    with ServerProcess(stage.project.root) as server:
        server.shake_hands("brittle")
        stage.recorder.granted("a server locks a file", server.ask("lock_files", files=[path]))
        stage.recorder.asked(f"kill -9 {server.process.pid}")
        server.process.kill()
        server.process.wait()


async def damaged(stage: Stage) -> None:
    """Damage: a record that cannot be read is named; nothing that it protects is granted because of it."""
    note, first, dana = stage.recorder, stage.first, stage.dana
    path = stage.project.files[0]
    await first.call("lock_files", files=[path])
    loosen(stage.project.root)
    oid = stage.git("rev-parse", f"refs/coord:locks/{path}/@claude-code-1.json")
    file = os.path.join(stage.project.root, ".git", "gitcoord", "objects", oid[:2], oid[2:])
    whole = _content(file)
    half = whole[: len(whole) // 2]
    flipped = whole[:-6] + bytes([whole[-6] ^ 0x10]) + whole[-5:]
    commands: list[tuple[str, ...]] = [("check", path), ("lock", path), ("unlock", path, "--force", "-m", "why")]
    for what, content in (("truncated", half), ("flipped", flipped), ("gone", b"")):
        note.asked(f"the record of the lock is {what}")
        _put(file, content)
        for words in commands:
            done = await dana.run(*words)
            said = f"{done.code}: {done.out}{done.err}"
            note.expect(f"{words[0]} fails closed, exit 3", said, ok=done.code == 3)
        found = await dana.ask("doctor")
        told = [finding["message"] for finding in found["findings"]]
        named = any(path in line and oid in line for line in told)
        note.expect("doctor names the record and its object", told, ok=found.get("ok") is False and named)
        _put(file, whole)
    done = await dana.run("check", path)
    note.expect("whole again: held as before", f"{done.code}: {done.err}", ok=done.code == 1)
    await first.call("unlock_files", all=True)
    note.same("and all is in order", sorted(await _found(stage)), [])


def _leave(path: str) -> None:
    """Leave an old empty file."""
    with open(path, "w", encoding="ascii"):
        pass
    os.utime(path, (_LONG_AGO_S, _LONG_AGO_S))


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _put(path: str, content: bytes) -> None:
    """Replace a file that may not be written to; nothing to put removes it."""
    if os.path.exists(path):
        os.unlink(path)
    if content:
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o444)
