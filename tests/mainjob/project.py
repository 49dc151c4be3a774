"""The scratch copy of a real project, under git, with a linked worktree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections import Counter
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from support.repo import add_worktree, git

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AT_LEAST = 2000
"""So many files has the project that is made from installed packages."""

_SEEDS = ("mcp", "pydantic", "dulwich", "pip")
_COMPILED = (".pyc", ".pyo", ".so", ".pyd", ".dll", ".exe", ".dylib")
_LARGEST = 512 * 1024
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+\.\w+")
_NEEDED = 5


class TooSmall(Exception):
    """The project has no directory with enough files to play with."""


class Project(NamedTuple):
    """A repository with a linked worktree, and the paths that the acts are about.

    Attributes:
        root: the main worktree.
        worktree: the linked one.
        size: how many files are under git.
        package: a directory, relative to the root, with files and a directory below.
        files: files directly in it, all with the same suffix; at least five.
        suffix: that suffix.
        inner: a directory below the package.
        deep: a file below that.
    """

    root: str
    worktree: str
    size: int
    package: str
    files: list[str]
    suffix: str
    inner: str
    deep: str

    def path(self, name: str) -> str:
        """Return the absolute path of a file in the main worktree."""
        return os.path.join(self.root, name)


def build(scratch: str, source: str | None) -> Project:
    """Copy a project, commit it, and give it a worktree.

    Args:
        scratch: an empty directory.
        source: the project's directory; None takes the sources of installed packages.

    Raises:
        TooSmall: there is too little in it.
    """
    root = os.path.join(scratch, "project")
    os.mkdir(root)
    for name, path in _from_directory(source) if source else _from_packages():
        target = os.path.join(root, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(path, target)
    git(root, "init", "-q", ".")
    git(root, "add", "-A", "--force")
    git(root, "commit", "-q", "-m", "The project as it is")
    git(root, "tag", "start")
    git(root, "branch", "other")
    hook = os.path.join(root, ".git", "hooks", "pre-commit")
    os.makedirs(os.path.dirname(hook), exist_ok=True)
    with open(hook, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexit 0\n")
    names = git(root, "ls-files", "-z").rstrip("\0").split("\0")
    package, files, suffix, inner, deep = _choose(names)
    worktree = add_worktree(root, os.path.join(scratch, "beside"))
    git(root, "reflog", "expire", "--expire=never", "--all")  # writes reflogs in the form in which `git gc` leaves them
    return Project(root, worktree, len(names), package, files, suffix, inner, deep)


def _from_directory(source: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the path of each file of a project: those under git, else all."""
    command = ["git", "-C", source, "ls-files", "-z", "--cached", "--recurse-submodules"]
    done = subprocess.run(command, capture_output=True, check=False)
    listed = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name] if done.returncode == 0 else []
    for name in listed or _below(source):
        path = os.path.join(source, name)
        if os.path.isfile(path) and not os.path.islink(path):
            yield name, path


def _below(source: str) -> Iterator[str]:
    for directory, below, names in os.walk(source):
        below[:] = sorted(name for name in below if name not in (".git", "__pycache__"))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(directory, name), source)


def _from_packages() -> Iterator[tuple[str, str]]:
    """Yield the sources of installed packages, and of the standard library where these are too few."""
    count = 0
    for distribution in _distributions():
        for file in distribution.files or ():
            name, path = file.as_posix(), str(file.locate())
            if not name.startswith("..") and _is_source(path):
                count += 1
                yield f"packages/{name}", path
        if count >= AT_LEAST:
            return
    library = sysconfig.get_path("stdlib")
    for name in _below(library):
        path = os.path.join(library, name)
        if "site-packages" not in name and _is_source(path):
            count += 1
            yield f"library/{name}", path
        if count >= AT_LEAST:
            return


def _is_source(path: str) -> bool:
    if path.endswith(_COMPILED) or "__pycache__" in path or os.path.islink(path) or not os.path.isfile(path):
        return False
    return os.path.getsize(path) <= _LARGEST


def _distributions() -> Iterator[metadata.Distribution]:
    """Yield the packages that the seeds need, then all others that are installed."""
    seen: set[str] = set()
    todo = [*_SEEDS, *sorted(d.metadata["Name"] for d in metadata.distributions())]
    while todo:
        name = todo.pop(0)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen:
            continue
        seen.add(key)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield found
        wanted = [requirement for requirement in found.requires or () if "extra ==" not in requirement]
        todo[:0] = [match.group() for requirement in wanted if (match := re.match(r"[\w.-]+", requirement))]


def _choose(names: Iterable[str]) -> tuple[str, list[str], str, str, str]:
    """Return the package that the acts are played in: the one with the most files of one kind."""
    plain = sorted(name for name in names if _PLAIN.fullmatch(name) and "/" in name)
    kinds = Counter((os.path.dirname(name), os.path.splitext(name)[1]) for name in plain)
    for (package, suffix), count in sorted(kinds.items(), key=lambda item: (item[0][0].count("/"), -item[1], item[0])):
        deep = next((n for n in plain if n.startswith(package + "/") and os.path.dirname(n) != package), None)
        if count >= _NEEDED and deep is not None:
            files = [n for n in plain if os.path.dirname(n) == package and n.endswith(suffix)]
            return package, files, suffix, os.path.dirname(deep), deep
    raise TooSmall(f"no directory with {_NEEDED} files of one kind and a directory with files below")
