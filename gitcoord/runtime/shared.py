"""What a clone knows of the remote that confirms: which one it is, and what was last seen of it.

Two small files in the runtime directory, where no refspec can overwrite them. `shared` says with whom this clone
shares, and is there only where it does. `contact` says what the remote's log was last seen to be, and how the last try
went; it is written by the one process that does the network's work, and read by all.

Nothing is promised about the remote's present: it may have moved a moment ago.
"""

from __future__ import annotations

import os

from gitcoord import plainjson
from gitcoord.model_time import Stamp, format_time
from gitcoord.runtime.files import parse_object, write_whole
from gitcoord.values import Any, NamedTuple, cast

DEFAULT_REF = "refs/gitcoord/main"
BRANCH_REF = "refs/heads/gitcoord"
"""Where the log lies on hosts that take nothing but branches."""

_EVENTS_KEPT = 20


class Shared(NamedTuple):
    """The remote that confirms, as this clone knows it.

    Attributes:
        remote: its configured name, or a URL.
        ref: the log's full name there.
    """

    remote: str
    ref: str

    @property
    def label(self) -> str:
        """The last part of the ref that holds what was last seen of it; git may have it in a ref's name."""
        if _is_plain(self.remote):
            return self.remote
        import zlib

        return f"url-{zlib.crc32(self.remote.encode()):08x}"


def _is_plain(name: str) -> bool:
    fit = name.isascii() and all(char.isalnum() or char in "-_." for char in name)
    return fit and name[:1].isalnum() and ".." not in name and not name.endswith((".lock", "."))


def read_shared(runtime: str) -> Shared | None:
    """Return with whom this clone shares; None where it does not. Costs one look for a file."""
    path = os.path.join(runtime, "shared")
    if not os.access(path, os.F_OK):
        return None
    found = _read(path)
    remote, ref = found.get("remote"), found.get("ref")
    return Shared(remote, ref) if isinstance(remote, str) and isinstance(ref, str) and remote else None


def write_shared(runtime: str, shared: Shared) -> None:
    """Let this clone share from now on.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    write_whole(os.path.join(runtime, "shared"), _dump(shared._asdict()))


class Contact(NamedTuple):
    """What was seen of the remote.

    Attributes:
        tip: the tip that its log had when it was last seen; None where it has been seen without one, or never.
        reached: when the last successful look began: `boot`, `uptime_ms`, `time`; None for never.
        failed: when the last try began that failed, with the `code` and the `message`; None after a success.
        events: what was not as it should be and what was done about it, the oldest first.
        local: the newest end of this clone's reflog that was looked at for tips that were lost.
        vouched: its end when this clone's own tip was last known to be good, whoever had set the ref.
        quarantine: the bad history that the remote's log had then, and none of which is used: `tip`, `good` (the
            newest commit that is used), `commit` (the first bad one), `rule`, `reason`, `at`, `next`; None for none.
    """

    tip: bytes | None = None
    reached: dict[str, Any] | None = None
    failed: dict[str, Any] | None = None
    events: tuple[dict[str, Any], ...] = ()
    local: int = 0
    vouched: int = 0
    quarantine: dict[str, Any] | None = None

    def reached_since(self, stamp: Stamp) -> bool:
        """Tell whether a successful look began at this time of this machine or later."""
        return _is_since(self.reached, stamp)

    def failed_since(self, stamp: Stamp) -> bool:
        """Tell whether a try failed that began at this time of this machine or later."""
        return _is_since(self.failed, stamp)

    def with_event(self, event: dict[str, Any]) -> Contact:
        """Return the contact with one more event."""
        return self._replace(events=(*self.events, event)[-_EVENTS_KEPT:])


def moment(stamp: Stamp) -> dict[str, Any]:
    """Return a stamp as the contact file holds it."""
    return {"boot": stamp.boot, "uptime_ms": stamp.uptime_ms, "time": format_time(stamp.at_ms)}


def _is_since(found: dict[str, Any] | None, stamp: Stamp) -> bool:
    return (
        found is not None
        and found.get("boot") == stamp.boot
        and isinstance(found.get("uptime_ms"), int)
        and found["uptime_ms"] >= stamp.uptime_ms
    )


def read_contact(runtime: str) -> Contact:
    """Return what was seen of the remote. A file that cannot be understood says nothing."""
    found = _read(os.path.join(runtime, "contact"))
    try:
        tip = None if found.get("tip") is None else bytes.fromhex(found["tip"])
        events = tuple(event for event in cast("list[dict[str, Any]]", found.get("events", [])) if "event" in event)
        reached, failed, quarantine = (_moment(found, name) for name in ("reached", "failed", "quarantine"))
        local, vouched = (int(found.get(name, 0)) for name in ("local", "vouched"))
        return Contact(tip, reached, failed, events, local, vouched, quarantine)
    except (ValueError, TypeError):
        return Contact()


def _moment(found: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = found.get(name)
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]


def write_contact(runtime: str, contact: Contact) -> None:
    """Keep what was seen. Only the process that does the network's work may.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    found = contact._asdict()
    found["tip"] = None if contact.tip is None else contact.tip.hex()
    write_whole(os.path.join(runtime, "contact"), _dump(found))


class Flight(NamedTuple):
    """A push whose end is not known, or under way.

    Attributes:
        head: the commit.
        expected: what the remote's ref was to hold before it.
        others: commits that were pushed earlier over the same, and may land as well; of all of them one does at most.
    """

    head: bytes
    expected: bytes | None
    others: tuple[bytes, ...] = ()

    @property
    def heads(self) -> tuple[bytes, ...]:
        """All commits that may land."""
        return (self.head, *self.others)


def read_flight(runtime: str) -> Flight | None:
    """Return the push that is under way or whose end is not known; None where there is none."""
    found = _read(os.path.join(runtime, "flight"))
    try:
        return Flight(
            bytes.fromhex(found["head"]),
            None if found["expected"] is None else bytes.fromhex(found["expected"]),
            tuple(bytes.fromhex(head) for head in found.get("others", [])),
        )
    except (ValueError, TypeError, KeyError):
        return None


def write_flight(runtime: str, flight: Flight | None) -> None:
    """Note a push before it begins; None once its end is known.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    path = os.path.join(runtime, "flight")
    if flight is not None:
        expected = None if flight.expected is None else flight.expected.hex()
        others = [head.hex() for head in flight.others]
        write_whole(path, _dump({"head": flight.head.hex(), "expected": expected, "others": others}))
        return
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        from gitcoord.runtime.files import refused

        raise refused(path, error) from error


def _dump(value: dict[str, Any]) -> bytes:
    return plainjson.encode(value, letters=False).encode()


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return parse_object(file.read())
    except OSError:
        return {}
