"""The waiting line, with real waiters that die, stop and fork."""

from __future__ import annotations

import os
import signal
import stat
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.errors import StorageFault
from gitcoord.runtime import waiting
from gitcoord.runtime.machine import SystemClock
from gitcoord.runtime.oslock import OsLock
from gitcoord.runtime.waiting import PASSED_OVER_S, Line, Place
from support.clock import ManualClock
from support.procs import Link, start

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def runtime(tmp_path: Path) -> str:
    return str(tmp_path / "runtime")


def wish(session: str, **more: Any) -> dict[str, Any]:
    return {"session": session, "incarnation": f"INC-{session}", "mode": "exclusive", "claims": ["x.py"], **more}


def sessions(line: Line, clock: ManualClock | SystemClock, before: str | None = None) -> list[str]:
    return [waiter.session for waiter in line.others(clock.stamp(), before)]


def files(runtime: str) -> list[str]:
    return sorted(os.listdir(os.path.join(runtime, "waiting")))


def stand(link: Link, runtime: str) -> None:
    """Worker: join, say so, beat when told."""
    clock = SystemClock(runtime)
    place = Line(runtime).join(wish(f"s{link.index}"), clock.stamp())
    link.emit([place.ticket, clock.stamp().uptime_ms])
    while link.receive() == "beat":
        link.emit(place.beat(clock.stamp()))
    place.leave()


def stand_and_fork(link: Link, runtime: str) -> None:
    """Worker: join and leave a child behind."""
    place = Line(runtime).join(wish("s0"), SystemClock(runtime).stamp())
    child = os.fork()
    if child == 0:
        place.leave()
        signal.pause()
    link.emit(child)
    link.receive()


def test_the_line_is_in_the_order_of_joining(runtime: str) -> None:
    line, clock = Line(runtime), ManualClock()
    assert line.others(clock.stamp()) == []
    a, b, c = (line.join(wish(name), clock.stamp()) for name in "abc")
    assert a.ticket < b.ticket < c.ticket
    assert sessions(line, clock) == ["a", "b", "c"]
    assert sessions(line, clock, before=c.ticket) == ["a", "b"]
    assert sessions(line, clock, before=a.ticket) == []
    b.leave()
    b.leave()
    assert sessions(line, clock) == ["a", "c"]
    assert line.join(wish("d"), clock.stamp()).ticket > c.ticket
    for place in (a, c):
        place.leave()


def test_a_waiter_tells_what_it_wishes(runtime: str) -> None:
    line, clock = Line(runtime), ManualClock()
    place = line.join(wish("a", reason="wörk\n"), clock.stamp())
    again = line.join(wish("b", since_ms=7), clock.advance(1))
    first, second = line.others(clock.stamp())
    assert first[:4] == (place.ticket, "a", "INC-a", "exclusive")
    assert first.claims == ["x.py"]
    assert first.wish["reason"] == "wörk\n"
    assert (first.since_ms, second.since_ms) == (clock.at_ms - 1000, 7)
    assert stat.S_IMODE(os.stat(os.path.join(runtime, "waiting", place.ticket)).st_mode) == 0o600
    place.leave()
    again.leave()


def test_eight_that_join_at_once_get_eight_places(runtime: str) -> None:
    with start(stand, 8, runtime) as crew:
        crew.go()
        places = {worker.next()[0]: f"s{worker.index}" for worker in crew}
        assert len(places) == 8
        for worker in crew:
            worker.send("beat")
            assert worker.next() is True
        assert sessions(Line(runtime), SystemClock(runtime)) == [places[ticket] for ticket in sorted(places)]


def test_the_dead_are_forgotten(runtime: str) -> None:
    with start(stand, 2, runtime) as crew:
        crew.go()
        tickets = [worker.next()[0] for worker in crew]
        crew[0].kill()
        line = Line(runtime)
        assert sessions(line, SystemClock(runtime)) == ["s1"]
        assert files(runtime) == [tickets[1]]


