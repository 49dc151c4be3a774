"""`verify`: replays the log and says what was checked, what lies outside, and which commit is bad by which rule.

Besides the commits themselves it looks at what a replay alone cannot see: whether the log that was verified here before
is still behind the tip (a log that went back, was replaced or is gone is recognised by name), whether the tips that a
remote was seen to have lie on the first-parent chain, and whether the log's root is the one that this clone trusts. The
root is pinned in the clone's own git configuration, the first time it is met, and that is said aloud.
"""

from __future__ import annotations

from gitcoord import config, principals
from gitcoord.errors import (
    BadCommit,
    BadRequest,
    CoordError,
    IntegrityFault,
    NotInitialised,
    PartlyVerified,
    Refused,
    StorageFault,
)
from gitcoord.service import points
from gitcoord.service.setup import ROOT_KEY, pin_root
from gitcoord.service.views import View
from gitcoord.store.siderefs import KEPT, write_side_ref
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple
from gitcoord.verify.chain import Examination, Verdict, growth_fault
from gitcoord.verify.evidence import remote_tips
from gitcoord.verify.memory import Memory, MemoryFile
from gitcoord.verify.rules import Broken, Fault
from gitcoord.verify.used import ids_behind

if TYPE_CHECKING:
    from gitcoord.log import Log
    from gitcoord.service.access import Access

_SHOWN_NOTABLE = 200


class Request(NamedTuple):
    """What to verify.

    Attributes:
        range: `A..B`, trusting A and all behind it; `B` alone is all up to B; None is the whole log.
        trust: the fingerprint that the log's root has to have, from now on.
        anew: judge everything again, also what was verified before.
    """

    range: str | None = None
    trust: str | None = None
    anew: bool = False


def verify(access: Access, request: Request, notices: list[str]) -> View:
    """Verify a log, or a range of it.

    Raises:
        BadCommit: a commit is bad, or the log is not the one that was here.
        PartlyVerified: what is there is good, and part of the history is missing.
        CoordError: the log could not be read.
    """
    memory_file = MemoryFile(access.runtime)
    if request.anew or request.trust is not None:
        memory_file.forget()
    remembered = memory_file.read()
    try:
        tip = access.log.named()
    except NotInitialised:
        known, how = (access.log.tip(), "known") if remembered is None else (remembered.tip, "verified")
        gone = Fault(known, "deleted", f"was {how} here, and the log's ref is gone")
        raise _bad(gone, _kept(access, known)) from None
    pinned = _pinned(access, request, notices)
    if remembered is not None and pinned is not None and remembered.root != pinned:
        remembered = None  # it was verified for another root, or for none
    if request.range is not None:
        return _range(access, request.range, pinned, tip)
    examination = Examination(access.log, remembered, pinned)
    if remembered is not None:
        examination.tally.join(remembered.tally)
    verdict, history = examination.run(None if remembered is None else remembered.tip, tip)
    if remembered is not None and history is not None and not history.grown:
        _check_lost(access, examination, remembered, tip)
    answer = _answer(examination, verdict, remembered, tip)
    fault = verdict.fault or _ref_fault(access, tip) or _remote_fault(access, examination, tip)
    answer["warnings"] = _disguises(examination, tip)
    if fault is not None:
        raise _bad(fault, answer)
    if verdict.edges:
        raise _partly(verdict, answer)  # where a log began cannot be seen from here: nothing is pinned
    _pin(access, examination, pinned, notices, answer)
    memory_file.write(
        Memory(
            tip,
            examination.repository or "",
            examination.merges,
            examination.tally.remembered(),
            examination.ids,
            answer["root"],
        )
    )
    return answer


# -- what was lost, replaced or put in front


def _disguises(examination: Examination, tip: bytes) -> list[str]:
    """Return what git shows otherwise of a log than it is; nothing where its tip cannot even be read."""
    try:
        return examination.reader.disguises(tip)
    except (CoordError, Broken):
        return []


