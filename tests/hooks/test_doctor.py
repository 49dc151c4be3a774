"""`gitcoord doctor` sends each installed guard a canary that must be denied."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from gitcoord.hooks import canary, git_events, install, places
from gitcoord.service import initialise
from gitcoord.store.repository import find_repository
from support.guarded import OLD_GIT, gits, guard, hook_file, make_guarded, tree_of
from support.program import run
from support.repo import git, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable
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


def broken(repo: str) -> dict[str, str]:
    return {one.guard.partition(" (")[0]: one.said for one in canary.tried(repo) if not one.denied}


def let_pass(path: str) -> None:
    change(path, "gitcoord_hook() {", "gitcoord_hook() {\n    return 0")


def stub(path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexit 0\n")


def lose_the_interpreter(path: str) -> None:
    change(path, sys.executable, "/nowhere/python")
    change(path, "command -v gitcoord ", "command -v gitcoord-is-gone ")


def lose_the_program(path: str) -> None:
    change(path, "from gitcoord.cli", "from gitcoord_is_gone")


def lose_the_right_to_run(path: str) -> None:
    os.chmod(path, 0o644)


BREAKS = [let_pass, stub, lose_the_interpreter, lose_the_program, lose_the_right_to_run, os.unlink]


@pytest.mark.parametrize("spoil", BREAKS, ids=lambda spoil: str(spoil.__name__))
@pytest.mark.parametrize("layout", gits())
@pytest.mark.parametrize("event", sorted(guard.removeprefix("git's ") for guard in GIT_GUARDS))
def test_a_guard_of_gits_that_is_broken_is_named(
    tmp_path: Path, event: str, layout: str, spoil: Callable[[str], None]
) -> None:
    repo = make_guarded(tmp_path / "repo", version=gits()[layout])
    spoil(hook_file(repo, event))
    assert list(broken(repo)) == [f"git's {event}"]


@pytest.mark.parametrize("spoil", BREAKS, ids=lambda spoil: str(spoil.__name__))
@pytest.mark.parametrize("layout", gits())
def test_a_servers_door_that_is_broken_is_named(tmp_path: Path, layout: str, spoil: Callable[[str], None]) -> None:
    bare = make_repo(tmp_path / "server.git", bare=True)
    initialise(bare)
    git(bare, "config", "gitcoord.hookErrors", "open")
    install.install(find_repository(bare, {}), git_events.SERVER, [], gits()[layout])
    spoil(hook_file(bare, "pre-receive"))
    assert list(broken(bare)) == ["git's pre-receive"]


def test_doctor_says_so_and_exits_with_an_error(repo: str) -> None:
    let_pass(hook_file(repo, "pre-commit"))
    done = run(repo, "doctor", "--json")
    assert done.code == 5
    assert [finding["code"] for finding in done.json["findings"]] == ["guard_broken"]
    assert "git's pre-commit" in done.json["findings"][0]["message"]


def test_a_hook_that_only_tells_is_missed_when_it_is_gone(tmp_path: Path) -> None:
    repo = make_guarded(tmp_path / "repo", version=OLD_GIT)
    os.unlink(hook_file(repo, "post-merge"))
    assert "does not ask gitcoord any more" in broken(repo)["git's post-merge"]
    install.install(find_repository(repo, {}), git_events.CLIENT, [], OLD_GIT)
    assert broken(repo) == {}


def test_hooks_that_another_directory_took_the_place_of_are_missed(tmp_path: Path) -> None:
    repo = make_guarded(tmp_path / "repo", version=OLD_GIT)
    git(repo, "config", "core.hooksPath", ".elsewhere")
    assert set(broken(repo)) == {f"git's {event}" for event in git_events.CLIENT}
    install.uninstall(find_repository(repo, {}))
    assert broken(repo) == {}


def test_what_gits_config_switches_off_is_named(tmp_path: Path) -> None:
    repo = make_guarded(tmp_path / "repo", version=places.CONFIG_HOOKS)
    if "config" not in gits():  # then git looks for none there, and that is what has to be said
        assert set(broken(repo)) == {f"git's {event}" for event in git_events.CLIENT}
        assert all("does not look for hooks in" in said for said in broken(repo).values())
        return
    assert broken(repo) == {}
    git(repo, "config", "hook.gitcoord-pre-commit.enabled", "false")
    git(repo, "config", "hook.pre-push.enabled", "false")
    assert set(broken(repo)) == {"git's pre-commit", "git's pre-push"}


def test_another_gits_hooks_give_way_to_those_of_this_one(tmp_path: Path) -> None:
    repo = make_guarded(tmp_path / "repo", version=OLD_GIT)
    with_files = tree_of(repo, but=(".git/gitcoord/hooks", ".git/config"))
    guard(repo, version=places.CONFIG_HOOKS)
    assert not os.path.exists(f"{repo}/.git/hooks/pre-commit")
    guard(repo, version=OLD_GIT)
    assert "hook" not in git(repo, "config", "--list").replace("hookspath", "")
    assert tree_of(repo, but=(".git/gitcoord/hooks", ".git/config")) == with_files


FILES = {
    "claude": ".claude/settings.json",
    "cursor": ".cursor/hooks.json",
    "codex": ".codex/hooks.json",
    "gemini": ".gemini/settings.json",
    "vscode": ".github/hooks/gitcoord.json",
    "opencode": ".opencode/plugins/gitcoord.js",
}
EVENTS = {"cursor": "preToolUse", "gemini": "BeforeTool", "opencode": "tool.execute.before"}


@pytest.mark.parametrize("how", ["another event", "unheard", "no such program", "gone", "no entry", "other tools"])
@pytest.mark.parametrize("client", FILES)
def test_a_clients_guard_that_is_broken_is_named(repo: str, client: str, how: str) -> None:
    assert run(repo, "hooks", "install", "--agents", client).code == 0
    path, event = f"{repo}/{FILES[client]}", EVENTS.get(client, "PreToolUse")
    command = f"gitcoord hook {client} {event}"
    if how == "gone":
        os.unlink(path)
    elif client == "opencode":
        change(path, '"gitcoord"', '"true"')
    elif how == "other tools":
        change(
            path,
            {"vscode": '"hooks"', "codex": "apply_patch"}.get(client, "rite"),
            '"one"' if client == "vscode" else "one",
        )
    elif how == "no entry":
        change(path, f'"{command}"', '"true"')
    else:
        swapped = {"another event": f"{command}d", "unheard": f"{command} >/dev/null 2>&1", "no such program": "x"}
        change(path, f'"{command}"', f'"{swapped[how]}"')
    assert list(broken(repo)) == [client]


@pytest.mark.parametrize("place", [".claude/settings.local.json", "home"])
def test_a_client_that_is_told_to_run_no_hooks_is_named(repo: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", f"{repo}/../home")
    assert run(repo, "hooks", "install", "--agents", "claude").code == 0
    path = f"{repo}/../home/.claude/settings.json" if place == "home" else f"{repo}/{place}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"disableAllHooks": true}')
    assert "switches all hooks off" in broken(repo)["claude"]


def test_the_guards_of_all_of_a_persons_projects_are_tried(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", f"{repo}/../home")
    assert run(repo, "init", "--client", "claude,gemini", "--user").code == 0
    found = [one.guard.partition(" (")[0] for one in canary.tried(repo) if one.denied]
    assert {"claude for all projects", "gemini for all projects"} <= set(found)
    change(f"{repo}/../home/.claude/settings.json", "hook claude PreToolUse", "hook claude PreToolUsed")
    assert list(broken(repo)) == ["claude for all projects"]


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


def test_where_nothing_is_installed_nothing_is_tried(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    initialise(repo)
    was = tree_of(repo)
    assert canary.tried(repo) == []
    assert tree_of(repo) == was
    assert git(repo, "status", "--porcelain") == ""
