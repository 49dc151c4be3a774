"""Making the log: what `init` does, and nothing more."""

from __future__ import annotations

from gitcoord import config
from gitcoord.model import ALIAS_REF, DEFAULT_LIMITS, LOG_REF, Operation, Policy
from gitcoord.model_time import Stamp
from gitcoord.runtime.machine import new_id
from gitcoord.service.access import Access, open_access
from gitcoord.store.setup import prepare_runtime
from gitcoord.transitions import clocks
from gitcoord.values import Any


def initialise(start: str) -> dict[str, Any]:
    """Make the log of the repository around a directory, or put right what is missing of an existing one.

    Touches the log's refs and reflog, the runtime directory, and one line of the repository's list of alternates.

    Args:
        start: a directory in a worktree, or a git directory.

    Returns:
        `ok`, `created` (false where there was a log), `repository` (the log's id), `ref`, `alias`, `runtime`, `next`.

    Raises:
        CoordError: no repository, or the file system refused.
    """
    access = open_access(start)
    made = prepare_runtime(access.repository)
    coordinator = access.coordinator
    created = False
    if coordinator.ref.read() is None:
        created = coordinator.begin(_first_operation(access, coordinator.clock.stamp()))
    coordinator.mend_refs()
    return {
        "ok": True,
        "created": created,
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
