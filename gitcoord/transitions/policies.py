"""The rules of the policy: how a log begins with one, and how it changes.

A policy's version grows by one with every change, and an operation says which version it makes: an older policy, with
however good a signature, is never set again. On which stretch of the log a key counts is for the rule to say and not
for the operation: a new key counts from the next revision on, one that is revoked counts no more from there on, and
neither is ever changed afterwards. A key that was ever in the policy stays in it, so that the state before alone tells
this: one that a new policy leaves out is revoked by that, and neither it nor a new name for its principal makes it new.
"""

from __future__ import annotations

from gitcoord import principals
from gitcoord.errors import BadRequest, PolicyOutdated, Refused
from gitcoord.model import DEFAULT_LIMITS, Confirms, Key, Operation, Policy, Principal
from gitcoord.state import State
from gitcoord.values import Any, cast

_MEMBERS = frozenset({"version", "case", "unsigned", "limits", "principals", "roles", "confirms"})
_TEXT_BYTES = 1000
_REASON_BYTES = 2000
NOW = 0
"""As a key's `until` in a policy to be set: from the next revision on."""


def first(operation: Operation) -> Policy:
    """Return the policy that a log begins with.

    Raises:
        BadRequest: it is none, or the key that signs the beginning may not change it.
    """
    policy = _checked(operation["policy"])
    signer = operation.get("signer")
    if policy["version"] != 1:
        raise BadRequest("a log begins with version 1 of its policy")
    if principals.is_signed_log(policy) and signer not in principals.root_keys(policy):
        raise BadRequest("a signed log begins with an operation of somebody who may change its policy")
    for principal in policy.get("principals", {}).values():
        for key in principal["keys"]:
            _check_public(key)
    return policy


def set_policy(state: State, operation: Operation) -> dict[str, Any]:
    """`policy.set`: policy (the whole of it), reason.

    A key's `since` is not read: keys that are there keep theirs. A key's `until` is None, or `NOW` for one that is to
    be revoked; what was revoked stays so. A key that is left out is revoked, and a principal that is left out keeps its
    name and its revoked keys, without a role.
    """
    old, new = state.policy, _checked(operation["policy"])
    reason = operation["reason"]
    if type(reason) is not str or len(reason.encode(errors="replace")) > _REASON_BYTES:
        raise BadRequest("the reason must be text of at most 2000 bytes", next="shorten it")
    if new["version"] != old["version"] + 1:
        raise PolicyOutdated(
            f"version {new['version']} of the policy does not follow version {old['version']}",
            next="read the policy again, and change that: gitcoord policy show",
            version=old["version"],
        )
    if new["case"] != old["case"] and next(state.locks(resources=False), None) is not None:
        raise Refused("the case rule cannot change while paths are locked", next="gitcoord locks")
    if principals.is_signed_log(old) and not principals.is_signed_log(new):
        raise Refused("a log that has principals keeps some", next="revoke single keys: gitcoord keys revoke KEY")
    if new.get("confirms") != old.get("confirms"):
        raise Refused("the remote that confirms is named by sharing with it", next="gitcoord sync --remote NAME")
    settled = _settled(old, new, operation["revision"] + 1)
    if principals.is_signed_log(settled) and not principals.root_keys(settled):
        raise Refused("nobody could change the policy any more", next="leave one key with a role that has `policy`")
    state.policy = settled
    return {"version": new["version"]}


def share(state: State, operation: Operation) -> dict[str, Any]:
    """`log.share`: remote, ref, url. From now on that remote confirms; each clone knows it under a name of its own."""
    named: Confirms = {"remote": operation["remote"], "ref": operation["ref"], "url": operation["url"]}
    for field, text in named.items():
        if type(text) is not str or not text.isprintable() or len(text.encode()) > _TEXT_BYTES:
            raise BadRequest(f"the {field} must be printable text of at most {_TEXT_BYTES} bytes")
    policy = state.policy
    if operation["replayed"] and "confirms" in policy:
        raise Refused(f"the log names its remote already: {policy['confirms']['remote']}")
    state.policy = {**policy, "version": policy["version"] + 1, "confirms": named}
    return {}


