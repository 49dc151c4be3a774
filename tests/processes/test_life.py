"""Proof of life, against real processes and real deaths."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.errors import SessionTaken, StorageFault
from gitcoord.runtime import life as life_module
from gitcoord.runtime.life import Life, judge, mark_seen, mount_kind, seen_lately, sweep
from gitcoord.runtime.oslock import Descriptor
from support.clock import ManualClock
from support.procs import Link, start

if TYPE_CHECKING:
    from pathlib import Path

CLOCK = ManualClock()
MACHINE = CLOCK.machine
ID = "01JZ0000000000000000000001"


@pytest.fixture
def runtime(tmp_path: Path) -> str:
    return str(tmp_path / "runtime")


def alive_file(runtime: str) -> str:
    return os.path.join(runtime, "alive", ID)


def verdict(runtime: str, proof: dict[str, Any] | None) -> str:
    return judge(runtime, ID, proof, MACHINE, CLOCK.stamp())


def live(link: Link, runtime: str) -> None:
    """Worker: live until the test says so."""
    life = Life.begin(runtime, ID, ManualClock().stamp())
    link.emit(life.proof)
    if link.receive() == "end":
        life.end()


def live_and_fork(link: Link, runtime: str) -> None:
    """Worker: live, and leave behind a forked child and a started program."""
    life = Life.begin(runtime, ID, ManualClock().stamp())
    runs, said = os.pipe()
    child = os.fork()
    if child == 0:
        life.end()  # not the child's to end
        os.write(said, b"!")
        signal.pause()
    os.read(runs, 1)  # a child that has not run yet still has what its parent had open
    program = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], close_fds=False)
    link.emit({"proof": life.proof, "children": [child, program.pid]})
    link.receive()


def fork_and_end(link: Link, runtime: str) -> None:
    """Worker: live, and fork a child that tries to end its parent's life."""
    life = Life.begin(runtime, ID, ManualClock().stamp())
    child = os.fork()
    if child == 0:
        life.end()
        os._exit(0 if not life.holds and os.path.exists(alive_file(runtime)) else 1)
    link.emit({"child": os.waitpid(child, 0)[1], "holds": life.holds, "proof": life.proof})
    link.receive()
    life.end()
    life.end()


def try_to_resume(link: Link, runtime: str) -> None:
    """Worker: one of many that resume at once."""
    try:
        life = Life.begin(runtime, ID, ManualClock().stamp())
    except SessionTaken:
        link.emit(None)
    else:
        link.emit(life.proof)
        link.receive()


def judge_often(link: Link, runtime: str, proof: dict[str, Any], count: int) -> None:
    """Worker: one of many judges."""
    stamp = ManualClock().stamp()
    found = {judge(runtime, ID, proof, MACHINE, stamp) for _ in range(count)}
    link.emit([sorted(found), time.monotonic()])


def dead_proof(runtime: str) -> dict[str, Any]:
    """Return the proof of a process that lived and was killed."""
    with start(live, 1, runtime) as crew:
        crew.go()
        proof = crew[0].next()
        assert verdict(runtime, proof) == "alive"
        crew[0].kill()
    assert isinstance(proof, dict)
    return proof  # pyright: ignore[reportUnknownVariableType]


def test_a_living_process_is_alive_and_a_killed_one_dead(runtime: str) -> None:
    proof = dead_proof(runtime)
    assert verdict(runtime, proof) == "dead"
    assert os.path.exists(alive_file(runtime)), "a judge removes nothing"
    assert set(proof) == {"boot", "device", "inode", "nonce"}
    assert stat.S_IMODE(os.stat(alive_file(runtime)).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(alive_file(runtime))).st_mode) == 0o700
    assert proof["nonce"] not in {"", None}


def test_a_stopped_process_is_alive(runtime: str) -> None:
    with start(live, 1, runtime) as crew:
        crew.go()
        proof = crew[0].next()
        crew[0].freeze()
        assert verdict(runtime, proof) == "alive"
        crew[0].kill()
    assert verdict(runtime, proof) == "dead"


def test_an_ended_life_is_not_called_dead(runtime: str) -> None:
    with start(live, 1, runtime) as crew:
        crew.go()
        proof = crew[0].next()
        crew[0].send("end")
        crew.finish()
    assert verdict(runtime, proof) == "unknown"
    assert not os.path.exists(alive_file(runtime))


