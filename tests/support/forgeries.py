"""Kinds of forgery: each writes one and says which commit is bad, and by which rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gitcoord import canonical, envelope
from gitcoord.signing.sshkeys import pack
from support.forge import Forge, set_lock
from support.ledger import claims_of
from support.repo import git

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.state import State


class Forged(NamedTuple):
    """A forgery: the tip of its history, the commit that is bad, and the rule that it breaks."""

    tip: bytes
    bad: bytes
    rule: str


FORGERIES: dict[str, Callable[[Forge], Forged]] = {}
"""Every kind, by name."""


def forgery(rule: str) -> Callable[[Callable[[Forge], bytes]], Callable[[Forge], Forged]]:
    """Make a kind of forgery of a function that writes the bad commit; honest commits follow it."""

    def register(write: Callable[[Forge], bytes]) -> Callable[[Forge], Forged]:
        def run(forge: Forge) -> Forged:
            bad = write(forge)
            return Forged(forge.follow(bad), bad, rule)

        FORGERIES[write.__name__] = run
        return run

    return register


# -- the state says other than the operations


@forgery("tree")
def flipped_holder(forge: Forge) -> bytes:
    base = forge.late()
    lock = forge.lock(base, "ada-1")
    return forge.commit(base, [forge.lock_operation(base)], tamper=set_lock(lock, session="bob-1"))


@forgery("tree")
def lowered_token(forge: Forge) -> bytes:
    base = forge.late()
    lock = forge.lock(base)
    return forge.commit(base, [forge.lock_operation(base)], tamper=set_lock(lock, token=lock["token"] - 1))


@forgery("tree")
def extra_file(forge: Forge) -> bytes:
    return forge.late_lock(tamper=lambda state: state.tree.put((b"data", b"x", b"note"), b"hello"))


@forgery("tree")
def removed_session(forge: Forge) -> bytes:
    return forge.late_lock(tamper=lambda state: state.tree.remove((b"sessions", b"ada-1.json")))


@forgery("tree")
def policy_changed_beside_the_operation(forge: Forge) -> bytes:
    base = forge.late()

    def tamper(state: State) -> None:
        state.policy = {**state.policy, "limits": {**state.policy["limits"], "claims": 1}}

    return forge.commit(base, [forge.lock_operation(base)], tamper=tamper)


@forgery("tree")
def header_written_otherwise(forge: Forge) -> bytes:
    base = forge.late()

    def tamper(state: State) -> None:
        state.tree.put((b"coord.json",), canonical.dumps(state.header).replace(b"\n ", b"\n  "))

    return forge.commit(base, [forge.lock_operation(base)], tamper=tamper)


@forgery("tree")
def member_added_to_the_header(forge: Forge) -> bytes:
    return forge.late_lock(header=lambda header: {**header, "also": 1})


# -- the rules of locks and sessions


@forgery("transition")
def grant_over_a_live_lock(forge: Forge) -> bytes:
    base = forge.late()
    lock = forge.lock(base, "ada-1")
    operation = forge.lock_operation(base, "bob-1", lock["path"])

    def effect(state: State) -> None:
        granted: Any = {**lock, "session": "bob-1", "grant": operation["id"], "token": state.revision + 1}
        state.put_lock(claims_of(lock["path"])[0], granted)

    return forge.commit(base, [operation], effect=effect)


def _takeover(forge: Forge, base: bytes, evidence: str, *, machine: str | None = None) -> bytes:
    """Take over bob's id by a key of bob's, on evidence that does not hold."""
    before = forge.log.state_at(base).session("bob-1")
    assert before is not None
    operation = forge.operation(base, "session.start", "bob-1")
    fresh = {name: before[name] for name in ("agent", "intent", "machine_name", "lease_s", "process", "proof")}
    operation.update(fresh, incarnation=operation["id"])
    operation["takeover"] = {"incarnation": before["incarnation"], "evidence": {"kind": evidence}}
    if machine is not None:
        operation["clock"] = {**operation["clock"], "machine": machine}

    def effect(state: State) -> None:
        taken: Any = {**before, "incarnation": operation["id"], "renewal": operation["id"], "held": 0, "notices": []}
        state.put_session(taken)

    return forge.commit(base, [operation], effect=effect)


@forgery("transition")
def early_takeover(forge: Forge) -> bytes:
    return _takeover(forge, forge.late(), "lease-over")


@forgery("transition")
def takeover_without_its_challenge(forge: Forge) -> bytes:
    return _takeover(forge, forge.late(), "challenge", machine="elsewhere")


@forgery("transition")
def takeover_by_a_made_up_proof(forge: Forge) -> bytes:
    return _takeover(forge, forge.late(), "process-gone")


@forgery("transition")
def early_expiry(forge: Forge) -> bytes:
    base = forge.late()
    lock = forge.lock(base, "ada-1")
    named = {name: lock[name] for name in ("path", "key", "kind", "session", "token")}
    operation = forge.operation(base, "lock.expire", locks=[named])
    return forge.commit(base, [operation], effect=lambda state: state.drop_lock(claims_of(lock["path"])[0], "ada-1"))


@forgery("transition")
def break_without_a_reason(forge: Forge) -> bytes:
    base = forge.late()
    lock = forge.lock(base, "ada-1")
    named = {name: lock[name] for name in ("path", "key", "kind", "session", "token")}
    operation = forge.operation(base, "lock.break", locks=[named], reason=" ")
    return forge.commit(base, [operation], effect=lambda state: state.drop_lock(claims_of(lock["path"])[0], "ada-1"))


@forgery("transition")
def release_of_anothers_lock(forge: Forge) -> bytes:
    base = forge.late()
    lock = forge.lock(base, "ada-1")
    named = {name: lock[name] for name in ("path", "key", "kind")}
    operation = forge.operation(base, "lock.release", claims=[named])
    return forge.commit(base, [operation], effect=lambda state: state.drop_lock(claims_of(lock["path"])[0], "ada-1"))


@forgery("incarnation")
def operation_of_an_old_incarnation(forge: Forge) -> bytes:
    base = forge.late()
    operation = {**forge.lock_operation(base), "incarnation": "01OLDINCARNATION"}
    return forge.commit(base, [operation], effect=lambda _state: None)


# -- what people read


@forgery("message")
def message_that_says_other(forge: Forge) -> bytes:
    return forge.late_lock(payload=lambda text: text.replace(b"\n\nlock: ", b"\n\nunlock: "))


@forgery("message")
def trailer_added(forge: Forge) -> bytes:
    return forge.late_lock(payload=lambda text: text + b"Coord-Path: other.py\n")


@forgery("author")
def author_that_is_another(forge: Forge) -> bytes:
    return forge.late_lock(payload=lambda text: text.replace(b"\nauthor bob-1", b"\nauthor ada-1"))


@forgery("dates")
def date_that_is_another(forge: Forge) -> bytes:
    return forge.late_lock(payload=lambda text: text.replace(b" +0000\ncommitter", b" +0100\ncommitter"))


@forgery("commit-header")
def header_in_the_commit(forge: Forge) -> bytes:
    return forge.late_lock(payload=lambda text: text.replace(b"\n\n", b"\nencoding latin-1\n\n", 1))


# -- the place in the log


@forgery("revision")
def commit_slipped_in_by_git(forge: Forge) -> bytes:
    base = forge.late()
    tree = forge.log.commit(base).tree.hex()
    made = git(forge.repo, "commit-tree", tree, "-p", base.hex(), "-m", "lock: a.py (ada-1)")
    return bytes.fromhex(made)


@forgery("revision")
def revision_that_jumps(forge: Forge) -> bytes:
    return forge.late_lock(header=lambda header: {**header, "revision": header["revision"] + 5})


@forgery("revision")
def reordered(forge: Forge) -> bytes:
    at = forge.rng.randrange(len(forge.line) - 15, len(forge.line) - 2)
    before, later = forge.line[at - 1], forge.line[at + 1]
    text = forge.raw(later).replace(forge.line[at].hex().encode(), before.hex().encode())
    return forge.write(text)


@forgery("revision")
def dropped(forge: Forge) -> bytes:
    at = forge.rng.randrange(len(forge.line) - 15, len(forge.line) - 1)
    text = forge.raw(forge.line[at + 1]).replace(forge.line[at].hex().encode(), forge.line[at - 1].hex().encode())
    return forge.write(text)


@forgery("tree")
def reparented_onto_a_sibling(forge: Forge) -> bytes:
    at = forge.rng.randrange(len(forge.line) - 15, len(forge.line) - 1)
    base = forge.line[at - 1]
    sibling = forge.commit(base, [forge.lock_operation(base)])
    return forge.write(forge.raw(forge.line[at + 1]).replace(forge.line[at].hex().encode(), sibling.hex().encode()))


@forgery("operation-id")
def replayed(forge: Forge) -> bytes:
    base = forge.late()
    used = forge.log.state_at(forge.line[3]).header["operations"][0]["id"]
    return forge.commit(base, [{**forge.lock_operation(base), "id": used}])


@forgery("operation-id")
def one_id_twice_in_a_commit(forge: Forge) -> bytes:
    base = forge.late()
    first, second = forge.lock_operation(base), forge.lock_operation(base)
    return forge.commit(base, [first, {**second, "id": first["id"]}])


@forgery("repository")
def grafted_from_another_repository(forge: Forge) -> bytes:
    return forge.late_lock(header=lambda header: {**header, "repository": "another-log"})


@forgery("parents")
def second_beginning(forge: Forge) -> bytes:
    return forge.late_lock(parents=[])


@forgery("parents")
def beginning_in_the_middle(forge: Forge) -> bytes:
    base = forge.late()
    first = forge.log.state_at(forge.line[0]).header["operations"][0]
    return forge.commit(base, [{**first, "id": "AGAIN"}], effect=lambda _state: None)


@forgery("parents")
def merge_of_three(forge: Forge) -> bytes:
    base = forge.late()
    parents = [base, forge.line[2], forge.line[3]]
    return forge.commit(base, [forge.lock_operation(base)], parents=parents)


@forgery("object")
def parent_that_is_nowhere(forge: Forge) -> bytes:
    return forge.late_lock(parents=[b"\x17" * 20])


# -- what it is


@forgery("format")
def unknown_format(forge: Forge) -> bytes:
    return forge.late_lock(header=lambda header: {**header, "format": 99})


@forgery("format")
def rules_of_the_future(forge: Forge) -> bytes:
    return forge.late_lock(header=lambda header: {**header, "rules": 99})


@forgery("format")
def no_header(forge: Forge) -> bytes:
    return forge.late_lock(tamper=lambda state: state.tree.remove((b"coord.json",)))


@forgery("format")
def link_in_the_tree(forge: Forge) -> bytes:
    base = forge.late()
    made = forge.commit(base, [forge.lock_operation(base)])
    batch, tree = forge.log.objects.batch(), forge.log.commit(made).tree
    linked = batch.add(b"tree", forge.log.objects.read(tree)[1].replace(b"100644 policy.json", b"120000 policy.json"))
    forge.log.objects.sync(batch.paths)
    return _signed_again(
        forge, envelope.unwrap(forge.raw(made)).payload.replace(tree.hex().encode(), linked.hex().encode())
    )


@forgery("type")
def unknown_operation(forge: Forge) -> bytes:
    base = forge.late()

    operation = {**forge.lock_operation(base), "type": "session.end", "id": "CONJURED"}
    made = forge.commit(base, [operation], effect=lambda _state: None)
    return _with_type(forge, made, "lock.conjure")


def _with_type(forge: Forge, made: bytes, kind: str) -> bytes:
    """Rewrite a forged commit's operation type, which the honest renderer would not show."""
    state = forge.state(made)
    header: Any = canonical.copy_of(state.header)
    header["operations"][0]["type"] = kind
    state.header = header
    batch = forge.log.objects.batch()
    tree = state.write(batch.add)
    forge.log.objects.sync(batch.paths)
    text = envelope.unwrap(forge.raw(made)).payload
    text = text.replace(forge.log.commit(made).tree.hex().encode(), tree.hex().encode())
    return _signed_again(forge, text)


