"""After a checkout, merge or rewrite: a short notice where what was written is locked by others."""

from __future__ import annotations

from gitcoord.hooks import gitrun, speech
from gitcoord.hooks.ground import Ground
from gitcoord.hooks.push import is_zero
from gitcoord.service import guarding

_NAMES = ("--name-only", "-z", "--no-renames", "--no-relative", "--no-ext-diff", "--ignore-submodules=none")


def post_checkout(ground: Ground, before: str, after: str, *, branch: bool) -> None:
    """Say which files of a branch that was switched to are locked by others, of those that the switch changed."""
    if branch and before != after and not is_zero(before):
        _notice(ground, gitrun.Running(["diff", *_NAMES, before, after, "--"]), "checked out")


def post_merge(ground: Ground) -> None:
    """Say which files that a merge changed are locked by others."""
    code, before = gitrun.Running(["rev-parse", "-q", "--verify", "ORIG_HEAD"]).end()
    if code == 0:
        _notice(ground, gitrun.Running(["diff", *_NAMES, before.decode().strip(), "HEAD", "--"]), "merged")


def post_rewrite(ground: Ground, text: str) -> None:
    """Say which files of rewritten commits are locked by others."""
    new = list(dict.fromkeys(words[1] for words in (line.split() for line in text.splitlines()) if len(words) >= 2))
    files: dict[str, None] = {}
    for oid in new:
        files.update(dict.fromkeys(changed_in(oid)))
    _tell(ground, list(files), "rewritten")


def changed_in(oid: str) -> list[str]:
    """Return what a commit changes; a merge, what differs from all of its parents."""
    return gitrun.names_in(gitrun.output(["diff-tree", "--no-commit-id", "-r", "-c", "--root", *_NAMES, oid, "--"]))


def _notice(ground: Ground, listing: gitrun.Running, what: str) -> None:
    _tell(ground, gitrun.names_in(listing.finish()), what)


def _tell(ground: Ground, files: list[str], what: str) -> None:
    state, now = ground.now()
    held = [met for met in guarding.met_on(ground.callers, state, files, ground.asker(state), now) if met.look.held]
    if held:
        plural, verb = ("file that was", "is") if len(held) == 1 else ("files that were", "are")
        speech.tell(
            [f"gitcoord: {len(held)} {plural} {what} {verb} locked by others:", *speech.held_lines(state, held)]
        )
