"""Programs that hang, flood or leave others behind: each comes to an end, and so do all below it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from gitcoord import config
from gitcoord.remote.process import OUTPUT_LIMIT, Ran, run
from support.procs import wait_until


def ran(script: str, tmp_path: Path, *, quiet_s: float = 30, limit_s: float = 30) -> Ran:
    return run(["sh", "-c", script], env=config.environment(), cwd=str(tmp_path), quiet_s=quiet_s, limit_s=limit_s)


def runs(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_status_and_words_come_back(tmp_path: Path) -> None:
    assert ran("echo out; echo err >&2; exit 3", tmp_path) == Ran(3, b"out\n", b"err\n", cut=False)
    assert ran("kill -9 $$", tmp_path).status == -9
    assert ran("cat; tty", tmp_path).out == b"not a tty\n"
    with pytest.raises(FileNotFoundError):
        run(["no-such-program-here"], env={}, cwd=str(tmp_path), quiet_s=1, limit_s=1)


def test_a_flood_is_read_to_its_end_and_kept_up_to_a_bound(tmp_path: Path) -> None:
    done = ran("head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2", tmp_path)
    assert done.status == 0
    assert (len(done.out), len(done.err), done.cut) == (OUTPUT_LIMIT, OUTPUT_LIMIT, True)


def test_silence_ends_it_and_words_keep_it_alive(tmp_path: Path) -> None:
    assert ran("sleep 60", tmp_path, quiet_s=0.3).status is None
    slow = ran("for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 0.1; done", tmp_path, quiet_s=0.6)
    assert (slow.status, slow.out.split()[-1]) == (0, b"8")
    assert ran("while :; do echo on; sleep 0.05; done", tmp_path, limit_s=0.5).status is None


def test_a_whole_family_that_does_not_listen_is_ended(tmp_path: Path) -> None:
    family = "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$; while :; do sleep 0.05; done\" & echo $$; wait"
    done = ran(family, tmp_path, quiet_s=0.4)
    assert done.status is None
    numbers = [int(word) for word in done.out.split()]
    assert len(numbers) == 2
    for number in numbers:
        wait_until(lambda: not runs(number), f"process {number} ends")  # noqa: B023


def test_what_a_program_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    done = ran("sleep 50 & echo $!", tmp_path)
    assert time.monotonic() - began < 25
    assert done.status == 0
    number = int(done.out)
    assert runs(number), "it may be a connection that others share"
    os.kill(number, 9)


def test_an_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    """Ctrl-C while git runs: the signal arrives in the middle of the wait."""
    import signal
    import threading

    numbers = tmp_path / "numbers"

    def interrupt() -> None:
        wait_until(lambda: numbers.exists() and numbers.read_text().endswith("\n"), "it runs")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        ran(f"echo $$ > {numbers}; exec sleep 60", tmp_path)
    thread.join()
    assert not runs(int(numbers.read_text()))


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    if sys.platform != "linux":
        return
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        ran("echo x; exit 1", tmp_path)
        ran("sleep 60", tmp_path, quiet_s=0.05)
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_process_descriptors_it_works_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert ran("echo out; exit 3", tmp_path) == Ran(3, b"out\n", b"", cut=False)
    assert ran("sleep 60", tmp_path, quiet_s=0.2).status is None