def _signed_again(forge: Forge, text: bytes) -> bytes:
    key = forge.key_of("bob-1")
    return forge.write(text if key is None else envelope.wrap(text, key.sign(text), 20))


@forgery("shape")
def operation_without_its_fields(forge: Forge) -> bytes:
    base = forge.late()
    operation = forge.operation(base, "lock.release", claims=[{"path": "x"}])
    return forge.commit(base, [operation], effect=lambda _state: None)


# -- signatures and the policy (on signed logs)

SIGNED: set[str] = set()
"""The kinds that need a signed log."""


def signed(run: Callable[[Forge], Forged]) -> Callable[[Forge], Forged]:
    """Note that a kind needs a signed log."""
    name = next(name for name, known in FORGERIES.items() if known is run)
    SIGNED.add(name)
    return run


@signed
@forgery("signature")
def signature_over_the_tree_only(forge: Forge) -> bytes:
    base = forge.late()

    def body(text: bytes) -> bytes:
        payload = envelope.unwrap(text).payload
        return envelope.wrap(payload, forge.keys.bob.sign(payload.split(b"\n")[0]), 20)

    return forge.commit(base, [forge.lock_operation(base)], body=body)


@signed
@forgery("signature")
def signature_of_another_commit(forge: Forge) -> bytes:
    base = forge.late()
    other = envelope.unwrap(forge.raw(forge.commit(base, [forge.lock_operation(base)]))).signatures[0][1]
    return forge.commit(
        base,
        [forge.lock_operation(base)],
        body=lambda text: envelope.wrap(envelope.unwrap(text).payload, other, 20),
    )


