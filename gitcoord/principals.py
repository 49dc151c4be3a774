"""Who may do what on a log: the rules that `policy.json` states, as pure functions.

A *principal* is somebody who is known by public keys: a person, an agent, a machine. Its roles say what it may do. A
key counts on a stretch of the log, from the revision after it was added up to the one at which it was revoked: by
position, never by date, since a date is whatever its writer says. Every operation names the key that signs it
(`signer`), and is judged by the policy of the state before it; that the commit really bears a signature of that key is
for `verify` to see. So a log can be replayed, and a merge recomputed, without a single signature being read.

A log whose policy names no principals is an *unsigned log*: everybody may do everything, and every identity on it is
unproven.
"""

from __future__ import annotations

import binascii

from gitcoord.errors import NotPermitted
from gitcoord.model import Key, Operation, Policy, Principal, Role
from gitcoord.values import Any, NamedTuple, cast

PERMISSIONS = ("assign", "break", "lock", "policy", "repair", "write")
KEY_KINDS = ("gpg", "ssh")

DEFAULT_ROLES: dict[str, Role] = {
    "root": {"may": ["assign", "break", "lock", "policy", "repair", "write"], "scopes": ["*"]},
    "member": {"may": ["assign", "break", "lock", "write"], "scopes": ["*"]},
    "agent": {"may": ["lock", "write"], "scopes": ["*"]},
    "reader": {"may": [], "scopes": []},
}
"""The roles that a signed log begins with."""

UNSIGNED_MAY = frozenset({"lock", "write"})
"""What an unsigned operation may do on a signed log whose policy accepts such: nothing against somebody's will."""

_NEEDS = {"lock": "lock", "data": "write", "policy": "policy"}
_NEEDS_EXACTLY = {
    "lock.break": "break",
    "log.repair": "repair",
    "log.share": "policy",
    "session.challenge": "lock",
    "session.reap": "lock",
    "task.assign": "assign",
}
_NAME_BYTES = 100
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_HEX = frozenset("0123456789ABCDEF")
_SSH_LENGTH, _GPG_LENGTHS = 43, (40, 64)
_GPG_BEGINS = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def is_fingerprint(text: str) -> bool:
    """Tell whether a text has the form of a fingerprint: `SHA256:` and base64 for SSH, upper-case hex for GPG."""
    kind, colon, rest = text.partition(":")
    if colon:
        return kind == "SHA256" and len(rest) == _SSH_LENGTH and _BASE64.issuperset(rest)
    return len(text) in _GPG_LENGTHS and _HEX.issuperset(text)


def ssh_fingerprint(blob: bytes) -> str:
    """Return the fingerprint that `ssh-keygen -l` prints of a public key's blob."""
    import hashlib

    return "SHA256:" + binascii.b2a_base64(hashlib.sha256(blob).digest(), newline=False).decode().rstrip("=")


def fault_of_public(key: Key) -> str | None:
    """Return in what a key's public text is not the key that its fingerprint names, None where nothing says so.

    An SSH key's fingerprint follows from its text. Of a GPG key only the form of both is looked at: what the text holds
    is for GnuPG to say.
    """
    fingerprint, public = key["fingerprint"], key["public"]
    if not is_fingerprint(fingerprint) or (":" in fingerprint) != (key["kind"] == "ssh"):
        return f"{fingerprint!r} is no fingerprint of a key of the kind {key['kind']}"
    if key["kind"] == "gpg":
        return None if _GPG_BEGINS in public else f"the text of {fingerprint} is no armoured GPG key"
    words = public.split(" ")
    try:
        blob = binascii.a2b_base64(words[1], strict_mode=True) if len(words) > 1 else b""
    except ValueError:
        blob = b""
    kind = words[0].encode(errors="replace")
    if not public.isprintable() or not blob.startswith(len(kind).to_bytes(4, "big") + kind):
        return f"the text of {fingerprint} is no SSH public key in one line"
    named = ssh_fingerprint(blob)
    return None if named == fingerprint else f"the text of {fingerprint} is another key, {named}"


