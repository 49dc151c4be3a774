"""Whether a code commit is whose trailers say so: on a signed log, whether a key of that session's principal signed it.

Trailers are a claim, and who pushes is known to the server's ssh or https and not to a hook. What a door can check is
the commit's own signature, git's, against the keys that the log's policy has for the principal who signed the session
on. On a log without principals a session is whoever names it, and so is a commit.
"""

from __future__ import annotations

from gitcoord import envelope, principals
from gitcoord.errors import CoordError
from gitcoord.hooks import gitrun
from gitcoord.values import TYPE_CHECKING
from gitcoord.verify.evidence import Signatures, scratch_of
from gitcoord.verify.rules import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitcoord.log import Log
    from gitcoord.state import State


class Proofs:
    """Who signed code commits, each looked at once.

    Args:
        log: where a keyring may be made for a moment.
        state: the log's, whose policy says which keys count now.
        env: git's environment, which may say where the objects of a push are; the hook's own by default.
    """

    def __init__(self, log: Log, state: State, env: Mapping[str, str] | None) -> None:
        """Look at nothing yet."""
        self._state = state
        self._env = env
        self._signatures = Signatures(scratch_of(log))
        self._signers: dict[str, str | None] = {}
        self._revision = state.revision + 1

    def principal_of(self, session: str) -> str | None:
        """Return whose session it is, where that is proven; None where anybody may be it."""
        record = self._state.session(session)
        return None if record is None else record.get("principal")

    def is_by(self, oid: str, principal: str) -> bool:
        """Tell whether a commit bears a good signature of a key of this principal that counts now."""
        if oid not in self._signers:
            self._signers[oid] = self._signer(oid)
        proven = principals.principal_of(self._state.policy, self._signers[oid], self._revision)
        return proven is not None and proven.name == principal

    def _signer(self, oid: str) -> str | None:
        """Return the fingerprint of the key that signed a commit; None where none of the policy did."""
        opened = envelope.unwrap(gitrun.output(["cat-file", "commit", oid], env=self._env))
        if len(opened.signatures) != 1:
            return None
        members = self._state.policy.get("principals", {}).values()
        keys = [key["public"] for member in members for key in member["keys"] if key["kind"] == "gpg"]
        try:
            return self._signatures.made_by(opened.payload, opened.signatures[0][1], keys)
        except (Broken, CoordError):
            return None
