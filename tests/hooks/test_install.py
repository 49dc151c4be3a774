"""Installing beside what is there, and taking out again: the tree is compared byte for byte."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gitcoord.errors import CoordError
from gitcoord.hooks import git_events, gitconfig, install, scripts
from gitcoord.service import initialise
from gitcoord.store.repository import find_repository
from support.guarded import OLD_GIT, gits, lock, make_guarded, run_git, tree_of, write
from support.program import run
from support.repo import add_worktree, git, make_repo

if TYPE_CHECKING:
    from pathlib import Path

NEW_GIT = (2, 54)
GIT_LFS = '#!/bin/sh\ncommand -v git-lfs >/dev/null 2>&1 || exit 0\ngit lfs pre-push "$@"\n'
TELLS = (
    '#!/bin/sh\n# a hook of the project\necho "before: $0 $# $*" >> told\nenv | sort > told.env\ncat >> told.stdin\n'
)


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    git(where, "config", "gitcoord.fsync", "false")
    initialise(where)
    return where


def put(where: str, event: str, text: str, mode: int = 0o755) -> str:
    path = os.path.join(where, ".git", "hooks", event)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def do_install(where: str, version: tuple[int, int] = OLD_GIT, flags: list[str] | None = None) -> dict[str, str]:
    done = install.install(find_repository(where, {}), git_events.CLIENT, flags or [], version)
    return {one.event: one.how for one in done}


def do_uninstall(where: str) -> list[install.Done]:
    return install.uninstall(find_repository(where, {}))


HOOKS_BEFORE: dict[str, dict[str, tuple[str, int]]] = {
    "none": {},
    "a shell script": {"pre-commit": (TELLS, 0o755), "pre-push": (TELLS, 0o700)},
    "bash by env": {"pre-commit": ("#!/usr/bin/env bash\nset -euo pipefail\n[[ 1 == 1 ]]\n", 0o755)},
    "no newline at the end": {"pre-commit": ("#!/bin/sh\ntrue", 0o755), "post-merge": ("#!/bin/sh", 0o755)},
    "windows line ends": {"commit-msg": ("#!/bin/sh\r\ntrue\r\n", 0o755)},
    "python": {"pre-commit": ("#!/usr/bin/env python3\nprint('hook')\n", 0o755)},
    "bytes": {"pre-commit": ("#!/bin/sh\n# \udcff\udcfe\ntrue\n", 0o755)},
    "not executable": {"pre-commit": ("#!/bin/sh\nfalse\n", 0o644)},
    "git-lfs": {"pre-push": (GIT_LFS, 0o755), "post-checkout": (GIT_LFS, 0o755)},
    "samples": {"pre-commit.sample": ("#!/bin/sh\nfalse\n", 0o755)},
}


@pytest.mark.parametrize("version", [OLD_GIT, NEW_GIT], ids=["files", "config"])
@pytest.mark.parametrize("before", HOOKS_BEFORE)
def test_what_is_taken_out_leaves_the_tree_as_it_was(repo: str, before: str, version: tuple[int, int]) -> None:
    for event, (text, mode) in HOOKS_BEFORE[before].items():
        put(repo, event, text, mode)
    was = tree_of(repo)
    do_install(repo, version)
    assert tree_of(repo) != was
    once = tree_of(repo)
    do_install(repo, version)
    assert tree_of(repo) == once
    assert do_uninstall(repo)
    now = tree_of(repo, but=(".git/gitcoord/hooks",))
    assert now == {
        name: what for name, what in was.items() if name in now or not name.startswith(".git/gitcoord/hooks")
    }
    assert do_uninstall(repo) == []


def test_a_hooks_directory_that_was_missing_is_missing_again(repo: str) -> None:
    shutil.rmtree(f"{repo}/.git/hooks")
    was = tree_of(repo)
    do_install(repo)
    do_uninstall(repo)
    assert tree_of(repo) == was


def test_what_stood_there_runs_first_with_the_same_arguments_input_and_environment(repo: str) -> None:
    for event in ("pre-commit", "prepare-commit-msg", "pre-push", "reference-transaction"):
        put(repo, event, TELLS)
    git(repo, "remote", "add", "origin", make_repo(f"{repo}/../remote.git", bare=True))
    write(repo, "src/app.py")

    def told() -> tuple[list[str], list[str], str]:
        assert run_git(repo, "commit", "-a", "-m", "Change", stdin=b"").code == 0
        assert run_git(repo, "push", "-q", "origin", "HEAD:refs/heads/x").code == 0
        found: list[str] = []
        for name in ("told", "told.env", "told.stdin"):
            with open(f"{repo}/{name}", encoding="utf-8") as file:
                found.append(file.read())
            os.unlink(f"{repo}/{name}")
        names = sorted(line.partition("=")[0] for line in found[1].splitlines())
        stdin = "\n".join(" ".join(word for word in line.split() if len(word) < 40) for line in found[2].splitlines())
        return [line.replace(repo, "") for line in found[0].splitlines()], names, stdin

    alone = told()
    git(repo, "update-ref", "-d", "HEAD")
    git(repo, "reset", "-q")
    for name in ("told", "told.env", "told.stdin"):
        if os.path.exists(f"{repo}/{name}"):
            os.unlink(f"{repo}/{name}")
    git(repo, "add", "src", "README.md")
    git(repo, "push", "-q", "origin", ":refs/heads/x")
    for name in ("told", "told.env", "told.stdin"):
        if os.path.exists(f"{repo}/{name}"):
            os.unlink(f"{repo}/{name}")
    assert set(do_install(repo).values()) == {"block", "file"}
    with_us = told()
    assert [line for line in with_us[0] if "reference" not in line] == [
        line for line in alone[0] if "reference" not in line
    ]
    assert with_us[1] == alone[1]
    assert "refs/heads/x" in with_us[2]


@pytest.mark.parametrize("kind", ["shell", "python", "link"])
def test_a_hook_that_refused_refuses_still_and_gitcoord_is_not_asked(repo: str, kind: str) -> None:
    text = {"python": "#!/usr/bin/env python3\nraise SystemExit('no, says the project')\n"}
    path = put(repo, "pre-commit", text.get(kind, "#!/bin/sh\necho 'no, says the project' >&2\nexit 3\n"))
    if kind == "link":
        os.rename(path, f"{repo}/hook.sh")
        os.symlink("../../hook.sh", path)
    how = do_install(repo)["pre-commit"]
    assert how == ("block" if kind == "shell" else "chained")
    lock(repo, "src/app.py")
    write(repo, "src/app.py")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert ran.code != 0
    assert "no, says the project" in ran.err
    assert "gitcoord" not in ran.err
    do_uninstall(repo)
    assert os.path.islink(path) is (kind == "link")
    assert "gitcoord" not in run_git(repo, "commit", "-a", "-m", "Change").err


def test_after_a_hook_that_passes_gitcoord_refuses(repo: str) -> None:
    put(repo, "pre-commit", "#!/usr/bin/env python3\nprint('fine, says the project')\n")
    do_install(repo)
    lock(repo, "src/app.py")
    write(repo, "src/app.py")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert ran.code != 0
    assert "commit refused" in ran.err


def test_a_hook_that_commits_elsewhere_is_guarded_there_too(repo: str) -> None:
    other = make_guarded(f"{repo}/../other")
    lock(other, "src/app.py")
    write(other, "src/app.py")
    unset = "unset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE GIT_PREFIX"
    inner = f'{unset}\ngit -C "{other}" commit -q -a -m inner && touch inner\ntrue\n'
    put(repo, "pre-commit", f"#!/bin/sh\n{inner}")
    do_install(repo)
    write(repo, "src/app.py")
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert ran.code == 0
    assert "commit refused" in ran.err
    assert not os.path.exists(f"{repo}/inner")


def test_a_hook_that_is_switched_off_stays_off_and_lines_are_printed(repo: str) -> None:
    put(repo, "pre-commit", "#!/bin/sh\nexit 1\n", 0o644)
    done = install.install(find_repository(repo, {}), ("pre-commit",), [], OLD_GIT)[0]
    assert done.how == "by hand"
    assert any("gitcoord hook git pre-commit" in line for line in done.lines)


def test_what_somebody_wrote_into_our_file_survives_the_uninstall(repo: str) -> None:
    do_install(repo)
    path = f"{repo}/.git/hooks/pre-commit"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    put(repo, "pre-commit", text + "echo mine\n")
    do_uninstall(repo)
    with open(path, encoding="utf-8") as file:
        assert file.read() == "#!/bin/sh\necho mine\n"


def test_worktrees_share_the_hooks_and_any_of_them_can_take_them_out(repo: str, tmp_path: Path) -> None:
    side = add_worktree(repo, tmp_path / "side")
    was = tree_of(repo, but=(".git/gitcoord",))
    do_install(side)
    assert os.path.exists(f"{repo}/.git/hooks/pre-commit")
    do_uninstall(side)
    assert tree_of(repo, but=(".git/gitcoord",)) == was


def test_hooks_in_gits_config_are_written_where_git_knows_them(repo: str) -> None:
    how = do_install(repo, NEW_GIT, ["--warn"])
    assert set(how.values()) == {"config"}
    assert os.listdir(f"{repo}/.git/hooks") == os.listdir(f"{repo}/.git/hooks")
    assert git(repo, "config", "hook.gitcoord-pre-commit.event") == "pre-commit"
    command = git(repo, "config", "hook.gitcoord-pre-commit.command")
    assert gitconfig.events(f"{repo}/.git") == list(git_events.CLIENT)
    lock(repo, "src/app.py")
    write(repo, "src/app.py")
    git(repo, "add", "-A")
    # The machine's git may not know such hooks; this is how one that does starts them: through a shell.
    done = subprocess.run(["sh", "-c", command], cwd=repo, capture_output=True, check=False, text=True)
    assert done.returncode == 0
    assert "gitcoord: warning: 1 of 1" in done.stderr


def test_a_config_without_a_newline_at_its_end_is_restored(repo: str) -> None:
    path = f"{repo}/.git/config"
    with open(path, "rb") as file:
        was = file.read().rstrip(b"\n")
    with open(path, "wb") as file:
        file.write(was)
    do_install(repo, NEW_GIT)
    assert git(repo, "config", "hook.gitcoord-pre-push.event") == "pre-push"
    do_uninstall(repo)
    with open(path, "rb") as file:
        assert file.read() == was


def test_core_hookspath_is_never_set_and_one_in_the_repository_is_used(repo: str) -> None:
    git(repo, "config", "core.hooksPath", ".githooks")
    write(repo, ".githooks/pre-commit", "#!/bin/sh\necho project\n")
    os.chmod(f"{repo}/.githooks/pre-commit", 0o755)
    was = tree_of(repo)
    do_install(repo)
    with open(f"{repo}/.githooks/pre-commit", encoding="utf-8") as file:
        text = file.read()
    assert "command -v gitcoord" in text
    assert os.path.dirname(repo) not in text, "others get this file: it must not name a path of this machine"
    assert git(repo, "config", "core.hooksPath") == ".githooks"
    assert "pre-commit" not in [name for name in os.listdir(f"{repo}/.git/hooks") if not name.endswith(".sample")]
    do_uninstall(repo)
    assert tree_of(repo) == was


def test_a_hookspath_outside_of_the_repository_is_not_written_to(repo: str, tmp_path: Path) -> None:
    outside = tmp_path / "everybody"
    outside.mkdir()
    git(repo, "config", "core.hooksPath", str(outside))
    done = install.install(find_repository(repo, {}), git_events.CLIENT, [], OLD_GIT)
    assert {one.how for one in done} == {"by hand"}
    assert all(one.lines for one in done)
    assert list(outside.iterdir()) == []


HUSKY = '#!/usr/bin/env sh\nh="$(dirname -- "$0")/../$(basename -- "$0")"\n[ ! -f "$h" ] && exit 0\nsh -e "$h" "$@"\n'


def test_husky_keeps_its_place_and_gitcoord_goes_into_its_own_files(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repo, "config", "core.hooksPath", ".husky/_")
    write(repo, ".husky/_/.gitignore", "*")
    for event in install._HUSKY:  # pyright: ignore[reportPrivateUsage]
        write(repo, f".husky/_/{event}", HUSKY)
        os.chmod(f"{repo}/.husky/_/{event}", 0o755)
    write(repo, ".husky/pre-commit", "echo husky runs the tests\n")
    was = tree_of(repo)
    how = do_install(repo)
    assert how["pre-commit"] == "block"
    assert how["pre-push"] == "file"
    assert os.path.exists(f"{repo}/.husky/_/reference-transaction")
    with open(f"{repo}/.husky/_/pre-commit", encoding="utf-8") as file:
        assert file.read() == HUSKY
    lock(repo, "src/app.py")
    write(repo, "src/app.py")
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    ran = run_git(repo, "commit", "-a", "-m", "Change")
    assert ran.code != 0
    assert ran.err.index("husky runs the tests") < ran.err.index("commit refused")
    git(repo, "checkout", "-q", "-f", "HEAD", "--", ".")
    do_uninstall(repo)
    assert tree_of(repo, but=(".git/",)) == {k: v for k, v in was.items() if not k.startswith(".git/")}


PRE_COMMIT = (
    '#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\nexec pre-commit hook-impl "$@"\n'
)
LEFTHOOK = '#!/bin/sh\ncall_lefthook()\n{\n  lefthook "$@"\n}\ncall_lefthook run "pre-commit" "$@"\n'


@pytest.mark.parametrize(
    ("text", "file", "lines"),
    [
        (PRE_COMMIT, ".pre-commit-config.yaml", "entry: gitcoord hook git pre-commit"),
        (LEFTHOOK, "lefthook.yml", "run: gitcoord hook git pre-commit"),
    ],
)
def test_hook_managers_get_lines_and_their_file_is_not_touched(repo: str, text: str, file: str, lines: str) -> None:
    path = put(repo, "pre-commit", text)
    done = {one.event: one for one in install.install(find_repository(repo, {}), git_events.CLIENT, [], OLD_GIT)}
    assert done["pre-commit"].how == "by hand"
    assert file in done["pre-commit"].lines[0]
    assert any(lines in line for line in done["pre-commit"].lines)
    with open(path, encoding="utf-8") as hook:
        assert hook.read() == text
    assert done["pre-push"].how == "file"
    write(repo, file, "\n".join(done["pre-commit"].lines))
    assert do_install(repo)["pre-commit"] == "manager"
    assert {one.event: one.how for one in install.status(find_repository(repo, {}))}["pre-commit"] == "manager"


def test_the_command_line_installs_shows_and_takes_out(repo: str) -> None:
    was = tree_of(repo)
    env = {"GIT_CONFIG_COUNT": "0"}
    done = run(repo, "hooks", "install", "--json", env=env)
    assert done.code == 0
    assert {row["event"] for row in done.json["hooks"]} == set(git_events.CLIENT)
    assert run(repo, "hooks", "status", "--json").json["guarding"] is True
    assert run(repo, "hooks", "uninstall").code == 0
    assert tree_of(repo, but=(".git/gitcoord/hooks",)) == was
    assert run(repo, "hooks", "status", "--json").json["guarding"] is False


def test_without_a_log_nothing_is_installed(tmp_path: Path) -> None:
    where = make_repo(tmp_path / "plain")
    was = tree_of(where)
    done = run(where, "hooks", "install")
    assert done.code == 5
    assert "gitcoord init" in done.err
    assert run(where, "hooks", "install", "--server").code == 2
    assert tree_of(where) == was


@pytest.mark.parametrize("event", git_events.HANDLERS)
def test_every_script_is_one_that_a_plain_shell_reads(tmp_path: Path, event: str) -> None:
    for number, text in enumerate(
        (
            scripts.whole_file(event, ["--warn"], "/a b/it's/python"),
            scripts.dispatcher(event, [], None),
            scripts.with_block("#!/bin/sh\ntrue\n", scripts.block(event, [], "/x")),
        )
    ):
        path = tmp_path / f"hook{number}"
        path.write_text(text)
        done = subprocess.run(["sh", "-n", str(path)], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_rights_of_a_hook_stay_what_they_were(repo: str) -> None:
    path = put(repo, "pre-commit", "#!/bin/sh\ntrue\n", 0o750)
    do_install(repo)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o750


@pytest.mark.parametrize("setting", ["open", "closed"])
@pytest.mark.parametrize("shell", [["sh"], ["sh", "-e"], ["bash", "-eu"]], ids=" ".join)
@pytest.mark.parametrize("event", ["pre-commit", "pre-push", "post-checkout"])
def test_where_the_program_is_missing_the_setting_holds_in_every_shell(
    repo: str, event: str, shell: list[str], setting: str
) -> None:
    git(repo, "config", "gitcoord.hookErrors", setting)
    for text in (
        scripts.whole_file(event, [], None),
        scripts.with_block("#!/bin/sh\necho own\n", scripts.block(event, [], None)),
    ):
        path = put(repo, event, text)
        command = [*shell, path, "origin", "url", "1"]
        done = subprocess.run(command, cwd=repo, input="", capture_output=True, check=False, text=True)
        assert f"the guard of {event} is broken (127)" in done.stderr
        assert done.returncode == (0 if setting == "open" else 1)


@pytest.mark.parametrize("layout", gits())
def test_a_block_whose_end_was_taken_away_is_left_as_it_is_and_that_is_said(repo: str, layout: str) -> None:
    path = put(repo, "pre-commit", "#!/bin/sh\necho mine\n")
    version = gits()[layout]
    install.install(find_repository(repo, {}), git_events.CLIENT, [], version)
    path = path if layout == "files" else f"{repo}/.git/config"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    maimed = text.replace("# <<< gitcoord <<<\n", "")
    assert maimed != text
    with open(path, "w", encoding="utf-8") as file:
        file.write(maimed)
    if layout == "files":
        again = {one.event: one for one in install.install(find_repository(repo, {}), git_events.CLIENT, [], version)}
        assert again["pre-commit"].how == "by hand"
    else:
        with pytest.raises(CoordError, match="not the mark"):
            install.install(find_repository(repo, {}), git_events.CLIENT, [], version)
    done = {one.event: one for one in install.uninstall(find_repository(repo, {}))}
    assert done["pre-commit" if layout == "files" else "all"].how == "by hand"
    with open(path, encoding="utf-8") as file:
        assert file.read() == maimed
    assert run_git(repo, "commit", "--allow-empty", "-m", "Still runs").code == 0