def _ref_fault(access: Access, tip: bytes) -> Fault | None:
    """Return what is wrong with a ref that this clone's own files say was elsewhere already."""
    stray = access.log.look().stray
    if stray is None or stray.found != tip:
        return None
    reason = f"neither is nor follows {stray.tip.hex()}, which this clone had already: the log was rolled back"
    return Fault(tip, "rollback", reason)


def _kept(access: Access, *tips: bytes) -> View:
    """Keep histories as evidence, where nothing that happens to the log takes them away, and tell the refs."""
    names = [f"{KEPT}/{tip.hex()}" for tip in tips]
    try:
        kept = [name for name, tip in zip(names, tips, strict=True) if write_side_ref(access.repository, name, tip)]
    except StorageFault:
        kept = []  # who may not write here can still be told
    return {"kept": kept}


def _check_lost(access: Access, examination: Examination, remembered: Memory, tip: bytes) -> None:
    """Name what happened to a log that does not have behind it what was verified here; both histories are kept.

    Raises:
        BadCommit: always.
    """
    log = access.log
    repository = log.state_at(tip).header["repository"]
    facts: View = {"verified": remembered.tip.hex(), "tip": tip.hex(), **_kept(access, remembered.tip, tip)}
    if repository != remembered.repository:
        reason = f"is of the log {repository}; the log of this repository is {remembered.repository}"
        raise _bad(Fault(tip, "grafted", reason), facts)
    try:
        rolled_back = growth_fault(examination.reader, tip, remembered.tip) is None
    except IntegrityFault:
        rolled_back = False
    if rolled_back:
        reason = f"is older than {remembered.tip.hex()}, which was verified here: the log was rolled back"
        raise _bad(Fault(tip, "rollback", reason), facts)
    ours, theirs = _siblings(log, remembered.tip, tip)
    reason = f"follows the same commit as {ours.hex()}, which was verified here: the log was forked"
    raise _bad(Fault(theirs, "fork", reason), {**facts, "siblings": [ours.hex(), theirs.hex()]})


