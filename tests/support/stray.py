"""What other programs do to the log's ref, by the name that gitcoord has for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gitcoord.service import initialise, open_desk
from support.repo import LOG_REF, git, make_repo

Damage = Callable[[str], object]


def ref_file(repo: str) -> str:
    return f"{repo}/.git/{LOG_REF}"


def emptied(repo: str) -> None:
    with open(ref_file(repo), "wb"):
        pass


def garbage(repo: str) -> None:
    with open(ref_file(repo), "wb") as file:
        file.write(b"\0" * 41)


def edited(repo: str, steps: int = 3) -> None:
    """An older value, without a line in the reflog."""
    older = git(repo, "rev-parse", f"{LOG_REF}~{steps}")
    with open(ref_file(repo), "w", encoding="ascii") as file:
        file.write(older + "\n")


def packed(repo: str) -> None:
    """What git packed before the last change comes to light again."""
    older = git(repo, "rev-parse", f"{LOG_REF}~1")
    tip = git(repo, "rev-parse", LOG_REF)
    git(repo, "pack-refs", "--all")
    packed = Path(f"{repo}/.git/packed-refs")
    packed.write_text(packed.read_text().replace(f"{tip} {LOG_REF}", f"{older} {LOG_REF}"))


def packed_and_deleted(repo: str) -> None:
    git(repo, "pack-refs", "--all")
    git(repo, "update-ref", "-d", LOG_REF)


def packed_and_emptied(repo: str) -> None:
    git(repo, "pack-refs", "--all")
    emptied(repo)


def packed_elsewhere(repo: str) -> None:
    git(repo, "update-ref", LOG_REF, "HEAD")
    git(repo, "pack-refs", "--all")


def unknown(repo: str) -> None:
    with open(ref_file(repo), "w", encoding="ascii") as file:
        file.write("12" * 20 + "\n")


def other_log(repo: str) -> None:
    other = f"{repo}-other"
    if not os.path.exists(other):
        initialise(make_repo(other))
        for number in range(4):
            assert open_desk(other, session="O").lock_files([f"x{number}"])["granted"]
    git(repo, "fetch", "-q", other, f"+{LOG_REF}:{LOG_REF}")


def forked(repo: str) -> None:
    """Another commit in the place of the newest one."""
    body = git(repo, "log", "-1", "--format=%B", LOG_REF)
    made = git(
        repo,
        "-c",
        "user.name=Eve",
        "commit-tree",
        f"{LOG_REF}^{{tree}}",
        "-p",
        f"{LOG_REF}~1",
        "-F",
        "-",
        stdin=body.encode(),
    )
    git(repo, "update-ref", "-m", "mine", LOG_REF, made)


DAMAGES: dict[str, tuple[str, Damage]] = {
    "rewound": ("rewound", lambda repo: git(repo, "update-ref", LOG_REF, f"{LOG_REF}~2")),
    "rewound with a message": ("rewound", lambda repo: git(repo, "update-ref", "-m", "x", LOG_REF, f"{LOG_REF}~2")),
    "edited": ("rewound", edited),
    "edited by one step": ("rewound", lambda repo: edited(repo, 1)),
    "an older packed value": ("rewound", packed),
    "packed and deleted": ("deleted", packed_and_deleted),
    "packed and emptied": ("unreadable", packed_and_emptied),
    "packed elsewhere": ("foreign", packed_elsewhere),
    "forked": ("rewound", forked),
    "emptied": ("unreadable", emptied),
    "garbage": ("unreadable", garbage),
    "deleted": ("deleted", lambda repo: git(repo, "update-ref", "-d", LOG_REF)),
    "a branch's commit": ("foreign", lambda repo: git(repo, "update-ref", LOG_REF, "HEAD")),
    "a branch's commit by the alias": ("foreign", lambda repo: git(repo, "update-ref", "refs/coord", "HEAD")),
    "a file": ("foreign", lambda repo: git(repo, "update-ref", LOG_REF, "HEAD:README.md")),
    "a tree": ("foreign", lambda repo: git(repo, "update-ref", LOG_REF, "HEAD^{tree}")),
    "nothing that is here": ("foreign", unknown),
    "another log": ("unrelated", other_log),
}
