"""Setting clients up: where each really reads, merged into what is there, and taken out again byte for byte."""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitcoord.hooks import jsontext, tomltext
from gitcoord.hooks.clients import CLIENTS
from gitcoord.hooks.payloads import HARNESSES
from support.guarded import tree_of
from support.program import run
from support.repo import git
from support.world import World

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "claude": (".mcp.json", ".claude/settings.json"),
    "cursor": (".cursor/mcp.json", ".cursor/hooks.json"),
    "codex": (".codex/config.toml", ".codex/hooks.json"),
    "gemini": (".gemini/settings.json",),
    "vscode": (".vscode/mcp.json", ".github/hooks/gitcoord.json"),
    "opencode": ("opencode.json", ".opencode/plugins/gitcoord.js"),
}

# What people have in these files: comments, commas at the end, tabs, their own hooks and servers.
THEIRS: dict[str, str] = {
    ".mcp.json": '{"mcpServers": {"other": {"command": "x", "args": ["a", "b"]}}}',
    ".claude/settings.json": (
        '{\n    "permissions": {"allow": ["Bash(ls:*)"], "deny": []},\n    "hooks": {\n'
        '        "PreToolUse": [\n'
        '            {"matcher": "Bash", "hooks": [{"type": "command", "command": "./mine.sh"}]}\n'
        '        ]\n    },\n    "env": {"A": "\\u00e9"}\n}\n'
    ),
    ".cursor/mcp.json": '{\n\t"mcpServers": {\n\t\t"other": {"url": "http://x"}\n\t}\n}',
    ".cursor/hooks.json": '{"version": 1, "hooks": {"stop": [{"command": "./stop.sh"}]}}\n',
    ".codex/config.toml": 'model = "gpt"  # mine\n\n[mcp_servers.other]\ncommand = "x"\n[profiles.a]\nb = 1',
    ".codex/hooks.json": '{ "hooks": { } }\n',
    ".gemini/settings.json": '{\r\n  "theme": "x",\r\n  "mcpServers": {}\r\n}\r\n',
    ".vscode/mcp.json": (
        '{\n  // servers of the team\n  "servers": {\n    "other": {"type": "http", "url": "x"}, /* one */\n  },\n}\n'
    ),
    "opencode.json": '{"$schema": "https://opencode.ai/config.json", "mcp": {}}',
    "AGENTS.md": "# Rules\n\nBe kind.",
}


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return World(tmp_path / "repo").root


def put_theirs(where: str) -> None:
    for name, text in THEIRS.items():
        path = os.path.join(where, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)


def plain(text: str) -> Any:
    node = jsontext.parse(text, "x")
    return jsontext.to_value(text, node)


def read(where: str, name: str) -> str:
    with open(os.path.join(where, name), encoding="utf-8", newline="") as file:
        return file.read()


@pytest.mark.parametrize("theirs", [False, True], ids=["empty", "with their own"])
@pytest.mark.parametrize("client", [*CLIENTS, "all"])
def test_what_is_written_is_checked_idempotent_and_taken_out_byte_for_byte(
    repo: str, client: str, theirs: bool
) -> None:
    if theirs:
        put_theirs(repo)
    was = tree_of(repo, but=(".git/",))
    words = ("init", "--client", client, "--agents-md")
    assert run(repo, *words, "--check").code == 1
    printed = run(repo, *words, "--print")
    assert printed.code == 0
    assert "gitcoord" in printed.out
    assert tree_of(repo, but=(".git/",)) == was
    assert run(repo, *words).code == 0
    once = tree_of(repo, but=(".git/",))
    for name in FILES[client] if client != "all" else [name for names in FILES.values() for name in names]:
        assert os.path.exists(os.path.join(repo, name))
    assert run(repo, *words, "--check").code == 0
    assert run(repo, *words).code == 0
    assert tree_of(repo, but=(".git/",)) == once
    assert run(repo, *words, "--remove").code == 0
    assert tree_of(repo, but=(".git/",)) == was
    assert run(repo, *words, "--check").code == 1


def test_what_is_theirs_means_what_it_meant(repo: str) -> None:
    put_theirs(repo)
    assert run(repo, "init", "--client", "all").code == 0
    for name, text in THEIRS.items():
        if name == "AGENTS.md":
            continue
        now = read(repo, name)
        before, after = (tomllib.loads(t) if name.endswith(".toml") else plain(t) for t in (text, now))
        assert _within(before, after), name
    assert "// servers of the team" in read(repo, ".vscode/mcp.json")
    assert "/* one */" in read(repo, ".vscode/mcp.json")
    assert read(repo, ".codex/config.toml").startswith(THEIRS[".codex/config.toml"])
    pre = plain(read(repo, ".claude/settings.json"))["hooks"]["PreToolUse"]
    assert [entry["hooks"][0]["command"] for entry in pre] == ["./mine.sh", "gitcoord hook claude PreToolUse"]


