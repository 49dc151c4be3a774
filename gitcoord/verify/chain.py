"""Walks a log and asks the judge about every commit, parents first, until one is bad or all are good."""

from __future__ import annotations

from gitcoord import principals
from gitcoord.errors import IntegrityFault, ObjectMissing
from gitcoord.log import Commit, Log
from gitcoord.model import Policy
from gitcoord.state import State
from gitcoord.values import Any, NamedTuple, cast
from gitcoord.verify import merges, rules, segments
from gitcoord.verify.evidence import Reader, Seen, Signatures, scratch_of
from gitcoord.verify.history import History, Missing, between
from gitcoord.verify.memory import Memory, digest
from gitcoord.verify.rules import Broken, Fault, Found
from gitcoord.verify.tally import Tally
from gitcoord.verify.used import Ids, IdsFile, ids_behind, remembered_ids

_SETTLED_AT_ONCE = 256
# Reading so few commits again costs less than to write the ids of all.
_NOTED_AFTER = 64
_new = cast("Any", tuple).__new__


class Verdict(NamedTuple):
    """What a verification came to.

    Attributes:
        good: the last first-parent commit before the first fault; the commit that was trusted where none was good,
            None where nothing was.
        fault: the first bad commit, by which rule, and why; None where all are good.
        checked: how many commits were judged good.
        edges: commits at which a shallow clone's history ends. What lies behind them was not judged, and their own
            states were taken as they are: with any, nothing is verified in full.
        tally: what was found on the way.
        root: the fingerprint of the log's root, where it got one in what was judged.
    """

    good: bytes | None
    fault: Fault | None
    checked: int
    edges: tuple[bytes, ...]
    tally: Tally
    root: str | None = None


class _Behind(NamedTuple):
    """What later commits need to know of one that was judged."""

    tree: bytes
    revision: int
    repository: str


