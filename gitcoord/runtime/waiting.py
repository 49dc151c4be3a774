"""The waiting line of one clone: who waits for what, in the order in which they came.

Each waiter has a file `waiting/<ticket>` that says what it wishes, holds an OS lock on it while it waits, and writes
the uptime into its first line every so often (a *beat*). Tickets grow in the order of joining. A dead waiter's lock is
free: it is forgotten by whoever notices. A stopped one does not beat: it is passed over until it beats again, and keeps
its ticket.

The line gives order and lets a ring of waiters be found; it grants nothing. Who ignores it, or waits in another clone,
is served as the log decides.

Beats are compared as uptimes of one boot, so setting the wall clock changes nothing here. Where the system has no
`flock` the beats alone tell who is there.
"""

from __future__ import annotations

import json
import os

from gitcoord.runtime.files import DRAFT, draft_path, names, parse_object, private_dir, refused, remove
from gitcoord.runtime.oslock import HAS_FLOCK, Descriptor, OsLock
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from gitcoord.model_time import Stamp

PASSED_OVER_S = 3.0
"""A waiter that has not beaten for so long is passed over."""

# Without locks, one that has been silent for so long is taken for dead; it joins again if it is not.
_GIVEN_UP_S = 120
_BEAT_DIGITS = 16
_TICKET_DIGITS = 12
_READ_LIMIT = 1_000_000


class Waiter(NamedTuple):
    """Somebody who waits.

    Attributes:
        ticket: its place: the smaller was there first. Texts of one length, so they compare as such.
        session: its session id.
        incarnation: that session's sign-on id.
        mode: the mode of the lock that it wants.
        claims: what it wants locked, as JSON that only the caller understands.
        since_ms: the wall clock when it joined.
        wish: everything that it said when it joined, the above included.
    """

    ticket: str
    session: str
    incarnation: str
    mode: str
    claims: Any
    since_ms: int
    wish: dict[str, Any]


class Place:
    """One waiter's place in the line, until it leaves or its process dies. A forked child has none of it."""

    __slots__ = ("_held", "_path", "ticket")

    def __init__(self, ticket: str, path: str, held: Descriptor) -> None:
        """Take what `Line.join` made."""
        self.ticket = ticket
        self._path = path
        self._held = held

    def beat(self, now: Stamp) -> bool:
        """Tell the others that we are still here.

        Args:
            now: now, on this machine.

        Returns:
            Whether the place still exists; when somebody removed the file, join again.

        Raises:
            StorageFault: it cannot be written.
        """
        if not self._held.is_open:
            return False
        try:
            # As many bytes as before, within one block: nobody reads half of it.
            self._held.write_at(0, _beat_line(now))
        except OSError as error:
            raise refused(self._path, error) from error
        return self._held.is_at(self._path)

    def leave(self) -> None:
        """Give the place up; harmless when done twice, and in a forked child."""
        if self._held.is_open:
            if self._held.is_at(self._path):
                remove(self._path)
            self._held.close()


