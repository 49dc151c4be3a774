"""Making the log: what `init` does, and nothing more."""

from __future__ import annotations

import os

from gitcoord import config, principals
from gitcoord.errors import BadRequest, RemoteFault, UnrelatedLogs, UnsupportedRepository
from gitcoord.model import ALIAS_REF, DEFAULT_LIMITS, LOG_REF, Key, Operation, Policy
from gitcoord.model_time import Stamp
from gitcoord.runtime.clone import clone_id
from gitcoord.runtime.machine import new_id
from gitcoord.runtime.shared import BRANCH_REF, DEFAULT_REF, Shared
from gitcoord.service.access import Access, open_access
from gitcoord.service.project import repository_config
from gitcoord.store.inherited import let_go_of_inherited
from gitcoord.store.setup import prepare_runtime
from gitcoord.transitions import clocks
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gitcoord.signing import Signer

ROOT_KEY = "gitcoord.root"
"""Where a clone's own git configuration holds the fingerprint of the root that it trusts."""
_NOT_SHARED = ("", "umask", "false", "no", "off", "0")


class Signing(NamedTuple):
    """How a new log is to be signed.

    Attributes:
        kind: `ssh`, `gpg` or `none`; None leaves it to the user's git.
        key: as git's `user.signingKey` takes it.
        trust: the fingerprint that the root of a log has to have in this clone.
    """

    kind: str | None = None
    key: str | None = None
    trust: str | None = None


def pin_root(access: Access, fingerprint: str) -> str:
    """Let this clone trust logs of one root only, from now on, and return that in words.

    Raises:
        BadRequest: it is no fingerprint; nothing was changed.
    """
    if not principals.is_fingerprint(fingerprint):
        raise BadRequest(
            f"{fingerprint!r} is no key's fingerprint",
            next="give it whole, as gitcoord keys list shows it where the log is: SHA256:..., or a GPG key's 40 digits",
        )
    config.set_git_config(access.repository.git_dir, ROOT_KEY, fingerprint)
    return f"this clone trusts logs of the root {fingerprint} from now on ({ROOT_KEY})"


def initialise(
    start: str,
    signing: Signing | None = None,
    *,
    remote: str | None = None,
    branch: bool = False,
    local: bool = False,
    adopt: bool = False,
) -> dict[str, Any]:
    """Make the log of the repository around a directory, join the one of its remote, or put right what is missing.

    Touches the log's refs and reflog, the runtime directory, and one line of the repository's list of alternates. Looks
    once at the default remote: a log that is there is joined. A new one is published only where a remote is named.

    Args:
        start: a directory in a worktree, or a git directory.
        signing: how a new log is signed; by default as the user's git signs commits, if it does.
        remote: share the log with this remote: its name, or a URL.
        branch: let it lie there as a branch, for hosts that take nothing else.
        local: do not look at any remote.
        adopt: where the named remote has a log that began apart from this one, take this one over into it.

    Returns:
        `ok`, `created` (false where there was a log), `restored` (its ref was deleted, or named what it cannot name,
        and is put back), `joined` (the remote's log was taken over), `repository` (the log's id), `ref`, `alias`,
        `runtime`, `root` (the fingerprint of the root's key in a log that was made signed), `sharing` (with whom, None
        for nobody), `warnings`, `next`; `notices` where the ref was put back or the clone's configuration changed.

    Raises:
        CoordError: no repository, or the file system refused.
    """
    access = open_access(start)
    _refuse_shared_files(access)
    warnings: list[str] = []
    signing = signing or Signing()
    # Before anything is fetched: what comes is judged by it.
    notices = [] if signing.trust is None else [pin_root(access, signing.trust)]
    made = prepare_runtime(access.repository)
    clone_id(access.runtime)
    coordinator = access.coordinator
    created = False
    signer: Signer | None = None
    restored = coordinator.put_back() is not None
    notices += access.news_of_place()
    joined = None if local else _look_around(access, remote, warnings, notices)
    if coordinator.ref.read() is None:
        created, signer = _begin(access, signing)
    coordinator.mend_refs()
    let_go = let_go_of_inherited(access.repository, config.environment())
    warnings += [f"the log of another clone is still read from {place}: {why}" for place, why in let_go.kept]
    if created and signer is not None:
        notices.extend(_remember(access, signer, signing))
    sharing = _share(access, remote, branch=branch, adopt=adopt) if remote is not None else joined
    notices += [] if sharing is None else sharing.pop("notices", [])
    answer: dict[str, Any] = {
        "root": signer.fingerprint if created and signer is not None else None,
        "ok": True,
        "created": created,
        "restored": restored,
        "joined": joined is not None,
        "repository": coordinator.snapshot().state.header["repository"],
        "ref": LOG_REF,
        "alias": ALIAS_REF,
        "runtime": access.runtime,
        "made": made if created else [],
        "sharing": sharing,
        "warnings": [*warnings, *([str(sharing["warning"])] if sharing else [])],
        "next": "gitcoord status",
    }
    return {**answer, "notices": notices} if notices else answer


