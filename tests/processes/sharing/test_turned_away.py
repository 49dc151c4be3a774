"""A remote that turns away one operation, now or for ever: nobody else is stopped, and all are told the truth."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest

from processes.sharing.test_lost_answers import HELD_UP, count, hasty, lay, refused_by, waits
from processes.sharing.workers import ask
from support.procs import start, wait_until
from support.program import run
from support.repo import LOG_REF, git
from support.sharing import Clones, done, granted

if TYPE_CHECKING:
    from pathlib import Path

# Looks at what a push brings, as a scanner for secrets does: nothing new may hold the word.
SCANNER = """\
while read old new ref; do
    for commit in $(git rev-list "$new" --not --all); do
        git ls-tree -r --name-only "$commit" | grep -q . || continue
        if git diff-tree -p --root -m "$commit" | grep -q '^+.*forbidden'; then
            echo "a forbidden word" >&2
            exit 1
        fi
    done
done
"""


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    return Clones(tmp_path, 2)


# -- a push that was cut off, and that the remote turns away ever since


def test_an_open_push_is_settled_by_the_next_change_that_the_remote_takes(clones: Clones) -> None:
    """A lone clone: its lock's answer is lost on the way, and the remote takes no such thing any more."""
    desk = clones.desk(0, real=True)
    desk.sign_on()
    hasty_desk = hasty(clones)
    hasty_desk.sign_on()
    before = clones.remote_tip()
    clones.hook("pre-receive", f'echo >> "$(git rev-parse --absolute-git-dir)/came"\n{HELD_UP}\nexit 1')
    refused_by(hasty_desk.lock_files(["forbidden"], reason="lost"), "remote_unknown")
    clones.hook("pre-receive", SCANNER)
    lay(clones, "go-on")
    answer = desk.sync()
    assert clones.remote_tip() != before, "a harmless successor is published"
    done(answer)
    assert not os.path.exists(f"{clones.clones[0]}/.git/gitcoord/flight")
    assert desk.get_locked_files("forbidden")["locks"] == []
    refused_by(hasty_desk.lock_files(["forbidden"], reason="again"), "remote_rejected")
    granted(hasty_desk.lock_files(["fine"], reason="fine"))
    assert (count(clones, "lost"), count(clones, "again"), count(clones, "fine")) == (0, 0, 1)
    clones.converge()
    clones.check_sound()


def test_who_is_not_signed_on_settles_it_with_the_change_that_it_wants(clones: Clones) -> None:
    hasty_desk = hasty(clones)
    hasty_desk.sign_on()
    clones.hook("pre-receive", f"{HELD_UP}\nexit 1")
    refused_by(hasty_desk.lock_files(["forbidden"], reason="lost"), "remote_unknown")
    clones.hook("pre-receive", SCANNER)
    lay(clones, "go-on")
    other = clones.desk(0, "other", real=True)
    told = other.sync()
    assert told["error"]["code"] == "remote_unknown", told
    assert "any other change" in told["error"]["next"]
    granted(other.lock_files(["fine"], reason="fine"))
    done(other.sync())
    assert (count(clones, "lost"), count(clones, "fine")) == (0, 1)


def test_one_that_landed_after_all_is_found_by_the_successor(clones: Clones) -> None:
    """The successor comes second: the push that was held up has passed its judgement, and lands before it."""
    clones.set_far(0)
    desk = clones.desk(0, real=True)
    desk.sign_on()
    before = clones.remote_tip()
    clones.hook("update", f'there=$(git rev-parse --absolute-git-dir)\n[ -e "$there/waits" ] && exit 1\n{HELD_UP}')
    refused_by(hasty(clones).lock_files(["a"], reason="late"), "remote_unknown")
    refused_by(desk.lock_files(["b"], reason="behind it"), "remote_rejected")
    told = desk.sync()
    assert told["error"]["code"] == "remote_unknown", told
    assert clones.remote_tip() == before
    lay(clones, "go-on")
    wait_until(lambda: clones.remote_tip() != before, "the first one lands")
    clones.unhook("update")
    granted(desk.lock_files(["b"], reason="then"))
    assert [count(clones, reason) for reason in ("late", "behind it", "then")] == [1, 0, 1]
    clones.converge()
    clones.check_sound()


def test_the_same_request_is_unknown_as_long_as_the_first_may_land(clones: Clones) -> None:
    """Whoever asks again must not hear no while the first one, on its way, may still become a yes."""
    clones.set_far(0)
    with start(ask, 1, clones.clones[0], "mortal", "a", {}, env={}) as crew:
        crew.go()
        crew[0].next()
        clones.hook("update", f'there=$(git rev-parse --absolute-git-dir)\n[ -e "$there/waits" ] && exit 1\n{HELD_UP}')
        before = clones.remote_tip()
        crew[0].send("lock")
        wait_until(lambda: waits(clones) > 0, "the push has come")
        crew[0].kill()
    answer: dict[str, Any] = hasty(clones).lock_files(["a"], reason="second")
    assert answer["error"]["code"] in ("remote_rejected", "remote_unknown"), answer
    lay(clones, "go-on")
    wait_until(lambda: clones.remote_tip() != before, "the orphan lands")
    clones.unhook("update")
    refusal = clones.desk(0, real=True).lock_files(["a"], reason="third")
    refused_by(refusal, "lock_held")
    assert [count(clones, reason) for reason in ("mortal 0.1", "second", "third")] == [1, 0, 0]


