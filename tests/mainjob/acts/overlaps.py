"""What stands in each other's way: directories, patterns, named resources."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainjob.cast import Stage


async def _pair(stage: Stage, held: str, wanted: str, *, meet: bool) -> None:
    """Expect two claims to meet or not to meet, whichever is held first."""
    note, first, second = stage.recorder, stage.first, stage.second
    for one, two in ((held, wanted), (wanted, held)):
        note.granted(f"{one} is held", await first.call("lock_files", files=[one]))
        answer = await second.call("lock_files", files=[two])
        if meet:
            note.refused(f"{two} overlaps it", answer, "lock_held")
            seen = await second.call("get_locked_files", path=two)
            note.same("asking for locks by that path shows it", len(seen["locks"]), 1)
        else:
            note.granted(f"{two} does not overlap it", answer)
            await second.call("unlock_files", all=True)
        await first.call("unlock_files", all=True)


async def directories(stage: Stage) -> None:
    """Directories: a lock on one covers all below it, and the other way round they conflict."""
    note, first, dana, project = stage.recorder, stage.first, stage.dana, stage.project
    await _pair(stage, project.package, project.files[0], meet=True)
    await _pair(stage, project.package + "/", project.deep, meet=True)
    await _pair(stage, project.inner, project.files[0], meet=False)
    await _pair(stage, f"{project.package}/not-there-yet/", f"{project.package}/not-there-yet/deep/file.txt", meet=True)
    answer = await first.call("lock_files", files=[project.inner])
    note.same("a directory is seen as one", answer["locks"][0]["kind"], "directory")
    done = await dana.run("check", project.deep)
    note.expect("what is below may not be edited", f"{done.code}: {done.err}", ok=done.code == 1)
    done = await dana.run("check", project.deep, "--session", "claude-code-1")
    note.expect("but by its holder", f"{done.code}: {done.out}", ok=done.code == 0)
    whole = await first.call("lock_files", files=["."])
    note.granted("the whole worktree", whole)
    note.refused("covers everything", await dana.ask("lock", project.files[0]), "lock_held")


async def patterns(stage: Stage) -> None:
    """Patterns: stars stop at slashes, double stars cross them, brackets are letters."""
    note, first, dana, project = stage.recorder, stage.first, stage.dana, stage.project
    package, suffix = project.package, project.suffix
    await _pair(stage, f"{package}/*{suffix}", project.files[0], meet=True)
    await _pair(stage, f"{package}/*{suffix}", project.deep, meet=False)
    await _pair(stage, f"{package}/**/{os.path.basename(project.deep)}", project.deep, meet=True)
    await _pair(stage, f"{package}/**/*", project.files[0], meet=True)
    await _pair(stage, f"**/*{suffix}", f"{package}/a*", meet=True)
    await _pair(stage, f"{package}/*.one", f"{package}/*.two", meet=False)
    await _pair(stage, f"{package}/a*.x", f"{package}/*b.x", meet=True)
    await _pair(stage, f"{package}/?.x", f"{package}/ab.x", meet=False)
    await _pair(stage, f"{package}/**", package, meet=True)
    await _pair(stage, f"{package}/[id]/page.tsx", f"{package}/i/page.tsx", meet=False)
    answer = await first.call("lock_files", files=[f"{package}/[id]/page.tsx", f"{package}/\\*.md", f"{package}/*.md"])
    note.same("their kinds", [lock["kind"] for lock in answer["locks"]], ["file", "file", "pattern"])
    code = (await dana.run("check", f"{package}/x.md")).code
    note.same("what a pattern matches may not be edited", code, 1)
    code = (await dana.run("check", f"{package}/x.txt")).code
    note.same("what it does not match may", code, 0)


async def resources(stage: Stage) -> None:
    """Named resources: a namespace of their own."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    name = "deploy/prod"
    note.granted("a resource", await first.call("lock_files", files=[name], resource=True, reason="release day"))
    note.refused("is held", await second.call("lock_files", files=[name], resource=True), "lock_held")
    note.granted("a file of that name is another thing", await second.call("lock_files", files=[name]))
    note.granted("a longer name is another", await second.call("lock_files", files=[name + "/x"], resource=True))
    done = await dana.run("check", "--resource", name)
    note.same("check of it, exit 1", done.code, 1)
    listed = (await dana.ask("locks", "--resource", name))["locks"]
    seen = [(k["path"], k["kind"], k["session"]) for k in listed]
    note.same("the command line lists it", seen, [(name, "resource", "claude-code-1")])
    broken = await dana.ask("unlock", "--force", "--resource", name, "-m", "stuck")
    note.expect("broken by the person", broken, ok=broken.get("ok") is True)
    shared = await dana.ask("lock", "--resource", "port/8080", "--shared")
    note.granted("shared", shared)
    note.granted("with another", await second.call("lock_files", files=["port/8080"], resource=True, mode="shared"))
    gone = await second.call("unlock_files", files=["port/8080"], resource=True)
    note.same("given back", gone.get("released"), ["port/8080"])
    tree = stage.git("ls-tree", "-r", "--name-only", "refs/coord", "resources/")
    note.expect("in the tree by name", tree, ok="resources/port/8080/@dana.json" in tree.splitlines())
