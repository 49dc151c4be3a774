"""Bringing the log's objects together in gitcoord's own directory, wherever git has put them.

A plain `git fetch` writes into the repository's own store, and git never writes a second time what any of its stores
has already. What lies outside gitcoord's directory can be taken away: by `gc`, or with the repository it was borrowed
from. So whoever takes over commits that gitcoord did not write itself gathers them first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gitcoord.errors import StorageFault
from gitcoord.store.disk import read_whole, sync_directory
from gitcoord.values import NamedTuple

if TYPE_CHECKING:
    from gitcoord.runtime.reflog import Left
    from gitcoord.store.repository import Repository

_TIMEOUT_S = 600
# As git does it after a fetch: fewer objects become files of their own, more become a pack.
_LOOSE_UP_TO = 100


class Gathered(NamedTuple):
    """What gathering did.

    Attributes:
        copied: how many objects were brought here.
        missing: the names of those that are in no store at all, in hexadecimal; `?` stands for more, behind them.
    """

    copied: int
    missing: tuple[str, ...]


def gather(
    repo: Repository,
    tips: Sequence[bytes],
    known: Sequence[bytes],
    env: Mapping[str, str],
    meanwhile: Callable[[], None] | None = None,
) -> Gathered:
    """Copy into gitcoord's directory what some commits reach and what is only elsewhere; takes nothing away.

    Copies nothing where something is missing: so a commit that is here has its history here. A shallow clone's boundary
    is not respected: a log is whole or it is not there. Reaches no remote.

    Args:
        repo: the repository.
        tips: commits.
        known: commits whose history is there already, and need not be looked at.
        env: the environment that git gets.
        meanwhile: done while git looks whether all is here; what it raises is raised when git has looked.

    Raises:
        StorageFault: git or the file system refused; what was copied stays.
    """
    wanted = "".join([*(f"{tip.hex()}\n" for tip in tips), *(f"^{tip.hex()}\n" for tip in known)]).encode()
    # Mostly all is here: git says so at once where it is shown nothing else.
    words = ("rev-list", "--objects", "--quiet", "--stdin")
    if _git(repo, env, *words, given=wanted, stores=(), meanwhile=meanwhile)[0] == 0:
        return Gathered(0, ())
    status, listing, _ = _git(
        repo,
        env,
        "rev-list",
        "--objects",
        "--missing=print",
        "--stdin",
        given=wanted,
        stores=(f"{repo.common_dir}/objects",),
    )
    lines = [line.decode("ascii", "replace").split(" ")[0] for line in listing.split(b"\n") if line]
    missing = [line[1:] for line in lines if line.startswith("?")]
    if status != 0:
        # A commit or a tree is missing: what lies behind it cannot be listed.
        missing.append("?")
    if missing:
        return Gathered(0, tuple(missing))
    wanting = lacking(f"{repo.runtime}/objects", lines, repo.object_format)
    copy(repo, wanting, env)
    return Gathered(len(wanting), ())


def gather_moved(repo: Repository, tip: bytes, left: Left, env: Mapping[str, str]) -> None:
    """Gather what a tip of the log reaches, where another program set the ref to it.

    A plain `git fetch` does. That the tip itself is here says nothing then: whoever reads an object that is only
    elsewhere puts that one here, and not what lies behind it.

    Args:
        repo: the repository.
        tip: what the ref names.
        left: where gitcoord left it.
        env: the environment that git gets.

    Raises:
        StorageFault: as `gather` has it.
    """
    if left.moved:
        known = [left.tip] if left.tip not in (None, tip) and has_here(repo, left.tip) else []
        gather(repo, [tip], known, env)


def is_ancestor(repo: Repository, older: bytes, newer: bytes, env: Mapping[str, str]) -> bool:
    """Tell whether git finds a commit behind another one, or that they are the same; False where it cannot be read.

    Args:
        repo: the repository.
        older: a commit.
        newer: another one.
        env: the environment that git gets.

    Raises:
        StorageFault: git did not run.
    """
    words = ("-c", "core.commitGraph=false", "merge-base", "--is-ancestor", older.hex(), newer.hex())
    return _git(repo, env, *words, given=b"", stores=(f"{repo.common_dir}/objects",))[0] == 0


def has_here(repo: Repository, oid: bytes) -> bool:
    """Tell whether gitcoord's own directory has an object."""
    return not lacking(f"{repo.runtime}/objects", [oid.hex()], repo.object_format)


def lacking(directory: str, names: Iterable[str], object_format: str) -> list[str]:
    """Return those of some objects that an object directory lacks; its alternates are not looked at.

    Args:
        directory: loose objects and packs lie in it.
        names: in hexadecimal.
        object_format: `sha1` or `sha256`.
    """
    missing = [name for name in names if not os.path.exists(f"{directory}/{name[:2]}/{name[2:]}")]
    if not missing:
        return []
    try:
        packs = [name for name in os.listdir(f"{directory}/pack") if name.endswith(".idx")]
    except FileNotFoundError:
        return missing
    for pack in packs:
        missing = _not_in_pack(f"{directory}/pack/{pack}", missing, object_format)
    return missing


