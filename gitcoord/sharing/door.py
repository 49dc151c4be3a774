"""At the door: what somebody else pushed is judged before anything here rests on it.

What cannot be a commit of the log at all is told apart at once (`sound`). Where the log has principals, everything that
came is verified as `gitcoord verify` does: replayed bit for bit, and each commit signed by a key that the policy before
it lets do this. So is what comes to a log without principals, unless it is more than `REPLAYED_AT_MOST` commits: of so
many the form of each is judged alone (format, repository, revision, parents, ids, message, author and dates), and that
its tree is what its operations make is left to `gitcoord verify`.
"""

from __future__ import annotations

from gitcoord import config, principals
from gitcoord.errors import BadCommit, IntegrityFault
from gitcoord.sharing.growth import has_first_parent
from gitcoord.sharing.sound import newest_sound
from gitcoord.values import TYPE_CHECKING, NamedTuple
from gitcoord.verify.memory import MemoryFile

if TYPE_CHECKING:
    from gitcoord.coordinator import Coordinator

REPLAYED_AT_MOST = 200
_NAMED = 10


class Arrived(NamedTuple):
    """What of that which somebody pushed may be used.

    Attributes:
        tip: the found tip, or the nearest of its first parents that is good; None where there is none.
        fault: the first thing that is wrong; None where nothing is.
        root: the fingerprint of the log's root, where it got one in what was judged.
    """

    tip: bytes | None
    fault: IntegrityFault | None
    root: str | None = None


def newest_good(log: Coordinator, found: bytes, before: bytes | None) -> Arrived:
    """Return the newest commit, from a found tip along first parents, that may be used, and what is wrong above it.

    Args:
        log: the clone's log.
        found: what the remote has; all of it is here.
        before: what was seen last, and is good; None where nothing was.

    Raises:
        UnsupportedFormat: a later version of gitcoord wrote a commit: nothing is wrong with it.
    """
    sound = newest_sound(log, found)
    if sound.tip is None:
        return Arrived(None, sound.fault)
    base = _trusted(log, sound.tip, _pinned(log)) if before is None else before
    signed = any(principals.is_signed_log(log.state_at(oid).policy) for oid in (base, sound.tip) if oid is not None)
    from gitcoord.verify.chain import verify_arriving

    # A clone that trusts one root takes no log over that begins without any.
    pinned = _pinned(log) if signed or base is None else None
    verdict = verify_arriving(log, base, sound.tip, pinned, replayed=None if signed else REPLAYED_AT_MOST)
    if verdict.fault is None:
        return Arrived(sound.tip, sound.fault, verdict.root)
    fault = verdict.fault
    wrong = BadCommit(
        f"commit {fault.commit.hex()} breaks the rule {fault.rule}: it {fault.reason}",
        next=f"git show {fault.commit.hex()}",
        commit=fault.commit.hex(),
        rule=fault.rule,
    )
    return Arrived(verdict.good or before, wrong, verdict.root)


def _pinned(log: Coordinator) -> str | None:
    """Return the fingerprint of the only root that this clone trusts; None where it was not told."""
    return config.read_git_config(log.repository.git_dir).root


def _trusted(log: Coordinator, found: bytes, pinned: str | None) -> bytes | None:
    """Return a commit that the found one grew from and that needs no second look; None where there is none.

    That is the clone's own tip, which `Meeting.vouch` looks after, unless it is the one in question; else what `verify`
    went up to.
    """
    verified = MemoryFile(log.repository.runtime).read()
    if verified is not None and pinned not in (None, verified.root):
        verified = None
    for known in (log.ref.read(), None if verified is None else verified.tip):
        if known is not None and known != found and _is_grown(log, found, known):
            return known
    return None


def _is_grown(log: Coordinator, found: bytes, before: bytes) -> bool:
    try:
        return has_first_parent(log, found, before)
    except IntegrityFault:
        return False  # who asks next names what cannot be read


def way_to_repair(log: Coordinator, good: bytes) -> str:
    """Return what a clone can do while the remote has bad history that it may not set back itself.

    Args:
        log: the clone's.
        good: the newest commit that is used: its policy says who may.
    """
    state = log.state_at(good)
    revision = state.revision + 1
    names = [
        name
        for name, principal in sorted(state.policy.get("principals", {}).items())
        if "repair" in principals.permissions(state.policy, principal)
        and any(principals.is_good_at(key, revision) for key in principal["keys"])
    ]
    if not names:
        who = "ask whoever may change the policy to give somebody the permission `repair`, and them to run"
    elif len(names) == 1:
        who = f"ask {names[0]}, whose role has `repair`, to run"
    else:
        who = f"ask one of {', '.join(names[:_NAMED])}, whose roles have `repair`, to run"
    return f"{who}: gitcoord sync; or go on here, without the remote's word, until then: --offline"


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
