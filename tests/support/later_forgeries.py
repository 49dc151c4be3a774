"""More kinds of forgery: by somebody who may push and holds a key of a low role, or one that was good once.

They amend, hide operations in merges, go back to where a stolen key still counted, and lie in what nobody looks at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitcoord import canonical, envelope, merge, render
from gitcoord.state import claim_of
from support.forge import Forge, set_lock
from support.forgeries import FORGERIES, Forged, forgery, signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.signing.sshkeys import FileKey
    from gitcoord.state import State


def _nothing(_: State) -> None:
    """Do nothing to a state."""


# -- amended


@signed
@forgery("signer")
def amended_by_another_key(forge: Forge) -> bytes:
    """Sign somebody's operation anew, word for word."""
    base = forge.late()
    operation = {**forge.lock_operation(base, "bob-1"), "signer": forge.keys.bob.fingerprint}
    return forge.commit(base, [operation], key=forge.keys.eve)


@forgery("dates")
def amended_to_another_zone(forge: Forge) -> bytes:
    return forge.late_lock(payload=lambda text: text.replace(b" +0000\n", b" -0000\n"))


@forgery("message")
def words_behind_a_nul(forge: Forge) -> bytes:
    """Let a message go on where programs in C stop reading."""
    return forge.late_lock(payload=lambda text: text + b"\0and more")


@forgery("commit-header")
def another_encoding(forge: Forge) -> bytes:
    return forge.late_lock(payload=lambda text: text.replace(b"\n\n", b"\nencoding utf-16\n\n", 1))


@forgery("format")
def id_that_brings_a_trailer(forge: Forge) -> bytes:
    base = forge.late()
    return forge.commit(base, [{**forge.lock_operation(base), "id": "A\nCoord-Id: B"}])


# -- merges


class _Merge:
    """A merge of the tip with a side branch of eve's, to be written otherwise than it is."""

    def __init__(self, forge: Forge, **how: Any) -> None:
        self.forge = forge
        self.fork = forge.line[-5]
        self.side = forge.commit(self.fork, [forge.lock_operation(self.fork, "eve-1")], **how)
        made = merge.merged(forge.log, forge.tip, self.side)
        assert made is not None
        self.state = made.state

    def write(
        self,
        *,
        tamper: Callable[[Any], None] = _nothing,
        parents: list[bytes] | None = None,
        key: FileKey | None = None,
        header: Callable[[Any], Any] = lambda made: made,
    ) -> bytes:
        """Write it and return its id."""
        state = self.state.fork()
        state.header = header(dict(state.header))
        tamper(state)
        batch = self.forge.log.objects.batch()
        made = state.write(batch.add)
        named = [self.forge.tip, self.side] if parents is None else parents
        text = render.commit(made, named, state.header)
        signer = key or (self.forge.keys.eve if self.forge.signed else None)
        if signer is not None:
            text = envelope.wrap(text, signer.sign(text), self.forge.log.objects.oid_size)
        oid = batch.add(b"commit", text)
        self.forge.log.objects.sync(batch.paths)
        return oid

    def hide(self, state: State) -> None:
        """Take out of a state what the merge brought into it."""
        before = self.forge.log.state_at(self.forge.tip)
        for lock in list(state.locks()):
            if before.lock(claim_of(lock), lock["session"]) is None:
                state.drop_lock(claim_of(lock), lock["session"])


def honest_merge(forge: Forge) -> bytes:
    """Write the honest merge of which the forgeries are variants."""
    return _Merge(forge).write()


@forgery("tree")
def merge_with_a_lock_of_its_own(forge: Forge) -> bytes:
    return _Merge(forge).write(tamper=set_lock(forge.lock(forge.tip, "ada-1"), session="eve-1"))


@forgery("tree")
def merge_that_hides_what_it_brings(forge: Forge) -> bytes:
    """Merge as `git merge -s ours` does: the other side's operations are behind it, and nothing of them is there."""
    made = _Merge(forge)
    return made.write(tamper=made.hide)


@forgery("tree")
def merge_that_puts_its_own_side_first(forge: Forge) -> bytes:
    made = _Merge(forge)
    return made.write(parents=[made.side, forge.tip])


@forgery("merge")
def merge_of_what_is_there(forge: Forge) -> bytes:
    made = _Merge(forge)
    return made.write(parents=[forge.tip, made.fork])


@forgery("merge")
def merge_that_does_something_too(forge: Forge) -> bytes:
    operation = forge.lock_operation(forge.tip, "eve-1")
    return _Merge(forge).write(header=lambda made: {**made, "operations": [*made["operations"], operation]})


@forgery("tree")
def merge_that_says_it_restores(forge: Forge) -> bytes:
    def restoring(made: Any) -> Any:
        return {**made, "operations": [{**made["operations"][0], "restores": "forked"}]}

    return _Merge(forge).write(header=restoring)


