from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from gitcoord.errors import ClockFault, StorageFault
from gitcoord.runtime import darwin, machine
from gitcoord.runtime.machine import Clock, SystemClock, believable, elapsed_ms, hash_machine_id, new_id, random_hex

if TYPE_CHECKING:
    from pathlib import Path


def test_the_clock_goes_on_and_names_machine_and_boot(tmp_path: Path) -> None:
    clock: Clock = SystemClock(str(tmp_path))
    one, two = clock.stamp(), clock.stamp()
    assert one[2:] == two[2:] == SystemClock(str(tmp_path)).stamp()[2:]
    passed = elapsed_ms(one, two)
    assert passed is not None
    assert 0 <= passed < 10_000
    assert len(one.machine) == 16
    assert int(one.machine, 16) >= 0
    assert one.boot


def test_the_machines_secret_id_is_not_told(tmp_path: Path) -> None:
    told = SystemClock(str(tmp_path)).stamp().machine
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                assert told not in file.read()
    assert hash_machine_id("a") != hash_machine_id("b")


def test_a_machine_without_an_id_makes_one_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_MACHINE_ID_FILES", ())
    runtime = tmp_path / "runtime"
    first = machine.read_machine_id(str(runtime))
    assert machine.read_machine_id(str(runtime)) == first
    assert stat.S_IMODE((runtime / "machine").stat().st_mode) == 0o600
    assert machine.read_machine_id(str(tmp_path / "other")) != first
    (runtime / "machine").write_text("damaged")
    assert machine.read_machine_id(str(runtime)) not in {first, ""}
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFault):
        machine.read_machine_id(str(tmp_path / "file" / "runtime"))


def test_an_image_that_was_never_started_has_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "machine-id").write_text("uninitialized\n")
    monkeypatch.setattr(machine, "_MACHINE_ID_FILES", (str(tmp_path / "machine-id"),))
    machine.read_machine_id(str(tmp_path))
    assert (tmp_path / "machine").exists()


def test_copied_machines_with_other_names_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    monkeypatch.setattr(machine, "_MACHINE_ID_FILES", (str(tmp_path / "machine-id"),))
    one = machine.read_machine_id(str(tmp_path))
    monkeypatch.setattr(machine, "host_name", lambda: "another-name")
    assert machine.read_machine_id(str(tmp_path)) != one
    assert not (tmp_path / "machine").exists()


def test_without_a_named_boot_its_moment_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_BOOT_ID_FILE", str(tmp_path / "missing"))
    assert SystemClock(str(tmp_path)).stamp().boot.startswith("since-")


def test_ids_are_unique_and_sort_by_time() -> None:
    assert len({new_id(5) for _ in range(1000)}) == 1000
    ids = [new_id(at_ms) for at_ms in (0, 1, 31, 32, 1_750_000_000_000, 1_750_000_000_001, (1 << 48) - 1)]
    assert ids == sorted(ids)
    assert all(len(one) == 26 and not set(one) - set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for one in ids)
    assert ids[0].startswith("0000000000")
    assert ids[-1].startswith("7ZZZZZZZZZ")
    assert new_id(-5).startswith("0000000000")
    assert new_id(1 << 60).startswith("7ZZZZZZZZZ")
    assert len(random_hex(4)) == 8


def test_a_mac_os_mount_is_believed_local_only_when_marked_so() -> None:
    raw = bytearray(2168)
    raw[72:76] = b"apfs"
    assert darwin.parse_statfs(bytes(raw)) is None
    raw[64:68] = (0x1000 | 0x1).to_bytes(4, "little")
    assert darwin.parse_statfs(bytes(raw)) == "apfs"
    assert darwin.parse_statfs(b"") is None


@pytest.mark.parametrize("at_ms", [-4_000_000_000, -1, 0, 999, 7_258_118_400_001, 1 << 62])
def test_a_clock_that_git_could_not_record_is_refused(at_ms: int) -> None:
    with pytest.raises(ClockFault, match="between 1970 and 2200"):
        believable(at_ms)


def test_a_clock_near_the_ends_is_believed() -> None:
    assert believable(1000) == 1000
    assert believable(7_258_118_400_000) == 7_258_118_400_000
