"""Eight processes that write at once: gitcoord, and pygit2 with nothing but compare-and-swap and another try."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pygit2
from pygit2.enums import FileMode, ObjectType

from bench.ground import copy_of, desk, hold, must, project
from bench.history import REF, Source
from bench.measure import Row, Sizes, percentile
from bench.writers import sync_pygit2
from support.procs import start
from support.repo import fsck, git, log_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.procs import Link

GROUP = "together"
PROCESSES = 8
TURNS = 3
SAMPLE = "src/part00/sample.py"
SESSION = "writer"
REASON = "Eight at once."
# What libgit2 says when the lock file of a ref is there already, at two moments.
_LOCKED = ("failed to lock file", "failed to create locked file")


class Heat(NamedTuple):
    """What eight processes did together: writes in a second, and the milliseconds of every single one."""

    a_second: float
    times: list[float]


def rows(place: str, sizes: Sizes) -> Iterator[Row]:
    """Measure how much eight processes write together, and whether one of them starves; syncing on."""
    ours_in = project(os.path.join(place, "ours"))
    hold(ours_in, 10)
    sample = _sample(ours_in)
    theirs_in = copy_of(ours_in, "bare")
    ours: list[Heat] = []
    theirs: list[Heat] = []
    for turn in range(TURNS):
        ours.append(_heat(_lock_with_gitcoord, ours_in, sizes.each, turn, None))
        theirs.append(_heat(_lock_with_bare_swaps, theirs_in, sizes.each, turn, sample))
    for repo in (ours_in, theirs_in):
        assert not fsck(repo), f"{repo} is damaged"
    rate, bare = [statistics.median(heat.a_second for heat in heats) for heats in (ours, theirs)]
    what = "eight processes / bare compare-and-swap by pygit2, synced"
    yield Row(GROUP, what, rate, bare, "a second", 3, at_least=True)
    for name, heats, limit in (("gitcoord", ours, 20), ("bare compare-and-swap", theirs, None)):
        times = [took for heat in heats for took in heat.times]
        slow, median = percentile(times, 0.99), statistics.median(times)
        yield Row(GROUP, f"99th percentile / median of {name}, eight processes", slow, median, "ms", limit)


def _heat(work: Callable[..., None], repo: str, each: int, turn: int, sample: dict[str, str] | None) -> Heat:
    before = log_length(repo)
    with start(work, PROCESSES, repo, each, turn, sample) as crew:
        crew.go()
        for worker in crew:
            assert worker.next() == "ready"
        # Signed on and warm, they start again together; what they did so far is not counted.
        crew.go()
        told = crew.finish(timeout_s=900)
    assert log_length(repo) >= before + PROCESSES * each, "an acknowledged write is not on the log"
    spans = [span for _, span in told]
    seconds = max(span["end"] for span in spans) - min(span["start"] for span in spans)
    return Heat(PROCESSES * each / seconds, [took for span in spans for took in span["times"]])


def _span(each: int, write: Callable[[int], None]) -> dict[str, Any]:
    times: list[float] = []
    begin = before = time.monotonic()
    for number in range(each):
        write(number)
        now = time.monotonic()
        times.append((now - before) * 1000)
        before = now
    return {"start": begin, "end": before, "times": times}


def _path(index: int, turn: int, number: int) -> str:
    return f"src/part{number % 10:02}/by{index}-{turn}-{number}.py"


def _lock_with_gitcoord(link: Link, repo: str, each: int, turn: int, _sample: None) -> None:
    writer = desk(repo, f"writer-{link.index}-{turn}")
    must(writer.sign_on())
    link.emit("ready")
    assert link.receive() == "go"
    link.emit(_span(each, lambda number: _lock(writer, _path(link.index, turn, number))))


def _lock(writer: Any, path: str) -> None:
    must(writer.lock_files([path], reason=REASON))


def _sample(repo: str) -> dict[str, str]:
    """Let gitcoord lock one file and return what that wrote, for others to write the like."""
    writer = desk(repo, SESSION)
    must(writer.sign_on())
    before = Source(repo).tip()
    must(writer.lock_files([SAMPLE], reason=REASON))
    (step,) = Source(repo).since(before)
    names = ("coord.json", f"sessions/{SESSION}.json", f"locks/{SAMPLE}/@{SESSION}.json")
    found = {name: git(repo, "cat-file", "blob", f"{step.commit}:{name}") + "\n" for name in names}
    grant = found[names[2]].partition('"grant": "')[2].partition('"')[0]
    return {"coord": found[names[0]], "session": found[names[1]], "lock": found[names[2]], "id": grant} | {
        "message": step.message
    }


class BareSwaps:
    """Writes locks as gitcoord does, record by record and tree by tree, and moves the ref if it has not moved.

    Args:
        repo: the repository.
        sample: what gitcoord wrote for one lock.
        session: which session's records to write.
    """

    def __init__(self, repo: str, sample: dict[str, str], session: str) -> None:
        sync_pygit2(durable=True)
        self._repo = pygit2.Repository(repo)
        self._sample = sample
        self._session = session
        self._who = pygit2.Signature(session, "bench@example.invalid")

    def lock(self, path: str) -> None:
        """Put a lock on the log, trying again until the ref did not move in between."""
        made = os.urandom(13).hex()
        records = {name: self._like(name, path, made) for name in ("coord", "session", "lock")}
        while True:
            ref = self._repo.references[REF]
            tip = self._repo[ref.target]
            assert isinstance(tip, pygit2.Commit)
            root = self._tree(tip.tree, path, records)
            message = self._like("message", path, made)
            commit = self._repo.create_commit(None, self._who, self._who, message, root, [tip.id])
            if self._swap(tip.id, commit, f"coord: lock: {path}"):
                return

    def _swap(self, old: pygit2.Oid, new: pygit2.Oid, told: str) -> bool:
        """Move the ref; False if it has gone elsewhere. While another holds its lock file, only this is repeated."""
        while True:
            ref = self._repo.references[REF]
            if ref.target != old:
                return False
            try:
                ref.set_target(new, told)
            except pygit2.GitError:
                return False
            except OSError as error:
                if not any(said in str(error) for said in _LOCKED):
                    raise
            else:
                return True

    def _like(self, name: str, path: str, made: str) -> str:
        text = self._sample[name].replace(self._sample["id"], made).replace(SAMPLE, path)
        return text.replace(f'"{SESSION}"', f'"{self._session}"')

    def _tree(self, root: pygit2.Tree, path: str, records: dict[str, str]) -> pygit2.Oid:
        lock = self._repo.write(ObjectType.BLOB, records["lock"].encode())
        session = self._repo.write(ObjectType.BLOB, records["session"].encode())
        coord = self._repo.write(ObjectType.BLOB, records["coord"].encode())
        parts = ["locks", *path.split("/")]
        trees: list[pygit2.Tree | None] = [root]
        for part in parts:
            above = trees[-1]
            below = above[part] if above is not None and part in above else None
            trees.append(below if isinstance(below, pygit2.Tree) else None)
        oid = self._with(trees[-1], f"@{self._session}.json", lock, FileMode.BLOB)
        for part, tree in zip(parts[:0:-1], trees[-2:0:-1], strict=True):
            oid = self._with(tree, part, oid, FileMode.TREE)
        sessions = root["sessions"]
        assert isinstance(sessions, pygit2.Tree)
        builder = self._repo.TreeBuilder(root)
        builder.insert("locks", oid, FileMode.TREE)
        builder.insert("sessions", self._with(sessions, f"{self._session}.json", session, FileMode.BLOB), FileMode.TREE)
        builder.insert("coord.json", coord, FileMode.BLOB)
        return builder.write()

    def _with(self, tree: pygit2.Tree | None, name: str, oid: pygit2.Oid, mode: FileMode) -> pygit2.Oid:
        builder = self._repo.TreeBuilder() if tree is None else self._repo.TreeBuilder(tree)
        builder.insert(name, oid, mode)
        return builder.write()


def _lock_with_bare_swaps(link: Link, repo: str, each: int, turn: int, sample: dict[str, str]) -> None:
    writer = BareSwaps(repo, sample, f"writer-{link.index}-{turn}")
    writer.lock(_path(link.index, turn, each))
    link.emit("ready")
    assert link.receive() == "go"
    link.emit(_span(each, lambda number: writer.lock(_path(link.index, turn, number))))
