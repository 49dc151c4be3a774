"""What was built and never came to be: objects that nothing reaches.

A push that failed and a chain that another swap voided leave objects in packs. Nobody will ask for them, but who has
just built them may be about to name them; so they are kept for as long as git keeps such objects, two weeks, and go
when the history is packed after that.

What is reached is for git to say, by its own rules: from any ref, reflog or index of the repository. Beside those count
the commits that gitcoord's own notes name: what the remote was last seen to have, a push whose end is not known, and
what was built last.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord.errors import StorageFault
from gitcoord.runtime.group import PendingFile
from gitcoord.runtime.shared import read_contact, read_flight

GRACE_S = 14 * 86_400
_CHAINS = ("pending", "candidate-pending")

Git = Callable[..., bytes]
"""Runs git with some words, and `given` on its standard input.

Raises:
    StorageFault: it did not end well.
"""


def noted_tips(runtime: str) -> list[bytes]:
    """Return the commits that the notes in a runtime directory name, whether they are there or not."""
    found = [read_contact(runtime).tip]
    flight = read_flight(runtime)
    if flight is not None:
        found += [flight.head, flight.expected]
    for name in _CHAINS:
        chain = PendingFile(runtime, name).read_last()
        if chain is not None:
            found += [chain.base, *chain.commits]
    return list(dict.fromkeys(tip for tip in found if tip is not None))


def unreached(git: Git, runtime: str, wanted: set[bytes]) -> set[bytes]:
    """Return those of some objects that nothing reaches; none where git cannot tell for sure.

    Takes as long as git takes to walk all of the repository's history.

    Args:
        git: runs git in the repository.
        runtime: the runtime directory.
        wanted: names of objects in hexadecimal.
    """
    if not wanted:
        return set()
    try:
        listed = git("fsck", "--unreachable", "--connectivity-only", "--no-dangling", "--no-progress")
        found = {line.split(b" ")[2] for line in listed.splitlines() if line.startswith(b"unreachable ")} & wanted
        if found:
            found -= reached_from(git, noted_tips(runtime))
    except StorageFault:
        return set()
    return found


def reached_from(git: Git, tips: list[bytes]) -> set[bytes]:
    """Return the names of all objects that some commits reach, those of them that are there.

    Raises:
        StorageFault: something that they reach is missing.
    """
    given = b"".join(b"%s\n" % tip.hex().encode() for tip in tips)
    listed = git("rev-list", "--objects", "--ignore-missing", "--stdin", given=given) if tips else b""
    return {line.split(b" ", 1)[0] for line in listed.splitlines()}
