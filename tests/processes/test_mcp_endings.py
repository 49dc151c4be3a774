"""How real server processes end: told to, left, killed, or with work in hand."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.mcp_face import ServerProcess, coordinated_repo, person
from support.procs import wait_until
from support.repo import read_log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path) -> str:
    return coordinated_repo(tmp_path / "repo")


def leave_politely(server: ServerProcess) -> None:
    server.end_input()


def leave_by_sigterm(server: ServerProcess) -> None:
    server.process.send_signal(signal.SIGTERM)


def leave_by_sigint(server: ServerProcess) -> None:
    server.process.send_signal(signal.SIGINT)


@pytest.mark.parametrize("leave", [leave_politely, leave_by_sigterm, leave_by_sigint])
def test_a_server_that_is_told_to_go_signs_off_and_exits_well(repo: str, leave: Any) -> None:
    with ServerProcess(repo) as server:
        server.shake_hands()
        assert server.ask("lock_files", files=["a", "b"])["granted"]
        began = time.monotonic()
        leave(server)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 3
    last = read_log(repo)[-1]
    assert last.trailers["Coord-Op"] == ["session.end"]
    assert person(repo).get_locked_files() == {"locks": []}


@pytest.mark.parametrize("leave", [leave_politely, leave_by_sigterm])
def test_a_server_that_waits_for_a_lock_gives_the_wait_up_when_its_client_goes(repo: str, leave: Any) -> None:
    ada = person(repo)
    assert ada.lock_files(["a"])["granted"]
    with ServerProcess(repo) as server:
        server.shake_hands()
        server.call("lock_files", files=["a"], wait_s=60)
        wait_until(lambda: len(ada.status()["waiting"]) == 1, "somebody waits")
        leave(server)
        assert server.process.wait(10) == 0
    assert ada.status()["waiting"] == []
    assert [view["session"] for view in ada.list_sessions()["sessions"]] == ["ada@host"]


def test_requests_that_are_at_work_when_the_input_ends_are_still_answered(repo: str) -> None:
    with ServerProcess(repo) as server:
        server.shake_hands()
        calls = [server.call("store_data", scope="s", key=f"k{number}", value=number) for number in range(20)]
        server.end_input()
        assert all(server.answer(call)["result"]["structuredContent"]["ok"] for call in calls)
        assert server.process.wait(10) == 0
    assert len(person(repo).list_keys("s")["keys"]) == 20


def test_a_killed_server_is_found_dead_at_once_and_its_locks_are_free(repo: str) -> None:
    with ServerProcess(repo) as server:
        server.shake_hands("Claude Code")
        assert server.ask("lock_files", files=["a"])["granted"]
        assert person(repo).lock_files(["a"])["granted"] is False
        server.process.kill()
        server.process.wait(10)
        assert person(repo).lock_files(["a"])["granted"] is True
    assert "session.reap" in {op for entry in read_log(repo) for op in entry.trailers["Coord-Op"]}


def test_a_client_that_stops_reading_does_not_keep_the_server_from_ending(repo: str) -> None:
    with ServerProcess(repo) as server:
        server.shake_hands()
        assert server.ask("lock_files", files=["a"])["granted"]
        server.process.send_signal(signal.SIGSTOP)
        for _ in range(50):
            server.request("tools/list")
        server.process.send_signal(signal.SIGCONT)
        server.end_input()
        assert server.process.wait(10) == 0
    assert person(repo).list_sessions()["sessions"] == []


def test_a_cancelled_wait_leaves_the_line_and_the_server_goes_on(repo: str) -> None:
    ada = person(repo)
    assert ada.lock_files(["a"])["granted"]
    with ServerProcess(repo) as server:
        server.shake_hands()
        call = server.call("lock_files", files=["a"], wait_s=60)
        wait_until(lambda: len(ada.status()["waiting"]) == 1, "somebody waits")
        server.notify("notifications/cancelled", {"requestId": call})
        wait_until(lambda: ada.status()["waiting"] == [], "nobody waits")
        assert server.ask("lock_files", files=["b"])["granted"] is True
        assert json.dumps(server.heard) == "[]"