class Examination:
    """One verification of one log.

    Args:
        log: what is verified.
        remembered: what was verified before, and behind which nothing is judged again.
        pinned: the fingerprint of the key that the log's root must have; None believes the log's own first word.

    Attributes:
        processes: how many may judge at the same time; None leaves it to the length of the log and to the machine.
        replayed: where there are more commits than these to judge, the form of each is judged alone: its place, its
            format and its message, and not what its operations make of the state before it; None judges all fully.
        cut_off: merges whose making a shallow clone does not show are taken as they are, also behind a good commit.
    """

    def __init__(self, log: Log, remembered: Memory | None = None, pinned: str | None = None) -> None:
        """Judge nothing yet."""
        self.log = log
        self.reader = Reader(log)
        self.tally = Tally()
        self.pinned = pinned
        self.repository = None if remembered is None else remembered.repository
        self.merges = remembered is not None and remembered.merges
        self.ids: set[bytes] = set(() if remembered is None else remembered.ids)
        self.good: bytes | None = None
        self.root: str | None = None
        self.processes: int | None = None
        self.replayed: int | None = None
        self.cut_off = False
        self._form_only = False
        self._log_id: str | None = None
        self._beginning: bytes | None = None
        self._cut_off = False
        self._signatures = Signatures(scratch_of(log))
        self._behind: dict[bytes, _Behind] = {}
        self._last: tuple[bytes, State] | None = None
        self._good_before: dict[bytes, bytes | None] = {}

    # -- the walk

    def run(self, good: bytes | None, new: bytes) -> tuple[Verdict, History | None]:
        """Judge what is behind a tip and not behind a good commit.

        Args:
            good: trusted, with all that is behind it; None trusts nothing.
            new: the tip.
        """
        self.good = good
        try:
            history = between(self.reader, good, new, cut_off=self.cut_off)
        except Missing as missing:
            where = new if missing.child is None else missing.child
            return self._verdict(Fault(where, "object", str(missing)), ()), None
        except IntegrityFault as error:
            return self._verdict(Fault(new, "object", error.message), ()), None
        if not history.grown:
            self.merges = True  # an id that is known may be on the other side only: that has to be looked up
        if self.replayed is not None and len(history.commits) > self.replayed:
            self._form_only, self.processes = True, 1
        edges = tuple(seen.oid for seen in history.edges)
        try:
            self._find_beginning(good, history)
        except IntegrityFault as error:
            return self._verdict(Fault(new, "object", error.message), edges), history
        fault = self._judge_all(history)
        return self._verdict(fault, edges), history

    def _find_beginning(self, good: bytes | None, history: History) -> None:
        """Find out which log this is, and where it begins: behind the good commit, or at the end of first parents."""
        self._cut_off = bool(history.edges)
        if good is not None:
            self._log_id = self.reader.found(self.reader.seen(good)).header["repository"]
        elif history.first_parents and not self.reader.seen(history.first_parents[-1]).parents:
            self._beginning = history.first_parents[-1]

    def _verdict(self, fault: Fault | None, edges: tuple[bytes, ...]) -> Verdict:
        return Verdict(self.good, fault, self.tally.commits, edges, self.tally, self.root)

    def _judge_all(self, history: History) -> Fault | None:
        line = set(history.first_parents)
        here: Seen | None = None
        try:
            for here in history.edges:
                self._assume(here)
            first, *others = segments.cut(history.commits, self.processes)
            with segments.Helpers(self.log, self.pinned, others) as helpers:
                for number, stretch in enumerate([first, *others]):
                    if number and self._joins(helpers.answer(number - 1)):
                        self.good = next((seen.oid for seen in reversed(stretch) if seen.oid in line), self.good)
                        continue
                    for here in stretch:
                        self._judge(here)
                        if here.oid in line:
                            self.good = here.oid
                        if self._signatures.waiting >= _SETTLED_AT_ONCE:
                            self._settle()
                    self._settle()
            if self.pinned is not None and self.root is None and history.commits and not history.commits[0].parents:
                here, self.good = history.commits[0], None
                raise Broken("root", f"begins a log without a root, and this clone trusts {self.pinned}")  # noqa: TRY301
        except Broken as broken:
            return self._first_fault(Fault(_oid(here), broken.rule, broken.reason))
        except IntegrityFault as error:
            return self._first_fault(Fault(_oid(here), "object", error.message))
        except _Unsigned as late:
            return late.fault
        return None

    def _joins(self, good: segments.Good | None) -> bool:
        """Take over what a helper found of the next stretch, unless anything of it asks for a second look."""
        if good is None or not good.ids.isdisjoint(self.ids) or not self.tally.join(good.tally):
            return False
        self.ids |= good.ids
        self.merges = self.merges or good.merges
        self.root = good.root or self.root
        self.repository = good.repository
        self._last = None
        return True

    def judged(self, commits: list[bytes]) -> segments.Good | None:
        """Judge a stretch of a log whose beginning somebody else judges; None where not all of it is good.

        Args:
            commits: each after its parents, or with parents outside.
        """
        try:
            for oid in commits:
                self._judge(self.reader.seen(oid))
                if self._signatures.waiting >= _SETTLED_AT_ONCE:
                    self._settle()
            self._settle()
        except (Broken, IntegrityFault, _Unsigned):
            return None
        return segments.Good(self.ids, self.tally.told(), self.merges, self.root, self.repository or "")

    def _settle(self) -> None:
        """Check the signatures that wait.

        Raises:
            _Unsigned: one is not good.
        """
        bad = self._signatures.settle()
        if bad is not None:
            self.good = self._good_before[bad[0]]
            raise _Unsigned(Fault(bad[0], bad[1].rule, bad[1].reason))

    def _first_fault(self, fault: Fault) -> Fault:
        """Return the first of a fault and of those of signatures that still wait."""
        try:
            self._settle()
        except _Unsigned as earlier:
            return earlier.fault
        return fault

    # -- one commit

    def _assume(self, edge: Seen) -> None:
        """Take the state of a commit as it is: what made it is not there."""
        found = self.reader.found(edge)
        self.repository = self.repository or found.header["repository"]
        self._log_id = self._log_id or found.header["repository"]
        self._note(edge, found, _operation_ids(found))

    def _judge(self, seen: Seen) -> None:
        if not seen.body:
            seen = self.reader.seen(seen.oid)
        found = self.reader.found(seen)
        parents = [self._known(parent) for parent in found.parents]
        revision = max((parent.revision for parent in parents), default=0)
        repository = parents[0].repository if parents else None
        used = _Used(self, found)
        rules.check_place(found, repository, revision, used)
        if not parents:
            self._check_beginning(found)
        if self._form_only:
            rules.check_form(found)
            self._note(seen, found, used.asked)
            self.tally.count(found.oid, found.header["revision"], found.header["operations"], None)
            return
        if parents:
            state = self._state_of(found.parents[0])
            policy = state.policy
        else:
            state = self.reader.state_at(None)
            policy = self._first_policy(found)
        self._last = None
        if len(parents) > 1:
            judged = self._judge_merge(found, state)
        else:
            judged = rules.judge(found, state, policy, self.reader.oid_size, self.reader.add)
        if parents:
            self._check_policy(found, policy, judged.state)
        if judged.signature is not None:
            self._good_before[found.oid] = self.good
            if not self._signatures.check(found.oid, judged.signature):
                del self._good_before[found.oid]
        self._last = (found.oid, judged.state)
        self._note(seen, found, used.asked)
        self.tally.count(found.oid, found.header["revision"], found.header["operations"], judged.owner)

    def _judge_merge(self, found: Found, state: State) -> rules.Judged:
        owner = merges.owner_of(found, state.policy, self._signatures.made_by)
        merged = merges.state_of_merge(self.log, found)
        rules.check_tree(found, merged, self.reader.add)
        rules.check_rendered(found)
        self.tally.merges += 1
        self.merges = True
        return rules.Judged(merged, None, owner)

    def _check_beginning(self, found: Found) -> None:
        """Let the log's own beginning pass, and that of a log that was taken over into it.

        Raises:
            Broken: it begins this log a second time: whoever wrote it wants to have been its root.
        """
        repository = found.header["repository"]
        if found.oid == self._beginning:
            self._log_id = repository
        elif not self._cut_off and self._log_id in (None, repository):
            raise Broken("parents", f"begins the log {repository} anew, and is not where it began")

    def _first_policy(self, found: Found) -> Policy:
        """Return the policy that a log's first commit brings, if its root is who it has to be.

        Raises:
            Broken: it is signed by somebody else than the pinned root, or it was to be signed and is not.
        """
        operation = found.header["operations"][0]
        given: Any = operation.get("policy")
        if type(given) is not dict or principals.fault_of(cast("dict[str, Any]", given)) is not None:
            raise Broken("shape", "begins a log without a policy")
        policy = cast("Policy", given)
        signer = operation.get("signer")
        if principals.is_signed_log(policy):
            self._check_root(found, [] if signer is None else [signer])
        return policy

    def _check_root(self, found: Found, roots: list[str]) -> None:
        """Note the root of a log that is signed from here on; that of one that was taken over into it says nothing.

        Raises:
            Broken: it is another than the one that this clone trusts.
        """
        if self._log_id is None:
            raise Broken("root", "gives a log its root, and which log that is has to be found out first")
        if found.header["repository"] != self._log_id:
            return
        if self.pinned is not None and self.pinned not in roots:
            named = ", ".join(roots) or "nobody"
            raise Broken("root", f"makes {named} the root of the log, and this clone trusts {self.pinned}")
        self.root = self.pinned or next(iter(roots), None)

    def _check_policy(self, found: Found, before: Policy, after: State) -> None:
        """Look at a change of the policy: with its first principals a log gets its root."""
        if any(operation["type"] == "policy.set" for operation in found.header["operations"]):
            policy = after.policy
            if principals.is_signed_log(policy) and not principals.is_signed_log(before):
                self._check_root(found, principals.root_keys(policy))

    def _known(self, oid: bytes) -> _Behind:
        found = self._behind.get(oid)
        if found is None:
            seen = self.reader.seen(oid)
            header = self.reader.found(seen).header
            found = _Behind(seen.tree, header["revision"], header["repository"])
            self._behind[oid] = found
        return found

    def _state_of(self, oid: bytes) -> State:
        if self._last is not None and self._last[0] == oid:
            return self._last[1]
        return self.reader.state_at(self._known(oid).tree)

    def _note(self, seen: Seen, found: Found, ids: list[bytes]) -> None:
        header = found.header
        self.repository = header["repository"]
        self._behind[seen.oid] = _new(_Behind, (seen.tree, header["revision"], header["repository"]))
        self.ids.update(ids)

    def is_behind(self, operation_id: str, parents: list[bytes]) -> bool:
        """Tell whether an operation is on the history behind these commits; reads all of it."""
        line = b"\nCoord-Id: %b\n" % operation_id.encode(errors="replace")
        stack, done = list(parents), set[bytes]()
        while stack:
            oid = stack.pop()
            if oid in done:
                continue
            done.add(oid)
            try:
                seen = self.reader.seen(oid)
            except ObjectMissing:
                continue
            if line in seen.body:
                return True
            stack.extend(seen.parents)
        return False


