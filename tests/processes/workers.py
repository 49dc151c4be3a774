"""Programs that the tests of this directory run as processes, and what reads the log that these leave.

Some run as fork servers: a worker that has its imports done forks a child for each trial, so that hundreds of deaths
take seconds. A child may carry a `Trap`, which ends or stops it at the n-th call to the file system.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

from gitcoord.errors import CoordError
from gitcoord.service import open_desk
from gitcoord.store import merging
from gitcoord.store.entries import make_entry
from gitcoord.store.packs import Packs, level_of
from support.repo import LOG_REF, git, git_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.service import Desk
    from support.procs import Link

# -- reading what is on the log


class Entry(NamedTuple):
    """One operation of the log."""

    commit: str
    revision: int
    operation: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.operation["type"]


def entries(repo: str) -> list[Entry]:
    """Read every operation of the log from the `coord.json` of its commits, the oldest first, with git alone."""
    commits = git(repo, "rev-list", "--reverse", "--first-parent", LOG_REF).split()
    asked = "".join(f"{commit}:coord.json\n" for commit in commits)
    answer = git_bytes(repo, "cat-file", "--batch", stdin=asked.encode())
    found: list[Entry] = []
    for commit in commits:
        head, _, rest = answer.partition(b"\n")
        size = int(head.split()[2])
        header = json.loads(rest[:size])
        answer = rest[size + 1 :]
        found.extend(Entry(commit, header["revision"], operation) for operation in header["operations"])
    return found


def kinds(log: list[Entry]) -> dict[str, int]:
    """Count the operations of each type."""
    found: dict[str, int] = {}
    for entry in log:
        found[entry.kind] = found.get(entry.kind, 0) + 1
    return found


def stores(log: list[Entry]) -> dict[tuple[str, str], list[Any]]:
    """Return the values that were stored under each scope and key, in the log's order."""
    found: dict[tuple[str, str], list[Any]] = {}
    for entry in log:
        if entry.kind == "data.store":
            place = entry.operation["scope"], entry.operation["key"]
            found.setdefault(place, []).append(entry.operation["value"])
    return found


# -- ends and stops at a chosen moment

_CALLS = (
    *("open", "write", "pwrite", "ftruncate", "fsync", "fdatasync", "close"),
    *("replace", "rename", "link", "unlink", "mkdir"),
)


