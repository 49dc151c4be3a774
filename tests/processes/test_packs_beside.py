"""Readers of every kind while others write and merge packs: ours, cold and warm, and the real git with its cleaning."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from gitcoord.service import initialise, open_desk
from gitcoord.store import merging
from gitcoord.store.packs import Packs, level_of
from processes.workers import entries, stores
from support.procs import start
from support.repo import LOG_REF, fsck, git, git_bytes, make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from support.procs import Crew, Link

WRITERS = 2
EACH = 90
FIFTY = 50


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    return where


def write_and_merge(link: Link, repo: str, count: int, fan: int, grace_ms: int) -> None:
    """Worker: store values, and merge as soon as so many packs of a level are there; the old ones stay for so long."""
    merging.FAN, merging.GRACE_MS = fan, grace_ms
    desk = open_desk(repo, session=f"writer-{link.index}")
    objects = desk.access.coordinator.objects
    merged = 0
    for number in range(count):
        key = f"{link.index}.{number}"
        answer = desk.store_data("kept", key, key)
        assert answer["ok"], answer
        link.emit(key)
        merged += objects.tidy()
    link.emit(merged)


def read_cold(link: Link, repo: str) -> None:
    """Worker: look with a reader that knows nothing yet, again and again; what was seen once stays."""
    seen: set[str] = set()
    for rounds in range(1, 10_000):
        desk = open_desk(repo)
        keys = desk.list_keys("kept")["keys"]
        assert seen <= set(keys), seen - set(keys)
        seen = set(keys)
        for key in keys[:: max(1, len(keys) // 8)]:
            assert desk.retrieve_data("kept", key)["value"] == key
        link.emit([rounds, len(keys)])
        if len(keys) == WRITERS * EACH:
            return


def read_warm(link: Link, repo: str) -> None:
    """Worker: look with one reader, all of it each time."""
    desk = open_desk(repo)
    for rounds in range(1, 10_000):
        keys = desk.list_keys("kept")["keys"]
        assert all(desk.retrieve_data("kept", key)["value"] == key for key in keys)
        # What it read long ago it reads again: from packs that were merged meanwhile.
        desk.access.log.objects.fresh = type(desk.access.log.objects.fresh)()
        link.emit([rounds, len(keys)])
        if len(keys) == WRITERS * EACH:
            return


def check_whole(repo: str) -> None:
    assert fsck(repo) == []
    wanted = {("kept", f"{writer}.{number}") for writer in range(WRITERS) for number in range(EACH)}
    on_log = stores(entries(repo))
    assert set(on_log) == wanted
    assert all(len(values) == 1 for values in on_log.values())


def test_readers_of_ours_find_everything_while_packs_are_written_and_merged(repo: str) -> None:
    with (
        start(read_cold, 2, repo) as cold,
        start(read_warm, 2, repo) as warm,
        start(write_and_merge, WRITERS, repo, EACH, 3, -1) as crew,
    ):
        for workers in (cold, warm, crew):
            workers.go()
        merged = sum(told[-1] for told in crew.finish())
        read = [*cold.finish(), *warm.finish()]
    assert merged > 60
    assert all(len({count for _, count in told}) > 3 for told in read), "they did look in between"
    check_whole(repo)


def check_as_it_stands(repo: str, crew: Crew) -> None:
    """Stop everybody wherever they are, in the middle of a merge too, and let git check what lies there.

    Beside running writers it cannot: it reads the reflog after the objects, and takes what came since for missing.
    """
    for worker in crew:
        worker.freeze()
    assert fsck(repo) == []
    for worker in crew:
        worker.thaw()


def test_git_finds_everything_while_packs_are_written_and_merged(repo: str) -> None:
    commands = (
        ("log", "-p", "--no-color", LOG_REF),
        ("repack", "-adq"),
        ("prune", "--expire=now"),
        ("gc", "--prune=now", "--quiet"),
        ("rev-list", "--objects", "--quiet", LOG_REF),
    )
    asked = 0
    with (
        start(write_and_merge, WRITERS, repo, EACH, 4, merging.GRACE_MS) as crew,
        subprocess.Popen(
            ["git", "-C", repo, "cat-file", "--batch-check"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as batch,
    ):
        assert batch.stdin is not None
        assert batch.stdout is not None
        crew.go()
        for worker in crew:
            assert [worker.next() for _ in range(3)]
        rounds = 0
        while any(worker.process.poll() is None for worker in crew):
            git_bytes(repo, *commands[rounds % len(commands)])
            rounds += 1
            if rounds % len(commands) == 0:
                check_as_it_stands(repo, crew)
            # One that runs for long has read the lists of packs that are gone since.
            for name in (LOG_REF, f"{LOG_REF}~{rounds % 3}:coord.json", f"{LOG_REF}^{{tree}}"):
                batch.stdin.write(f"{name}\n")
                batch.stdin.flush()
                line = batch.stdout.readline()
                assert line.split()[1] in {"commit", "tree", "blob"}, f"{name}: {line}"
                asked += 1
        merged = sum(told[-1] for told in crew.finish())
        batch.stdin.close()
    assert merged > 60
    assert rounds > len(commands)
    assert asked > 2 * len(commands)
    check_whole(repo)


def write_once(link: Link, repo: str) -> None:
    """Worker: sign on and store one value, as fifty commands would that are given at once."""
    began = time.monotonic()
    answer = open_desk(repo, session=f"one-{link.index}").store_data("fifty", str(link.index), link.index)
    assert answer["ok"], answer
    link.emit([answer["revision"], began, time.monotonic()])


def test_fifty_processes_write_one_value_each_at_once(repo: str) -> None:
    with start(write_once, FIFTY, repo, timeout_s=240) as crew:
        crew.go()
        told = crew.finish(timeout_s=240)
    assert len({lines[0][0] for lines in told}) == FIFTY
    assert max(lines[0][1] for lines in told) - min(lines[0][2] for lines in told) < 60
    assert stores(entries(repo)) == {("fifty", str(number)): [number] for number in range(FIFTY)}
    packs = Packs(f"{repo}/.git/gitcoord/objects/pack", 20).names()
    assert sum(level_of(name) == 0 for name in packs) < 4 * merging.FAN
    assert fsck(repo) == []


def test_what_a_retired_pack_held_is_read_by_who_had_found_it(repo: str) -> None:
    desk = open_desk(repo, session="writer")
    for number in range(merging.FAN + 2):
        assert desk.store_data("kept", str(number), number)["ok"]
    reader = open_desk(repo).access.log.objects
    oids = [bytes.fromhex(line.split()[0]) for line in git(repo, "rev-list", "--objects", LOG_REF).splitlines()]
    for oid in oids:
        reader.read(oid)
    for number in range(3 * merging.FAN):
        assert desk.store_data("kept", str(number), number + 1)["ok"]
    assert desk.access.coordinator.objects.tidy() >= 0
    listed = {name.rpartition(".")[0] for name in os.listdir(reader.pack_directory) if name.endswith(".idx")}
    left = {name.rpartition(".")[0] for name in os.listdir(reader.pack_directory) if name.endswith(".pack")}
    assert left - listed, "some have lost their lists, and can still be read"
    began = time.monotonic()
    assert all(reader.read(oid, verify=True) for oid in oids)
    assert time.monotonic() - began < 30
    assert reader.healed == []
