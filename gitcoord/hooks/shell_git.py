"""What a git command in a shell writes: which of its forms put files of the worktree aside, and which skip hooks."""

from __future__ import annotations

import os

from gitcoord.hooks import gitrun
from gitcoord.hooks.shell import Effect
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_VALUED = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path")
_NAMES = ("--name-only", "-z", "--no-renames", "--no-ext-diff")


def git_effects(words: list[str], here: str) -> list[Effect]:
    """Return what a git command line writes.

    Args:
        words: after `git`; a word that cannot be known is empty.
        here: the directory in which it runs.
    """
    rest = list(words)
    unhooked = False
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        value = rest.pop(0) if option in _VALUED and rest else ""
        if option == "-C":
            if not value:
                return []  # nobody knows where
            here = os.path.normpath(os.path.join(here, os.path.expanduser(value)))
        unhooked = unhooked or (option == "-c" and value.lower().startswith("core.hookspath="))
    if not rest:
        return []
    verb, *arguments = rest
    if verb in ("checkout", "restore", "switch", "reset", "stash"):
        return [Effect(verb, tuple(arguments), here)]
    if verb in ("rm", "mv"):
        paths = [word for word in arguments if word and not word.startswith("-")]
        return [] if "--cached" in arguments else [Effect("path", (path,), here) for path in paths]
    if verb == "commit" and (unhooked or _skips_hooks(arguments)):
        return [Effect("commit", tuple(arguments), here)]
    return []


def _skips_hooks(arguments: list[str]) -> bool:
    """Tell whether a commit is made without its hooks: `--no-verify`, or `-n` among short options."""
    for word in arguments:
        if word == "--":
            return False
        if len(word) > 4 and "--no-verify".startswith(word):
            return True
        if word.startswith("-") and not word.startswith("--"):
            for letter in word[1:]:
                if letter == "n":
                    return True
                if letter in "mFcCtSu":  # the rest of the word is its value
                    break
    return False


def files_of(effect: Effect, env: Mapping[str, str]) -> list[str]:
    """Return the absolute paths that git would write, by asking git; nothing where git does not know.

    Args:
        effect: one that is git's.
        env: an environment without a repository.
    """
    code, top = _ask(effect.base, ["rev-parse", "--show-toplevel"], env)
    root = top.decode("utf-8", "surrogateescape").removesuffix("\n")
    if code or not root:
        return []
    listing = b"".join(_ask(effect.base, words, env)[1] for words in _questions(effect))
    return list(dict.fromkeys(os.path.join(root, name) for name in gitrun.names_in(listing)))


def _ask(base: str, words: list[str], env: Mapping[str, str]) -> tuple[int, bytes]:
    return gitrun.Running(["-C", base, *words], env).end()


def _questions(effect: Effect) -> list[list[str]]:
    """Return the git commands that together list what is written, from the root on."""
    words = [word for word in effect.words if word]
    changed = ["diff", *_NAMES, "HEAD", "--"]
    if effect.kind == "commit":
        staged = [["diff", "--cached", *_NAMES]]
        everything = any(word == "--all" or (word[:1] == "-" and word[1:2] != "-" and "a" in word) for word in words)
        return [*staged, ["diff", *_NAMES]] if everything else staged
    if effect.kind == "stash":
        if words[:1] in (["pop"], ["apply"]):
            return [["stash", "show", "--name-only", "-z", *words[1:2]]]
        if words and words[0] not in ("push", "save") and not words[0].startswith("-"):
            return []
        return [changed]
    if effect.kind == "reset":
        if not {"--hard", "--keep", "--merge"} & set(words):
            return []
        named = [word for word in words if not word.startswith("-")]
        return [changed, *(["diff", *_NAMES, "HEAD", name, "--"] for name in named[:1])]
    if effect.kind == "switch":
        return _switched(words)
    return _restored(effect.kind, words)


def _switched(words: list[str]) -> list[list[str]]:
    named = [word for word in words if not word.startswith("-")]
    if not named or {"-c", "-C", "--create", "--orphan"} & set(words):
        named = named[1:]
    return [["diff", *_NAMES, "HEAD", named[-1], "--"]] if named else []


def _restored(kind: str, words: list[str]) -> list[list[str]]:
    """Return the questions for `checkout` and `restore`: the named paths, as far as they differ."""
    if kind == "restore" and {"--staged", "-S"} & set(words) and not {"--worktree", "-W"} & set(words):
        return []
    source, paths = _source_and_paths(kind, words)
    if paths:
        return [["diff", *_NAMES, *([source] if source else []), "--", *paths]]
    if kind == "checkout":
        if {"-b", "-B", "--orphan"} & set(words):
            return []
        named = [word for word in words if not word.startswith("-")]
        # One word is a branch or a path, and git takes a branch first: what either would write.
        return [["diff", *_NAMES, "HEAD", named[0], "--"], ["diff", *_NAMES, "--", *named]] if named else []
    return []


def _source_and_paths(kind: str, words: list[str]) -> tuple[str | None, list[str]]:
    source = next((word.partition("=")[2] for word in words if word.startswith("--source=")), None)
    for flag in ("-s", "--source"):
        if flag in words[:-1]:
            source = words[words.index(flag) + 1]
    if "--" in words:
        at = words.index("--")
        before = [word for word in words[:at] if not word.startswith("-")]
        return source or (before[0] if kind == "checkout" and before else None), words[at + 1 :]
    named = [word for word in words if not word.startswith("-") and word != source]
    if kind == "restore":
        return source, named
    return (named[0], named[1:]) if len(named) > 1 else (None, [])
