from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from gitcoord.config import (
    EnvSettings,
    GitSettings,
    environment,
    host_name,
    login_name,
    parse_git_config,
    read_environment,
    read_git_config,
    settle,
)
from gitcoord.errors import CoordError

if TYPE_CHECKING:
    from pathlib import Path


def make_repository(path: Path) -> str:
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    return str(path / ".git")


def test_the_environment_is_a_copy() -> None:
    env = environment()
    env["GITCOORD_SESSION"] = "changed"
    assert environment().get("GITCOORD_SESSION") != "changed"


def test_an_empty_environment_gives_the_safe_defaults() -> None:
    got = settle(read_environment({"USER": "ada"}))
    assert (got.session, got.repo, got.project_dir, got.harness, got.harness_session) == (None,) * 5
    assert got.durable is True
    assert got.ignore_case is False
    assert got.no_color is False
    assert got.user_name == "ada"
    assert got.user_email == f"ada@{host_name()}"


def test_empty_variables_say_nothing() -> None:
    names = ("GITCOORD_SESSION", "GITCOORD_REPO", "CLAUDE_PROJECT_DIR", "CLAUDE_CODE_SESSION_ID", "NO_COLOR", "EMAIL")
    assert read_environment(dict.fromkeys(names, "") | {"USER": "ada"}) == EnvSettings(login="ada")


def test_the_harness_is_recognised() -> None:
    assert read_environment({"CODEX_THREAD_ID": "t1"})[3:5] == ("codex", "t1")
    both = read_environment({"CODEX_THREAD_ID": "t1", "CLAUDE_CODE_SESSION_ID": "c1"})
    assert (both.harness, both.harness_session) == ("claude-code", "c1")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"CLAUDE_PROJECT_DIR": "/a", "CURSOR_PROJECT_DIR": "/b"}, "/a"),
        ({"GEMINI_PROJECT_DIR": "/g"}, "/g"),
        ({"CLAUDE_PROJECT_DIR": "relative", "CURSOR_PROJECT_DIR": "/b"}, "/b"),
        ({"WORKSPACE_FOLDER_PATHS": "/one,/two"}, "/one"),
        ({"WORKSPACE_FOLDER_PATHS": '["/one", "/two"]'}, "/one"),
        ({"WORKSPACE_FOLDER_PATHS": "${workspaceFolder}"}, None),
    ],
)
def test_the_project_is_the_first_that_a_harness_names(env: dict[str, str], expected: str | None) -> None:
    assert read_environment(env).project_dir == expected


def test_a_comma_may_be_part_of_a_projects_path(tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    assert read_environment({"WORKSPACE_FOLDER_PATHS": str(folder)}).project_dir == str(folder)


def test_colour_is_declined_by_variable_or_by_terminal() -> None:
    assert read_environment({"NO_COLOR": "1"}).no_color
    assert read_environment({"TERM": "dumb"}).no_color
    assert not read_environment({"TERM": "xterm"}).no_color


@pytest.mark.parametrize(
    ("text", "durable"), [("off", False), ("FALSE", False), ("0", False), ("1", True), ("?", True)]
)
def test_only_a_plain_no_switches_syncing_off(text: str, durable: bool) -> None:
    assert settle(read_environment({"GITCOORD_FSYNC": text, "USER": "a"})).durable is durable
    assert (
        settle(EnvSettings(login="a"), parse_git_config(b"gitcoord.fsync\n" + text.encode() + b"\0")).durable is durable
    )


def test_the_environment_comes_before_gits_configuration() -> None:
    git = GitSettings(False, "Git Name", "git@example.org", True)
    env = read_environment({"GIT_AUTHOR_NAME": "Env", "GITCOORD_FSYNC": "yes", "EMAIL": "last@x", "USER": "u"})
    got = settle(env, git)
    assert (got.durable, got.user_name, got.user_email, got.ignore_case) == (True, "Env", "git@example.org", True)
    assert settle(env).user_email == "last@x"


def test_a_name_cannot_end_the_author_line_early() -> None:
    got = settle(EnvSettings(user_name="A <b>\nX", user_email="a@b>\0", login="u"))
    assert (got.user_name, got.user_email) == ("A bX", "a@b")
    assert settle(EnvSettings(user_name="<>.", login="u")).user_name == "u"


def test_the_last_value_of_a_key_counts_and_a_bare_key_says_yes() -> None:
    listing = b"user.name\nA\0user.name\nB\nC\0core.ignorecase\0gitcoord.fsync\nno\0"
    assert parse_git_config(listing) == GitSettings(False, "B\nC", None, True)
    assert parse_git_config(b"") == GitSettings()
    assert parse_git_config(b"user.name\nA\0author.name\nB\0user.email\n\xff\0").user_name == "B"


def test_git_is_asked_with_its_includes(tmp_path: Path) -> None:
    git_dir = make_repository(tmp_path / "repo")
    (tmp_path / "more").write_text("[user]\n\tname = Included\n[gitcoord]\n\tfsync = false\n")
    subprocess.run(["git", f"--git-dir={git_dir}", "config", "include.path", str(tmp_path / "more")], check=True)
    subprocess.run(["git", f"--git-dir={git_dir}", "config", "core.ignorecase", "true"], check=True)
    elsewhere = {**environment(), "GIT_DIR": str(tmp_path / "nowhere"), "GIT_INDEX_FILE": "x"}
    got = read_git_config(git_dir, elsewhere)
    assert (got.user_name, got.durable, got.ignore_case) == ("Included", False, True)


def test_a_broken_configuration_is_told_with_gits_words(tmp_path: Path) -> None:
    git_dir = make_repository(tmp_path / "repo")
    with open(os.path.join(git_dir, "config"), "a", encoding="utf-8") as file:
        file.write("[broken\n")
    with pytest.raises(CoordError, match="bad config line"):
        read_git_config(git_dir)


def test_a_machine_without_git_has_no_configuration(tmp_path: Path) -> None:
    assert read_git_config(str(tmp_path), {"PATH": str(tmp_path)}) == GitSettings()


def test_a_git_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    (tmp_path / "git").write_text("no program")
    (tmp_path / "git").chmod(0o755)
    with pytest.raises(CoordError, match="did not tell"):
        read_git_config(str(tmp_path), {"PATH": str(tmp_path)})


def test_the_login_name_is_found_without_variables() -> None:
    assert login_name({})
    assert login_name({"USERNAME": "win", "USER": ""}) == "win"
    assert host_name()
