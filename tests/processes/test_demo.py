"""The demo tells the truth, leaves nothing behind, and fails where something is not as told."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

from gitcoord import demo
from gitcoord.demo import story
from support.program import run, start
from support.repo import fsck, git, make_repo, read_log

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 11


def left_behind(scratch: Path) -> list[str]:
    """Return what a demo left: its directories, and processes that work in them."""
    listed = subprocess.run(["ps", "-axo", "pid,command"], capture_output=True, text=True, check=True).stdout
    processes = [line for line in listed.splitlines() if str(scratch) in line]
    return sorted(os.listdir(scratch)) + processes


def test_every_step_is_as_told_whatever_the_users_environment_says(tmp_path: Path) -> None:
    mine = make_repo(tmp_path / "mine")
    hooks, scratch, home = tmp_path / "hooks", tmp_path / "scratch", tmp_path / "home"
    for directory in (hooks, scratch, home):
        directory.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    (home / ".gitconfig").write_text(f"[commit]\n\tgpgSign = true\n[core]\n\thooksPath = {hooks}\n")
    env = {
        "TMPDIR": str(scratch),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_DIR": os.path.join(mine, ".git"),
        "GIT_INDEX_FILE": "nonsense",
        "GITCOORD_SESSION": "somebody",
        "GITCOORD_REPO": mine,
        "CLAUDE_CODE_SESSION_ID": "0198f1d2-aaaa-7bbb-8ccc-ddddeeeeffff",
        "CLAUDE_PROJECT_DIR": mine,
    }
    done = run(mine, "demo", "--fast", env=env)
    assert (done.code, done.err) == (0, "")
    assert "granted to claude-code-1" in done.out
    assert "refused (lock_held): src/app.py is held by claude-code-1" in done.out
    assert "kill -9 " in done.out
    assert "granted to codex-1" in done.out
    assert "reap: claude-code-1" in done.out
    assert done.out.endswith("expectations were met.\n")
    assert done.out.count("expected: ") == done.out.count("came:     ") > STEPS
    assert left_behind(scratch) == []
    assert git(mine, "for-each-ref", "refs/gitcoord", "refs/coord") == ""


def test_the_kept_repository_holds_the_log_that_the_steps_tell_of(tmp_path: Path) -> None:
    done = run(tmp_path, "demo", "--keep", "--json", env={"TMPDIR": str(tmp_path)})
    assert (done.code, done.err) == (0, "")
    answer = done.json
    assert answer["ok"] is True
    assert [step["step"] for step in answer["steps"]] == list(range(1, STEPS + 1))
    assert all(check["ok"] for step in answer["steps"] for check in step["checks"])
    kept = answer["repository"]
    log = read_log(kept)
    assert [line.partition(" ")[2] for line in answer["log"].splitlines()] == [entry.subject for entry in log]
    locked = [entry for entry in log if entry.subject.startswith("lock:")]
    assert [entry.trailers["Coord-Session"] for entry in locked] == [["claude-code-1"], ["codex-1"]]
    assert fsck(kept) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = start(tmp_path, "demo", env={"TMPDIR": str(tmp_path)})
    assert demo.stdout is not None
    while b"locks a file" not in demo.stdout.readline():
        assert demo.poll() is None
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=30)
    assert (demo.returncode, err) == (130, b"")
    assert left_behind(tmp_path) == []


def test_a_step_that_comes_out_otherwise_is_named_and_fails_the_demo(tmp_path: Path) -> None:
    shim, scratch = tmp_path / "bin" / "git", tmp_path / "scratch"
    scratch.mkdir()
    shim.parent.mkdir()
    shim.write_text('#!/bin/sh\n[ "$1" = symbolic-ref ] && exec echo refs/heads/main\nPATH=${PATH#*:} exec git "$@"\n')
    shim.chmod(0o755)
    path = os.pathsep.join([str(shim.parent), *os.get_exec_path()])
    done = run(tmp_path, "demo", env={"PATH": path, "TMPDIR": str(scratch)})
    assert done.code == 5
    assert "<- NOT AS TOLD" in done.out
    assert done.err.startswith("gitcoord: step 1 (")
    assert "expected refs/coord leads to refs/gitcoord/main; came it leads to refs/heads/main" in done.err
    assert left_behind(scratch) == []


def test_a_step_that_fails_while_servers_run_ends_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "_AT_ONCE_S", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told: list[str] = []
    answer = demo.run(keep=False, pause_s=0, say=told.append)
    assert answer["ok"] is False
    assert answer["error"]["message"].startswith(
        "step 6 (The second waits for the file.): expected in the waiting line"
    )
    assert any(line.endswith("<- NOT AS TOLD") for line in told)
    assert left_behind(tmp_path) == []
