"""How paths are written: one file is one lock, what is no path is refused, whatever git allows can be locked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from support.repo import fsck

if TYPE_CHECKING:
    from mainjob.cast import Stage


async def one_lock(stage: Stage) -> None:
    """One lock: by any spelling, from any directory, from the other worktree."""
    note, first, second, dana, project = stage.recorder, stage.first, stage.second, stage.dana, stage.project
    path = project.files[0]
    name, package = os.path.basename(path), project.package
    await first.call("lock_files", files=[path])
    elsewhere = os.path.join(project.worktree, path)
    odd = [
        f"./{package}//{name}",
        f"{package}/../{os.path.basename(package)}/./{name}",
        f"nowhere/../{path}",
        project.path(path),
        elsewhere,
    ]
    for spelled in odd:
        answer = await second.call("lock_files", files=[spelled])
        note.refused("the same lock", answer, "lock_held")
        note.same("under its one name", [c["path"] for c in answer.get("conflicts", [])], [path])
    inside, beside = os.path.join(project.root, package), os.path.join(project.worktree, project.inner)
    upwards = "../" * (project.inner.count("/") + 1) + path
    for where, spelled in ((inside, name), (beside, upwards), (beside, elsewhere)):
        done = await dana.run("check", spelled, where=where)
        note.expect(
            "the person means it too, from there", f"{done.code}: {done.err}", ok=done.code == 1 and path in done.err
        )
    code = (await dana.run("check", name, where=beside)).code
    note.same("a relative path is relative to where one is", code, 0)
    code = (await dana.run("-C", beside, "check", elsewhere)).code
    note.same("-C is as if started there", code, 1)
    released = await first.call("unlock_files", files=[odd[0]])
    note.same("unlocked by another spelling", released.get("released"), [path])
    answer = await second.call("lock_files", files=[path, odd[1], elsewhere])
    note.same("all spellings at once are one lock", len(answer.get("locks", [])), 1)
    late = f"{package}/to-be-written/by-and-by.txt"
    note.granted("what does not exist yet can be locked", await first.call("lock_files", files=[late]))
    note.refused("and is then held", await dana.ask("lock", late), "lock_held")
    link = os.path.join(stage.scratch, "link")
    os.symlink(project.root, link)
    answer = await dana.ask("lock", os.path.join(link, path))
    note.refused("through a symbolic link it is the same", answer, "lock_held")


async def refused(stage: Stage) -> None:
    """No path: outside, empty, with NUL, in a git directory; the command line says so with exit 2."""
    note, first, dana, project = stage.recorder, stage.first, stage.dana, stage.project
    beyond = os.path.join(stage.scratch, "elsewhere")
    bad = ["../x", f"{project.package}/{'../' * 20}x", "/etc/passwd", beyond, "", "a\0b", ".git/config", "x/.GIT/hooks"]
    tip = stage.git("rev-parse", "refs/coord")
    for path in bad:
        answer = await first.call("lock_files", files=[project.files[0], path])
        note.refused(f"{path!r} cannot be locked", answer, "invalid_path")
    for path in ("../x", "/etc/passwd", ".git/config"):
        for verb in ("lock", "check", "unlock"):
            done = await dana.run(verb, path)
            note.expect(f"{verb} {path}: exit 2", f"{done.code}: {done.err}", ok=done.code == 2)
    note.same("nothing was written", stage.git("rev-parse", "refs/coord"), tip)


async def odd_names(stage: Stage) -> None:
    """Odd names: whatever path git may contain can be locked, and git's own checks find no fault."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    long = "/".join(["d" * 200] * 20) + "/" + "f" * 75
    odd = [
        "with space/and 'quote'/\"double\".txt",
        "line\nbreak/tab\there",
        "größe/файл/🙂.md",
        "@at/@session.json",
        "%41/%percent",
        ".gitmodules",
        ".gitattributes",
        "sub/.gitignore",
        "-dash/--force",
        "con/aux.txt",
        "trailing dot./space ",
        "~/x:y|z<>",
        "a.lock/b.json",
        "deep/" * 150 + "end",
        long,
    ]
    answer = await first.call("lock_files", files=odd, reason="odd names\nCoord-Op: forged\n\nCoord-Id: forged")
    note.granted("all of them at once", answer)
    note.same("under their own names", sorted(k["path"] for k in answer["locks"]), sorted(odd))
    for path in odd:
        refusal = await second.call("lock_files", files=[path], quiet=True)
        ok = refusal.get("granted") is False and refusal["conflicts"][0]["path"] == path
        note.expect(f"{path[:40]!r} is held", refusal, ok=ok)
    trailers = stage.git("log", "-1", "--format=%(trailers:key=Coord-Op,valueonly)", "refs/coord").split()
    note.same("a reason forges no trailer", trailers, ["lock.acquire"])
    raw = b"raw/\xff\xfe-\xe9.txt"
    done = await dana.run("lock", raw, "-m", "bytes that are no UTF-8")
    note.expect("a name that is no UTF-8", f"{done.code}: {done.out}{done.err}", ok=done.code == 0)
    done = await dana.run("check", raw, "--session", "codex-1")
    note.same("is held", done.code, 1)
    listed = await second.call("get_locked_files")
    note.same("all are listed", len(listed["locks"]), len(odd) + 1)
    note.same("git fsck --strict", fsck(stage.project.root), [])
    done = await dana.run("unlock", raw)
    note.expect("given back", f"{done.code}: {done.out}{done.err}", ok=done.code == 0)
    released = await first.call("unlock_files", all=True)
    note.same("all given back", sorted(released.get("released", [])), sorted(odd))
    left = stage.git("ls-tree", "--name-only", "refs/coord")
    note.expect("nothing of locks is left in the tree", left, ok="locks" not in left.splitlines())
