"""Packing the log's history: git and gitcoord read all of it afterwards, and nothing unpublished goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitcoord import config
from gitcoord.service import doctor, initialise, open_desk
from gitcoord.service.history import walk
from gitcoord.store import packing
from gitcoord.store.objects import ObjectStore
from gitcoord.store.packing import pack_history, scattered_count
from gitcoord.store.packs import MARK, Packs
from support.repo import fsck, loosen

OLD_S = 7200


def git(where: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(where), *words], check=True, capture_output=True, text=True).stdout


def aged(root: Path) -> None:
    """Let all of the log's object files be two hours old."""
    for path in (root / ".git/gitcoord/objects").rglob("*"):
        if path.is_file():
            when = path.stat().st_mtime - OLD_S
            os.utime(path, (when, when))


@pytest.fixture(params=["packs", "loose"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    git(tmp_path, "init", "-q")
    initialise(str(tmp_path))
    desk = open_desk(str(tmp_path), session="ada@host")
    for number in range(12):
        desk.store_data("s", f"k{number}", {"n": number})
        desk.lock_files([f"src/{number}.py"])
    if request.param == "loose":
        loosen(str(tmp_path))
    return tmp_path


def pack(root: Path) -> int:
    desk = open_desk(str(root), session="ada@host")
    now_s = desk.access.now().at_ms / 1000
    return pack_history(desk.access.repository, desk.access.log.tip(), now_s, config.environment())


def test_packed_history_is_read_by_git_and_by_gitcoord(root: Path) -> None:
    desk = open_desk(str(root), session="ada@host")
    before = [entry["commit"] for entry in desk.get_history(limit=100)["entries"]]
    told = git(root, "log", "--format=%H %T %s", "refs/coord")
    aged(root)
    repository = desk.access.repository
    count = scattered_count(repository)
    went = pack(root)
    assert went > count / 2
    assert scattered_count(repository) == count - went
    assert git(root, "log", "--format=%H %T %s", "refs/coord") == told
    assert "missing" not in git(root, "fsck", "--strict", "--no-dangling")
    fresh = open_desk(str(root), session="ada@host")
    assert [entry["commit"] for entry in fresh.get_history(limit=100)["entries"]] == before
    assert scattered_count(repository) == count - went, "reading must not unpack"
    assert fresh.lock_files(["src/new.py"])["granted"]
    # Who had read the old packs still reads, and finds the new ones.
    assert desk.lock_files(["src/newer.py"])["granted"]
    assert [entry["commit"] for entry in desk.get_history(limit=100)["entries"]][-len(before) :] == before


def test_what_looks_at_the_newest_state_loads_no_library_for_gits_packs(root: Path) -> None:
    aged(root)
    pack(root)
    look = (
        "import sys; from gitcoord.cli import main; code = main(['check', 'src/3.py']); "
        "assert 'dulwich' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look],
        cwd=root,
        env={**config.environment(), "GITCOORD_SESSION": "ada@host"},
        check=False,
    )
    assert done.returncode == 0


def test_the_newest_state_and_unpublished_objects_stay_within_reach(root: Path) -> None:
    desk = open_desk(str(root), session="ada@host")
    store = ObjectStore(desk.access.repository)
    batch = store.batch()
    built = batch.add(b"blob", b"built, not yet published")
    assert batch.paths
    written: list[str] = []
    store.write(b"blob", b"built, and written loose", written)
    aged(root)
    pack(root)
    assert Path(written[0]).is_file()
    assert ObjectStore(desk.access.repository).read(built, verify=True)[1] == b"built, not yet published"
    newest = git(root, "ls-tree", "-r", "-t", "--format=%(objectname)", "refs/coord").split()
    objects = root / ".git/gitcoord/objects"
    ours = Packs(str(objects / "pack"), 20)
    ours.refresh()
    assert all((objects / n[:2] / n[2:]).is_file() or ours.read(bytes.fromhex(n)).good for n in newest)


def test_young_loose_objects_are_left_alone(root: Path) -> None:
    loosen(str(root))
    assert pack(root) == 0


def test_a_second_packing_finds_little_to_do(root: Path) -> None:
    aged(root)
    assert pack(root) > 0
    assert pack(root) == 0


def test_a_damaged_loose_object_hides_no_packed_one_and_is_put_back_by_the_doctor(root: Path) -> None:
    aged(root)
    desk = open_desk(str(root), session="ada@host")
    first = list(walk(desk.access.log))[-1][0].oid.hex()
    git(root, "gc", "-q")
    pack(root)
    loose = root / ".git/gitcoord/objects" / first[:2] / first[2:]
    loose.parent.mkdir(exist_ok=True)
    loose.write_bytes(b"nonsense")
    fresh = open_desk(str(root), session="ada@host")
    assert fresh.get_history(limit=100)["entries"][-1]["verb"] == "init"
    assert any(first in line or "corrupt" in line for line in fsck(str(root)))
    (found,) = [f for f in doctor(str(root), fix=True)["findings"] if f["code"] == "object_damaged"]
    assert found["fixed"]
    assert first in found["message"]
    assert fsck(str(root)) == []


def test_doctor_packs_when_it_is_worth_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gitcoord.service import examination

    monkeypatch.setattr(examination, "WORTH_IT", 10)
    aged(root)
    assert packing.WORTH_IT > 10
    (found,) = [f for f in doctor(str(root), fix=True)["findings"] if f["code"] == "loose_history"]
    assert found["fixed"]
    assert "packed now" in found["message"]
    assert [n for n in os.listdir(root / ".git/gitcoord/objects/pack") if n.endswith(".idx") and n[: len(MARK)] != MARK]
