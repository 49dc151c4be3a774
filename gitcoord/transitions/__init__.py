"""The rules: what each operation makes of a state, or why it is refused.

A log is a sequence of operations, and a state is what they add up to. This package is that addition, and nothing else:
it does no I/O, asks no clock and draws no random number. All that a rule looks at is in the state or in the operation,
so anybody can replay a log, at any time, on any machine, and must arrive at the same tree, bit for bit.

One module for each noun: `sessions`, `locks`, `data`, `policies`; `clocks` says when time is up, and `merging` replays
what another clone did. A rule takes the state and the operation, changes the state, and returns what the answer has to
tell. An illegal move raises a `Refused` (or, for what no state would accept, a `BadRequest`) and the state is to be
thrown away.

Every operation but `session.start` and those about the log itself names its session and incarnation. That session must
be on the state with that very incarnation; the operation then renews its lease and clears its notices, whatever else it
does.

Before its own rule, an operation is judged by the policy of the state that it meets (`gitcoord.principals`): may the
key that it names do this, and is the session its principal's?
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import principals
from gitcoord.errors import BadRequest, UnsupportedFormat
from gitcoord.model import FORMAT, RULES, Operation
from gitcoord.state import State
from gitcoord.transitions import data, locks, policies, sessions
from gitcoord.values import Any

Facts = dict[str, Any]
Rule = Callable[[State, Operation], Facts]

_RULES: dict[str, Rule] = {
    "log.share": policies.share,
    "session.start": sessions.start,
    "session.end": sessions.end,
    "session.renew": sessions.renew,
    "session.resume": sessions.resume,
    "session.reap": sessions.reap,
    "session.challenge": sessions.challenge,
    "lock.acquire": locks.acquire,
    "lock.release": locks.release,
    "lock.break": locks.break_locks,
    "lock.expire": locks.expire,
    "data.store": data.store,
    "data.delete": data.delete,
    "data.delete_scope": data.delete_scope,
    "policy.set": policies.set_policy,
}


# A session that begins cannot be asked for before; what is about the log itself is done in a person's name.
_BY_NOBODY = frozenset({"session.start", "log.share"})


def advance(state: State, operations: list[Operation], revision: int | None = None) -> list[Facts]:
    """Make of a state the state of the next commit.

    Args:
        state: changed in place; worthless when this raises.
        operations: what that commit does, in order.
        revision: the next commit's, where it is not simply the next number.

    Returns:
        for each operation, what its answer has to tell.

    Raises:
        Refused: a rule or the policy said no.
        BadRequest: no state would accept it.
        UnsupportedFormat: an operation of a kind that these rules do not know.
        IntegrityFault: a record that had to be read cannot be.
    """
    at = state.revision + 1 if revision is None else revision
    if not operations:
        raise BadRequest("a commit needs an operation")
    first = operations[0]
    if first["type"] == "log.init":
        if state.revision or len(operations) > 1:
            raise BadRequest("a log begins once, and alone")
        state.policy = policies.first(first)
        repository = first["repository"]
        facts: list[Facts] = [{}]
    else:
        repository = state.header["repository"]
        facts = [apply(state, operation, at) for operation in operations]
    state.header = {
        "format": FORMAT,
        "rules": RULES,
        "repository": repository,
        "revision": at,
        "operations": operations,
    }
    return facts


def apply(state: State, operation: Operation, revision: int, *, replayed: bool = False) -> Facts:
    """Let one operation take effect on a state; `advance` and `merging` make commits of such.

    Args:
        state: changed in place; worthless when this raises.
        operation: what to do.
        revision: the revision of the commit in which it takes effect.
        replayed: it was decided on another state than this one's past, and is judged anew.

    Raises:
        Refused, BadRequest, UnsupportedFormat, IntegrityFault: as `advance` says.
    """
    rule = _RULES.get(operation["type"])
    if rule is None:
        raise UnsupportedFormat(
            f"operation {operation['id']} is a {operation['type']!r}, which these rules do not know",
            next="upgrade gitcoord",
        )
    judged = {**operation, "revision": revision, "replayed": replayed}
    judged["principal"] = principals.judge(state.policy, operation, revision)
    if operation["type"] not in _BY_NOBODY:
        sessions.renew_actor(state, judged)
    return rule(state, judged)