class Proven(NamedTuple):
    """Whose key an operation names."""

    name: str
    key: Key


def is_signed_log(policy: Policy) -> bool:
    """Tell whether a policy names principals at all."""
    return bool(policy.get("principals"))


def find_key(policy: Policy, fingerprint: str) -> tuple[str, Principal, Key] | None:
    """Return the principal that a key belongs to, good or revoked, with the key."""
    for name, principal in policy.get("principals", {}).items():
        for key in principal["keys"]:
            if key["fingerprint"] == fingerprint:
                return name, principal, key
    return None


def is_good_at(key: Key, revision: int) -> bool:
    """Tell whether a key counts at a revision."""
    return key["since"] <= revision and (key["until"] is None or revision < key["until"])


def principal_of(policy: Policy, fingerprint: str | None, revision: int) -> Proven | None:
    """Return whose good key this is, None where nobody's."""
    found = None if fingerprint is None else find_key(policy, fingerprint)
    if found is None or not is_good_at(found[2], revision):
        return None
    return Proven(found[0], found[2])


def root_keys(policy: Policy) -> list[str]:
    """Return the fingerprints of the keys that may change the policy; sorted."""
    found: list[str] = []
    for principal in policy.get("principals", {}).values():
        if "policy" in permissions(policy, principal):
            found.extend(key["fingerprint"] for key in principal["keys"] if key["until"] is None)
    return sorted(found)


def permissions(policy: Policy, principal: Principal) -> set[str]:
    """Return what a principal's roles let it do."""
    roles = policy.get("roles", {})
    return {right for role in principal["roles"] for right in (roles[role]["may"] if role in roles else ())}


def may_write(policy: Policy, principal: Principal, scope: str) -> bool:
    """Tell whether a principal may write a scope: a role that writes names it, or a beginning of it with `*`."""
    roles = policy.get("roles", {})
    for name in principal["roles"]:
        role = roles.get(name)
        if role is not None and "write" in role["may"] and any(_scope_fits(p, scope) for p in role["scopes"]):
            return True
    return False


def _scope_fits(pattern: str, scope: str) -> bool:
    return scope.startswith(pattern[:-1]) if pattern.endswith("*") else scope == pattern


def needed(kind: str) -> str | None:
    """Return the permission that a type of operation needs; None where being a principal is enough."""
    return _NEEDS_EXACTLY.get(kind) or _NEEDS.get(kind.partition(".")[0])


def judge(policy: Policy, operation: Operation, revision: int) -> str | None:
    """Let an operation pass if the policy lets its signer do it, and return the signer's name.

    Args:
        policy: of the state before it.
        operation: names the key that signs it as `signer`, or none.
        revision: of the commit that it is in.

    Returns:
        the principal's name; None where the operation is unproven.

    Raises:
        NotPermitted: it does not.
    """
    signer = operation.get("signer")
    if not policy.get("principals"):
        if signer is None and policy["unsigned"] != "accepted":
            raise NotPermitted("this log takes signed operations only", next="gitcoord keys list")
        return None
    if signer is None:
        right = needed(operation["type"])
        if policy["unsigned"] == "accepted" and (right is None or right in UNSIGNED_MAY):
            return None
        raise NotPermitted(
            f"the policy of this log takes no unsigned {operation['type']}",
            next="sign with a key of the policy: --key or GITCOORD_SIGNING_KEY; see them: gitcoord keys list",
        )
    found = find_key(policy, signer)
    if found is None:
        raise NotPermitted(
            f"{signer} is nobody's key in the policy of this log",
            next="have it added: gitcoord keys add NAME KEY",
            signer=signer,
        )
    name, principal, key = found
    if not is_good_at(key, revision):
        when = f"since revision {key['until']}" if key["until"] is not None else f"before revision {key['since']}"
        raise NotPermitted(
            f"the key {signer} of {name} does not count {when}; this is revision {revision}",
            next="sign with another key of the policy: gitcoord keys list",
            signer=signer,
        )
    _check_right(policy, principal, name, operation)
    return name


