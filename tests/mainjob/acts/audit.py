"""The audit: what plain git says of all this, and that nothing of the user's was touched."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from mainjob import witness
from support import program
from support.repo import fsck, read_log

if TYPE_CHECKING:
    from mainjob.cast import Stage

_SHOWN = 40


async def clean_up(stage: Stage) -> None:
    """Housekeeping: git gc, pack-refs, repack and prune lose nothing."""
    note = stage.recorder
    before = stage.git("rev-list", "refs/coord")
    state = stage.git("ls-tree", "-r", "refs/coord")
    for words in (
        ("pack-refs", "--all"),
        ("gc", "--prune=now", "--quiet"),
        ("repack", "-adq"),
        ("prune", "--expire=now"),
        ("reflog", "expire", "--expire=90.days", "--all"),
    ):
        note.asked("git " + " ".join(words))
        await anyio.to_thread.run_sync(partial(stage.git, *words))
    note.same("the log is the same", stage.git("rev-list", "refs/coord") == before, True)
    note.same("and the state", stage.git("ls-tree", "-r", "refs/coord") == state, True)
    note.same("the alias still leads to it", stage.git("symbolic-ref", "refs/coord"), "refs/gitcoord/main")
    answer = await stage.second.call("lock_files", files=[stage.project.files[0]])
    note.granted("a server that was there before works on", answer)
    await stage.second.call("unlock_files", all=True)
    note.same("git fsck --strict", await anyio.to_thread.run_sync(fsck, stage.project.root), [])


async def plain_git(stage: Stage) -> None:
    """Plain git: the history of a lock, a session and a commit can be read without gitcoord."""
    note, dana = stage.recorder, stage.dana
    path = stage.project.files[2]
    start = stage.git("rev-parse", "refs/coord")
    await dana.ask("lock", path, "-m", "to be found by git")
    await dana.ask("lock", path, "--ttl", "1h")
    record = stage.git("show", f"refs/coord:locks/{path}/@dana.json")
    note.same("git show of a lock", json.loads(record)["reason"], "to be found by git")
    blob = stage.git_bytes("show", "refs/coord:sessions/dana.json")
    session: dict[str, Any] = json.loads(blob)
    note.same("git show of a session", (session["session"], session["held"]), ("dana", 1))
    note.same("keys are sorted", list(session), sorted(session))
    note.same("one field a line, newline at the end", blob.endswith(b"}\n") and blob.count(b"\n") > len(session), True)
    await dana.ask("unlock", path)
    subjects = stage.git("log", "--format=%s", f"{start}..refs/coord", "--", f"locks/{path}").splitlines()
    note.same("git log of a path", subjects, [f"unlock: {path} (dana)", f"lock: {path} (dana)", f"lock: {path} (dana)"])
    patch = stage.git("log", "-p", "--format=%s", f"{start}..refs/coord", "--", f"locks/{path}")
    note.expect("git log -p reads well", patch[-300:], ok='"reason": "to be found by git"' in patch)
    entry = read_log(stage.project.root)[-1]
    wanted = {"Coord-Op": ["lock.release"], "Coord-Session": ["dana"], "Coord-Path": [path]}
    note.same("trailers", {k: v for k, v in entry.trailers.items() if k in wanted}, wanted)
    note.same("the author", entry.author, "dana")
    own = await dana.ask("session", "end", "dana")
    note.expect("the person goes home", own, ok=own.get("ok") is True)


async def whole(stage: Stage) -> None:
    """The whole log: complete, unbroken, every grant on it once, tokens growing along it."""
    note = stage.recorder
    log = read_log(stage.project.root)
    revisions = [int(entry.trailers["Coord-Rev"][0]) for entry in log]
    note.expect("one line of commits", len(log), ok=all(len(entry.parents) <= 1 for entry in log))
    note.same("revisions without a gap", revisions, list(range(revisions[0], revisions[0] + len(log))))
    ids = [one for entry in log for one in entry.ids]
    note.expect("every operation's id is there once", f"{len(ids)} ids", ok=len(ids) == len(set(ids)))
    long = [entry.subject for entry in log if len(entry.subject) > 100]
    note.same("no subject is longer than 100", long, [])
    at = {one: int(entry.trailers["Coord-Rev"][0]) for entry in log for one in entry.ids}
    lost = [grant for grant, _ in stage.grants if grant not in at]
    note.expect(f"each of {len(stage.grants)} grants is on the log", lost, ok=not lost and len(stage.grants) > 0)
    wrong = [(grant, token) for grant, token in stage.grants if at.get(grant) != token]
    note.same("and its token is the revision at which it took effect", wrong, [])
    kinds = {op for entry in log for op in entry.trailers["Coord-Op"]}
    wanted = {
        *("log.init", "session.start", "session.end", "session.renew", "session.resume", "session.reap"),
        *("lock.acquire", "lock.release", "lock.break", "lock.expire"),
        *("data.store", "data.delete", "data.delete_scope"),
    }
    note.same("all kinds of operations happened", kinds, wanted)
    left = stage.git("ls-tree", "-r", "--name-only", "refs/coord").splitlines()
    note.same("nothing is left held or stored", sorted(left), ["coord.json", "policy.json"])
    for command in (("fsck", "--strict", "--full"), ("rev-list", "--objects", "--all", "--quiet")):
        note.asked("git " + " ".join(command))
        await anyio.to_thread.run_sync(partial(stage.git, *command))
    note.same("git fsck --strict", await anyio.to_thread.run_sync(fsck, stage.project.root), [])
    errors = [name for name in sorted(os.listdir(stage.scratch)) if name.endswith(".log")]
    told = {name: text for name in errors if (text := _read(os.path.join(stage.scratch, name)))}
    note.expect("the servers complained of nothing", told or "nothing", ok=not told)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


async def untouched(stage: Stage) -> None:
    """Untouched: files, HEAD, index, branches, config and hooks are byte for byte as they were."""
    note = stage.recorder
    after = await anyio.to_thread.run_sync(witness.look, stage.project)
    note.expect("there was something to compare", f"{len(after):,} files", ok=len(after) > stage.project.size * 2)
    note.same("what changed", witness.differences(stage.before, after, cleaned=True), [])
    for where in (stage.project.root, stage.project.worktree):
        state = stage.git("--no-optional-locks", "-C", where, "status", "--porcelain")
        note.same("git status finds nothing", state, "")


def tell(stage: Stage) -> str:
    """Show the audit's end, by gitcoord and by git, and return the whole of it."""
    recorder = stage.recorder
    recorder.act("The audit")
    recorder.asked("gitcoord log -n 15")
    recorder.show(program.run(stage.project.root, "log", "-n", "15").out)
    story = stage.git("log", "--format=%h %s", "refs/coord")
    lines = story.splitlines()
    recorder.asked("git log --oneline refs/coord")
    recorder.show("\n".join(lines[:_SHOWN]))
    recorder.show(f"... and {len(lines) - _SHOWN:,} more" if len(lines) > _SHOWN else "")
    return story
