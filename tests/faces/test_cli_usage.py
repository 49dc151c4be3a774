"""What the command line takes, what it says of itself, and how it says no."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gitcoord import __version__
from gitcoord.cli import dispatch, main
from gitcoord.cli.dispatch import COMMANDS, GROUPS, make_parser
from gitcoord.cli.parsing import count, duration, positive_duration, revision, text
from support.program import COMMAND, program_env, run

if TYPE_CHECKING:
    from pathlib import Path

LATER = ["task", "msg", "decision"]
VERBS = [name for name in COMMANDS if name not in GROUPS] + [
    f"{word} {verb}" for word in GROUPS for verb in GROUPS[word]
]


def test_help_names_every_command_and_every_exit_code(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert (done.code, done.err) == (0, "")
    for name in COMMANDS:
        assert f"\n  {name} " in done.out
    assert "0 done, 1 refused, 2 usage, 3 integrity, 4 remote, 5 anything else" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_no_command_is_a_usage_error_that_helps(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "lock" in done.err


@pytest.mark.parametrize("words", [["--version"], ["-V"]])
def test_the_version_is_told(tmp_path: Path, words: list[str]) -> None:
    assert run(tmp_path, *words)[:3] == (0, f"gitcoord {__version__}\n", "")


@pytest.mark.parametrize("word", [*LATER, "--bogus", "lokc", ""])
def test_an_unknown_command_is_a_usage_error_with_a_list(tmp_path: Path, word: str) -> None:
    done = run(tmp_path, word)
    assert (done.code, done.out) == (2, "")
    assert repr(word) in done.err
    assert set(COMMANDS) <= set(done.err.split())
    assert all(len(line) < 80 for line in done.err.splitlines())
    assert ("did you mean 'lock'?" in done.err) == (word == "lokc")


def test_an_unknown_verb_of_a_group_names_the_nearest(tmp_path: Path) -> None:
    for words in (["session", "strat"], ["help", "session", "strat"]):
        assert "unknown command 'session strat'; did you mean 'session start'?" in run(tmp_path, *words).err


@pytest.mark.parametrize("word", GROUPS)
def test_a_group_without_a_verb_or_with_an_unknown_one_lists_its_verbs(tmp_path: Path, word: str) -> None:
    for words in ([word], [word, "bogus"]):
        done = run(tmp_path, *words)
        assert (done.code, done.out) == (2, "")
        assert all(f"{word} {verb}" in done.err for verb in GROUPS[word])
    assert run(tmp_path, word, "--help").out == run(tmp_path, "help", word).out != ""


@pytest.mark.parametrize("name", VERBS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        make_parser(name).parse(["--help"])
    assert leaving.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: gitcoord {name} ")
    assert "--json" in said


@pytest.mark.parametrize(
    "words",
    [
        ["lock"],
        ["lock", "a", "--shared", "--intent"],
        ["lock", "a", "--ttl", "soon"],
        ["lock", "a", "--ttl", "0"],
        ["lock", "a", "--wait", "-5"],
        ["lock", "a", "--reas", "abbreviated"],
        ["lock", "a", "-m", b"\xff"],
        ["unlock"],
        ["unlock", "a", "--all"],
        ["unlock", "--force", "a"],
        ["unlock", "--force", "a", "-m", " "],
        ["unlock", "--force", "--all", "-m", "why"],
        ["unlock", "a", "-m", "why"],
        ["locks", "--ours", "--theirs"],
        ["locks", "a", "b"],
        ["check"],
        ["check", "--", "--"],
        ["data", "set", "s", "k"],
        ["data", "set", "s", "k", "1", "2"],
        ["data", "set", "s", "k", "1", "--expect-revision", "-1"],
        ["data", "get", b"\xff", "k"],
        ["log", "-n", "0"],
        ["log", "-n"],
        ["session", "start", "a", "b"],
        ["completion"],
        ["completion", "fish"],
        ["serve", "--allow-remote", "box"],
        ["serve", "--http", "8000", "--session", "a"],
        ["init", "--session", "a"],
    ],
)
def test_a_misuse_is_a_usage_error_that_leaves_stdout_alone(tmp_path: Path, words: list[str | bytes]) -> None:
    done = run(tmp_path, *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: gitcoord ")
    assert "error: " in done.err


def test_options_may_stand_before_between_and_behind_the_arguments() -> None:
    parser = make_parser("lock")
    expected = {"paths": ["a", "-b", "-5", "c"], "reason": "why", "ttl": 600, "shared": True, "json": True}
    for words in (
        ["-m", "why", "--ttl=10m", "--shared", "--json", "--", "a", "-b", "-5", "c"],
        ["a", "--json", "-mwhy", "--ttl", "10m", "--shared", "--", "-b", "-5", "c"],
        ["--reason=why", "--shared", "--ttl", "600", "--json", "a", "--", "-b", "-5", "c"],
    ):
        found = vars(parser.parse(words))
        assert {name: found[name] for name in expected} == expected


def test_the_address_of_serve_may_be_left_out() -> None:
    parser = make_parser("serve")
    assert parser.parse([]).http is None
    assert parser.parse(["--http"]).http == "127.0.0.1:8642"
    assert parser.parse(["--http", "--repo", "x"]).http == "127.0.0.1:8642"
    assert parser.parse(["--http", "9000"]).http == "9000"


@pytest.mark.parametrize(
    ("said", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400), ("0", 0), ("007", 7)]
)
def test_durations_are_taken_in_every_unit(said: str, seconds: int) -> None:
    assert duration(said) == seconds


@pytest.mark.parametrize("said", ["", "s", "-1", "1.5h", "1h30m", "10 m", "10w", "1e3", "٣", "9" * 10])
def test_what_is_no_duration_is_refused(said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration(said)


@pytest.mark.parametrize(
    ("take", "said"), [(positive_duration, "0s"), (count, "0"), (count, "-1"), (revision, "1.0"), (text, "\udcff")]
)
def test_values_out_of_range_are_refused(take: object, said: str) -> None:
    assert callable(take)
    with pytest.raises(argparse.ArgumentTypeError):
        take(said)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_completion_script_knows_every_command(tmp_path: Path, shell: str) -> None:
    done = run(tmp_path, "completion", shell)
    assert (done.code, done.err) == (0, "")
    for name in COMMANDS:
        assert name in done.out
    for option in ("--wait", "--takeover", "--expect-revision"):
        assert option in done.out
    assert run(tmp_path, "completion", shell, "--json").json == {"ok": True, "shell": shell, "script": done.out}


def test_zsh_completes_the_other_name_too(tmp_path: Path) -> None:
    script = run(tmp_path, "completion", "zsh").out
    assert script.startswith("#compdef gitcoord git-coord\n")
    assert "compdef _shtab_gitcoord -N gitcoord git-coord\n" in script


def test_bash_completes_commands_verbs_options_and_files(tmp_path: Path) -> None:
    script = run(tmp_path, "completion", "bash").out
    (tmp_path / "app.py").touch()
    asked = """
    ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shtab_gitcoord; echo "${COMPREPLY[@]}"; }
    ask gitcoord loc; ask gitcoord session s; ask gitcoord lock --wa; ask gitcoord lock ap; ask git-coord unl
    COMP_WORDS=(git coord session li); COMP_CWORD=3; _git_coord; echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script + asked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["lock locks", "start show", "--wait", "app.py", "unlock", "list"]


