"""Locate: from what somebody typed to the claim that it means. The one place where paths meet the file system.

All worktrees of a repository share its log, so one file has one key, whichever worktree it is named through, and
whichever symbolic links lead to its directory. A path need not exist.
"""

from __future__ import annotations

import os
import stat

from gitcoord.errors import InvalidPath
from gitcoord.names import shown
from gitcoord.paths import Claim, escape, fold_part, has_wildcard, parse_claim, split_spelled, unescape
from gitcoord.values import NamedTuple


class Place(NamedTuple):
    """Where the caller stands.

    Attributes:
        roots: the real paths of all worktrees' roots, the main one first; `()` in a bare repository.
        base: the absolute directory that relative paths are relative to; not asked for in a bare repository.
        git_dirs: the real paths of the git directories, in which nothing can be claimed.
    """

    roots: tuple[str, ...]
    base: str
    git_dirs: tuple[str, ...]


def resolve(text: str, place: Place, *, fold_case: bool = False, literal: bool = False) -> Claim:
    """Return the claim that a typed path or pattern means.

    Symbolic links in the directories above are followed, a link that is named itself is not: it is a file of the
    repository. With a trailing slash, or seen from outside all worktrees, a link stands for what it leads to. Of a
    pattern only the part before the first wildcard is looked at on disk. In a bare repository, which has no files,
    paths are relative to its root and nothing is looked at.

    Args:
        text: in spelled form, relative to the place's base, or absolute and in any worktree.
        place: where the caller stands.
        fold_case: the log takes upper and lower case for the same.
        literal: the text is a file's name letter by letter, without wildcards and escapes.

    Raises:
        InvalidPath: no path, outside the repository, or in a git directory.
    """
    spelled = to_spelled(text, literal=literal, windows=os.name == "nt")
    parts = split_spelled(spelled)
    if place.roots:
        claim = _in_worktree(text, parts, place, fold_case=fold_case)
    elif os.path.isabs(spelled):
        raise InvalidPath(
            f"a bare repository has no files: {shown(text)}", next="name the path relative to the repository's root"
        )
    else:
        claim = parse_claim(spelled, fold_case=fold_case)
    if any(part.lower() == ".git" for part in claim.spelled.split("/")):
        raise _in_git_dir(text)
    return claim


def target_of(text: str, place: Place, *, fold_case: bool = False, literal: bool = False) -> Claim | None:
    """Return the claim on what a symbolic link that is named itself leads to: who writes through it writes there.

    Args:
        text: as `resolve` takes it.
        place: where the caller stands.
        fold_case: the log takes upper and lower case for the same.
        literal: the text is a file's name letter by letter, without wildcards and escapes.

    Returns:
        None where the text names no link, or one that leads out of the repository.
    """
    spelled = to_spelled(text, literal=literal, windows=os.name == "nt")
    if not place.roots or spelled[-1:] in ("/", ""):
        return None
    parts = spelled.split("/")
    if any(has_wildcard(part) for part in parts):
        return None
    typed = os.path.join(place.base, "/".join(unescape(part) for part in parts))
    try:
        if not os.path.islink(typed):
            return None
        return resolve(os.path.realpath(typed), place, fold_case=fold_case, literal=True)
    except (InvalidPath, ValueError):
        return None


def to_spelled(text: str, *, literal: bool, windows: bool) -> str:
    """Return the text in spelled form, with `/` between directories where it is sure to be Windows' own path."""
    if windows and (literal or _has_drive(text)):
        text = text.replace("\\", "/")
    return escape(text) if literal else text


def _has_drive(text: str) -> bool:
    return text[:1].isalpha() and text[1:2] == ":" and text[2:3] in ("/", "\\") and len(text) > 2


