"""The job: all acts in their order, then the audit and the count."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from typing import TYPE_CHECKING, cast

import anyio
from mcp.shared.exceptions import MCPError

from mainjob import project
from mainjob.acts import (
    audit,
    beginnings,
    command_line,
    crashes,
    doctoring,
    finding,
    http,
    locking,
    overlaps,
    protocol,
    sessions,
    shared_state,
    spellings,
    waiting,
)
from mainjob.cast import Stage
from mainjob.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Act = Callable[[Stage], Awaitable[None]]

# What a wrong answer can lead an act into; it is noted, and the next act begins.
_ASTRAY = (MCPError, LookupError, TypeError, ValueError, AssertionError, OSError, subprocess.SubprocessError)

_MIDDLE: tuple[Act, ...] = (
    crashes.resume,
    locking.hold,
    locking.share,
    locking.several,
    locking.again,
    locking.give_back,
    locking.break_one,
    locking.expire,
    overlaps.directories,
    overlaps.patterns,
    overlaps.resources,
    spellings.one_lock,
    spellings.refused,
    spellings.odd_names,
    waiting.turn,
    waiting.limit,
    waiting.ring,
    waiting.gone,
    shared_state.kinds,
    shared_state.exact_names,
    shared_state.compare_and_set,
    shared_state.race,
    shared_state.bounds,
    protocol.surface,
    protocol.documents,
    protocol.news,
    protocol.malformed,
    protocol.raw_lines,
    http.guarded,
    http.callers,
    command_line.looking,
    command_line.same_answers,
    command_line.codes,
    command_line.terminal,
    doctoring.surroundings,
    doctoring.gone,
    doctoring.damaged,
    finding.roots,
)
_CLEANED_AFTER = (locking.expire, waiting.gone, http.callers)


async def play(stage: Stage) -> None:
    """Play all acts."""
    paths = stage.project
    variables = {"CLAUDE_PROJECT_DIR": paths.worktree}
    async with stage.agent("codex", "auto", env=variables) as stage.second:
        async with stage.agent("claude-code", "legacy", "--repo", paths.root) as stage.first:
            await _act(stage, beginnings.initialise)
            await _act(stage, sessions.sign_on)
            await _act(stage, sessions.leases)
            await _act(stage, sessions.sign_off)
            await _act(stage, crashes.killed)
        async with stage.agent("claude-code", "legacy", "--repo", paths.root) as stage.first:
            await _act(stage, crashes.take_over)
            for act in _MIDDLE:
                await _act(stage, act, settle=True)
                if act in _CLEANED_AFTER:
                    await _act(stage, audit.clean_up)
            await _act(stage, crashes.inherit)
    await _act(stage, audit.plain_git)
    await _act(stage, audit.whole)
    await _act(stage, audit.untouched)


async def _act(stage: Stage, act: Act, *, settle: bool = False) -> None:
    title = (act.__doc__ or "").strip().split("\n")[0]
    stage.recorder.act(title)
    began = time.monotonic()
    await _guarded(stage, act)
    if settle:
        await _guarded(stage, Stage.settle)
    stage.recorder.took(time.monotonic() - began)


async def _guarded(stage: Stage, act: Act) -> None:
    try:
        await act(stage)
    except* _ASTRAY as errors:
        stage.recorder.expect("it goes on to its end", _told(errors), ok=False)


def _told(errors: BaseException) -> str:
    """Return what went wrong, and where; the task groups that it came through have wrapped it."""
    found = errors
    while isinstance(found, BaseExceptionGroup):
        found = cast("BaseException", found.exceptions[0])
    lines = [frame.lineno for frame in traceback.extract_tb(found.__traceback__) if "mainjob" in frame.filename]
    return f"{type(found).__name__} at line {lines[-1] if lines else '?'}: {found}"


def main() -> int:
    """Run the job in a scratch directory and return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scratch")
    parser.add_argument("--project")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    began = time.monotonic()
    recorder = Recorder((lambda _: None) if args.json else _say)
    try:
        made = project.build(args.scratch, args.project)
    except project.TooSmall as error:
        print(f"{args.project}: {error}", file=sys.stderr)
        return 2
    stage = Stage(args.scratch, made, recorder, at_least=0 if args.project else project.AT_LEAST)
    anyio.run(_guarded, stage, play)
    count, failed = recorder.counts()
    told = audit.tell(stage)
    took_s = round(time.monotonic() - began, 1)
    if args.json:
        answer = {"ok": not failed, "files": made.size, "expectations": count, "failed": failed, "seconds": took_s}
        print(json.dumps(answer | {"acts": recorder.acts, "log": told}, indent=1))
        return 1 if failed else 0
    for entry in failed:
        _say(f"NOT MET in '{entry['act']}': expected {entry['expected']}; came {entry['came']}")
    _say(f"{made.size:,} files, {len(recorder.acts)} acts, {count} expectations, {len(failed)} not met, {took_s} s")
    return 1 if failed else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
