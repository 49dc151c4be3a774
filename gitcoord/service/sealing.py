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

# The policy keeps a key as it was added, so a subkey that is made later is not in it.
_WAY_OUT = "add a GPG key that encrypts: gpg --quick-gen-key NAME future-default, gitcoord keys add NAME FINGERPRINT"


def seal(
    policy: Policy, revision: int, value: Any, scratch: str, program: str | None = None
) -> tuple[str, dict[str, Any], list[str]]:
    """Return a value's ciphertext, what says to whom it is sealed, and about everybody who cannot open it, why.

    Somebody whose keys only sign stops nobody else: the value is sealed to those who can open it.

    Args:
        policy: its principals' GPG keys that count are the recipients.
        revision: the one that the value is going to have, or thereabouts.
        value: what is sealed.
        scratch: where a keyring may be made for a moment.
        program: which GnuPG, as `gpg.program` names it; None is `gpg`.

    Raises:
        Refused: no principal has a GPG key that encrypts.
        NoKey: GnuPG cannot encrypt to them.
    """
    keys: dict[str, str] = {}
    owned: dict[str, list[str]] = {}
    without: list[str] = []
    for name, principal in policy.get("principals", {}).items():
        good = [k for k in principal["keys"] if k["kind"] == "gpg" and principals.is_good_at(k, revision)]
        keys.update((key["fingerprint"], key["public"]) for key in good)
        owned[name] = [key["fingerprint"] for key in good]
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

    text, to = gpg.encrypt(scratch, json.dumps(value, ensure_ascii=False).encode(), keys, program)
    signing = {name: held for name, held in owned.items() if held and not set(held) & set(to)}
    if not to:
        raise Refused(
            "a value is sealed to GPG keys that encrypt, and those of the policy only sign (or what encrypts in them "
            f"is over): {_told(signing)}; nothing was written",
            next=_WAY_OUT,
            without=[*without, *signing],
        )
    words = [f"{name} has no GPG key and cannot open it" for name in without]
    words += [f"{_told({name: held})} only signs: {name} cannot open it; {_WAY_OUT}" for name, held in signing.items()]
    return text, {"kind": "gpg", "recipients": sorted(to)}, words


def _told(signing: dict[str, list[str]]) -> str:
    return "; ".join(f"the key {', '.join(held)} of {name}" for name, held in signing.items())


def unseal(text: str, home: str | None, program: str | None = None) -> Any:
    """Return a sealed value.

    Args:
        text: its ciphertext.
        home: GnuPG's directory, None for the user's own.
        program: which GnuPG, as `gpg.program` names it; None is `gpg`.

    Raises:
        NoKey: this user has no key that opens it, or it is locked.
    """
    from gitcoord.signing import gpg

    opened = gpg.decrypt(text, home, program)
    try:
        return canonical.parse_value(opened.decode())
    except UnicodeDecodeError as error:
        raise NoKey("what was sealed is no JSON value") from error