@signed
@forgery("signature")
def signature_for_something_else_than_git(forge: Forge) -> bytes:
    base = forge.late()

    def body(text: bytes) -> bytes:
        payload = envelope.unwrap(text).payload
        armour = forge.keys.bob.sign(payload)
        from base64 import b64decode, b64encode

        lines = armour.split(b"\n")
        blob = b64decode(b"".join(lines[1:-2])).replace(pack(b"git"), pack(b"file"))
        return envelope.wrap(payload, b"\n".join([lines[0], b64encode(blob), lines[-2]]), 20)

    return forge.commit(base, [forge.lock_operation(base)], body=body)


@signed
@forgery("signature-count")
def two_signatures(forge: Forge) -> bytes:
    base = forge.late()

    def body(text: bytes) -> bytes:
        payload = envelope.unwrap(text).payload
        return envelope.wrap(text, forge.keys.ada.sign(payload), 20)

    return forge.commit(base, [forge.lock_operation(base)], body=body)


@signed
@forgery("signature-count")
def two_signatures_in_one_header(forge: Forge) -> bytes:
    base = forge.late()

    def body(text: bytes) -> bytes:
        payload = envelope.unwrap(text).payload
        both = forge.keys.bob.sign(payload) + forge.keys.ada.sign(payload)
        return envelope.wrap(payload, both, 20)

    return forge.commit(base, [forge.lock_operation(base)], body=body)


