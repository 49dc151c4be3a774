"""Packing the log's history: from a few kilobytes in many files to a few hundred bytes in one.

Each operation leaves some loose objects of a block each. What is old, and not part of the newest state, goes into a
pack beside them, made by git itself; then the loose copies go. The newest state stays loose, so that commands that look
at it read files and no packs. Nothing that the log does not reach is packed or removed: unpublished objects stay.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gitcoord.errors import StorageFault
from gitcoord.store.disk import remove, storage_fault, sync_directory

if TYPE_CHECKING:
    from gitcoord.store.repository import Repository

WORTH_IT = 5000
_OLD_S = 3600
_TIMEOUT_S = 600


def loose_count(repo: Repository, *, at_most: int = 1_000_000) -> int:
    """Return how many loose objects the log has; stops counting at a limit."""
    count = 0
    for folder in _fan_out(repo):
        count += len(os.listdir(folder))
        if count >= at_most:
            break
    return count


def _fan_out(repo: Repository) -> list[str]:
    directory = f"{repo.runtime}/objects"
    try:
        return [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if len(name) == 2]
    except OSError as error:
        raise storage_fault(error, directory) from error


def pack_history(repo: Repository, tip: bytes, now_s: float, env: dict[str, str]) -> int:
    """Pack what the log's history holds in loose objects, and return how many loose ones went.

    Safe beside writers and readers: an object's loose copy goes only after its pack is there.

    Args:
        repo: the repository.
        tip: the log's newest commit.
        now_s: the time, in seconds since the epoch; what is younger than an hour stays loose.
        env: the environment that git gets.

    Raises:
        StorageFault: git or the file system refused; no object is lost.
    """
    loose = _old_loose(repo, now_s)
    newest = {line.split()[2] for line in _git(repo, env, "ls-tree", "-r", "-t", tip.hex()).splitlines()}
    newest |= {tip.hex().encode(), _git(repo, env, "rev-parse", f"{tip.hex()}^{{tree}}").strip()}
    history = {line[: 2 * len(tip)] for line in _git(repo, env, "rev-list", "--objects", tip.hex()).splitlines()}
    wanted = sorted(name for name in history & loose.keys() if name not in newest)
    if not wanted:
        return 0
    base = os.path.join(repo.runtime, "objects", "pack", "pack")
    os.makedirs(os.path.dirname(base), mode=0o700, exist_ok=True)
    made = _git(repo, env, "pack-objects", "--quiet", base, given=b"\n".join(wanted) + b"\n").split()
    for name in made:
        _git(repo, env, "verify-pack", f"{base}-{name.decode()}.idx")
    sync_directory(os.path.dirname(base))
    still_old = _old_loose(repo, now_s)
    return sum(remove(loose[name]) for name in wanted if name in still_old)


def _old_loose(repo: Repository, now_s: float) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for folder in _fan_out(repo):
        with os.scandir(folder) as entries:
            for entry in entries:
                if now_s - entry.stat().st_mtime >= _OLD_S:
                    found[(os.path.basename(folder) + entry.name).encode()] = entry.path
    return found


def _git(repo: Repository, env: dict[str, str], *words: str, given: bytes = b"") -> bytes:
    """Run git on the repository, new objects going to gitcoord's own store."""
    import subprocess

    own = {name: value for name, value in env.items() if not name.startswith("GIT_")}
    own["GIT_OBJECT_DIRECTORY"] = f"{repo.runtime}/objects"
    own["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = f"{repo.common_dir}/objects"
    own["GIT_NO_REPLACE_OBJECTS"] = "1"
    command = ["git", f"--git-dir={repo.common_dir}", *words]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, paths and object names
            command, input=given, capture_output=True, env=own, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageFault(f"git {words[0]} did not run: {error}", next="gitcoord doctor") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise StorageFault(f"git {words[0]} failed: {said}", next="git fsck")
    return done.stdout
