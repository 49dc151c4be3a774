"""`pre-push` and the notices after a checkout, a merge and a rewrite."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from support.guarded import ME, OTHER, desk, lock, make_guarded, run_git, write
from support.repo import LOG_REF, git, make_repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_guarded(tmp_path / "repo")
    remote = make_repo(tmp_path / "remote.git", bare=True)
    git(where, "remote", "add", "origin", remote)
    git(where, "push", "-q", "origin", "main")
    return where


def change(where: str, name: str, subject: str = "Change", session: str | None = ME) -> str:
    write(where, name, f"{subject}\n")
    git(where, "add", "-A")
    ran = run_git(where, "commit", "--no-verify", "-m", subject, session=session)
    assert ran.code == 0, ran
    return git(where, "rev-parse", "HEAD")


def remote_head(where: str) -> str:
    return git(where, "ls-remote", "origin", "refs/heads/main").split()[0]


def test_what_others_hold_is_not_pushed(repo: str) -> None:
    lock(repo, "src/app.py", reason="mine")
    oid = change(repo, "src/app.py")
    before = remote_head(repo)
    ran = run_git(repo, "push", "origin", "main")
    assert ran.code != 0
    assert f"{oid[:10]} src/app.py is held by {OTHER}" in ran.err
    assert remote_head(repo) == before
    desk(repo).unlock_files(all=True)
    assert run_git(repo, "push", "origin", "main").code == 0
    assert remote_head(repo) == oid


def test_a_new_branch_is_judged_by_what_the_remote_has_not(repo: str) -> None:
    lock(repo, "README.md", "src/db.py")
    git(repo, "checkout", "-q", "-b", "side")
    change(repo, "src/app.py")
    assert run_git(repo, "push", "origin", "side").code == 0
    change(repo, "src/db.py")
    assert run_git(repo, "push", "origin", "side").code != 0


def test_deleting_a_branch_and_pushing_tags_or_the_log_is_not_judged(repo: str) -> None:
    git(repo, "push", "-q", "origin", "main:side")
    lock(repo, ".")
    assert run_git(repo, "push", "origin", ":side").code == 0
    assert run_git(repo, "push", "origin", f"{LOG_REF}:{LOG_REF}").code == 0


def test_a_token_that_was_overtaken_is_stale_even_when_the_later_lock_is_free_again(repo: str) -> None:
    lock(repo, "src/app.py", session=ME)
    change(repo, "src/app.py")
    desk(repo, ME).unlock_files(all=True)
    later = lock(repo, "src/", session=OTHER)
    desk(repo).unlock_files(all=True)
    ran = run_git(repo, "push", "origin", "main")
    assert ran.code != 0
    assert f"{OTHER} was granted src later" in ran.err
    assert f"token {later['token']}" in ran.err
    mine = lock(repo, "src/app.py", session=ME)
    assert run_git(repo, "commit", "--amend", "--no-edit").code == 0
    assert int(str(mine["token"])) > int(str(later["token"]))
    assert run_git(repo, "push", "origin", "main").code == 0


def test_a_signature_that_git_shows_hides_no_token(repo: str, tmp_path: Path) -> None:
    key = str(tmp_path / "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    said = {"gpg.format": "ssh", "user.signingKey": f"{key}.pub", "commit.gpgSign": "true", "log.showSignature": "true"}
    for name, value in said.items():
        git(repo, "config", name, value)
    lock(repo, "src/app.py", session=ME)
    change(repo, "src/app.py")
    desk(repo, ME).unlock_files(all=True)
    lock(repo, "src/app.py", session=OTHER)
    desk(repo).unlock_files(all=True)
    ran = run_git(repo, "push", "origin", "main")
    assert ran.code != 0
    assert f"{OTHER} was granted src/app.py later" in ran.err


def test_a_later_lock_on_something_else_makes_no_token_stale(repo: str) -> None:
    lock(repo, "src/", session=ME)
    change(repo, "src/app.py")
    desk(repo, ME).unlock_files(all=True)
    lock(repo, "src/db.py")
    desk(repo).unlock_files(all=True)
    lock(repo, "src/app.py", mode="intent")
    assert run_git(repo, "push", "origin", "main").code == 0


def test_a_merge_brings_what_others_did_under_their_own_names(repo: str) -> None:
    git(repo, "checkout", "-q", "-b", "side")
    lock(repo, "src/db.py")
    change(repo, "src/db.py", session=OTHER)
    git(repo, "checkout", "-q", "main")
    change(repo, "README.md")
    assert run_git(repo, "merge", "--no-verify", "--no-edit", "side").code == 0
    assert run_git(repo, "push", "origin", "main").code == 0


def test_a_rebased_commit_on_a_locked_path_is_found_at_the_push(repo: str) -> None:
    git(repo, "checkout", "-q", "-b", "side")
    change(repo, "src/app.py")
    git(repo, "checkout", "-q", "main")
    change(repo, "README.md")
    lock(repo, "src/app.py")
    ran = run_git(repo, "rebase", "main", "side")
    assert ran.code == 0
    assert "1 file that was rewritten is locked by others" in ran.err
    assert run_git(repo, "push", "origin", "side").code != 0


def test_a_file_named_like_a_commit_hides_nothing(repo: str) -> None:
    first = git(repo, "rev-parse", "HEAD")
    write(repo, first)
    change(repo, "a.py", "First")
    lock(repo, "src/app.py")
    write(repo, git(repo, "rev-parse", "HEAD"))
    change(repo, "src/app.py", "Second")
    ran = run_git(repo, "push", "origin", "main")
    assert "src/app.py is held by" in ran.err


def test_a_hook_that_a_hook_of_ours_started_does_nothing(repo: str) -> None:
    lock(repo, "src/app.py")
    change(repo, "src/app.py")
    assert run_git(repo, "push", "origin", "main", GITCOORD_IN_HOOK="1").code == 0


def test_a_switch_and_a_merge_notice_what_is_locked(repo: str) -> None:
    git(repo, "checkout", "-q", "-b", "side")
    change(repo, "src/app.py")
    git(repo, "checkout", "-q", "main")
    lock(repo, "src/app.py")
    ran = run_git(repo, "checkout", "side")
    assert ran.code == 0
    assert "1 file that was checked out is locked by others" in ran.err
    ran = run_git(repo, "checkout", "main")
    assert "checked out is locked" in ran.err
    ran = run_git(repo, "merge", "side")
    assert ran.code == 0
    assert "1 file that was merged is locked by others" in ran.err
    assert "locked" not in run_git(repo, "checkout", "-b", "other").err
