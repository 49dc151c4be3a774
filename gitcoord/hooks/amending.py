"""Commits that replace `HEAD`: known before they are made as far as git lets that be known, and looked at afterwards.

git tells a hook of an amendment only where the message is `HEAD`'s own, and not where a new one is given (`-m`, `-F`,
a reword). But an amendment keeps `HEAD`'s author and the author's date, and git puts both into the environment of a
commit's hooks. A commit that replaces nothing has them too where it is made in the same second as `HEAD`, or where
somebody sets the date: then it names the locks on what `HEAD` changes besides its own. They are held as it says, and
whoever judges a commit reads a lock against what the commit changes only.

An amendment that changes the author or the date (`--reset-author`, `--date`, `-C`) is not seen before it is made; what
it lost is told after it.
"""

from __future__ import annotations

import os

from gitcoord.hooks import gitrun, speech
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitcoord.hooks.ground import Ground
    from gitcoord.hooks.trailers import Provenance


def may_amend(env: Mapping[str, str]) -> bool:
    """Tell whether the commit that is being made has `HEAD`'s author and date, as one has that replaces it.

    Args:
        env: the hook's environment.
    """
    date = env.get("GIT_AUTHOR_DATE", "").removeprefix("@")
    if not date:
        return False
    code, found = gitrun.Running(["cat-file", "commit", "HEAD"]).end()
    author = f"author {env.get('GIT_AUTHOR_NAME', '')} <{env.get('GIT_AUTHOR_EMAIL', '')}> {date}"
    return code == 0 and os.fsencode(author) in found.partition(b"\n\n")[0].split(b"\n")


def tell_lost(ground: Ground, text: str) -> None:
    """Say which locks an amended commit no longer names, of those it was made under, and what to do.

    Args:
        ground: who amended it.
        text: what git says to `post-rewrite`: the old and the new name.
    """
    from gitcoord.hooks.notices import changed_in
    from gitcoord.hooks.overtaken import covered
    from gitcoord.hooks.staged import held_on

    old, new = text.split()[:2]
    before, after = _provenance(old), _provenance(new)
    state, _ = ground.now()
    if not before.tokens or before.session != ground.asker(state):
        return
    files, fold_case = changed_in(new), state.fold_case
    still = {file for token in after.tokens for file, _ in covered(token, files, fold_case=fold_case)}
    lost: dict[str, None] = {}
    unlocked: dict[str, None] = {}
    for token in before.tokens:
        gone = [file for file, _ in covered(token, files, fold_case=fold_case) if file not in still]
        if gone:
            lost[token.path] = None
        if any(not held_on(ground, [file]) for file in gone):
            unlocked[token.path] = None
    if lost:
        first = f"look at what others did there, gitcoord lock {' '.join(unlocked)}, then " if unlocked else ""
        speech.tell(
            [
                f"gitcoord: the amended commit no longer names the locks that it was made under: {', '.join(lost)}",
                f"next: {first}git commit --amend --no-edit",
            ]
        )


def _provenance(oid: str) -> Provenance:
    from gitcoord.hooks import trailers

    message = gitrun.output(["cat-file", "commit", oid]).partition(b"\n\n")[2]
    return trailers.parse(message.decode("utf-8", "replace"))
