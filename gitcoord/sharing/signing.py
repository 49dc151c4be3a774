"""Who signs a merge: asked before it is written, for everybody else would judge one that nobody may sign as forged."""

from __future__ import annotations

from gitcoord import principals
from gitcoord.errors import MergeUnsigned, NoKey
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.coordinator import Coordinator
    from gitcoord.merge import Merge
    from gitcoord.signing import Signer

_SEE = "see which keys count: gitcoord keys list; have one of this clone added, or name one that counts: --key"


def signer_of(log: Coordinator, made: Merge) -> Signer | None:
    """Return who signs a merge in this clone; None where it need not be signed.

    Any key of the policy will do that counts where the merge stands: by the policy of its first parent.

    Raises:
        MergeUnsigned: no key of this clone will do; with `revoked`, since it counted once and does no more.
    """
    policy = log.state_at(made.parents[0]).policy
    try:
        signer = None if log.signers is None else log.signers(made.state, [made.operation])
    except NoKey as error:
        if not principals.is_signed_log(policy):
            raise
        raise MergeUnsigned(_what(error.message), next=error.next or _SEE) from error
    if not principals.is_signed_log(policy):
        return signer
    revision = made.state.header["revision"]
    if signer is None:
        if policy["unsigned"] == "accepted":
            return None
        raise MergeUnsigned(_what("this clone has no key to sign with"), next=_SEE)
    if principals.principal_of(policy, signer.fingerprint, revision) is not None:
        return signer
    known = principals.find_key(policy, signer.fingerprint)
    if known is None:
        raise MergeUnsigned(_what(f"{signer.fingerprint} is nobody's key there"), next=_SEE)
    name, _, key = known
    since = f"since revision {key['until']}" if key["until"] is not None else f"before revision {key['since']}"
    raise MergeUnsigned(
        _what(f"the key {signer.fingerprint} of {name} does not count {since}"),
        next=_SEE,
        revoked=key["until"] is not None,
    )


def _what(why: str) -> str:
    return f"what is here and what is on the remote can only be brought together by a signed merge, and {why}"
