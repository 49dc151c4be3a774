"""Making the log: what `init` does, and nothing more."""

from __future__ import annotations

from gitcoord import config
from gitcoord.errors import UnsupportedRepository
from gitcoord.model import ALIAS_REF, DEFAULT_LIMITS, LOG_REF, Operation, Policy
from gitcoord.model_time import Stamp
from gitcoord.runtime.machine import new_id
from gitcoord.service.access import Access, open_access
from gitcoord.service.project import repository_config
from gitcoord.store.setup import prepare_runtime
from gitcoord.transitions import clocks
from gitcoord.values import Any

_NOT_SHARED = ("", "umask", "false", "no", "off", "0")


def initialise(start: str) -> dict[str, Any]:
    """Make the log of the repository around a directory, or put right what is missing of an existing one.

    Touches the log's refs and reflog, the runtime directory, and one line of the repository's list of alternates.

    Args:
        start: a directory in a worktree, or a git directory.

    Returns:
        `ok`, `created` (false where there was a log), `restored` (its ref was deleted, and is put back),
        `repository` (the log's id), `ref`, `alias`, `runtime`, `next`.

    Raises:
        CoordError: no repository, or the file system refused.
    """
    access = open_access(start)
    shared = repository_config(access.repository).get("core.sharedrepository", "").lower()
    if shared not in _NOT_SHARED:
        raise UnsupportedRepository(
            f"core.sharedRepository is {shared}: gitcoord's objects are private to one user of the machine, and git of "
            "the others could not read them",
            next="use a clone of your own",
        )
    made = prepare_runtime(access.repository)
    coordinator = access.coordinator
    created = restored = False
    if coordinator.ref.read() is None:
        restored = coordinator.restore()
    if coordinator.ref.read() is None:
        created = coordinator.begin(_first_operation(access, coordinator.clock.stamp()))
    coordinator.mend_refs()
    return {
        "ok": True,
        "created": created,
        "restored": restored,
        "repository": coordinator.snapshot().state.header["repository"],
        "ref": LOG_REF,
        "alias": ALIAS_REF,
        "runtime": access.runtime,
        "made": [path for path in made if created],
        "next": "gitcoord status",
    }


def _first_operation(access: Access, now: Stamp) -> Operation:
    git = config.read_git_config(access.repository.git_dir)
    settings = config.settle(config.read_environment(), git)
    policy: Policy = {
        "version": 1,
        "case": "insensitive" if settings.ignore_case else "sensitive",
        "unsigned": "accepted",
        "limits": DEFAULT_LIMITS,
    }
    return {
        "id": new_id(now.at_ms),
        "type": "log.init",
        "repository": new_id(now.at_ms).lower(),
        "policy": policy,
        "clock": clocks.reading(now),
        "author": {"name": settings.user_name, "email": settings.user_email},
    }
