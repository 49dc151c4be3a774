"""What every test stands on: an environment that says nothing of the person or the agent who runs it.

`GITCOORD_TEST_GIT=/path/to/git` runs the tests with another git than the one that the machine has; the head of the
report names the one in use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support import managers
from support.repo import GITCONFIG, scrubbed

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_GIT = "GITCOORD_TEST_GIT"
if os.environ.get(OTHER_GIT):  # before any test module is read: some are made for what the git in use knows
    os.environ["PATH"] = os.path.dirname(os.path.abspath(os.environ[OTHER_GIT])) + os.pathsep + os.environ["PATH"]


def pytest_report_header() -> str:
    """Name the git that the tests run, and the hook managers beside it that are real."""
    program = shutil.which("git") or "git"
    said = subprocess.run([program, "version"], capture_output=True, check=True, text=True).stdout
    return f"{said.strip()} ({program}); beside it: {managers.described()}"


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
