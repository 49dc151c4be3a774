"""A forger's workshop: takes an honest log and writes commits that gitcoord itself never would.

Everything goes into the repository's objects, and the log's ref stays where it is: a forgery is a commit id.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from gitcoord import envelope, render
from gitcoord.model import FORMAT, LOG_REF, RULES
from gitcoord.service import initialise, open_desk
from gitcoord.service.access import open_access
from gitcoord.signing import sshkeys
from gitcoord.state import claim_of
from gitcoord.transitions import advance
from gitcoord.transitions.locks import claim_record
from gitcoord.verify.chain import Examination, Verdict
from support.clock import ManualClock
from support.ledger import claims_of
from support.repo import make_repo
from support.world import granted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from gitcoord.log import Log
    from gitcoord.model import Lock, Operation
    from gitcoord.service.desk import Desk
    from gitcoord.state import State

    Change = Callable[[Any], Any]

_SESSIONS = ("ada-1", "bob-1", "eve-1")


class Cast(NamedTuple):
    """The keys of an honest log: `ada` is its root, `bob` a member, `eve` an agent, `old` is bob's revoked one."""

    ada: sshkeys.FileKey
    bob: sshkeys.FileKey
    eve: sshkeys.FileKey
    old: sshkeys.FileKey
    stranger: sshkeys.FileKey


def make_key(path: str) -> sshkeys.FileKey:
    """Make a key file and return the key."""
    text, key = sshkeys.generate(path)
    with open(path, "wb") as file:
        file.write(text)
    with open(f"{path}.pub", "w", encoding="utf-8") as file:
        file.write(key.public + "\n")
    return key


def honest_log(where: str, *, signed: bool, seed: int) -> tuple[str, Cast]:
    """Make a repository with an honest log of some fifty commits and return its path and its keys."""
    rng = random.Random(seed)
    repo = make_repo(f"{where}/repo")
    keys = {name: make_key(f"{where}/{name}") for name in Cast._fields}
    clock = ManualClock()
    made = initialise(repo, sign="ssh", key=f"{where}/ada") if signed else initialise(repo)
    assert made["created"]
    paths = {"ada-1": f"{where}/ada", "bob-1": f"{where}/bob", "eve-1": f"{where}/eve"}
    desks: dict[str, Desk] = {
        name: open_desk(repo, session=name, hint="test", clock=clock, key=path if signed else None)
        for name, path in paths.items()
    }
    if signed:
        root = desks["ada-1"]
        for owner, name, role in (("bob", "bob", "member"), ("eve", "eve", "agent"), ("bob", "old", "member")):
            assert root.add_key(owner, f"{where}/{name}.pub", roles=[role])["changed"]
        revoked = root.revoke_key(keys["old"].fingerprint, reason="lost")
        assert revoked["changed"], revoked
    granted(desks["ada-1"].lock_files(["held/by/ada.py"], reason="stays"))
    granted(desks["bob-1"].lock_files(["held/by/bob.py"], ttl_s=600))
    granted(desks["eve-1"].lock_files(["held/by/eve.py"]))
    for number in range(40):
        clock.advance(rng.randrange(1, 20))
        desk = desks[rng.choice(_SESSIONS)]
        path = f"src/{rng.randrange(4)}/f{rng.randrange(6)}.py"
        step = rng.randrange(4)
        if step == 0:
            desk.unlock_files([path])
        elif step == 1:
            assert desk.store_data(f"issue:{rng.randrange(3)}", f"k{rng.randrange(4)}", {"n": number})["ok"]
        else:
            desk.lock_files([path], reason=f"step {number}")
    return repo, Cast(**keys)


class How(TypedDict, total=False):
    """In what a forged commit is other than an honest one, as `Forge.commit` takes it."""

    key: sshkeys.FileKey
    effect: Change
    tamper: Change
    header: Change
    payload: Change
    body: Change
    parents: list[bytes]


