"""The server's door: `pre-receive` of a bare repository that one hosts oneself, and `gitcoord ci` for other hosts."""

from __future__ import annotations

import os

from gitcoord import config
from gitcoord.errors import BadRequest, CoordError
from gitcoord.hooks import arrival, gitrun, pushed, speech
from gitcoord.hooks.push import is_zero
from gitcoord.hooks.settings import Settings, settle
from gitcoord.model import ALIAS_REF, LOG_REF
from gitcoord.principals import is_signed_log
from gitcoord.service.access import open_access
from gitcoord.service.callers import Callers
from gitcoord.service.project import repository_config
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitcoord.service.access import Access


class Update(NamedTuple):
    """One line that `pre-receive` reads."""

    old: str
    new: str
    ref: str


def updates_in(text: str) -> list[Update]:
    """Return what a push wants to change."""
    return [Update(*line.split(" ", 2)) for line in text.splitlines() if line.count(" ") >= 2]


def pre_receive(access: Access, settings: Settings, updates: list[Update]) -> bool:
    """Say why a push is refused; false where it is.

    Branches are judged by the log as it was before this push. No ref is written, and nothing is written to the log.
    """
    refused = [line for update in updates if update.ref in (LOG_REF, ALIAS_REF) for line in _log_fault(access, update)]
    branches = [one for one in updates if one.ref.startswith("refs/heads/") and not is_zero(one.new)]
    if branches and access.log.exists():
        env = _as_it_is(config.environment())
        # Not what any ref has: tags and other refs are not judged, and may have brought a commit before.
        found = pushed.commits([one.new for one in branches], ["--branches"], env)
        faults = judge(access, settings, found, env)
        if faults:
            lines = [*pushed.fault_lines(faults), pushed.way_out(faults)]
            if settings.mode == "warn":
                speech.tell(["gitcoord: warning:", *lines])
            else:
                refused += lines
    if refused:
        speech.tell(["gitcoord: push refused:", *refused])
    return not refused


def _as_it_is(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which git shows commits as they lie there: anybody who pushes can push replace refs."""
    return {**env, "GIT_NO_REPLACE_OBJECTS": "1"}


def _log_fault(access: Access, update: Update) -> list[str]:
    if is_zero(update.new) or update.ref == ALIAS_REF:
        what = "deleted" if is_zero(update.new) else "pushed under its short name"
        return [f"  {update.ref}: the log only grows; it cannot be {what}", "next: gitcoord sync"]
    arriving = arrival.Arriving(access.repository, config.environment())
    try:
        arrival.verify_arrival(
            arriving, None if is_zero(update.old) else bytes.fromhex(update.old), bytes.fromhex(update.new)
        )
    except CoordError as error:
        return [f"  {update.ref}: {error.message}", *([f"next: {error.next}"] if error.next else [])]
    finally:
        arriving.objects.close()
    return []


def judge(
    access: Access, settings: Settings, found: list[pushed.Pushed], env: Mapping[str, str] | None = None
) -> list[pushed.Fault]:
    """Return why commits must not come in, by the log as it is; a commit that names no session is nobody's.

    Args:
        access: the repository.
        settings: whether a commit has to be signed by whom it says.
        found: the commits.
        env: git's environment; the hook's own by default.
    """
    from gitcoord.hooks.proven import Proofs

    callers = Callers(access, wished=None, hint="server", process=False)
    state = access.state()
    proofs = Proofs(access.log, state, env) if settings.proof == "signed" and is_signed_log(state.policy) else None
    return pushed.judge(pushed.Ground(access.log, state, callers, access.now(), None, proofs), found)


def check_range(start: str, base: str, head: str) -> tuple[list[pushed.Pushed], list[pushed.Fault]]:
    """Return the commits from a base to a head, and what is wrong with them.

    Args:
        start: a directory of the repository.
        base: where the branch left what is there already.
        head: what is to come in.

    Raises:
        NotInitialised: the log is not here; a pipeline has to fetch it.
        BadRequest: git does not know one of the two, or the history between the two is cut off here.
    """
    access = open_access(start)
    access.log.tip()
    env = config.without_repository(config.environment())
    where = access.repository.worktree or access.repository.git_dir
    oids = [_commit_at(where, name, env) for name in (base, head)]
    env = {**_as_it_is(env), "GIT_DIR": access.repository.git_dir}
    found = pushed.commits([oids[1]], [oids[0]], env)
    _check_whole(access, found)
    settings = settle({}, repository_config(access.repository), Settings())
    return found, judge(access, settings, found, env)


def _commit_at(where: str, name: str, env: dict[str, str]) -> str:
    code, found = gitrun.Running(["-C", where, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"], env).end()
    if code:
        raise BadRequest(f"{name!r} names no commit here", next="fetch it first, or name one that git rev-parse knows")
    return found.decode().strip()


def _check_whole(access: Access, found: list[pushed.Pushed]) -> None:
    """Let pass what has its parents here: a commit whose history was cut off seems to change every file."""
    try:
        with open(os.path.join(access.repository.common_dir, "shallow"), encoding="ascii") as file:
            cut = set(file.read().split())
    except FileNotFoundError:
        return
    for one in found:
        if one.oid in cut:
            raise BadRequest(
                f"the history is cut off at {one.oid[:10]}, between base and head: what it changes cannot be told",
                next="git fetch --unshallow (in GitHub Actions, fetch-depth: 0 of actions/checkout)",
            )
