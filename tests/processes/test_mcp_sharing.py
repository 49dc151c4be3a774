"""A real server process in a sharing clone: it follows the remote, and signs off there when its client goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from support.mcp_face import ServerProcess
from support.repo import fsck, git
from support.team import Team, desk, tip
from support.world import granted

if TYPE_CHECKING:
    from pathlib import Path


def test_a_server_on_pipes_shares_what_it_does_and_sees_what_others_do(tmp_path: Path) -> None:
    team = Team(tmp_path)
    one, where = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    git(where, "config", "gitcoord.interval", "0.1")
    with ServerProcess(where) as server:
        server.shake_hands()
        mine = server.ask("lock_files", files=["a"])
        assert (mine["state"], mine["token"]) == ("confirmed", mine["revision"])
        granted(one.lock_files(["b"]))
        end = time.monotonic() + 20
        while len(server.ask("get_locked_files")["locks"]) < 2:
            assert time.monotonic() < end
        assert server.ask("lock_files", files=["b"])["error"]["code"] == "lock_held"
        assert server.ask("sync")["remote_state"] in ("equal", "grown")
        assert one.lock_files(["a"])["granted"] is False
        server.end_input()
        assert server.process.wait(20) == 0
        assert "Traceback" not in server.errors
    assert granted(one.lock_files(["a"]))["state"] == "confirmed"
    assert [session["session"] for session in one.list_sessions()["sessions"]] == ["ada@one"]
    assert desk(where, "bob@two").sync()["ok"]
    assert tip(where) == team.tip()
    assert fsck(team.hub) == fsck(where) == []
