"""A session that another clone's stands in the place of: told once, shown as lost, and never taken for the other."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from gitcoord.service import open_desk
from support.clock import ManualClock
from support.program import Done, run
from support.repo import git
from support.team import Team, desk, tip
from support.world import code, granted

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = 1


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


class Namesakes:
    """Two clones; in both somebody signed on as `worker`, in the second one without the remote and too late."""

    def __init__(self, path: Path) -> None:
        self.team = Team(path)
        self.one, self.two = self.team.sharing("one"), self.team.sharing("two")

    def part(self) -> None:
        """Let the second clone's `worker` hold and store what the first one's knows nothing of."""
        self.run(self.one, "lock", "theirs", "--session", "worker")
        with self.team.without_remote():
            self.run(self.two, "lock", "mine", "--offline", "--session", "worker")
            self.run(self.two, "data", "set", "s", "k", "1", "--offline", "--session", "worker")

    def run(self, where: str, *words: str, code: int = 0) -> Done:
        answer = run(where, *words)
        assert answer.code == code, (answer.out, answer.err)
        return answer


@pytest.fixture
def namesakes(tmp_path: Path) -> Namesakes:
    found = Namesakes(tmp_path)
    found.part()
    return found


def told(*answers: Done) -> list[int]:
    return [answer.err.count("refused after all") for answer in answers]


def test_it_is_told_once_with_all_that_went_with_it(namesakes: Namesakes) -> None:
    two = namesakes.two
    listed = namesakes.run(two, "sync", "--session", "somebody-else")
    assert "refused: session.start of worker" in listed.out
    assert told(listed) == [0]
    first = namesakes.run(two, "data", "list", "s", "--session", "worker")
    for part in ("worker", "mine", "k in s", "refused after all", "session worker is worker's since"):
        assert part in first.err, part
    again = [namesakes.run(two, *words, "--session", "worker") for words in (("locks",), ("sync",), ("status",))]
    assert told(first, *again) == [1, 0, 0, 0]
    there = [namesakes.run(namesakes.one, *words, "--session", "worker") for words in (("sync",), ("locks",))]
    assert told(*there) == [0, 0], "the other one is not told of what it did not do"


def test_check_fails_for_what_it_counted_on_until_it_is_let_go(namesakes: Namesakes) -> None:
    two = namesakes.two
    namesakes.run(two, "sync", "--session", "somebody-else")
    row = namesakes.run(two, "check", "mine", "--json", "--session", "worker", code=REFUSED).json["checked"][0]
    assert "refused after all" in row["why"]
    assert namesakes.run(two, "check", "elsewhere", "--session", "worker").code == 0
    assert namesakes.run(two, "check", "mine", "--session", "somebody-else").code == 0
    (lost,) = namesakes.run(two, "status", "--json").json["lost"]
    assert (lost["session"], lost["path"], lost["state"]) == ("worker", "mine", "lost")
    assert "lost" in namesakes.run(two, "status").out
    released = namesakes.run(two, "unlock", "mine", "--json", "--session", "worker").json
    assert released["released"] == ["mine"]
    namesakes.run(two, "check", "mine", "--session", "worker")
    assert namesakes.run(two, "status", "--json").json["lost"] == []


def test_what_it_does_next_is_not_done_as_the_other(namesakes: Namesakes) -> None:
    two = namesakes.two
    namesakes.run(two, "sync", "--session", "somebody-else")
    before = namesakes.team.tip()
    for words in (("lock", "new"), ("unlock", "theirs"), ("session", "renew"), ("session", "end")):
        refused = run(two, *words, "--session", "worker")
        assert refused.code == REFUSED, (words, refused.out, refused.err)
    assert namesakes.team.tip() == tip(two) == before
    ours = namesakes.run(two, "locks", "--ours", "--json", "--session", "worker").json["locks"]
    assert ours == [], "what the other holds is not its own"
    assert not namesakes.run(two, "check", "theirs", "--json", "--session", "worker", code=REFUSED).json["ok"]


def test_it_is_had_again_by_locking_it_under_another_id(tmp_path: Path) -> None:
    """Nobody chose the ids here: both follow from user and host, and the second clone's gets a number."""
    pair = Namesakes(tmp_path)
    name = pair.run(pair.one, "lock", "theirs", "--json").json["session"]
    with pair.team.without_remote():
        assert pair.run(pair.two, "lock", "mine", "--offline", "--json").json["session"] == name
    pair.run(pair.two, "sync", "--session", "somebody-else")
    row = pair.run(pair.two, "check", "mine", "--json", code=REFUSED).json
    assert "refused after all" in row["checked"][0]["why"]
    assert len([one for one in row["notices"] if "refused after all" in one]) == 1
    got = pair.run(pair.two, "lock", "mine", "--json").json
    assert got["session"] == f"{name}-2"
    assert got["state"] == "confirmed"
    assert got["notices"] == []
    pair.run(pair.two, "check", "mine")


def test_sync_tells_the_one_whose_id_has_a_number_that_nobody_chose(tmp_path: Path) -> None:
    pair = Namesakes(tmp_path)
    pair.run(pair.one, "lock", "theirs")
    pair.run(pair.two, "lock", "mine")
    pair.run(pair.two, "lock", "both", "--offline")
    pair.run(pair.one, "lock", "both")
    synced = pair.run(pair.two, "sync")
    assert "your lock on both" in synced.err
    assert told(synced, pair.run(pair.two, "locks")) == [1, 0]


