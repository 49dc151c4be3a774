"""The judge: whether one commit is what the rules make of the state before it. Pure; reads and remembers nothing.

Each rule has a name, and a commit that breaks several is charged with the first in this order: `parents`,
`repository`, `revision`, `operation-id`, `signature-count`, `signer`, then what the transitions say (`type`,
`incarnation`, `permission`, `policy-version`, `transition`, `shape`), `tree`, and what people read (`message`,
`author`, `dates`, `commit-header`). Whether a signature is good is asked last, by who called: `Judged.signature`.
"""

from __future__ import annotations

from collections.abc import Container

from gitcoord import envelope, principals, render
from gitcoord.errors import CoordError, IntegrityFault, NotPermitted, PolicyOutdated, SessionEnded, UnsupportedFormat
from gitcoord.model import Header, Operation, Policy
from gitcoord.state import State
from gitcoord.transitions import advance
from gitcoord.transitions.merging import MERGE
from gitcoord.tree import Sink
from gitcoord.values import NamedTuple

# What a rule may stumble over in an operation that nobody's gitcoord wrote.
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError)


class Fault(NamedTuple):
    """What is wrong, with which commit, by which rule."""

    commit: bytes
    rule: str
    reason: str


class Broken(Exception):
    """A commit broke a rule."""

    def __init__(self, rule: str, reason: str) -> None:
        """Keep the rule's name and what is wrong."""
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


class Found(NamedTuple):
    """A commit as it lies in the repository.

    Attributes:
        oid: its name.
        tree: the tree that it names.
        parents: the commits that it names as its parents.
        payload: its body without signatures.
        signatures: those, each with the name of its header.
        header: its `coord.json`.
    """

    oid: bytes
    tree: bytes
    parents: list[bytes]
    payload: bytes
    signatures: list[tuple[bytes, bytes]]
    header: Header


class Signature(NamedTuple):
    """A signature that has to be checked: over what, by which key.

    Attributes:
        payload: what it covers.
        armour: the signature.
        signer: the fingerprint of the key that must have made it.
        public: that key, as the policy holds it; empty where the policy does not know it.
        owner: the principal; None where nobody vouches for the key.
    """

    payload: bytes
    armour: bytes
    signer: str
    public: str
    owner: str | None


class Judged(NamedTuple):
    """A commit that obeys the rules, if only its signature is good."""

    state: State
    signature: Signature | None
    owner: str | None


def check_place(found: Found, repository: str | None, revision: int, used: Container[str]) -> None:
    """Let a commit pass if it belongs where it stands.

    Args:
        found: the commit.
        repository: the log's id; None before its first commit.
        revision: the largest of its parents'.
        used: the ids of the operations before it.

    Raises:
        Broken: it does not.
    """
    header = found.header
    kinds = [operation["type"] for operation in header["operations"]]
    if bool(found.parents) == ("log.init" in kinds):
        what = "begins a log, and has a parent" if found.parents else "has no parent, and does not begin a log"
        raise Broken("parents", what)
    if len(set(found.parents)) != len(found.parents) or len(found.parents) > 2:
        raise Broken("parents", f"has {len(found.parents)} parents; one, or two different ones, can be")
    if repository is not None and header["repository"] != repository:
        raise Broken("repository", f"is of the log {header['repository']}, grafted onto the log {repository}")
    if header["revision"] != revision + 1:
        raise Broken("revision", f"says revision {header['revision']}; after {revision} comes {revision + 1}")
    here: set[str] = set()
    for operation in header["operations"]:
        if operation["id"] in here or operation["id"] in used:
            raise Broken("operation-id", f"the operation {operation['id']} was there before")
        here.add(operation["id"])


def check_signed(found: Found, policy: Policy, oid_size: int) -> Signature | None:
    """Return the signature that a commit has to have, where one is to be checked.

    Args:
        found: the commit.
        policy: of the state before it; for the first commit, its own.
        oid_size: how many bytes an object's name has.

    Raises:
        Broken: it has none and says it has, has several, or speaks of several signers.
    """
    named = {operation.get("signer") for operation in found.header["operations"]}
    signer = next(iter(named))
    if len(named) > 1 or not (signer is None or type(signer) is str):
        raise Broken("signer", "its operations name several signers, and one signature cannot be all of theirs")
    if len(found.signatures) > 1:
        raise Broken("signature-count", f"has {len(found.signatures)} signatures; exactly one can be")
    if signer is None:
        if found.signatures:
            raise Broken("signer", "is signed, and its operations name no signer")
        return None
    if not found.signatures:
        raise Broken("signature-count", f"is not signed, and its operations say that {signer} signs")
    name, armour = found.signatures[0]
    if name != envelope.header_name(oid_size) or envelope.kind_of(armour) is None:
        raise Broken("signature-count", "holds something else than exactly one signature of git's kinds")
    known = principals.find_key(policy, signer)
    return Signature(
        found.payload,
        armour,
        signer,
        "" if known is None else known[2]["public"],
        None if known is None else known[0],
    )