class _Unsigned(Exception):
    """A signature that was checked later is not good."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class _Used:
    """The ids that a commit's operations may not have: those of the commits behind it.

    Attributes:
        asked: the digests of the ids that were asked for, and so, where all of a commit's were, the commit's.
    """

    __slots__ = ("_examination", "_parents", "asked")

    def __init__(self, examination: Examination, found: Found) -> None:
        self._examination = examination
        self._parents = found.parents
        self.asked: list[bytes] = []

    def __contains__(self, operation_id: object) -> bool:
        known = self._examination
        if not isinstance(operation_id, str):
            return False
        named = digest(operation_id)
        self.asked.append(named)
        if named not in known.ids:
            return False
        return not known.merges or known.is_behind(operation_id, self._parents)


def _oid(seen: Seen | None) -> bytes:
    return b"" if seen is None else seen.oid


def _operation_ids(found: Found) -> list[bytes]:
    return [digest(operation["id"]) for operation in found.header["operations"]]


def verify_new(log: Log, good: bytes, new: bytes) -> Verdict:
    """Judge what somebody else wrote, before it is used.

    Everything reachable from `new` and not from `good` is judged; `good` and what is behind it is trusted. `good` must
    lie on the first-parent chain of `new`, for a log only ever grows along it: a merge that puts its own history first
    is a fault, named `growth`. Writes nothing.

    Args:
        log: the log; the new objects must be readable through it.
        good: the tip that is in use: as last seen on the remote.
        new: what was fetched.

    Returns:
        the last good first-parent commit and the first fault. With a `growth` fault `good` is the given one.
    """
    fault = growth_fault(Reader(log), good, new)
    if fault is not None:
        return Verdict(good, fault, 0, (), Tally())
    return verify_arriving(log, good, new)


def verify_arriving(
    log: Log, good: bytes | None, new: bytes, pinned: str | None = None, *, replayed: int | None = None
) -> Verdict:
    """Judge what is reachable from `new` and not from `good`, wherever `good` lies; otherwise like `verify_new`.

    Which ids were used behind `good` is remembered for the next time (`IdsFile`).

    Args:
        log: the log; the new objects must be readable through it.
        good: the tip that is in use; None where nothing is, and all is judged.
        new: what was fetched.
        pinned: the fingerprint of the key that the log's root must have, where it gets one in what is judged.
        replayed: of more commits than these the form alone is judged (`Examination.replayed`).
    """
    runtime = log.repository.runtime
    examination = Examination(log, None, pinned)
    examination.replayed = replayed
    known = None if good is None else remembered_ids(runtime, good)
    if good is not None:
        examination.ids, examination.merges = ids_behind(examination.reader, good, known)
    verdict, history = examination.run(good, new)
    if history is not None:
        # Whoever asks next how the new tip lies to the last one walks over just these.
        for seen in history.commits:
            log.keep(Commit(seen.oid, seen.tree, seen.parents, seen.revision))
    fresh = len(examination.ids) - (0 if known is None else len(known.ids))
    if verdict.fault is None and history is not None and history.grown and not history.edges and fresh >= _NOTED_AFTER:
        IdsFile(runtime).write(Ids(new, examination.merges, examination.ids))
    return verdict


def verify_all(log: Log, tip: bytes, pinned: str | None = None) -> Verdict:
    """Judge a whole log; with a pinned root, it has to begin with that one."""
    return Examination(log, None, pinned).run(None, tip)[0]


def growth_fault(reader: Reader, good: bytes, new: bytes) -> Fault | None:
    """Return what is wrong where a tip is no growth of a good one along first parents."""
    here = new
    while here != good:
        try:
            seen = reader.seen(here)
        except IntegrityFault as error:
            return Fault(here, "object", error.message)
        if not seen.parents:
            return Fault(new, "growth", f"does not have {good.hex()} on its first-parent chain")
        here = seen.parents[0]
    return None