def _settled(old: Policy, new: Policy, at: int) -> Policy:
    """Return the policy with the stretch of every key as the rule says it, and with every key that ever was in it."""
    if "principals" not in new:
        return new
    found: dict[str, Any] = {}
    for name, principal in new["principals"].items():
        found[name] = {**principal, "keys": [_settled_key(old, name, key, at) for key in principal["keys"]]}
    named = {key["fingerprint"] for principal in found.values() for key in principal["keys"]}
    for name, principal in old.get("principals", {}).items():
        left_out = [_ended(key, at) for key in principal["keys"] if key["fingerprint"] not in named]
        if left_out:
            found.setdefault(name, {"roles": [], "keys": []})["keys"].extend(left_out)
    return cast("Policy", {**new, "principals": found})


def _ended(key: Key, at: int) -> Key:
    """Return a key that counts no more from a revision on; one that was revoked before stays as it was."""
    return key if key["until"] is not None else cast("Key", {**key, "until": at})


def _settled_key(old: Policy, owner: str, key: Key, at: int) -> Key:
    known = principals.find_key(old, key["fingerprint"])
    if known is None:
        _check_public(key)
        return cast("Key", {**key, "since": at, "until": None if key["until"] is None else at})
    check_held(known, owner, key)
    before = known[2]
    return before if key["until"] is None else _ended(before, at)


def _check_public(key: Key) -> None:
    """Let a new key pass whose text is what its fingerprint names, as far as that can be told without GnuPG."""
    wrong = principals.fault_of_public(key)
    if wrong is not None:
        raise BadRequest(
            f"that is no policy: {wrong}", next="have the key added from its file: gitcoord keys add NAME KEY"
        )


def check_held(held: tuple[str, Principal, Key], owner: str, wanted: Key) -> None:
    """Let a key that the policy has already pass in a new one: it stays its principal's, and revoked if it was.

    Args:
        held: the key as it is, and whose.
        owner: whose it is to be.
        wanted: the key as it is to be.

    Raises:
        Refused: it would change hands, or count again.
    """
    name, _, before = held
    if name != owner:
        raise Refused(
            f"the key {before['fingerprint']} is {name}'s and cannot become {owner}'s", next="give everybody a key"
        )
    if before["until"] is not None and wanted["until"] is None:
        raise Refused(
            f"the key {before['fingerprint']} was revoked at revision {before['until']} and stays so",
            next="add a new key: gitcoord keys new SESSION",
        )


def _checked(policy: Any) -> Policy:
    """Return a policy of a sound shape.

    Raises:
        BadRequest: what is wrong with it.
    """
    if type(policy) is not dict:
        raise BadRequest("a policy is an object", next="gitcoord policy show")
    found = cast("dict[str, Any]", policy)
    wrong = principals.fault_of(found)
    unknown = sorted(set(found) - _MEMBERS)
    if unknown:
        wrong = f"{unknown[0]!r} is no member of a policy"
    elif type(found.get("version")) is not int or found["version"] < 1:
        wrong = "`version` must be a whole number"
    elif found.get("case") not in ("sensitive", "insensitive"):
        wrong = "`case` is sensitive or insensitive"
    elif found.get("unsigned") not in ("accepted", "refused"):
        wrong = "`unsigned` is accepted or refused"
    elif not _are_limits(found.get("limits")):
        wrong = f"`limits` needs whole numbers above 0: {', '.join(DEFAULT_LIMITS)}"
    if wrong is not None:
        raise BadRequest(f"that is no policy: {wrong}", next="gitcoord policy show --json, change it, and set that")
    return cast("Policy", found)


def _are_limits(limits: Any) -> bool:
    if type(limits) is not dict:
        return False
    found = cast("dict[str, Any]", limits)
    return set(found) == set(DEFAULT_LIMITS) and all(type(value) is int and value > 0 for value in found.values())
