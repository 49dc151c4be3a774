"""`reference-transaction`: in this clone the log only grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.guarded import ME, desk, lock, make_guarded, run_git
from support.repo import LOG_REF, git

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_guarded(tmp_path / "repo")
    lock(where, "a")
    lock(where, "b")
    return where


@pytest.mark.parametrize(
    "words",
    [
        ["update-ref", "-d", LOG_REF],
        ["update-ref", "-d", "refs/coord"],
        ["update-ref", LOG_REF, f"{LOG_REF}~1"],
        ["update-ref", LOG_REF, "HEAD"],
        ["fetch", "-q", ".", f"+HEAD:{LOG_REF}"],
        ["push", "-q", "-f", ".", f"{LOG_REF}~1:{LOG_REF}"],
    ],
)
def test_the_log_is_neither_rewound_nor_replaced_nor_deleted(repo: str, words: list[str]) -> None:
    before = git(repo, "rev-parse", LOG_REF)
    ran = run_git(repo, *words)
    assert ran.code != 0
    assert "the log only grows" in ran.err
    assert git(repo, "rev-parse", LOG_REF) == before


def test_a_merge_that_has_the_log_as_its_second_parent_is_no_growth(repo: str) -> None:
    tree = git(repo, "rev-parse", f"{LOG_REF}^{{tree}}")
    merge = git(repo, "commit-tree", tree, "-p", f"{LOG_REF}~1", "-p", LOG_REF, "-m", "reordered")
    assert run_git(repo, "update-ref", LOG_REF, merge).code != 0


def test_growth_passes_and_so_does_everything_else(repo: str) -> None:
    tip = git(repo, "rev-parse", LOG_REF)
    tree = git(repo, "rev-parse", f"{LOG_REF}^{{tree}}")
    more = git(repo, "commit-tree", tree, "-p", tip, "-m", "more")
    assert run_git(repo, "update-ref", LOG_REF, more).code == 0
    assert run_git(repo, "branch", "side").code == 0
    assert run_git(repo, "branch", "-D", "side").code == 0
    assert run_git(repo, "tag", "v1").code == 0
    assert run_git(repo, "pack-refs", "--all").code == 0
    assert run_git(repo, "gc", "-q").code == 0


def test_gitcoord_itself_goes_on(repo: str) -> None:
    assert desk(repo, ME).lock_files(["c"])["granted"]
    git(repo, "pack-refs", "--all")
    assert desk(repo, ME).unlock_files(all=True)["ok"]


def test_a_packed_log_is_guarded_too(repo: str) -> None:
    git(repo, "pack-refs", "--all")
    assert run_git(repo, "update-ref", "-d", LOG_REF).code != 0
    assert run_git(repo, "update-ref", LOG_REF, f"{LOG_REF}~1").code != 0
