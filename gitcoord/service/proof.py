"""Whether what the audit tells is proven: a signature that is good, by a key that the policy before it lets count."""

from __future__ import annotations

from gitcoord import envelope, principals
from gitcoord.errors import IntegrityFault
from gitcoord.log import Commit, Log
from gitcoord.model import Header
from gitcoord.values import NamedTuple
from gitcoord.verify.evidence import Signatures, scratch_of
from gitcoord.verify.rules import Broken, Found, Signature, check_signed


class Proof(NamedTuple):
    """Who signed a commit.

    Attributes:
        signer: the principal, else the key's fingerprint; None where nobody did.
        proven: the signature is good, and the policy before it lets the key count.
    """

    signer: str | None
    proven: bool


NOBODY = Proof(None, proven=False)


def proofs(log: Log, rows: list[tuple[Commit, Header]]) -> dict[bytes, Proof]:
    """Return for each commit who signed it, by commit; those of nobody are left out.

    Args:
        log: what is read.
        rows: commits with their headers.
    """
    found: dict[bytes, Proof] = {}
    waiting: dict[bytes, Signature] = {}
    signatures = Signatures(scratch_of(log))
    for commit, header in rows:
        signer = header["operations"][0].get("signer")
        if signer is None or commit.oid in found:
            continue
        before = log.state_at(commit.parents[0] if commit.parents else commit.oid).policy
        owner = principals.principal_of(before, signer, header["revision"])
        found[commit.oid] = Proof(signer if owner is None else owner.name, proven=False)
        if owner is None:
            continue
        try:
            opened = envelope.unwrap(log.objects.read(commit.oid, verify=True)[1])
            candidate = Found(commit.oid, commit.tree, commit.parents, opened.payload, opened.signatures, header)
            signature = check_signed(candidate, before, log.objects.oid_size)
            if signature is not None and signatures.check(commit.oid, signature):
                waiting[commit.oid] = signature
            else:
                found[commit.oid] = Proof(owner.name, proven=True)
        except (Broken, IntegrityFault):
            continue
    for oid in signatures.good() if waiting else ():
        found[oid] = found[oid]._replace(proven=True)
    return found