def test_a_closed_pipe_is_no_complaint(tmp_path: Path) -> None:
    command = f'{" ".join(COMMAND)} --help | true; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, env=program_env())
    assert done.stderr == b""
    assert done.stdout == b"0\n"


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        ("--help >&-", 0, b"", b""),
        ("--json check a >&-", 5, b"", b""),
        ("check a 2>&-", 5, b"", b""),
        ("bogus 2>&-", 2, b"", b""),
        ("lock --bogus 2>&- >&-", 2, b"", b""),
    ],
)
def test_a_closed_stream_is_no_complaint_and_nothing_goes_to_the_other(
    tmp_path: Path, words: str, code: int, out: bytes, err: bytes
) -> None:
    command = f"{' '.join(COMMAND)} {words}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, env=program_env())
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


def test_a_crash_is_no_refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def crash(_words: list[str]) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(dispatch, "run", crash)
    assert main(["check", "a"]) == 5
    assert "RuntimeError: a bug" in capsys.readouterr().err


def test_a_caller_in_the_same_process_gets_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["lock"]) == 2
    assert capsys.readouterr().out == f"gitcoord {__version__}\n"


def test_an_answer_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    command = f"ulimit -f 0; {' '.join(COMMAND)} --help >answer"
    env = program_env(PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 5
    assert done.stderr.startswith("gitcoord: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["check", "lock", "data get"])
def test_a_hooks_commands_load_nothing_that_is_heavy(tmp_path: Path, name: str) -> None:
    code = (
        "import sys; from gitcoord.cli.dispatch import make_parser; "
        f"make_parser({name!r}); print(*sys.modules, sep='\\n')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=program_env())
    heavy = {"dataclasses", "inspect", "pathlib", "subprocess", "datetime", "hashlib", "rich", "shutil", "mcp", "shtab"}
    assert not heavy & set(done.stdout.split())
