from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from gitcoord.runtime.told import Told

if TYPE_CHECKING:
    from pathlib import Path


def test_news_is_fresh_until_it_was_told(tmp_path: Path) -> None:
    told = Told(str(tmp_path / "runtime"))
    assert told.fresh("A", ["b", "a", "b"]) == ["b", "a"]
    told.remember("A", ["a"])
    assert told.fresh("A", ["b", "a"]) == ["b"]
    assert Told(str(tmp_path / "runtime")).fresh("A", ["a"]) == []
    assert told.fresh("B", ["a"]) == ["a"]
    assert told.fresh("A", []) == []
    told.remember("B", [])
    assert [path.name for path in (tmp_path / "runtime" / "told").iterdir()] == ["A"]
    assert stat.S_IMODE((tmp_path / "runtime" / "told" / "A").stat().st_mode) == 0o600


def test_any_text_is_an_id(tmp_path: Path) -> None:
    told = Told(str(tmp_path))
    odd = ["two\nlines", "back\\slash", "grün", "\udcff", " ", "two"]
    told.remember("A", odd[:-1])
    assert told.fresh("A", odd) == ["two"]


def test_a_line_cut_short_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    told = Told(str(tmp_path))
    told.remember("A", ["one"])
    path = tmp_path / "told" / "A"
    path.write_bytes(path.read_bytes() + b"tw")
    told.remember("A", ["three"])
    assert told.fresh("A", ["one", "two", "three"]) == ["two"]


def test_garbage_means_that_news_is_told_again(tmp_path: Path) -> None:
    (tmp_path / "told").mkdir()
    (tmp_path / "told" / "A").write_bytes(bytes(range(256)) * 10)
    assert Told(str(tmp_path)).fresh("A", ["one"]) == ["one"]
    (tmp_path / "told" / "D").mkdir()
    assert Told(str(tmp_path)).fresh("D", ["one"]) == ["one"]


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    for name in ("../x", "", "a/b", "."):
        with pytest.raises(ValueError, match="not an id"):
            Told(str(tmp_path)).remember(name, ["a"])


def test_ended_sessions_are_forgotten(tmp_path: Path) -> None:
    told = Told(str(tmp_path))
    assert told.sweep({"A"}) == []
    told.remember("A", ["x"])
    told.remember("B", ["x"])
    assert told.sweep({"A"}) == ["B"]
    assert told.fresh("A", ["x"]) == []
    assert told.fresh("B", ["x"]) == ["x"]
