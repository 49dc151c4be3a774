"""The rules of the policy: who may do what, whose session it is, and how a policy changes."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from gitcoord import canonical, principals
from gitcoord.errors import BadRequest, NotPermitted, PolicyOutdated, Refused
from gitcoord.model import DEFAULT_LIMITS
from gitcoord.transitions import advance
from support.ledger import Ledger

KIND = b"ssh-ed25519"
BLOBS = [b"".join(len(part).to_bytes(4, "big") + part for part in (KIND, bytes([n]) * 32)) for n in range(4)]
TEXTS = {principals.ssh_fingerprint(blob): f"{KIND.decode()} {b64encode(blob).decode()}" for blob in BLOBS}
ROOT, BOB, EVE, NEW = TEXTS


def key(fingerprint: str, since: int = 1, until: int | None = None) -> dict[str, Any]:
    public = TEXTS[fingerprint]
    return {"kind": "ssh", "fingerprint": fingerprint, "public": public, "since": since, "until": until}


def policy(**more: Any) -> dict[str, Any]:
    roles: Any = {
        **canonical.copy_of(principals.DEFAULT_ROLES),
        "writer": {"may": ["write"], "scopes": ["issue:*", "exact"]},
    }
    return {
        "version": 1,
        "case": "sensitive",
        "unsigned": "refused",
        "limits": dict(DEFAULT_LIMITS),
        "roles": roles,
        "principals": {
            "root": {"roles": ["root"], "keys": [key(ROOT)]},
            "bob": {"roles": ["member"], "keys": [key(BOB)]},
            "eve": {"roles": ["writer"], "keys": [key(EVE)]},
        },
        **more,
    }


class Signed(Ledger):
    """A log whose operations are signed."""

    def __init__(self, **more: Any) -> None:
        self.first = policy(**more)
        super().__init__()

    def init_operation(self, policy: Any) -> dict[str, Any]:
        del policy
        return {**super().init_operation(self.first), "signer": ROOT}

    def sign_on(self, session: str, signer: str | None) -> None:
        """Sign a session on by a key."""
        by: dict[str, Any] = {} if signer is None else {"signer": signer}
        self.start(session, **by)

    def as_key(self, signer: str | None, kind: str, session: str, **fields: Any) -> None:
        """Apply an operation by a key."""
        by: dict[str, Any] = {} if signer is None else {"signer": signer}
        self.apply(self.operation(kind, session, **fields, **by))


@pytest.fixture
def log() -> Signed:
    """Return a signed log on which root, bob and eve are signed on."""
    made = Signed()
    for session, signer in (("root-1", ROOT), ("bob-1", BOB), ("eve-1", EVE)):
        made.sign_on(session, signer)
    return made


def put(scope: str) -> dict[str, Any]:
    return {"scope": scope, "key": "k", "value": 1, "expect_revision": None, "replaces": None}


def changed(log: Ledger, **more: Any) -> dict[str, Any]:
    found: Any = canonical.copy_of(log.state.policy)
    return {**found, "version": found["version"] + 1, **more}


def test_a_session_is_its_principals_own(log: Signed) -> None:
    assert log.session("bob-1").get("principal") == "bob"
    with pytest.raises(NotPermitted, match=r"session bob-1 is bob's; root may not"):
        log.as_key(ROOT, "session.end", "bob-1")


def test_nobody_takes_over_the_session_of_another_principal(log: Signed) -> None:
    log.clock.advance(10_000)
    taken = log.takeover_of("bob-1", "lease-over")
    with pytest.raises(NotPermitted, match="bob's"):
        log.start("bob-1", takeover=taken, signer=EVE)
    log.start("bob-1", takeover=taken, signer=BOB)


def test_unsigned_operations_are_refused_where_the_policy_says_so(log: Signed) -> None:
    with pytest.raises(NotPermitted, match="unsigned"):
        log.sign_on("x", None)


def test_where_unsigned_ones_are_accepted_they_are_unproven_and_do_nothing_against_somebodys_will() -> None:
    log = Signed(unsigned="accepted")
    log.sign_on("x", None)
    assert "principal" not in log.session("x")
    log.as_key(None, "data.store", "x", **put("s"))
    with pytest.raises(NotPermitted, match=r"unsigned policy\.set"):
        log.as_key(None, "policy.set", "x", policy=changed(log), reason="")
    share = {"remote": "origin", "ref": "refs/coord", "url": "there"}
    with pytest.raises(NotPermitted, match=r"unsigned log\.share"):
        log.as_key(None, "log.share", "x", **share)
    log.sign_on("bob-1", BOB)
    claims = [{"path": "a", "key": "a", "kind": "file"}]
    log.as_key(BOB, "lock.acquire", "bob-1", claims=claims, mode="exclusive", reason="", ttl_s=None)
    broken = [{**claims[0], "session": "bob-1", "token": log.revision}]
    with pytest.raises(NotPermitted, match=r"unsigned lock\.break"):
        log.as_key(None, "lock.break", "x", locks=broken, reason="mine")
    log.as_key(
        None,
        "lock.acquire",
        "x",
        claims=[{**claims[0], "path": "b", "key": "b"}],
        mode="exclusive",
        reason="",
        ttl_s=None,
    )
    with pytest.raises(NotPermitted, match="an unsigned operation may not act as it"):
        log.as_key(None, "session.end", "bob-1")


@pytest.mark.parametrize(
    ("scope", "allowed"), [("issue:1", True), ("exact", True), ("exact/more", False), ("x", False)]
)
def test_a_role_writes_its_scopes_and_no_others(log: Signed, scope: str, allowed: bool) -> None:
    if allowed:
        log.as_key(EVE, "data.store", "eve-1", **put(scope))
    else:
        with pytest.raises(NotPermitted, match="may not write"):
            log.as_key(EVE, "data.store", "eve-1", **put(scope))


def test_a_role_does_what_it_may_and_nothing_else(log: Signed) -> None:
    claims = [{"path": "a", "key": "a", "kind": "file"}]
    wanted = {"claims": claims, "mode": "exclusive", "reason": "", "ttl_s": None}
    with pytest.raises(NotPermitted, match="'lock'"):
        log.as_key(EVE, "lock.acquire", "eve-1", **wanted)
    log.as_key(BOB, "lock.acquire", "bob-1", **wanted)
    with pytest.raises(NotPermitted, match="'policy'"):
        log.as_key(BOB, "policy.set", "bob-1", policy=changed(log), reason="")


def test_a_key_counts_from_the_next_revision_until_it_is_revoked(log: Signed) -> None:
    new = changed(log)
    new["principals"]["bob"]["keys"].append(key(NEW, since=-5))
    log.as_key(ROOT, "policy.set", "root-1", policy=new, reason="")
    added = log.state.policy.get("principals", {})["bob"]["keys"][1]
    assert (added["since"], added["until"]) == (log.revision + 1, None)
    log.as_key(NEW, "data.store", "bob-1", **put("s"))
    gone = changed(log)
    gone["principals"]["bob"]["keys"][1]["until"] = 0
    log.as_key(ROOT, "policy.set", "root-1", policy=gone, reason="lost")
    with pytest.raises(NotPermitted, match="does not count since"):
        log.as_key(NEW, "data.store", "bob-1", **put("t"))
    back = changed(log)
    back["principals"]["bob"]["keys"][1]["until"] = None
    with pytest.raises(Refused, match="stays so"):
        log.as_key(ROOT, "policy.set", "root-1", policy=back, reason="")


def set_by_root(log: Signed, new: dict[str, Any]) -> None:
    log.as_key(ROOT, "policy.set", "root-1", policy=new, reason="")


def keys_of(log: Signed, name: str) -> list[Any]:
    return log.state.policy.get("principals", {})[name]["keys"]


def test_a_key_that_a_policy_leaves_out_is_revoked_and_counts_at_no_later_time(log: Signed) -> None:
    new = changed(log)
    new["principals"]["bob"]["keys"] = [key(NEW)]
    set_by_root(log, new)
    ended = log.revision + 1
    assert {found["fingerprint"]: found["until"] for found in keys_of(log, "bob")} == {NEW: None, BOB: ended}
    with pytest.raises(NotPermitted, match="does not count since"):
        log.as_key(BOB, "data.store", "bob-1", **put("s"))
    for _ in range(2):  # left out again, an ended key stays as it was
        again = changed(log)
        again["principals"]["bob"]["keys"] = [key(NEW)]
        set_by_root(log, again)
    assert keys_of(log, "bob")[1] == {**key(BOB), "until": ended}
    back = changed(log)
    back["principals"]["bob"]["keys"] = [key(NEW), key(BOB)]
    with pytest.raises(Refused, match=f"was revoked at revision {ended} and stays so"):
        set_by_root(log, back)


def test_a_principal_that_is_left_out_or_gets_another_name_keeps_its_revoked_keys(log: Signed) -> None:
    renamed = changed(log)
    renamed["principals"]["robert"] = {"roles": ["member"], "keys": [key(NEW)]}
    del renamed["principals"]["bob"]
    set_by_root(log, renamed)
    left = log.state.policy.get("principals", {})["bob"]
    assert left == {"roles": [], "keys": [{**key(BOB), "until": log.revision + 1}]}
    for name in ("robert", "bob"):
        back = changed(log)
        back["principals"]["bob"]["keys"] = []
        back["principals"][name]["keys"] = [key(BOB)]
        with pytest.raises(Refused, match=r"cannot become robert's|stays so"):
            set_by_root(log, back)


GPG_TEXT = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n...\n"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"public": TEXTS[EVE]}, f"is another key, {EVE}"),
        ({"public": f"{TEXTS[NEW]}\n* {TEXTS[EVE]}"}, "no SSH public key in one line"),
        ({"public": TEXTS[NEW].replace("ssh-ed25519", "ssh-rsa")}, "no SSH public key"),
        ({"public": TEXTS[NEW][:-1]}, "no SSH public key"),
        ({"public": "ssh-ed25519"}, "no SSH public key"),
        ({"fingerprint": NEW[:-1]}, "no fingerprint"),
        ({"kind": "gpg"}, "no fingerprint"),
        ({"kind": "gpg", "fingerprint": 40 * "a", "public": GPG_TEXT}, "no fingerprint"),
        ({"kind": "gpg", "fingerprint": 40 * "A", "public": TEXTS[NEW]}, "no armoured GPG key"),
    ],
)
def test_a_new_key_is_the_one_that_its_fingerprint_names(log: Signed, wrong: dict[str, Any], why: str) -> None:
    new = changed(log)
    new["principals"]["bob"]["keys"].append({**key(NEW), **wrong})
    with pytest.raises(BadRequest, match=why.replace("+", r"\+")):
        set_by_root(log, new)
    log.first["principals"]["bob"]["keys"] = new["principals"]["bob"]["keys"]
    with pytest.raises(BadRequest, match="no policy"):
        advance(log.objects.state(None), [log.init_operation(None)])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("fine", [{"public": f"{TEXTS[NEW]} bob@home"}, {"kind": "gpg", "fingerprint": 40 * "A"}])
def test_a_key_with_a_comment_and_one_of_gnupg_are_taken(log: Signed, fine: dict[str, Any]) -> None:
    new = changed(log)
    public = GPG_TEXT if "kind" in fine else TEXTS[NEW]
    new["principals"]["bob"]["keys"].append({**key(NEW), "public": public, **fine})
    set_by_root(log, new)


def test_versions_only_grow(log: Signed) -> None:
    for version in (1, 3):
        with pytest.raises(PolicyOutdated):
            log.as_key(ROOT, "policy.set", "root-1", policy=changed(log, version=version), reason="")
    log.as_key(ROOT, "policy.set", "root-1", policy=changed(log), reason="")


def test_a_log_is_never_left_without_somebody_who_may_change_its_policy(log: Signed) -> None:
    without = changed(log)
    without["principals"]["root"]["roles"] = ["member"]
    with pytest.raises(Refused, match="nobody could change"):
        log.as_key(ROOT, "policy.set", "root-1", policy=without, reason="")
    with pytest.raises(Refused, match="keeps some"):
        log.as_key(ROOT, "policy.set", "root-1", policy=changed(log, principals={}), reason="")


def test_a_key_does_not_change_hands(log: Signed) -> None:
    moved = changed(log)
    moved["principals"]["eve"]["keys"] = [key(BOB)]
    moved["principals"]["bob"]["keys"] = []
    with pytest.raises(Refused, match="cannot become eve's"):
        log.as_key(ROOT, "policy.set", "root-1", policy=moved, reason="")


@pytest.mark.parametrize(
    "bad",
    [
        {"unsigned": "maybe"},
        {"limits": {}},
        {"case": "upper"},
        {"extra": 1},
        {"roles": {"root": {"may": ["fly"], "scopes": []}}},
        {"principals": {"": {"roles": [], "keys": []}}},
        {"principals": {"a": {"roles": ["unknown"], "keys": []}}},
        {"principals": {"a": {"roles": [], "keys": [{"kind": "pgp"}]}}},
    ],
)
def test_what_is_no_policy_is_refused_with_what_is_wrong(log: Signed, bad: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="no policy"):
        log.as_key(ROOT, "policy.set", "root-1", policy=changed(log, **bad), reason="")


def test_a_signed_log_begins_with_its_root() -> None:
    ledger = Ledger()
    for signer in ({}, {"signer": BOB}):
        begin = {**ledger.init_operation(policy()), **signer}  # pyright: ignore[reportArgumentType] - a whole policy
        with pytest.raises(BadRequest, match="somebody who may change"):
            advance(ledger.objects.state(None), [begin])


def test_one_renewal_covers_the_sessions_of_one_principal_only(log: Signed) -> None:
    other = [{"session": "eve-1", "incarnation": log.incarnations["eve-1"]}]
    with pytest.raises(NotPermitted, match="eve's"):
        log.as_key(BOB, "session.renew", "bob-1", lease_s=None, intent=None, others=other)