def test_a_child_does_not_wait_in_its_dead_parents_place(runtime: str) -> None:
    with start(stand_and_fork, 1, runtime) as crew:
        crew.go()
        child = crew[0].next()
        try:
            assert sessions(Line(runtime), SystemClock(runtime)) == ["s0"]
            os.kill(crew[0].process.pid, signal.SIGKILL)
            crew[0].process.wait()
            assert sessions(Line(runtime), SystemClock(runtime)) == []
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_stopped_waiter_is_passed_over_and_keeps_its_place(runtime: str) -> None:
    line, real = Line(runtime), SystemClock(runtime)
    with start(stand, 1, runtime) as crew:
        crew.go()
        ticket, joined_ms = crew[0].next()
        crew[0].freeze()
        late = real.stamp()._replace(uptime_ms=joined_ms + round(PASSED_OVER_S * 1000) + 1000)
        assert line.others(late) == []
        assert files(runtime) == [ticket]
        mine = line.join(wish("me"), real.stamp())
        crew[0].thaw()
        crew[0].send("beat")
        assert crew[0].next() is True
        assert sessions(line, real, before=mine.ticket) == ["s0"]
        mine.leave()


def test_only_beats_of_this_boot_count_and_the_wall_clock_does_not(runtime: str) -> None:
    line, clock = Line(runtime), ManualClock()
    place = line.join(wish("a"), clock.stamp())
    clock.jump(100_000)
    assert sessions(line, clock) == ["a"]
    clock.advance(PASSED_OVER_S)
    assert sessions(line, clock) == ["a"]
    clock.advance(0.1)
    assert sessions(line, clock) == []
    assert place.beat(clock.stamp())
    assert sessions(line, clock) == ["a"]
    clock.advance(-1)
    assert sessions(line, clock) == [], "a beat from the future is none"
    clock.reboot()
    clock.advance(1_000_000 / 1000)
    assert sessions(line, clock) == []
    place.leave()


def test_a_place_that_somebody_removed_is_noticed(runtime: str) -> None:
    line, clock = Line(runtime), ManualClock()
    place = line.join(wish("a"), clock.stamp())
    os.unlink(os.path.join(runtime, "waiting", place.ticket))
    assert not place.beat(clock.stamp())
    successor = line.join(wish("b"), clock.stamp())
    assert successor.ticket == place.ticket
    place.leave()
    assert sessions(line, clock) == ["b"], "leaving takes nobody else's place"
    assert not place.beat(clock.stamp())
    successor.leave()


def test_a_file_of_nonsense_holds_nobody_up(runtime: str) -> None:
    line, clock = Line(runtime), ManualClock()
    folder = os.path.join(runtime, "waiting")
    broken: list[Place] = []
    for content in (b"", b"1\n{}", b"x\n{}", b"\xff", b'{"session": "a"}'):
        place = line.join(wish("broken"), clock.stamp())
        with open(os.path.join(folder, place.ticket), "wb") as file:
            file.write(content)
        broken.append(place)
    no_text = line.join(wish("a", mode=5), clock.stamp())
    no_time = line.join(wish("a", since_ms="now"), clock.stamp())
    with open(os.path.join(folder, "README"), "w", encoding="ascii"):
        pass
    os.mkfifo(os.path.join(folder, "999999999999"))
    assert line.others(clock.stamp()) == []
    for place in (*broken, no_text, no_time):
        place.leave()


def test_leftovers_of_one_that_died_while_joining_are_cleared(runtime: str) -> None:
    line, clock = Line(runtime), ManualClock()
    line.join(wish("a"), clock.stamp()).leave()
    for name in (".draft-1", "000000000007"):
        with open(os.path.join(runtime, "waiting", name), "w", encoding="ascii"):
            pass
    place = line.join(wish("b"), clock.stamp())
    assert place.ticket == "000000000008"
    with OsLock(os.path.join(runtime, "waiting.lock")):
        assert sessions(line, clock) == ["b"], "looking waits for nobody"
        assert files(runtime) == ["000000000007", "000000000008"]
    assert sessions(line, clock) == ["b"]
    assert files(runtime) == ["000000000008"]
    place.leave()


def test_without_locks_the_beats_tell_who_is_there(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "HAS_FLOCK", False)
    line, clock = Line(runtime), ManualClock()
    gone, here = line.join(wish("gone"), clock.stamp()), line.join(wish("here"), clock.stamp())
    assert sessions(line, clock) == ["gone", "here"]
    clock.advance(100)
    here.beat(clock.stamp())
    assert sessions(line, clock) == ["here"]
    assert len(files(runtime)) == 2
    clock.advance(100)
    here.beat(clock.stamp())
    assert sessions(line, clock) == ["here"]
    assert files(runtime) == [here.ticket]
    gone.leave()
    here.leave()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFault, match="file"):
        Line(str(tmp_path / "file")).join(wish("a"), ManualClock().stamp())
    assert Line(str(tmp_path / "file")).others(ManualClock().stamp()) == []