def _begin(access: Access, signing: Signing) -> tuple[bool, Signer | None]:
    """Make the log's first commit; return whether it was made here and not by another at once, and who signs."""
    git = config.read_git_config(access.repository.git_dir)
    signer = _signer(access, git, signing)
    if git.root is not None and (signer is None or signer.fingerprint != git.root):
        raise BadRequest(
            f"this clone trusts logs of the root {git.root} only ({ROOT_KEY}), and there is none to join",
            next=f"see that the remote is reached, or let go of that root: git config --unset {ROOT_KEY}",
        )
    stamp = access.coordinator.clock.stamp()
    return access.coordinator.begin(_first_operation(git, stamp, signer), signer), signer


def _refuse_shared_files(access: Access) -> None:
    """Refuse a repository whose files several users of the machine share.

    Raises:
        UnsupportedRepository: git's configuration says that they do.
    """
    shared = repository_config(access.repository).get("core.sharedrepository", "").lower()
    if shared not in _NOT_SHARED:
        raise UnsupportedRepository(
            f"core.sharedRepository is {shared}: gitcoord's objects are private to one user of the machine, and git of "
            "the others could not read them",
            next="use a clone of your own",
        )


def _share(access: Access, remote: str, *, branch: bool, adopt: bool) -> dict[str, Any]:
    from gitcoord.service import remotes

    shared = None if branch else remotes.look_for_log(access, remote)
    if shared is None:
        shared = Shared(remote, BRANCH_REF if branch else DEFAULT_REF)
    return remotes.turn_on(access, shared, adopt=adopt)


def _look_around(access: Access, named: str | None, warnings: list[str], notices: list[str]) -> dict[str, Any] | None:
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
            root = remotes.join(access, found)
            notices += trust_first(access, root)
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


def trust_first(access: Access, root: str | None) -> list[str]:
    """Let the root of the first log that this clone takes over be the only one that it trusts; return what to say."""
    git_dir = access.repository.git_dir
    if root is None or config.read_git_config(git_dir).root is not None:
        return []
    config.set_git_config(git_dir, ROOT_KEY, root)
    return [f"first use: the root of this log is {root}; this clone trusts no other ({ROOT_KEY})"]


def _signer(access: Access, git: config.GitSettings, signing: Signing) -> Signer | None:
    """Return who signs a new log, None where it is to be an unsigned one.

    Raises:
        NoKey: it was to be signed, and there is no key to sign with.
    """
    from gitcoord.service.signers import Signers

    if signing.kind == "none":
        return None
    signers = Signers(access.repository, signing.key)
    if signing.kind is not None or signing.key is not None:
        return signers.named(signing.kind, signing.key)
    return signers.of_git(git)


def _remember(access: Access, signer: Signer, signing: Signing) -> list[str]:
    """Let the clone's own configuration say what its first use says: the root, and with which key to sign on."""
    git_dir = access.repository.git_dir
    said = [f"the root of this log is {signer.fingerprint}; this clone trusts no other ({ROOT_KEY})"]
    config.set_git_config(git_dir, ROOT_KEY, signer.fingerprint)
    if signing.kind is not None or signing.key is not None:
        key = signing.key
        if signer.kind == "gpg":
            key = signer.fingerprint
        elif key is not None and os.path.exists(os.path.expanduser(key)):
            key = os.path.abspath(os.path.expanduser(key))
        config.set_git_config(git_dir, "gitcoord.sign", signer.kind)
        if key is not None:
            config.set_git_config(git_dir, "gitcoord.signingKey", key)
        said.append("this clone signs with that key (gitcoord.sign, gitcoord.signingKey)")
    return said


def _first_operation(git: config.GitSettings, now: Stamp, signer: Signer | None) -> Operation:
    settings = config.settle(config.read_environment(), git)
    policy: Policy = {
        "version": 1,
        "case": "insensitive" if settings.ignore_case else "sensitive",
        "unsigned": "accepted",
        "limits": DEFAULT_LIMITS,
    }
    if signer is not None:
        key: Key = {
            "kind": signer.kind,
            "fingerprint": signer.fingerprint,
            "public": signer.public,
            "since": 1,
            "until": None,
        }
        policy["unsigned"] = "refused"
        policy["roles"] = principals.DEFAULT_ROLES
        policy["principals"] = {settings.user_name: {"roles": ["root"], "keys": [key]}}
    return {
        "id": new_id(now.at_ms),
        "type": "log.init",
        "repository": new_id(now.at_ms).lower(),
        "policy": policy,
        "clock": clocks.reading(now),
        "author": {"name": settings.user_name, "email": settings.user_email},
    }
