"""Judging a commit with two parents.

A merge's state is made anew like any other: from that of its first parent and the operations that the order of the
second parent has and that of the first has not. Nothing in it is whoever merged's own but the signature.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import merge, principals
from gitcoord.errors import CoordError, IntegrityFault
from gitcoord.log import Log
from gitcoord.model import Policy
from gitcoord.state import State
from gitcoord.verify.rules import Broken, Found

MadeBy = Callable[[bytes, bytes, list[str]], str]
"""Says which key made a signature: of a payload, the armoured signature, and the public keys that it may be."""


def owner_of(found: Found, policy: Policy, made_by: MadeBy) -> str | None:
    """Return the principal that signed a merge; None where nobody did, and nobody has to.

    A merge is the same whoever makes it, so it names no signer: any key of the policy will do that counts where it
    stands. It can add nothing of its maker's own, and whether each operation may take effect was judged by its own.

    Args:
        found: the merge.
        policy: of its first parent's state.
        made_by: checks the signature.

    Raises:
        Broken: it is not signed and has to be, or is signed by a key that does not count.
    """
    if len(found.signatures) > 1:
        raise Broken("signature-count", f"has {len(found.signatures)} signatures; exactly one can be")
    if not principals.is_signed_log(policy):
        return None
    if not found.signatures:
        if policy["unsigned"] == "accepted":
            return None
        raise Broken("signature-count", "is not signed, and the policy takes nothing that is not")
    revision = found.header["revision"]
    keys = [key for member in policy.get("principals", {}).values() for key in member["keys"]]
    public = [key["public"] for key in keys if key["kind"] == "gpg" and principals.is_good_at(key, revision)]
    signer = made_by(found.payload, found.signatures[0][1], public)
    proven = principals.principal_of(policy, signer, revision)
    if proven is None:
        raise Broken("permission", f"is signed by {signer}, which is nobody's key that counts at revision {revision}")
    return proven.name


def state_of_merge(log: Log, found: Found) -> State:
    """Return the state that a merge has to have, for its tree to be compared with.

    Both parents, and all that lies behind them, were judged before and are good. The merge's place (repository,
    revision, ids), its signature, its rendered message and its dates are judged by the caller.

    Args:
        log: the log, for reading both parents' histories.
        found: the merge.

    Raises:
        Broken: the merge is not what its parents make.
    """
    operations = found.header["operations"]
    if len(found.parents) != 2 or len(operations) != 1 or not merge.is_merge(operations):
        raise Broken("merge", f"has {len(found.parents)} parents and is no merge of two")
    operation = operations[0]
    ours, theirs = found.parents
    try:
        made = merge.merged(log, ours, theirs, restores=operation["restores"], adopts=operation["adopts"])
    except IntegrityFault:
        raise
    except CoordError as error:
        raise Broken("merge", f"cannot be made of its parents: {error.message}") from error
    if made is None:
        raise Broken("merge", "brings nothing that its first parent lacks")
    return made.state
