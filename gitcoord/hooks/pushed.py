"""Commits on their way somewhere else: what they change against the locks, and whether their tokens are stale.

The same judgement for a push (`pre-push`), a server (`pre-receive`) and a pipeline (`gitcoord ci`). A commit is its
session's, as its trailers say; without trailers it is whoever pushes it, or nobody's.

A token is stale where the log has a later grant, to another session, on something that the commit changes under that
token: held or released, what was written under the later one must not be overwritten from the earlier one's ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitcoord import paths
from gitcoord.errors import CoordError
from gitcoord.hooks import gitrun, speech, trailers
from gitcoord.log import Log
from gitcoord.paths import Claim
from gitcoord.service import guarding
from gitcoord.service.callers import Callers
from gitcoord.service.history import walk
from gitcoord.state import State
from gitcoord.transitions.locks import claim_from
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitcoord.hooks.trailers import Provenance, Token
    from gitcoord.model_time import Stamp


class Pushed(NamedTuple):
    """One commit, what it changes, and what it says of itself."""

    oid: str
    files: list[str]
    provenance: Provenance


class Fault(NamedTuple):
    """Why a commit must not go where it is going.

    Attributes:
        commit: its name.
        path: which path, as git names it.
        kind: `lock_held` or `stale_token`.
        message: who, since when, why.
    """

    commit: str
    path: str
    kind: str
    message: str


class _Grant(NamedTuple):
    """A grant on the log."""

    revision: int
    session: str
    claim: Claim
    at: str


class Ground(NamedTuple):
    """The log that commits are judged by, and who pushes them.

    Attributes:
        log: for reading.
        state: the state that decides.
        callers: who judges.
        now: what the clocks say.
        pusher: whose commits without trailers are; None is nobody.
    """

    log: Log
    state: State
    callers: Callers
    now: Stamp
    pusher: str | None


def commits(wanted: Iterable[str], known: Iterable[str], env: Mapping[str, str] | None = None) -> list[Pushed]:
    """Return commits, the oldest first, with what each changes.

    A merge changes what differs from all of its parents: what it only brings along was judged where it came from.

    Args:
        wanted: commits whose history is meant.
        known: commits, or options of `git rev-list` such as `--remotes=origin`, whose history is not.
        env: git's environment; the hook's own by default.

    Raises:
        GitFailed: git does not know them.
    """
    wanted = list(wanted)
    if not wanted:
        return []
    listed = gitrun.output(["rev-list", "--reverse", "--topo-order", *wanted, "--not", *known, "--"], env=env)
    oids = listed.decode("ascii").split()
    if not oids:
        return []
    stdin = listed
    flags = ["--stdin", "-r", "-c", "--root", "-z", "--name-only", "--no-renames", "--ignore-submodules=none"]
    files = _files_of(oids, gitrun.output(["diff-tree", *flags], stdin=stdin, env=env))
    said = gitrun.output(["log", "--no-walk=unsorted", "--stdin", "-z", "--format=%H%n%B", "--"], stdin=stdin, env=env)
    messages: dict[str, str] = {}
    for entry in said.split(b"\0"):
        oid, _, message = entry.partition(b"\n")
        messages[oid.decode("ascii")] = message.decode("utf-8", "replace")
    return [Pushed(oid, files.get(oid, []), trailers.parse(messages.get(oid, ""))) for oid in oids]


def _files_of(oids: list[str], listing: bytes) -> dict[str, list[str]]:
    """Return each commit's files from a listing in which a commit's name stands before them.

    A file may be named like a commit; but the commits come oldest first, and no file can hold the name of a commit that
    is made of it.
    """
    place = {oid.encode(): at for at, oid in enumerate(oids)}
    found: dict[str, list[str]] = {}
    at = -1
    for name in listing.split(b"\0"):
        if place.get(name, -1) > at:
            at = place[name]
            found[oids[at]] = []
        elif name and at >= 0:
            found[oids[at]].append(name.decode("utf-8", "surrogateescape"))
    return found


def judge(ground: Ground, pushed: list[Pushed]) -> list[Fault]:
    """Return why commits must not go on: paths that others hold, and stale tokens."""
    return [*_held(ground, pushed), *_stale(ground, pushed)]


def _held(ground: Ground, pushed: list[Pushed]) -> Iterator[Fault]:
    last: dict[tuple[str | None, str], str] = {}
    for one in pushed:
        for file in one.files:
            last[one.provenance.session or ground.pusher, file] = one.oid
    sessions = dict.fromkeys(session for session, _ in last)
    for session in sessions:
        files = [file for who, file in last if who == session]
        for met in guarding.met_on(ground.callers, ground.state, files, session, ground.now):
            if met.look.held:
                name = paths.unescape(met.claim.spelled)
                yield Fault(last[session, name], name, "lock_held", speech.held(ground.state, met))


def _stale(ground: Ground, pushed: list[Pushed]) -> Iterator[Fault]:
    tokens = [token.token for one in pushed for token in one.provenance.tokens]
    if not tokens:
        return
    grants = list(_grants_after(ground.log, min(tokens)))
    told: set[tuple[str, str]] = set()
    for one in pushed:
        session = one.provenance.session
        for token in one.provenance.tokens:
            later = [grant for grant in grants if grant.revision > token.token and grant.session != session]
            for file, grant in _overtaken(ground.state, one, token, later):
                if (one.oid, file) not in told:
                    told.add((one.oid, file))
                    text = (
                        f"{file} was changed by {session} under token {token.token}, and {grant.session} was granted "
                        f"{grant.claim.spelled} later, at {grant.at} (token {grant.revision})"
                    )
                    yield Fault(one.oid, file, "stale_token", speech.line(text))


def _overtaken(state: State, one: Pushed, token: Token, later: list[_Grant]) -> Iterator[tuple[str, _Grant]]:
    if not later:
        return
    try:
        from gitcoord import names

        spelled = names.unquote(token.path)
        own = paths.parse_claim(spelled, fold_case=state.fold_case)
    except CoordError:
        return  # a trailer of somebody else's making names nothing
    # What is written says no more whether it was a directory: then it covers all below it.
    whole = own._replace(kind="directory") if own.kind == "file" else own
    for file in one.files:
        literal = paths.claim_from_literal(file, fold_case=state.fold_case)
        if not paths.overlaps(whole, literal):
            continue
        grant = next((grant for grant in later if paths.overlaps(grant.claim, literal)), None)
        if grant is not None:
            yield file, grant


def _grants_after(log: Log, revision: int) -> Iterator[_Grant]:
    """Yield the grants of locks on paths, but marks, that the log has after a revision, the newest first."""
    for _, header in walk(log):
        if header["revision"] <= revision:
            return
        for operation in header["operations"]:
            if operation["type"] == "lock.acquire" and operation["mode"] != "intent":
                for record in operation["claims"]:
                    if record["kind"] != "resource":
                        at = operation["clock"]["time"]
                        yield _Grant(header["revision"], operation["session"], claim_from(record), at)


def fault_lines(faults: list[Fault]) -> list[str]:
    """Return a line for each fault, up to a limit."""
    lines = [f"  {fault.commit[:10]} {fault.message}" for fault in faults[: speech.SHOWN]]
    return [*lines, f"  and {len(faults) - speech.SHOWN} more"] if len(faults) > speech.SHOWN else lines


def way_out(faults: list[Fault]) -> str:
    """Return what to do about them."""
    if any(fault.kind == "stale_token" for fault in faults):
        return "next: look at what they did, lock the path again, rebase, and commit anew (git commit --amend)"
    return "next: wait for the holder (gitcoord lock PATH --wait 60s), or leave these paths out of the push"
