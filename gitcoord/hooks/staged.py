"""The commit: what is staged against others' locks, and the trailers that lead from the commit to the log."""

from __future__ import annotations

from gitcoord import paths
from gitcoord.hooks import gitrun, speech, trailers
from gitcoord.hooks.ground import Ground
from gitcoord.service import guarding
from gitcoord.service.views import lock_standing
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.hooks.settings import Settings
    from gitcoord.model import Lock
    from gitcoord.service.guarding import Met
    from gitcoord.state import State

_DIFF = ("--name-only", "-z", "--no-renames", "--no-relative", "--no-ext-diff", "--ignore-submodules=none")


def begin_listing(against: str | None = None) -> gitrun.Running:
    """Start to list what is staged: added, changed, deleted, both names of a rename, other modes.

    Args:
        against: the commit to compare with; `HEAD`, or nothing before the first commit, by default.
    """
    return gitrun.Running(["diff", "--cached", *_DIFF, *([] if against is None else [against]), "--"])


def pre_commit(ground: Ground, settings: Settings, listing: gitrun.Running) -> bool:
    """Say what stands in a commit's way; false where it must not be made."""
    files = gitrun.names_in(listing.finish())
    state, now = ground.now()
    found = list(guarding.met_on(ground.callers, state, files, ground.asker(state), now))
    speech.tell(_beside(found))
    doubts = speech.doubts(state, ground.callers, now, found)
    doubts = list(dict.fromkeys([*doubts, *_lost(ground, state, files)]))
    if doubts:
        speech.tell(["gitcoord: look at your own locks before you commit:", *doubts])
    held = [met for met in found if met.look.held]
    if held:
        _refuse(state, settings, held, len(files))
    return not (held and settings.mode != "warn") and not (doubts and settings.own == "deny")


def _beside(found: list[Met]) -> list[str]:
    lines = speech.beside_lines(found)
    return ["gitcoord: beside your commit:", *lines] if lines else []


def _refuse(state: State, settings: Settings, held: list[Met], staged: int) -> None:
    verdict = "warning" if settings.mode == "warn" else "commit refused"
    first = speech.path_of(held[0])
    speech.tell(
        [
            f"gitcoord: {verdict}: {len(held)} of {staged} staged paths are locked by others",
            *speech.held_lines(state, held),
            f"next: gitcoord lock {first} --wait 60s, or commit without it: git restore --staged -- {first}",
        ]
    )


def _lost(ground: Ground, state: State, files: list[str]) -> list[str]:
    """Return a line for each lock that was taken from the session and that covers something staged."""
    record = ground.record(state)
    beside = guarding.lost_beside(ground.callers)
    if not beside and (record is None or not (record["notices"] or record.get("lost"))):
        return []
    literal = [paths.claim_from_literal(file, fold_case=state.fold_case) for file in files]
    lines: list[str] = []
    of_record = () if record is None else guarding.lost_claims(ground.access.log, record)
    for claim, how in (*guarding.refused_claims(beside), *of_record):
        if any(paths.overlaps(claim, one) for one in literal):
            lines.append(speech.line(f"  your lock on {claim.spelled} was lost: {how}"))
    return lines


def held_on(ground: Ground, files: list[str]) -> list[Lock]:
    """Return the session's own locks that cover any of the files."""
    state, now = ground.now()
    held: dict[tuple[str, str], Lock] = {}
    for met in guarding.met_on(ground.callers, state, files, ground.asker(state), now):
        lock = met.look.mine
        if lock is not None:
            held[lock["key"], lock["kind"]] = lock
    return list(held.values())


def write_trailers(ground: Ground, path: str, *, amends: bool, task: str | None) -> None:
    """Write into a message file where the commit comes from; an unsigned-on person's message stays as it is.

    Args:
        ground: who commits.
        path: the message file.
        amends: the commit replaces `HEAD`, or may do so.
        task: the task that it is for.
    """
    state, _ = ground.now()
    record = ground.record(state)
    if record is None:
        return
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        before = file.read()
    text = trailers.without(before)
    if not _is_said(text):
        return
    files = gitrun.names_in(begin_listing().finish())
    if amends:  # besides: where it does not replace it after all, what undoes what `HEAD` did must not go missing
        files = list(dict.fromkeys([*files, *gitrun.names_in(begin_listing(_parent_of_head()).finish())]))
    held = held_on(ground, files)
    provisional = {lock["grant"] for lock in held if lock_standing(state, lock)[0] == "provisional"}
    wanted = trailers.lines_for(record["session"], task, held, provisional)
    if text != before:
        with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
    words = [word for line in wanted for word in ("--trailer", line)]
    gitrun.output(
        ["interpret-trailers", "--no-divider", "--in-place", "--where", "end", "--if-exists", "add", *words, path]
    )


def _is_said(text: str) -> bool:
    """Tell whether a message says anything: an empty one must stay empty, for that is how people call a commit off."""
    for line in text.splitlines():
        if line.startswith("# ------------------------ >8"):
            return False
        if line.strip() and not line.startswith(("#", "Signed-off-by:")):
            return True
    return False


def _parent_of_head() -> str:
    """Return what an amended commit is compared with: its first parent, or nothing at all."""
    code, parent = gitrun.Running(["rev-parse", "-q", "--verify", "HEAD^1"]).end()
    return parent.decode().strip() if code == 0 else gitrun.empty_tree()