def _in_worktree(text: str, parts: list[str], place: Place, *, fold_case: bool) -> Claim:
    """Return the claim on a path that some worktree has to contain."""
    wild = next((number for number, part in enumerate(parts) if has_wildcard(part)), len(parts))
    tail = parts[wild:]
    head = "/".join(unescape(part) for part in parts[:wild])
    if parts[0] == "" and wild == 1:
        head = "/"
    typed = os.path.join(place.base, head)
    if tail or parts[-1] in ("", ".", ".."):
        real, directory = os.path.realpath(typed), not tail
        inside = _contained(real, place, fold_case=fold_case)
    else:
        above, name = os.path.split(typed)
        real = os.path.join(_real_directory(above, place.roots), name)
        inside = _contained(real, place, fold_case=fold_case)
        if inside is None:
            real = os.path.realpath(real)
            inside = _contained(real, place, fold_case=fold_case)
        directory = os.path.isdir(real) and not os.path.islink(real)
    if inside is None:
        raise InvalidPath(
            f"outside the repository: {shown(text)} is {shown(real)}",
            next=f"name a path below {' or '.join(shown(root) for root in place.roots)}",
        )
    is_git_dir, below = inside
    if is_git_dir:
        raise _in_git_dir(text)
    _refuse_other_repository(text, real, below, deep=bool(tail))
    if directory and below and not tail and os.path.lexists(os.path.join(real, ".git")):
        directory = False  # to this repository a submodule is one entry: its files have a log of their own
    spelled = "/".join([*(escape(part) for part in below), *tail]) or "."
    return parse_claim(spelled, directory=directory, fold_case=fold_case)


def _real_directory(path: str, roots: tuple[str, ...]) -> str:
    """Do as `os.path.realpath` does; what leads to a worktree's root, which is a real path, is not looked at again."""
    for root in roots if os.altsep is None else ():
        if path == root:
            return path
        parts = path[len(root) :].split(os.sep) if path.startswith(root) else ["."]
        if parts[0] or not {"", os.curdir, os.pardir}.isdisjoint(parts[1:]):
            continue
        here = root
        for part in parts[1:]:
            here = f"{here}{os.sep}{part}"
            try:
                found = os.lstat(here)
            except OSError:
                return path
            if stat.S_ISLNK(found.st_mode):
                return os.path.realpath(path)
        return path
    return os.path.realpath(path)


def _refuse_other_repository(text: str, real: str, below: list[str], *, deep: bool) -> None:
    """Refuse a path that lies in a submodule, or in a clone that somebody made inside this repository, as git does.

    Args:
        text: what was typed.
        real: the real path, or that of the directory above a pattern.
        below: its parts below the worktree's root.
        deep: something below the real path is meant.

    Raises:
        InvalidPath: a directory on the way holds a repository of its own.
    """
    directory = real if deep else os.path.dirname(real)
    for count in range(len(below) if deep else len(below) - 1, 0, -1):
        if os.path.lexists(os.path.join(directory, ".git")):
            inner = "/".join(below[:count])
            raise InvalidPath(
                f"inside the repository in {shown(inner)} (a submodule, or a clone): {shown(text)}",
                next=f"lock it in that repository's own log: gitcoord -C {shown(inner)} lock ...",
            )
        directory = os.path.dirname(directory)


def _contained(real: str, place: Place, *, fold_case: bool) -> tuple[bool, list[str]] | None:
    """Return whether the deepest container of a real path is a git directory, and the path's parts below it.

    A worktree may lie in another one, and even in a git directory: the deepest wins. `None` where nothing contains it.
    """
    parts = _real_parts(real)
    keys = [fold_part(part, fold_case=True) for part in parts] if fold_case else parts
    deepest = -1
    found = None
    candidates = [(False, root) for root in place.roots]
    candidates += [(True, git_dir) for git_dir in place.git_dirs]
    for is_git_dir, container in candidates:
        above = _real_parts(container)
        if fold_case:
            above = [fold_part(part, fold_case=True) for part in above]
        if len(above) > deepest and keys[: len(above)] == above:
            deepest = len(above)
            found = is_git_dir, parts[deepest:]
    return found


def _real_parts(real: str) -> list[str]:
    """Split a real path, in which a backslash separates only where it is the system's separator."""
    return [part for part in real.replace(os.sep, "/").split("/") if part]


def _in_git_dir(text: str) -> InvalidPath:
    return InvalidPath(
        f"inside a git directory: {shown(text)}", next="git itself guards it; claim files of the worktree"
    )