def test_children_do_not_keep_a_dead_session_alive(runtime: str) -> None:
    with start(live_and_fork, 1, runtime) as crew:
        crew.go()
        told = crew[0].next()
        try:
            assert verdict(runtime, told["proof"]) == "alive"
            os.kill(crew[0].process.pid, signal.SIGKILL)
            crew[0].process.wait()
            assert verdict(runtime, told["proof"]) == "dead"
            assert all(os.path.exists(f"/proc/{pid}") for pid in told["children"])
        finally:
            for pid in told["children"]:
                os.kill(pid, signal.SIGKILL)


def test_a_forked_child_ends_nothing_of_its_parents(runtime: str) -> None:
    with start(fork_and_end, 1, runtime) as crew:
        crew.go()
        told = crew[0].next()
        assert told["child"] == 0, "in the child it does not hold, and the file is still there"
        assert told["holds"]
        assert verdict(runtime, told["proof"]) == "alive"
        crew[0].send("end")
        crew.finish()
    assert not os.path.exists(alive_file(runtime))


def test_lives_of_one_process_are_independent(runtime: str) -> None:
    one = Life.begin(runtime, ID, CLOCK.stamp())
    two = Life.begin(runtime, "other", CLOCK.stamp())
    two.end()
    assert verdict(runtime, one.proof) == "alive"
    one.end()


@pytest.mark.parametrize(
    "change", [{"boot": "another"}, {"device": 1}, {"inode": 1}, {"nonce": "0" * 32}, {"nonce": None}, {"inode": None}]
)
def test_a_proof_that_does_not_fit_proves_no_death(runtime: str, change: dict[str, Any]) -> None:
    proof = dead_proof(runtime)
    assert verdict(runtime, {**proof, **change}) == "unknown"
    assert verdict(runtime, {}) == "unknown"
    assert verdict(runtime, None) == "unknown"


def test_another_machine_or_boot_proves_no_death(runtime: str) -> None:
    proof = dead_proof(runtime)
    assert judge(runtime, ID, proof, "machine-b", CLOCK.stamp()) == "unknown"
    rebooted = ManualClock()
    assert judge(runtime, ID, proof, MACHINE, rebooted.reboot()) == "unknown"
    assert judge(runtime, "../alive/" + ID, proof, MACHINE, CLOCK.stamp()) == "unknown"
    assert judge(runtime, "", proof, MACHINE, CLOCK.stamp()) == "unknown"


def test_a_removed_file_proves_no_death_though_the_holder_lives_or_not(runtime: str) -> None:
    with start(live, 1, runtime) as crew:
        crew.go()
        proof = crew[0].next()
        os.unlink(alive_file(runtime))
        assert verdict(runtime, proof) == "unknown"
        crew[0].kill()
    assert verdict(runtime, proof) == "unknown"


def test_a_file_put_back_from_a_backup_proves_no_death(runtime: str) -> None:
    with start(live, 1, runtime) as crew:
        crew.go()
        proof = crew[0].next()
        shutil.copy2(alive_file(runtime), alive_file(runtime) + ".bak")
        os.replace(alive_file(runtime) + ".bak", alive_file(runtime))
        assert verdict(runtime, proof) == "unknown"


def test_a_copied_directory_proves_no_death(runtime: str) -> None:
    with start(live, 1, runtime) as crew:
        crew.go()
        proof = crew[0].next()
        shutil.copytree(runtime, runtime + "-copy")
        assert verdict(runtime + "-copy", proof) == "unknown"
        os.rename(runtime, runtime + "-moved")
        assert verdict(runtime + "-moved", proof) == "alive", "a moved one still does"


def test_another_file_with_the_same_inode_proves_no_death(runtime: str) -> None:
    """The nonce tells a file from a later one that got its inode number."""
    proof = dead_proof(runtime)
    with open(alive_file(runtime), "w", encoding="ascii") as file:
        json.dump({"nonce": "0" * 32}, file)
    assert verdict(runtime, proof) == "unknown"
    for content in ("", "[]", '{"nonce": ""}', "[" * 4000, "\0"):
        with open(alive_file(runtime), "w", encoding="ascii") as file:
            file.write(content)
        assert verdict(runtime, proof) == "unknown"


