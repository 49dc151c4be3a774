"""Who is asking: the sessions that a desk signed on, those it may act as, and how the gone are told from the quiet."""

from __future__ import annotations

import os
from _thread import RLock

from gitcoord import names
from gitcoord.errors import SessionEnded, SessionTaken, UnknownSession
from gitcoord.runtime.clone import clone_id
from gitcoord.transitions import clocks
from gitcoord.transitions.sessions import AGENT_BYTES
from gitcoord.values import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from gitcoord.model import Author, Operation, Session
    from gitcoord.model_time import Stamp
    from gitcoord.runtime.displaced import Displaced
    from gitcoord.runtime.life import Life
    from gitcoord.service.access import Access
    from gitcoord.state import State

SEEN_S = 60.0
"""For so long after a command or hook acted as a session, its dead server process does not count as its death."""

_TRACE_GRAIN_MS = 1000


class Own(NamedTuple):
    """A session that this desk signed on."""

    session: str
    incarnation: str
    life: Life | None


class Actor(NamedTuple):
    """As whom a verb acts: the operations that must come first (a sign-on), and the session they leave."""

    session: str
    incarnation: str
    author: Author
    first: list[Operation]


class SignOn(NamedTuple):
    """A sign-on that may be needed: made before its plan runs, so that its proof of life can be on the log."""

    id: str
    life: Life | None


