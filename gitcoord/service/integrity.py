"""The desk's verbs about the log itself: verify it, its policy and keys, and the state as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gitcoord import canonical, names
from gitcoord.service.answering import Answering
from gitcoord.service.views import View, session_view
from gitcoord.transitions import clocks
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitcoord.model import Lock
    from gitcoord.model_time import Stamp
    from gitcoord.state import State


class IntegrityVerbs(Answering):
    """What a `Desk` answers about the log's integrity and its past."""

    def verify(self, range: str | None = None, trust: str | None = None, anew: bool = False) -> View:  # noqa: A002
        """Verify the log, or a range of it; see `gitcoord.service.verification`."""
        from gitcoord.service import verification

        request = verification.Request(range, trust, anew)
        return self._answered("ok", None, lambda notices: verification.verify(self.access, request, notices))

    # -- the policy

    def show_policy(self) -> View:
        """Return the policy that judges the next operation."""
        from gitcoord.service import policy

        return self._reading("", lambda state, _now: policy.show(state))

    def set_policy(self, policy: Any, reason: str = "", session: str | None = None) -> View:
        """Set the whole policy; see `gitcoord.service.policy`."""
        from gitcoord.service import policy as rules

        return self._answered(
            "ok", session, lambda notices: rules.set_policy(self._policy_request(session, reason, notices), policy)
        )

    def list_keys_of_principals(self) -> View:
        """Return every key of every principal."""
        from gitcoord.service import policy

        return self._reading("", lambda state, _now: policy.list_keys(state))

    def new_key(self, session: str) -> View:
        """Make a key for a session of this clone."""
        from gitcoord.service import policy

        return self._answered("ok", None, lambda _notices: policy.new_key(self._desk(), session))

    def add_key(
        self, name: str, key: str, roles: list[str] | None = None, reason: str = "", session: str | None = None
    ) -> View:
        """Add a public key to a principal, or a principal with its first key."""
        from gitcoord.service import policy

        return self._answered(
            "ok",
            session,
            lambda notices: policy.add_key(self._policy_request(session, reason, notices), name, key, roles or []),
        )

    def revoke_key(self, fingerprint: str, reason: str = "", session: str | None = None) -> View:
        """Revoke a key: it counts no more from the next revision on."""
        from gitcoord.service import policy

        return self._answered(
            "ok",
            session,
            lambda notices: policy.revoke_key(self._policy_request(session, reason, notices), fingerprint),
        )

    def _policy_request(self, session: str | None, reason: str, notices: list[str]) -> Any:
        from gitcoord.service import policy

        return policy.Request(self._desk(), session, reason, notices)

    def _desk(self) -> Any:
        return self

    # -- the past, and what is sealed

    def retrieve_data(self, scope: str, key: str, at: str | None = None) -> View:
        """Return what is (or `at` a point of the log was) stored under a key; `found: false` is no error.

        A sealed value is opened with the user's own key.
        """

        def verb(state: State, _now: Stamp) -> View:
            datum = state.datum(names.check_scope(scope), names.check_key(key))
            if datum is None:
                return {"found": False, "value": None, "revision": 0, "stored_by": None, "stored_at": None}
            fields = ("value", "revision", "stored_by", "stored_at")
            found = {"found": True, **{name: canonical.copy_of(datum[name]) for name in fields}}
            if "sealed" in datum:
                from gitcoord.service.data import opened

                found.update(value=opened(datum["value"], self.access.repository.git_dir), sealed=True)
            return found

        return self._reading("found", verb) if at is None else self._reading_at("found", at, verb)

    def _reading_at(self, verdict: str, at: str, verb: Callable[[State, Stamp], View]) -> View:
        """Let a verb read the state at a point of the log."""
        from gitcoord.service import points

        def run(_notices: list[str]) -> View:
            log, now = self.access.log, self.access.now()
            commit = points.find(log, at, now.at_ms)
            state = log.state_at(commit.oid)
            time = state.header["operations"][0]["clock"]["time"]
            point = {"revision": commit.revision, "commit": commit.oid.hex(), "time": time}
            return {"at": point, **verb(state, points.then(state, at, now.at_ms))}

        return self._answered(verdict, None, run)

    def listed(self, state: State, found: Iterable[Lock], now: Stamp, *, recorded: bool = False) -> list[View]:
        """Return locks as a list shows them, those marked that have lapsed.

        Args:
            state: what they stand in.
            found: the locks.
            now: what the clocks say.
            recorded: go by these clocks alone, and not by what is known of processes today.
        """
        from gitcoord.service.looking import listed

        reading = clocks.reading(now)
        if recorded:
            return listed(state, found, reading, lambda record: clocks.lease_is_over(record, reading))
        return listed(state, found, reading, lambda record: self.callers.evidence(record, now) is not None)

    def at(self, point: str) -> View:
        """Return who was signed on and what was held at a point of the log.

        Args:
            point: a time, a revision or a commit; see `gitcoord.service.points`.
        """

        def verb(state: State, now: Stamp) -> View:
            return {
                "sessions": [session_view(record, "recorded") for record in state.sessions()],
                "locks": self.listed(state, state.locks(), now, recorded=True),
            }

        return self._reading_at("", point, verb)

    def blame(self, path: str, resource: bool = False, limit: int = 50) -> View:
        """Tell who held a path, since when, why, and how it ended, the newest first; see `gitcoord.service.blame`."""
        from gitcoord.service import blame, looking

        def verb(state: State, now: Stamp) -> View:
            claim = looking.resolve(self.access, [path], resource=resource, fold_case=state.fold_case)[0]
            lapsed = [lock for lock in self.listed(state, state.overlapping(claim), now) if "lapsed" in lock]
            return {"holds": blame.holds(self.access.log, claim, limit, lapsed)}

        return self._reading("", verb)
