"""Signing operations, and checking signatures, in git's own formats.

What is signed is the whole commit, as git signs one: `git log --show-signature refs/coord` and `git verify-commit` say
of it what `gitcoord verify` says, with nothing but git's usual allowed signers or keyring. SSH signatures are made in
process, from a private key without a passphrase or by the user's agent over its socket; OpenPGP ones by GnuPG and the
user's agent.

Signing never asks anybody: a key that wants a passphrase, a PIN or a touch and does not get it within a time limit is a
clear refusal, and nothing is written.

`sshkeys` reads keys, `sshsig` is the format of SSH signatures, `sshagent` talks to an agent, `gpg` to GnuPG, and
`choose` says with which key somebody signs.
"""

from __future__ import annotations

from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Signer(Protocol):
        """Somebody who signs.

        Attributes:
            fingerprint: of the key, as the policy names it.
            public: the public key's text, as the policy holds it.
            kind: `ssh` or `gpg`.
        """

        @property
        def fingerprint(self) -> str: ...  # noqa: D102 - described above

        @property
        def public(self) -> str: ...  # noqa: D102

        @property
        def kind(self) -> str: ...  # noqa: D102

        def sign(self, payload: bytes) -> bytes:
            """Return the armoured signature of these bytes.

            Raises:
                NoKey: the key is not to be had, or did not sign in time.
            """
            ...


TIME_LIMIT_S = 10.0
"""How long a key may take."""
