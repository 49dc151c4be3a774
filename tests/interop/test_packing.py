"""Packing the log's history: git and gitcoord read all of it afterwards, and nothing unpublished goes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitcoord import config
from gitcoord.service import doctor, initialise, open_desk
from gitcoord.service.history import walk
from gitcoord.store import packing
from gitcoord.store.packing import loose_count, pack_history

OLD_S = 7200


def git(where: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(where), *words], check=True, capture_output=True, text=True).stdout


def aged(root: Path) -> None:
    """Let all of the log's object files be two hours old."""
    for path in (root / ".git/gitcoord/objects").rglob("*"):
        if path.is_file():
            when = path.stat().st_mtime - OLD_S
            os.utime(path, (when, when))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    initialise(str(tmp_path))
    desk = open_desk(str(tmp_path), session="ada@host")
    for number in range(12):
        desk.store_data("s", f"k{number}", {"n": number})
        desk.lock_files([f"src/{number}.py"])
    return tmp_path


def test_packed_history_is_read_by_git_and_by_gitcoord(root: Path) -> None:
    desk = open_desk(str(root), session="ada@host")
    before = [entry["commit"] for entry in desk.get_history(limit=100)["entries"]]
    told = git(root, "log", "--format=%H %T %s", "refs/coord")
    aged(root)
    repository = desk.access.repository
    loose = loose_count(repository)
    went = pack_history(repository, desk.access.log.tip(), desk.access.now().at_ms / 1000, config.environment())
    assert went > loose / 2
    assert loose_count(repository) == loose - went
    assert git(root, "log", "--format=%H %T %s", "refs/coord") == told
    assert "missing" not in git(root, "fsck", "--strict", "--no-dangling")
    fresh = open_desk(str(root), session="ada@host")
    assert [entry["commit"] for entry in fresh.get_history(limit=100)["entries"]] == before
    assert loose_count(repository) == loose - went, "reading must not unpack"
    assert fresh.lock_files(["src/new.py"])["granted"]


def test_the_newest_state_and_unpublished_objects_stay_loose(root: Path) -> None:
    desk = open_desk(str(root), session="ada@host")
    written: list[str] = []
    desk.access.log.objects.write(b"blob", b"built, not yet published", written)
    aged(root)
    repository = desk.access.repository
    pack_history(repository, desk.access.log.tip(), desk.access.now().at_ms / 1000, config.environment())
    assert Path(written[0]).is_file()
    newest = git(root, "ls-tree", "-r", "-t", "--format=%(objectname)", "refs/coord").split()
    objects = root / ".git/gitcoord/objects"
    assert all((objects / name[:2] / name[2:]).is_file() for name in newest)


def test_what_is_young_is_left_alone(root: Path) -> None:
    desk = open_desk(str(root), session="ada@host")
    now_s = desk.access.now().at_ms / 1000
    assert pack_history(desk.access.repository, desk.access.log.tip(), now_s, config.environment()) == 0


def test_a_damaged_loose_object_is_put_back_from_the_pack(root: Path) -> None:
    desk = open_desk(str(root), session="ada@host")
    aged(root)
    first = list(walk(desk.access.log))[-1][0].oid.hex()
    git(root, "gc", "-q")
    repository = desk.access.repository
    pack_history(repository, desk.access.log.tip(), desk.access.now().at_ms / 1000, config.environment())
    loose = root / ".git/gitcoord/objects" / first[:2] / first[2:]
    loose.parent.mkdir(exist_ok=True)
    loose.write_bytes(b"nonsense")
    fresh = open_desk(str(root), session="ada@host")
    assert fresh.get_history(limit=100)["entries"][-1]["verb"] == "init"
    assert fresh.access.log.objects.healed


def test_doctor_packs_when_it_is_worth_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gitcoord.service import examination

    monkeypatch.setattr(examination, "WORTH_IT", 10)
    aged(root)
    assert packing.WORTH_IT > 10
    (found,) = [f for f in doctor(str(root), fix=True)["findings"] if f["code"] == "loose_history"]
    assert found["fixed"]
    assert "packed now" in found["message"]
