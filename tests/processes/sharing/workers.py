"""Programs that work in one of several clones as processes of their own, and tell what they asked and were answered."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import gitcoord.coordinator
import gitcoord.remote.transport
import gitcoord.runtime.shared
import gitcoord.sharing.ours
import gitcoord.sharing.sharer
from gitcoord.service import open_desk
from processes.workers import Child
from support.sharing import granted

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.service import Desk
    from support.procs import Link

# -- wanting one path at once


def want_at_once(link: Link, places: list[str]) -> None:
    """Worker: lock the path that it is told, tell the answer, and let it go when told to."""
    desk = open_desk(places[link.index], session=f"w{link.index}")
    assert desk.sign_on()["session"]
    while (path := link.receive()) != "end":
        began = time.monotonic()
        answer = desk.lock_files([path], reason=f"w{link.index} wants {path}")
        link.emit([began, time.monotonic(), answer])
        link.receive()
        if answer["granted"]:
            assert desk.unlock_files([path])["ok"]
        link.emit("let go")


# -- a mixed life, told in full


def live(link: Link, places: list[str], witness: str, rounds: int, seed: int) -> None:
    """Worker: lock, unlock and store; before each an invocation is told, after each the answer.

    While it holds a confirmed lock it keeps a file that nobody else may make.
    """
    place = places[link.index % len(places)]
    me = f"p{link.index}.{seed}"
    desk = open_desk(place, session=me)
    chance = random.Random(100 * seed + link.index)

    def call(kind: str, what: str, verb: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        tag = f"{me}.{os.urandom(6).hex()}"
        link.emit({"invoked": kind, "tag": tag, "session": me, "what": what, "at": time.monotonic()})
        answer = verb(tag)
        link.emit({"answered": kind, "tag": tag, "at": time.monotonic(), "answer": answer})
        return answer

    for number in range(rounds):
        path = f"src/{chance.randrange(3)}.py"
        if chance.random() < 0.25:
            key = f"{me}.{number}"
            call("store", key, lambda tag, key=key: desk.store_data("lives", key, tag))
            continue
        answer = call("lock", path, lambda tag, path=path: desk.lock_files([path], reason=tag))
        if not answer["granted"]:
            continue
        mark = f"{witness}/{path.replace('/', '-')}"
        if answer["state"] == "confirmed":
            with open(mark, "x", encoding="utf-8") as file:
                file.write(me)
            os.unlink(mark)
        call("unlock", path, lambda _tag, path=path: desk.unlock_files([path]))


# -- death at named points

_POINTS: tuple[tuple[Any, str], ...] = (
    (gitcoord.remote.transport.Transport, "push"),
    (gitcoord.remote.transport.Transport, "fetch"),
    (gitcoord.remote.transport.Transport, "look"),
    (gitcoord.runtime.shared, "write_flight"),
    (gitcoord.runtime.shared, "write_contact"),
    (gitcoord.sharing.ours.Ours, "written"),
    (gitcoord.sharing.sharer.Sharer, "_drop_pending"),
    (gitcoord.coordinator.Coordinator, "move"),
)


class Points:
    """Stands before every named point of a push and a merge, and behind the last; kills this process at the n-th.

    Attributes:
        passed: how often a point was passed.
    """

    def __init__(self, at: int, tell: Callable[[str], None]) -> None:
        self.passed = 0
        self._at = at
        self._tell = tell

    def install(self) -> None:
        """Stand there from now on."""
        for owner, name in _POINTS:
            setattr(owner, name, self._wrapped(name, getattr(owner, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            self._pass(f"before {name}")
            result = real(*args, **more)
            if name == "move":
                self._pass(f"after {name}")
            return result

        return call

    def _pass(self, what: str) -> None:
        self.passed += 1
        if self.passed == self._at:
            self._tell(what)
            os.kill(os.getpid(), signal.SIGKILL)


def die_in_a_lock(link: Link, worlds: list[list[str]]) -> None:
    """Fork server: a process that wants a lock, loses its first race, and dies at the n-th point; for each n.

    Each server has two clones: its own, and another that is quicker. Told of each trial: where it died, and what the
    next comer of the clone and one of the other were answered for the same path.
    """
    mine, other = worlds[link.index]
    steady, far = open_desk(mine, session="steady"), open_desk(other, session="far")
    for desk in (steady, far, open_desk(mine, session="mortal")):
        assert desk.sign_on()["session"]

    def trial(at: int) -> bool:
        path = f"deaths/{at}"
        granted(far.lock_files([f"race/{at}"]))

        def run(say: Callable[[Any], None]) -> None:
            Points(at, say).install()
            answer = open_desk(mine, session="mortal").lock_files([path], reason=path)
            say(granted(answer))

        ended_by, said = Child(run).end()
        answers = [desk.lock_files([path], reason=f"after {path}") for desk in (steady, far)]
        link.emit([path, said[0], *answers])
        return ended_by == 0

    _each(trial, link.index + 1)


def die_in_a_merge(link: Link, worlds: list[list[str]]) -> None:
    """Fork server: a process that brings provisional locks to the remote, and dies at the n-th point; for each n.

    One of the two locks of each trial is lost, for another clone has it by then. Told of each trial: where it died,
    what the next comer of the clone says of both, and what the other clone is answered for the one that holds.
    """
    mine, other = worlds[link.index]
    steady, far = open_desk(mine, session="steady"), open_desk(other, session="far")
    for desk in (steady, far):
        assert desk.sign_on()["session"]

    def trial(at: int) -> bool:
        kept, lost = f"kept/{at}", f"lost/{at}"
        granted(far.lock_files([lost], reason="was first"))
        provisional = [steady.lock_files([path], reason=path, offline=True) for path in (kept, lost)]
        assert [one["state"] for one in provisional] == ["provisional", "provisional"]

        def run(say: Callable[[Any], None]) -> None:
            Points(at, say).install()
            answer = open_desk(mine, session="steady").sync()
            say(answer)

        ended_by, said = Child(run).end()
        notices = list(said[0].get("notices", [])) if ended_by == 0 else []
        answers: list[Any] = [steady.sync(), steady.check([kept]), steady.check([lost]), far.lock_files([kept])]
        notices += [notice for answer in answers[:3] for notice in answer.get("notices", [])]
        link.emit([kept, lost, said[0], notices, *answers[1:]])
        assert steady.unlock_files([kept, lost])["ok"]
        return ended_by == 0

    _each(trial, link.index + 1)


def _each(trial: Callable[[int], bool], at: int) -> None:
    """Try every second point, for two servers share the work, until one is not reached."""
    while not trial(at):
        at += 2


# -- one call, from a process that may be killed


def ask(link: Link, place: str, session: str, path: str, limits: dict[str, float]) -> None:
    """Worker: lock a path when told to and tell the answer, again and again."""
    for name, value in limits.items():
        setattr(gitcoord.sharing.sharer, name, value)
    desk: Desk = open_desk(place, session=session)
    link.emit(desk.sign_on()["session"])
    asked = 0
    while link.receive() == "lock":
        asked += 1
        link.emit(desk.lock_files([path], reason=f"{session} {link.index}.{asked}"))
