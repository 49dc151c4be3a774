"""`lock`, `unlock`, `locks`, `check`: what they do, print and exit with."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from support.procs import wait_until
from support.program import run, start
from support.repo import log_length, make_repo, read_log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> str:
    """Return a repository with a log."""
    where = make_repo(tmp_path / "repo")
    assert run(where, "init").code == 0
    return where


def test_a_lock_is_granted_and_told_with_its_end_and_token(repo: str) -> None:
    done = run(repo, "lock", "src/app.py", "-m", "the pool leaks", "--ttl", "10m", "--session", "ada")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("locked src/app.py until 2")
    assert "(in 10 min), token " in done.out
    assert run(repo, "locks").out.split("\t")[:4] == ["src/app.py", "file", "exclusive", "ada"]


def test_a_refusal_says_who_holds_what_since_when_until_when_why_and_what_next(repo: str) -> None:
    run(repo, "lock", "src", "-m", "moving files", "--session", "ada")
    done = run(repo, "lock", "src/app.py", "--session", "bob")
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert lines[0] == "gitcoord: refused: held by ada"
    assert lines[1] == "  src/app.py"
    assert lines[2] == "    held by  ada (exclusive) through src"
    assert lines[3].startswith("    since    2")
    assert lines[4].startswith("    until    2")
    assert lines[4].endswith("(in 2 h)")
    assert lines[5] == "    why      moving files"
    assert lines[6].startswith("next: ")
    assert "--wait" in lines[6]


def test_json_is_the_desks_answer_and_a_refusal_too(repo: str) -> None:
    granted = run(repo, "lock", "src/app.py", "-m", "why", "--session", "ada", "--json")
    assert (granted.code, granted.err) == (0, "")
    answer = granted.json
    assert answer["granted"] is True
    assert answer["session"] == "ada"
    assert answer["locks"][0]["path"] == "src/app.py"
    refused = run(repo, "lock", "src/app.py", "--session", "bob", "--json")
    assert (refused.code, refused.err) == (1, "")
    assert refused.json["granted"] is False
    assert refused.json["error"]["code"] == "lock_held"
    assert refused.json["conflicts"][0]["session"] == "ada"
    assert refused.json["conflicts"][0]["reason"] == "why"


def test_of_several_paths_all_are_locked_or_none(repo: str) -> None:
    run(repo, "lock", "src/db.py", "--session", "ada")
    assert run(repo, "lock", "src/app.py", "src/db.py", "README.md", "--session", "bob").code == 1
    assert run(repo, "locks", "--theirs", "--session", "ada").out == ""
    done = run(repo, "lock", "src/app.py", "README.md", "--session", "bob")
    assert [line.split()[1] for line in done.out.splitlines()] == ["src/app.py", "README.md"]


def test_shared_locks_stand_side_by_side_and_intent_only_warns(repo: str) -> None:
    assert run(repo, "lock", "src", "--shared", "--session", "ada").code == 0
    assert "(shared)" in run(repo, "lock", "src", "--shared", "--session", "bob").out
    done = run(repo, "lock", "src/app.py", "--intent", "-m", "soon", "--session", "cy")
    assert done.code == 0
    assert "(intent)" in done.out
    assert run(repo, "lock", "README.md", "--intent", "-m", "soon", "--session", "ada").code == 0
    warned = run(repo, "lock", "README.md", "--session", "bob")
    assert warned.code == 0
    assert warned.err.startswith("warning: ")
    assert "ada" in warned.err


def test_a_resource_is_no_path(repo: str) -> None:
    assert run(repo, "lock", "--resource", "deploy/prod", "--session", "ada").code == 0
    assert run(repo, "lock", "deploy/prod", "--session", "bob").code == 0
    assert run(repo, "lock", "--resource", "deploy/prod", "--session", "bob").code == 1
    assert [row.split("\t")[0] for row in run(repo, "locks", "--resource").out.splitlines()] == ["deploy/prod"]
    assert run(repo, "unlock", "--resource", "deploy/prod", "--session", "ada").out == "unlocked deploy/prod\n"


def test_unlock_gives_back_what_is_named_or_all(repo: str) -> None:
    run(repo, "lock", "src/app.py", "src/db.py", "README.md", "--session", "ada")
    assert run(repo, "unlock", "src/app.py", "--session", "ada").out == "unlocked src/app.py\n"
    mixed = run(repo, "unlock", "src/db.py", "src/app.py", "--session", "ada")
    assert (mixed.code, mixed.out, mixed.err) == (0, "unlocked src/db.py\n", "not held: src/app.py\n")
    assert run(repo, "unlock", "--all", "--session", "ada").out == "unlocked README.md\n"
    assert run(repo, "locks").out == ""


def test_unlock_of_what_another_holds_is_refused(repo: str) -> None:
    run(repo, "lock", "src/app.py", "-m", "mine", "--session", "ada")
    run(repo, "session", "start", "bob")
    done = run(repo, "unlock", "src/app.py", "--session", "bob")
    assert (done.code, done.out) == (1, "")
    assert "ada" in done.err
    assert "gitcoord unlock --force src/app.py -m REASON" in done.err
    refused = run(repo, "unlock", "src/app.py", "--session", "bob", "--json")
    assert refused.code == 1
    assert refused.json["ok"] is False
    assert refused.json["error"]["code"] == "not_holder"
    assert run(repo, "check", "src/app.py", "--session", "ada").code == 0


def test_who_never_signed_on_is_told_who_holds_it_too(repo: str) -> None:
    run(repo, "lock", "src/app.py", "--session", "ada")
    refused = run(repo, "unlock", "src/app.py", "--session", "nobody-yet", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "not_holder")
    assert refused.json["conflicts"][0]["session"] == "ada"
    assert (
        run(repo, "unlock", "free.txt", "--session", "nobody-yet", "--json").json["error"]["code"] == "unknown_session"
    )
    assert "session start" in run(repo, "unlock", "--all", "--session", "nobody-yet").err
    assert run(repo, "session", "show", "nobody-yet").code == 1


def test_a_broken_lock_is_on_the_log_with_its_reason_and_its_holder_is_told_once(repo: str) -> None:
    run(repo, "lock", "src/app.py", "--session", "ada")
    done = run(repo, "unlock", "--force", "src/app.py", "-m", "ada is on holiday", "--session", "bob")
    assert (done.code, done.out) == (0, "broken src/app.py of ada\n")
    assert "ada is on holiday" in read_log(repo)[-1].body
    told = run(repo, "data", "set", "s", "k", "1", "--session", "ada")
    assert told.code == 0
    assert told.err.startswith("notice: ")
    assert "bob" in told.err
    assert "ada is on holiday" in told.err
    assert run(repo, "data", "set", "s", "k", "2", "--session", "ada").err == ""


def test_check_says_who_may_edit(repo: str) -> None:
    run(repo, "lock", "src/app.py", "-m", "the pool leaks", "--session", "ada")
    before = log_length(repo)
    free = run(repo, "check", "README.md", "--session", "bob")
    assert (free.code, free.out, free.err) == (0, "README.md: nobody holds it\n", "")
    own = run(repo, "check", "src/app.py", "README.md", "--session", "ada")
    assert own.code == 0
    assert own.out.splitlines()[0].startswith("src/app.py: locked by you")
    held = run(repo, "check", "README.md", "src/app.py", "--session", "bob")
    assert (held.code, held.out) == (1, "")
    assert "held by  ada" in held.err
    assert "the pool leaks" in held.err
    assert log_length(repo) == before


def test_check_tells_of_others_intents_and_of_ones_own_weaker_locks(repo: str) -> None:
    run(repo, "lock", "src/app.py", "--intent", "--session", "bob")
    done = run(repo, "check", "src/app.py", "--session", "ada")
    assert (done.code, done.out) == (0, "src/app.py: nobody holds it\n")
    assert done.err == "warning: bob means to work on src/app.py\n"
    own = run(repo, "check", "src/app.py", "--session", "bob")
    assert (own.code, own.err) == (0, "")
    assert own.out.startswith("src/app.py: locked by you as src/app.py (intent, token ")
    run(repo, "lock", "src", "--shared", "--session", "bob")
    own = run(repo, "check", "src/app.py", "src/new.py", "--session", "bob")
    assert (own.code, own.err) == (0, "")
    assert all("locked by you as src (shared, token " in line for line in own.out.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ["src/app.py"],
        ["--json", "src/app.py", "README.md"],
        ["--session", "ada", "src/app.py", "--json"],
        ["--session=ada", "--json", "--", "src/app.py"],
        ["-C", "src", "app.py", "--json"],
        ["-Csrc", "app.py", "--json"],
        ["--resource", "src/app.py"],
        ["", "--json"],
        ["../outside", "--json"],
    ],
)
def test_the_short_way_of_check_gives_what_the_parser_gives(repo: str, words: list[str]) -> None:
    """Options of the other form, `--`, and words like `-x` take the long way; all forms mean the same."""
    run(repo, "lock", "src/app.py", "--session", "ada")
    short = run(repo, "check", *words)
    around = [] if "--" in words else ["--"]
    options = [word for word in words if word[:1] == "-" or word in ("ada", "src")]
    paths = [word for word in words if word not in options]
    long = run(repo, "check", *[o for o in options if o != "--"], *(around or ["--"]), *paths)
    # How long ago it was depends on when it was asked.
    ages = [re.sub(r"\((now|\d+ s ago)\)", "", done.err) for done in (long, short)]
    assert (long.code, long.out, ages[0]) == (short.code, short.out, ages[1])


def test_waiting_ends_when_the_holder_lets_go(repo: str) -> None:
    run(repo, "lock", "src/app.py", "--session", "ada")
    waiter = start(repo, "lock", "src/app.py", "--wait", "1m", "--session", "bob")
    wait_until(lambda: "waiting\tbob" in run(repo, "status").out, "bob stands in line")
    assert waiter.poll() is None
    run(repo, "unlock", "src/app.py", "--session", "ada")
    out, err = waiter.communicate(timeout=30)
    assert waiter.returncode == 0, err
    assert out.startswith(b"locked src/app.py")


def test_waiting_gives_up_at_its_limit(repo: str) -> None:
    run(repo, "lock", "src/app.py", "--session", "ada")
    done = run(repo, "lock", "src/app.py", "--wait", "1", "--session", "bob", "--json")
    assert done.code == 1
    assert done.json["error"]["code"] == "wait_timeout"
    assert done.json["conflicts"][0]["session"] == "ada"


def test_ctrl_c_ends_a_wait_quietly_and_leaves_no_waiter(repo: str) -> None:
    run(repo, "lock", "src/app.py", "--session", "ada")
    waiter = start(repo, "lock", "src/app.py", "--wait", "1m", "--session", "bob")
    wait_until(lambda: "waiting\tbob" in run(repo, "status").out, "bob stands in line")
    waiter.send_signal(signal.SIGINT)
    out, err = waiter.communicate(timeout=30)
    assert (waiter.returncode, out, err) == (130, b"", b"")
    assert "waiting" not in run(repo, "status").out


def test_an_empty_session_is_an_error_and_not_somebody_else(repo: str) -> None:
    done = run(repo, "lock", "src/app.py", "--session", "", env={"GITCOORD_SESSION": "ada"})
    assert done.code == 2
    assert run(repo, "locks").out == ""