class Callers:
    """The identities of one desk.

    Args:
        access: the repository.
        wished: the session id that this caller is meant to have, or None to be given one.
        hint: the client's own name, from which an id is made.
        process: whether a process stands behind the session, so that its life can be proved.
        may_number: nobody chose the wished id: where another clone has it, this one takes it with a number behind.
    """

    def __init__(
        self, access: Access, *, wished: str | None, hint: str, process: bool, may_number: bool = False
    ) -> None:
        """Begin without a session."""
        self._access = access
        self._may_number = may_number
        self.wished = wished
        self.hint = hint
        self.process = process
        self._chosen = wished
        self._former: list[Own] = []
        self.own: Own | None = None
        self.signing = RLock()
        self._person: Author | None = None
        self._ours: Session | None = None
        self._trace: tuple[str, int, str, int] | None = None

    # -- operations

    def operation(self, kind: str, actor: Actor, now: Stamp, **fields: Any) -> Operation:
        """Return a fresh operation of an actor.

        Raises:
            CredentialFound: what it says looks like one.
        """
        from gitcoord.runtime.machine import new_id
        from gitcoord.service import credentials

        credentials.check_words(kind, fields)
        return {
            "id": new_id(now.at_ms),
            "type": kind,
            "session": actor.session,
            "incarnation": actor.incarnation,
            "clock": clocks.reading(now),
            "author": actor.author,
            **fields,
        }

    def person(self) -> Author:
        """Return the person whose work this is, as git would say. Starts git once."""
        if self._person is None:
            from gitcoord import config

            git = config.read_git_config(self._access.repository.git_dir)
            settings = config.settle(config.read_environment(), git)
            self._person = {"name": settings.user_name, "email": settings.user_email}
        return self._person

    def author(self, session: str) -> Author:
        """Return the author of a session's operations: an agent under its own name, a person under theirs."""
        person = self.person()
        return {"name": session, "email": person["email"]} if self.process or "@" not in session else person

    # -- signing on

    def prepare(self, incarnation: str | None = None) -> SignOn:
        """Make what a sign-on needs outside the log: an id and a proof of life.

        Args:
            incarnation: go on as this one.

        Raises:
            SessionTaken: a living process is that incarnation.
        """
        from gitcoord.runtime.life import Life
        from gitcoord.runtime.machine import new_id

        now = self._access.now()
        made = incarnation or new_id(now.at_ms)
        return SignOn(made, Life.begin(self._access.runtime, made, now) if self.process else None)

    @staticmethod
    def discard(sign_on: SignOn) -> None:
        """Forget a sign-on that did not come to be."""
        if sign_on.life is not None:
            sign_on.life.end()

    def start_operation(
        self, state: State, now: Stamp, sign_on: SignOn, *, session: str | None, intent: str, takeover: bool
    ) -> Operation:
        """Return the sign-on of a wished session, or of the lowest free id made from the client's name.

        Raises:
            SessionTaken: the wished id is in use, and not to be taken over (yet).
            InvalidName: the wished id cannot be one.
            CredentialFound: what it says looks like one.
        """
        from gitcoord.runtime.machine import machine_name
        from gitcoord.service import credentials

        self.settle(state)
        wished = self.wished if session is None else session
        name = self._lowest_free(state, now) if wished is None else wished
        names.check_session_id(name)
        credentials.check_words("session.start", {"session": name, "agent": _clipped(self.hint), "intent": intent})
        return {
            "id": sign_on.id,
            "type": "session.start",
            "session": name,
            "incarnation": sign_on.id,
            "clock": clocks.reading(now),
            "author": self.author(name),
            "agent": _clipped(self.hint),
            "intent": intent,
            "machine_name": machine_name(),
            "clone": clone_id(self._access.runtime),
            "lease_s": self.usual_lease_s(state),
            "process": self.process,
            "proof": None if sign_on.life is None else sign_on.life.proof,
            "takeover": self._takeover(state, now, name, wanted=takeover or wished is None),
        }

    def usual_lease_s(self, state: State) -> int:
        """Return the lease of a session that asks for none in particular; never more than the policy allows."""
        limits = state.policy["limits"]
        usual = limits["lease_process_s"] if self.process else limits["lease_command_s"]
        return min(usual, limits["lease_max_s"])

    def _lowest_free(self, state: State, now: Stamp) -> str:
        base = names.session_id_from(self.hint)
        taken = set(state.session_ids())
        number = 1
        while (name := f"{base}-{number}") in taken and not self._is_left(state, now, name):
            number += 1
        return name

    def _is_left(self, state: State, now: Stamp, name: str) -> bool:
        """Tell whether a session's process died here and left nothing: then its id is as good as free."""
        record = state.session(name)
        if record is None or record["held"] or record.get("lost") or not self.is_of_this_clone(record):
            return False
        evidence = self.evidence(record, now)
        return evidence is not None and evidence["kind"] == "process-gone"

    def _takeover(self, state: State, now: Stamp, name: str, *, wanted: bool) -> dict[str, Any] | None:
        old = state.session(name)
        if old is None:
            return None
        evidence = self.evidence(old, now)
        if wanted and evidence is not None:
            return {"incarnation": old["incarnation"], "evidence": evidence}
        since = f"{old['author']['name']} on {old['machine_name']}, since {old['started_at']}"
        if evidence is not None:
            message = f"session {name} ({since}) is gone but was not ended; its id can be taken over"
            way_out = f"gitcoord session start {name} --takeover (over MCP: sign_on with takeover=true)"
        elif wanted:
            message = f"session {name} ({since}) is alive and cannot be taken over"
            way_out = "wait until its lease is over, end it there, or sign on under another id"
        else:
            message = f"session id {name} is taken: {since}"
            way_out = "sign on under another id, or without one to be given the lowest free"
        raise SessionTaken(message, next=way_out, session=name, since=old["started_at"], holder=old["author"]["name"])

    def adopt(self, operation: Operation, sign_on: SignOn) -> None:
        """Let a published sign-on be this desk's own session."""
        before, self.own = self.own, Own(operation["session"], sign_on.id, sign_on.life)
        if before is not None and before.life is not None and before.incarnation != sign_on.id:
            before.life.end()
        if self.process:
            from gitcoord import config
            from gitcoord.runtime import agents

            served = agents.Served(self.own.session, self.own.incarnation)
            agents.note(self._access.runtime, served, config.read_environment().harness_session)

    def ended(self, error: SessionEnded) -> None:
        """Let the desk have no session of its own if it is the one that an answer says is over."""
        own = self.own
        if own is not None and error.facts.get("incarnation") == own.incarnation:
            self.forget()

    def forget(self) -> None:
        """Let the desk have no session of its own."""
        own, self.own = self.own, None
        if own is not None:
            self._former.append(own._replace(life=None))
        if own is not None and own.life is not None:
            from gitcoord.runtime import agents

            own.life.end()
            agents.forget(self._access.runtime, own.incarnation)

    # -- acting

    def settle(self, state: State) -> None:
        """Wish for an id with a number behind it where another clone has the one that follows from user and host."""
        if not self._may_number or self.own is not None or self.wished is None:
            return
        base, number = self.wished, 1
        while (record := state.session(self.wished)) is not None and not self.is_of_this_clone(record):
            number += 1
            self.wished = f"{base}-{number}"

    def is_of_this_clone(self, record: Session) -> bool:
        """Tell whether a session was begun in this clone, on this machine."""
        if record is not self._ours:
            clone = record.get("clone", "")
            here = self._access.now().machine
            if record["clock"]["machine"] != here or not (not clone or clone == clone_id(self._access.runtime)):
                return False
            self._ours = record
        return True

    def is_namesake(self, state: State, session: str) -> bool:
        """Tell whether a session has the id that this caller goes by or wished for, and was begun in another clone."""
        own = None if self.own is None else self.own.session
        record = state.session(session) if session in (own, self.wished, self._chosen) else None
        return record is not None and not self.is_of_this_clone(record)

    def name_of(self, session: str | None) -> str | None:
        """Return the id of the session that a verb is about; None where the caller has not signed on."""
        if session is not None:
            return names.check_session_id(session)
        return self.wished if self.own is None else self.own.session

    def me(self, state: State, session: str | None) -> str | None:
        """Return the id of the session that the caller is, for looking; None where another clone has that id."""
        name = self.name_of(session)
        record = None if name is None else state.session(name)
        if record is None:
            return name
        own = self.own
        if own is not None and name == own.session:
            return name if record["incarnation"] == own.incarnation else None
        return name if self.is_of_this_clone(record) else None

    def displaced(self, session: str | None) -> list[Displaced]:
        """Return what the caller lost together with its place on the log, under every id that it went by here.

        Args:
            session: as which session it asks; None is as itself.
        """
        runtime = self._access.runtime
        if not os.path.isdir(os.path.join(runtime, "displaced")):
            return []
        from gitcoord.runtime import displaced

        owned = [*self._former, *([] if self.own is None else [self.own])] if session is None else []
        went_by = {self.name_of(session), *(one.session for one in owned)}
        if session is None and self._may_number:
            went_by.add(self._chosen)
        found = [one for name in sorted(filter(None, went_by)) for one in displaced.read(runtime, name)]
        mine = {one.incarnation for one in owned}
        # An agent's news is for its own server, or for one that was started anew in its place.
        anew = self.process and self.own is None
        return [one for one in found if one.incarnation in mine or not one.process or anew]

    def standing_actor(self, state: State, session: str | None, now: Stamp) -> Actor | None:
        """Return as whom a verb acts where that session is signed on, None where it is not.

        Raises:
            SessionEnded: the desk's own session is over; once that is said (`ended`), the desk has none.
            SessionTaken: the named session is of another machine.
        """
        self.settle(state)
        own = self.own
        name = self.name_of(session)
        if name is None:
            return None
        record = state.session(name)
        if own is not None and name == own.session:
            if record is None or record["incarnation"] != own.incarnation:
                raise self._ended(own, record)
            return Actor(name, own.incarnation, record["author"], [])
        if record is None:
            return None
        if not self.is_of_this_clone(record):
            where = "on another machine" if record["clock"]["machine"] != now.machine else "in another clone"
            raise SessionTaken(
                f"session {name} is at work {where} ({record['machine_name']})",
                next="act as a session of this clone, or sign on under another id: --session ID",
                session=name,
                since=record["started_at"],
            )
        if session is None and self.process:
            raise SessionTaken(
                f"session id {name} is taken since {record['started_at']} ({record['machine_name']})",
                next="sign on under another id, or with takeover once that session is gone",
                session=name,
                since=record["started_at"],
            )
        return Actor(name, record["incarnation"], record["author"], [])

    @staticmethod
    def _ended(own: Own, record: Session | None) -> SessionEnded:
        how = "is over and its locks are released" if record is None else f"was taken over at {record['started_at']}"
        return SessionEnded(
            f"session {own.session} ({own.incarnation}) {how}",
            next="look at what you had locked before you write it again; your next call signs you on anew",
            session=own.session,
            incarnation=own.incarnation,
        )

    def actor(self, state: State, session: str | None, now: Stamp, sign_on: SignOn | None) -> Actor:
        """Return as whom a verb acts, with the sign-on that has to come first where there is none.

        Raises:
            SessionTaken: the id is not to be had.
            UnknownSession: nobody is signed on, and no sign-on was prepared.
        """
        standing = self.standing_actor(state, session, now)
        if standing is not None:
            return standing
        if sign_on is None or (self.own is not None and session is not None):
            raise UnknownSession(
                f"session {session} is not signed on" if session else "you have not signed on",
                next="gitcoord session list shows who is here; to sign on: gitcoord session start ID, over MCP sign_on",
            )
        start = self.start_operation(state, now, sign_on, session=session, intent="", takeover=False)
        return Actor(start["session"], sign_on.id, start["author"], [start])

    def acted(self, actor: Actor, now: Stamp) -> None:
        """Leave a trace that a process acted as a session that another process keeps alive."""
        own = self.own
        if own is None or own.incarnation != actor.incarnation:
            from gitcoord.runtime.life import mark_seen

            trace = actor.incarnation, os.getpid(), now.boot, now.uptime_ms // _TRACE_GRAIN_MS
            if trace != self._trace:
                mark_seen(self._access.runtime, actor.incarnation, os.getpid(), now)
                self._trace = trace

    # -- others

    def evidence(self, session: Session, now: Stamp) -> dict[str, Any] | None:
        """Return what shows that a session is gone, as far as this machine may say; None where nothing does."""
        verdict = self._verdict(session, now)
        if verdict == "dead":
            return {"kind": "process-gone"}
        reading = clocks.reading(now)
        if clocks.lease_is_over(session, reading):
            return {"kind": "lease-over"}
        if clocks.challenge_left_ms(session, reading) == 0:
            return {"kind": "challenge"}
        return None

    def _verdict(self, session: Session, now: Stamp) -> Literal["alive", "dead", "unknown"]:
        from gitcoord.runtime.life import judge, seen_lately

        machine = session["clock"]["machine"]
        verdict = judge(self._access.runtime, session["incarnation"], session["proof"], machine, now)
        if verdict == "dead" and seen_lately(self._access.runtime, session["incarnation"], now, SEEN_S):
            return "unknown"
        return verdict

    def lives(self, session: Session, now: Stamp) -> bool:
        """Tell whether a session of this machine is proved to live."""
        return self._verdict(session, now) == "alive"

    def standing(self, session: Session, now: Stamp) -> str:
        """Return "live", "lapsed" (its lease is over) or "dead" (its process is gone)."""
        evidence = self.evidence(session, now)
        if evidence is None:
            return "live"
        return "dead" if evidence["kind"] == "process-gone" else "lapsed"


def _clipped(text: str) -> str:
    """Return as much of a client's own name as a record takes."""
    return text.encode(errors="replace")[:AGENT_BYTES].decode(errors="ignore")
