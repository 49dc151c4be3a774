"""How it begins: nothing works before init, and init touches nothing that is the user's."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mainjob import witness
from support.repo import git

if TYPE_CHECKING:
    from mainjob.cast import Stage


async def initialise(stage: Stage) -> None:
    """Init: ordinary, again, from the linked worktree, in a bare repository; nothing else is touched."""
    note, project = stage.recorder, stage.project
    note.expect(f"at least {stage.at_least:,} files under git", f"{project.size:,}", ok=project.size >= stage.at_least)
    note.expect(
        "one client of the older protocol, one of the newest",
        f"{stage.first.client.protocol_version} and {stage.second.client.protocol_version}",
        ok=stage.first.client.protocol_version < "2026" <= stage.second.client.protocol_version,
    )
    bare = os.path.join(stage.scratch, "bare.git")
    git(project.root, "clone", "-q", "--bare", project.root, bare)
    stage.before = witness.look(project)
    await _before(stage)

    made = await stage.dana.ask("init")
    note.expect("init makes a log", made, ok=made.get("ok") is True and made.get("created") is True)
    tip = stage.git("rev-parse", "refs/gitcoord/main")
    for where in (project.root, os.path.join(project.root, project.package), project.worktree):
        again = await stage.dana.ask("init", where=where)
        same = again.get("created") is False and again.get("repository") == made["repository"]
        note.expect("init again changes nothing, and finds the same log", again, ok=same)
    note.same("the tip is where it was", stage.git("rev-parse", "refs/gitcoord/main"), tip)
    told = await stage.dana.ask("init", where=bare)
    made_or_joined = told.get("created") is True or told.get("joined") is True  # a clone finds the log that is there
    note.expect("init in a bare repository", told, ok=made_or_joined)
    note.same("the bare one's alias", git(bare, "symbolic-ref", "refs/coord"), "refs/gitcoord/main")
    outside = await stage.dana.run("init", where=stage.scratch)
    note.expect("outside of any repository init fails with 5", f"{outside.code}: {outside.err}", ok=outside.code == 5)

    _look_at_refs(stage)
    changed = witness.differences(stage.before, witness.look(project))
    note.same("no byte of files, HEAD, index, refs, config or hooks changed", changed, [])


async def _before(stage: Stage) -> None:
    """Ask before there is a log."""
    note = stage.recorder
    for agent in (stage.first, stage.second):
        answer = await agent.call("lock_files", files=[stage.project.files[0]])
        note.refused("a server answers before init, and does not initialise", answer, "not_initialised")
        told = answer.get("error", {}).get("next", "")
        note.expect("it says what to do", told, ok="gitcoord init" in told)
    done = await stage.dana.run("status")
    note.expect("so does the command line, exit 5", f"{done.code}: {done.err}", ok=done.code == 5)
    changed = witness.differences(stage.before, witness.look(stage.project))
    note.same("asking changed nothing", changed, [])
    left = _in_git_dir(stage)
    note.expect("and left no directory", left, ok="gitcoord" not in left)


def _in_git_dir(stage: Stage) -> list[str]:
    return sorted(os.listdir(os.path.join(stage.project.root, ".git")))


def _look_at_refs(stage: Stage) -> None:
    note = stage.recorder
    git_dir = os.path.join(stage.project.root, ".git")
    note.same("refs/coord leads to the log", stage.git("symbolic-ref", "refs/coord"), "refs/gitcoord/main")
    in_worktree = git(stage.project.worktree, "rev-parse", "refs/coord")
    note.same("the linked worktree shares it", in_worktree, stage.git("rev-parse", "refs/gitcoord/main"))
    reflog = stage.git("reflog", "show", "--format=%gs", "refs/gitcoord/main")
    note.expect("the log has a reflog", reflog, ok=bool(reflog))
    runtime = os.path.join(git_dir, "gitcoord")
    mode = stat.S_IMODE(os.stat(runtime).st_mode)
    note.same("the runtime directory's rights", f"{mode:o}", "700")
    note.expect("it has a README", os.listdir(runtime), ok="README" in os.listdir(runtime))
    subject = stage.git("log", "--format=%s", "refs/coord")
    note.expect("one commit, which says so", subject, ok=subject.startswith("init: ") and "\n" not in subject)
