"""Sharing, as verbs: turn it on, join what is there already, meet the remote, keep up with it."""

from __future__ import annotations

import os

from gitcoord import config, merge
from gitcoord.errors import (
    IntegrityFault,
    NoSuchRemote,
    NotShared,
    Refused,
    RemoteFault,
    RemoteRejected,
    RemoteUnknown,
    SeveralPushUrls,
)
from gitcoord.model import Operation
from gitcoord.model_time import Stamp, parse_time
from gitcoord.remote.transport import Transport
from gitcoord.remote.urls import local_clone, remote_of, same_place
from gitcoord.runtime.machine import new_id
from gitcoord.runtime.shared import (
    BRANCH_REF,
    DEFAULT_REF,
    Contact,
    Shared,
    read_contact,
    read_shared,
    write_contact,
    write_shared,
)
from gitcoord.service import quarantine
from gitcoord.service.access import Access
from gitcoord.service.known_settings import seconds
from gitcoord.service.outcomes import confirmed, refused
from gitcoord.service.project import is_remote_url, repository_config
from gitcoord.service.views import View
from gitcoord.sharing.door import newest_good
from gitcoord.sharing.fates import found_out
from gitcoord.sharing.growth import has_first_parent
from gitcoord.sharing.meeting import Meeting
from gitcoord.sharing.sharer import Sharer
from gitcoord.state import State
from gitcoord.transitions import clocks
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitcoord.service.desk import Desk

_LIMIT_S = 20.0
_LOOK_LIMIT_S = 10.0
_FOLLOW_S = 5.0
_LOOK_EVERY_S = 1.0
_IDLE_S = 30.0
_RETRY_S = 30.0
_EVENTS_SHOWN = 5


def _seconds(access: Access, name: str, default: float) -> float:
    """Return a time that the repository's configuration sets; the default where it sets none that can be read."""
    said = seconds(repository_config(access.repository).get(name, ""))
    return default if said is None else said


def make_transport(access: Access, shared: Shared, *, limit_s: float = _LIMIT_S) -> Transport:
    """Return what reaches a remote, within the time that `gitcoord.timeout` allows."""
    limit_s = silence_s(access, limit_s)
    return Transport(access.repository, shared.remote, shared.ref, limit_s=limit_s, durable=access.durable)


def silence_s(access: Access, longest_s: float = _LIMIT_S) -> float:
    """Return for how long a remote may be silent, as it is set now."""
    return min(longest_s, _seconds(access, "gitcoord.timeout", longest_s), access.limit_s or longest_s)


def _meeting(access: Access, shared: Shared) -> Meeting:
    return Meeting(
        access.coordinator,
        shared,
        make_transport(access, shared),
        restores=lambda: access.is_set("gitcoord.restore", default=True),
    )


def open_sharer(access: Access, shared: Shared) -> Sharer:
    """Return the door of a clone that shares."""
    return Sharer(access.coordinator, _meeting(access, shared))


# -- turning it on


def look_for_log(access: Access, remote: str) -> Shared | None:
    """Return where on a remote a log lies; None where there is none. One look.

    Raises:
        RemoteFault: it was not reached.
    """
    transport = make_transport(access, Shared(remote, DEFAULT_REF), limit_s=_LOOK_LIMIT_S)
    found = transport.look_for([DEFAULT_REF, BRANCH_REF])
    return next((Shared(remote, ref) for ref in (DEFAULT_REF, BRANCH_REF) if ref in found), None)


def join(access: Access, shared: Shared) -> str | None:
    """Take over a remote's log in a clone that has none, as far as it is good, and share from now on.

    Returns:
        the fingerprint of the log's root, where it has one.

    Raises:
        RemoteFault: it was not reached.
        IntegrityFault: what is there is no log that this program can read, or has another root than the trusted one.
    """
    meeting = _meeting(access, shared)
    began = access.now()
    tip = meeting.transport.fetch(into=meeting.incoming)
    if tip is None:
        raise RemoteFault(f"the log on {shared.remote} is gone again", next="gitcoord init")
    sound = newest_good(access.coordinator, tip, None)
    if sound.tip is None:
        raise sound.fault or IntegrityFault(f"the log on {shared.remote} cannot be read", next="gitcoord sync")
    access.coordinator.move(None, sound.tip, f"joined {shared.remote}")
    write_shared(access.runtime, shared)
    meeting.joined(sound.tip, tip, sound.fault, began)
    return sound.root


