"""What every test stands on: an environment that says nothing of the person or the agent who runs it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.repo import GITCONFIG, scrubbed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def plain_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the whole run a home of its own and drop what git, gpg or an agent's harness put into the environment.

    Yields:
        The temporary home directory.
    """
    home = str(tmp_path_factory.mktemp("home"))
    with open(os.path.join(home, ".gitconfig"), "w", encoding="utf-8") as config:
        config.write(GITCONFIG)
    clean = scrubbed(os.environ, home)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(clean)
    yield home
    os.environ.clear()
    os.environ.update(before)