@signed
@forgery("signature-count")
def signature_taken_away(forge: Forge) -> bytes:
    return forge.late_lock(body=lambda text: envelope.unwrap(text).payload)


@signed
@forgery("signature-count")
def signature_under_the_other_header(forge: Forge) -> bytes:
    return forge.late_lock(body=lambda text: text.replace(b"\ngpgsig ", b"\ngpgsig-sha256 "))


@signed
@forgery("signer")
def signed_by_another_than_named(forge: Forge) -> bytes:
    base = forge.late()
    operation = {**forge.lock_operation(base), "signer": forge.keys.bob.fingerprint}
    return forge.commit(base, [operation], key=forge.keys.eve)


@signed
@forgery("signer")
def several_signers_in_one_commit(forge: Forge) -> bytes:
    base = forge.late()
    first = {**forge.lock_operation(base, "bob-1"), "signer": forge.keys.bob.fingerprint}
    second = {**forge.lock_operation(base, "ada-1"), "signer": forge.keys.ada.fingerprint}
    return forge.commit(base, [first, second])


@signed
@forgery("permission")
def unsigned_where_that_is_refused(forge: Forge) -> bytes:
    base = forge.late()
    plain = Forge(forge.repo, forge.keys, forge.rng.getrandbits(32), signed=False)
    operation = forge.lock_operation(base)
    return plain.commit(base, [operation], effect=lambda _state: None)