def test_a_server_whose_session_is_displaced_is_told_in_its_next_answer_of_any_kind(tmp_path: Path) -> None:
    pair = Namesakes(tmp_path)
    servers = [open_desk(pair.two, hint="agent", process=True) for _ in range(2)]
    with pair.team.without_remote():
        for number, server in enumerate(servers):
            granted(server.lock_files([f"mine{number}"], offline=True))
    there = [open_desk(pair.one, hint="agent", process=True) for _ in range(2)]
    for number, server in enumerate(there):
        granted(server.lock_files([f"theirs{number}"]))
    pair.run(pair.two, "sync")
    pair.run(pair.two, "locks", "--session", "agent-1")  # whoever looks at an agent takes no news from it
    reading = servers[0].list_keys("s")
    assert ["refused after all" in notice for notice in reading["notices"]] == [True]
    assert not servers[0].check(["mine0"])["ok"]
    changing = servers[1].lock_files(["new"])
    assert code(changing) == "session_ended"
    assert ["refused after all" in notice for notice in changing["notices"]] == [True]
    assert granted(servers[1].lock_files(["new"]))["session"] == "agent-3"
    assert not servers[1].check(["mine1"])["ok"], "under its new id it still counts on nothing there"
    granted(servers[1].lock_files(["mine1"]))
    assert servers[1].check(["mine1"])["ok"]
    for server in (*servers, *there):
        server.callers.forget()


def test_a_session_that_another_machine_took_over_is_told_too(tmp_path: Path) -> None:
    pair = Namesakes(tmp_path)
    here, there = ManualClock(machine="here"), ManualClock(machine="there")
    loser, winner = desk(pair.two, "worker", here), desk(pair.one, "winner", there)
    granted(loser.lock_files(["a"], ttl_s=7200))
    with pair.team.without_remote():
        granted(loser.lock_files(["b"], offline=True))
    for _ in range(2):
        assert code(winner.lock_files(["a"])) == "lock_held"
        for clock in (here, there):
            clock.advance(3 * 3600)
    granted(winner.lock_files(["a"]))
    assert desk(pair.two, "somebody-else", here).sync()["ok"]
    answer = loser.list_keys("s")
    (notice,) = answer["notices"]
    assert "ended by winner" in notice
    assert "your lock on b" in notice
    assert "notices" not in loser.list_keys("s")
    checked = loser.check(["b"])
    assert not checked["ok"]
    assert "refused after all" in checked["checked"][0]["why"]


# -- hooks


def hooked(where: str, path: str, session: str) -> Done:
    """Ask the hook that runs before an edit."""
    event = {
        "hook_event_name": "PreToolUse",
        "session_id": "conversation",
        "cwd": where,
        "tool_name": "Write",
        "tool_input": {"file_path": os.path.join(where, path), "content": "x"},
    }
    words = ("hook", "claude", "PreToolUse")
    return run(where, *words, stdin=json.dumps(event).encode(), env={"GITCOORD_SESSION": session})


def test_hooks_do_not_take_the_other_for_the_session_that_lost(namesakes: Namesakes) -> None:
    two = namesakes.two
    namesakes.run(two, "sync", "--session", "somebody-else")
    denied = hooked(two, "theirs", "worker").out
    assert '"deny"' in denied, denied
    assert "held by worker" in denied
    lost = hooked(two, "mine", "worker").out
    assert "refused after all" in lost or '"deny"' in lost, lost
    git(two, "config", "gitcoord.hookOwn", "deny")
    for name in ("theirs", "mine"):
        with open(os.path.join(two, name), "w", encoding="utf-8") as file:
            file.write("changed\n")
        git(two, "add", name)
        refused = run(two, "hook", "git", "pre-commit", env={"GITCOORD_SESSION": "worker"})
        assert name in refused.err, (name, refused.out, refused.err)
        git(two, "rm", "-q", "--cached", name)
    message = os.path.join(two, "message")
    with open(message, "w", encoding="utf-8") as file:
        file.write("Change it\n")
    run(two, "hook", "git", "prepare-commit-msg", "--", message, env={"GITCOORD_SESSION": "worker"})
    with open(message, encoding="utf-8") as file:
        assert "Coord-Session" not in file.read(), "the other's work is not claimed for it"


def test_hooks_know_the_number_that_nobody_chose(tmp_path: Path) -> None:
    """Both clones are one person's on one machine: the second one's id has a number, for hooks as for commands."""
    pair = Namesakes(tmp_path)
    name = pair.run(pair.one, "lock", "theirs", "--json").json["session"]
    assert pair.run(pair.two, "lock", "mine", "--json").json["session"] == f"{name}-2"
    for path, refused in (("mine", False), ("theirs", True)):
        with open(os.path.join(pair.two, path), "w", encoding="utf-8") as file:
            file.write("changed\n")
        git(pair.two, "add", path)
        assert bool(run(pair.two, "hook", "git", "pre-commit").code) == refused, path
        git(pair.two, "rm", "-q", "--cached", path)
    message = os.path.join(pair.two, "message")
    with open(message, "w", encoding="utf-8") as file:
        file.write("Change it\n")
    run(pair.two, "hook", "git", "prepare-commit-msg", "--", message)
    with open(message, encoding="utf-8") as file:
        assert f"Coord-Session: {name}-2\n" in file.read()