def _siblings(log: Log, one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Return the first commits, along first parents, in which two histories differ."""
    line = _line(log, one)
    place = {oid: at for at, oid in enumerate(line)}
    before = other
    for oid in _line(log, other):
        if oid in place:
            return line[max(0, place[oid] - 1)], before
        before = oid
    return line[-1], before


def _line(log: Log, tip: bytes) -> list[bytes]:
    found = [tip]
    while parents := log.commit(found[-1]).parents:
        found.append(parents[0])
    return found


def _remote_fault(access: Access, examination: Examination, tip: bytes) -> Fault | None:
    """Return what is wrong where a tip that a remote had is behind ours, and not along first parents."""
    for name, oid in remote_tips(access.repository.common_dir):
        try:
            if growth_fault(examination.reader, oid, tip) is None:
                continue
            if growth_fault(examination.reader, tip, oid) is None or not examination.reader.is_behind(oid, tip):
                continue  # the remote is ahead, or has what was not merged yet
        except IntegrityFault:
            continue
        reason = f"has {oid.hex()} ({name}) behind it, and not on its first-parent chain: other history was put first"
        return Fault(tip, "growth", reason)
    return None


# -- the root


def _pinned(access: Access, request: Request, notices: list[str]) -> str | None:
    if request.trust is not None:
        notices.append(pin_root(access, request.trust))
        return request.trust
    return config.read_git_config(access.repository.git_dir).root


def _pin(access: Access, examination: Examination, pinned: str | None, notices: list[str], answer: View) -> None:
    """Pin the root of a signed log at first sight, and say so."""
    answer["root"] = pinned
    if pinned is not None or not principals.is_signed_log(access.state().policy):
        return
    root = examination.root or first_root(access.log)
    if root is None:
        return
    config.set_git_config(access.repository.git_dir, ROOT_KEY, root)
    answer["root"] = root
    notices.append(f"first use: the root of this log is {root}; this clone trusts no other from now on ({ROOT_KEY})")


def first_root(log: Log) -> str | None:
    """Return the key that signed the beginning of a log, or the first one that could change its policy."""
    here = log.commit(log.tip())
    found: str | None = None
    while True:
        roots = principals.root_keys(log.state_at(here.oid).policy)
        if roots:
            found = roots[0]
        if not here.parents:
            signer = log.state_at(here.oid).header["operations"][0].get("signer")
            return signer if roots and signer is not None else found
        here = log.commit(here.parents[0])


# -- answers


def _range(access: Access, text: str, pinned: str | None, tip: bytes) -> View:
    log, now_ms = access.log, access.now().at_ms
    first, dots, last = text.partition("..")
    if not dots:
        first, last = "", first
    good = points.find(log, first, now_ms).oid if dots and first else None
    new = points.find(log, last, now_ms).oid if last else tip
    examination = Examination(log, None, pinned)
    examination.cut_off = True
    if good is not None:
        if good != new and growth_fault(examination.reader, good, new) is not None:
            raise BadRequest(f"{first} is not behind {last or 'the tip'}", next="name the older one first")
        examination.ids, examination.merges = ids_behind(examination.reader, good, None)
    verdict, _ = examination.run(good, new)
    answer = _answer(examination, verdict, None, new)
    answer["warnings"] = _disguises(examination, new)
    answer["from"] = None if good is None else good.hex()
    if verdict.fault is not None:
        raise _bad(verdict.fault, answer)
    if verdict.edges:
        raise _partly(verdict, answer)
    behind = [] if good is None else [f"{first} and what is behind it: trusted, and not judged"]
    answer["outside"] = [*behind, *([f"what comes after {last}"] if new != tip else []), *answer["outside"]]
    return answer


def _answer(examination: Examination, verdict: Verdict, remembered: Memory | None, tip: bytes) -> View:
    tally = examination.tally
    before = 0 if remembered is None else remembered.tally["counts"]["commits"]
    outside = [
        "reasons, intents and values: that somebody said them is verified, and not that they are true",
        "dates: as the machine of each session told them",
    ]
    if tally.unsigned or tally.unknown:
        outside.insert(0, "who wrote the unsigned operations: their sessions and authors are unproven")
    if any(event.kind == "attested-death" for event in tally.notable):
        outside.append("attested deaths: that a process was gone is the word of its own machine")
    return {
        "ok": verdict.fault is None and not verdict.edges,
        "tip": tip.hex(),
        "good": None if verdict.good is None else verdict.good.hex(),
        "repository": examination.repository,
        "root": examination.pinned,
        "judged": tally.commits - before,
        "remembered": before,
        **tally.to_dict(),
        "notable": [
            {"revision": event.revision, "commit": event.commit.hex(), "kind": event.kind, "subject": event.text}
            for event in tally.notable[-_SHOWN_NOTABLE:]
        ],
        "notables": tally.notables,
        "outside": outside,
    }


def _bad(fault: Fault, answer: dict[str, Any]) -> BadCommit:
    error = BadCommit(
        f"commit {fault.commit.hex()} breaks the rule {fault.rule}: {_sentence(fault)}",
        next=f"git show {fault.commit.hex()}; what is good goes up to {answer.get('good') or '(nothing)'}",
    )
    error.facts = {
        **answer,
        "ok": False,
        "fault": {"commit": fault.commit.hex(), "rule": fault.rule, "reason": fault.reason},
    }
    return error


def _sentence(fault: Fault) -> str:
    """Return why a commit is bad: what could not be read says so itself, a rule says what the commit does."""
    return fault.reason if fault.rule in ("object", "format") else f"it {fault.reason}"


def _partly(verdict: Verdict, answer: dict[str, Any]) -> Refused:
    names = ", ".join(oid.hex() for oid in verdict.edges)
    error = PartlyVerified(
        f"partly verified: {verdict.checked} commits are good, and the history before {names} is not in this clone",
        next="git fetch --unshallow, then verify again",
    )
    error.facts = {**answer, "ok": False, "edges": [oid.hex() for oid in verdict.edges]}
    return error
