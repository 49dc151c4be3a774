"""Paths that lead to other repositories, or to other names of a file: one physical file never has two holders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gitcoord.service import Desk, initialise, open_desk
from support.guarded import guard, run_git
from support.program import run
from support.repo import git, make_repo
from support.world import code, granted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")
    repo = make_repo(tmp_path / "repo")
    assert initialise(repo)["created"]
    return repo


def desk(repo: str, session: str) -> Desk:
    return open_desk(repo, session=session)


@pytest.fixture(name="inner")
def made_submodule(repo: str, tmp_path: Path) -> str:
    git(repo, "submodule", "--quiet", "add", make_repo(tmp_path / "other"), "lib/mod")
    assert initialise(f"{repo}/lib/mod", local=True)["created"]
    return f"{repo}/lib/mod"


@pytest.mark.parametrize(
    "path", ["lib/mod/src/app.py", "lib/mod/new", "lib/mod/src/", "lib/mod/*.py", "lib/mod/src/**"]
)
def test_a_path_inside_a_submodule_is_refused_and_its_own_log_named(repo: str, inner: str, path: str) -> None:
    for answer in (desk(repo, "A").lock_files([path]), desk(repo, "A").check([path])):
        assert code(answer) == "invalid_path"
        assert "lib/mod" in answer["error"]["message"]
        assert "gitcoord -C 'lib/mod' lock" in answer["error"]["next"]
    granted(desk(inner, "B").lock_files(["src/app.py"]))


def test_a_clone_inside_the_working_tree_is_one_too(repo: str) -> None:
    make_repo(f"{repo}/vendor/thing")
    assert code(desk(repo, "A").lock_files(["vendor/thing/README.md"])) == "invalid_path"


def test_the_submodule_itself_is_one_entry_of_the_repository(repo: str, inner: str) -> None:
    assert os.path.isdir(inner)
    assert granted(desk(repo, "A").lock_files(["lib/mod"]))["locks"][0]["kind"] == "file"
    assert code(desk(repo, "B").lock_files(["lib/"])) == "lock_held"


@pytest.mark.parametrize("initialised", [True, False])
def test_the_submodule_itself_is_locked_by_each_of_its_names_also_before_it_is_there(
    repo: str, inner: str, *, initialised: bool
) -> None:
    if not initialised:
        git(repo, "submodule", "--quiet", "deinit", "--force", "lib/mod")
        assert os.listdir(inner) == []
    granted(desk(repo, "A").lock_files(["lib/mod"]))
    for name in ("lib/mod", "lib/mod/", "./lib//mod", "lib/../lib/mod", inner, "lib"):
        assert not desk(repo, "B").check([name])["ok"], name
        assert code(desk(repo, "B").lock_files([name])) == "lock_held", name
    assert desk(repo, "A").unlock_files(["lib/mod"])["released"] == ["lib/mod"]
    granted(desk(repo, "B").lock_files([inner]))


def test_who_moves_a_submodule_that_another_has_locked_is_stopped_at_the_commit(repo: str, inner: str) -> None:
    git(repo, "commit", "-q", "-m", "Add a submodule")
    guard(repo)
    git(inner, "commit", "-q", "--allow-empty", "-m", "More")
    granted(desk(repo, "A").lock_files(["lib/mod"]))
    stopped = run_git(repo, "commit", "-a", "-m", "Move it", session="B")
    assert (stopped.code != 0, "lib/mod" in stopped.err) == (True, True)
    assert run_git(repo, "commit", "-a", "-m", "Move it", session="A").code == 0


def test_a_link_and_what_it_leads_to_have_one_holder(repo: str) -> None:
    os.symlink("app.py", f"{repo}/src/alias.py")
    os.symlink("src", f"{repo}/lnk")
    granted(desk(repo, "A").lock_files(["src/app.py"]))
    for path in ("src/alias.py", "lnk", "lnk/", "lnk/app.py", "lnk/alias.py"):
        checked = desk(repo, "B").check([path])
        assert not checked["ok"], path
        assert "by A (exclusive)" in checked["error"]["message"]
        assert code(desk(repo, "B").lock_files([path])) == "lock_held", path
    assert "symbolic link to src/app.py" in desk(repo, "B").check(["src/alias.py"])["checked"][0]["warnings"][0]


def test_a_lock_on_a_link_holds_its_target_and_goes_with_it(repo: str) -> None:
    os.symlink("app.py", f"{repo}/src/alias.py")
    answer = granted(desk(repo, "A").lock_files(["src/alias.py"]))
    assert [lock["path"] for lock in answer["locks"]] == ["src/alias.py", "src/app.py"]
    assert "symbolic link to src/app.py" in answer["notices"][0]
    assert code(desk(repo, "B").lock_files(["src/app.py"])) == "lock_held"
    assert desk(repo, "A").unlock_files(["src/alias.py"])["released"] == ["src/alias.py", "src/app.py"]


@pytest.mark.parametrize("target", ["/etc/hostname", "nowhere", ".git/config", "loop"])
def test_a_link_that_leads_nowhere_in_the_repository_is_a_file(repo: str, target: str) -> None:
    os.symlink(target, f"{repo}/loop")
    locks = granted(desk(repo, "A").lock_files(["loop"]))["locks"]
    assert [lock["path"] for lock in locks] == (["loop", "nowhere"] if target == "nowhere" else ["loop"])


def test_an_agents_edit_through_a_link_is_judged_by_the_target(repo: str) -> None:
    os.symlink("app.py", f"{repo}/src/alias.py")
    granted(desk(repo, "A").lock_files(["src/app.py"]))
    event = (
        '{"hook_event_name":"PreToolUse","tool_name":"Edit","tool_input":{"file_path":"%s/src/alias.py"},"cwd":"%s"}'
    )
    done = run(repo, "hook", "claude", "PreToolUse", stdin=(event % (repo, repo)).encode())
    assert "src/app.py" in done.out + done.err
    assert "deny" in done.out