def _behind_a_merge(forge: Forge) -> Forged:
    """Let a forged commit come in by a merge that is what it has to be."""
    lock = forge.lock(forge.line[-5], "ada-1")
    made = _Merge(forge, tamper=set_lock(lock, token=lock["token"] - 1))
    return Forged(forge.follow(made.write()), made.side, "tree")


FORGERIES["forged_commit_behind_an_honest_merge"] = _behind_a_merge


@signed
@forgery("permission")
def merge_by_a_revoked_key(forge: Forge) -> bytes:
    return _Merge(forge).write(key=forge.keys.old)


@signed
@forgery("permission")
def merge_by_a_stranger(forge: Forge) -> bytes:
    return _Merge(forge).write(key=forge.keys.stranger)


# -- against other sessions, and the policy


@forgery("transition")
def reap_of_the_living(forge: Forge) -> bytes:
    base = forge.late()
    record = forge.log.state_at(base).session("bob-1")
    assert record is not None
    gone = {"target": "bob-1", "target_incarnation": record["incarnation"], "evidence": {"kind": "lease-over"}}
    return forge.commit(base, [forge.operation(base, "session.reap", "eve-1", **gone)], effect=_nothing)


@forgery("transition")
def break_that_names_another_grant(forge: Forge) -> bytes:
    base = forge.late()
    lock = forge.lock(base, "ada-1")
    named = {**{name: lock[name] for name in ("path", "key", "kind", "session")}, "grant": "FORGED0000000000000000"}
    return forge.commit(
        base, [forge.operation(base, "lock.break", "bob-1", locks=[named], reason="in the way")], effect=_nothing
    )


@signed
@forgery("permission")
def renewal_that_keeps_anothers_session_alive(forge: Forge) -> bytes:
    base = forge.late()
    record = forge.log.state_at(base).session("bob-1")
    assert record is not None
    others = [{"session": "bob-1", "incarnation": record["incarnation"]}]
    operation = forge.operation(base, "session.renew", "eve-1", lease_s=None, intent=None, others=others)
    return forge.commit(base, [operation], effect=_nothing)


@signed
@forgery("permission")
def remote_named_by_one_who_may_not(forge: Forge) -> bytes:
    base = forge.late()
    named = {"remote": "origin", "ref": "refs/coord", "url": "https://elsewhere.invalid/x.git"}
    return forge.commit(base, [forge.operation(base, "log.share", "eve-1", **named)], effect=_nothing)


@signed
@forgery("permission")
def unsigned_change_of_the_policy(forge: Forge) -> bytes:
    """Change the policy without a signature where it takes unsigned operations otherwise."""
    opened: Any = canonical.copy_of(forge.log.state_at(forge.tip).policy)
    opened.update(unsigned="accepted", version=opened["version"] + 1)
    base = forge.commit(forge.tip, [forge.operation(forge.tip, "policy.set", "ada-1", policy=opened, reason="")])
    wished: Any = {**canonical.copy_of(opened), "version": opened["version"] + 1}
    operation = forge.operation(base, "policy.set", "ada-1", policy=wished, reason="")
    forge.signed = False
    try:
        return forge.commit(base, [operation], effect=_nothing)
    finally:
        forge.signed = True


def branch_of_a_stolen_key(forge: Forge) -> tuple[bytes, merge.Merge]:
    """Go back to where bob's old key still counted, lock something there with it, and merge that into the log.

    Returns:
        the tip of the branch, and what an honest merge makes of it.
    """
    old = forge.keys.old
    base = next(oid for oid in forge.line if _counts(forge, oid))
    clock: Any = next(iter(forge.log.state_at(base).sessions()))["clock"]
    made: Any = forge.log.state_at(forge.tip).session("bob-1")
    names = ("agent", "intent", "machine_name", "lease_s", "process", "proof", "clone")
    start: Any = {
        "id": "FORGED0000000000000001",
        "type": "session.start",
        "session": "thief-1",
        "incarnation": "FORGED0000000000000001",
        "clock": clock,
        "author": {"name": "thief-1", "email": "thief@example.invalid"},
        "takeover": None,
        **{name: made[name] for name in names if name in made},
    }
    signed_on = forge.commit(base, [start], key=old)
    tip = forge.commit(signed_on, [forge.lock_operation(signed_on, "thief-1", "stolen.py")], key=old)
    merged = merge.merged(forge.log, forge.tip, tip)
    assert merged is not None
    return tip, merged


def _counts(forge: Forge, oid: bytes) -> bool:
    """Tell whether bob's old key is good in the policy of a commit."""
    members = forge.log.state_at(oid).policy.get("principals", {}).values()
    held = [key for member in members for key in member["keys"]]
    return any(key["fingerprint"] == forge.keys.old.fingerprint and key["until"] is None for key in held)
