"""Every hook of git's in every kind of repository, as hook files and, where the git in use reads it, in the config."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gitcoord.hooks import git_events, install
from gitcoord.service import initialise
from gitcoord.store.repository import find_repository
from support.guarded import ME, OTHER, gits, guard, lock, run_git, write
from support.repo import LOG_REF, add_worktree, git, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.guarded import Ran

FILE = "src/app.py"


def fresh(top: str) -> tuple[str, str]:
    where = make_repo(f"{top}/fresh", files=False)
    return where, where


def worktree(top: str) -> tuple[str, str]:
    main = make_repo(f"{top}/main")
    return main, add_worktree(main, f"{top}/side by side")


def inner_worktree(top: str) -> tuple[str, str]:
    main = make_repo(f"{top}/main")
    return main, add_worktree(main, f"{main}/.worktrees/inner")


def bare(top: str) -> tuple[str, str]:
    git(top, "clone", "-q", "--bare", make_repo(f"{top}/origin"), f"{top}/bare.git")
    return f"{top}/bare.git", add_worktree(f"{top}/bare.git", f"{top}/of-the-bare")


def submodule(top: str) -> tuple[str, str]:
    above, library = make_repo(f"{top}/above"), make_repo(f"{top}/library")
    git(above, "submodule", "add", "-q", library, "lib")
    git(above, "commit", "-q", "-m", "Library")
    return f"{above}/lib", f"{above}/lib"


KINDS = [fresh, worktree, inner_worktree, bare, submodule]


@pytest.fixture(params=KINDS, ids=lambda kind: str(kind.__name__))
def kind(request: pytest.FixtureRequest) -> Callable[[str], tuple[str, str]]:
    return request.param


@pytest.fixture(params=gits())
def where(request: pytest.FixtureRequest, kind: Callable[[str], tuple[str, str]], tmp_path: Path) -> str:
    installed_in, at_work = kind(str(tmp_path))
    git(installed_in, "config", "gitcoord.fsync", "false")
    initialise(installed_in)
    guard(installed_in, version=gits()[request.param])
    assert {done.how for done in install.status(find_repository(at_work, {})) if done.event in git_events.CLIENT} == {
        "config" if request.param == "config" else "file"
    }
    ran = commit(at_work, FILE)
    assert (ran.code, "gitcoord" in ran.err) == (0, False), ran
    return at_work


def commit(where: str, name: str, *words: str, **env: str) -> Ran:
    write(where, name, f"{name} {words}\n")
    git(where, "add", "-A", "--", name)
    return run_git(where, "commit", *(words or ("-m", "Change")), env=env)


def message(where: str) -> str:
    return git(where, "log", "-1", "--format=%B")


def branched(where: str) -> None:
    """Leave a branch `side` that changes the file, one commit ahead of where the worktree is."""
    git(where, "checkout", "-q", "-b", "here")
    git(where, "checkout", "-q", "-b", "side-branch")
    assert commit(where, FILE, "-m", "Side").code == 0
    git(where, "checkout", "-q", "here")
    lock(where, FILE)


def test_pre_commit(where: str) -> None:
    lock(where, FILE)
    ran = commit(where, FILE, "-m", "Theirs")
    assert ran.code != 0
    assert f"gitcoord: commit refused: 1 of 1 staged paths are locked by others\n  {FILE} is held by {OTHER}" in ran.err


def test_pre_merge_commit(where: str) -> None:
    branched(where)
    assert commit(where, "other.py").code == 0
    ran = run_git(where, "merge", "--no-ff", "--no-edit", "side-branch")
    assert ran.code != 0
    assert "gitcoord: commit refused" in ran.err


def test_prepare_commit_msg(where: str) -> None:
    token = lock(where, FILE, session=ME)["token"]
    assert commit(where, FILE, "-m", "Mine").code == 0
    assert f"Coord-Session: {ME}\nCoord-Token: {token} {FILE}\nCoord-Id: " in message(where)


def test_commit_msg(where: str) -> None:
    lock(where, FILE, session=ME)
    ran = commit(where, FILE, "--edit", GIT_EDITOR="echo Written >")
    assert ran.code == 0, ran
    assert message(where).startswith(f"Written\n\nCoord-Session: {ME}\n")


def test_pre_push(where: str, tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "remote.git", bare=True)
    lock(where, FILE)
    assert commit(where, FILE, "--no-verify", "-m", "Theirs").code == 0
    ran = run_git(where, "push", remote, "HEAD:refs/heads/x")
    assert ran.code != 0
    assert "gitcoord: push refused" in ran.err
    assert git(remote, "for-each-ref") == ""


def test_post_checkout(where: str) -> None:
    branched(where)
    ran = run_git(where, "checkout", "-q", "side-branch")
    assert (ran.code, "1 file that was checked out is locked by others" in ran.err) == (0, True), ran


def test_post_merge(where: str) -> None:
    branched(where)
    ran = run_git(where, "merge", "-q", "--ff-only", "side-branch")
    assert (ran.code, "1 file that was merged is locked by others" in ran.err) == (0, True), ran


def test_post_rewrite(where: str) -> None:
    assert commit(where, FILE, "-m", "Mine").code == 0
    lock(where, FILE)
    ran = run_git(where, "commit", "--amend", "--no-verify", "--allow-empty", "-m", "Anew")
    assert (ran.code, "1 file that was rewritten is locked by others" in ran.err) == (0, True), ran


def test_reference_transaction(where: str) -> None:
    for _ in range(2):
        lock(where, FILE)
        lock(where, FILE, mode="shared")
    tip = git(where, "rev-parse", LOG_REF)
    for words in (["-d", LOG_REF], [LOG_REF, f"{LOG_REF}~1"], [LOG_REF, "HEAD"]):
        ran = run_git(where, "update-ref", *words)
        assert (ran.code != 0, "the log only grows" in ran.err) == (True, True), ran
    assert git(where, "rev-parse", LOG_REF) == tip
    assert run_git(where, "pack-refs", "--all").code == 0


@pytest.mark.parametrize("layout", gits())
def test_pre_receive(where: str, layout: str, tmp_path: Path) -> None:
    server = make_repo(tmp_path / "the server.git", bare=True)
    git(server, "config", "gitcoord.fsync", "false")
    assert [done.event for done in install.install(find_repository(server, {}), git_events.SERVER, [], gits()[layout])]
    assert run_git(where, "push", server, f"{LOG_REF}:{LOG_REF}", "HEAD:refs/heads/x").code == 0
    lock(where, FILE)
    assert run_git(where, "push", server, f"{LOG_REF}:{LOG_REF}").code == 0
    assert commit(where, FILE, "--no-verify", "-m", "Theirs").code == 0
    tip = git(server, "rev-parse", "refs/heads/x")
    ran = run_git(where, "push", "--no-verify", server, "HEAD:refs/heads/x")
    assert ran.code != 0
    assert f"{FILE} is held by {OTHER}" in ran.err
    ran = run_git(where, "push", "--no-verify", server, f":{LOG_REF}")
    assert (ran.code != 0, "the log only grows" in ran.err) == (True, True), ran
    assert git(server, "rev-parse", "refs/heads/x") == tip


def test_all_is_taken_out_again_wherever_one_stands(where: str) -> None:
    repository = find_repository(where, {})
    assert install.uninstall(repository)
    assert {done.how for done in install.status(repository)} == {"missing"}
    assert not os.path.exists(f"{repository.runtime}/hooks.json")
    lock(where, FILE)
    assert commit(where, FILE, "-m", "Unguarded").code == 0
