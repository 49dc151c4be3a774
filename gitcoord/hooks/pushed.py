"""Commits on their way somewhere else: what they change against the locks, and whether their tokens are stale.

The same judgement for a push (`pre-push`), a server (`pre-receive`) and a pipeline (`gitcoord ci`). A commit is its
session's, as its trailers say; without trailers it is whoever pushes it, or nobody's. Where proofs are asked for, what
a session of a known principal holds lets pass only commits that a key of that principal signed.

A token is stale where the log has a later grant, to another session, on something that the commit changes under that
token: held or released, what was written under the later one must not be overwritten from the earlier one's ground. So
is one of a lock that was provisional and was refused after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitcoord import paths
from gitcoord.hooks import gitrun, speech, trailers
from gitcoord.log import Log
from gitcoord.service import guarding
from gitcoord.service.callers import Callers
from gitcoord.state import State
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitcoord.hooks.overtaken import Found
    from gitcoord.hooks.proven import Proofs
    from gitcoord.hooks.trailers import Provenance
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
        kind: `lock_held`, `session_unproven` or `stale_token`.
        message: who, since when, why.
        unnamed: the commit names no session, so whose it is cannot be told: it may be the holder's own.
    """

    commit: str
    path: str
    kind: str
    message: str
    unnamed: bool = False


class Ground(NamedTuple):
    """The log that commits are judged by, and who pushes them.

    Attributes:
        log: for reading.
        state: the state that decides.
        callers: who judges.
        now: what the clocks say.
        pusher: whose commits without trailers are; None is nobody.
        proofs: who signed commits; None takes the word of their trailers.
    """

    log: Log
    state: State
    callers: Callers
    now: Stamp
    pusher: str | None
    proofs: Proofs | None = None


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
    # What log.showSignature has git say would stand before a commit's name.
    words = ["log", "--no-show-signature", "--no-walk=unsorted", "--stdin", "-z", "--format=%H%n%B", "--"]
    said = gitrun.output(words, stdin=stdin, env=env)
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


class _Whose(NamedTuple):
    """Whose a commit is.

    Attributes:
        session: as it says, or as who pushes it; None is nobody.
        unproven: the principal who did not sign it, where the session is that one's.
    """

    session: str | None
    unproven: str | None = None


def _whose(ground: Ground, one: Pushed) -> _Whose:
    session = one.provenance.session or ground.pusher
    if session is None or ground.proofs is None:
        return _Whose(session)
    principal = ground.proofs.principal_of(session)
    # Who holds nothing gains nothing by a commit that says to be theirs.
    record = None if principal is None else ground.state.session(session)
    if principal is None or record is None or not record["held"] or ground.proofs.is_by(one.oid, principal):
        return _Whose(session)
    return _Whose(session, principal)


def _held(ground: Ground, pushed: list[Pushed]) -> Iterator[Fault]:
    last: dict[_Whose, dict[str, str]] = {}
    for one in pushed:
        last.setdefault(_whose(ground, one), {}).update(dict.fromkeys(one.files, one.oid))
    for who, files in last.items():
        asks = None if who.unproven is not None else who.session
        for met in guarding.met_on(ground.callers, ground.state, files, asks, ground.now):
            if met.look.held:
                name = paths.unescape(met.claim.spelled)
                text, kind = speech.held(ground.state, met), "lock_held"
                if who.unproven is not None and all(lock["session"] == who.session for lock in met.look.held):
                    kind = "session_unproven"
                    text += f"; the commit says to be {who.session}'s, and no key of {who.unproven} signed it"
                unnamed = who.session is None
                if unnamed:
                    text += "; the commit names no session (Coord-Session), so it cannot be told to be the holder's"
                yield Fault(files[name], name, kind, text, unnamed)


def _stale(ground: Ground, pushed: list[Pushed]) -> Iterator[Fault]:
    tokens = [token for one in pushed for token in one.provenance.tokens]
    if not tokens:
        return
    from gitcoord.hooks.overtaken import Grants

    grants = Grants(ground.log, tokens)
    told: set[tuple[str, str]] = set()
    for one in pushed:
        session = one.provenance.session
        for token in one.provenance.tokens:
            for found in grants.overtaken(token, session, one.files, fold_case=ground.state.fold_case):
                if (one.oid, found.file) not in told:
                    told.add((one.oid, found.file))
                    under = "a provisional lock" if token.token is None else f"token {token.token}"
                    text = _overtaken(found, session, under)
                    yield Fault(one.oid, found.file, "stale_token", speech.line(text))


def _overtaken(found: Found, session: str | None, under: str) -> str:
    who = session if found.own is None else found.own.session
    changed = f"{found.file} was changed by {who} under {under}"
    if found.later is None or found.under is None:
        why = None if found.own is None else found.own.refused
        return f"{changed}, which was refused after all: {why}"
    return (
        f"{changed}, and {found.later.session} was granted {found.under.spelled} later, at {found.later.at} "
        f"(token {found.later.revision})"
    )


def fault_lines(faults: list[Fault]) -> list[str]:
    """Return a line for each fault, up to a limit."""
    lines = [f"  {fault.commit[:10]} {fault.message}" for fault in faults[: speech.SHOWN]]
    return [*lines, f"  and {len(faults) - speech.SHOWN} more"] if len(faults) > speech.SHOWN else lines


def way_out(faults: list[Fault]) -> str:
    """Return what to do about them."""
    if any(fault.kind == "stale_token" for fault in faults):
        return "next: look at what they did, lock the path again, rebase, and commit anew (git commit --amend)"
    if any(fault.kind == "session_unproven" for fault in faults):
        return (
            "next: sign the commit with a key that the policy has (gitcoord keys list): git config gpg.format and "
            "user.signingKey, then git commit --amend --no-edit -S"
        )
    if any(fault.unnamed for fault in faults):
        return (
            "next: where the commit is the holder's: gitcoord hooks install, then git commit --amend --no-edit (for "
            "several, git rebase --exec 'git commit --amend --no-edit' BASE); else wait for the holder"
        )
    return "next: wait for the holder (gitcoord lock PATH --wait 60s), or leave these paths out of the push"
