"""What a person sees: tables on a terminal, plain lines in a pipe, and never another session's escape sequences."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from support.program import COMMAND, program_env, run, run_on_terminal
from support.repo import make_repo

if TYPE_CHECKING:
    pass

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m[red]bold[/red] :skull: \u202egnp.exe\nnext: rm -rf /"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a repository in which one session has written what would act on a terminal wherever it could."""
    where = make_repo(tmp_path_factory.mktemp("terminal") / "repo")
    assert run(where, "init").code == 0
    assert run(where, "session", "start", "eve", "--intent", EVIL).code == 0
    assert run(where, "lock", "src/app.py", "odd\x1b[31m\nname", "-m", EVIL, "--session", "eve").code == 0
    assert run(where, "lock", "README.md", "--ttl", "60", "--session", "ada").code == 0
    assert run(where, "data", "set", "s", "k", "--text", EVIL, "--session", "eve").code == 0
    return where


SHOWING = [
    ["status"],
    ["locks"],
    ["log"],
    ["log", "--json"],
    ["session", "list"],
    ["session", "show", "eve"],
    ["session", "show", "eve", "--json"],
    ["lock", "src/app.py"],
    ["lock", "src/app.py", "--json"],
    ["check", "src/app.py"],
    ["unlock", "src/app.py"],
    ["data", "get", "s", "k"],
    ["data", "get", "s", "k", "--text"],
]


@pytest.mark.parametrize("words", SHOWING, ids=" ".join)
def test_what_another_session_wrote_never_acts_on_the_terminal(repo: str, words: list[str]) -> None:
    _, shown = run_on_terminal(
        repo, *words, "--session" if words[0] != "log" else "-n9", *(["ada"][: words[0] != "log"])
    )
    ours = ("\x1b[1m", "\x1b[2m", "\x1b[0m", "\x1b[2;", "\x1b[1;", "\x1b[3m")
    for piece in ours:
        shown = shown.replace(piece, "")
    assert "\x1b" not in shown
    assert not {"\x07", "\x9b", "\u202e"} & set(shown)
    assert "gnp.exe" in shown
    if words != ["data", "get", "s", "k", "--text"]:  # whose lines are meant to be lines
        assert "\nnext: rm" not in shown


@pytest.mark.parametrize("words", [words for words in SHOWING if "--text" not in words], ids=" ".join)
def test_in_a_pipe_too(repo: str, words: list[str]) -> None:
    done = run(repo, *words)
    shown = done.out + done.err
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "\nnext: rm" not in shown


def test_a_long_reason_is_cut_for_people_and_whole_for_programs(repo: str) -> None:
    reason = "why " * 400
    run(repo, "lock", "long.py", "-m", reason, "--session", "eve")
    refused = run(repo, "lock", "long.py", "--session", "ada")
    assert max(map(len, refused.err.splitlines())) < 300
    whole = run(repo, "locks", "long.py", "--json").json["locks"][0]["reason"]
    assert whole.strip() == reason.strip()


@pytest.mark.parametrize("words", [["status"], ["locks"], ["log"], ["session", "list"]], ids=" ".join)
def test_tables_fit_the_terminal_and_show_what_matters(repo: str, words: list[str]) -> None:
    for columns in (80, 120):
        code, shown = run_on_terminal(repo, *words, columns=columns, env={"NO_COLOR": "1"})
        assert code == 0
        assert max(map(len, shown.splitlines())) <= columns
        assert "eve" in shown


def test_no_color_means_none(repo: str) -> None:
    assert "\x1b[" in run_on_terminal(repo, "locks")[1]
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b[" not in run_on_terminal(repo, "locks", env=env)[1]


@pytest.mark.parametrize("words", [["status"], ["locks"], ["log"], ["session", "list"]], ids=" ".join)
def test_a_pipe_gets_one_record_a_line_and_no_color(repo: str, words: list[str]) -> None:
    done = run(repo, *words, env={"FORCE_COLOR": "1", "COLUMNS": "20"})
    assert "\x1b" not in done.out
    assert len({line.count("\t") for line in done.out.splitlines() if line[:4] in {"lock", "src/"}}) <= 1
    assert all("\t" in line for line in done.out.splitlines())


def test_a_locale_without_unicode_is_no_reason_to_fail(repo: str) -> None:
    run(repo, "lock", "größe.py", "-m", "大小", "--session", "eve")
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = run(repo, "locks", env=env)
    assert (done.code, done.err) == (0, "")
    assert "gr\\xf6\\xdfe.py" in done.out
    assert "größe.py" in run(repo, "locks", "--json", env=env).raw.decode()


@pytest.mark.parametrize(
    ("words", "code"),
    [("log", 0), ("status", 0), ("lock src/app.py --session ada", 1), ("lock src/app.py --session ada --json", 1)],
)
def test_a_closed_pipe_changes_no_exit_code_and_is_no_complaint(repo: str, words: str, code: int) -> None:
    command = f'{" ".join(COMMAND)} {words} 2>errors | true; echo "${{PIPESTATUS[0]}}"'
    for unbuffered in ("", "1"):
        env = program_env(PYTHONUNBUFFERED=unbuffered)
        done = subprocess.run(["bash", "-c", command], cwd=repo, capture_output=True, text=True, check=False, env=env)
        assert done.stdout.strip() == str(code)
        assert done.stderr == ""


def test_waiting_tells_a_person_for_whom(repo: str) -> None:
    code, shown = run_on_terminal(repo, "lock", "src/app.py", "--wait", "1", "--session", "ada")
    assert code == 1
    assert shown.startswith("waiting for at most 1 s (Ctrl-C gives up)\n")
    assert "held by  eve" in shown
