"""Making the log: what `init` does, and nothing more."""

from __future__ import annotations

from gitcoord import config
from gitcoord.errors import RemoteFault, UnrelatedLogs, UnsupportedRepository
from gitcoord.model import ALIAS_REF, DEFAULT_LIMITS, LOG_REF, Operation, Policy
from gitcoord.model_time import Stamp
from gitcoord.runtime.clone import clone_id
from gitcoord.runtime.machine import new_id
from gitcoord.runtime.shared import BRANCH_REF, DEFAULT_REF, Shared
from gitcoord.service.access import Access, open_access
from gitcoord.service.project import repository_config
from gitcoord.store.inherited import let_go_of_inherited
from gitcoord.store.setup import prepare_runtime
from gitcoord.transitions import clocks
from gitcoord.values import Any

_NOT_SHARED = ("", "umask", "false", "no", "off", "0")


def initialise(
    start: str, *, remote: str | None = None, branch: bool = False, local: bool = False, adopt: bool = False
) -> dict[str, Any]:
    """Make the log of the repository around a directory, join the one of its remote, or put right what is missing.

    Touches the log's refs and reflog, the runtime directory, and one line of the repository's list of alternates. Looks
    once at the default remote: a log that is there is joined. A new one is published only where a remote is named.

    Args:
        start: a directory in a worktree, or a git directory.
        remote: share the log with this remote: its name, or a URL.
        branch: let it lie there as a branch, for hosts that take nothing else.
        local: do not look at any remote.
        adopt: where the named remote has a log that began apart from this one, take this one over into it.

    Returns:
        `ok`, `created` (false where there was a log), `restored` (its ref was deleted, and is put back), `joined` (the
        remote's log was taken over), `repository` (the log's id), `ref`, `alias`, `runtime`, `sharing` (with whom, None
        for nobody), `warnings`, `next`.

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
    clone_id(access.runtime)
    coordinator = access.coordinator
    created = restored = False
    warnings: list[str] = []
    if coordinator.ref.read() is None:
        restored = coordinator.restore()
    joined = None if local else _look_around(access, remote, warnings)
    if coordinator.ref.read() is None:
        created = coordinator.begin(_first_operation(access, coordinator.clock.stamp()))
    coordinator.mend_refs()
    let_go = let_go_of_inherited(access.repository, config.environment())
    warnings += [f"the log of another clone is still read from {place}: {why}" for place, why in let_go.kept]
    sharing = _share(access, remote, branch=branch, adopt=adopt) if remote is not None else joined
    return {
        "ok": True,
        "created": created,
        "restored": restored,
        "joined": joined is not None,
        "repository": coordinator.snapshot().state.header["repository"],
        "ref": LOG_REF,
        "alias": ALIAS_REF,
        "runtime": access.runtime,
        "made": [path for path in made if created],
        "sharing": sharing,
        "warnings": [*warnings, *([str(sharing["warning"])] if sharing else [])],
        "next": "gitcoord status",
    }


def _share(access: Access, remote: str, *, branch: bool, adopt: bool) -> dict[str, Any]:
    from gitcoord.service import remotes

    shared = None if branch else remotes.look_for_log(access, remote)
    if shared is None:
        shared = Shared(remote, BRANCH_REF if branch else DEFAULT_REF)
    return remotes.turn_on(access, shared, adopt=adopt)


def _look_around(access: Access, named: str | None, warnings: list[str]) -> dict[str, Any] | None:
    """Join the log of the named or the default remote, where there is one; say why where that cannot be told."""
    if access.shared is not None:
        return None
    from gitcoord.service import remotes

    fresh = access.coordinator.ref.read() is None
    if named is not None and not fresh:
        return None
    remote = named or remotes.default_remote(access)
    if remote is None:
        return None
    try:
        found = remotes.look_for_log(access, remote)
        if found is None:
            return None
        if fresh:
            remotes.join(access, found)
            return {**remotes.described(access, found), "published": False}
        return remotes.turn_on(access, found)
    except UnrelatedLogs as error:
        warnings.append(f"{error.message}. To join them: gitcoord sync --remote {remote} --adopt")
    except RemoteFault as error:
        if named is not None:
            raise
        warnings.append(
            f"{error.message}. If the team has a log there already: gitcoord sync --remote {remote} --adopt"
        )
    return None


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
