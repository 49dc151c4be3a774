"""The hook managers that people have, as far as this machine has them: how each is set up in a repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from support.program import program_env
from support.repo import git, write_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BIN = os.path.dirname(sys.executable)
HUSKY = os.path.join(sys.prefix, "npm", "node_modules", "husky", "bin.js")


class Manager(NamedTuple):
    """One hook manager.

    Attributes:
        version: the words that print its version; none where it is not on this machine.
        set_up: makes a repository one of its own, with a job before a commit that leaves a mark in `told`.
        own_file: where the lines go that people are told to add; none where nothing has to be added.
        add: returns its file's text with those lines.
    """

    version: list[str]
    set_up: Callable[[str], None]
    own_file: str = ""
    add: Callable[[str, list[str]], str] = lambda text, _: text


def managers() -> dict[str, Manager]:
    """Return the managers of this machine by name."""
    return {name: one for name, one in _all().items() if one.version}


def described() -> str:
    """Return which managers are real in the tests, and which are only files by hand."""
    return ", ".join(f"{name} {_version(one.version)}" for name, one in _all().items())


def environment() -> Mapping[str, str]:
    """Return an environment in which managers and the program are found."""
    path = os.pathsep.join([_BIN, os.environ["PATH"]])
    return program_env(PATH=path, LEFTHOOK="1", NO_COLOR="1")


def _all() -> dict[str, Manager]:
    node = shutil.which("node")
    lefthook, framework = (shutil.which(name, path=_BIN) for name in ("lefthook", "pre-commit"))
    lfs = shutil.which("git-lfs")
    return {
        "husky": Manager(
            [node, "-p", f"require('{HUSKY}/../package.json').version"] if node and _is(HUSKY) else [], _husky
        ),
        "lefthook": Manager([lefthook, "version"] if lefthook else [], _lefthook, "lefthook.yml", _into_lefthook),
        "pre-commit": Manager(
            [framework, "--version"] if framework else [], _framework, ".pre-commit-config.yaml", _into_framework
        ),
        "git-lfs": Manager([lfs, "version"] if lfs else [], _lfs),
    }


def _is(path: str) -> bool:
    return os.path.exists(path)


def _version(words: list[str]) -> str:
    if not words:
        return "by hand only"
    said = subprocess.run(words, capture_output=True, check=True, text=True).stdout.split()
    return next((word for word in said if any(letter.isdigit() for letter in word)), "?")


def _run(where: str, *words: str) -> None:
    subprocess.run(words, cwd=where, env=environment(), capture_output=True, check=True)


def _husky(where: str) -> None:
    _run(where, "node", HUSKY)
    write_files(where, {".husky/pre-commit": "echo husky >> told\n"})


def _lefthook(where: str) -> None:
    job = "pre-commit:\n  commands:\n    job:\n      run: echo lefthook >> told\n"
    write_files(where, {"lefthook.yml": job})
    _run(where, "lefthook", "install")


def _into_lefthook(text: str, lines: list[str]) -> str:
    return text + "\n".join(lines[lines.index("  commands:") + 1 :]) + "\n"


def _framework(where: str) -> None:
    job = (
        "      - id: job\n        name: job\n        entry: sh -c 'echo framework >> told'\n"
        "        language: system\n        always_run: true\n        pass_filenames: false\n"
    )
    write_files(where, {".pre-commit-config.yaml": f"repos:\n  - repo: local\n    hooks:\n{job}"})
    _run(where, "pre-commit", "install")


def _into_framework(text: str, lines: list[str]) -> str:
    return text + "\n".join(lines[1:]) + "\n"


def _lfs(where: str) -> None:
    git(where, "lfs", "install", "--local")
    write_files(where, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "large.bin": "large\n" * 100})