def _within(small: Any, large: Any) -> bool:
    if isinstance(small, dict):
        return all(key in large and _within(value, large[key]) for key, value in small.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(small, list):
        return all(item in large for item in small)  # pyright: ignore[reportUnknownVariableType]
    return small == large


def test_what_somebody_changed_meanwhile_stays_when_ours_is_taken_out(repo: str) -> None:
    assert run(repo, "init", "--client", "claude,codex").code == 0
    for name, old, new in (
        (".claude/settings.json", '"hooks": {', '"theme": "dark",\n  "hooks": {'),
        (".mcp.json", '"mcpServers": {', '"mcpServers": {\n    "mine": {"command": "m"},'),
        (".codex/config.toml", "[mcp_servers", 'model = "gpt"\n\n[mcp_servers'),
    ):
        text = read(repo, name)
        assert old in text
        with open(os.path.join(repo, name), "w", encoding="utf-8") as file:
            file.write(text.replace(old, new, 1))
    assert run(repo, "init", "--client", "claude,codex", "--remove").code == 0
    assert plain(read(repo, ".claude/settings.json")) == {"theme": "dark"}
    assert plain(read(repo, ".mcp.json")) == {"mcpServers": {"mine": {"command": "m"}}}
    assert read(repo, ".codex/config.toml") == 'model = "gpt"\n'
    assert not os.path.exists(f"{repo}/.codex/hooks.json")


def test_hooks_alone_are_put_in_and_taken_out_beside_the_servers(repo: str) -> None:
    assert run(repo, "init", "--client", "gemini").code == 0
    both = read(repo, ".gemini/settings.json")
    assert run(repo, "hooks", "uninstall", "--agents", "gemini").code == 0
    assert plain(read(repo, ".gemini/settings.json")) == {
        "mcpServers": {"gitcoord": plain(both)["mcpServers"]["gitcoord"]}
    }
    assert run(repo, "hooks", "install", "--agents", "gemini").code == 0
    assert plain(read(repo, ".gemini/settings.json")) == plain(both)


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_written_anywhere(repo: str) -> None:
    for name, text in ((".claude/settings.json", '{"a": '), (".codex/config.toml", "= x")):
        path = os.path.join(repo, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        was = tree_of(repo, but=(".git/",))
        done = run(repo, "init", "--client", "all")
        assert done.code == 5
        assert name in done.err
        assert tree_of(repo, but=(".git/",)) == was
        os.unlink(path)
        os.rmdir(os.path.dirname(path))


def test_every_hook_that_is_written_is_an_event_that_is_answered(repo: str) -> None:
    assert run(repo, "hooks", "install", "--agents", "all", "--warn").code == 0
    for name, files in FILES.items():
        text = read(repo, files[-1])
        for event in HARNESSES[name].events:
            command = f"gitcoord hook {name} {event} --warn"
            assert name == "opencode" or command in text or f"hook {name} {event}" not in text
    assert "--warn" in read(repo, ".opencode/plugins/gitcoord.js")
    assert not any(repo in read(repo, files[-1]) for files in FILES.values())


def test_unknown_clients_and_lonely_options_are_usage_errors(repo: str) -> None:
    assert run(repo, "init", "--client", "emacs").code == 2
    assert run(repo, "init", "--client", "").code == 2
    assert run(repo, "init", "--check").code == 2
    assert run(repo, "hooks", "install", "--agents", "emacs").code == 2


def test_all_projects_of_a_person_are_set_up_in_their_home(repo: str, tmp_path: Path) -> None:
    home = tmp_path / "person"
    home.mkdir()
    env = {"HOME": str(home)}
    git(repo, "config", "user.name", "Ada")
    git(repo, "config", "user.email", "ada@example.invalid")
    assert run(repo, "init", "--client", "cursor,gemini", "--user", env=env).code == 0
    assert (home / ".cursor/hooks.json").exists()
    assert json.loads((home / ".gemini/settings.json").read_text())["mcpServers"]["gitcoord"]["command"] == "gitcoord"
    assert not os.path.exists(f"{repo}/.cursor")
    assert run(repo, "init", "--client", "cursor,gemini", "--user", "--remove", env=env).code == 0
    assert not (home / ".cursor").exists()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), VALUES, st.sampled_from([None, 1, 2, 4, "\t"]))
