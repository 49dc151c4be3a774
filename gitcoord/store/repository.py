"""Finding the repository that a directory belongs to, as git finds it, without running git.

Only what gitcoord has to know is read: where the git directories and the working tree are, whether the repository is
bare, and how long its object names are. A repository of a kind that gitcoord does not understand is refused with the
reason; a wrong guess about its format could damage it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitcoord.errors import NotARepository, UnsupportedRepository
from gitcoord.store.disk import read_whole
from gitcoord.store.ownership import check_ownership
from gitcoord.values import NamedTuple

# Extensions of git's that change nothing of what gitcoord reads or writes.
_HARMLESS = frozenset(
    {
        "compatobjectformat",
        "noop",
        "noop-v1",
        "objectformat",
        "partialclone",
        "preciousobjects",
        "refstorage",
        "relativeworktrees",
        "submodulepathconfig",
        "worktreeconfig",
    }
)
_TRUE = frozenset({"true", "yes", "on", "1"})


class Repository(NamedTuple):
    """Where a repository's parts are. All paths are real paths, without a slash at the end.

    Attributes:
        git_dir: this worktree's git directory.
        common_dir: the git directory that all worktrees of the repository share.
        worktree: the top of the working tree, None in a bare repository.
        bare: whether it has no working tree, seen from here.
        object_format: `sha1` or `sha256`.
        runtime: where gitcoord keeps its own files, under the common directory.
    """

    git_dir: str
    common_dir: str
    worktree: str | None
    bare: bool
    object_format: str
    runtime: str


def find_repository(start: str, environment: Mapping[str, str]) -> Repository:
    """Return the repository around a directory.

    One that belongs to another user is refused as git refuses it (`safe.directory`), before its configuration is read;
    one that `GIT_DIR` names is not, as in git. Crosses file systems on the way up.

    Args:
        start: a path in it; need not exist.
        environment: where `GIT_DIR`, `GIT_WORK_TREE` and `GIT_COMMON_DIR` are looked for; empty to ignore them.

    Raises:
        NotARepository: there is none.
        UnsafeRepository: there is one that is somebody else's.
        UnsupportedRepository: there is one that gitcoord cannot work in.
    """
    here = os.path.realpath(start)
    while not os.path.isdir(here):
        here = os.path.dirname(here)
    given, tree, shared = (environment.get(name) for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"))
    tree = os.path.realpath(os.path.join(here, tree)) if tree else None
    shared = os.path.realpath(os.path.join(here, shared)) if shared else None
    if given:
        git_dir = _git_dir_at(os.path.join(here, given), shared)
        if git_dir is None:
            raise NotARepository(f"GIT_DIR names no git repository: {given}", next="unset GIT_DIR", start=start)
        return _describe(git_dir, here, tree, shared)
    directory = here
    while True:
        git_dir = _git_dir_at(os.path.join(directory, ".git"), shared)
        if git_dir is not None:
            check_ownership(directory, git_dir, environment)
            return _describe(git_dir, directory, tree, shared)
        if _is_git_dir(directory, shared):
            check_ownership(directory, directory, environment)
            return _describe(directory, _worktree_of(directory), tree, shared)
        above = os.path.dirname(directory)
        if above == directory:
            raise NotARepository(f"not inside a git repository: {start}", next="git init", start=start)
        directory = above


def worktree_roots(repo: Repository) -> tuple[str, ...]:
    """Return the tops of all working trees of the repository, the main one first; those that are gone are left out.

    A main working tree whose git directory lies elsewhere (`git init --separate-git-dir`) is known only from inside it.
    """
    config = _read_config(repo.common_dir)
    found: list[str] = []
    if repo.git_dir == repo.common_dir:
        if repo.worktree is not None:
            found.append(repo.worktree)
    elif not _is_true(config.get("core.bare", "false")):
        main = _configured_worktree(config, repo.common_dir, _worktree_of(repo.common_dir))
        if main is not None:
            found.append(main)
    if repo.worktree is not None:
        found.append(repo.worktree)
    linked = os.path.join(repo.common_dir, "worktrees")
    try:
        names = sorted(os.listdir(linked))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    for name in names:
        root = _linked_root(os.path.join(linked, name))
        if root is not None:
            found.append(root)
    return tuple(root for root in dict.fromkeys(found) if os.path.isdir(root))


def _describe(git_dir: str, around: str | None, given_tree: str | None, shared: str | None) -> Repository:
    worktree = around
    common_dir = _common_dir_of(git_dir, shared)
    config = _read_config(common_dir)
    object_format = _checked_format(config, common_dir)
    if git_dir == common_dir:
        # git ignores these two keys of the shared config inside a linked worktree.
        if _is_true(config.get("extensions.worktreeconfig", "false")):
            config.update(_read_config(git_dir, "config.worktree"))
        if _is_true(config.get("core.bare", "false")):
            worktree = None
        else:
            worktree = _configured_worktree(config, git_dir, worktree)
    worktree = given_tree or worktree
    return Repository(
        git_dir=git_dir,
        common_dir=common_dir,
        worktree=worktree,
        bare=worktree is None,
        object_format=object_format,
        runtime=os.path.join(common_dir, "gitcoord"),
    )


def _checked_format(config: dict[str, str], common_dir: str) -> str:
    text = config.get("core.repositoryformatversion", "0")
    version = int(text) if text.isdecimal() else -1
    if version not in (0, 1):
        raise _unsupported(common_dir, f"its format version is {text!r}")
    storage = config.get("extensions.refstorage", "files")
    if storage.lower() != "files":
        raise _unsupported(
            common_dir,
            f"its refs are stored as {storage} (extensions.refstorage)",
            "git refs migrate --ref-format=files",
        )
    object_format = config.get("extensions.objectformat", "sha1").lower()
    if version == 0:
        if object_format != "sha1":
            raise _unsupported(common_dir, "extensions.objectformat is set in a repository of format version 0")
        return object_format
    if object_format not in ("sha1", "sha256"):
        raise _unsupported(common_dir, f"its object format is {object_format}")
    for key in config:
        if key.startswith("extensions.") and key[11:] not in _HARMLESS:
            raise _unsupported(common_dir, f"it uses an extension that this version does not know ({key})")
    return object_format


def _unsupported(common_dir: str, reason: str, way_out: str = "") -> UnsupportedRepository:
    return UnsupportedRepository(
        f"gitcoord cannot work in {common_dir}: {reason}",
        next=way_out or "use a repository with git's default format, or a later gitcoord",
        reason=reason,
    )


def _git_dir_at(path: str, shared: str | None) -> str | None:
    """Return the git directory that a `.git` directory or file stands for, None where it stands for none."""
    if os.path.isfile(path):
        target = _read_text(path)
        if not target.startswith("gitdir:"):
            raise NotARepository(f"not a git file: {path}", next=f"remove or repair {path}", start=path)
        pointed = os.path.join(os.path.dirname(path), target[7:].strip())
        real = os.path.realpath(pointed)
        if not _is_git_dir(real, shared):
            raise NotARepository(
                f"{path} points to a git directory that is not there: {real}", next="git worktree repair", start=path
            )
        return real
    real = os.path.realpath(path)
    return real if _is_git_dir(real, shared) else None


def _is_git_dir(path: str, shared: str | None) -> bool:
    if not os.path.lexists(os.path.join(path, "HEAD")):
        return False
    common_dir = _common_dir_of(path, shared)
    return os.path.isdir(os.path.join(common_dir, "objects")) and os.path.isdir(os.path.join(common_dir, "refs"))


def _common_dir_of(git_dir: str, shared: str | None) -> str:
    if shared is not None:
        return shared
    try:
        named = _read_text(os.path.join(git_dir, "commondir")).rstrip("\r\n")
    except FileNotFoundError:
        return git_dir
    return os.path.realpath(os.path.join(git_dir, named))


def _worktree_of(git_dir: str) -> str | None:
    """Return the working tree of a git directory that was entered from inside."""
    if os.path.basename(git_dir) == ".git":
        return os.path.dirname(git_dir)
    return _linked_root(git_dir)


def _linked_root(git_dir: str) -> str | None:
    try:
        named = _read_text(os.path.join(git_dir, "gitdir")).rstrip("\r\n")
    except FileNotFoundError:
        return None
    return os.path.realpath(os.path.dirname(os.path.join(git_dir, named)))


def _configured_worktree(config: dict[str, str], git_dir: str, otherwise: str | None) -> str | None:
    named = config.get("core.worktree")
    return otherwise if named is None else os.path.realpath(os.path.join(git_dir, named))


def _read_text(path: str) -> str:
    return os.fsdecode(read_whole(path))


def _is_true(text: str) -> bool:
    return text.lower() in _TRUE


def _read_config(git_dir: str, name: str = "config") -> dict[str, str]:
    """Return the settings of a git directory's own file; no includes, as git does for `core` and `extensions`."""
    try:
        text = _read_text(os.path.join(git_dir, name))
    except FileNotFoundError:
        return {}
    return parse_config(text)


