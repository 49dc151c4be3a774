"""Refs beside the log's own: what a remote was last seen to have, and tips that are kept for the eye.

They decide nothing. git, `gc` and people can see what they name; the runtime files are what gitcoord itself goes by.
"""

from __future__ import annotations

import os

from gitcoord.store.disk import read_whole, remove, storage_fault
from gitcoord.store.repository import Repository

SEEN = "refs/gitcoord/remotes"
PENDING = "refs/gitcoord/pending"
KEPT = "refs/gitcoord/kept"
INCOMING = "refs/gitcoord/incoming"
_ALL = "refs/gitcoord"
_LOG = "refs/gitcoord/main"


def write_side_ref(repository: Repository, name: str, oid: bytes) -> bool:
    """Let a ref name a commit, whatever it named before; False where another program holds its lock file just now.

    Args:
        repository: the repository.
        name: the full name, below `refs/gitcoord/`.
        oid: the commit.

    Raises:
        StorageFault: the file system refused.
    """
    path = f"{repository.common_dir}/{name}"
    lock = f"{path}.lock"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        try:
            os.write(fd, oid.hex().encode() + b"\n")
        finally:
            os.close(fd)
        os.replace(lock, path)
    except OSError as error:
        remove(lock)
        raise storage_fault(error, path) from error
    return True


def drop_side_ref(repository: Repository, name: str) -> None:
    """Remove a ref that lies in a file of its own; one that git has packed stays, and is only litter."""
    remove(f"{repository.common_dir}/{name}")


def read_side_refs(repository: Repository) -> dict[str, bytes]:
    """Return all refs beside the log's own, by their full names, with what they name. Starts no git.

    Raises:
        StorageFault: the file system refused.
    """
    found: dict[str, bytes] = {}
    for line in _read_if_there(f"{repository.common_dir}/packed-refs").split(b"\n"):
        oid, _, name = line.partition(b" ")
        _take(found, os.fsdecode(name), oid)
    top = f"{repository.common_dir}/{_ALL}"
    for directory, _, files in os.walk(top):
        for file in files:
            path = f"{directory}/{file}"
            _take(found, _ALL + path[len(top) :], _read_if_there(path).strip())
    return found


def _take(found: dict[str, bytes], name: str, oid: bytes) -> None:
    if not name.startswith(f"{_ALL}/") or name == _LOG or name.endswith(".lock"):
        return
    try:
        found[name] = bytes.fromhex(oid.decode("ascii"))
    except ValueError:
        return


def _read_if_there(path: str) -> bytes:
    try:
        return read_whole(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise storage_fault(error, path) from error
