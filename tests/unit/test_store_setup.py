from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gitcoord.errors import Contention, StorageFault
from gitcoord.store.repository import Repository, find_repository
from gitcoord.store.setup import mend, prepare_runtime, runtime_faults

NOW_S = 2_000_000_000


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    for name in ("objects", "refs"):
        (tmp_path / ".git" / name).mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return find_repository(str(tmp_path), {})


def alternates(repo: Repository) -> Path:
    return Path(repo.common_dir) / "objects" / "info" / "alternates"


def snapshot(root: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}


def test_the_runtime_directory_is_made_once_and_nothing_else_is_touched(repo: Repository) -> None:
    before = snapshot(repo.common_dir)
    made = prepare_runtime(repo)
    runtime = Path(repo.runtime)
    directories = [repo.runtime, f"{runtime}/objects", f"{runtime}/objects/pack", f"{runtime}/tmp"]
    assert made == [*directories, f"{runtime}/README", str(alternates(repo))]
    assert runtime.stat().st_mode & 0o777 == 0o700
    assert "gitcoord" in (runtime / "README").read_text()
    after = snapshot(repo.common_dir)
    assert set(after) - set(before) == {f"{runtime}/README", f"{runtime}/setup", str(alternates(repo))}
    assert prepare_runtime(repo) == []
    assert snapshot(repo.common_dir) == after
    assert runtime_faults(repo, NOW_S) == []


@pytest.mark.parametrize("present", [b"", b"/a/b\n", b"/a/b", b"# text\n\xff\n"])
def test_the_list_of_alternates_keeps_its_other_lines(repo: Repository, present: bytes) -> None:
    alternates(repo).parent.mkdir()
    alternates(repo).write_bytes(present)
    prepare_runtime(repo)
    prepare_runtime(repo)
    gap = b"" if present.endswith(b"\n") or not present else b"\n"
    assert alternates(repo).read_bytes() == present + gap + b"../gitcoord/objects\n"
    assert os.listdir(alternates(repo).parent) == ["alternates"]


def test_an_absolute_line_for_the_same_directory_counts(repo: Repository) -> None:
    alternates(repo).parent.mkdir()
    alternates(repo).write_text(f"{repo.runtime}/objects\n")
    assert str(alternates(repo)) not in prepare_runtime(repo)


def test_a_store_behind_a_symbolic_link_gets_an_absolute_line(repo: Repository, tmp_path: Path) -> None:
    store = Path(repo.common_dir) / "objects"
    store.rename(tmp_path / "elsewhere")
    store.symlink_to(tmp_path / "elsewhere")
    prepare_runtime(repo)
    assert alternates(repo).read_text() == f"{repo.runtime}/objects\n"
    assert runtime_faults(repo, NOW_S) == []


def test_the_lock_file_of_another_program_is_respected(repo: Repository) -> None:
    alternates(repo).parent.mkdir()
    lock = Path(f"{alternates(repo)}.lock")
    lock.touch()
    with pytest.raises(Contention) as caught:
        prepare_runtime(repo)
    assert str(lock) in caught.value.message
    assert lock.exists()


def test_a_file_where_the_directory_should_be_is_a_fault(repo: Repository) -> None:
    Path(repo.runtime).touch()
    with pytest.raises(StorageFault) as caught:
        prepare_runtime(repo)
    assert repo.runtime in caught.value.message
    assert not runtime_faults(repo, NOW_S)[0].fixable


def test_every_fixable_fault_is_named_and_mended(repo: Repository) -> None:
    prepare_runtime(repo)
    Path(repo.runtime).chmod(0o755)
    alternates(repo).write_text("/somewhere/else\n")
    old, young = Path(repo.runtime, "tmp", "old"), Path(repo.runtime, "tmp", "young")
    for path, age_s in ((old, 3700), (young, 60)):
        path.touch()
        os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    shutil.rmtree(Path(repo.runtime, "objects"))
    faults = runtime_faults(repo, NOW_S)
    assert {fault.code for fault in faults} == {
        "runtime_missing",
        "runtime_rights",
        "alternate_missing",
        "tmp_leftovers",
    }
    assert all(fault.fixable for fault in faults)
    changed = mend(repo, NOW_S)
    assert runtime_faults(repo, NOW_S) == []
    assert str(old) in changed
    assert young.exists()
    assert mend(repo, NOW_S) == []


def test_a_directory_of_another_user_is_named(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_runtime(repo)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert [(fault.code, fault.fixable) for fault in runtime_faults(repo, NOW_S)] == [("runtime_owner", False)]


def test_before_init_everything_is_missing(repo: Repository) -> None:
    codes = [fault.code for fault in runtime_faults(repo, NOW_S)]
    assert codes == [*["runtime_missing"] * 4, "alternate_missing"]
