"""The values that everything else speaks of: records of the state, operations, limits.

Records and operations are JSON objects, held as plain dicts with these shapes: what is read from the log is what is
passed on, and a field that a later version adds survives. `gitcoord.state` checks the shape of every record it reads.
"""

from __future__ import annotations

from gitcoord.values import Any, Literal, NotRequired, TypedDict

FORMAT = 1
RULES = 1

LOG_REF = "refs/gitcoord/main"
ALIAS_REF = "refs/coord"

Mode = Literal["exclusive", "shared", "intent"]
MODES: tuple[Mode, ...] = ("exclusive", "shared", "intent")


class Author(TypedDict):
    """A person or an agent, as git names authors."""

    name: str
    email: str


class ClockReading(TypedDict):
    """One machine's clocks at one moment; only readings of one machine are ever compared."""

    machine: str
    boot: str
    uptime_ms: int
    time: str


class Notice(TypedDict):
    """Something that happened to a session, kept until its next operation."""

    id: str
    text: str


class Challenge(TypedDict):
    """A claim that a session of another machine is gone; any renewal of it ends the challenge."""

    by: str
    clock: ClockReading
    renewal: str


class Lost(TypedDict):
    """A lock that a session counted on and was refused after all, when its clone met the others again."""

    path: str
    key: str
    kind: str
    grant: str
    why: str


class Refusal(TypedDict):
    """An operation that a merge refused: what it was, why, and after how many of the replayed ones it stood."""

    id: str
    type: str
    session: str
    incarnation: str
    claims: list[dict[str, Any]]
    code: str
    message: str
    after: int


class Session(TypedDict):
    """One agent or person at work, as `sessions/<id>.json` holds it."""

    session: str
    incarnation: str
    author: Author
    agent: str
    intent: str
    machine_name: str
    clone: NotRequired[str]
    started_at: str
    clock: ClockReading
    renewal: str
    lease_s: int
    usual_s: int
    process: bool
    proof: dict[str, Any] | None
    held: int
    notices: list[Notice]
    challenges: NotRequired[list[Challenge]]
    lost: NotRequired[list[Lost]]
    principal: NotRequired[str]


class Term(TypedDict):
    """A lock's own end: so many seconds after this reading."""

    ttl_s: int
    clock: ClockReading


class Lock(TypedDict):
    """One session's hold on one claim."""

    path: str
    key: str
    kind: str
    mode: Mode
    session: str
    incarnation: str
    grant: str
    token: int
    locked_at: str
    reason: str
    term: Term | None


class Datum(TypedDict):
    """One stored value."""

    scope: str
    key: str
    value: Any
    revision: int
    stored_by: str
    stored_at: str
    store: str
    sealed: NotRequired[dict[str, Any]]


class Limits(TypedDict):
    """What the policy bounds: sizes in bytes of UTF-8, times in seconds, claims in one operation."""

    value_bytes: int
    claims: int
    reason_bytes: int
    lease_max_s: int
    lease_process_s: int
    lease_command_s: int


class Confirms(TypedDict):
    """The remote that confirms, as the one who named it knows it; other clones may know it under another name."""

    remote: str
    ref: str
    url: str


class Key(TypedDict):
    """One public key, `ssh` or `gpg`; it counts from the revision `since` on, and not from `until` on."""

    kind: str
    fingerprint: str
    public: str
    since: int
    until: int | None


class Principal(TypedDict):
    """Somebody who is known by keys: its roles, and its keys, revoked ones too."""

    roles: list[str]
    keys: list[Key]


class Role(TypedDict):
    """What a role lets its principals do, and which scopes they may write (`*` at the end stands for anything)."""

    may: list[str]
    scopes: list[str]


class Policy(TypedDict):
    """`policy.json`: the rules that this log lives by."""

    version: int
    case: Literal["sensitive", "insensitive"]
    unsigned: Literal["accepted", "refused"]
    confirms: NotRequired[Confirms]
    limits: Limits
    principals: NotRequired[dict[str, Principal]]
    roles: NotRequired[dict[str, Role]]


DEFAULT_LIMITS: Limits = {
    "value_bytes": 256 * 1024,
    "claims": 10_000,
    "reason_bytes": 2000,
    "lease_max_s": 24 * 3600,
    "lease_process_s": 15 * 60,
    "lease_command_s": 2 * 3600,
}

Operation = dict[str, Any]
"""One thing that a session did.

Always: `id`, `type`, `clock`, `author`; `session` and `incarnation` but for `log.init`. The rest belongs to the type
and is described by its transition. `signer` names the key that signs the commit; an unsigned
operation has none.
"""


class Header(TypedDict):
    """`coord.json`: what this commit is."""

    format: int
    rules: int
    repository: str
    revision: int
    operations: list[Operation]
