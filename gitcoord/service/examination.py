"""`doctor`: look for what is not in order, say it by name, and put right what can be put right.

Looks at the refs, the runtime directory, every record at the tip, every commit of the log, what is known of the remote
(it is reached only to settle a push whose end is not known) and the sessions. A finding that is fixed says so; one that
is not stays a finding, and `ok` is false while an error is left.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord import config, names
from gitcoord.errors import CoordError, IntegrityFault
from gitcoord.log import BEGIN_ANEW, Log
from gitcoord.model import ALIAS_REF, LOG_REF, Operation, Session
from gitcoord.model_time import Stamp
from gitcoord.runtime import agents, displaced
from gitcoord.runtime.life import sweep
from gitcoord.runtime.told import Told
from gitcoord.service.access import Access, open_access, stray_words
from gitcoord.service.callers import Actor, Callers, SignOn
from gitcoord.service.history import events
from gitcoord.service.known_settings import unclear
from gitcoord.service.project import repository_config
from gitcoord.state import State
from gitcoord.store.packing import (
    WORTH_IT,
    damaged_loose,
    damaged_packs,
    mend_loose,
    mend_pack,
    pack_history,
    scattered_count,
)
from gitcoord.store.setup import is_prepared, mend, runtime_faults
from gitcoord.transitions import clocks
from gitcoord.values import Any, NamedTuple

_LOCK_IS_LEFT_S = 60
_LAPSED_FOR_S = 24 * 3600
# What a session lost and nobody came to hear of in this time is forgotten, when files are swept.
_FORGOTTEN_S = 7 * 24 * 3600
_UNREADABLE = ("unreadable", "history_damaged", "object_missing", "object_damaged", "unreadable_record")
_BY_HAND = "see to what the findings name; nothing mends it by itself"


class Finding(NamedTuple):
    """Something that is not in order; a `note` asks for nothing."""

    code: str
    message: str
    severity: str
    fixable: bool
    fixed: bool = False


def examine(start: str, *, fix: bool, door: bool = False) -> dict[str, Any]:
    """Return `ok` and the findings in the repository around a directory; changes nothing unless it is to put right.

    Args:
        start: a directory in a worktree, or a git directory.
        fix: put right what can be.
        door: a server's door stands here, so clients push their log: what only a writer needs may be missing.
    """
    findings: list[Finding] = []
    try:
        access = open_access(start)
        access.log.objects.heals = fix
        receives = door and not is_prepared(access.repository)
        if not access.log.exists():
            if receives:
                return _answer([*_switches(access)])
            lost = Finding("not_initialised", f"this repository has no log ({LOG_REF})", "error", fixable=False)
            return _answer([lost], next_step="gitcoord init")
        for finding in _received(access) if receives else _findings(access, fix=fix):
            findings.append(finding)  # noqa: PERF402 - what was found stays found where the next look fails
        return _answer(findings)
    except CoordError as error:
        findings.append(Finding(error.code, error.message, "error", fixable=False))
        return {**_answer(findings), "error": {**error.to_dict(), "next": _way_out(error, findings)}}


def _way_out(error: CoordError, findings: list[Finding]) -> str:
    """Return what to do about an error that ended the examination: never the examination again."""
    if error.next and not error.next.startswith("gitcoord doctor"):
        return error.next
    return str(_answer(findings)["error"]["next"])


def _answer(findings: list[Finding], next_step: str = "") -> dict[str, Any]:
    errors = [f for f in findings if f.severity == "error" and not f.fixed]
    answer: dict[str, Any] = {"ok": not errors, "findings": [f._asdict() for f in findings]}
    if errors:
        unreadable = any(f.code in _UNREADABLE for f in errors)
        code = "unreadable_record" if unreadable else "not_in_order"
        if not next_step:
            fixable = any(f.fixable for f in errors)
            next_step = "gitcoord doctor --fix" if fixable else BEGIN_ANEW if unreadable else _BY_HAND
        answer["error"] = {"code": code, "message": errors[0].message, "next": next_step}
    return answer


def _findings(access: Access, *, fix: bool) -> Iterator[Finding]:
    yield from _stray(access, fix=fix)
    yield from _switches(access)
    yield from _files(access, fix=fix)
    yield from _refs(access, fix=fix)
    yield from _packs(access, fix=fix)
    unreadable = list(_records(access))
    yield from unreadable
    yield from _history(access.log)
    yield from _scattered(access, fix=fix)
    yield from _sharing(access, fix=fix)
    if not unreadable:
        yield from _sessions(access, fix=fix)
        yield from _leftovers(access, fix=fix)


def _received(access: Access) -> Iterator[Finding]:
    """Look at a log that others push here: it is git's to keep, and what is to be said in it is theirs."""
    access.log.objects.heals = False
    yield from _switches(access)
    yield from _records(access)
    yield from _history(access.log)


