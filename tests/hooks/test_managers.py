"""Beside real hook managers, as far as this machine has them; the report's head says which. Their files alone, written
by hand, are in test_install.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gitcoord.hooks import canary, git_events, install
from gitcoord.service import initialise
from gitcoord.store.repository import find_repository
from support.guarded import ME, OTHER, desk, gits, lock, run_git, tree_of, write
from support.managers import environment, managers
from support.program import ROOT
from support.repo import git, make_repo, write_files

if TYPE_CHECKING:
    from pathlib import Path

    from support.guarded import Ran

# What a commit or a check-in changes, whoever hooks into it.
MOVING = (
    ".git/gitcoord",
    ".git/objects",
    ".git/refs",
    ".git/logs",
    ".git/index",
    ".git/COMMIT",
    ".git/lfs",
    "told",
    "src",
    ".git/info/lefthook.checksum",
)


@pytest.fixture(params=managers())
def manager(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def repo(manager: str, tmp_path: Path) -> str:
    where = make_repo(tmp_path / "a repo")
    git(where, "config", "gitcoord.fsync", "false")
    write_files(where, {".gitignore": "told\n"})
    managers()[manager].set_up(where)
    git(where, "add", "-A")
    assert commit(where, "-m", "Manager").code == 0
    initialise(where)
    return where


def commit(where: str, *words: str) -> Ran:
    return run_git(where, "commit", *words, env=environment())


def marks(where: str) -> int:
    try:
        with open(f"{where}/told", encoding="utf-8") as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def installed(where: str, version: tuple[int, int]) -> dict[str, install.Done]:
    return {one.event: one for one in install.install(find_repository(where, {}), git_events.CLIENT, [], version)}


@pytest.mark.parametrize("layout", gits())
def test_both_run_and_taking_out_leaves_the_manager_as_it_was(repo: str, manager: str, layout: str) -> None:
    one, version = managers()[manager], gits()[layout]
    was = tree_of(repo, but=MOVING)
    done = installed(repo, version)
    own = f"{repo}/{one.own_file}"
    if one.own_file and layout == "files":
        assert done["pre-commit"].how == "by hand"
        with open(own, encoding="utf-8") as file:
            before = file.read()
        with open(own, "w", encoding="utf-8") as file:
            file.write(one.add(before, done["pre-commit"].lines))
        git(repo, "commit", "-q", "--no-verify", "-m", "Lines", "--", one.own_file)
        assert installed(repo, version)["pre-commit"].how == "manager"
    assert {one.how for one in install.status(find_repository(repo, {}))} <= set(install.GUARDS)
    lock(repo, "src/app.py")
    write(repo, "src/app.py")
    ran, head = commit(repo, "-a", "-m", "Theirs"), git(repo, "rev-parse", "HEAD~0")
    assert ran.code != 0
    assert f"src/app.py is held by {OTHER}" in ran.out + ran.err
    assert git(repo, "rev-parse", "HEAD") == head
    git(repo, "checkout", "-q", "HEAD", "--", "src")
    write(repo, "src/db.py")
    ran, told = commit(repo, "-m", "Mine", "--", "src/db.py"), marks(repo)
    assert ran.code == 0, ran
    assert told > 0 or manager == "git-lfs"
    assert f"Coord-Session: {ME}" not in git(repo, "log", "-1", "--format=%B"), "who never signed on leaves no trailer"
    assert install.uninstall(find_repository(repo, {}))
    if one.own_file and layout == "files":
        with open(own, "w", encoding="utf-8") as file:
            file.write(before)  # pyright: ignore[reportPossiblyUnboundVariable]
        git(repo, "commit", "-q", "--no-verify", "-m", "Lines", "--", one.own_file)
    assert tree_of(repo, but=MOVING) == was
    write(repo, "src/app.py")
    assert commit(repo, "-m", "Unguarded", "--", "src/app.py").code == 0
    assert marks(repo) > told or manager == "git-lfs"


if "git-lfs" in managers():

    def test_large_files_are_uploaded_by_the_push_that_gitcoord_lets_pass(tmp_path: Path) -> None:
        where, remote = make_repo(tmp_path / "repo"), make_repo(tmp_path / "remote.git", bare=True)
        git(where, "remote", "add", "origin", remote)
        managers()["git-lfs"].set_up(where)
        git(where, "add", "-A")
        git(where, "commit", "-q", "-m", "Large")
        initialise(where)
        installed(where, next(iter(gits().values())))
        lock(where, "large.bin")
        write(where, "large.bin", "larger\n")
        assert commit(where, "-a", "--no-verify", "-m", "Larger").code == 0
        ran = run_git(where, "push", "origin", "main", env=environment())
        assert ran.code != 0
        assert "push refused" in ran.err
        desk(where).unlock_files(all=True)
        assert run_git(where, "push", "origin", "main", env=environment()).code == 0
        assert os.listdir(f"{remote}/lfs/objects")


if "pre-commit" in managers():

    def test_the_frameworks_own_manifest_guards_a_repository_that_names_it(tmp_path: Path) -> None:
        source = make_repo(tmp_path / "gitcoord", files=False)
        with open(os.path.join(ROOT, ".pre-commit-hooks.yaml"), encoding="utf-8") as file:
            manifest = file.read()
        # In the place of the package one that starts the program of this checkout: what it needs is not fetched anew.
        with open(os.path.join(ROOT, "tests", "support", "wheel_of_a_stand_in.py"), encoding="utf-8") as file:
            backend = file.read().replace("PYTHON", sys.executable)
        build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        write_files(source, {".pre-commit-hooks.yaml": manifest, "pyproject.toml": build, "backend.py": backend})
        git(source, "add", "-A")
        git(source, "commit", "-q", "-m", "Hooks")
        where = make_repo(tmp_path / "repo")
        ids = ("gitcoord", "gitcoord-prepare-commit-msg", "gitcoord-pre-push")
        hooks = "".join(f"      - id: {name}\n" for name in ids)
        rev = git(source, "rev-parse", "HEAD")
        config = f"repos:\n  - repo: {source}\n    rev: {rev}\n    hooks:\n{hooks}"
        write_files(where, {".pre-commit-config.yaml": config})
        for kind in ("pre-commit", "prepare-commit-msg", "pre-push"):
            words = ["pre-commit", "install", "--hook-type", kind]
            subprocess.run(words, cwd=where, env=environment(), check=True, capture_output=True)
        git(where, "add", "-A")
        git(where, "commit", "-q", "--no-verify", "-m", "Framework")
        initialise(where)
        states = {one.event: one.how for one in install.status(find_repository(where, {}))}
        assert {states[kind] for kind in ("pre-commit", "prepare-commit-msg", "pre-push")} == {"manager"}
        lock(where, "src/app.py")
        lock(where, "src/db.py", session=ME)
        write(where, "src/app.py")
        ran = commit(where, "-a", "-m", "Theirs")
        assert ran.code != 0
        assert f"src/app.py is held by {OTHER}" in ran.out + ran.err
        git(where, "checkout", "-q", "HEAD", "--", "src")
        write(where, "src/db.py")
        ran = commit(where, "-a", "-m", "Mine")
        assert ran.code == 0, ran
        assert f"Coord-Session: {ME}" in git(where, "log", "-1", "--format=%B")
        write(where, "src/app.py")
        assert commit(where, "-a", "--no-verify", "-m", "Theirs").code == 0
        remote = make_repo(tmp_path / "remote.git", bare=True)
        ran = run_git(where, "push", remote, "HEAD:refs/heads/x", env=environment())
        assert ran.code != 0
        assert "push refused" in ran.out + ran.err


if "pre-commit" in managers():

    @pytest.mark.parametrize("layout", gits())
    def test_every_branch_that_is_pushed_at_once_is_judged_beside_the_framework(tmp_path: Path, layout: str) -> None:
        where, remote = make_repo(tmp_path / "repo"), make_repo(tmp_path / "remote.git", bare=True)
        git(where, "remote", "add", "origin", remote)
        managers()["pre-commit"].set_up(where)
        subprocess.run(["pre-commit", "install", "-t", "pre-push"], cwd=where, env=environment(), check=True)
        git(where, "add", "-A")
        git(where, "commit", "-q", "--no-verify", "-m", "Framework")
        git(where, "push", "-q", "--no-verify", "origin", "main")
        initialise(where)
        was = tree_of(where, but=MOVING)
        done = installed(where, gits()[layout])
        assert done["pre-push"].how == ("config" if layout == "config" else "file")
        standing = {one.event: one.how for one in install.status(find_repository(where, {}))}
        assert standing["pre-push"] == done["pre-push"].how
        lock(where, "src/app.py")
        for name, path in (("a", "src/db.py"), ("b", "src/app.py")):
            git(where, "switch", "-q", "-c", name, "main")
            write(where, path)
            git(where, "commit", "-q", "--no-verify", "-a", "-m", "Change")
        told = marks(where)
        ran = run_git(where, "push", "origin", "a", "b", env=environment())
        assert ran.code != 0
        assert f"src/app.py is held by {OTHER}" in ran.out + ran.err
        assert run_git(where, "push", "origin", "a", env=environment()).code == 0
        assert marks(where) > told, "the framework's own hooks run too"
        assert all(one.denied for one in canary.tried(where) if "pre-push" in one.guard)
        git(where, "switch", "-q", "main")
        install.uninstall(find_repository(where, {}))
        after = tree_of(where, but=(*MOVING, ".git/HEAD", ".git/config"))
        assert after == {name: what for name, what in was.items() if not name.startswith((".git/HEAD", ".git/config"))}
