"""Paths at the command line: from any directory and worktree, with any bytes, as patterns, and those that are none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.program import run
from support.repo import add_worktree, log_length, make_repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> str:
    """Return a repository with a log."""
    where = make_repo(tmp_path / "repo")
    assert run(where, "init").code == 0
    return where


def test_paths_are_relative_to_where_one_is(repo: str, tmp_path: Path) -> None:
    inside = os.path.join(repo, "src")
    assert run(inside, "lock", "app.py", "--session", "ada").out.startswith("locked src/app.py ")
    for where, path in ((repo, "./src//app.py"), (inside, "../src/app.py"), (tmp_path, f"{repo}/src/app.py")):
        words = ["-C", repo, "check"] if where == tmp_path else ["check"]
        done = run(where, *words, path, "--session", "bob", "--json")
        assert done.code == 1
        assert done.json["checked"][0]["path"] == "src/app.py"
    assert run(tmp_path, "-C", "repo/src", "check", "app.py", "--session", "bob").code == 1
    assert run(tmp_path, "check", "app.py", "--repo", "repo/src", "--session", "bob").code == 1


def test_a_linked_worktree_sees_the_same_locks(repo: str, tmp_path: Path) -> None:
    other = add_worktree(repo, tmp_path / "other")
    assert run(other, "lock", "src/app.py", "--session", "ada").code == 0
    assert run(repo, "check", "src/app.py", "--session", "bob").code == 1
    assert run(os.path.join(other, "src"), "unlock", "app.py", "--session", "ada").code == 0
    assert run(repo, "check", "src/app.py", "--session", "bob").code == 0


ODD = [
    "with space.py",
    "new\nline.py",
    "quo\"te'.py",
    "tab\there",
    "-dash.py",
    "@at/%percent",
    ".gitmodules",
    "ünï/大.py",
    "app/[id]/page.tsx",
    b"non\xffutf8",
    "very/" * 200 + "deep",
]


@pytest.mark.parametrize("path", ODD, ids=lambda path: ascii(path)[:30])
def test_an_odd_path_is_locked_listed_refused_and_unlocked_by_its_own_name(repo: str, path: str | bytes) -> None:
    done = run(repo, "lock", "--session", "ada", "--json", "--", path)
    assert done.code == 0, done.err
    name = done.json["locks"][0]["path"]
    assert [lock["path"] for lock in run(repo, "locks", "--json").json["locks"]] == [name]
    assert len(run(repo, "locks").out.splitlines()) == 1
    refused = run(repo, "lock", "--session", "bob", "--", path)
    assert refused.code == 1
    assert "\n    held by  ada" in refused.err
    assert run(repo, "unlock", "--session", "ada", "--", path).code == 0
    assert run(repo, "locks", "--json").json == {"locks": []}


def test_a_star_is_a_pattern_and_an_escaped_one_a_letter(repo: str) -> None:
    assert run(repo, "lock", "src/*.py", "--session", "ada").code == 0
    assert run(repo, "check", "src/app.py", "--session", "bob").code == 1
    assert run(repo, "unlock", "--all", "--session", "ada").code == 0
    assert run(repo, "lock", "src/\\*.py", "--session", "ada").code == 0
    assert run(repo, "check", "src/app.py", "--session", "bob").code == 0
    assert run(repo, "check", "src/\\*.py", "--session", "bob").code == 1


@pytest.mark.parametrize("path", ["", "../out.py", "/etc/passwd", ".git/config"])
def test_a_path_that_cannot_be_locked_is_a_usage_error(repo: str, path: str) -> None:
    before = log_length(repo)
    done = run(repo, "lock", path, "--session", "ada", "--json")
    assert done.code == 2
    assert done.json["granted"] is False
    assert done.json["error"]["code"] == "invalid_path"
    assert log_length(repo) == before
