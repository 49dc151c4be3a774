"""`init`, `status`, `log`, `doctor`, and what every command says where there is nothing to look at."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.program import COMMAND, program_env, run
from support.repo import add_worktree, fsck, git, log_length, make_repo

if TYPE_CHECKING:
    from pathlib import Path

ASKING = [
    ["session", "start"],
    ["session", "list"],
    ["session", "show", "ada"],
    ["session", "renew"],
    ["session", "end"],
    ["lock", "a"],
    ["unlock", "a"],
    ["unlock", "--all"],
    ["unlock", "--force", "a", "-m", "why"],
    ["locks"],
    ["check", "a"],
    ["data", "set", "s", "k", "1"],
    ["data", "get", "s", "k"],
    ["data", "delete", "s", "k"],
    ["data", "list", "s"],
    ["data", "scopes"],
    ["data", "delete-scope", "s"],
    ["log"],
    ["status"],
]
VERDICT = {"lock": "granted", "get": "found", "show": "found", "delete": "deleted"}


@pytest.fixture
def repo(tmp_path: Path) -> str:
    """Return a repository with a log."""
    where = make_repo(tmp_path / "repo")
    assert run(where, "init").code == 0
    return where


def test_init_makes_the_log_once(tmp_path: Path) -> None:
    where = make_repo(tmp_path / "repo")
    first = run(where, "init")
    assert first.code == 0
    assert first.out.startswith("log        refs/gitcoord/main (made)\n")
    assert first.err.startswith("next: gitcoord ")
    assert git(where, "symbolic-ref", "refs/coord") == "refs/gitcoord/main"
    again = run(where, "init", "--local", "--json")
    assert again.code == 0
    assert again.json["created"] is False
    assert log_length(where) == 1
    assert fsck(where) == []


def test_init_takes_a_directory(tmp_path: Path) -> None:
    where = make_repo(tmp_path / "repo")
    assert run(tmp_path, "init", "repo/src", "--json").json["created"] is True
    assert run(tmp_path, "-C", "repo", "init", "src", "--json").json["created"] is False
    assert log_length(where) == 1


def test_a_bare_repository_works(tmp_path: Path) -> None:
    where = make_repo(tmp_path / "bare.git", bare=True)
    assert run(where, "init").code == 0
    assert run(where, "lock", "src/app.py", "--session", "ada").code == 0
    assert run(where, "check", "src/app.py", "--session", "bob").code == 1


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_a_repository_without_a_log_is_told_how_to_get_one(tmp_path: Path, words: list[str]) -> None:
    where = make_repo(tmp_path / "repo", files=False)
    done = run(where, *words)
    assert (done.code, done.out) == (5, "")
    assert "next: gitcoord init" in done.err
    answer = run(where, *words, "--json").json
    assert answer["error"]["code"] == "not_initialised"
    verdict = VERDICT.get(words[-1] if words[0] == "data" else words[0]) or VERDICT.get(words[1 if words[1:] else 0])
    assert not answer.get(verdict or "ok", False)


@pytest.mark.parametrize("words", [*ASKING, ["init"], ["doctor"]], ids=" ".join)
def test_where_there_is_no_repository_every_command_says_so(tmp_path: Path, words: list[str]) -> None:
    done = run(tmp_path, *words)
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("gitcoord: ")
    as_json = run(tmp_path, *words, "--json")
    assert (as_json.code, as_json.err) == (5, "")
    assert as_json.json["ok"] is False
    assert as_json.json["error"]["code"] == "not_a_repository"


def test_a_directory_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    done = run(tmp_path, "-C", "nowhere", "status")
    assert done.code == 5
    assert "nowhere" in done.err


def test_status_is_one_screen_of_who_is_here_and_what_they_hold(repo: str) -> None:
    run(repo, "session", "start", "ada", "--intent", "rework the pool")
    run(repo, "lock", "src/app.py", "-m", "leaks", "--session", "ada")
    run(repo, "lock", "--resource", "deploy/prod", "--ttl", "60", "--session", "bob")
    done = run(repo, "status", "--session", "ada")
    assert (done.code, done.err) == (0, "")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert rows[0][:2] == ["repository", os.path.realpath(repo)]
    assert rows[1] == ["you", "ada"]
    assert [row[:3] for row in rows if row[0] == "session"] == [["session", "ada", "live"], ["session", "bob", "live"]]
    assert [row[1] for row in rows if row[0] == "lock"] == ["src/app.py", "deploy/prod"]
    assert [row[1] for row in rows if row[0] == "lapsing"] == ["deploy/prod"]
    answer = run(repo, "status", "--session", "ada", "--json").json
    assert answer["session"]["session"] == "ada"
    assert [lock["path"] for lock in answer["lapsing"]] == ["deploy/prod"]


def test_a_lock_whose_own_time_is_over_is_marked(repo: str) -> None:
    run(repo, "lock", "src/app.py", "--session", "ada")
    run(repo, "lock", "src/db.py", "--ttl", "1", "--session", "ada")
    for _ in range(200):
        if not run(repo, "check", "src/db.py", "--session", "bob").code:
            break
    for words in (("locks",), ("status",)):
        rows = [line.split("\t") for line in run(repo, *words).out.splitlines()]
        marked = [row for row in rows if row[-1] == "lapsed"]
        assert marked, (words, rows)
        assert all("src/db.py" in row for row in marked), words
    assert "src/db.py (exclusive, lapsed)" in run(repo, "session", "show", "ada").out
    assert [lock.get("lapsed", False) for lock in run(repo, "locks", "--json").json["locks"]] == [False, True]


def test_status_in_a_linked_worktree_shows_the_same_log(repo: str, tmp_path: Path) -> None:
    other = add_worktree(repo, tmp_path / "other")
    run(other, "lock", "src/app.py", "--session", "ada")
    assert run(repo, "status", "--json").json["locks"] == run(other, "status", "--json").json["locks"] != []


def test_log_reads_the_audit_for_people_and_programs(repo: str) -> None:
    run(repo, "lock", "src/app.py", "-m", "leaks", "--session", "ada")
    run(repo, "lock", "src/db.py", "--session", "bob")
    run(repo, "unlock", "src/app.py", "--session", "ada")
    done = run(repo, "log")
    assert (done.code, done.err) == (0, "")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[4].partition(":")[0] for row in rows] == ["unlock", "lock", "sign-on", "lock", "sign-on", "init"]
    assert rows[3][5] == "leaks"
    assert git(repo, "rev-parse", "refs/coord") == rows[0][2]
    assert len(run(repo, "log", "-n", "2").out.splitlines()) == 2
    assert len(run(repo, "log", "src/app.py").out.splitlines()) == 2
    assert {row.split("\t")[3] for row in run(repo, "log", "--session", "bob").out.splitlines()} == {"bob"}
    assert run(repo, "--session", "bob", "log").out == run(repo, "log", "--session", "bob").out
    assert [entry["verb"] for entry in run(os.path.join(repo, "src"), "log", "db.py", "--json").json["entries"]] == [
        "lock"
    ]


def test_a_log_of_nothing_is_empty_and_no_error(repo: str) -> None:
    done = run(repo, "log", "README.md")
    assert (done.code, done.out) == (0, "")
    assert done.err != ""


def test_doctor_finds_and_puts_right_a_missing_alias(repo: str) -> None:
    healthy = run(repo, "doctor")
    assert (healthy.code, healthy.out, healthy.err) == (0, "", "all is in order\n")
    git(repo, "symbolic-ref", "--delete", "refs/coord")
    found = run(repo, "doctor")
    assert found.code == 5
    assert found.out == "error\talias_missing\tcan be fixed\trefs/coord is missing\n"
    assert found.err == "gitcoord: refs/coord is missing\nnext: gitcoord doctor --fix\n"
    assert run(repo, "doctor", "--json").json["ok"] is False
    assert run(repo, "status", "--json").json["warnings"][0].endswith(": gitcoord init")
    fixed = run(repo, "doctor", "--fix")
    assert fixed.code == 0
    assert "fixed" in fixed.out
    assert git(repo, "symbolic-ref", "refs/coord") == "refs/gitcoord/main"
    assert run(repo, "doctor").code == 0


def test_git_coord_is_the_same_program(repo: str, tmp_path: Path) -> None:
    shim = tmp_path / "bin" / "git-coord"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    shim.chmod(0o755)
    env = program_env(PATH=f"{shim.parent}{os.pathsep}{os.get_exec_path()[0]}{os.pathsep}{os.defpath}")
    inside = os.path.join(repo, "src")
    done = subprocess.run(
        ["git", "coord", "lock", "app.py", "--session", "ada"], cwd=inside, env=env, capture_output=True, check=False
    )
    assert done.stdout.startswith(b"locked src/app.py ")


def test_the_variables_that_git_gives_its_hooks_do_not_confuse(repo: str) -> None:
    env = {"GIT_DIR": os.path.join(repo, ".git"), "GIT_INDEX_FILE": "nonsense", "GIT_PREFIX": "src/"}
    assert run(repo, "lock", "src/app.py", "--session", "ada", env=env).out.startswith("locked src/app.py ")


def test_a_record_that_cannot_be_read_is_named_and_nothing_is_granted(repo: str, tmp_path: Path) -> None:
    run(repo, "lock", "src/app.py", "--session", "ada")
    env = {"GIT_INDEX_FILE": str(tmp_path / "index")}
    blob = git(repo, "hash-object", "-w", "--stdin", stdin=b"{damaged")
    git(repo, "read-tree", "refs/coord", env=env)
    git(repo, "update-index", "--cacheinfo", f"100644,{blob},locks/src/app.py/@ada.json", env=env)
    commit = git(repo, "commit-tree", git(repo, "write-tree", env=env), "-p", "refs/coord", "-m", "damage")
    git(repo, "update-ref", "refs/gitcoord/main", commit)
    for words, code in ((["check", "src/app.py"], 1), (["doctor"], 3), (["lock", "src"], 1)):
        git(repo, "update-ref", "refs/gitcoord/main", commit)
        done = run(repo, *words)
        assert (done.code, "@ada.json" in done.out + done.err) == (code, True)
        assert ("held by ada" in done.err) is (code == 1)
    assert run(repo, "lock", "src/app.py", "--json").json["granted"] is False
    assert git(repo, "merge-base", "refs/coord", commit) == git(repo, "rev-parse", "refs/coord")


def test_a_point_of_the_log_can_be_named_as_git_names_it(repo: str) -> None:
    run(repo, "lock", "a", "b", "--session", "ada")
    run(repo, "unlock", "a", "--session", "ada")
    for name in ("refs/coord~1", "refs/gitcoord/main~", "HEAD~1"):
        held = run(repo, "locks", "--at", name, "--json").json["locks"]
        assert [lock["path"] for lock in held] == ["a", "b"], name
    assert run(repo, "at", "refs/coord~99").code == 1
    assert run(repo, "at", "main~1").code == 2


def test_a_time_before_the_log_is_told_when_it_begins(repo: str) -> None:
    done = run(repo, "at", "9999h")
    assert done.code == 1
    assert "it begins at 20" in done.err


def test_a_policy_that_is_no_json_is_named_with_its_file(repo: str, tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    draft.write_text("{", encoding="utf-8")
    done = run(repo, "policy", "set", str(draft))
    assert done.code == 2
    assert str(draft) in done.err
    assert "--text" not in done.err


def test_a_policy_that_allows_shorter_leases_only_keeps_nobody_out(repo: str, tmp_path: Path) -> None:
    policy = run(repo, "policy", "show", "--json").json["policy"]
    policy["version"] += 1
    policy["limits"]["lease_max_s"] = 600
    draft = tmp_path / "draft"
    draft.write_text(json.dumps(policy), encoding="utf-8")
    assert run(repo, "policy", "set", str(draft)).code == 0
    assert "in 10 min" in run(repo, "lock", "a", "--session", "new").out
    assert run(repo, "lock", "b", "--ttl", "20m", "--session", "new").code == 1
