"""At the door: what somebody else pushed is judged before anything here rests on it.

What cannot be a commit of the log at all is told apart at once (`sound`). Where the log has principals, everything that
came is verified: replayed bit for bit, and each commit signed by a key that the policy before it lets do this. A log
without principals proves nobody's identity, and is verified when somebody asks (`gitcoord verify`).
"""

from __future__ import annotations

from gitcoord import principals
from gitcoord.errors import BadCommit
from gitcoord.sharing.sound import Sound, newest_sound
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.coordinator import Coordinator


def newest_good(log: Coordinator, found: bytes, before: bytes | None) -> Sound:
    """Return the newest commit, from a found tip along first parents, that may be used, and what is wrong above it.

    Args:
        log: the clone's log.
        found: what the remote has; all of it is here.
        before: what was seen last, and is good; None where nothing was.

    Raises:
        UnsupportedFormat: a later version of gitcoord wrote a commit: nothing is wrong with it.
    """
    sound = newest_sound(log, found)
    if sound.fault is not None or before is None or not principals.is_signed_log(log.state_at(before).policy):
        return sound
    from gitcoord.verify.chain import verify_arriving

    verdict = verify_arriving(log, before, found)
    if verdict.fault is None:
        return sound
    fault = verdict.fault
    wrong = BadCommit(
        f"commit {fault.commit.hex()} breaks the rule {fault.rule}: it {fault.reason}",
        next=f"git show {fault.commit.hex()}",
        commit=fault.commit.hex(),
        rule=fault.rule,
    )
    return Sound(verdict.good or before, wrong)


def may_repair(log: Coordinator) -> bool:
    """Tell whether this clone may set the remote's log back: on a log with principals, whose role has `repair`."""
    state = log.state_at(log.tip())
    if not principals.is_signed_log(state.policy):
        return True
    signer = None if log.signers is None else log.signers(state, [{"type": "log.repair"}])
    owner = None if signer is None else principals.find_key(state.policy, signer.fingerprint)
    if owner is None or not principals.is_good_at(owner[2], state.revision + 1):
        return False
    return "repair" in principals.permissions(state.policy, owner[1])