def _not_in_pack(path: str, names: list[str], object_format: str) -> list[str]:
    from gitcoord.store.entries import Listing

    try:
        listing = Listing(read_whole(path), 32 if object_format == "sha256" else 20, 0)
    except FileNotFoundError:  # packed anew just now, into another
        return names
    except ValueError:  # it is damaged: what it names is not known to be here
        return names
    return [name for name in names if listing.find(bytes.fromhex(name)) is None]


def copy(repo: Repository, names: Sequence[str], env: Mapping[str, str], *, beside: str | None = None) -> None:
    """Copy objects into gitcoord's directory, from wherever the repository finds them.

    Args:
        repo: the repository.
        names: in hexadecimal; those that are there already do no harm.
        env: the environment that git gets.
        beside: one more object directory to look in.

    Raises:
        StorageFault: git or the file system refused, or one is nowhere; what was copied stays.
    """
    if not names:
        return
    given = "".join(f"{name}\n" for name in names).encode()
    own = f"{repo.runtime}/objects"
    os.makedirs(f"{own}/pack", mode=0o700, exist_ok=True)
    stores = (f"{repo.common_dir}/objects", *((beside,) if beside else ()))
    if len(names) > _LOOSE_UP_TO:
        _must(repo, env, "pack-objects", "--quiet", f"{own}/pack/pack", given=given, stores=stores)
    else:
        pack = _must(repo, env, "pack-objects", "--quiet", "--stdout", given=given, stores=stores)
        _must(repo, env, "unpack-objects", "-q", given=pack, stores=())
    sync_directory(f"{own}/pack")


def listed(directory: str, repo: Repository, env: Mapping[str, str]) -> list[str]:
    """Return the names of all objects in an object directory, in hexadecimal.

    Raises:
        StorageFault: git could not read it.
    """
    words = ("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)")
    return _must(repo, env, *words, given=b"", stores=(), directory=directory).decode("ascii").split()


def is_whole(repo: Repository, env: Mapping[str, str]) -> bool:
    """Tell whether git finds every object that the refs, reflogs and the index name; takes long in a large history."""
    stores = (f"{repo.common_dir}/objects",)
    named = ("rev-list", "--all", "--reflog")
    # A newer git takes any commit that a ref names for promised, where promised objects may be missing.
    status, found, _ = _git(repo, env, *named, "--no-walk", "--missing=print", given=b"", stores=stores, cut=True)
    if status or any(line.startswith(b"?") for line in found.splitlines()):
        return False
    words = (*named, "--objects", "--indexed-objects", "--quiet", "--missing=allow-promisor")
    status, _, _ = _git(repo, env, *words, given=b"", stores=stores, cut=True)
    return status == 0


def _must(
    repo: Repository, env: Mapping[str, str], *words: str, given: bytes, stores: Sequence[str], directory: str = ""
) -> bytes:
    status, out, said = _git(repo, env, *words, given=given, stores=stores, directory=directory)
    if status != 0:
        text = said.decode("utf-8", "replace").strip()
        raise StorageFault(f"git {words[0]} failed: {text}", next="git fsck")
    return out


def _git(
    repo: Repository,
    env: Mapping[str, str],
    *words: str,
    given: bytes,
    stores: Sequence[str],
    directory: str = "",
    cut: bool = False,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[int, bytes, bytes]:
    """Run git with one object directory to write to, gitcoord's unless another is named, and others beside it.

    A shallow clone counts as whole unless `cut`, which leaves its boundary where it is. With `meanwhile`, what is given
    and what is said have to be little.
    """
    import subprocess

    from gitcoord.config import alternates_variable

    own = {name: value for name, value in env.items() if not name.startswith("GIT_")}
    own["GIT_OBJECT_DIRECTORY"] = directory or f"{repo.runtime}/objects"
    own["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = alternates_variable(stores)
    own.update(GIT_NO_REPLACE_OBJECTS="1", GIT_NO_LAZY_FETCH="1", LC_ALL="C")
    if not cut:
        own["GIT_SHALLOW_FILE"] = ""
    command = ["git", f"--git-dir={repo.common_dir}", "-c", "core.fsync=objects", *words]
    try:
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=own) as running:  # noqa: S603 - fixed words, paths and object names
            try:
                if meanwhile is not None and running.stdin is not None:
                    running.stdin.write(given)
                    running.stdin.close()
                    running.stdin, given = None, b""
                    meanwhile()
                out, said = running.communicate(given or None, timeout=_TIMEOUT_S)
            except BaseException:
                running.kill()
                raise
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageFault(f"git {words[0]} did not run: {error}", next="gitcoord doctor") from error
    return running.returncode, out, said
