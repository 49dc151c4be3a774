"""A process that is stopped while it holds one of the writers' locks does not stop the others."""

from __future__ import annotations

import signal
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
def held(root: Path, name: str) -> Generator[subprocess.Popen[str]]:
    """Let another process hold a lock and do nothing."""
    path = root / ".git/gitcoord" / name
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
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


def test_who_does_not_come_back_is_told(root: Path) -> None:
    one = desk(root, "one@host")
    with held(root, "publish.lock") as holder:
        (told,) = one.lock_files(["a"])["notices"]
        assert "publish.lock" in told
        assert f"in vain for process {holder.pid}" in told or sys.platform != "linux"
    assert one.lock_files(["b"])["notices"] == []


def test_who_is_waited_for_is_said_while_one_waits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "TOLD_AFTER_S", 0.1)
    monkeypatch.setattr(turn, "PATIENCE_S", 60)
    one = desk(root, "one@host")
    with held(root, "publish.lock") as holder:
        said: list[str] = []

        def says(text: str) -> None:
            said.append(text)
            holder.kill()

        one.access.says = says
        answer = one.lock_files(["a"])
    assert (answer["granted"], answer["notices"]) == (True, [])
    assert len(said) == 1
    assert "publish.lock" in said[0]


def test_nobody_waits_long_for_who_is_stopped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "TOLD_AFTER_S", 0.1)
    # Far longer than the test may take, where the system says which processes are stopped.
    monkeypatch.setattr(turn, "PATIENCE_S", 3600 if sys.platform == "linux" else 0.2)
    one = desk(root, "one@host")
    with held(root, "publish.lock") as holder:
        holder.send_signal(signal.SIGSTOP)
        answer = one.lock_files(["a"])
        assert answer["granted"]
        assert "publish.lock" in answer["notices"][0]
        assert f"process {holder.pid}, which holds" in answer["notices"][0] or sys.platform != "linux"
        holder.send_signal(signal.SIGCONT)