def _sharing(access: Access, *, fix: bool) -> Iterator[Finding]:
    from gitcoord.service.checkup import examine_sharing

    return examine_sharing(access, fix=fix)


def _files(access: Access, *, fix: bool) -> Iterator[Finding]:
    now_s = access.now().at_ms / 1000
    faults = runtime_faults(access.repository, now_s)
    if faults and fix:
        mend(access.repository, now_s)
    left = {(f.code, f.message) for f in runtime_faults(access.repository, now_s)} if fix else set[tuple[str, str]]()
    for fault in faults:
        fixed = fix and (fault.code, fault.message) not in left
        severity = "warning" if fault.code == "tmp_leftovers" else "error"
        yield Finding(fault.code, fault.message, severity, fault.fixable, fixed)


def _stray(access: Access, *, fix: bool) -> Iterator[Finding]:
    """Say that the log's ref is not where it can have been left, and put it back."""
    stray = access.log.look().stray
    if stray is None:
        return
    fixed = fix and access.coordinator.put_back() is not None
    message = f"{stray_words(stray)}; the newest commit that is known here is {stray.tip.hex()[:12]}"
    yield Finding(f"ref_{stray.kind}", message, "error", fixable=True, fixed=fixed)
    fault = access.fault_of(stray)
    if fault is not None:
        yield Finding("unreadable", f"where the ref was moved to, {fault}", "error", fixable=True, fixed=fixed)


def _switches(access: Access) -> Iterator[Finding]:
    """Say which settings were not understood; one because of which hooks do not guard is an error."""
    for found in unclear(repository_config(access.repository), config.environment()):
        severity = "error" if found.unguarded else "warning"
        yield Finding("unclear_setting", found.message, severity, fixable=False)


def _refs(access: Access, *, fix: bool) -> Iterator[Finding]:
    ref = access.log.ref
    now_s = access.now().at_ms / 1000
    left = ref.leftover_lock(now_s)
    if left is not None:
        lock, age_s = left
        removed = bool(ref.drop_leftover_locks(now_s, older_than_s=_LOCK_IS_LEFT_S)) if fix else False
        fresh = "" if removed or age_s > _LOCK_IS_LEFT_S else _too_fresh(age_s)
        yield Finding("leftover_lock", f"{lock} ({age_s} s old){fresh}", "error", fixable=True, fixed=removed)
    alias = ref.alias_state()
    if alias != "ok":
        said = {"missing": "is missing", "flattened": "is a plain ref and does not follow the log"}
        if fix:
            access.coordinator.mend_refs()
        fixed = fix and ref.alias_state() == "ok"
        message = f"{ALIAS_REF} {said.get(alias, 'points elsewhere')}"
        yield Finding(f"alias_{alias}", message, "error", fixable=True, fixed=fixed)
    if not ref.has_log():
        if fix:
            access.coordinator.mend_refs()
        yield Finding("reflog_missing", f"{LOG_REF} has no reflog", "warning", fixable=True, fixed=fix)


def _too_fresh(age_s: int) -> str:
    left_s = _LOCK_IS_LEFT_S + 1 - age_s
    return f"; a git that is at work may hold it, so it is removed once it is older: doctor --fix in {left_s} s"


def _records(access: Access) -> Iterator[Finding]:
    """Read every record at the tip, each by itself, so that one that is damaged does not hide the next."""
    try:
        state = access.state()
        faults = list(state.faults())
    except IntegrityFault as error:
        faults = [error]
    yield from _orphans(access) if not faults else ()
    for fault in faults:
        yield Finding("unreadable", fault.message, "error", fixable=False)
    objects = access.log.objects
    for oid in objects.damaged if objects.heals else ():
        message = f"object {oid.hex()} was damaged and is put back from another copy"
        yield Finding("healed", message, "warning", fixable=True, fixed=oid in objects.healed)


def _orphans(access: Access) -> Iterator[Finding]:
    """Say which locks have no session, and which sessions count more or fewer locks than they hold."""
    state = access.state()
    held: dict[str, int] = {}
    for lock in state.locks():
        held[lock["session"]] = held.get(lock["session"], 0) + 1
    for session, count in sorted(held.items()):
        if state.session(session) is None:
            message = f"{count} locks name {session}, and there is no session of that id; break them"
            yield Finding("orphan_lock", message, "error", fixable=False)
    for record in state.sessions():
        if record["held"] != held.get(record["session"], 0):
            message = (
                f"session {record['session']} counts {record['held']} locks and holds {held.get(record['session'], 0)}"
            )
            yield Finding("wrong_count", message, "error", fixable=False)


