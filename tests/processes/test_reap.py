"""Who is dead and who is only quiet: found by the next comer, at once, and never by a process id."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.model_time import Stamp
from gitcoord.runtime.machine import SystemClock
from gitcoord.service import Desk, initialise, open_desk
from processes.workers import entries, hold, kinds
from support.procs import start
from support.repo import fsck, make_repo, read_json, read_log

if TYPE_CHECKING:
    from pathlib import Path

PATH = "src/app.py"


class LaterClock(SystemClock):
    """This machine's clock, some seconds from now."""

    def __init__(self, runtime: str, ahead_s: float) -> None:
        super().__init__(runtime)
        self._ahead_ms = round(ahead_s * 1000)

    def stamp(self) -> Stamp:
        now = super().stamp()
        return now._replace(at_ms=now.at_ms + self._ahead_ms, uptime_ms=now.uptime_ms + self._ahead_ms)


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    return where


def later_desk(repo: str, ahead_s: float) -> Desk:
    return open_desk(repo, session="later", clock=LaterClock(f"{repo}/.git/gitcoord", ahead_s))


def check_refused(answer: dict[str, Any], holder: str) -> None:
    assert not answer["granted"]
    assert answer["error"]["code"] == "lock_held"
    assert answer["conflicts"][0]["session"] == holder


def test_the_dead_are_found_at_once_and_the_log_says_why(repo: str) -> None:
    with start(hold, 1, repo, "holder", [PATH, "docs/", "build/*.o"]) as crew:
        crew.go()
        held = crew[0].next()
        me = open_desk(repo, session="me")
        check_refused(me.lock_files([PATH]), "holder-1")
        crew[0].kill()
        granted = me.lock_files([PATH])
    assert granted["granted"], granted
    assert granted["token"] > held["token"]
    assert me.get_locked_files()["locks"] == granted["locks"], "all that the dead held is free"
    log = read_log(repo)
    assert [entry.subject for entry in log[-2:]] == [
        "reap: holder-1 (its process is gone), by me",
        f"lock: {PATH} (me)",
    ]
    reap = entries(repo)[-2].operation
    assert reap["evidence"] == {"kind": "process-gone"}
    assert reap["target"] == "holder-1"
    assert [s["session"] for s in me.list_sessions()["sessions"]] == ["me"]
    assert fsck(repo) == []


def test_the_id_of_one_who_died_and_left_nothing_is_the_lowest_free_again(repo: str) -> None:
    for _ in range(3):
        with start(hold, 1, repo, "holder", [PATH]) as crew:
            crew.go()
            assert crew[0].next()["session"] == "holder-1"
            crew[0].send("let go")
            assert crew[0].next()["ok"]
            crew[0].kill()
    with start(hold, 1, repo, "holder", [PATH]) as crew:
        crew.go()
        assert crew[0].next()["session"] == "holder-1"
        crew[0].kill()
    later = open_desk(repo, hint="holder", process=True)
    assert later.sign_on()["session"] == "holder-2", "one that still holds something is left alone"
    assert sorted(s["session"] for s in later.list_sessions()["sessions"]) == ["holder-1", "holder-2"]
    later.close()


def test_what_nobody_wants_is_left_alone(repo: str) -> None:
    with start(hold, 1, repo, "holder", [PATH]) as crew:
        crew.go()
        crew[0].next()
        crew[0].kill()
    me = open_desk(repo, session="me")
    assert me.lock_files(["other.py"])["granted"]
    assert me.check([PATH])["ok"], "whoever wants it gets it"
    [dead] = [s for s in me.list_sessions()["sessions"] if s["session"] == "holder-1"]
    assert (dead["state"], dead["locks"]) == ("dead", 1)
    assert "session.reap" not in kinds(entries(repo))


def test_eight_that_want_the_dead_ones_lock_reap_it_once(repo: str) -> None:
    with start(hold, 1, repo, "holder", [PATH]) as crew:
        crew.go()
        crew[0].next()
        crew[0].kill()
    desks = [open_desk(repo, session=f"heir{number}") for number in range(8)]
    answers = [desk.lock_files([PATH]) for desk in desks]
    assert [answer["granted"] for answer in answers] == [True] + [False] * 7
    assert kinds(entries(repo))["session.reap"] == 1