def test_what_is_no_plain_file_proves_no_death(runtime: str) -> None:
    proof = dead_proof(runtime)
    path = alive_file(runtime)
    os.rename(path, path + ".real")
    os.symlink(path + ".real", path)
    assert verdict(runtime, proof) == "unknown"
    os.unlink(path)
    os.mkfifo(path)
    facts = os.stat(path)
    assert verdict(runtime, {**proof, "inode": facts.st_ino}) == "unknown"
    os.unlink(path)
    os.mkdir(path)
    assert verdict(runtime, {**proof, "inode": os.stat(path).st_ino}) == "unknown"


def test_judges_do_not_take_each_other_for_the_holder(runtime: str) -> None:
    proof = dead_proof(runtime)
    with start(judge_often, 3, runtime, proof, 700) as crew:
        crew.go()
        verdicts = [answers[0][0] for answers in crew.finish()]
    assert verdicts == [["dead"]] * 3


def test_judges_do_not_disturb_the_living(runtime: str) -> None:
    with start(live, 1, runtime) as holder:
        holder.go()
        proof = holder[0].next()
        with start(judge_often, 2, runtime, proof, 700) as crew:
            crew.go()
            verdicts = [answers[0][0] for answers in crew.finish()]
        assert verdicts == [["alive"]] * 2


def test_a_session_in_use_cannot_be_resumed(runtime: str) -> None:
    with start(live, 1, runtime) as crew:
        crew.go()
        proof = crew[0].next()
        with pytest.raises(SessionTaken) as caught:
            Life.begin(runtime, ID, CLOCK.stamp())
        assert ID in caught.value.message
        assert verdict(runtime, proof) == "alive"
    own = Life.begin(runtime, ID, CLOCK.stamp())
    with pytest.raises(SessionTaken):
        Life.begin(runtime, ID, CLOCK.stamp())
    own.end()


def test_ending_removes_nobody_elses_file(runtime: str) -> None:
    first = Life.begin(runtime, ID, CLOCK.stamp())
    os.unlink(alive_file(runtime))
    second = Life.begin(runtime, ID, CLOCK.stamp())
    assert not first.holds
    first.end()
    assert second.holds
    assert verdict(runtime, second.proof) == "alive"
    second.end()


def test_who_resumes_proves_anew_and_the_former_proof_is_void(runtime: str) -> None:
    former = dead_proof(runtime)
    life = Life.begin(runtime, ID, CLOCK.stamp())
    assert verdict(runtime, life.proof) == "alive"
    assert verdict(runtime, former) == "unknown"
    life.end()


def test_of_many_that_resume_at_once_one_succeeds(runtime: str) -> None:
    dead_proof(runtime)
    with start(try_to_resume, 6, runtime) as crew:
        crew.go()
        proofs = [proof for proof in (worker.next() for worker in crew) if proof is not None]
        assert len(proofs) == 1
        assert verdict(runtime, proofs[0]) == "alive"
    assert verdict(runtime, proofs[0]) == "dead"


def test_resuming_beside_judges_is_never_refused(runtime: str) -> None:
    proof = dead_proof(runtime)
    with start(judge_often, 2, runtime, proof, 1000) as crew:
        crew.go()
        for _ in range(40):
            Life.begin(runtime, ID, CLOCK.stamp()).end()
        crew.finish()


