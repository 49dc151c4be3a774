"""The verbs of the policy: who is known by which keys, what roles may do, and changing that."""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import canonical, names, principals
from gitcoord.coordinator import Plan
from gitcoord.errors import BadRequest, NotFound
from gitcoord.model import Key, Operation, Policy
from gitcoord.model_time import Stamp
from gitcoord.service import signers
from gitcoord.service.callers import Actor, SignOn
from gitcoord.service.views import View
from gitcoord.state import State
from gitcoord.transitions import policies
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from gitcoord.service.desk import Desk

Change = Callable[[Policy], None]
"""Changes a copy of the policy that holds."""

_DEFAULT_ROLE = "member"
_FIRST_ROLE = "root"


class Request(NamedTuple):
    """What every change of the policy is done with.

    Attributes:
        desk: the caller's.
        session: act as this session.
        reason: why, for the record.
        notices: takes the news.
    """

    desk: Desk
    session: str | None
    reason: str
    notices: list[str]


def show(state: State) -> View:
    """Return the policy that judges the next operation."""
    return {"policy": canonical.copy_of(state.policy)}


def list_keys(state: State) -> View:
    """Return every key of every principal, and whether it counts now."""
    policy = state.policy
    at = state.revision + 1
    found = [
        {
            "principal": name,
            "roles": principal["roles"],
            "kind": key["kind"],
            "fingerprint": key["fingerprint"],
            "since": key["since"],
            "until": key["until"],
            "good": principals.is_good_at(key, at),
            "public": key["public"],
        }
        for name, principal in policy.get("principals", {}).items()
        for key in principal["keys"]
    ]
    return {"keys": found, "unsigned": policy["unsigned"], "signed_log": principals.is_signed_log(policy)}


def set_policy(request: Request, wanted: Any) -> View:
    """Set the whole policy: as `policy show` gave it, changed.

    Its version may be that of the policy that holds, or the next one; a key's `since` is not read, and an `until` of 0
    revokes it. GnuPG is asked whether a new key of its kind is the one that its fingerprint names.

    Raises:
        BadRequest: it is no policy.
        NoKey: there is no GnuPG to ask.
    """
    if type(wanted) is not dict:
        raise BadRequest("a policy is a JSON object", next="gitcoord policy show --json")
    given = cast("dict[str, Any]", wanted)
    inner = given.get("policy")
    if type(inner) is dict and "limits" not in given:  # the whole answer of `policy show`
        given = cast("dict[str, Any]", inner)
    version = given.get("version")
    _check_gpg_keys(request.desk, given)

    def change(policy: Policy) -> None:
        following = policy["version"] + 1
        fresh = {**canonical.copy_of(given), "version": following if version == policy["version"] else version}
        whole = cast("dict[str, Any]", policy)
        whole.clear()
        whole.update(fresh)

    return _changed(request, change)


def _check_gpg_keys(desk: Desk, policy: dict[str, Any]) -> None:
    if principals.fault_of(policy) is not None:
        return  # the rule says what is wrong
    held = desk.access.state().policy
    for principal in cast("Policy", policy).get("principals", {}).values():
        for key in principal["keys"]:
            if key["kind"] == "gpg" and principals.find_key(held, key["fingerprint"]) is None:
                signers.check_gpg(desk.access.repository, key["fingerprint"], key["public"])


def add_key(request: Request, name: str, key: str, roles: list[str]) -> View:
    """Add a public key to a principal, or a principal with its first key.

    Args:
        request: with what it is done.
        name: the principal's.
        key: an SSH public key or its file, an armoured GPG key's file, how the user's GnuPG names a key, or a session's
            id for the key that `keys new` made for it.
        roles: of a new principal, `member` by default and `root` for a log's first; of a known one, its new roles. One
            that has neither a role nor a good key left is as a new one.

    Raises:
        Refused: the key is somebody else's, or was revoked.
    """
    repository = request.desk.access.repository
    own = signers.own_public(repository, key)
    kind, fingerprint, public = own or signers.public_key(repository, key)
    entry: Key = {"kind": kind, "fingerprint": fingerprint, "public": public, "since": 0, "until": None}

    def change(policy: Policy) -> None:
        if "roles" not in policy:
            policy["roles"] = canonical.copy_of(principals.DEFAULT_ROLES)
        known = policy.setdefault("principals", {})
        held = principals.find_key(policy, fingerprint)
        if held is not None:
            policies.check_held(held, name, entry)
        principal = known.setdefault(name, {"roles": [], "keys": []})
        is_new = not principal["roles"] and all(key["until"] is not None for key in principal["keys"])
        if roles or is_new:
            principal["roles"] = roles or [_DEFAULT_ROLE if len(known) > 1 else _FIRST_ROLE]
        if held is None:
            principal["keys"].append(entry)

    answer = _changed(request, change)
    return {**answer, "principal": name, "fingerprint": fingerprint}


def revoke_key(request: Request, fingerprint: str) -> View:
    """Revoke a key, named by its fingerprint or by a beginning of it that only one has: it counts no more from now on.

    Raises:
        NotFound: there is no such key, or several.
    """
    said: list[str] = []

    def change(policy: Policy) -> None:
        found = [
            key
            for principal in policy.get("principals", {}).values()
            for key in principal["keys"]
            if key["fingerprint"].startswith(fingerprint)
        ]
        if len(found) != 1 or not fingerprint:
            keys = "1 key begins" if len(found) == 1 else f"{len(found)} keys begin"
            raise NotFound(
                f"{keys} with {fingerprint!r}; a key is named by its fingerprint, or by a beginning that only it has",
                next="gitcoord keys list",
            )
        said[:] = [found[0]["fingerprint"]]
        if found[0]["until"] is None:
            found[0]["until"] = policies.NOW

    answer = _changed(request, change)
    return {**answer, "fingerprint": said[0]}


def new_key(desk: Desk, session: str) -> View:
    """Make an Ed25519 key for a session, in the runtime directory, for its user alone; one that is there is kept."""
    names.check_session_id(session)
    path, key = signers.make_key(desk.access.repository, session)
    known = principals.find_key(desk.access.state().policy, key.fingerprint)
    return {
        "ok": True,
        "session": session,
        "path": path,
        "fingerprint": key.fingerprint,
        "public": f"{key.public} {session}",
        "principal": None if known is None else known[0],
        "next": f"gitcoord keys add {session} {session} --role agent" if known is None else "",
    }


def _changed(request: Request, change: Change) -> View:
    """Let a change of the policy take effect."""
    desk = request.desk
    said: list[Actor] = []
    versions: list[int] = []

    def make(sign_on: SignOn | None) -> Plan:
        def plan(state: State, now: Stamp) -> list[Operation]:
            policy = cast("Policy", canonical.copy_of(state.policy))
            change(policy)
            if policy == state.policy:
                versions[:] = [policy["version"]]
                return []
            if policy["version"] == state.policy["version"]:
                policy["version"] += 1
            versions[:] = [policy["version"]]
            actor = desk.callers.actor(state, request.session, now, sign_on)
            said[:] = [actor]
            made = desk.callers.operation("policy.set", actor, now, policy=policy, reason=request.reason)
            return [*actor.first, made]

        return plan

    receipt = desk.submit_signed_on(make, request.session, request.notices, said)
    return {
        "ok": True,
        "changed": bool(receipt.operations),
        "version": versions[0],
        "revision": receipt.state.revision,
    }
