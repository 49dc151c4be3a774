"""The desk: one caller's verbs, and the answers that the public surface promises.

Each verb plans, submits and shows. How that becomes an answer, errors too, is in `gitcoord.service.answering`.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import names
from gitcoord.errors import BadRequest, NotFound
from gitcoord.service import looking
from gitcoord.service.access import open_access
from gitcoord.service.callers import Callers
from gitcoord.service.integrity import IntegrityVerbs
from gitcoord.service.views import View, session_view
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitcoord.model_time import Stamp
    from gitcoord.runtime.machine import Clock
    from gitcoord.state import State

Cancelled = Callable[[], bool]


def open_desk(
    start: str,
    *,
    session: str | None = None,
    hint: str = "agent",
    process: bool = False,
    base: str | None = None,
    clock: Clock | None = None,
    may_number: bool = False,
    key: str | None = None,
) -> Desk:
    """Open a desk in the repository around a directory.

    Args:
        start: a directory in a worktree, or a git directory.
        session: the session id that the caller is meant to have; None to be given one made from `hint`.
        hint: the client's own name.
        process: whether this process stands behind the session, for as long as it lives.
        base: what relative paths are relative to; None is the worktree's root.
        clock: who tells the time.
        may_number: nobody chose the session id; where another clone has it, a number is put behind.
        key: with what to sign, as git's `user.signingKey` takes it; None leaves it to the configuration.

    Raises:
        NotARepository: there is no repository, or one that gitcoord cannot work in.
    """
    access = open_access(start, base, clock, key)
    return Desk(access, Callers(access, wished=session, hint=hint, process=process, may_number=may_number))


class Desk(IntegrityVerbs):
    """Answers for one caller. Safe for several threads.

    In a clone that shares, what needs the remote's agreement is done once the remote has it; with `offline`, and in a
    `lock_files` that says so, it is provisional. What needs none is brought to the remote afterwards.

    Every verb returns a dict of the public surface. What went wrong is in `error`, with the verb's own `granted`, `ok`,
    `found` or `deleted` false; `notices` is there when there is news for the session.
    """

    # -- sessions

    def sign_on(
        self,
        session: str | None = None,
        intent: str | None = None,
        takeover: bool = False,
        incarnation: str | None = None,
        lease_s: int | None = None,
    ) -> View:
        """Sign on, or say who one is; see `gitcoord.service.signing`."""
        from gitcoord.service import signing

        return self._answered(
            "ok",
            session,
            lambda notices: signing.sign_on(
                self, signing.Request(session, intent, takeover, incarnation, lease_s), notices
            ),
        )

    def sign_off(self, session: str | None = None) -> View:
        """End a session; all that it holds is released in the same commit."""
        from gitcoord.service import signing

        return self._answered("ok", session, lambda notices: signing.sign_off(self, session, notices))

    def renew(self, session: str | None = None, lease_s: int | None = None) -> View:
        """Renew a session's lease, and set its length where one is given."""
        from gitcoord.service import signing

        return self._answered("ok", session, lambda notices: signing.renew(self, session, lease_s, notices))

    def list_sessions(self) -> View:
        """List all sessions, and how this machine sees them."""

        def verb(state: State, now: Stamp) -> View:
            return {"sessions": [session_view(s, self.callers.standing(s, now)) for s in state.sessions()]}

        return self._reading("", verb)

    def show_session(self, session: str) -> View:
        """Show one session and its locks."""

        def verb(state: State, now: Stamp) -> View:
            record = state.session(names.check_session_id(session))
            if record is None:
                raise NotFound(f"nobody is signed on as {session}", next="gitcoord session list", session=None)
            view = session_view(record, self.callers.standing(record, now))
            return {"found": True, "session": {**view, "locked": self.listed(state, state.locks_of(record), now)}}

        return self._reading("found", verb)

    # -- locks

    def lock_files(
        self,
        files: list[str],
        mode: str = "exclusive",
        reason: str = "",
        ttl_s: int | None = None,
        wait_s: float | None = None,
        resource: bool = False,
        offline: bool = False,
        session: str | None = None,
        cancelled: Cancelled | None = None,
    ) -> View:
        """Lock paths, patterns or a named resource: all or none.

        Args:
            files: what to lock.
            mode: exclusive, shared or intent.
            reason: shown to whoever meets the lock.
            ttl_s: whole seconds after which the lock ends; None lets it live with the session's lease.
            wait_s: seconds to wait for it at most; None does not wait.
            resource: `files` are names of resources, not paths.
            offline: in a clone that shares, grant provisionally, without the remote.
            session: act as this session.
            cancelled: asked while waiting; true calls it off.
        """
        from gitcoord.service import locking

        request = locking.Request(files, mode, reason, ttl_s, wait_s, resource, session, cancelled, offline)
        return self._answered("granted", session, lambda notices: locking.lock(self, request, notices))

    def unlock_files(
        self,
        files: list[str] | None = None,
        all: bool = False,  # noqa: A002 - the public name
        resource: bool = False,
        session: str | None = None,
    ) -> View:
        """Release what the session holds of these, or all that it holds."""
        from gitcoord.service import unlocking

        def verb(notices: list[str]) -> View:
            if all == bool(files):
                raise BadRequest(
                    "name what to unlock, or say all; one of the two",
                    next="gitcoord unlock PATH... or gitcoord unlock --all",
                )
            named = None if all else files
            return unlocking.unlock(self, named, resource=resource, session=session, notices=notices)

        return self._answered("ok", session, verb)

    def break_lock(self, files: list[str], reason: str, resource: bool = False, session: str | None = None) -> View:
        """Break all that others hold on exactly these; the losers are told at their next operation."""
        from gitcoord.service import unlocking

        return self._answered(
            "ok",
            session,
            lambda notices: unlocking.break_locks(
                self, files, reason, resource=resource, session=session, notices=notices
            ),
        )

    def get_locked_files(
        self,
        path: str | None = None,
        owner: str | None = None,
        resource: bool | None = None,
        session: str | None = None,
        at: str | None = None,
    ) -> View:
        """List locks: those that overlap a path, one's own or the others'.

        Args:
            path: a path, pattern, or (with `resource`) a resource's name; None for all.
            owner: "ours", "theirs" or None.
            resource: True for named resources only, False for paths only.
            session: whose are ours.
            at: the state at this point of the log (a time, a revision, a commit); None is now.
        """

        def verb(state: State, now: Stamp) -> View:
            claim = None
            if path is not None:
                claim = looking.resolve(self.access, [path], resource=bool(resource), fold_case=state.fold_case)[0]
            me = self.callers.me(state, session)
            found = (
                lock
                for lock in looking.wanted_locks(state, claim, resources=resource)
                if owner is None or (lock["session"] == me) == (owner == "ours")
            )
            return {"locks": self.listed(state, found, now, recorded=at is not None)}

        return self._reading("", verb, session) if at is None else self._reading_at("", at, verb)

    def check(self, files: list[str], resource: bool = False, session: str | None = None) -> View:
        """Say whether the session may edit these; `ok` is false if others hold any of them."""

        def verb(state: State, now: Stamp) -> View:
            me = self.callers.me(state, session)
            claims = looking.resolve(self.access, files, resource=resource, fold_case=state.fold_case)
            lost = [lock for one in self.callers.displaced(session) for lock in one.lost]
            checked = [looking.check_claim(self.callers, state, claim, me, now, lost) for claim in claims]
            bad = next((row for row in checked if not row["ok"]), None)
            if not resource:
                checked[0]["warnings"] += looking.links(self.access, files, fold_case=state.fold_case)
            answer: View = {"ok": bad is None, "session": me, "checked": checked}
            if bad is not None:
                way_out = f"gitcoord lock {bad['path']} --wait 60s, or work elsewhere"
                answer["error"] = {"code": "lock_held", "message": bad["why"], "next": way_out}
            return answer

        return self._reading("ok", verb, session)

    # -- shared state

    def store_data(
        self,
        scope: str,
        key: str,
        value: Any,
        expect_revision: int | None = None,
        session: str | None = None,
        seal: bool = False,
    ) -> View:
        """Store a JSON value under a key, on condition of its revision where one is given (0: absent)."""
        from gitcoord.service import data

        fields = {"scope": scope, "key": key, "value": value, "expect_revision": expect_revision}
        return self._answered("ok", session, lambda notices: data.store(self, fields, session, notices, seal=seal))

    def delete_data(self, scope: str, key: str, expect_revision: int | None = None, session: str | None = None) -> View:
        """Delete a key; `deleted` is false, without an error, where there was none."""
        from gitcoord.service import data

        return self._answered(
            "deleted", session, lambda notices: data.delete(self, scope, key, expect_revision, session, notices)
        )

    def delete_scope(self, scope: str, session: str | None = None) -> View:
        """Delete all keys of exactly this scope; `deleted` counts them, and is not there in a refusal."""
        from gitcoord.service import data

        return self._answered("ok", session, lambda notices: data.delete_scope(self, scope, session, notices))

    def list_keys(self, scope: str) -> View:
        """List the keys of exactly this scope, sorted."""
        return self._reading("", lambda state, _now: {"keys": state.keys(names.check_scope(scope))})

    def list_scopes(self, pattern: str | None = None) -> View:
        """List scopes, sorted; `*` and `?` in a pattern match anything, slashes too."""

        def verb(state: State, _now: Stamp) -> View:
            found = state.scopes()
            if pattern is None:
                return {"scopes": found}
            from gitcoord.service.scopes import matching

            return {"scopes": matching(pattern, found)}

        return self._reading("", verb)

    # -- looking around

    def get_history(
        self,
        path: str | None = None,
        session: str | None = None,
        limit: int = 50,
        resource: bool = False,
    ) -> View:
        """List what happened, the newest first; see `gitcoord.service.history`."""
        from gitcoord.service import history

        def verb(state: State, _now: Stamp) -> View:
            claim = None
            if path is not None:
                claim = looking.resolve(self.access, [path], resource=resource, fold_case=state.fold_case)[0]
            return {"entries": history.entries(self.access.log, claim, session, limit)}

        return self._reading("", verb)

    def status(self, session: str | None = None, at: str | None = None) -> View:
        """Return one screen's worth: who is here, what they hold, what lapses soon, who waits; or what `at` tells."""
        if at is not None:
            return self.at(at)
        from gitcoord.service import status

        return self._reading("", lambda state, now: status.status(self, state, now, session), session)

    # -- the remote

    def sync(self, adopt: bool = False) -> View:
        """Meet the remote: take in what is new there, bring to it what lies here; see `gitcoord.service.remotes`.

        Args:
            adopt: take this clone's log over into the remote's, where the two began apart.
        """
        from gitcoord.service import remotes

        return self._answered("ok", None, lambda notices: remotes.sync(self, notices, adopt=adopt))

    def follow_once(self) -> float:
        """Meet the remote where that is due; for a serving process.

        Returns:
            seconds until it wants to be called again.
        """
        from gitcoord.service import remotes

        return remotes.follow(self.access)

    def tip(self) -> str:
        """Return the newest commit of the log in hex, at the cost of one ref look-up; raises `NotInitialised`."""
        return self.access.log.tip().hex()

    # -- for a serving process

    def keep_alive_once(self) -> float:
        """Renew what is due, for all sessions of this machine whose life is proved.

        Returns:
            seconds until it wants to be called again.
        """
        from gitcoord.service import signing

        return signing.keep_alive(self)

    def close(self) -> None:
        """Sign off what this desk signed on, and drop its proof of life. Harmless when done twice."""
        if self.callers.own is not None and self.callers.process:
            self.access.publishes_later = False
            self.sign_off()
        self.callers.forget()