def test_where_locks_mean_nothing_nothing_is_proved(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proof = dead_proof(runtime)

    def remote(_: int) -> bool:
        return False

    monkeypatch.setattr(life_module, "is_local", remote)
    assert verdict(runtime, proof) == "unknown"
    life = Life.begin(runtime, ID, CLOCK.stamp())
    assert life.proof is None
    assert not life.holds
    assert not os.listdir(os.path.join(runtime, "alive")), "no file that a former proof would fit"
    life.end()


def test_a_lock_that_excludes_nobody_is_noticed(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(_: Descriptor, *, shared: bool = False) -> bool:
        return shared or True

    monkeypatch.setattr(Descriptor, "try_lock", pretend)
    assert Life.begin(runtime, ID, CLOCK.stamp()).proof is None


def test_a_system_without_locks_proves_nothing(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proof = dead_proof(runtime)
    monkeypatch.setattr(life_module, "HAS_FLOCK", False)
    assert Life.begin(runtime, ID, CLOCK.stamp()).proof is None
    assert verdict(runtime, proof) == "unknown"


def test_the_kind_of_a_mount_is_read_from_the_kernels_lists() -> None:
    mounts = (
        b"22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        b"24 1 0:40 /sub / rw shared:1 master:2 - btrfs /dev/sda rw\n"
        b"25 24 0:41 / /home/a\\040b rw - fuse.sshfs host:/ rw\n"
        b"26 broken\n"
    )
    assert mount_kind(b"pos:\t0\nmnt_id:\t24\nino:\t3\n", mounts) == "btrfs"
    assert mount_kind(b"mnt_id:\t25\n", mounts) == "fuse.sshfs"
    assert mount_kind(b"mnt_id:\t2\n", mounts) is None
    assert mount_kind(b"mnt_id:\t26\n", mounts) is None
    assert mount_kind(b"pos:\t0\n", mounts) is None


def test_procs_own_files_are_not_on_a_local_disk() -> None:
    with open("/proc/self/status", "rb") as file:
        assert not life_module.is_local(file.fileno())


def test_an_incarnation_that_could_name_another_file_is_refused(runtime: str) -> None:
    for name in ("", "../x", "a/b", "a\0b", ".draft-1"):
        with pytest.raises(ValueError, match="not an id"):
            Life.begin(runtime, name, CLOCK.stamp())


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for act in (
        lambda: Life.begin(str(tmp_path / "file"), ID, CLOCK.stamp()),
        lambda: mark_seen(str(tmp_path / "file"), ID, 1, CLOCK.stamp()),
    ):
        with pytest.raises(StorageFault, match="file"):
            act()


def test_who_acted_a_moment_ago_was_seen_lately(runtime: str) -> None:
    clock = ManualClock()
    assert not seen_lately(runtime, ID, clock.stamp(), 30)
    mark_seen(runtime, ID, 42, clock.stamp())
    clock.advance(29)
    clock.jump(100_000)
    assert seen_lately(runtime, ID, clock.stamp(), 30)
    assert seen_lately(runtime, ID, clock.stamp(), 30, ignoring_pid=43)
    assert not seen_lately(runtime, ID, clock.stamp(), 30, ignoring_pid=42)
    assert not seen_lately(runtime, "other", clock.stamp(), 30)
    assert not seen_lately(runtime, "../seen/" + ID, clock.stamp(), 30)
    assert not seen_lately(runtime, ID, clock.advance(2), 30)
    mark_seen(runtime, ID, 42, clock.stamp())
    assert seen_lately(runtime, ID, clock.stamp(), 30)
    assert not seen_lately(runtime, ID, clock.reboot(), 30)
    assert os.listdir(os.path.join(runtime, "seen")) == [ID]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"boot": "machine-a-boot-1", "uptime_ms": "1"}', "\0\0"])
def test_a_damaged_note_is_no_note(runtime: str, content: str) -> None:
    mark_seen(runtime, ID, 42, CLOCK.stamp())
    with open(os.path.join(runtime, "seen", ID), "w", encoding="ascii") as file:
        file.write(content)
    assert not seen_lately(runtime, ID, CLOCK.stamp(), 1e9)


def test_a_note_from_later_in_this_boot_is_no_note(runtime: str) -> None:
    mark_seen(runtime, ID, 42, ManualClock().advance(1000))
    assert not seen_lately(runtime, ID, CLOCK.stamp(), 1e9)


def test_sweeping_removes_what_is_over_and_nothing_else(runtime: str) -> None:
    assert sweep(runtime, set()) == []
    dead_proof(runtime)
    kept, living = Life.begin(runtime, "kept", CLOCK.stamp()), Life.begin(runtime, "living", CLOCK.stamp())
    for name in (ID, "kept", "living", "gone"):
        mark_seen(runtime, name, 1, CLOCK.stamp())
    with open(os.path.join(runtime, "alive", ".draft-1"), "w", encoding="ascii"):
        pass
    assert sweep(runtime, {"kept"}) == [ID, "gone"]
    assert sorted(os.listdir(os.path.join(runtime, "alive"))) == ["kept", "living"]
    assert sorted(os.listdir(os.path.join(runtime, "seen"))) == ["kept", "living"]
    assert kept.holds
    assert living.holds
    kept.end()
    living.end()
    assert sweep(runtime, set()) == ["kept", "living"]
