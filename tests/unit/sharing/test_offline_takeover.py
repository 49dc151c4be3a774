"""Takeover and challenge without the remote: judged again on the next contact, each by its own time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitcoord.service import Desk
from support.clock import ManualClock
from support.team import Team, desk
from support.world import code, granted

if TYPE_CHECKING:
    from pathlib import Path


def the_lock(where: Desk, path: str) -> dict[str, Any]:
    (lock,) = where.get_locked_files(path)["locks"]
    return lock


class Takeover:
    """Two clones on one machine: `worker` of the second is quiet for longer than its lease."""

    def __init__(self, path: Path) -> None:
        team, self.clock = Team(path), ManualClock()
        one, two = team.sharing("one"), team.sharing("two")
        self.worker, self.taker = desk(two, "worker", self.clock), desk(one, "worker", self.clock)
        self.other = desk(one, "other", self.clock)
        granted(self.worker.lock_files(["a"]))
        assert self.other.sync()["ok"]
        self.clock.advance(3 * 3600)
        with team.without_remote():
            self.taker.offline = True
            self.taken = self.taker.sign_on("worker", takeover=True)
            assert granted(self.taker.lock_files(["b"]))["state"] == "provisional"
            self.taker.offline = False


def test_a_takeover_without_the_remote_holds_where_the_session_stayed_away(tmp_path: Path) -> None:
    takeover = Takeover(tmp_path)
    assert takeover.other.sync()["refused"] == []
    assert the_lock(takeover.other, "b")["state"] == "confirmed"
    assert takeover.other.get_locked_files("a")["locks"] == [], "a takeover inherits no lock"
    assert takeover.taker.check(["b"])["ok"]
    assert desk(takeover.worker.access.repository.common_dir, "somebody", takeover.clock).sync()["ok"]
    answer = takeover.worker.list_keys("s")
    assert "was taken over" in answer["notices"][0]
    assert "notices" not in takeover.worker.list_keys("s")
    assert code(takeover.worker.lock_files(["c"])) == "session_taken"


def test_a_takeover_without_the_remote_loses_to_a_session_that_came_back(tmp_path: Path) -> None:
    takeover = Takeover(tmp_path)
    assert takeover.worker.renew()["ok"]
    refused = takeover.other.sync()["refused"]
    assert [one["type"] for one in refused] == ["session.start", "lock.acquire"]
    record = takeover.other.show_session("worker")["session"]
    assert record["incarnation"] != takeover.taken["incarnation"]
    assert [lock["path"] for lock in record["locked"]] == ["a"]
    assert "refused after all" in takeover.taker.list_keys("s")["notices"][0]
    assert not takeover.taker.check(["b"])["ok"]
    assert code(takeover.taker.lock_files(["c"])) == "session_taken"
    assert takeover.worker.check(["a"])["ok"]


class Challenge:
    """Two machines, the remote away: the first challenges `bob@two`, who was quiet for longer than its lease."""

    def __init__(self, path: Path) -> None:
        self.team = Team(path)
        one, two = self.team.sharing("one"), self.team.sharing("two")
        self.here, self.there = ManualClock(machine="here"), ManualClock(machine="there")
        self.ada, self.bob = desk(one, "ada@one", self.here), desk(two, "bob@two", self.there)
        granted(self.bob.lock_files(["a"]))
        assert self.ada.sign_on()["session"]
        self.wait()
        with self.team.without_remote():
            refused = self.ada.lock_files(["a"], offline=True)
        assert code(refused) == "lock_held"
        assert "challenged" in refused["error"]["next"]

    def wait(self) -> None:
        for clock in (self.here, self.there):
            clock.advance(3 * 3600)


def test_a_challenge_without_the_remote_counts_from_its_own_time(tmp_path: Path) -> None:
    challenge = Challenge(tmp_path)
    challenge.wait()
    won = granted(challenge.ada.lock_files(["a"]))
    assert won["state"] == "confirmed"
    assert challenge.bob.sync()["ok"]
    assert not challenge.bob.check(["a"])["ok"]


def test_a_challenge_without_the_remote_is_void_where_its_session_renewed_meanwhile(tmp_path: Path) -> None:
    challenge = Challenge(tmp_path)
    assert challenge.bob.renew()["ok"]
    challenge.wait()
    assert [one["type"] for one in challenge.ada.sync()["refused"]] == ["session.challenge"]
    refused = challenge.ada.lock_files(["a"])
    assert code(refused) == "lock_held"
    assert "challenged" in refused["error"]["next"], "it is asked anew"
    assert challenge.bob.check(["a"])["ok"] is False, "its lease is over as far as it knows itself"
    assert challenge.bob.renew()["ok"]
    assert challenge.bob.check(["a"])["ok"]
