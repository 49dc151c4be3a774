"""The main job holds in a small project too, and says so where it does not hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from gitcoord.config import environment
from mainjob import witness
from mainjob.project import build
from mainjob.recorder import Recorder
from support.program import ROOT
from support.repo import git, make_repo, write_files

if TYPE_CHECKING:
    from pathlib import Path

FILES = {f"src/pool/{name}.py": f"NAME = {name!r}\n" for name in ("app", "db", "log", "net", "run")}
BELOW = {"src/pool/deep/inner.py": "INNER = 1\n", "src/json.py": "", "README.md": "A pool.\n"}


def run_job(tmp_path: Path, project: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the job with all that it makes below a directory."""
    command = [sys.executable, os.path.join(ROOT, "tests", "mainjob", "run.py"), "--project", project, *options]
    env = environment() | {"TMPDIR": str(tmp_path)}
    return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=300)


def small_project(path: Path) -> str:
    repo = make_repo(path, files=False)
    write_files(repo, FILES | BELOW)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "A small project")
    write_files(repo, {"src/untracked.py": ""})
    return repo


def test_the_whole_job_is_as_expected_in_a_small_project_and_leaves_nothing_behind(tmp_path: Path) -> None:
    repo, scratch = small_project(tmp_path / "repo"), tmp_path / "scratch"
    scratch.mkdir()
    done = run_job(scratch, repo, "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["failed"] == []
    assert (answer["ok"], done.returncode, done.stderr) == (True, 0, "")
    assert answer["files"] == len(FILES | BELOW)
    assert answer["expectations"] == sum(len(act["expectations"]) for act in answer["acts"]) > 500
    assert all(act["expectations"] for act in answer["acts"][:-1])
    assert "init: log" in answer["log"]
    assert os.listdir(scratch) == []
    assert git(repo, "for-each-ref", "refs/gitcoord", "refs/coord") == ""


def test_a_project_with_too_little_to_play_with_is_refused(tmp_path: Path) -> None:
    done = run_job(tmp_path, make_repo(tmp_path / "repo"))
    assert done.returncode == 2
    assert "no directory with 5 files of one kind" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["repo"]


def test_what_is_not_met_is_counted_and_told() -> None:
    told: list[str] = []
    note = Recorder(told.append)
    note.act("An act.")
    assert note.same("one", 1, 1)
    assert not note.same("true is not one", True, 1)
    error = {"code": "lock_held", "message": "it is held", "next": ""}
    assert not note.granted("granted", {"granted": False, "error": error})
    assert not note.refused("with the way out", {"granted": False, "error": error}, "lock_held")
    count, failed = note.counts()
    assert count == 4
    assert [entry["expected"] for entry in failed] == ["true is not one", "granted", "with the way out (lock_held)"]
    assert sum(line.startswith("  FAIL") for line in told) == 3


def test_a_changed_byte_of_the_users_is_seen(tmp_path: Path) -> None:
    project = build(str(tmp_path), small_project(tmp_path / "repo"))
    before = witness.look(project)
    assert witness.differences(before, witness.look(project)) == []
    git(project.root, "update-ref", "refs/gitcoord/main", "HEAD")
    assert witness.differences(before, witness.look(project)) == []
    write_files(project.worktree, {"README.md": "Another.\n"})
    git(project.root, "config", "user.name", "Mallory")
    os.chmod(project.path(project.deep), 0o600)
    git(project.root, "branch", "-f", "other", git(project.root, "commit-tree", "-m", "x", "HEAD^{tree}"))
    changed = witness.differences(before, witness.look(project), cleaned=True)
    assert changed == [
        ".git/config",
        ".git/logs/refs/heads/other",
        "branches",
        "linked worktree README.md",
        f"worktree {project.deep}",
    ]