class Line:
    """The waiting line; any number of these may look at it."""

    __slots__ = ("_folder", "_gate_path")

    def __init__(self, runtime_dir: str) -> None:
        """Name the place; nothing is made yet.

        Args:
            runtime_dir: the runtime directory.
        """
        self._folder = os.path.join(runtime_dir, "waiting")
        self._gate_path = os.path.join(runtime_dir, "waiting.lock")

    def join(self, wish: Mapping[str, Any], now: Stamp) -> Place:
        """Take the last place.

        Args:
            wish: JSON with `session`, `incarnation`, `mode`, `claims` and whatever else others should see; `since_ms`
                is added unless it is there, as it is for one that joins again.
            now: now, on this machine.

        Raises:
            StorageFault: the runtime directory cannot be written.
        """
        content = _beat_line(now) + json.dumps({"boot": now.boot, "since_ms": now.at_ms, **wish}).encode() + b"\n"
        private_dir(self._folder)
        with OsLock(self._gate_path):
            present = names(self._folder)
            for name in present:
                if name.startswith(DRAFT):  # of one that died while it joined: only the gate's holder has a draft
                    remove(os.path.join(self._folder, name))
            last = max((int(name) for name in present if _is_ticket(name)), default=0)
            ticket = f"{last + 1:0{_TICKET_DIGITS}}"
            path = os.path.join(self._folder, ticket)
            return Place(ticket, path, _write_locked(path, content))

    def others(self, now: Stamp, before: str | None = None) -> list[Waiter]:
        """Return who waits, the first comer first: the living that have beaten lately. The dead are cleared away.

        Args:
            now: now, on this machine.
            before: only those ahead of this ticket; everybody where it is None, oneself included.
        """
        found: list[Waiter] = []
        dead: list[str] = []
        for name in sorted(names(self._folder)):
            if not _is_ticket(name) or (before is not None and name >= before):
                continue
            waiter = self._look(name, now, dead)
            if waiter is not None:
                found.append(waiter)
        if dead:
            self._clear(dead)
        return found

    def _look(self, name: str, now: Stamp, dead: list[str]) -> Waiter | None:
        """Return the waiter with a ticket unless it is to be passed over; note it where it is dead."""
        try:
            file = Descriptor(os.path.join(self._folder, name), os.O_RDONLY)
        except OSError:  # it left just now, or is not ours to read
            return None
        try:
            if HAS_FLOCK and file.try_lock(shared=True):
                dead.append(name)
                return None
            head, _, body = file.read(_READ_LIMIT).partition(b"\n")
        except OSError:
            return None
        finally:
            file.close()
        wish = parse_object(body)
        silent_ms = now.uptime_ms - int(head) if head.isdigit() else -1
        if silent_ms > _GIVEN_UP_S * 1000 and not HAS_FLOCK:
            dead.append(name)
        if not 0 <= silent_ms <= PASSED_OVER_S * 1000 or wish.get("boot") != now.boot:
            return None
        return _waiter(name, wish)

    def _clear(self, dead: list[str]) -> None:
        """Remove the files of the dead, unless somebody is at the gate: the next one will."""
        gate = OsLock(self._gate_path)
        if not gate.try_acquire():
            return
        try:
            for name in dead:
                path = os.path.join(self._folder, name)
                # Looked at again: with the gate open, the ticket may have gone to somebody new.
                if _is_free(path):
                    remove(path)
        finally:
            gate.release()


def _write_locked(path: str, content: bytes) -> Descriptor:
    """Put a new file, complete and locked, at `path`: nobody finds it without its lock in between."""
    draft = draft_path(path)
    kept = False
    try:
        held = Descriptor(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except OSError as error:
        raise refused(path, error) from error
    try:
        held.write_at(0, content)
        if HAS_FLOCK:
            held.try_lock()
        os.replace(draft, path)
        kept = True
    except OSError as error:
        raise refused(path, error) from error
    finally:
        if not kept:
            remove(draft)
            held.close()
    return held


def _is_free(path: str) -> bool:
    try:
        file = Descriptor(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return file.try_lock(shared=True)
    except OSError:
        return False
    finally:
        file.close()


def _is_ticket(name: str) -> bool:
    return len(name) == _TICKET_DIGITS and name.isascii() and name.isdigit()


def _beat_line(now: Stamp) -> bytes:
    return f"{now.uptime_ms:0{_BEAT_DIGITS}}\n".encode()


def _waiter(ticket: str, wish: dict[str, Any]) -> Waiter | None:
    """Return the waiter that a file tells of, or None where it tells nonsense."""
    session, incarnation, mode = (wish.get(key) for key in ("session", "incarnation", "mode"))
    since_ms = wish.get("since_ms")
    if not (isinstance(session, str) and isinstance(incarnation, str) and isinstance(mode, str)):
        return None
    if not isinstance(since_ms, int):
        return None
    return Waiter(ticket, session, incarnation, mode, wish.get("claims"), since_ms, wish)


def find_ring(me: str, edges: Mapping[str, AbstractSet[str]]) -> list[str] | None:
    """Return a shortest ring of sessions that wait for each other and of which one is `me`, or None.

    Args:
        me: the session that asks.
        edges: for each session that waits, those that it waits for.

    Returns:
        The ring from `me` on: each waits for the next, and the last waits for `me`. Of several shortest rings, the
        first by name, so that all who are in it find the same.
    """
    came_from: dict[str, str] = {}
    reached = [me]
    for session in reached:
        for next_one in sorted(edges.get(session, ())):
            if next_one == me:
                ring = [session]
                while ring[-1] != me:
                    ring.append(came_from[ring[-1]])
                return ring[::-1]
            if next_one not in came_from:
                came_from[next_one] = session
                reached.append(next_one)
    return None
