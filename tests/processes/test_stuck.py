"""A process that is stopped while it holds one of the writers' locks does not stop the others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitcoord.runtime import turn
from gitcoord.service import Desk, initialise, open_desk

HOLD = """
import sys
from gitcoord.runtime.oslock import OsLock
lock = OsLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(turn, "PATIENCE_S", 0.2)
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    initialise(str(tmp_path))
    return tmp_path


@contextmanager
def held(root: Path, name: str) -> Generator[None]:
    """Let another process hold a lock and do nothing."""
    path = root / ".git/gitcoord" / name
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.kill()


def desk(root: Path, name: str) -> Desk:
    return open_desk(str(root), session=name)


@pytest.mark.parametrize("names", [["build.lock"], ["publish.lock"], ["build.lock", "publish.lock"]], ids="+".join)
def test_others_go_on_by_compare_and_swap_alone(root: Path, names: list[str]) -> None:
    one, two = desk(root, "one@host"), desk(root, "two@host")
    assert one.lock_files(["before"])["granted"]
    with held(root, names[0]), held(root, names[-1] if len(names) > 1 else "unrelated"):
        assert two.lock_files(["a"])["granted"]
        refused = one.lock_files(["a"])
        assert refused["error"]["code"] == "lock_held"
        assert two.unlock_files(["a"])["ok"]
        assert one.lock_files(["a"])["granted"]
    assert two.lock_files(["after"])["granted"]
    verbs = [entry["verb"] for entry in two.get_history(limit=50)["entries"]]
    assert verbs == ["lock", "lock", "unlock", "lock", "sign-on", "lock", "sign-on", "init"]


def test_a_writer_loses_no_race_for_ever_beside_a_stuck_one(root: Path) -> None:
    with held(root, "build.lock"):
        writers = [desk(root, f"w{number}@host") for number in range(3)]
        for again in range(5):
            for number, writer in enumerate(writers):
                assert writer.store_data("s", f"{number}-{again}", again)["ok"]
    assert len(writers[0].list_keys("s")["keys"]) == 15
