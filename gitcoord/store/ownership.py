"""Whose repository is it? git refuses to work in one that belongs to somebody else, and so does gitcoord.

A repository's own configuration names programs that git runs (`core.sshCommand`, `core.fsmonitor`, ...), so one that
somebody else left where one works would let them run anything. git's rule is `safe.directory` (CVE-2022-24765), and git
applies it where it finds the repository by itself, not where it is told the git directory, as gitcoord tells it.

One's own repository costs a look at the owner of up to three paths. Only where one of them differs is git asked, from
inside the repository and without being told where that is: what it makes of its configuration counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitcoord.errors import UnsafeRepository

_LIMIT_S = 20
_TRUE = frozenset({"true", "yes", "on", "1"})
_ASSUME_OTHER = "GIT_TEST_ASSUME_DIFFERENT_OWNER"
_ADVICE = "git config --global --add safe.directory "


def check_ownership(around: str, git_dir: str, environment: Mapping[str, str]) -> None:
    """Refuse a repository that is somebody else's, unless git's configuration calls it safe.

    As in git: root may work in its own repositories and in those of the user who became root by `sudo`. The directory
    that linked worktrees share is not looked at, as git does not.

    Args:
        around: the directory in which the repository was found: its worktree's top, or the git directory itself.
        git_dir: the git directory's real path.
        environment: that of the process; git gets it, without what names a repository.

    Raises:
        UnsafeRepository: git refuses it, or there is no git that could be asked.
    """
    if environment.get(_ASSUME_OTHER, "").lower() not in _TRUE and all(
        _is_mine(path, environment) for path in dict.fromkeys((around, os.path.join(around, ".git"), git_dir))
    ):
        return
    _ask_git(around, git_dir, environment)


def _is_mine(path: str, environment: Mapping[str, str]) -> bool:
    try:
        owner = os.lstat(path).st_uid
    except OSError:
        return not os.path.lexists(path)  # a git directory that was found from inside has no `.git` in it
    if not hasattr(os, "geteuid"):
        return False  # owners are no numbers here: git knows
    me = os.geteuid()
    if me == 0 and owner != 0:
        sudo = environment.get("SUDO_UID", "")
        return sudo.isdecimal() and owner == int(sudo)
    return owner == me


def _ask_git(around: str, git_dir: str, environment: Mapping[str, str]) -> None:
    import subprocess

    from gitcoord import config

    try:
        done = subprocess.run(  # noqa: S603 - a fixed command; the directory stays one argument
            ["git", "-C", around, "rev-parse", "--absolute-git-dir"],  # noqa: S607 - git is the user's
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT_S,
            env=config.git_environment(environment),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unsafe(around, f"it belongs to another user, and git could not be asked about it: {error}") from error
    said = done.stderr.decode("utf-8", "replace").splitlines()
    if done.returncode:
        why = next((line for line in said if line.startswith("fatal: ")), "git refuses it").removeprefix("fatal: ")
        advice = next((line.strip() for line in said if line.strip().startswith(_ADVICE)), "")
        raise _unsafe(around, why, advice)
    found = os.fsdecode(done.stdout).removesuffix("\n")
    if os.path.realpath(found) != git_dir:
        raise _unsafe(around, f"it belongs to another user, and git takes another one there: {found}")


def _unsafe(around: str, why: str, advice: str = "") -> UnsafeRepository:
    import shlex

    trust = advice or _ADVICE + shlex.quote(around)
    return UnsafeRepository(
        f"gitcoord does not work in {around}, as git does not: {why}",
        next=f"if you trust whoever owns it: {trust}",
        reason=why,
    )
