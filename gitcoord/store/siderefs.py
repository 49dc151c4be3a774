"""Refs beside the log's own: what a remote was last seen to have, and tips that are kept for the eye.

They decide nothing. git, `gc` and people can see what they name; the runtime files are what gitcoord itself goes by.
"""

from __future__ import annotations

import os

from gitcoord.store.disk import remove, storage_fault
from gitcoord.store.repository import Repository

SEEN = "refs/gitcoord/remotes"
PENDING = "refs/gitcoord/pending"
KEPT = "refs/gitcoord/kept"
INCOMING = "refs/gitcoord/incoming"


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