def test_a_member_that_is_put_in_is_there_and_taken_out_is_gone(before: Any, value: Any, indent: Any) -> None:
    before.pop("gitcoord", None)
    text = json.dumps(before, indent=indent)
    after = jsontext.set_member(text, "x", ("gitcoord",), value)
    assert json.loads(after) == {**before, "gitcoord": value}
    root = jsontext.parse(after, "x")
    again = jsontext.drop(after, root, len(root.items) - 1)
    assert json.loads(again) == before
    if before:
        assert again == text


@given(VALUES, st.sampled_from([None, 2]))
def test_every_json_text_is_read_as_python_reads_it(value: Any, indent: Any) -> None:
    text = json.dumps(value, indent=indent)
    assert jsontext.to_value(text, jsontext.parse(text, "x")) == value


@pytest.mark.parametrize("text", ["", "{", "[1,", '{"a" 1}', "{} x", '{"a": }', "[" * 100_000, '"\n'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(jsontext.NotJson):
        jsontext.parse(text, "x")


@pytest.mark.parametrize("text", ["", "a = 1", "a = 1\n\n[b]\nc = 2\n", "[mcp_servers]\n[mcp_servers.other]\nx = 1\n"])
def test_a_table_is_put_in_and_taken_out(text: str) -> None:
    value = {"command": "gitcoord", "args": ["serve"]}
    after = tomltext.set_table(text, "x", ("mcp_servers", "gitcoord"), value)
    assert tomllib.loads(after)["mcp_servers"]["gitcoord"] == value
    assert tomltext.set_table(after, "x", ("mcp_servers", "gitcoord"), value) == after
    assert tomllib.loads(tomltext.drop_table(after, ("mcp_servers", "gitcoord"))) == tomllib.loads(text)


HOMES = {
    "claude": ("CLAUDE_CONFIG_DIR", [".claude.json", "settings.json"]),
    "codex": ("CODEX_HOME", ["config.toml", "hooks.json"]),
    "gemini": ("GEMINI_CLI_HOME", [".gemini/settings.json"]),
    "opencode": ("XDG_CONFIG_HOME", ["opencode/opencode.json", "opencode/plugins/gitcoord.js"]),
}


@pytest.mark.parametrize("client", HOMES)
def test_a_client_that_looks_elsewhere_than_in_the_home_is_set_up_there(repo: str, client: str, tmp_path: Path) -> None:
    variable, files = HOMES[client]
    home, there = tmp_path / "home", tmp_path / "a place"
    for folder in (home, there / ".gemini", there / "opencode"):
        folder.mkdir(parents=True)
    theirs = {"settings.json": '{ "theirs": 1, // kept\n}\n', "config.toml": "[theirs]\nx = 1\n"}
    for name, text in theirs.items():
        for folder in (there, there / ".gemini", there / "opencode"):
            (folder / name).write_text(text)
    was, home_was = tree_of(str(there)), tree_of(str(home))
    env = {"HOME": str(home), variable: str(there)}
    done = run(repo, "init", "--client", client, "--user", "--json", env=env)
    assert [row["path"] for row in done.json["clients"]] == [str(there / file) for file in files]
    written = tree_of(str(there))
    assert all(b"gitcoord" in written[file][2] for file in files)
    assert run(repo, "init", "--client", client, "--user", "--check", env=env).code == 0
    assert run(repo, "init", "--client", client, "--user", env=env).code == 0
    assert tree_of(str(there)) == written
    assert run(repo, "init", "--client", client, "--user", "--check", env={"HOME": str(home)}).code == 1
    assert run(repo, "init", "--client", client, "--user", "--remove", env=env).code == 0
    assert (tree_of(str(there)), tree_of(str(home))) == (was, home_was)


@pytest.mark.parametrize("client", [*HOMES, "cursor", "vscode"])
def test_without_a_place_of_its_own_a_client_is_set_up_in_the_home(repo: str, client: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home)}
    done = run(repo, "init", "--client", client, "--user", "--json", env=env)
    assert all(row["path"].startswith(f"{home}/.") for row in done.json["clients"])
    assert run(repo, "init", "--client", client, "--user", "--check", env=env).code == 0
    assert run(repo, "init", "--client", client, "--user", "--remove", env=env).code == 0
    assert tree_of(str(home)) == {}