@signed
@forgery("permission")
def key_of_a_stranger(forge: Forge) -> bytes:
    return forge.late_lock(key=forge.keys.stranger, effect=lambda _state: None)


@signed
@forgery("permission")
def revoked_key(forge: Forge) -> bytes:
    return forge.late_lock(key=forge.keys.old, effect=lambda _state: None)


@signed
@forgery("permission")
def key_added_by_one_who_may_not(forge: Forge) -> bytes:
    base = forge.late()
    policy: Any = canonical.copy_of(forge.log.state_at(base).policy)
    policy["version"] += 1
    public = forge.keys.stranger
    entry = {"kind": "ssh", "fingerprint": public.fingerprint, "public": public.public, "since": 0, "until": None}
    policy["principals"]["eve"]["keys"].append(entry)

    def effect(state: State) -> None:
        state.policy = policy

    operation = forge.operation(base, "policy.set", "eve-1", policy=policy, reason="")
    return forge.commit(base, [operation], effect=effect)


@signed
@forgery("policy-version")
def policy_rolled_back(forge: Forge) -> bytes:
    base = forge.late()
    old = forge.log.state_at(forge.line[4]).policy
    operation = forge.operation(base, "policy.set", "ada-1", policy=old, reason="")

    def effect(state: State) -> None:
        state.policy = old

    return forge.commit(base, [operation], effect=effect)


@signed
@forgery("transition")
def revoked_key_that_comes_back(forge: Forge) -> bytes:
    base = forge.late()
    policy: Any = canonical.copy_of(forge.log.state_at(base).policy)
    policy["version"] += 1
    policy["principals"]["bob"]["keys"][1]["until"] = None

    def effect(state: State) -> None:
        state.policy = policy

    operation = forge.operation(base, "policy.set", "ada-1", policy=policy, reason="")
    return forge.commit(base, [operation], effect=effect)


@signed
@forgery("tree")
def revoked_key_that_leaves_the_policy(forge: Forge) -> bytes:
    base = forge.late()
    policy: Any = canonical.copy_of(forge.log.state_at(base).policy)
    policy["version"] += 1
    del policy["principals"]["bob"]["keys"][1]

    def effect(state: State) -> None:
        state.policy = policy

    operation = forge.operation(base, "policy.set", "ada-1", policy=policy, reason="")
    return forge.commit(base, [operation], effect=effect)


@signed
@forgery("permission")
def acting_as_anothers_session(forge: Forge) -> bytes:
    base = forge.late()
    return forge.commit(base, [forge.lock_operation(base, "ada-1")], key=forge.keys.bob, effect=lambda _state: None)


@signed
@forgery("permission")
def break_by_one_who_may_not(forge: Forge) -> bytes:
    base = forge.late()
    lock = forge.lock(base, "ada-1")
    named = {name: lock[name] for name in ("path", "key", "kind", "session", "token")}
    operation = forge.operation(base, "lock.break", "eve-1", locks=[named], reason="mine now")
    return forge.commit(base, [operation], effect=lambda state: state.drop_lock(claims_of(lock["path"])[0], "ada-1"))
