"""Which programs of the user's are asked in place of the usual ones, as git has them in its configuration."""

from __future__ import annotations

import os

from gitcoord.config import read_git_config


def gpg_program(git_dir: str) -> str | None:
    """Return which GnuPG git asks in a repository (`gpg.openpgp.program`, `gpg.program`); None where it is `gpg`.

    Any scope of git's configuration counts, as it does for git: a repository that git trusts says it too, and one that
    belongs to somebody else is refused before anything of it is read.

    Args:
        git_dir: the git directory; of a linked worktree, its own one.

    Raises:
        CoordError: git cannot read the configuration, or does not answer.
    """
    found = read_git_config(git_dir).gpg_program
    return found if found is None else os.path.expanduser(found)
