"""`session start|list|show|renew|end`, and who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.program import run
from support.repo import make_repo, read_log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> str:
    """Return a repository with a log."""
    where = make_repo(tmp_path / "repo")
    assert run(where, "init").code == 0
    return where


def test_a_session_is_started_listed_shown_renewed_and_ended(repo: str) -> None:
    done = run(repo, "session", "start", "ada", "--intent", "rework the pool", "--lease", "4h")
    assert done.code == 0
    assert done.out.splitlines()[0] == "session      ada"
    assert done.out.splitlines()[2].endswith("(in 4 h)")
    assert run(repo, "session", "list").out.split("\t")[:3] == ["ada", "live", "0"]
    run(repo, "lock", "src/app.py", "-m", "leaks", "--session", "ada")
    shown = run(repo, "session", "show", "ada")
    assert shown.code == 0
    assert "intent       rework the pool\n" in shown.out
    assert "holds        src/app.py (exclusive): leaks\n" in shown.out
    renewed = run(repo, "session", "renew", "ada", "--lease", "6h")
    assert renewed.out.startswith("ada: lease until ")
    assert renewed.out.endswith("(in 6 h)\n")
    ended = run(repo, "session", "end", "ada")
    assert (ended.code, ended.out) == (0, "signed off ada\nreleased src/app.py\n")
    assert run(repo, "session", "list").out == ""
    assert run(repo, "locks").out == ""


def test_json_gives_the_answers_of_the_tools(repo: str) -> None:
    started = run(repo, "session", "start", "ada", "--json").json
    assert set(started) >= {"session", "incarnation", "machine", "project", "revision", "lease_expires_at"}
    assert [s["session"] for s in run(repo, "session", "list", "--json").json["sessions"]] == ["ada"]
    shown = run(repo, "session", "show", "ada", "--json").json
    assert shown["found"] is True
    assert shown["session"]["incarnation"] == started["incarnation"]
    assert run(repo, "session", "renew", "ada", "--json").json["session"] == "ada"
    assert run(repo, "session", "end", "ada", "--json").json["released"] == []


def test_a_live_id_is_refused_with_who_and_since_when(repo: str) -> None:
    run(repo, "session", "start", "ada")
    done = run(repo, "session", "start", "ada")
    assert (done.code, done.out) == (1, "")
    assert "ada" in done.err
    assert "since 2" in done.err
    assert run(repo, "session", "start", "ada", "--takeover").code == 1
    assert run(repo, "session", "start", "ada", "--json").json["error"]["code"] == "session_taken"


def test_an_incarnation_goes_on_where_it_was(repo: str) -> None:
    first = run(repo, "session", "start", "ada", "--json").json
    again = run(repo, "session", "start", "ada", "--incarnation", first["incarnation"], "--json")
    assert again.code == 0
    assert again.json["incarnation"] == first["incarnation"]
    assert run(repo, "session", "start", "ada", "--incarnation", "nonsense").code == 1


@pytest.mark.parametrize("words", [["show", "nobody"], ["end", "nobody"], ["renew", "nobody"]])
def test_a_session_that_is_not_there_is_refused(repo: str, words: list[str]) -> None:
    done = run(repo, "session", *words)
    assert (done.code, done.out) == (1, "")
    assert "nobody" in done.err
    assert "next: gitcoord session list" in done.err


@pytest.mark.parametrize("name", ["-", "a b", "a/b", ".hidden", "x" * 65, "ends.lock"])
def test_an_id_that_cannot_be_one_is_a_usage_error(repo: str, name: str) -> None:
    done = run(repo, "session", "start", name, "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "invalid_name"


HARNESS = {"CLAUDE_CODE_SESSION_ID": "0198f1d2-aaaa-7bbb-8ccc-ddddeeeeffff"}


@pytest.mark.parametrize(
    ("words", "env", "name"),
    [
        (["--session", "flag"], {"GITCOORD_SESSION": "env", **HARNESS}, "flag"),
        ([], {"GITCOORD_SESSION": "env", **HARNESS}, "env"),
        ([], HARNESS, "claude-code-eeeeffff"),
        ([], {"LOGNAME": "Ada"}, "Ada@"),
    ],
)
def test_who_one_is_comes_from_the_flag_the_variable_the_harness_or_the_login(
    repo: str, words: list[str], env: dict[str, str], name: str
) -> None:
    done = run(repo, "data", "set", "s", "k", "1", *words, env=env)
    assert done.code == 0, done.err
    stored_by = run(repo, "data", "get", "s", "k", "--json").json["stored_by"]
    assert stored_by.startswith(name) if name.endswith("@") else stored_by == name
    assert run(repo, "data", "set", "s", "k", "2", *words, env=env).code == 0
    assert len(run(repo, "session", "list", "--json").json["sessions"]) == 1


def test_the_first_change_signs_on_by_itself_and_says_so_on_the_log(repo: str) -> None:
    run(repo, "lock", "src/app.py", "--session", "ada")
    assert [entry.trailers["Coord-Op"] for entry in read_log(repo)][-2:] == [["session.start"], ["lock.acquire"]]
