"""`pre-commit` with the real git: what is staged against others' locks, in every kind of commit and repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitcoord.service import initialise
from support.guarded import ME, OTHER, desk, guard, hook_file, lock, make_guarded, run_git, write
from support.repo import add_worktree, git, git_bytes, make_repo


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return make_guarded(tmp_path / "repo")


def head(where: str) -> str:
    return git(where, "rev-parse", "HEAD")


def refused(where: str, *words: str) -> str:
    before = head(where)
    ran = run_git(where, "commit", "-m", "Change", *words)
    assert ran.code != 0, ran
    assert head(where) == before
    assert "gitcoord: commit refused" in ran.err
    return ran.err


def test_a_refusal_says_who_holds_what_until_when_why_and_what_to_do(repo: str) -> None:
    lock(repo, "src/app.py", reason="rework the pool")
    write(repo, "src/app.py")
    git(repo, "add", "-A")
    said = refused(repo)
    assert f"src/app.py is held by {OTHER} (exclusive) since 20" in said
    assert " until 20" in said
    assert '"rework the pool"' in said
    assert "next: gitcoord lock src/app.py --wait 60s" in said


def test_what_nobody_else_holds_is_committed(repo: str) -> None:
    lock(repo, "src/app.py")
    lock(repo, "src/db.py", session=ME)
    write(repo, "src/db.py")
    write(repo, "new.py")
    git(repo, "add", "-A")
    ran = run_git(repo, "commit", "-m", "Change")
    assert (ran.code, "gitcoord" in ran.err) == (0, False)


@pytest.mark.parametrize("change", ["add", "edit", "delete", "rename from", "rename to", "mode", "type", "directory"])
def test_every_kind_of_change_is_seen(repo: str, change: str) -> None:
    lock(repo, {"add": "new.py", "rename to": "src/to.py", "directory": "src/"}.get(change, "src/app.py"))
    if change == "add":
        write(repo, "new.py")
    elif change in ("edit", "directory"):
        write(repo, "src/app.py")
    elif change == "delete":
        git(repo, "rm", "-q", "src/app.py")
    elif change.startswith("rename"):
        git(repo, "mv", "src/app.py", "src/to.py")
    elif change == "mode":
        git(repo, "update-index", "--chmod=+x", "src/app.py")
    else:
        os.unlink(f"{repo}/src/app.py")
        os.symlink("db.py", f"{repo}/src/app.py")
    if change != "mode":
        git(repo, "add", "-A")
    refused(repo)


NAMES = [
    b"a b.txt",
    b"line\nbreak.txt",
    b'quo"te.txt',
    b"it's.txt",
    b"tab\there.txt",
    b"\xff\xfe.bin",
    "é.txt".encode(),
    b"*.txt",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_of_all_kinds_are_seen_letter_by_letter(repo: str, name: bytes) -> None:
    git(repo, "config", "core.quotePath", "true")
    write(repo, name)
    git_bytes(repo, "add", "-A")
    spelled = os.fsdecode(name).replace("\\", "\\\\").replace("*", "\\*")
    if not all(ord(letter) < 0xD800 for letter in spelled) or spelled.startswith('"'):
        spelled = '"\\377\\376.bin"'
    lock(repo, spelled)
    refused(repo)
    desk(repo).unlock_files(all=True)
    lock(repo, "other.txt")
    assert run_git(repo, "commit", "-m", "Change").code == 0


def test_commit_all_and_partial_commits_are_judged_by_what_they_commit(repo: str) -> None:
    lock(repo, "src/app.py")
    write(repo, "src/app.py")
    write(repo, "src/db.py")
    refused(repo, "-a")
    assert run_git(repo, "commit", "-m", "Only mine", "src/db.py").code == 0
    refused(repo, "src/app.py")


def test_an_amendment_is_judged_by_what_it_adds(repo: str) -> None:
    write(repo, "mine.py")
    git(repo, "add", "-A")
    assert run_git(repo, "commit", "-m", "Mine").code == 0
    lock(repo, "src/app.py")
    write(repo, "src/app.py")
    before = head(repo)
    ran = run_git(repo, "commit", "--amend", "-a", "--no-edit")
    assert ran.code != 0
    assert head(repo) == before


def test_a_merge_is_judged_too(repo: str) -> None:
    git(repo, "checkout", "-q", "-b", "side")
    write(repo, "src/app.py", "side\n")
    git(repo, "commit", "-q", "-a", "-m", "Side")
    git(repo, "checkout", "-q", "main")
    write(repo, "README.md", "main\n")
    git(repo, "commit", "-q", "-a", "-m", "Main")
    lock(repo, "src/app.py")
    before = head(repo)
    ran = run_git(repo, "merge", "--no-edit", "side")
    assert ran.code != 0
    assert "gitcoord: commit refused" in ran.err
    assert head(repo) == before


def test_the_first_commit_of_a_repository_is_judged(tmp_path: Path) -> None:
    where = make_repo(tmp_path / "fresh", files=False)
    initialise(where)
    guard(where)
    lock(where, "a.py")
    write(where, "a.py")
    git(where, "add", "-A")
    ran = run_git(where, "commit", "-m", "First")
    assert "gitcoord: commit refused" in ran.err
    desk(where).unlock_files(all=True)
    assert run_git(where, "commit", "-m", "First").code == 0


def test_linked_worktrees_are_guarded_by_the_same_hooks(repo: str, tmp_path: Path) -> None:
    side = add_worktree(repo, tmp_path / "side")
    lock(repo, "src/app.py")
    write(side, "src/app.py")
    refused(side, "-a")
    write(f"{side}/src", "db.py")
    assert run_git(f"{side}/src", "commit", "-m", "From below", "db.py").code == 0


def test_a_submodule_has_a_log_and_guards_of_its_own(repo: str, tmp_path: Path) -> None:
    library = make_repo(tmp_path / "library")
    git(repo, "submodule", "add", "-q", library, "lib")
    git(repo, "commit", "-q", "-m", "Library")
    inside = f"{repo}/lib"
    initialise(inside)
    guard(inside)
    lock(inside, "src/app.py")
    write(inside, "src/app.py")
    refused(inside, "-a")
    lock(repo, "lib")
    write(inside, "README.md", "new\n")
    assert run_git(inside, "commit", "-m", "New", "README.md").code == 0
    refused(repo, "-a")


def test_marks_and_lapsed_locks_only_warn(repo: str) -> None:
    lock(repo, "src/app.py", mode="intent", reason="soon")
    write(repo, "src/app.py")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert ran.code == 0
    assert f'{OTHER} means to work on src/app.py: "soon"' in ran.err


def test_a_hook_that_was_installed_to_warn_stops_nothing(tmp_path: Path) -> None:
    where = make_guarded(tmp_path / "warned", ["--warn"])
    lock(where, "src/app.py")
    write(where, "src/app.py")
    ran = run_git(where, "commit", "-a", "-m", "Change")
    assert ran.code == 0
    assert "gitcoord: warning: 1 of 1 staged paths are locked by others" in ran.err


def test_a_lost_lock_is_told_and_refused_by_setting(repo: str) -> None:
    lock(repo, "src/app.py", session=ME)
    broken = desk(repo).break_lock(["src/app.py"], "stuck")
    assert broken["ok"]
    write(repo, "src/app.py")
    git(repo, "config", "gitcoord.hookOwn", "deny")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert ran.code != 0
    assert f"your lock on src/app.py was lost: {OTHER} took it" in ran.err
    git(repo, "config", "gitcoord.hookOwn", "warn")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert ran.code == 0
    assert "was lost" in ran.err


def test_a_lost_lock_elsewhere_is_no_matter(repo: str) -> None:
    lock(repo, "src/app.py", session=ME)
    desk(repo).break_lock(["src/app.py"], "stuck")
    write(repo, "src/db.py")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert (ran.code, "lost" in ran.err) == (0, False)


def test_no_network_is_asked(repo: str) -> None:
    git(repo, "remote", "add", "origin", "https://nowhere.invalid/x.git")
    write(repo, "src/app.py")
    assert run_git(repo, "commit", "-a", "-m", "Change", GIT_ALLOW_PROTOCOL="none").code == 0


def test_a_repository_without_a_log_passes_in_silence(tmp_path: Path) -> None:
    where = make_repo(tmp_path / "plain")
    guard(where)
    write(where, "src/app.py")
    ran = run_git(where, "commit", "-a", "-m", "Change")
    assert (ran.code, "gitcoord" in ran.err) == (0, False)


@pytest.mark.parametrize("setting", ["open", "closed"])
def test_a_guard_that_fails_says_so_and_follows_the_setting(repo: str, setting: str) -> None:
    git(repo, "config", "gitcoord.hookErrors", setting)
    with open(f"{repo}/.git/refs/gitcoord/main", "w", encoding="ascii") as ref:
        ref.write("nonsense\n")
    for known in ("gitcoord/pending", "logs/refs/gitcoord/main"):
        Path(f"{repo}/.git/{known}").unlink(missing_ok=True)
    write(repo, "src/app.py")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert (ran.code == 0) is (setting == "open")
    assert "could not be judged" in ran.err


@pytest.mark.parametrize("setting", ["open", "closed"])
def test_a_guard_whose_program_is_gone_says_so_and_follows_the_setting(repo: str, setting: str) -> None:
    git(repo, "config", "gitcoord.hookErrors", setting)
    path = hook_file(repo, "pre-commit")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("from gitcoord.cli", "from gitcoord_is_gone"))
    write(repo, "src/app.py")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert (ran.code == 0) is (setting == "open")
    assert "the guard of pre-commit is broken" in ran.err


def test_ten_thousand_staged_files_are_judged(repo: str) -> None:
    for folder in range(100):
        os.makedirs(f"{repo}/many/d{folder}")
        for number in range(100):
            with open(f"{repo}/many/d{folder}/f{number}", "w", encoding="ascii") as file:
                file.write("x")
    git(repo, "add", "-A")
    lock(repo, "many/d7/f7", "many/d9/")
    said = refused(repo)
    assert "101 of 10000 staged paths are locked by others" in said
    assert "and 91 more" in said
    desk(repo).unlock_files(all=True)
    lock(repo, "many/", session=ME)
    assert run_git(repo, "commit", "-m", "Many").code == 0


def test_code_of_the_project_that_is_committed_is_not_run_by_the_guard(repo: str) -> None:
    for name in ("gitcoord/__init__.py", "gitcoord/__main__.py", "json.py", "os.py"):
        write(repo, name, "raise SystemExit('ran the code of the project')\n")
    git(repo, "add", "-A")
    ran = run_git(repo, "commit", "-m", "Traps")
    assert (ran.code, "ran the code" in ran.err) == (0, False)
