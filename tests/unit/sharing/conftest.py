"""A team whose clones share, and a count of what meeting the remote costs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.team import GitCalls, Team

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.fixture
def calls(tmp_path: Path) -> GitCalls:
    return GitCalls(tmp_path)
