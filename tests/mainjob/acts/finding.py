"""Where a server looks for its repository."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mcp_types import ListRootsResult, Root

if TYPE_CHECKING:
    from mainjob.cast import Stage


async def roots(stage: Stage) -> None:
    """Finding: by GITCOORD_REPO, the client's roots or the working directory; among none it does not guess."""
    note, project = stage.recorder, stage.project

    async def tell(_: Any) -> ListRootsResult:
        return ListRootsResult.model_validate({"roots": [Root.model_validate({"uri": f"file://{project.worktree}"})]})

    inside = os.path.join(project.root, project.package)
    cases: list[tuple[str, dict[str, Any]]] = [
        ("GITCOORD_REPO", {"env": {"GITCOORD_REPO": project.worktree}}),
        ("the client's roots", {"list_roots_callback": tell}),
        ("the working directory", {"where": inside}),
    ]
    for what, options in cases:
        async with stage.agent("seeker", "legacy", **options) as agent:
            answer = await agent.call("lock_files", files=[project.files[0]])
            note.granted(f"found by {what}", answer)
            note.same("and relative to the worktree's root", answer["locks"][0]["path"], project.files[0])
        here = [s["session"] for s in (await stage.dana.ask("session", "list"))["sessions"]]
        note.expect("its client went, so it signed off", here, ok="seeker-1" not in here)
    async with stage.agent("seeker", "auto") as agent:
        answer = await agent.call("lock_files", files=[project.files[0]])
        note.refused("where there is none it says so", answer, "not_a_repository")
        note.expect("and where it looked", answer, ok=stage.scratch in answer["error"]["message"])