def replay(state: State, operations: list[Operation], revision: int) -> None:
    """Let the transitions make the next state of a state, in place.

    Raises:
        Broken: they refuse an operation.
    """
    try:
        advance(state, operations, revision)
    except NotPermitted as error:
        raise Broken("permission", error.message) from error
    except PolicyOutdated as error:
        raise Broken("policy-version", error.message) from error
    except SessionEnded as error:
        raise Broken("incarnation", error.message) from error
    except UnsupportedFormat as error:
        raise Broken("type", error.message) from error
    except IntegrityFault:
        raise  # the parent's state, which was good, cannot be read: not this commit's doing
    except CoordError as error:
        raise Broken("transition", f"{error.message} ({error.code})") from error
    except MALFORMED as error:
        raise Broken("shape", f"holds an operation of an unknown shape ({type(error).__name__}: {error})") from error


def check_tree(found: Found, state: State, add: Sink) -> None:
    """Let a commit pass if a state's tree is its tree.

    Raises:
        Broken: it is not.
    """
    try:
        made = state.write(add)
    except MALFORMED as error:
        raise Broken("shape", f"holds what cannot be written ({type(error).__name__}: {error})") from error
    if made != found.tree:
        raise Broken("tree", "its tree is not what its operations make of the state before it")


def check_rendered(found: Found) -> None:
    """Let a commit pass if what people read is what its `coord.json` says.

    Raises:
        Broken: it is not, and in which part.
    """
    try:
        expected = render.commit(found.tree, found.parents, found.header)
    except MALFORMED as error:
        raise Broken("shape", f"holds what cannot be shown ({type(error).__name__}: {error})") from error
    if expected == found.payload:
        return
    head, _, message = found.payload.partition(b"\n\n")
    wanted_head, _, wanted = expected.partition(b"\n\n")
    if message != wanted:
        at = next((n for n, (a, b) in enumerate(zip(message, wanted, strict=False)) if a != b), 0)
        line = message[:at].count(b"\n")
        lines = message.split(b"\n")
        shown = lines[line].decode(errors="replace")[:120] if line < len(lines) else ""
        raise Broken("message", f"its message is not that of its operations, from line {line + 1} on: {shown!r}")
    fields, wanted_fields = _fields(head), _fields(wanted_head)
    for name in (b"author", b"committer"):
        said, should = fields.get(name, b""), wanted_fields[name]
        if said == should:
            continue
        if said.rpartition(b"> ")[0] != should.rpartition(b"> ")[0]:
            raise Broken("author", f"its {name.decode()} is {said!r}, and its operations are by {should!r}")
        raise Broken("dates", f"its {name.decode()} has another date than its operations: {said!r}, not {should!r}")
    raise Broken("commit-header", "its commit object has headers that do not belong there")


def check_form(found: Found) -> None:
    """Let a commit pass if it looks like one of the log; what its operations make of a state is not asked.

    Raises:
        Broken: it does not.
    """
    kinds = [operation["type"] for operation in found.header["operations"]]
    if (len(found.parents) > 1) != (kinds == [MERGE]):
        raise Broken("merge", f"has {len(found.parents)} parents and says that it is {', '.join(kinds)}")
    check_rendered(found)


def _fields(head: bytes) -> dict[bytes, bytes]:
    rows = [line.partition(b" ") for line in head.split(b"\n")]
    return {name: value for name, _, value in rows}


def judge(found: Found, state: State, policy: Policy, oid_size: int, add: Sink) -> Judged:
    """Judge a commit with at most one parent, which stands where it belongs (`check_place`).

    Args:
        found: the commit.
        state: the parent's, changed in place to the commit's; worthless if this raises.
        policy: the parent's; for the first commit, its own.
        oid_size: how many bytes an object's name has.
        add: takes the new objects.

    Raises:
        Broken: a rule is broken.
        IntegrityFault: the parent's state cannot be read.
    """
    signature = check_signed(found, policy, oid_size)
    header = found.header
    replay(state, header["operations"], header["revision"])
    check_tree(found, state, add)
    check_rendered(found)
    return Judged(state, signature, None if signature is None else signature.owner)
