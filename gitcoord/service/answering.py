"""Answering: how one caller's verbs are submitted, and how what comes of them becomes an answer.

A refusal is an answer like any other, and the session's news rides on whichever comes next. Which verbs there are is
said in `gitcoord.service.desk`.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord.errors import CoordError, NotInitialised, SessionEnded
from gitcoord.service import news, quarantine
from gitcoord.service.views import View
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gitcoord.coordinator import Plan, Receipt
    from gitcoord.model import Session
    from gitcoord.model_time import Stamp
    from gitcoord.service.access import Access
    from gitcoord.service.callers import Actor, Callers, Own, SignOn
    from gitcoord.state import State


class Seen(NamedTuple):
    """The state as a verb found it, and the desk's own session when it began to look."""

    state: State
    own: Own | None


class Answering:
    """What a desk is apart from its verbs: it submits their plans and turns what happens into answers.

    Attributes:
        access: the repository.
        callers: the identities of the caller.
        offline: do without the remote's agreement, whatever a verb says.
    """

    def __init__(self, access: Access, callers: Callers) -> None:
        """Use an opened repository and the identities of one caller."""
        self.access = access
        self.callers = callers
        self.offline = False

    def _answered(self, verdict: str, session: str | None, verb: Callable[[list[str]], View]) -> View:
        """Run a verb and return its answer, or the refusal as one.

        Args:
            verdict: the member that says no in a refusal; `ok` where the verb has none.
            session: the session that the caller named, for its news.
            verb: fills the list with the news that it delivers, and returns the answer.
        """
        notices: list[str] = []
        try:
            answer = verb(notices)
        except CoordError as error:
            if isinstance(error, SessionEnded):
                self.callers.ended(error)
            said = {name: fact for name, fact in error.facts.items() if name != "held"}
            answer = {verdict or "ok": False, "error": error.to_dict(), **said}
            if isinstance(error, NotInitialised):
                answer = {"ok": False, **answer}  # as where there is no repository, and no desk to ask
            self.collect_news(notices, session)
        news.settle(lambda: notices.extend(self._words(session)), notices)
        notices += self.access.news_of_place()
        kept_out = quarantine.notice(self.access.runtime)
        if kept_out is not None:
            notices.append(kept_out)
        if notices:
            answer["notices"] = notices
        return answer

    def _words(self, session: str | None) -> list[str]:
        """Return the news that no session's record on the log can have for the caller."""
        displaced = self.callers.displaced(session)
        if not any(one.word for one in displaced):
            return []
        from gitcoord.runtime.displaced import take_words

        return take_words(self.access.runtime, displaced)

    def _reading(self, verdict: str, verb: Callable[[State, Stamp], View], session: str | None = None) -> View:
        def run(notices: list[str]) -> View:
            state = self.access.state()
            self.callers.settle(state)
            answer = verb(state, self.access.now())
            self._add_news(state, session, notices)
            return answer

        return self._answered(verdict, session, run)

    def collect_news(self, notices: list[str], session: str | None = None) -> None:
        """Add the news for a session; where it cannot be read, the answer itself is about to tell what is wrong."""
        try:
            self._add_news(self.access.state(), session, notices)
        except CoordError:
            return

    def _add_news(self, state: State, session: str | None, notices: list[str]) -> None:
        self.callers.settle(state)
        name = self.callers.name_of(session)
        record = None if name is None else state.session(name)
        if record is not None and record["notices"] and self._is_ours(record):
            notices.extend(news.deliver(self.access.runtime, record))

    def _is_ours(self, record: Session) -> bool:
        own = self.callers.own
        if own is not None and own.session == record["session"]:
            return own.incarnation == record["incarnation"]
        return not record["process"]  # a look at an agent's session must not take its news away

    def look(self) -> Seen:
        """Read the state, for a verb that is about to submit a plan."""
        own = self.callers.own  # before the state: who signed on meanwhile is not missing from it
        return Seen(self.access.state(), own)

    def _prepared(self, session: str | None, seen: Seen | None) -> SignOn | None:
        # What was read before another thread signed this desk on, or off, says nothing of who it is now.
        known = seen is not None and seen.own is self.callers.own
        state = seen.state if seen is not None and known else self.access.state()
        standing = self.callers.standing_actor(state, session, self.access.now())
        return self.callers.prepare() if standing is None else None

    def submit(self, plan: Plan, notices: list[str], said: list[Actor], *, offline: bool = False) -> Receipt:
        """Submit a plan that needs no sign-on; deliver the news that its operation clears."""
        return self._submitted(plan, notices, said, None, offline=offline)

    def submit_signed_on(
        self,
        make_plan: Callable[[SignOn | None], Plan],
        session: str | None,
        notices: list[str],
        said: list[Actor],
        *,
        offline: bool = False,
        since: Stamp | None = None,
        seen: Seen | None = None,
    ) -> Receipt:
        """Submit a plan, signing on first if its actor has to; deliver the news that its operation clears.

        Args:
            make_plan: makes the plan, with or without a prepared sign-on.
            session: as whom the caller wants to act.
            notices: takes the news.
            said: where the plan notes as whom it acts.
            offline: do without the remote's agreement.
            since: when the caller asked, where that was before now.
            seen: what the verb has just looked at, to see by it whether there is a session; None looks.
        """
        with self.callers.signing:
            sign_on = self._prepared(session, seen)
            if sign_on is not None:
                return self._submitted(make_plan(sign_on), notices, said, sign_on, offline=offline, since=since)
        return self._submitted(make_plan(None), notices, said, None, offline=offline, since=since)

    def _submitted(
        self,
        plan: Plan,
        notices: list[str],
        said: list[Actor],
        sign_on: SignOn | None,
        *,
        offline: bool,
        since: Stamp | None = None,
    ) -> Receipt:
        heard_of: list[Session] = []

        def heard(state: State, now: Stamp) -> list[dict[str, Any]]:
            operations = plan(state, now)
            record = state.session(said[0].session) if said else None
            heard_of[:] = [] if record is None else [record]
            return operations

        used = False
        try:
            receipt = self.access.submit(heard, offline=offline or self.offline, since=since)
            used = sign_on is not None and any(op["id"] == sign_on.id for op in receipt.operations)
        finally:
            if sign_on is not None and not used:
                self.callers.discard(sign_on)
        if sign_on is not None and used:
            self._adopt(receipt, sign_on)
        news.settle(lambda: self._after(receipt, heard_of, notices, said), notices)
        if receipt.operations and not (offline or self.offline):
            self.publish(notices)
        return receipt

    def publish(self, notices: list[str]) -> None:
        """Bring to the remote what was written here, unless somebody beside the verbs does; say why where it fails."""
        if self.access.shared is not None and not self.access.publishes_later:
            from gitcoord.service import remotes

            notices.extend(remotes.published(self.access))

    def _after(self, receipt: Receipt, heard_of: list[Session], notices: list[str], said: list[Actor]) -> None:
        """Deliver and leave news, and note who acted."""
        if receipt.operations and heard_of:
            notices.extend(news.deliver(self.access.runtime, heard_of[0]))
        kinds = {operation["type"] for operation in receipt.operations}
        if kinds & {"session.start", "session.reap"}:
            news.pass_word(self.access.runtime, receipt, notices)
        # Who resumes does so to be the session's process, not to act beside it.
        if said and "session.resume" not in kinds:
            self.callers.acted(said[0], self.access.now())

    def _adopt(self, receipt: Receipt, sign_on: SignOn) -> None:
        started = next(op for op in receipt.operations if op["id"] == sign_on.id)
        if self.callers.process or self.callers.wished is None:
            self.callers.adopt(started, sign_on)