def _history(log: Log) -> Iterator[Finding]:
    """Read every commit of the log, those that merges brought in too."""
    try:
        for _ in events(log):
            pass
    except IntegrityFault as error:
        yield Finding(
            "history_damaged", f"the log cannot be read to its beginning: {error.message}", "error", fixable=False
        )


def _packs(access: Access, *, fix: bool) -> Iterator[Finding]:
    """Read all objects: what nobody looks at today is damaged all the same, and may have a good copy today only."""
    damaged = damaged_packs(access.repository)
    if damaged and fix:
        access.coordinator.write_again()
    for name in damaged:
        fixed = fix and mend_pack(access.repository, name, config.environment())
        message = f"{access.repository.runtime}/objects/pack/{name}.pack or its list is damaged"
        yield _mended("pack_damaged", message, tried=fix, fixed=fixed)
    for oid in damaged_loose(access.repository):
        fixed = fix and mend_loose(access.repository, oid)
        message = f"object {oid.hex()} in {access.repository.runtime}/objects is damaged"
        yield _mended("object_damaged", message, tried=fix, fixed=fixed)


def _mended(code: str, message: str, *, tried: bool, fixed: bool) -> Finding:
    """Return the finding of something that is mended only where good copies of all that it held are at hand."""
    if tried and not fixed:
        message += "; no good copy of all that it held is here: put the file back from a backup or from another clone"
    return Finding(code, message, "error", fixable=not tried or fixed, fixed=fixed)


def _scattered(access: Access, *, fix: bool) -> Iterator[Finding]:
    """Say when the history takes much more room than it must."""
    count = scattered_count(access.repository)
    if count < WORTH_IT:
        return
    went = 0
    if fix:
        log = access.log
        went = pack_history(access.repository, log.tip(), access.now().at_ms / 1000, config.environment())
    message = f"the log holds {count:,} objects without deltas" + (f"; {went:,} of them are packed now" if went else "")
    yield Finding("loose_history", message, "warning", fixable=True, fixed=went > 0)


def _sessions(access: Access, *, fix: bool) -> Iterator[Finding]:
    env = config.read_environment()
    me = names.user_session_id(env.login or "user", config.host_name())
    callers = Callers(access, wished=me, hint="gitcoord doctor", process=False)
    found = _gone(callers, access.state(), access.now(), me)
    if not found:
        return
    if fix:
        _reap(callers, access)
    left = {record["incarnation"] for record, _ in _gone(callers, access.state(), access.now(), me)}
    for record, why in found:
        message = f"session {record['session']} is gone ({why}) and still holds {record['held']}"
        fixed = fix and record["incarnation"] not in left
        yield Finding("dead_session", message, "warning", fixable=True, fixed=fixed)


def _gone(callers: Callers, state: State, now: Stamp, me: str) -> list[tuple[Session, str]]:
    """Return the sessions whose process is gone, or whose lease is over for a day or while they hold something."""
    found: list[tuple[Session, str]] = []
    for record in state.sessions():
        evidence = None if record["session"] == me else callers.evidence(record, now)
        if evidence is None:
            continue
        age_ms = clocks.elapsed_ms(record["clock"], clocks.reading(now)) or 0
        long_ago = age_ms >= (record["lease_s"] + _LAPSED_FOR_S) * 1000
        if evidence["kind"] == "process-gone" or record["held"] or long_ago:
            found.append((record, str(evidence["kind"]).replace("-", " ")))
    return found


def _reap(callers: Callers, access: Access) -> None:
    """End the gone, as a session that comes for this and goes again if it was not here."""
    sign_on: SignOn = callers.prepare()

    def plan(state: State, now: Stamp) -> list[Operation]:
        gone = _gone(callers, state, now, callers.wished or "")
        if not gone:
            return []
        actor = callers.actor(state, None, now, sign_on)
        reaps = [
            callers.operation(
                "session.reap",
                actor,
                now,
                target=record["session"],
                target_incarnation=record["incarnation"],
                evidence=callers.evidence(record, now),
            )
            for record, _ in gone
        ]
        last = [callers.operation("session.end", _only(actor), now)] if actor.first else []
        return [*actor.first, *reaps, *last]

    access.submit(plan)


def _only(actor: Actor) -> Actor:
    return actor._replace(first=[])


def _leftovers(access: Access, *, fix: bool) -> Iterator[Finding]:
    if not fix:
        return
    keep = {record["incarnation"] for record in access.state().sessions()}
    swept = {*sweep(access.runtime, keep), *Told(access.runtime).sweep(keep), *agents.sweep(access.runtime, keep)}
    swept |= set(displaced.sweep(access.runtime, access.now().at_ms / 1000 - _FORGOTTEN_S))
    if swept:
        message = f"files of {len(swept)} ended sessions lay in {access.runtime}"
        yield Finding("runtime_leftovers", message, "warning", fixable=True, fixed=True)
