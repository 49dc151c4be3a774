"""What hosts and clients read of gitcoord: the plugin, the registry's entry, the framework's hooks, the workflow."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from gitcoord import __version__
from gitcoord.hooks import git_events
from gitcoord.hooks.clients import CLIENTS, hook_entries
from support.guarded import ME, OTHER, guard, lock, make_guarded, run_git, write
from support.program import ROOT, run
from support.repo import git, make_repo

if TYPE_CHECKING:
    from pathlib import Path


def load(*parts: str) -> Any:
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return json.load(file)


def test_the_plugin_says_what_the_set_up_writes() -> None:
    wanted: dict[str, list[Any]] = {}
    for entry in hook_entries("claude", []):
        wanted.setdefault(entry.path[1], []).append(entry.value)
    assert load("hooks", "claude", "hooks", "hooks.json")["hooks"] == wanted
    servers = load("hooks", "claude", ".mcp.json")["mcpServers"]
    assert servers["gitcoord"] == CLIENTS["claude"].servers[0].value
    manifest = load("hooks", "claude", ".claude-plugin", "plugin.json")
    assert (manifest["name"], manifest["version"]) == ("gitcoord", __version__)
    market = load(".claude-plugin", "marketplace.json")
    assert os.path.isdir(os.path.join(ROOT, market["plugins"][0]["source"]))


def test_the_registrys_entry_is_of_this_version_and_the_readme_vouches_for_it() -> None:
    entry = load("hooks", "server.json")
    assert entry["version"] == __version__
    assert {package["version"] for package in entry["packages"]} == {__version__}
    assert entry["name"].count("/") == 1
    assert len(entry["description"]) <= 100
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        assert f"mcp-name: {entry['name']}" in file.read()


def test_the_frameworks_hooks_call_what_there_is() -> None:
    with open(os.path.join(ROOT, ".pre-commit-hooks.yaml"), encoding="utf-8") as file:
        entries = [line.split("entry: ")[1].split() for line in file if "entry: " in line]
    assert len(entries) == 3
    for words in entries:
        assert words[:3] == ["gitcoord", "hook", "git"]
        assert words[3] in git_events.HANDLERS


def test_the_workflow_of_the_readme_is_the_one_that_is_shipped() -> None:
    with open(os.path.join(ROOT, "hooks", "ci.yml"), encoding="utf-8") as file:
        workflow = file.read()
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        assert workflow in file.read()


def test_a_push_is_judged_by_what_the_framework_keeps_of_it(tmp_path: Path) -> None:
    repo = make_guarded(tmp_path / "repo")
    git(repo, "remote", "add", "origin", make_repo(tmp_path / "remote.git", bare=True))
    lock(repo, "src/app.py")
    before = git(repo, "rev-parse", "HEAD")
    write(repo, "src/app.py")
    assert run_git(repo, "commit", "--no-verify", "-a", "-m", "Change").code == 0
    env = {"GITCOORD_SESSION": ME, "PRE_COMMIT_REMOTE_NAME": "origin", "PRE_COMMIT_FROM_REF": before}
    env["PRE_COMMIT_TO_REF"] = git(repo, "rev-parse", "HEAD")
    done = run(repo, "hook", "git", "pre-push", "--", env=env)
    assert done.code == git_events.REFUSED
    assert "src/app.py is held by" in done.err


def shared_clones(place: Path) -> tuple[str, str]:
    """Make two guarded clones that share a log through a bare repository."""
    bare = make_repo(place / "server.git", bare=True)
    clones: list[str] = []
    for name, words in (("alice", ["init", "--remote", "origin"]), ("bob", ["init"])):
        clone = make_repo(place / name)
        git(clone, "remote", "add", "origin", bare)
        assert run(clone, *words).code == 0
        guard(clone)
        clones.append(clone)
    return clones[0], clones[1]


def test_own_locks_that_the_remote_has_not_are_told_and_refused_by_setting(tmp_path: Path) -> None:
    _, bob = shared_clones(tmp_path)
    assert run(bob, "lock", "src/app.py", "--offline", "--session", ME).code == 0
    write(bob, "src/app.py")
    ran = run_git(bob, "commit", "-a", "-m", "Change", GITCOORD_HOOK_OWN="deny")
    assert ran.code != 0
    assert "your lock on src/app.py is provisional" in ran.err
    ran = run_git(bob, "commit", "-a", "-m", "Change")
    assert ran.code == 0
    assert "is provisional" in ran.err


def test_own_locks_that_the_remote_gave_to_somebody_else_are_told_and_refused_by_setting(tmp_path: Path) -> None:
    alice, bob = shared_clones(tmp_path)
    assert run(bob, "lock", "src/app.py", "--offline", "--session", ME).code == 0
    assert run(alice, "lock", "src/app.py", "--session", OTHER).code == 0
    run(bob, "sync")
    write(bob, "src/app.py")
    ran = run_git(bob, "commit", "-a", "-m", "Change")
    assert ran.code != 0
    assert f"src/app.py is held by {OTHER}" in ran.err
    assert "your lock on src/app.py was lost" in ran.err
    assert run(alice, "unlock", "src/app.py", "--session", OTHER).code == 0
    run(alice, "sync")
    run(bob, "sync")
    ran = run_git(bob, "commit", "-a", "-m", "Change", GITCOORD_HOOK_OWN="deny")
    assert ran.code != 0
    assert "was lost" in ran.err
    assert run_git(bob, "commit", "-a", "-m", "Change").code == 0
