"""`data set|get|delete|list|scopes|delete-scope`: what goes in comes out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.program import run
from support.repo import log_length, make_repo

if TYPE_CHECKING:
    pass


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a repository with a log, shared by the tests of this file: each uses scopes of its own."""
    where = make_repo(tmp_path_factory.mktemp("data") / "repo")
    assert run(where, "init").code == 0
    return where


def test_a_credential_in_what_goes_along_is_a_refusal_and_nothing_is_written(repo: str) -> None:
    secret = "ghp_" + "Ab3" * 12
    before = log_length(repo)
    for command in (
        ("lock", "a.py", "-m", f"log in with {secret}"),
        ("lock", secret, "--resource"),
        ("data", "set", f"issue:{secret}", "key", "1"),
        ("data", "set", "issue:1", secret, "1"),
        ("session", "start", "--intent", f"try {secret}"),
        ("lock", "a.py", "--session", secret),
    ):
        done = run(repo, *command, "--json")
        assert (done.code, done.json["error"]["code"]) == (1, "credential_found"), command
        assert secret not in done.out + done.err
        assert "say it without" in done.json["error"]["next"]
    assert log_length(repo) == before
    assert run(repo, "lock", f"{secret}.txt", "-m", "its name is what it is").code == 0


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "true",
        "0",
        "-5",
        "1.5",
        '"text"',
        '"null"',
        "[]",
        "[1]",
        '{"a": [1, {"b": null}]}',
        '"大\\u0000\\u202e"',
    ],
)
def test_a_json_value_comes_back_as_it_was(repo: str, value: str) -> None:
    assert run(repo, "data", "set", "values", "k", value).code == 0
    done = run(repo, "data", "get", "values", "k")
    assert (done.code, done.err) == (0, "")
    assert done.json == json.loads(value)
    assert run(repo, "data", "get", "values", "k", "--json").json["value"] == json.loads(value)


@pytest.mark.parametrize("text", ["null", "", "two\nlines\n", "{not json", " \x1b[31m", "größe"])
def test_a_text_comes_back_byte_for_byte(repo: str, text: str) -> None:
    assert run(repo, "data", "set", "texts", "k", "--text", "--", text).code == 0
    assert run(repo, "data", "get", "texts", "k", "--text").raw == text.encode()
    assert run(repo, "data", "get", "texts", "k").json == text


def test_a_value_that_is_no_text_is_printed_as_json_even_so(repo: str) -> None:
    run(repo, "data", "set", "texts", "list", "[1]")
    assert run(repo, "data", "get", "texts", "list", "--text").out == "[1]\n"


def test_standard_input_is_the_value_of_a_dash(repo: str) -> None:
    assert run(repo, "data", "set", "stdin", "json", "-", stdin=b'{"a": 1}\n').code == 0
    assert run(repo, "data", "get", "stdin", "json").json == {"a": 1}
    assert run(repo, "data", "set", "stdin", "text", "-", "--text", stdin=b"line\n").code == 0
    assert run(repo, "data", "get", "stdin", "text", "--text").raw == b"line\n"


def test_a_missing_key_exits_with_1_and_says_so(repo: str) -> None:
    done = run(repo, "data", "get", "nowhere", "nothing")
    assert (done.code, done.out) == (1, "")
    assert "'nothing'" in done.err
    as_json = run(repo, "data", "get", "nowhere", "nothing", "--json")
    assert as_json.code == 1
    assert as_json.json["found"] is False
    assert "error" not in as_json.json


@pytest.mark.parametrize(
    ("value", "stdin", "code"),
    [
        ("{", b"", "invalid_value"),
        ("NaN", b"", "invalid_value"),
        ("1e999", b"", "invalid_value"),
        ("[1,]", b"", "invalid_value"),
        ("", b"", "invalid_value"),
        (b'"\xff"', b"", "invalid_value"),
        ("-", b"\xff", "invalid_value"),
        ("-", b"[" * 100_000, "invalid_value"),
        ('"\\ud800"', b"", "invalid_value"),
        ("-", b'"' + b"x" * 300_000 + b'"', "too_large"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_value_that_could_not_come_back_is_refused_and_changes_nothing(
    repo: str, value: str | bytes, stdin: bytes, code: str
) -> None:
    before = log_length(repo)
    done = run(repo, "data", "set", "bad", "k", "--json", "--", value, stdin=stdin)
    assert done.code == 2
    assert done.json["ok"] is False
    assert done.json["error"]["code"] == code
    assert log_length(repo) == before
    assert run(repo, "data", "set", "bad", "k", "--", value, stdin=stdin).err.startswith("gitcoord: ")


def test_compare_and_set_stores_only_over_what_was_expected(repo: str) -> None:
    place = ("data", "set", "cas", "k")
    first = run(repo, *place, "1", "--expect-revision", "0", "--json").json
    assert first["ok"] is True
    late = run(repo, *place, "2", "--expect-revision", "0", "--json")
    assert late.code == 1
    assert late.json["error"]["code"] == "revision_mismatch"
    assert run(repo, *place, "2", "--expect-revision", str(first["revision"])).code == 0
    assert run(repo, "data", "get", "cas", "k").out == "2\n"
    assert run(repo, "data", "delete", "cas", "k", "--expect-revision", "1").code == 1
    assert run(repo, "data", "get", "cas", "k").out == "2\n"


def test_scopes_and_keys_are_exact_and_listed_in_order(repo: str) -> None:
    for scope in ("exact/b", "exact:b", "exact__b"):
        for key in ("k", "K", "k/1", "größe"):
            assert run(repo, "data", "set", scope, key, json.dumps(scope)).code == 0
    assert run(repo, "data", "get", "exact:b", "k/1").json == "exact:b"
    assert run(repo, "data", "list", "exact/b").out.splitlines() == sorted(["k", "K", "k/1", "größe"])
    assert run(repo, "data", "scopes", "exact*").out.splitlines() == sorted(["exact/b", "exact:b", "exact__b"])
    assert run(repo, "data", "scopes", "exact:*", "--json").json == {"scopes": ["exact:b"]}
    assert run(repo, "data", "list", "nothing here", "--json").json == {"keys": []}


def test_deleting_says_what_went_and_exits_with_1_where_nothing_was(repo: str) -> None:
    for key in ("a", "b", "c"):
        run(repo, "data", "set", "gone", key, "1")
    assert run(repo, "data", "delete", "gone", "a")[:3] == (0, "deleted 1 key\n", "")
    again = run(repo, "data", "delete", "gone", "a")
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith("gitcoord: nothing")
    assert run(repo, "data", "delete-scope", "gone").out == "deleted 2 keys\n"
    assert run(repo, "data", "delete-scope", "gone", "--json").code == 1
    assert "gone" not in run(repo, "data", "scopes").out.splitlines()


def test_names_that_would_act_on_a_terminal_are_shown_as_escapes(repo: str) -> None:
    run(repo, "data", "set", "acting\x1b[2J", "key\nwith a line", "1")
    assert "acting\\e[2J" in run(repo, "data", "scopes").out
    assert run(repo, "data", "list", "acting\x1b[2J").out == "key\\nwith a line\n"