def parse_config(text: str) -> dict[str, str]:
    """Return `section.key` -> value of a git config file, sections and keys in lower case, subsections as they are.

    Sections and keys are in lower case, a quoted subsection stays as it is written. The last value of a key counts, a
    key without a value is `true`; lines that are no config are passed over, since git itself will complain about them.
    """
    found: dict[str, str] = {}
    section = ""
    lines = iter(text.removeprefix("\ufeff").splitlines())
    for raw in lines:
        line = raw.strip()
        if line.startswith("["):
            section, line = _section(line)
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        while equals and _continues(value):
            value = value[:-1] + next(lines, "")
        name = key.strip().lower() if equals else _without_comment(key).lower()
        found[f"{section}.{name}"] = _without_comment(value) if equals else "true"
    return found


def _section(line: str) -> tuple[str, str]:
    """Return the section that a line begins, `name` or `name.subsection`, and what follows it on the line."""
    name, quote, rest = line[1:].partition('"')
    if not quote or "]" in name:
        name, _, rest = line[1:].partition("]")
        return name.strip().lower(), rest.strip()
    inside: list[str] = []
    letters = iter(rest)
    for letter in letters:
        if letter == '"':
            break
        inside.append(next(letters, "") if letter == "\\" else letter)
    return f"{name.strip().lower()}.{''.join(inside)}", "".join(letters).partition("]")[2].strip()


def _continues(value: str) -> bool:
    return (len(value) - len(value.rstrip("\\"))) % 2 == 1


def _without_comment(value: str) -> str:
    """Return a config value without quotes, escapes, comment and the blanks around it."""
    kept: list[str] = []
    trailing = 0
    quoted = False
    letters = iter(value.lstrip())
    for letter in letters:
        blank = letter in " \t" and not quoted
        if letter == '"':
            quoted = not quoted
            continue
        if letter in "#;" and not quoted:
            break
        if letter == "\\":
            escaped = next(letters, "")
            kept.append({"n": "\n", "t": "\t", "b": "\b"}.get(escaped, escaped))
        else:
            kept.append(letter)
        trailing = trailing + 1 if blank else 0
    return "".join(kept[: len(kept) - trailing])