# -- one bad operation among several


def in_chain(clones: Clones) -> int:
    """Count the requests that wait in the first clone, the one that is being pushed among them."""
    with open(f"{clones.clones[0]}/.git/gitcoord/candidate-pending", encoding="utf-8") as file:
        return file.read().partition('"chain":')[2].count('["')


def test_of_several_that_ride_together_only_the_bad_one_is_turned_away(clones: Clones) -> None:
    clones.desk(0, real=True).sign_on()
    paths = ["first", "forbidden", "second", "third"]
    with contextlib.ExitStack() as stack:
        crews = [stack.enter_context(start(ask, 1, clones.clones[0], f"of-{path}", path, {})) for path in paths]
        for crew in crews:
            crew.go()
            crew[0].next()
        # The first push is held up until all the others' requests wait behind it, in one chain.
        scanner = f'if mkdir "$(git rev-parse --absolute-git-dir)/first" 2>/dev/null; then\n{HELD_UP}\nfi\n{SCANNER}'
        clones.hook("pre-receive", scanner)
        crews[0][0].send("lock")
        wait_until(lambda: waits(clones) > 0, "the first push has come")
        for crew in crews[1:]:
            crew[0].send("lock")
        wait_until(lambda: in_chain(clones) == len(crews), "all wait in one chain")
        lay(clones, "go-on")
        answers = [crew[0].next() for crew in crews]
        refused_by(answers.pop(1), "remote_rejected")
        for answer in answers:
            granted(answer)
        for crew in crews:
            crew[0].send("end")
            crew.finish()
    clones.converge()
    clones.check_sound()


def test_what_waits_here_and_is_turned_away_stops_nobody_else(clones: Clones) -> None:
    """A value that a scanner does not let in was stored here: locks are confirmed beside it, and it stays."""
    desk, neighbour, far = (
        clones.desk(0, real=True),
        clones.desk(0, "neighbour", real=True),
        clones.desk(1, real=True),
    )
    for each in (desk, neighbour, far):
        each.sign_on()
    clones.hook("pre-receive", SCANNER)
    done(desk.store_data("s", "before", 1))
    stored = desk.store_data("s", "k", "forbidden")
    assert stored["ok"]
    assert "a forbidden word" in stored["notices"][-1]
    done(neighbour.store_data("s", "behind", 2))
    granted(neighbour.lock_files(["a"], reason="beside"))
    granted(desk.lock_files(["b"], reason="own"))
    assert desk.retrieve_data("s", "k")["value"] == "forbidden", "it is kept here"
    assert {lock["state"] for lock in desk.get_locked_files()["locks"]} == {"confirmed"}
    done(far.sync())
    assert far.retrieve_data("s", "behind")["value"] == 2, "what waits with it is not held up by it"
    assert far.retrieve_data("s", "before")["value"] == 1
    assert not far.retrieve_data("s", "k")["found"]
    refused_by(far.lock_files(["a"]), "lock_held")
    granted(far.lock_files(["c"]))
    granted(desk.lock_files(["d"]))
    clones.unhook("pre-receive")
    done(desk.sync())
    done(far.sync())
    assert far.retrieve_data("s", "k")["value"] == "forbidden"
    clones.converge()
    clones.check_sound()
    assert run(clones.clones[1], "verify").code == 0, "what was laid anew is a log like any other"


def test_what_was_set_aside_and_is_turned_away_stops_nobody(clones: Clones) -> None:
    """Another program sets the ref back over a value that the remote does not let in: it cannot be brought back yet."""
    desk, far = clones.desk(0, real=True), clones.desk(1, real=True)
    desk.sign_on()
    far.sign_on()
    clones.hook("pre-receive", SCANNER)
    assert desk.store_data("s", "k", "forbidden")["ok"]
    git(clones.clones[0], "update-ref", LOG_REF, "refs/gitcoord/remotes/origin")
    granted(far.lock_files(["far"]))
    granted(clones.desk(0, "other", real=True).lock_files(["a"]))
    granted(far.lock_files(["far/2"]))
    granted(clones.desk(0, "other", real=True).lock_files(["b"]))
    clones.unhook("pre-receive")
    done(clones.desk(0, "other", real=True).sync())
    done(far.sync())
    assert far.retrieve_data("s", "k")["value"] == "forbidden", "it is brought back once the remote takes it"
    clones.converge()
    clones.check_sound()


def test_who_is_signed_on_here_only_is_told_what_stands_in_its_way_until_it_does_not(clones: Clones) -> None:
    """A freeze: what began without the remote rests on what waits, so it can be confirmed only together with that."""
    desk = clones.desk(0, real=True)
    desk.offline = True
    assert desk.lock_files(["a"])["state"] == "provisional"
    desk.offline = False
    clones.hook("pre-receive", "echo the freeze is on >&2; exit 1")
    for _ in range(2):
        answer = desk.lock_files(["b"])
        refused_by(answer, "remote_rejected")
        assert "the freeze is on" in answer["error"]["message"]
    assert desk.sync()["error"]["code"] == "remote_rejected"
    clones.unhook("pre-receive")
    granted(desk.lock_files(["b"]))
    assert {lock["state"] for lock in desk.get_locked_files()["locks"]} == {"confirmed"}
    clones.converge()
    clones.check_sound()