def _check_right(policy: Policy, principal: Principal, name: str, operation: Operation) -> None:
    right = needed(operation["type"])
    if right is None:
        return
    if right not in permissions(policy, principal):
        raise NotPermitted(
            f"{name} may not {operation['type']}: none of the roles {', '.join(principal['roles']) or '(none)'} "
            f"has the right {right!r}",
            next="gitcoord policy show",
        )
    if right == "write" and not may_write(policy, principal, operation["scope"]):
        raise NotPermitted(f"{name} may not write the scope {operation['scope']!r}", next="gitcoord policy show")


def check_actor(owner: str | None, acting: str | None, session: str) -> None:
    """Let a principal act as a session, or take its id, if the session is its own or nobody's.

    Args:
        owner: the principal that the session belongs to; None where it is unproven.
        acting: the principal that signs; None where nobody does.
        session: the session's id.

    Raises:
        NotPermitted: it is another's.
    """
    if owner is not None and owner != acting:
        who = "an unsigned operation" if acting is None else acting
        raise NotPermitted(
            f"session {session} is {owner}'s; {who} may not act as it",
            next="act as a session of your own, or sign with a key of its principal",
            session=session,
        )


def fault_of(policy: dict[str, Any]) -> str | None:
    """Return what is wrong with the shape of a policy's principals and roles, None where nothing is."""
    members, roles = _object(policy.get("principals", {})), _object(policy.get("roles", {}))
    if members is None or roles is None:
        return "principals and roles must be objects"
    return _fault_of_roles(roles) or _fault_of_principals(members, roles)


def _fault_of_roles(roles: dict[str, Any]) -> str | None:
    for name, given in roles.items():
        role = _object(given)
        if role is None or not _is_texts(role.get("may")) or not _is_texts(role.get("scopes")):
            return f"role {name!r} needs the lists `may` and `scopes`"
        unknown = [right for right in role["may"] if right not in PERMISSIONS]
        if unknown:
            return f"role {name!r} names no right: {unknown[0]!r}; rights are {', '.join(PERMISSIONS)}"
    return None


def _fault_of_principals(members: dict[str, Any], roles: dict[str, Any]) -> str | None:
    seen: set[str] = set()
    for name, given in members.items():
        if not name or len(name.encode(errors="replace")) > _NAME_BYTES or not name.isprintable():
            return f"{name!r} is no name of a principal"
        principal = _object(given)
        if principal is None or not _is_texts(principal.get("roles")):
            return f"principal {name!r} needs the list `roles`"
        missing = [role for role in principal["roles"] if role not in roles]
        if missing:
            return f"principal {name!r} has a role that the policy does not know: {missing[0]!r}"
        keys: Any = principal.get("keys")
        if type(keys) is not list or not all(_is_key(key) for key in cast("list[Any]", keys)):
            return f"principal {name!r} needs a list of `keys`, each with kind, fingerprint, public, since and until"
        for key in cast("list[Key]", keys):
            if key["fingerprint"] in seen:
                return f"the key {key['fingerprint']} is named twice"
            seen.add(key["fingerprint"])
    return None


def _object(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if type(value) is dict else None


def _is_texts(value: Any) -> bool:
    return type(value) is list and all(type(item) is str for item in cast("list[Any]", value))


def _is_key(key: Any) -> bool:
    if type(key) is not dict:
        return False
    found = cast("dict[str, Any]", key)
    texts = all(type(found.get(name)) is str for name in ("kind", "fingerprint", "public"))
    ends = type(found.get("since")) is int and (found.get("until") is None or type(found["until"]) is int)
    return texts and ends and found["kind"] in KEY_KINDS