def turn_on(access: Access, shared: Shared, *, adopt: bool = False) -> View:
    """Share this clone's log with a remote: publish it there, or meet the one that is there.

    Args:
        access: the repository; it has a log.
        shared: which remote, and under which name the log is to lie there.
        adopt: take this clone's log over into one that began apart from it.

    Returns:
        `remote`, `url`, `ref`, `published` (the log was new there), `warning`, `confirmed` (the locks that the remote
        agreed to); where it was to adopt, `refused` (what of this clone's log does not hold in the other) and
        `notices`.

    Raises:
        RemoteFault: it was not reached, or does not take the ref.
        IntegrityFault: the log there is not good.
        UnrelatedLogs: another log is there, and it was not said to adopt.
    """
    meeting = _meeting(access, shared)
    meeting.transport.check_usable()
    if access.shared not in (None, shared) and not _is_renamed(access, shared, meeting.transport.url()):
        write_contact(access.runtime, Contact())  # what was seen of another remote says nothing of this one
    sharer = Sharer(access.coordinator, meeting)
    found = meeting.transport.look()
    before, known, adopted = access.log.tip(), read_contact(access.runtime).tip, dict[str, Any]()
    if found is not None and adopt:
        from gitcoord.service.setup import trust_first

        notices = trust_first(access, sharer.adopt())
        adopted = {"refused": refused(access, before, adopted=True), **({"notices": notices} if notices else {})}
    try:
        sharer.meet()
    except RemoteRejected as error:
        raise _offering_branch(error, shared) from None
    write_shared(access.runtime, shared)
    if "confirms" not in access.state().policy:
        access.submit(lambda state, now: _named(access, shared, meeting.transport.url(), state, now))
    return {
        **described(access, shared),
        "published": found is None,
        "confirmed": confirmed(access, before, known),
        **adopted,
    }


def _is_renamed(access: Access, shared: Shared, url: str) -> bool:
    """Tell whether a remote is the one that confirms, as the log has it, under another name of this clone's."""
    confirms = access.state().policy.get("confirms")
    return confirms is not None and confirms["ref"] == shared.ref and same_place(confirms["url"], url)


def described(access: Access, shared: Shared) -> View:
    """Return what is shared with whom, in words that leave no doubt."""
    return {
        "remote": shared.remote,
        "url": make_transport(access, shared).url(),
        "ref": shared.ref,
        "warning": "whoever can read this remote can read the state: names, reasons, intents and stored values",
    }


def default_remote(access: Access) -> str | None:
    """Return the remote that a clone came from: `origin`, or its only one; None where there is no such.

    In a clone of a working clone on this disk that itself shares, it is the remote which that one shares with: what
    two clones agree on between themselves would not bind the others.
    """
    settings = repository_config(access.repository)
    names = sorted({key[len("remote.") : -len(".url")] for key in settings if is_remote_url(key)})
    name = "origin" if "origin" in names else names[0] if len(names) == 1 else None
    if name is None:
        return None
    beyond = _remote_beyond(settings[f"remote.{name}.url"])
    if beyond is None:
        return name
    return next((other for other in names if same_place(settings[f"remote.{other}.url"], beyond)), beyond)


def _remote_beyond(url: str) -> str | None:
    """Return the URL of the remote with which the clone at a URL shares; None where there is no such."""
    git_dir = local_clone(url)
    if git_dir is None:
        return None
    there = read_shared(os.path.join(git_dir, "gitcoord"))
    if there is None:
        return None
    configured = remote_of(config.read_git_entries(git_dir), there.remote)
    return there.remote if configured is None else configured.url


def _named(access: Access, shared: Shared, url: str, state: State, now: Stamp) -> list[Operation]:
    if "confirms" in state.policy:
        return []
    settings = config.settle(config.read_environment(), config.read_git_config(access.repository.git_dir))
    return [
        {
            "id": new_id(now.at_ms),
            "type": "log.share",
            "clock": clocks.reading(now),
            "author": {"name": settings.user_name, "email": settings.user_email},
            "remote": shared.remote,
            "ref": shared.ref,
            "url": url,
        }
    ]


