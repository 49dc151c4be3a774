"""The verbs that change shared state: store, delete, delete a scope."""

from __future__ import annotations

import os

from gitcoord import canonical, names
from gitcoord.coordinator import Plan
from gitcoord.model import Operation
from gitcoord.model_time import Stamp
from gitcoord.service import credentials
from gitcoord.service.callers import Actor, SignOn
from gitcoord.service.receipts import facts_of
from gitcoord.service.views import View
from gitcoord.state import State
from gitcoord.transitions.data import contents
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitcoord.service.desk import Desk


def store(desk: Desk, fields: dict[str, Any], session: str | None, notices: list[str], *, seal: bool = False) -> View:
    """Store a value; one that looks like a credential only sealed.

    Args:
        desk: the caller's.
        fields: `scope`, `key`, `value`, `expect_revision`.
        seal: encrypt the value to the principals of the policy.
        session: act as this session.
        notices: takes the news.
    """
    scope, key = names.check_scope(fields["scope"]), names.check_key(fields["key"])
    seen = desk.look()
    state = seen.state
    canonical.check_value(fields["value"], state.policy["limits"]["value_bytes"])
    warnings: list[str] = []
    if seal:
        fields, warnings = _sealed(desk, state, fields)
    else:
        credentials.check(fields["value"])
    said: list[Actor] = []

    def make(sign_on: SignOn | None) -> Plan:
        def plan(state: State, now: Stamp) -> list[Operation]:
            actor = desk.callers.actor(state, session, now, sign_on)
            said[:] = [actor]
            old = state.datum(scope, key)
            replaces = None if old is None else old["store"]
            return [*actor.first, desk.callers.operation("data.store", actor, now, **fields, replaces=replaces)]

        return plan

    receipt = desk.submit_signed_on(make, session, notices, said, seen=seen)
    answer: View = {"ok": True, "revision": receipt.revisions[-1]}
    return {**answer, "sealed": True, "warnings": warnings} if seal else answer


def _sealed(desk: Desk, state: State, fields: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of an operation that stores a value sealed, and what its writer ought to know."""
    from gitcoord import programs
    from gitcoord.service import sealing

    scratch = os.path.join(desk.access.runtime, "tmp")
    program = programs.gpg_program(desk.access.repository.git_dir)
    text, sealed, warnings = sealing.seal(state.policy, state.revision + 1, fields["value"], scratch, program)
    return {**fields, "value": text, "sealed": sealed}, warnings


def opened(value: Any, git_dir: str) -> Any:
    """Return what a sealed value holds.

    Args:
        value: its ciphertext.
        git_dir: the repository whose settings say which GnuPG is asked.

    Raises:
        NoKey: this user cannot open it.
    """
    from gitcoord import config, programs
    from gitcoord.service import sealing

    return sealing.unseal(value, config.read_environment().gnupg_home, programs.gpg_program(git_dir))


def delete(
    desk: Desk, scope: str, key: str, expect_revision: int | None, session: str | None, notices: list[str]
) -> View:
    """Delete a key; one that is missing changes nothing."""
    names.check_scope(scope)
    names.check_key(key)
    said: list[Actor] = []

    def make(sign_on: SignOn | None) -> Plan:
        def plan(state: State, now: Stamp) -> list[Operation]:
            old = state.datum(scope, key)
            if old is None and not expect_revision:
                return []
            actor = desk.callers.actor(state, session, now, sign_on)
            said[:] = [actor]
            fields = {"scope": scope, "key": key, "expect_revision": expect_revision}
            fields["replaces"] = None if old is None else old["store"]
            return [*actor.first, desk.callers.operation("data.delete", actor, now, **fields)]

        return plan

    receipt = desk.submit_signed_on(make, session, notices, said)
    return {"deleted": bool(receipt.operations), "revision": receipt.state.revision}


def delete_scope(desk: Desk, scope: str, session: str | None, notices: list[str]) -> View:
    """Delete all keys of exactly one scope."""
    names.check_scope(scope)
    said: list[Actor] = []

    def make(sign_on: SignOn | None) -> Plan:
        def plan(state: State, now: Stamp) -> list[Operation]:
            if not state.keys(scope):
                return []
            actor = desk.callers.actor(state, session, now, sign_on)
            said[:] = [actor]
            over = contents(state, scope)
            return [*actor.first, desk.callers.operation("data.delete_scope", actor, now, scope=scope, replaces=over)]

        return plan

    receipt = desk.submit_signed_on(make, session, notices, said)
    found = facts_of(receipt, "data.delete_scope")
    return {"deleted": 0 if found is None else found[1]["deleted"], "revision": receipt.state.revision}