def test_a_process_that_stands_still_is_not_dead(repo: str) -> None:
    with start(hold, 1, repo, "holder", [PATH]) as crew:
        crew.go()
        crew[0].next()
        crew[0].freeze()
        me = open_desk(repo, session="me")
        check_refused(me.lock_files([PATH]), "holder-1")
        check_refused(me.lock_files([PATH], wait_s=0.2) | {"error": {"code": "lock_held"}}, "holder-1")
        crew[0].thaw()
        crew[0].send("unlock")
        assert crew[0].next()["ok"], "it goes on as if nothing were"
        assert me.lock_files([PATH])["granted"]
    assert "session.reap" not in kinds(entries(repo))


def test_a_forked_child_does_not_keep_its_dead_parent_alive(repo: str) -> None:
    with start(hold, 1, repo, "holder", [PATH], True) as crew:
        crew.go()
        child = crew[0].next()["child"]
        try:
            os.kill(crew[0].process.pid, signal.SIGKILL)
            crew[0].process.wait()
            os.kill(child, 0)
            assert open_desk(repo, session="me").lock_files([PATH])["granted"]
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("gone", ["the file", "its directory"])
def test_without_its_file_of_life_the_lease_decides(repo: str, gone: str) -> None:
    with start(hold, 1, repo, "holder", [PATH]) as crew:
        crew.go()
        crew[0].next()
        record = read_json(repo, "sessions/holder-1.json")
        alive = f"{repo}/.git/gitcoord/alive"
        if gone == "the file":
            os.unlink(f"{alive}/{record['incarnation']}")
        else:
            shutil.rmtree(alive)
        me = open_desk(repo, session="me")
        check_refused(me.lock_files([PATH]), "holder-1")
        crew[0].kill()
        check_refused(me.lock_files([PATH]), "holder-1")
    lease_s = record["lease_s"]
    check_refused(later_desk(repo, lease_s - 5).lock_files([PATH]), "holder-1")
    assert later_desk(repo, lease_s + 1).lock_files([PATH])["granted"]
    assert read_log(repo)[-2].subject == "reap: holder-1 (its lease ran out), by later"


def test_in_a_copy_of_the_repository_nobody_is_believed_dead(repo: str, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy")
    with start(hold, 1, repo, "holder", [PATH]) as crew:
        crew.go()
        crew[0].next()
        shutil.copytree(repo, copy, symlinks=True)
        check_refused(open_desk(copy, session="me").lock_files([PATH]), "holder-1")
        # A directory that is copied back over the original has other files than those that are locked.
        runtime = f"{repo}/.git/gitcoord"
        shutil.rmtree(f"{runtime}/alive")
        shutil.copytree(f"{copy}/.git/gitcoord/alive", f"{runtime}/alive")
        check_refused(open_desk(repo, session="me").lock_files([PATH]), "holder-1")
        crew[0].kill()
        check_refused(open_desk(repo, session="me").lock_files([PATH]), "holder-1")
    assert fsck(copy) == []


def test_a_command_that_acted_as_the_session_just_now_keeps_it(repo: str) -> None:
    with start(hold, 1, repo, "holder", [PATH]) as crew:
        crew.go()
        crew[0].next()
        assert open_desk(repo, session="holder-1").store_data("s", "k", 1)["ok"]
        crew[0].kill()
    check_refused(open_desk(repo, session="me").lock_files([PATH]), "holder-1")
    assert later_desk(repo, 61).lock_files([PATH])["granted"]


def test_a_session_without_a_process_lives_by_its_lease(repo: str) -> None:
    open_desk(repo, session="cli").lock_files([PATH])
    check_refused(open_desk(repo, session="me").lock_files([PATH]), "cli")
    assert later_desk(repo, 2 * 3600 + 1).lock_files([PATH])["granted"]


def test_the_dead_come_back_under_no_false_name(repo: str) -> None:
    with start(hold, 1, repo, "holder", [PATH]) as crew:
        crew.go()
        crew[0].next()
        crew[0].kill()
        taken = open_desk(repo, hint="x", process=True)
        refused = taken.sign_on("holder-1")
        assert refused["error"]["code"] == "session_taken"
        before = read_json(repo, "sessions/holder-1.json")
        over = taken.sign_on("holder-1", takeover=True)
    assert over["session"] == "holder-1"
    assert over["incarnation"] != before["incarnation"]
    assert taken.get_locked_files()["locks"] == [], "a takeover inherits no lock"
    taken.close()
