"""The remote takes a push and its answer is lost, or comes late, or says no: the answer tells the truth of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from processes.sharing.workers import ask
from support.agreement import check_order, read_agreed
from support.procs import start, wait_until
from support.sharing import Clones, done, granted

if TYPE_CHECKING:
    from pathlib import Path

    from gitcoord.service import Desk

# Kills the whole process group: the hook, what receives, and the client that pushes.
CUT = "kill -9 0"
# Waits for a file that a test lays down, and says that it does.
HELD_UP = """\
there=$(git rev-parse --absolute-git-dir)
echo >> "$there/waits"
while [ ! -e "$there/go-on" ]; do sleep 0.02; done
"""


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    return Clones(tmp_path, 3)


def count(clones: Clones, reason: str) -> int:
    """Count the grants with this reason that are in effect on the remote; none may be twice anywhere."""
    agreed = read_agreed(clones.hub)
    check_order(agreed)
    found = [op for op in agreed.bodies.values() if op.get("reason") == reason]
    assert len(found) <= 1, "it was done twice"
    return sum(op.operation.get("reason") == reason for op in agreed.order)


def lay(clones: Clones, name: str) -> None:
    with open(f"{clones.hub}/{name}", "w", encoding="utf-8"):
        pass


def waits(clones: Clones) -> int:
    """Count the pushes that the remote holds up."""
    try:
        with open(f"{clones.hub}/waits", encoding="utf-8") as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def hasty(clones: Clones) -> Desk:
    """Return a desk in the first clone for which the remote may be silent for a second only."""
    desk = clones.desk(0, "hasty", real=True)
    desk.access.limit_s = 1
    return desk


def refused_by(answer: dict[str, Any], code: str) -> None:
    assert not answer["granted"], answer
    assert answer["error"]["code"] == code, answer
    assert answer["error"]["next"], "there is always something to do"


# -- cut after the remote took it


def test_a_connection_that_is_cut_after_the_remote_took_it_is_found_out(clones: Clones) -> None:
    desk, other = clones.desk(0, real=True), clones.desk(1, real=True)
    desk.sign_on()
    clones.hook("post-receive", f'rm "$0"; {CUT}')
    answer = granted(desk.lock_files(["a"], reason="cut"))
    assert not os.path.exists(f"{clones.hub}/hooks/post-receive"), "it was cut"
    assert count(clones, "cut") == 1
    refusal = other.lock_files(["a"])
    assert refusal["conflicts"][0]["token"] == answer["token"]


def test_a_remote_that_vanishes_with_its_answer_leaves_it_unknown_until_it_is_back(clones: Clones) -> None:
    desk, other = clones.desk(0, real=True), clones.desk(1, real=True)
    desk.sign_on()
    gone = f"{clones.hub}.away"
    clones.hook("post-receive", f'rm "$0"; mv "{clones.hub}" "{gone}"; {CUT}')
    refused_by(desk.lock_files(["a"], reason="unknown"), "remote_unknown")
    assert desk.status()["remote"]["unreached"]["code"] == "remote_unknown"
    refused_by(clones.desk(0, "second", real=True).lock_files(["b"], reason="behind it"), "remote_unknown")
    clones.heal()
    (told,) = done(desk.sync())["settled"]
    (lock,) = desk.get_locked_files("a")["locks"]
    assert lock["state"] == "confirmed"
    assert (told["id"], told["fate"], told["token"]) == (lock["grant"], "in_effect", lock["token"])
    assert done(desk.sync())["settled"] == [], "once"
    assert count(clones, "unknown") == 1
    assert count(clones, "behind it") == 0
    refused_by(other.lock_files(["a"]), "lock_held")


# -- lands after its client is dead


def test_a_push_that_lands_after_its_client_was_killed_is_waited_for(clones: Clones) -> None:
    clones.set_far(0)
    clones.desk(0, real=True).sign_on()
    far = clones.desk(1, real=True)
    far.sign_on()
    before = clones.remote_tip()
    clones.hook("update", HELD_UP)
    with start(ask, 1, clones.clones[0], "mortal", "a", {}, env={}) as crew:
        lay(clones, "go-on")
        crew.go()
        crew[0].next()
        os.unlink(f"{clones.hub}/go-on")
        begun = waits(clones)
        before = clones.remote_tip()
        crew[0].send("lock")
        wait_until(lambda: waits(clones) > begun, "the push has come")
        crew[0].kill()
    refused_by(hasty(clones).lock_files(["a"], reason="second"), "remote_unknown")
    assert clones.remote_tip() == before, "nothing has landed, so nothing is settled"
    lay(clones, "go-on")
    wait_until(lambda: clones.remote_tip() != before, "the orphan lands")
    refusal = clones.desk(0, real=True).lock_files(["a"], reason="third")
    refused_by(refusal, "lock_held")
    assert refusal["conflicts"][0]["session"] == "mortal"
    assert (count(clones, "mortal 0.1"), count(clones, "second"), count(clones, "third")) == (1, 0, 0)
    (told,) = done(clones.desk(0, real=True).sync())["settled"]
    assert (told["session"], told["claims"], told["fate"]) == ("mortal", ["a"], "in_effect"), "who asked is gone"
    clones.converge()
    clones.check_sound()


def test_a_push_that_did_not_land_is_told_to_be_nowhere(clones: Clones) -> None:
    desk, other = clones.desk(0, real=True), clones.desk(1, real=True)
    desk.sign_on()
    other.sign_on()
    gone = f"{clones.hub}.away"
    clones.hook("pre-receive", f'rm "$0"; mv "{clones.hub}" "{gone}"; {CUT}')
    refused_by(desk.lock_files(["a"], reason="lost"), "remote_unknown")
    clones.heal()
    granted(other.lock_files(["a"], reason="quicker"))
    (told,) = done(desk.sync())["settled"]
    assert (told["claims"], told["fate"], told["token"]) == (["a"], "not_on_the_log", None)
    assert count(clones, "lost") == 0
    assert done(desk.sync())["settled"] == []


def test_a_push_that_lands_late_is_not_called_failed_because_the_same_one_is_rejected_by_then(clones: Clones) -> None:
    clones.set_far(0)
    desk = clones.desk(0, real=True)
    desk.sign_on()
    before = clones.remote_tip()
    # The first push is held up behind its judgement; those that come meanwhile are turned away.
    clones.hook("update", f'there=$(git rev-parse --absolute-git-dir)\n[ -e "$there/waits" ] && exit 1\n{HELD_UP}')
    refused_by(hasty(clones).lock_files(["a"], reason="late"), "remote_unknown")
    refused_by(desk.lock_files(["b"], reason="behind it"), "remote_rejected")
    assert desk.sync()["error"]["code"] == "remote_unknown", "of the first one nothing is known as yet"
    assert clones.remote_tip() == before
    lay(clones, "go-on")
    wait_until(lambda: clones.remote_tip() != before, "the first one lands")
    clones.unhook("update")
    done(desk.sync())
    assert [lock["state"] for lock in desk.get_locked_files("a")["locks"]] == ["confirmed"]
    assert count(clones, "late") == 1


def test_time_that_runs_out_is_unknown_and_the_next_contact_knows(clones: Clones) -> None:
    desk = clones.desk(0, real=True)
    clones.hook("pre-receive", HELD_UP)
    refused_by(hasty(clones).lock_files(["a"], reason="slow"), "remote_unknown")
    assert waits(clones) >= 2, "only the identical push is tried again"
    clones.unhook("pre-receive")
    done(desk.sync())
    assert count(clones, "slow") == 1
    (held,) = desk.get_locked_files("a")["locks"]
    assert [held[name] for name in ("session", "reason", "state")] == ["hasty", "slow", "confirmed"]


# -- no


def test_a_hook_that_says_no_is_told_with_its_words_and_nothing_is_done(clones: Clones) -> None:
    desk = clones.desk(0, real=True)
    desk.sign_on()
    before = clones.remote_tip()
    clones.hook("update", "echo the freeze is on >&2; exit 1")
    answer = desk.lock_files(["a"], reason="frozen")
    refused_by(answer, "remote_rejected")
    assert "the freeze is on" in answer["error"]["message"]
    stored = desk.store_data("s", "k", 1)
    assert stored["ok"], "what needs no agreement stays here until the remote takes it"
    assert any("the freeze is on" in notice for notice in stored["notices"]), stored
    assert clones.remote_tip() == before
    clones.unhook("update")
    done(desk.sync())
    assert clones.desk(1, real=True).get_locked_files()["locks"] == []
    done(clones.desk(1, real=True).sync())
    assert clones.desk(1, real=True).retrieve_data("s", "k")["value"] == 1
    assert count(clones, "frozen") == 0


def test_what_was_answered_with_a_failure_does_not_happen_when_the_remote_is_back(clones: Clones) -> None:
    first, second = clones.desk(0, "first", real=True), clones.desk(0, "second", real=True)
    for desk in (first, second):
        desk.sign_on()
    with start(ask, 6, clones.clones[0], "crowd", "crowd", {}) as crew:
        clones.partition()
        for worker in crew:
            worker.send("go")
        clones.heal()
        for worker in crew:
            worker.next()
        clones.partition()
        for worker in crew:
            worker.send("lock")
        answers = [worker.next() for worker in crew]
        clones.heal()
        for answer in answers:
            refused_by(answer, "remote_unreachable")
        granted(second.lock_files(["b"]))
        assert [count(clones, f"crowd {number}.1") for number in range(6)] == [0] * 6
        for worker in crew:
            worker.send("end")
        crew.finish()


def test_who_is_not_let_at_the_remote_by_a_stopped_neighbour_does_not_know(clones: Clones) -> None:
    clones.desk(0, real=True).sign_on()
    with start(ask, 2, clones.clones[0], "crowd", "a", {"_IN_LINE_S": 1.0}) as crew:
        crew.go()
        for worker in crew:
            worker.next()
        clones.hook("pre-receive", HELD_UP)
        crew[0].send("lock")
        wait_until(lambda: waits(clones) > 0, "the push has come")
        crew[0].freeze()
        crew[1].send("lock")
        refused_by(crew[1].next(), "remote_unknown")
        lay(clones, "go-on")
        crew[0].thaw()
        granted(crew[0].next())
        crew[1].send("lock")
        granted(crew[1].next())
    assert [count(clones, f"crowd {number}") for number in ("0.1", "1.1", "1.2")] == [1, 1, 1]


def test_a_neighbours_request_that_the_remote_turns_away_refuses_nobody(clones: Clones) -> None:
    clones.desk(0, real=True).sign_on()
    with (
        start(ask, 1, clones.clones[0], "first", "a", {}) as one,
        start(ask, 1, clones.clones[0], "next", "a", {}) as two,
    ):
        for crew in (one, two):
            crew.go()
            crew[0].next()
        clones.hook("pre-receive", f'rm "$0"\n{HELD_UP}\nexit 1')
        one[0].send("lock")
        wait_until(lambda: waits(clones) > 0, "the push has come")
        two[0].send("lock")
        lay(clones, "go-on")
        refused_by(one[0].next(), "remote_rejected")
        granted(two[0].next())
    assert (count(clones, "first 0.1"), count(clones, "next 0.1")) == (0, 1)
