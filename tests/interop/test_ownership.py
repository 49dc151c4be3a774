"""A repository that belongs to somebody else: where git refuses to run what its configuration says, gitcoord does."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import anyio
import pytest

from gitcoord.config import environment
from gitcoord.errors import UnsafeRepository
from gitcoord.mcp_server.desks import Finder, Place
from gitcoord.store.repository import find_repository
from support.mcp_face import ask, connected
from support.program import run
from support.repo import add_worktree, git, make_repo

if TYPE_CHECKING:
    from pathlib import Path

# git's own switch for testing its rule, for who cannot give files away.
ASSUMED = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
NOBODY = 65534


def give_away(path: Path | str, env: dict[str, str]) -> None:
    """Let a tree belong to somebody else where one may; else let git take it for that."""
    if os.geteuid():
        env |= ASSUMED
        return
    os.chown(path, NOBODY, NOBODY)
    for above, directories, files in os.walk(path):
        for name in (*directories, *files):
            os.chown(os.path.join(above, name), NOBODY, NOBODY, follow_symlinks=False)


@pytest.fixture(name="trap")
def made_trap(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A directory of one's own below a repository of somebody else's, whose configuration runs a program."""
    top = tmp_path / "theirs"
    make_repo(top)
    witness = tmp_path / "ran"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {witness}\nexit 1\n")
    script.chmod(0o755)
    git(str(top), "remote", "add", "origin", "ssh://host.invalid/r")
    for key in ("core.sshCommand", "core.fsmonitor"):
        git(str(top), "config", key, str(script))
    env: dict[str, str] = {}
    give_away(top, env)
    below = top / "below"
    below.mkdir()
    return below, env


COMMANDS = (
    ["init"],
    ["init", "--remote", "origin"],
    ["sync"],
    ["status"],
    ["lock", "a.py"],
    ["check", "a.py"],
    ["data", "set", "s", "k", "1"],
    ["doctor"],
    ["doctor", "--fix"],
    ["hooks", "install"],
    ["hooks", "status"],
    ["keys", "new", "me"],
    ["init", "--client", "claude", "--print"],
    ["verify"],
    ["ci", "--base", "HEAD~1", "--head", "HEAD"],
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_works_or_runs_anything_where_git_refuses(
    trap: tuple[Path, dict[str, str]], tmp_path: Path, words: list[str]
) -> None:
    below, env = trap
    fetched = subprocess.run(
        ["git", "fetch"], cwd=below, env={**environment(), **env}, capture_output=True, check=False
    )
    assert b"dubious ownership" in fetched.stderr
    done = run(below, *words, env=env)
    assert done.code == 5, done
    assert "dubious ownership" in done.err
    assert f"git config --global --add safe.directory {below.parent}" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "ran").exists()
    assert not (below.parent / ".git" / "gitcoord").exists()


def test_the_answer_to_a_program_has_a_code_of_its_own(trap: tuple[Path, dict[str, str]]) -> None:
    below, env = trap
    error = run(below, "lock", "a.py", "--json", env=env).json["error"]
    assert error["code"] == "unsafe_repository"
    assert error["next"].endswith(f"git config --global --add safe.directory {below.parent}")


def test_a_hook_runs_nothing_there_and_says_that_it_judged_nothing(
    trap: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    below, env = trap
    event = '{"hook_event_name":"PreToolUse","tool_name":"Edit","tool_input":{"file_path":"%s"},"cwd":"%s"}'
    done = run(below, "hook", "claude", "PreToolUse", stdin=(event % (below / "a", below)).encode(), env=env)
    assert "dubious ownership" in done.err + done.out
    run(below, "hook", "git", "pre-commit", env=env)
    assert not (tmp_path / "ran").exists()


def test_what_safe_directory_names_is_worked_in(trap: tuple[Path, dict[str, str]]) -> None:
    below, env = trap
    for value in (str(below.parent), "*"):
        said = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": value, **env}
        assert run(below, "init", "--local", env=said).code == 0
        assert run(below, "lock", "a.py", "--session", "me", env=said).code == 0
    assert run(below, "status", env=env).code == 5


def test_a_repository_that_git_dir_names_is_taken_as_git_takes_it(trap: tuple[Path, dict[str, str]]) -> None:
    below, env = trap
    named = {"GIT_DIR": str(below.parent / ".git"), "GIT_WORK_TREE": str(below.parent), **env}
    assert run(below, "init", "--local", env=named).code == 0


def test_linked_worktrees_and_bare_repositories_are_looked_at_too(tmp_path: Path) -> None:
    bare = tmp_path / "r.git"
    make_repo(bare, bare=True)
    main = make_repo(tmp_path / "main")
    linked = add_worktree(main, tmp_path / "linked")
    env = environment()
    for path in (bare, tmp_path / "linked"):
        give_away(path, env)
    for start in (str(bare), linked):
        with pytest.raises(UnsafeRepository):
            find_repository(start, env)


def test_root_by_sudo_works_in_the_users_own_repository(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "r")
    env = environment()
    give_away(repo, env)
    sudo = {**env, "SUDO_UID": str(NOBODY)}
    if os.geteuid():  # only root believes it
        with pytest.raises(UnsafeRepository):
            find_repository(repo, sudo)
        return
    assert find_repository(repo, sudo).worktree == os.path.realpath(repo)
    git(repo, "status", env={"SUDO_UID": str(NOBODY)})
    with pytest.raises(UnsafeRepository):
        find_repository(repo, {**env, "SUDO_UID": "12345"})


def test_without_git_somebody_elses_repository_stays_refused(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "r")
    env = {**environment(), **ASSUMED}
    with pytest.raises(UnsafeRepository, match="belongs to another user"):
        find_repository(repo, {**env, "PATH": str(tmp_path)})


def test_the_server_says_why_it_does_not_work_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, mine = make_repo(tmp_path / "theirs"), tmp_path / "mine"
    mine.mkdir()
    env: dict[str, str] = {}
    give_away(theirs, env)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    place = Place(theirs, "the client's project directory")
    for finder in (Finder(place, None, Place(str(mine), "here")), Finder(None, place, Place(str(mine), "here"))):

        async def body(finder: Finder = finder) -> None:
            async with connected(finder, "legacy") as client:
                answer = await ask(client, "lock_files", files=["x"])
                assert answer["error"]["code"] == "unsafe_repository"
                assert "safe.directory" in answer["error"]["next"]

        anyio.run(body)