class Forge:
    """Writes forged commits beside a log.

    Attributes:
        line: the commits of the honest log, the oldest first.
        rng: what chooses where a forgery strikes.
    """

    def __init__(self, repo: str, keys: Cast, seed: int, *, signed: bool = True) -> None:
        self.repo = repo
        self.keys = keys
        self.signed = signed
        self.rng = random.Random(seed)
        self.log: Log = open_access(repo).log
        self.line: list[bytes] = [self.log.tip()]
        while parents := self.log.commit(self.line[-1]).parents:
            self.line.append(parents[0])
        self.line.reverse()

    # -- looking

    @property
    def tip(self) -> bytes:
        """The newest honest commit."""
        return self.line[-1]

    def late(self) -> bytes:
        """Return some honest commit of the last twenty."""
        return self.rng.choice(self.line[-20:])

    def state(self, oid: bytes) -> State:
        """Return a copy of the state at a commit, to change."""
        return self.log.state_at(oid).fork()

    def lock(self, oid: bytes, session: str | None = None) -> Lock:
        """Return some lock that is held at a commit."""
        found = [lock for lock in self.log.state_at(oid).locks() if session in (None, lock["session"])]
        return self.rng.choice(found)

    # -- operations

    def key_of(self, session: str) -> sshkeys.FileKey | None:
        """Return the key that a session signs with."""
        keys = {"ada-1": self.keys.ada, "bob-1": self.keys.bob, "eve-1": self.keys.eve}
        return keys[session] if self.signed else None

    def operation(self, base: bytes, kind: str, session: str = "bob-1", **fields: Any) -> Operation:
        """Return an operation of a session on the state at a commit, a minute after its last one."""
        record = self.log.state_at(base).session(session)
        assert record is not None
        clock: Any = {**record["clock"], "uptime_ms": record["clock"]["uptime_ms"] + 1000}
        return {
            "id": f"FORGED{self.rng.getrandbits(64):016X}",
            "type": kind,
            "session": session,
            "incarnation": record["incarnation"],
            "clock": clock,
            "author": record["author"],
            **fields,
        }

    def lock_operation(self, base: bytes, session: str = "bob-1", path: str = "", **fields: Any) -> Operation:
        """Return an operation that locks a path, a new one by default."""
        path = path or f"new/{self.rng.getrandbits(32):08x}.py"
        claims = [claim_record(claim) for claim in claims_of(path)]
        wanted = {"claims": claims, "mode": "exclusive", "reason": "", "ttl_s": None, **fields}
        return self.operation(base, "lock.acquire", session, **wanted)

    # -- writing

    def commit(
        self,
        base: bytes | None,
        operations: list[Operation],
        *,
        key: sshkeys.FileKey | None = None,
        effect: Change | None = None,
        tamper: Change | None = None,
        header: Change | None = None,
        payload: Change | None = None,
        body: Change | None = None,
        parents: list[bytes] | None = None,
    ) -> bytes:
        """Write a commit on a base and return its id.

        Args:
            base: the parent whose state it starts from; None begins a log.
            operations: what it says that it does.
            key: who signs, by default the session's own key; in a signed log the operations name it.
            effect: does to the state what the operations are to have done; by default the honest rules do.
            tamper: changes the state afterwards.
            header: changes `coord.json`.
            payload: changes the commit's text before it is signed.
            body: changes the commit's text after it is signed.
            parents: the parents that it names, where that is not the base alone.
        """
        signer = key or (self.key_of(operations[0].get("session", "ada-1")) if self.signed else None)
        if signer is not None:
            operations = [{"signer": signer.fingerprint, **operation} for operation in operations]
        state = self.log.first_state() if base is None else self.state(base)
        revision = state.revision + 1
        repository = operations[0].get("repository") or state.header["repository"]
        if effect is None:
            advance(state, operations)
        else:
            effect(state)
        made: Any = {
            "format": FORMAT,
            "rules": RULES,
            "repository": repository,
            "revision": revision,
            "operations": operations,
        }
        state.header = made if header is None else header(made)
        if tamper is not None:
            tamper(state)
        batch = self.log.objects.batch()
        tree = state.write(batch.add)
        named = ([] if base is None else [base]) if parents is None else parents
        text = render.commit(tree, named, made if header is None else header(made))
        text = text if payload is None else payload(text)
        if signer is not None:
            text = envelope.wrap(text, signer.sign(text), self.log.objects.oid_size)
        made = batch.add(b"commit", text if body is None else body(text))
        self.log.objects.sync(batch.paths)
        return made

    def late_lock(self, **how: Unpack[How]) -> bytes:
        """Write a lock of bob's on some late commit, written as `commit` is told to, and return its id."""
        base = self.late()
        return self.commit(base, [self.lock_operation(base)], **how)

    def raw(self, oid: bytes) -> bytes:
        """Return a commit's text."""
        return self.log.objects.read(oid)[1]

    def write(self, text: bytes) -> bytes:
        """Write a commit's text as it is."""
        batch = self.log.objects.batch()
        made = batch.add(b"commit", text)
        self.log.objects.sync(batch.paths)
        return made

    def follow(self, base: bytes, steps: int = 2) -> bytes:
        """Let honest operations follow a forged commit, and return the last one; the base where none can."""
        here = base
        for _ in range(steps):
            try:
                here = self.commit(here, [self.lock_operation(here, "ada-1")])
            except Exception:  # noqa: BLE001 - what was forged may be beyond honest rules
                return here
        return here

    def judge(self, tip: bytes, pinned: str | None = None) -> Verdict:
        """Verify the history of a commit with nothing remembered."""
        return Examination(self.log, None, pinned).run(None, tip)[0]


def set_lock(lock: Lock, **fields: Any) -> Callable[[State], None]:
    """Return what puts a lock's record into a state with other fields, in the place of its own."""

    def tamper(state: State) -> None:
        state.drop_lock(claim_of(lock), lock["session"])
        changed: Any = {**lock, **fields}
        state.put_lock(claim_of(changed), changed)

    return tamper


__all__ = ["LOG_REF", "Cast", "Forge", "honest_log", "make_key", "set_lock"]
