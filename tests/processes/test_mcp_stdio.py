"""Real server processes on pipes: how they start, what they stand, how they end."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from gitcoord.mcp_server.stdio import MAX_LINE
from gitcoord.service import initialise
from support.mcp_face import ERAS, ROOT, ServerProcess, ask, child_environment, coordinated_repo, person
from support.repo import fsck, log_length, make_repo

if TYPE_CHECKING:
    from pathlib import Path

ODD: list[bytes] = [
    b"nonsense",
    b"{",
    b"[]",
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    b"",
    b"   ",
    b"\xff\xfe\x00",
    b"null",
    b'{"jsonrpc":"2.0"}',
    b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}',
    b'{"jsonrpc":"2.0","id":901,"method":"\\ud800"}',
    b'{"jsonrpc":"2.0","id":902,"method":"no/such"}',
    b'{"jsonrpc":"2.0","id":903,"method":"initialize","params":{"protocolVersion":7}}',
    b'{"jsonrpc":"2.0","id":904,"result":{}}',
    b'{"jsonrpc":"2.0","id":905,"error":{"code":1,"message":"m"}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{"a":1}}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99999}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}',
    b'{"jsonrpc":"2.0","method":"no/such"}',
    b'{"jsonrpc":"2.0","id":906,"method":"ping","params":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    b'{"jsonrpc":"2.0","id":907,"method":"resources/read","params":{"uri":"coord://\\ud800"}}',
    b'{"jsonrpc":"2.0","id":908,"method":"resources/subscribe","params":{"uri":"\\u0000"}}',
    b'{"jsonrpc":"2.0","id":909,"method":"prompts/get","params":{"name":"startup","arguments":{"task":"\\udcff"}}}',
    b'{"jsonrpc":"2.0","id":910,"method":"tools/call","params":{"name":"\\ud800"}}',
    b'{"jsonrpc":"2.0","id":911,"method":"tools/call","params":{"name":"sign_on","arguments":[]}}',
    b'{"jsonrpc":"2.0","id":912,"method":"tools/call","params":[]}',
    b"x" * 17_000_000,
]
STORE = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"store_data","arguments":%s}}'
BAD_STORES: list[bytes] = [
    b'{"scope":"s","key":"k","value":NaN}',
    b'{"scope":"s","key":"k","value":Infinity}',
    b'{"scope":"s","key":"k","value":1e999}',
    b'{"scope":"s","key":"k","key":"l","value":1}',
    b'{"scope":"s","key":"k","value":"\\ud800"}',
    b'{"scope":"s","key":"k","value":"\xff"}',
    b'{"scope":"s","key":"k","value":' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"scope":"s","key":"k","value":"' + b"x" * 1_000_000 + b'"}',
    b'{"scope":"\\udcff","key":"k","value":1}',
    b'{"scope":"s","key":"' + b"k" * 100_000 + b'","value":1}',
    b'{"scope":"s","value":1}',
    b'{"scope":"s","key":"k","value":1,"extra":1}',
]


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path) -> str:
    return coordinated_repo(tmp_path / "repo")


def test_nothing_that_a_client_can_send_ends_the_server_or_changes_the_log(repo: str) -> None:
    with ServerProcess(repo) as server:
        server.shake_hands()
        before = log_length(repo)
        server.send(*ODD)
        for number, arguments in enumerate(BAD_STORES):
            request_id = 1000 + number
            server.send(STORE % (request_id, arguments))
            answer = server.answer(request_id)
            refused = answer.get("error") or answer["result"]["structuredContent"]["error"]
            assert refused["message"], arguments[:80]
        assert log_length(repo) == before
        assert server.ask("store_data", scope="s", key="k", value="fine")["ok"]
        assert server.process.poll() is None
        assert "Traceback" not in server.errors
        answered = {message.get("id") for message in server.heard}
        assert {901, 902, 903, 907, 908, 909, 910, 911, 912} <= answered


def test_a_request_that_is_too_long_is_refused_by_its_id(repo: str) -> None:
    with ServerProcess(repo) as server:
        server.shake_hands()
        server.send(STORE % (77, b'{"scope":"s","key":"k","value":"' + b"x" * MAX_LINE + b'"}'))
        assert "the line is longer than" in server.answer(77)["error"]["message"]
        assert server.ask("list_keys", scope="s")["keys"] == []


def test_random_damage_to_good_requests_does_not_end_the_server(repo: str) -> None:
    chance = random.Random(7)
    good = [
        STORE % (1, b'{"scope":"s","key":"k","value":{"a":[1,2.5,"\\u00e9",null]}}'),
        b'{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}',
        b'{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"lock_files","arguments":{"files":["a"]}}}',
    ]
    with ServerProcess(repo) as server:
        server.shake_hands()
        for _ in range(300):
            line = bytearray(chance.choice(good))
            for _ in range(chance.randint(1, 6)):
                line[chance.randrange(len(line))] = chance.randrange(256)
            server.send(bytes(line).replace(b"\n", b" "))
        assert server.ask("list_sessions").keys() >= {"sessions"}
        assert server.process.poll() is None
        assert "Traceback" not in server.errors
    assert fsck(repo) == []


@pytest.mark.parametrize("mode", ERAS)
def test_a_client_of_either_era_is_served(repo: str, mode: str) -> None:
    async def body() -> None:
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "gitcoord", "serve"], cwd=repo, env={"PYTHONPATH": ROOT}
        )
        async with Client(stdio_client(parameters), mode=mode) as client:
            assert client.protocol_version == ("2026-07-28" if mode == "auto" else "2025-11-25")
            assert (await ask(client, "lock_files", files=["a"]))["granted"]
            assert len(person(repo).list_sessions()["sessions"]) == 1

    anyio.run(body)
    assert person(repo).list_sessions()["sessions"] == []


def test_a_repository_that_is_initialised_later_works_without_a_restart(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    with ServerProcess(repo) as server:
        server.shake_hands()
        refused = server.ask("lock_files", files=["a"])
        assert (refused["ok"], refused["error"]["code"]) == (False, "not_initialised")
        assert not os.path.exists(os.path.join(repo, ".git", "gitcoord"))
        assert initialise(repo)["ok"]
        assert server.ask("lock_files", files=["a"])["granted"] is True


def test_standard_output_carries_nothing_but_the_protocol(repo: str) -> None:
    with ServerProcess(repo, env={"GITCOORD_SESSION": "from-the-environment"}) as server:
        server.shake_hands()
        assert server.ask("lock_files", files=["a"])["session"] == "from-the-environment"
        server.end_input()
        server.process.wait(10)
    assert server.heard == []
    assert server.errors == ""


def test_a_server_without_standard_input_says_so(repo: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {shlex.quote(sys.executable)} -m gitcoord serve <&-"],
        cwd=repo,
        env=child_environment(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 5
    assert b"have to be open" in done.stderr
    assert b"Traceback" not in done.stderr