def _offering_branch(error: RemoteRejected, shared: Shared) -> RemoteRejected:
    if shared.ref == BRANCH_REF:
        return RemoteRejected(error.message, next="ask whoever runs the remote to take this ref, or use another remote")
    return RemoteRejected(
        error.message,
        next=f"where the remote takes branches only: gitcoord init --remote {shared.remote} --branch "
        f"(the log is then its branch {BRANCH_REF.removeprefix('refs/heads/')})",
    )


# -- meeting


def sync(desk: Desk, notices: list[str], *, adopt: bool = False) -> View:
    """Meet the remote, and say what was found there and what became of this clone's operations.

    Returns:
        `ok`, `remote_state` (`equal`, `grown`, `absent`, or the name of what was not in order), `ahead`, `behind`,
        `confirmed` (the locks that were provisional here, with their tokens), `refused` (what merges that came
        refused), `settled` (see `found_out`), `events`, and where the remote is.

    Raises:
        RemoteFault: it was not reached, does not take the log, or its answer was lost.
        IntegrityFault: what is there is not to be believed, or not to be put right without being asked.
    """
    access = desk.access
    sharer = access.sharer
    if sharer is None:
        raise NotShared("this clone shares with nobody", next="gitcoord sync --remote origin")
    before, tip = read_contact(access.runtime), access.log.tip()
    if adopt:
        from gitcoord.service.setup import trust_first

        notices += trust_first(access, sharer.adopt())
    try:
        sharer.meet()
    except RemoteRejected as error:
        raise _still_open(error) if sharer.meeting.flights.is_open() else error from None
    if sharer.meeting.flights.is_open():
        _decide(desk, sharer, notices)
    after = read_contact(access.runtime)
    desk.collect_news(notices)
    events = _new_events(before, after)
    state = str(events[-1]["event"]) if events else _growth(before, after)
    return {
        "ok": True,
        "remote_state": state,
        "confirmed": confirmed(access, tip, before.tip),
        "refused": refused(access, tip, adopted=adopt),
        "settled": [] if after.tip is None else found_out(access.log, access.runtime, after.tip),
        "events": events,
        "mirrors": _mirrored(access),
        **standing(access),
    }


def _decide(desk: Desk, sharer: Sharer, notices: list[str]) -> None:
    """Publish something harmless, since the remote turns a push away whose answer was lost and that may land yet.

    Of the two the remote takes one. A renewal of the caller's lease does no harm; who has no session has nothing to
    publish that nobody asked for.

    Raises:
        RemoteUnknown: it is as open as before.
    """
    from gitcoord.service import signing

    try:
        actor = desk.callers.standing_actor(desk.access.state(), None, desk.access.now())
    except Refused:
        actor = None
    if actor is not None:
        signing.renew(desk, None, None, notices)
        try:
            sharer.publish()
            sharer.meet()
        except RemoteRejected as error:
            raise _still_open(error) from None
    if sharer.meeting.flights.is_open():
        raise _still_open(None)


def _still_open(said: RemoteRejected | None) -> RemoteUnknown:
    return RemoteUnknown(
        "how an earlier push ended is not known: it may land yet, though by now the remote turns the same one away"
        + ("" if said is None else f", and others too: {said.message}"),
        next="any other change that the remote takes decides it, such as: gitcoord session start",
    )


def _mirrored(access: Access) -> list[View]:
    """Copy what the remote agreed to onto the mirrors that `gitcoord.mirrors` names; they confirm nothing.

    A mirror that has something else than an earlier part of it is left alone.
    """
    seen, shared = read_contact(access.runtime).tip, access.shared
    named = repository_config(access.repository).get("gitcoord.mirrors", "").split()
    return [] if seen is None or shared is None else [_copied(access, shared, mirror, seen) for mirror in named]


