"""What sharing costs: a confirmed lock against one plain push, many clones against one, and taking in what came."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, Any

from bench.ground import desk, hold, must
from bench.measure import Row, Sizes, in_turns, timed, warm_up
from gitcoord.service import initialise
from support.procs import start
from support.repo import fsck, git, make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.procs import Link

GROUP = "sharing"
CALLERS = 8
FETCHED = 1000
TURNS = 3
_PUSHES_IN = 4


def rows(place: str, sizes: Sizes) -> Iterator[Row]:
    """Measure against a bare remote on the same disk, the quickest there is: on any other gitcoord's share is less."""
    pushes = max(5, sizes.writes // _PUSHES_IN)
    yield from _one_lock(os.path.join(place, "one"), pushes)
    yield from _together(os.path.join(place, "together"), max(3, sizes.each // 5))
    yield from _taking_in(os.path.join(place, "taking"), min(FETCHED, sizes.many))


def _remote(place: str) -> str:
    os.makedirs(place)
    remote = os.path.join(place, "remote.git")
    git(place, "init", "-q", "--bare", remote)
    return remote


def _clone(place: str, name: str, remote: str) -> str:
    """Make a clone that shares with the remote; the first one publishes the log."""
    repo = make_repo(os.path.join(place, name))
    git(repo, "remote", "add", "origin", remote)
    must(initialise(repo, remote="origin"))
    return repo


def _one_lock(place: str, rounds: int) -> Iterator[Row]:
    remote = _remote(place)
    repo = _clone(place, "clone", remote)
    hold(repo, 10)
    must(desk(repo, "holder-0").sync())
    writer = desk(repo, "writer")
    must(writer.sign_on())
    plain, commits = _made_alike(os.path.join(place, "plain"), warm_up(rounds) + rounds)

    def lock(number: int) -> float:
        return timed(lambda: must(writer.lock_files([f"src/part00/one{number}.py"], reason="Measure.")))

    def push(number: int) -> float:
        command = ["git", "-C", plain, "push", "-q", remote, f"{commits[number]}:refs/heads/plain"]
        return timed(lambda: subprocess.run(command, check=True, stdin=subprocess.DEVNULL))

    ours, theirs = in_turns(rounds, [lock, push])
    yield Row(GROUP, "one confirmed lock / one git push of a commit", ours, theirs, "ms", 1.3)


def _made_alike(place: str, count: int) -> tuple[str, list[str]]:
    """Make a repository whose log shares with nobody, and so many commits of one lock each, to be pushed one by one."""
    repo = make_repo(place)
    must(initialise(repo, local=True))
    hold(repo, 10)
    writer = desk(repo, "writer", durable=False)
    for number in range(count):
        must(writer.lock_files([f"src/part00/one{number}.py"], reason="Measure."))
    return repo, git(repo, "rev-list", "--reverse", f"--max-count={count}", "refs/gitcoord/main").split()


def _together(place: str, each: int) -> Iterator[Row]:
    many: list[float] = []
    one: list[float] = []
    for turn in range(TURNS):
        where = os.path.join(place, f"turn{turn}")
        os.makedirs(where)
        many.append(_rate(os.path.join(where, "many"), CALLERS, each))
        one.append(_rate(os.path.join(where, "one"), 1, each))
    ours, theirs = statistics.median(many), statistics.median(one)
    what = "eight clones / one clone with eight callers, confirmed locks"
    yield Row(GROUP, what, ours, theirs, "a second", 0.25, at_least=True)


def _rate(place: str, clones: int, each: int) -> float:
    """Return how many locks eight callers in so many clones got confirmed in a second; none may be given up."""
    remote = _remote(place)
    repos = [_clone(place, f"clone{number}", remote) for number in range(clones)]
    with start(_lock_confirmed, CALLERS, repos, each) as crew:
        crew.go()
        for worker in crew:
            assert worker.next() == "ready"
        crew.go()
        told = crew.finish(timeout_s=900)
    spans: list[dict[str, Any]] = [span for _, span in told]
    held = desk(repos[0], "looker")
    must(held.sync())
    assert len(held.get_locked_files()["locks"]) == CALLERS * each, "a confirmed lock is not on the log"
    assert not fsck(remote)
    return CALLERS * each / (max(span["end"] for span in spans) - min(span["start"] for span in spans))


def _lock_confirmed(link: Link, repos: list[str], each: int) -> None:
    writer = desk(repos[link.index % len(repos)], f"writer-{link.index}")
    must(writer.sign_on())
    link.emit("ready")
    assert link.receive() == "go"
    begin = time.monotonic()
    for number in range(each):
        answer = writer.lock_files([f"src/part{link.index}/f{number}.py"])
        must(answer)
        assert answer["state"] == "confirmed"
    link.emit({"start": begin, "end": time.monotonic()})


def _taking_in(place: str, count: int) -> Iterator[Row]:
    """Measure what is left of meeting the remote when the time that git needs to fetch the same is taken off."""
    remote = _remote(place)
    busy = _clone(place, "busy", remote)
    writer = desk(busy, "writer", durable=False)
    must(writer.sign_on())
    lookers = [desk(_clone(place, f"idle{turn}", remote), f"looker{turn}") for turn in range(TURNS)]
    plains = [make_repo(os.path.join(place, f"plain{turn}")) for turn in range(TURNS)]
    for looker, plain in zip(lookers, plains, strict=True):
        must(looker.sync())
        git(plain, "fetch", "-q", remote, "refs/gitcoord/main:refs/heads/log")
    writer.access.publishes_later = True
    for number in range(count):
        must(writer.store_data("scope", f"key{number}", number))
    must(writer.sync())
    left: list[float] = []
    for looker, plain in zip(lookers, plains, strict=True):
        command = ["git", "-C", plain, "fetch", "-q", remote, "refs/gitcoord/main:refs/heads/log"]
        fetched = timed(lambda command=command: subprocess.run(command, check=True, stdin=subprocess.DEVNULL))
        took = timed(lambda looker=looker: must(looker.sync()))
        assert len(looker.list_keys("scope")["keys"]) == count
        left.append(took - fetched)
    seconds = max(statistics.median(left), 1.0) / 1000
    yield Row(
        GROUP, f"{count:,} operations taken in, beside the fetch itself", count / seconds, None, "a second", 5000, True
    )
