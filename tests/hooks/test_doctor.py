"""`gitcoord doctor` sends each installed guard a canary that must be denied."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from gitcoord.hooks import canary, git_events, install
from gitcoord.service import initialise
from gitcoord.store.repository import find_repository
from support.guarded import OLD_GIT, make_guarded, tree_of
from support.program import run
from support.repo import git, make_repo

if TYPE_CHECKING:
    from pathlib import Path

GIT_GUARDS = {"git's pre-commit", "git's pre-merge-commit", "git's pre-push", "git's reference-transaction"}


@pytest.fixture(autouse=True)
def program_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return make_guarded(tmp_path / "repo")


def change(path: str, old: str, new: str) -> None:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


def test_guards_that_work_deny_the_canary_and_leave_nothing_behind(repo: str) -> None:
    assert run(repo, "hooks", "install", "--agents", "all").code == 0
    was = tree_of(repo)
    found = canary.tried(repo)
    assert {one.guard for one in found} >= GIT_GUARDS
    assert len(found) == len(GIT_GUARDS) + 6
    assert all(one.denied for one in found), found
    assert tree_of(repo) == was
    done = run(repo, "doctor", "--json")
    assert (done.code, done.json["findings"]) == (0, [])


def test_guards_that_only_warn_are_no_broken_ones(tmp_path: Path) -> None:
    repo = make_guarded(tmp_path / "warned", ["--warn"])
    assert run(repo, "hooks", "install", "--agents", "all", "--warn").code == 0
    found = canary.tried(repo)
    assert len(found) == len(GIT_GUARDS) + 6
    assert all(one.denied for one in found), found


@pytest.mark.parametrize("event", ["pre-commit", "pre-push", "reference-transaction"])
def test_a_guard_that_lets_the_canary_pass_is_named(repo: str, event: str) -> None:
    change(f"{repo}/.git/hooks/{event}", "gitcoord_hook() {", "gitcoord_hook() {\n    return 0")
    done = run(repo, "doctor", "--json")
    assert done.code == 5
    assert [finding["code"] for finding in done.json["findings"]] == ["guard_broken"]
    assert f"git's {event}" in done.json["findings"][0]["message"]


def test_an_agents_guard_that_is_broken_is_named(repo: str) -> None:
    run(repo, "hooks", "install", "--agents", "claude,cursor")
    change(f"{repo}/.claude/settings.json", "hook claude PreToolUse", "hook claude PreToolUsed")
    found = [one.guard for one in canary.tried(repo) if not one.denied]
    assert found == ["claude (gitcoord hook claude PreToolUsed)"]


def test_the_projects_own_hooks_are_not_run_for_a_canary(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    initialise(repo)
    for event, text in (
        ("pre-commit", "#!/bin/sh\ntouch ran\n"),
        ("pre-push", "#!/usr/bin/env python3\nopen('ran', 'w')\n"),
    ):
        path = f"{repo}/.git/hooks/{event}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
    install.install(find_repository(repo, {}), git_events.CLIENT, [], OLD_GIT)
    assert all(one.denied for one in canary.tried(repo))
    assert not any(name.endswith("ran") for name in tree_of(repo))


def test_a_servers_door_is_tried_too(tmp_path: Path) -> None:
    bare = make_repo(tmp_path / "server.git", bare=True)
    initialise(bare)
    install.install(find_repository(bare, {}), git_events.SERVER, [], OLD_GIT)
    assert [(one.guard, one.denied) for one in canary.tried(bare)] == [("git's pre-receive", True)]


def test_hooks_in_gits_config_are_tried_where_they_lie(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    initialise(repo)
    install.install(find_repository(repo, {}), git_events.CLIENT, [], (2, 54))
    found = canary.tried(repo)
    assert {one.guard for one in found} == GIT_GUARDS
    assert all(one.denied for one in found)


def test_where_nothing_is_installed_nothing_is_tried(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    initialise(repo)
    was = tree_of(repo)
    assert canary.tried(repo) == []
    assert tree_of(repo) == was
    assert git(repo, "status", "--porcelain") == ""