class Trap:
    """Counts this process's calls to the file system and does something at one of them.

    Attributes:
        calls: how many there were.
        phase: `before` the first object is written, `between` that and the ref's move, `after` it, and `merging` packs.
    """

    def __init__(
        self, at: int | str, action: Callable[[str], None], *, torn: bool = False, within: str | None = None
    ) -> None:
        """Prepare.

        Args:
            at: at which call, from 1, or before which file is opened for the first time; 0 is never.
            action: told the phase.
            torn: count the writes alone, and let half of the chosen one happen first.
            within: count the calls of this phase alone.
        """
        self._within = within
        self.calls = 0
        self.phase = "before"
        self._at = at
        self._action = action
        self._torn = torn
        # What is synced at one time is synced by several threads: each call has a number of its own.
        self._counting = threading.Lock()

    def install(self) -> None:
        """Stand between this process and the system from now on."""
        for name in _CALLS:
            if hasattr(os, name):
                setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if (not self._torn or name == "write") and self._within in (None, self.phase):
                with self._counting:
                    self.calls += 1
                    number = self.calls
                if number == self._at or (isinstance(self._at, str) and str(args[0]).endswith(self._at)):
                    self._at = 0
                    if self._torn:
                        half = real(args[0], args[1][: len(args[1]) // 2])
                        self._action(self.phase)
                        return half + real(args[0], args[1][half:])
                    self._action(self.phase)
            result = real(*args, **more)
            if name == "open" and str(args[0]).endswith("/spool") and args[1] & os.O_WRONLY and self.phase == "before":
                self.phase = "between"
            if name == "open" and str(args[0]).endswith("/merge.lock"):
                self.phase = "merging"
            if name in ("replace", "rename", "link"):
                self._note(str(args[1]))
            return result

        return call

    def _note(self, made: str) -> None:
        if made.endswith(LOG_REF):
            self.phase = "after"


class Child:
    """A forked child that runs one function and speaks to its parent by a pipe."""

    def __init__(self, run: Callable[[Callable[[Any], None]], None]) -> None:
        """Fork. The function gets what sends one JSON value to the parent, whole or not at all."""
        self._out, inlet = os.pipe()
        # A trap that counts calls must not count those that speak to the test.
        write = os.write
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                run(lambda value: (write(inlet, json.dumps(value).encode() + b"\n"), None)[1])
                code = 0
            except BaseException:  # noqa: BLE001 - the parent sees the exit code, the test the text
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(inlet)

    def stopped(self, within_s: float) -> bool:
        """Wait until the child stops itself or ends, but not for long; say whether it stands still."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG)
            if pid:
                self._status = None if os.WIFSTOPPED(status) else status
                return self._status is None
            time.sleep(0.001)
        return False

    def see_through(self) -> None:
        """Wait for its end, and let it go on whenever it stops on the way."""
        while self._status is None:
            os.kill(self.pid, signal.SIGCONT)
            _, status = os.waitpid(self.pid, os.WUNTRACED)
            self._status = None if os.WIFSTOPPED(status) else status

    _status: int | None = None

    def kill(self) -> list[Any]:
        """End it as `kill -9` does and return what it had said by then."""
        os.kill(self.pid, signal.SIGKILL)
        return self.end()[1]

    def end(self) -> tuple[int, list[Any]]:
        """Wait for its end; return the signal that ended it (0: none) and what it said."""
        with os.fdopen(self._out, "rb") as pipe:
            said = pipe.read()
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        if os.WIFEXITED(self._status) and os.WEXITSTATUS(self._status) != 0:
            raise AssertionError(f"a child exited with {os.WEXITSTATUS(self._status)}")
        ended_by = os.WTERMSIG(self._status) if os.WIFSIGNALED(self._status) else 0
        return ended_by, [json.loads(line) for line in said.splitlines()]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _ok(answer: dict[str, Any], verdict: str = "ok") -> dict[str, Any]:
    assert answer.get(verdict), answer
    assert "error" not in answer, answer
    return answer


# -- contention


def mixed_operations(link: Link, repo: str, count: int) -> None:
    """Worker: sign on, do `count` operations of all kinds on its own paths and keys, sign off; tell each answer."""
    desk = open_desk(repo, hint=f"writer{link.index}", process=True)
    started = _ok({"ok": True, **desk.sign_on()})
    me = started["session"]
    link.emit(["sign-on", me, started["revision"]])
    link.receive()
    chance = random.Random(link.index)
    held: list[str] = []
    told: list[Any] = []
    for number in range(count):
        if held and (chance.random() < 0.4 or len(held) > 5):
            path = held.pop(chance.randrange(len(held)))
            told.append(["unlock", path, _ok(desk.unlock_files([path]))["revision"]])
        elif chance.random() < 0.5:
            path = f"work/{me}/{number}.py"
            told.append(["lock", path, _ok(desk.lock_files([path]), "granted")["token"]])
            held.append(path)
        else:
            value = [me, number]
            told.append(["store", value, _ok(desk.store_data("shared", f"{me}.{number}", value))["revision"]])
    link.emit(["told", told])
    link.emit(["sign-off", sorted(held), _ok(desk.sign_off())["revision"]])


def fight(link: Link, repo: str, rounds: int, wait_s: float | None, witness: str) -> None:
    """Worker: want one path again and again; while it is held, keep a witness file that nobody else may make."""
    desk = open_desk(repo, hint=f"fighter{link.index}", process=True)
    me = desk.sign_on()["session"]
    link.emit(me)
    link.receive()
    tokens: list[int] = []
    refused = 0
    for number in range(rounds):
        answer = desk.lock_files(["src/app.py"], reason=f"round {number}", wait_s=wait_s)
        if not answer["granted"]:
            assert wait_s is None, answer
            assert answer["error"]["code"] == "lock_held", answer
            refused += 1
            continue
        fd = os.open(witness, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        tokens.append(answer["token"])
        os.close(fd)
        os.unlink(witness)
        _ok(desk.unlock_files(["src/app.py"]))
    link.emit([me, tokens, refused])
    desk.close()


def join_in(link: Link, repo: str) -> None:
    """Worker: make the log, sign on, store one value."""
    from gitcoord.service import initialise

    made = initialise(repo)
    desk = open_desk(repo, hint="Same Name", process=True)
    session = desk.sign_on()["session"]
    _ok(desk.store_data("who", session, link.index))
    link.emit([made["created"], session])
    link.receive()


def freeze_pairs(link: Link, repo: str, pairs: list[tuple[int | str, int, bool]]) -> None:
    """Fork server: two writers at once, one stopped at its m-th call to the file system, the other at its n-th.

    With the third of a pair the other stops half-way through its n-th write. The first goes on while the second stands
    still, then both go on. Told of each pair: whether each did stop, and what each was answered.
    """
    desk = open_desk(repo, session="frozen")
    desk.sign_on()

    def store(key: str, at: int | str, *, torn: bool = False) -> Child:
        def run(say: Callable[[Any], None]) -> None:
            mine = open_desk(repo, session="frozen")
            Trap(at, lambda _: os.kill(os.getpid(), signal.SIGSTOP), torn=torn).install()
            say([key, _ok(mine.store_data("frozen", key, at))["revision"]])

        return Child(run)

    for number, (m, n, torn) in enumerate(pairs):
        one = store(f"{number}.one", m)
        stopped_one = one.stopped(5)
        two = store(f"{number}.two", n, torn=torn)
        # Where the first stands still with a lock in its hands, the second comes no further than that.
        stopped_two = two.stopped(0.08)
        if stopped_one:
            os.kill(one.pid, signal.SIGCONT)
            one.stopped(0.03)  # it ends meanwhile, or waits for a lock of the second
        two.see_through()
        one.see_through()
        link.emit([[m, n, torn], [stopped_one, stopped_two], one.end()[1] + two.end()[1]])


# -- deaths


def die_at_every_call(link: Link, repo: str, kind: str, torn: bool) -> None:
    """Fork server: a child for each call to the file system that a write makes, killed there; then the next comer.

    Told of each trial: the key, the phase of death, whether it was answered, and how long the next comer took.
    """
    steady = open_desk(repo, session="steady")
    steady.sign_on()
    packs = Packs(f"{repo}/.git/gitcoord/objects/pack", 20)
    # A few packs take the same way as many.
    merging.FAN = 3 if kind == "merge" else merging.FAN
    objects = steady.access.coordinator.objects
    tidy, objects.tidy = objects.tidy, lambda: 0  # that is for the mortal to do, or afterwards
    if kind != "lock":
        open_desk(repo, session="mortal").sign_on()

    def act(desk: Desk, key: str) -> dict[str, Any]:
        if kind != "lock":
            return _ok(desk.store_data("deaths", key, key))
        return _ok(desk.lock_files([key], reason=key), "granted")

    at, parts = 0, ["merging"] if kind == "merge" else ["before", "between", "after"]
    while parts:
        at, within = at + 1, parts[0]
        key = f"{kind}-{link.index}-{'torn' if torn else 'cut'}-{within}-{at}"
        if kind == "merge":
            _leave_packs_to_merge(steady, packs, key)

        def run(say: Callable[[Any], None], at: int = at, key: str = key, within: str = within) -> None:
            mine = open_desk(repo, session="mortal") if kind != "lock" else open_desk(repo, hint="m", process=True)
            Trap(at, lambda phase: (say(phase), _die())[1], torn=torn, within=within).install()
            act(mine, key)
            say("answered")

        ended_by, said = Child(run).end()
        began = time.monotonic()
        after = steady.lock_files([key], reason="next") if kind == "lock" else steady.store_data("next", key, at)
        took_s = time.monotonic() - began
        if kind == "lock":
            _ok(steady.unlock_files([key]))
        if kind == "merge":
            _read_all(repo, key)
        tidy()
        if ended_by == 0:
            at, parts = 0, parts[1:]
        link.emit([key, said[0], after, took_s, os.path.exists(f"{repo}/.git/{LOG_REF}.lock")])


def _leave_packs_to_merge(steady: Desk, packs: Packs, key: str) -> None:
    """See to it that one pack more makes a merge due, and that merge another one a level above."""
    number = 0
    while sum(level_of(name) == 0 for name in packs.names()) < merging.FAN - 1:
        number += 1
        _ok(steady.store_data("more", f"{key}-{number}", number))
    objects = steady.access.coordinator.objects
    while sum(level_of(name) == 1 for name in packs.names()) < merging.FAN - 1:
        number += 1
        body = f"{key} {number}".encode()
        objects.put({objects.hash_object(b"blob", body): make_entry(b"blob", body)}, level=1, sync=False)


def _read_all(repo: str, newest: str) -> None:
    """Read all that the log has with git, and with a reader of ours that has looked at nothing yet.

    Raises:
        AssertionError: something is missing.
    """
    git(repo, "rev-list", "--objects", "--quiet", LOG_REF)
    reader = open_desk(repo)
    keys = reader.list_keys("deaths")["keys"]
    assert newest in keys
    assert all(reader.retrieve_data("deaths", key)["value"] == key for key in keys)


def die_at_every_call_of_init(link: Link, template: str, where: str) -> None:
    """Fork server: a child for each call to the file system that an `init` makes, killed there; then `init` again.

    Told of each trial: what the second `init` answered, and the repository.
    """
    from gitcoord.service import initialise

    at, done = 0, False
    while not done:
        at += 1
        repo = os.path.join(where, str(at))
        shutil.copytree(template, repo)

        def run(_say: Callable[[Any], None], at: int = at, repo: str = repo) -> None:
            Trap(at, lambda _: _die()).install()
            initialise(repo)

        done = Child(run).end()[0] == 0
        again: dict[str, Any]
        try:
            again = initialise(repo)
        except CoordError as error:
            again = {"error": error.to_dict()}
        link.emit([again, repo])


def die_at_random(link: Link, repo: str, count: int, seed: int) -> None:
    """Fork server: two writers that are killed from outside at random moments, and replaced, `count` times."""
    chance = random.Random(seed)
    open_desk(repo, session="random").sign_on()

    def write(number: int) -> Child:
        def run(say: Callable[[Any], None]) -> None:
            mine = open_desk(repo, session="random")
            for turn in range(200):
                key = f"{number}.{turn}"
                _ok(mine.store_data("random", key, key))
                say(key)

        return Child(run)

    running = [write(-1), write(-2)]
    for number in range(count):
        time.sleep(chance.uniform(0.002, 0.03))
        victim = running.pop(chance.randrange(2))
        link.emit(victim.kill())
        running.append(write(number))
    for child in running:
        link.emit(child.kill())


# -- beside git's own cleaning


def write_for(link: Link, repo: str, seconds: float) -> None:
    """Worker: store, lock and unlock for some seconds; tell what was acknowledged."""
    desk = open_desk(repo, hint=f"scribe{link.index}", process=True)
    me = desk.sign_on()["session"]
    end = time.monotonic() + seconds
    kept: list[str] = []
    number = 0
    while time.monotonic() < end:
        number += 1
        key = f"{me}.{number}"
        _ok(desk.store_data("kept", key, key))
        kept.append(key)
        if number % 3 == 0:
            _ok(desk.lock_files([f"work/{key}"]), "granted")
        if number % 6 == 0:
            _ok(desk.unlock_files(all=True))
    link.emit(kept)
    link.receive()


# -- holders and waiters


def hold(link: Link, repo: str, hint: str, paths: list[str], fork: bool = False) -> None:
    """Worker: sign on, lock, and stay; `fork`: leave a child behind that outlives us."""
    desk = open_desk(repo, hint=hint, process=True)
    answer = _ok(desk.lock_files(paths, reason=f"{hint} works"), "granted")
    child = 0
    if fork:
        child = os.fork()
        if child == 0:
            signal.pause()
    link.emit({"session": answer["session"], "token": answer["token"], "child": child})
    while link.receive() != "end":
        link.emit(desk.unlock_files(paths))
    desk.close()


def want(link: Link, repo: str, hint: str, mine: list[str], wait_s: float) -> None:
    """Worker: take the first list, then, told what to wait for, wait for it; tell the answer and when it came."""
    desk = open_desk(repo, hint=hint, process=True)
    me = desk.sign_on()["session"]
    if mine:
        _ok(desk.lock_files(mine), "granted")
    link.emit(me)
    while True:
        order = link.receive()
        if order == "end":
            break
        if order == "unlock":
            link.emit(desk.unlock_files(all=True))
            continue
        began = time.monotonic()
        answer = desk.lock_files(order, wait_s=wait_s)
        link.emit({"answer": answer, "waited_s": time.monotonic() - began})
    desk.close()


def die_at_every_call_of_packing(link: Link, template: str, where: str) -> None:
    """Fork server: a child for each call to the file system that packing the history makes, killed there.

    Told of each trial: the repository. The child of the last one was not killed.
    """
    from gitcoord import config
    from gitcoord.store.packing import pack_history

    at, done = 0, False
    while not done:
        at += 1
        repo = os.path.join(where, str(at))
        shutil.copytree(template, repo, symlinks=True)  # with the files' times

        def run(_say: Callable[[Any], None], at: int = at, repo: str = repo) -> None:
            log, now = open_desk(repo).access.log, open_desk(repo).access.now()
            tip, git_environment = log.tip(), config.environment()
            Trap(at, lambda _: _die()).install()
            pack_history(log.repository, tip, now.at_ms / 1000, git_environment)

        done = Child(run).end()[0] == 0
        link.emit(repo)
