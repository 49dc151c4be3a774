"""git's own cleaning beside the writers: what is ours stays; what lies unprotected in git's own store does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gitcoord import config
from gitcoord.service import Desk, initialise, open_desk
from gitcoord.store.packing import pack_history
from processes.workers import entries, stores, write_for
from support.procs import start
from support.repo import LOG_REF, fsck, git, make_repo, tree_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from gitcoord.store.entries import Object

CLEANERS = (
    ("prune", "--expire=now"),
    ("pack-refs", "--all"),
    ("repack", "-adq"),
    ("prune", "--expire=now"),
    ("pack-refs", "--all", "--prune"),
    ("-c", "gc.auto=1", "gc", "--prune=now", "--quiet", "--force"),
)


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    return where


@pytest.mark.parametrize("fsync", ["0", "1"])
def test_nothing_is_lost_beside_the_cleaners(repo: str, fsync: str) -> None:
    with start(write_for, 3, repo, 5.0, env={"GITCOORD_FSYNC": fsync}) as crew:
        crew.go()
        rounds = 0
        while not all(worker.lines for worker in crew):
            assert all(worker.process.poll() is None for worker in crew), [worker.errors for worker in crew]
            for cleaner in CLEANERS:
                git(repo, *cleaner)
            rounds += 1
        kept = [key for worker in crew for key in worker.next()]
        for worker in crew:
            worker.send("end")
        crew.finish()
    assert rounds >= 3
    assert len(kept) > 30
    assert fsck(repo) == []
    on_log = stores(entries(repo))
    assert set(on_log) == {("kept", key) for key in kept}
    assert [place for place, values in on_log.items() if len(values) != 1] == [], "something was done twice"
    reader = open_desk(repo)
    assert reader.list_keys("kept")["keys"] == sorted(kept)
    assert all(reader.retrieve_data("kept", key)["value"] == key for key in kept)


class CleanedBetween:
    """A desk whose every write meets `git prune --expire=now` between its last object and the ref's move."""

    def __init__(self, repo: str, cleaner: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        self.cleaned = 0
        self.desk: Desk = open_desk(repo, session="writer")
        objects = self.desk.access.coordinator.objects
        self.publish: Callable[..., list[str]] = objects.publish

        def cleaned_publish(new: Iterable[Object], beside: Sequence[str] = ()) -> list[str]:
            tip = git(repo, "rev-parse", LOG_REF)
            paths = self.publish(new, beside)
            git(repo, *cleaner)
            assert git(repo, "rev-parse", LOG_REF) == tip, "the ref has yet to move"
            self.cleaned += 1
            return paths

        monkeypatch.setattr(objects, "publish", cleaned_publish)


@pytest.fixture(
    params=[("prune", "--expire=now"), ("gc", "--prune=now", "--quiet"), ("repack", "-adq")], ids=lambda c: c[0]
)
def cleaner(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


def write_some(between: CleanedBetween) -> None:
    for number in range(5):
        answer = between.desk.store_data("scope", f"k{number}", {"n": number})
        assert answer["ok"], answer
    assert between.desk.lock_files(["src/app.py"])["granted"]
    assert between.cleaned >= 6


def test_a_cleaner_between_the_objects_and_the_ref_takes_none_of_ours(
    repo: str, cleaner: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_some(CleanedBetween(repo, cleaner, monkeypatch))
    assert fsck(repo) == []
    fresh = open_desk(repo)
    assert [fresh.retrieve_data("scope", f"k{number}")["value"] for number in range(5)] == [{"n": n} for n in range(5)]
    assert len(fresh.get_locked_files()["locks"]) == 1


@pytest.mark.parametrize("how", ["packed", "loose"])
def test_the_same_cleaner_takes_the_same_objects_from_gits_own_store(
    repo: str, cleaner: tuple[str, ...], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (how, cleaner[0]) in {("packed", "prune"), ("loose", "repack")}:
        return  # `prune` alone takes no pack, nor `repack` what is loose
    # A writer that syncs notices when what it wrote is gone; one that does not, as git itself writes, has no idea.
    monkeypatch.setenv("GITCOORD_FSYNC", "0")
    between = CleanedBetween(repo, cleaner, monkeypatch)
    objects = between.desk.access.coordinator.objects
    objects.directory = f"{repo}/.git/objects"
    if how == "loose":

        def publish(new: Iterable[Object], beside: Sequence[str] = ()) -> list[str]:
            del beside
            paths: list[str] = []
            for found in new:
                objects.write(found.kind, found.body, paths)
            return paths

        between.publish = publish
    answer = between.desk.store_data("scope", "k", 1)
    assert answer["ok"], "the writer has no idea"
    assert between.cleaned == 1
    assert any("missing" in line or "invalid" in line or "bad" in line for line in fsck(repo)), "objects are gone"
    assert open_desk(repo).retrieve_data("scope", "k")["error"]["code"] == "object_missing"


def test_gits_plumbing_loses_its_objects_likewise(repo: str) -> None:
    blob = git(repo, "hash-object", "-w", "--stdin", stdin=b"a record\n")
    tree = git(repo, "mktree", stdin=f"100644 blob {blob}\trecord.json\n".encode())
    commit = git(repo, "commit-tree", "-m", "a write", tree)
    git(repo, "prune", "--expire=now")
    gone = [oid for oid in (blob, tree, commit) if not os.path.exists(f"{repo}/.git/objects/{oid[:2]}/{oid[2:]}")]
    assert gone == [blob, tree, commit]


def test_cleaning_keeps_the_logs_objects_where_they_are(repo: str) -> None:
    desk = open_desk(repo, session="writer")
    for number in range(20):
        desk.store_data("scope", f"k{number}", number)
    own = f"{repo}/.git/gitcoord/objects"
    before = sorted(os.path.join(where, name) for where, _, names in os.walk(own) for name in names)
    for cleaner in CLEANERS:
        git(repo, *cleaner)
    after = sorted(os.path.join(where, name) for where, _, names in os.walk(own) for name in names)
    assert before == after
    assert len(tree_paths(repo, under="data")) == 20
    assert fsck(repo) == []


def test_our_own_packing_between_the_objects_and_the_ref_takes_nothing_that_is_wanted(
    repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_desk(repo, session="writer")
    assert desk.lock_files(["src/app.py"])["granted"]
    assert desk.lock_files(["src/db.py"])["granted"]
    for where, _, names in os.walk(f"{repo}/.git/gitcoord/objects"):
        for name in names:
            os.utime(os.path.join(where, name), (1, 1))
    coordinator = desk.access.coordinator
    publish, now = coordinator.objects.publish, coordinator.clock.stamp()
    packed: list[int] = []

    def pack() -> None:
        packed.append(pack_history(coordinator.repository, coordinator.tip(), now.at_ms / 1000, config.environment()))

    def packing_publish(objects: Iterable[Object], beside: Sequence[str] = ()) -> list[str]:
        pack()
        paths = publish(objects, beside)
        pack()
        return paths

    monkeypatch.setattr(coordinator.objects, "publish", packing_publish)
    # What is left of the locks after this is a tree that the log had before, and has not now.
    answer = desk.unlock_files(["src/db.py"])
    assert packed[0] > 0
    assert answer["ok"], answer
    assert [lock["path"] for lock in open_desk(repo).get_locked_files()["locks"]] == ["src/app.py"]
    assert fsck(repo) == []
