"""`--json` prints what the MCP tool of the same meaning returns: one service, two faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support.mcp_face import ask, connected
from support.program import run
from support.repo import make_repo

if TYPE_CHECKING:
    from pathlib import Path

FILE = "src/app.py"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a repository in which ada holds a file, bob a resource, and something is stored."""
    where = make_repo(tmp_path_factory.mktemp("parity") / "repo")
    assert run(where, "init").code == 0
    run(where, "session", "start", "ada", "--intent", "rework the pool")
    run(where, "lock", FILE, "-m", "leaks", "--session", "ada")
    run(where, "lock", "--resource", "deploy/prod", "--session", "bob")
    run(where, "data", "set", "issue:1", "plan", '["größe", null]', "--session", "ada")
    return where


def tool_answer(repo: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    async def call() -> dict[str, Any]:
        async with connected(repo) as client:
            return await ask(client, tool, **arguments)

    return anyio.run(call)


SAME: list[tuple[list[str], str, dict[str, Any]]] = [
    (["session", "list"], "list_sessions", {}),
    (["locks"], "get_locked_files", {}),
    (["locks", "src"], "get_locked_files", {"path": "src"}),
    (["data", "get", "issue:1", "plan"], "retrieve_data", {"scope": "issue:1", "key": "plan"}),
    (["data", "get", "issue:1", "none"], "retrieve_data", {"scope": "issue:1", "key": "none"}),
    (["data", "list", "issue:1"], "list_keys", {"scope": "issue:1"}),
    (["data", "scopes", "issue:*"], "list_scopes", {"pattern": "issue:*"}),
    (["log"], "get_history", {}),
    (["log", FILE, "-n", "1"], "get_history", {"path": FILE, "limit": 1}),
    (["log", "--session", "bob"], "get_history", {"session": "bob"}),
    (["lock", "src", "--session", "bob"], "lock_files", {"files": ["src"], "session": "bob"}),
    (["lock", "../x", "--session", "bob"], "lock_files", {"files": ["../x"], "session": "bob"}),
    (["unlock", FILE, "--session", "bob"], "unlock_files", {"files": [FILE], "session": "bob"}),
    (
        ["unlock", "--force", "none", "-m", "why", "--session", "bob"],
        "break_lock",
        {"files": ["none"], "reason": "why", "session": "bob"},
    ),
    (
        ["data", "set", "issue:1", "plan", "1", "--expect-revision", "1", "--session", "bob"],
        "store_data",
        {"scope": "issue:1", "key": "plan", "value": 1, "expect_revision": 1, "session": "bob"},
    ),
    (
        ["data", "delete", "issue:1", "none", "--session", "bob"],
        "delete_data",
        {"scope": "issue:1", "key": "none", "session": "bob"},
    ),
    (["data", "delete-scope", "none", "--session", "bob"], "delete_scope", {"scope": "none", "session": "bob"}),
    (["session", "end", "nobody"], "sign_off", {"session": "nobody"}),
]


@pytest.mark.parametrize(("words", "tool", "arguments"), SAME, ids=[" ".join(case[0]) for case in SAME])
def test_an_answer_that_changes_nothing_is_the_same_in_both_faces(
    repo: str, words: list[str], tool: str, arguments: dict[str, Any]
) -> None:
    done = run(repo, *words, "--json")
    assert done.err == ""
    assert done.json == tool_answer(repo, tool, arguments)


def test_an_answer_that_changes_something_has_the_same_members_in_both_faces(repo: str) -> None:
    for words, tool, arguments in (
        (["lock", "new.py"], "lock_files", {"files": ["new.py"]}),
        (["unlock", "new.py"], "unlock_files", {"all": True}),
        (["data", "set", "s", "k", "1"], "store_data", {"scope": "s", "key": "k", "value": 1}),
        (["data", "delete-scope", "s"], "delete_scope", {"scope": "s"}),
        (["session", "start"], "sign_on", {}),
    ):
        session = {} if tool == "sign_on" else {"session": "cy"}
        printed = run(repo, *words, "--session", "cy", "--json").json
        returned = tool_answer(repo, tool, {**arguments, **session})
        assert set(printed) == set(returned), words


def test_without_a_repository_a_refusal_has_the_same_members_in_both_faces(tmp_path: Path) -> None:
    for words, tool, arguments in SAME:
        printed = run(tmp_path, *words, "--json")
        returned = tool_answer(str(tmp_path), tool, arguments)
        assert printed.code == 5
        assert {name: value for name, value in printed.json.items() if name != "error"} == {
            name: value for name, value in returned.items() if name != "error"
        }, words
        assert printed.json["error"]["code"] == returned["error"]["code"] == "not_a_repository"


def test_without_a_log_a_refusal_is_the_same_in_both_faces(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "bare-of-a-log")
    for words, tool, arguments in SAME:
        printed = run(repo, *words, "--json")
        assert printed.code == 5
        assert printed.json == tool_answer(repo, tool, arguments), words
