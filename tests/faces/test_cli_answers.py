"""What a program gets to read of a command that went wrong, and what a person is told of one that went right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.procs import wait_until
from support.program import COMMAND, program_env, run
from support.repo import make_repo

if TYPE_CHECKING:
    from pathlib import Path


# A shell lets what it starts in the background ignore Ctrl-C, and so do we all that we start there.
HEARS_CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path) -> str:
    repo = make_repo(tmp_path / "repo")
    assert run(repo, "init").code == 0
    return repo


@pytest.mark.parametrize(
    "words",
    [
        ["lock"],
        ["lock", "a", "--ttl", "x"],
        ["lock", "a", "--bogus"],
        ["data", "get"],
        ["data"],
        ["data", "bogus"],
        ["bogus"],
        ["data", "set", "s", "k", "-Infinity"],
        ["init", "--check"],
    ],
    ids=" ".join,
)
def test_a_usage_error_is_json_where_that_is_asked_for(repo: str, words: list[str]) -> None:
    done = run(repo, *words, "--json")
    assert done.code == 2
    assert (done.json["ok"], done.json["error"]["code"]) == (False, "bad_request")
    assert done.json["error"]["message"]
    plain = run(repo, *words)
    assert (plain.code, plain.out) == (2, "")


def test_a_word_that_looks_like_an_option_is_named(repo: str) -> None:
    assert "-Infinity" in run(repo, "data", "set", "s", "k", "-Infinity").err


def test_a_session_that_is_not_there_is_an_error_of_the_answer(repo: str) -> None:
    shown = run(repo, "session", "show", "nobody", "--json")
    assert (shown.code, shown.json["found"], shown.json["error"]["code"]) == (1, False, "not_found")


def test_a_wait_that_is_broken_off_says_so_to_a_program(repo: str) -> None:
    assert run(repo, "lock", "a", "--session", "A").code == 0
    command = [*COMMAND, "lock", "a", "--session", "B", "--wait", "1h", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, *command], cwd=repo, stdout=subprocess.PIPE, env=program_env()
    ) as waiting:
        wait_until(lambda: "B" in run(repo, "status").out, "the waiter stands in line")
        waiting.send_signal(signal.SIGINT)
        out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert b'"interrupted"' in out


@pytest.mark.parametrize("words", [["-C", "nope", "lock", "a"], ["init", "nope"], ["-C", "README.md", "status"]])
def test_a_directory_that_is_not_there_is_refused_and_nothing_else_taken_for_it(repo: str, words: list[str]) -> None:
    done = run(repo, *words)
    assert done.code == 5
    assert ("nope" if "nope" in words else "README.md") in done.err
    assert run(repo, "locks").out == ""


def test_an_answer_that_cannot_be_written_says_what_became_of_the_request(repo: str) -> None:
    with open(f"{repo}/README.md", "rb") as not_for_writing:
        command = [*COMMAND, "lock", "x"]
        done = subprocess.run(
            command, cwd=repo, stdout=not_for_writing, stderr=subprocess.PIPE, env=program_env(), check=False
        )
    assert done.returncode == 5
    assert b"could not be written to stdout: Bad file descriptor; what was asked for is done" in done.stderr
    assert "x" in run(repo, "locks").out


@pytest.mark.parametrize("number", ["1e-400", "0.1234567890123456789012345", "-1e400", "9" * 5000])
def test_a_number_that_would_not_come_back_is_refused(repo: str, number: str) -> None:
    done = run(repo, "data", "set", "s", "k", "--", number)
    assert done.code == 2
    assert number[:20] in done.err
    assert "sys." not in done.err


@pytest.mark.parametrize("number", ["0.1", "1e300", "-0.0", "1.50", "5e-324", "123456789012345678901234567890"])
def test_a_number_that_comes_back_is_kept(repo: str, number: str) -> None:
    assert run(repo, "data", "set", "s", "k", "--", number).code == 0
    assert float(run(repo, "data", "get", "s", "k").out) == float(number)


def test_a_key_is_shown_once_escaped(repo: str) -> None:
    assert r"in scope 'sc\e[31m'" in run(repo, "data", "get", "sc\x1b[31m", "k").err


def test_a_path_that_is_not_utf_8_is_spelled_out_in_json(tmp_path: Path) -> None:
    where = os.fsencode(tmp_path) + b"/r\xff"
    make_repo(os.fsdecode(where))
    done = run(os.fsdecode(where), "init", "--json")
    assert done.code == 0
    assert r"r\udcff/.git/gitcoord" in done.json["runtime"]


def test_a_repository_that_was_moved_is_told_from_one_without_a_log(repo: str) -> None:
    from gitcoord.service import open_desk

    desk = open_desk(repo, session="me")
    assert desk.lock_files(["a"])["granted"]
    os.rename(repo, f"{repo}-elsewhere")
    for answer in (desk.status(), desk.lock_files(["b"])):
        assert answer["error"]["code"] == "not_a_repository"
        assert "is gone" in answer["error"]["message"]
    assert not os.path.exists(repo)
