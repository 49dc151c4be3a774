"""Sealed values: encrypted to the principals of the policy, so that the log holds the ciphertext only.

A seal hides a value from whoever can read the repository and is no principal. It does not hide who stored it, where,
when, or how long it is; and who was a principal then can open it for ever, also after its key was revoked.
"""

from __future__ import annotations

import json

from gitcoord import canonical, principals
from gitcoord.errors import NoKey, Refused
from gitcoord.model import Policy
from gitcoord.values import Any


def seal(policy: Policy, revision: int, value: Any, scratch: str) -> tuple[str, dict[str, Any], list[str]]:
    """Return a value's ciphertext, what says to whom it is sealed, and who has no key that could open it.

    Args:
        policy: its principals' GPG keys that count are the recipients.
        revision: the one that the value is going to have, or thereabouts.
        value: what is sealed.
        scratch: where a keyring may be made for a moment.

    Raises:
        Refused: no principal has a GPG key.
        NoKey: GnuPG cannot encrypt to them.
    """
    keys: dict[str, str] = {}
    without: list[str] = []
    for name, principal in policy.get("principals", {}).items():
        good = [k for k in principal["keys"] if k["kind"] == "gpg" and principals.is_good_at(k, revision)]
        keys.update((key["fingerprint"], key["public"]) for key in good)
        if not good:
            without.append(name)
    if not keys:
        raise Refused(
            "a value is sealed to GPG keys, and no principal of the policy has one that counts: "
            f"{', '.join(without) or 'there are no principals'}; nothing was written",
            next="add a GPG key that encrypts: gitcoord keys add NAME FINGERPRINT",
            without=without,
        )
    from gitcoord.signing import gpg

    text = gpg.encrypt(scratch, json.dumps(value, ensure_ascii=False).encode(), keys)
    return text, {"kind": "gpg", "recipients": sorted(keys)}, without


def unseal(text: str, home: str | None) -> Any:
    """Return a sealed value.

    Args:
        text: its ciphertext.
        home: GnuPG's directory, None for the user's own.

    Raises:
        NoKey: this user has no key that opens it, or it is locked.
    """
    from gitcoord.signing import gpg

    opened = gpg.decrypt(text, home)
    try:
        return canonical.parse_value(opened.decode())
    except UnicodeDecodeError as error:
        raise NoKey("what was sealed is no JSON value") from error
