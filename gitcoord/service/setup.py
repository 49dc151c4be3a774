"""Making the log: what `init` does, and nothing more."""

from __future__ import annotations

import os

from gitcoord import config, principals
from gitcoord.errors import UnsupportedRepository
from gitcoord.model import ALIAS_REF, DEFAULT_LIMITS, LOG_REF, Key, Operation, Policy
from gitcoord.model_time import Stamp
from gitcoord.runtime.machine import new_id
from gitcoord.service.access import Access, open_access
from gitcoord.service.project import repository_config
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


def initialise(start: str, signing: Signing | None = None) -> dict[str, Any]:
    """Make the log of the repository around a directory, or put right what is missing of an existing one.

    Touches the log's refs and reflog, the runtime directory, and one line of the repository's list of alternates.

    Args:
        start: a directory in a worktree, or a git directory.
        signing: how a new log is signed; by default as the user's git signs commits, if it does.

    Returns:
        `ok`, `created` (false where there was a log), `restored` (its ref was deleted, and is put back),
        `repository` (the log's id), `ref`, `alias`, `runtime`, `root` (the fingerprint of the root's key in a log that
        was made signed), `next`; `notices` where the clone's configuration was changed.

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
    notices: list[str] = []
    signing = signing or Signing()
    signer: Signer | None = None
    if coordinator.ref.read() is None:
        restored = coordinator.restore()
    if coordinator.ref.read() is None:
        git = config.read_git_config(access.repository.git_dir)
        signer = _signer(access, git, signing)
        created = coordinator.begin(_first_operation(git, coordinator.clock.stamp(), signer), signer)
    coordinator.mend_refs()
    if created and signer is not None:
        notices.extend(_remember(access, signer, signing))
    elif signing.trust is not None:
        config.set_git_config(access.repository.git_dir, ROOT_KEY, signing.trust)
        notices.append(f"this clone trusts logs of the root {signing.trust} from now on ({ROOT_KEY})")
    answer: dict[str, Any] = {
        "root": None if signer is None or not created else signer.fingerprint,
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
    return {**answer, "notices": notices} if notices else answer


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
