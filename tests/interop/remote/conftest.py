"""Remotes that are reached in different ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.remotes import HttpRemote, Remote, bare_remote, daemon_remote, http_remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return bare_remote(tmp_path / "team.git")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Remote]:
    with daemon_remote(tmp_path / "served" / "team.git") as one:
        yield one


@pytest.fixture
def web(tmp_path: Path) -> Iterator[HttpRemote]:
    with http_remote(tmp_path / "web" / "team.git", secrets=tmp_path / "secrets") as one:
        yield one