def _copied(access: Access, shared: Shared, mirror: str, seen: bytes) -> View:
    transport = make_transport(access, Shared(mirror, shared.ref))
    try:
        there = transport.look()
        if there == seen:
            return {"remote": mirror, "state": "equal"}
        if there is not None and not _is_part(access, there, seen):
            return {"remote": mirror, "state": "differs", "found": there.hex()}
        said = transport.push(seen, there)
    except RemoteFault as error:
        return {"remote": mirror, "state": "unreachable", "message": error.message}
    return {"remote": mirror, "state": said.outcome, **({"message": said.reason} if said.reason else {})}


def _is_part(access: Access, there: bytes, seen: bytes) -> bool:
    try:
        return has_first_parent(access.log, seen, there)
    except IntegrityFault:
        return False  # it is not even here


def _new_events(before: Contact, after: Contact) -> list[dict[str, Any]]:
    return [event for event in after.events if event not in before.events]


def _growth(before: Contact, after: Contact) -> str:
    if after.tip is None:
        return "absent"
    return "equal" if before.tip == after.tip else "grown"


def standing(access: Access) -> View:
    """Return how this clone lies to the remote as it was last seen, and when that was."""
    shared, contact, log = access.shared, read_contact(access.runtime), access.log
    if shared is None:
        return {}
    ahead = behind = 0
    tip = log.tip()
    if contact.tip is None:
        ahead = log.commit(tip).revision
    elif contact.tip != tip:
        apart = merge.sides(log, tip, contact.tip)
        ahead, behind = len(apart.ours), len(apart.theirs)
    reached, failed = contact.reached or {}, contact.failed
    return {
        "remote": shared.remote,
        "ref": shared.ref,
        "ahead": ahead,
        "behind": behind,
        "reached_at": reached.get("time"),
        "unreached": None if failed is None else {name: failed.get(name) for name in ("time", "code", "message")},
        "quarantine": quarantine.standing(access.runtime),
    }


def late_events(access: Access) -> list[dict[str, Any]]:
    """Return what was not in order with the remote or this clone's ref, and what was done about it, the newest last."""
    return list(read_contact(access.runtime).events[-_EVENTS_SHOWN:])


def published(access: Access) -> list[str]:
    """Bring to the remote what was written here without it, and say why where that fails; it stays here then."""
    sharer, contact = access.sharer, read_contact(access.runtime)
    if sharer is None or contact.tip == access.log.tip() or access.is_offline:
        return []
    failed = contact.failed
    # What is wrong with this clone's own settings is seen without the network, and may be put right by now.
    is_costly = failed is not None and failed.get("code") not in (NoSuchRemote.code, SeveralPushUrls.code)
    if failed is not None and is_costly and _age_s(access, failed) < _RETRY_S:
        when = "takes it" if failed.get("code") == RemoteRejected.code else "is reached again"
        return [f"kept here until the remote {when}: {failed.get('message')}"]
    try:
        sharer.publish()
    except (RemoteFault, IntegrityFault) as error:
        return [f"kept here until the remote takes it: {error.message}"]
    return []


def _age_s(access: Access, moment: dict[str, Any]) -> float:
    now = access.now()
    if moment.get("boot") == now.boot and isinstance(moment.get("uptime_ms"), int):
        return max(0.0, (now.uptime_ms - moment["uptime_ms"]) / 1000)
    try:
        return abs(now.at_ms - parse_time(str(moment.get("time")))) / 1000
    except ValueError:
        return _RETRY_S


def follow(access: Access) -> float:
    """Meet the remote if nobody of this clone did lately, or if something waits to be published.

    Returns:
        seconds until it wants to be called again.
    """
    access.publishes_later = True
    if access.shared is None or access.is_offline:
        return _IDLE_S if access.shared is None else _LOOK_EVERY_S
    contact = read_contact(access.runtime)
    every_s = _seconds(access, "gitcoord.interval", _FOLLOW_S)
    lately = contact.failed is not None and _age_s(access, contact.failed) < max(every_s, _RETRY_S)
    turned_away = contact.failed is not None and contact.failed.get("code") == RemoteRejected.code
    if lately and not turned_away:
        return _LOOK_EVERY_S
    sharer = access.sharer
    waits = contact.tip != access.log.tip() and not lately
    due = contact.reached is None or _age_s(access, contact.reached) >= every_s
    if sharer is not None and (waits or due):
        sharer.meet()
    return min(_LOOK_EVERY_S, every_s)
