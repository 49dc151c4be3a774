"""Where a remote is: what git makes of its configured URLs, and which of two URLs are one place. Pure but for paths."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from gitcoord.values import NamedTuple

_USER_INFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s'\"]*@")
_DEFAULT_PORTS = {"ssh": "22", "git+ssh": "22", "ssh+git": "22", "http": "80", "https": "443", "git": "9418"}
_SSH = frozenset({"ssh", "git+ssh", "ssh+git"})


class ConfiguredRemote(NamedTuple):
    """What git's configuration says of one remote.

    Attributes:
        url: where is fetched from, rewritten as git does (`insteadOf`).
        push_urls: where is pushed to, rewritten likewise (`pushInsteadOf` too).
        settings: all of its settings as they are written: the last part of each key, and the value.
    """

    url: str
    push_urls: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]


def remote_of(entries: Iterable[tuple[str, str]], name: str) -> ConfiguredRemote | None:
    """Return the remote of this name, None where no URL is configured for it.

    Args:
        entries: git's configuration, as `read_git_entries` gives it.
        name: the remote's name; any letters.
    """
    entries = list(entries)
    start = f"remote.{name}."
    settings = [
        (key[len(start) :], value) for key, value in entries if key.startswith(start) and "." not in key[len(start) :]
    ]
    return _described(settings, entries)


def remote_at(entries: Iterable[tuple[str, str]], url: str) -> ConfiguredRemote:
    """Return what git makes of a URL or a path that is given instead of a remote's name."""
    found = _described([("url", url)], list(entries))
    return ConfiguredRemote(url, (url,), (("url", url),)) if found is None else found


def _described(settings: Sequence[tuple[str, str]], entries: Sequence[tuple[str, str]]) -> ConfiguredRemote | None:
    urls = _values(settings, "url")
    if not urls:
        return None
    instead = _rules(entries, "insteadof")
    pushing = _values(settings, "pushurl")
    if pushing:
        push_urls = [_rewritten(url, instead) for url in pushing]
    else:
        rules = _rules(entries, "pushinsteadof")
        push_urls = [changed for url in urls if (changed := _rewritten(url, rules)) != url]
        push_urls = push_urls or [_rewritten(url, instead) for url in urls]
    return ConfiguredRemote(_rewritten(urls[0], instead), tuple(push_urls), tuple(settings))


def _values(settings: Sequence[tuple[str, str]], wanted: str) -> list[str]:
    found: list[str] = []
    for key, value in settings:
        if key == wanted:
            found = [*found, value] if value else []  # an empty one takes back those before it
    return found


def _rules(entries: Sequence[tuple[str, str]], kind: str) -> list[tuple[str, str]]:
    """Return pairs of what a URL starts with and what stands there instead."""
    return [
        (value, key[len("url.") : -len(kind) - 1])
        for key, value in entries
        if key.startswith("url.") and key.endswith(f".{kind}")
    ]


def _rewritten(url: str, rules: Sequence[tuple[str, str]]) -> str:
    fitting = [rule for rule in rules if url.startswith(rule[0])]
    if not fitting:
        return url
    old, new = max(fitting, key=lambda rule: len(rule[0]))
    return new + url[len(old) :]


def without_credentials(text: str) -> str:
    """Return a URL, or a text with URLs in it, without the user names and passwords that URLs carry.

    The user of an `ssh://` URL stays, for it is no secret: only its password goes.
    """
    return _USER_INFO.sub(_shown_user, text)


def _shown_user(found: re.Match[str]) -> str:
    scheme = found[1]
    user = found[0][len(scheme) : -1].partition(":")[0]
    return f"{scheme}{user}@" if scheme[:-3] in _SSH and user else scheme


def is_address(remote: str) -> bool:
    """Tell whether a text is a URL or a path rather than a remote's name."""
    return any(letter in remote for letter in ":/\\") or remote in (".", "..")


def local_path(url: str) -> str | None:
    """Return the path that a URL stands for on this disk, None where it leads over a network."""
    if url.lower().startswith("file://"):
        from urllib.parse import unquote

        rest = url[len("file://") :]
        return unquote(rest[rest.find("/") :]) if "/" in rest else None
    before_slash = url.partition("/")[0]
    return None if ":" in before_slash and not _has_drive(url) else url


def local_clone(url: str, base: str = "") -> str | None:
    """Return the git directory of the repository on this disk that a URL names, None where it names none.

    Looks where git looks: the path itself, and with `.git` behind it, and inside.

    Args:
        url: a path, a `file://` URL, or anything else, which is none.
        base: what a relative path starts from.
    """
    path = local_path(url)
    if path is None:
        return None
    path = os.path.join(base, os.path.expanduser(path))
    for ending in ("/.git", "", ".git/.git", ".git"):
        found = os.path.realpath(f"{path.rstrip('/') or '/'}{ending}")
        if os.path.isfile(found):
            found = _pointed_to(found)
        if all(os.path.exists(os.path.join(found, part)) for part in ("HEAD", "objects", "refs")):
            return found
    return None


def _pointed_to(file: str) -> str:
    """Return the git directory that a `.git` file names; of a linked worktree, the one that all share."""
    try:
        with open(file, "rb") as opened:
            words = opened.read(8192)
    except OSError:
        return file
    if not words.startswith(b"gitdir:"):
        return file
    named = os.path.realpath(os.path.join(os.path.dirname(file), os.fsdecode(words[7:].strip())))
    above, _, _ = named.rpartition("/worktrees/")
    return above if above and os.path.isfile(f"{named}/commondir") else named


def same_place(one: str, other: str) -> bool:
    """Tell whether two URLs name one repository, as far as their spelling says it.

    Protocol, user, default ports, `.git` and slashes at the end make no difference; host names are compared without
    case; paths of this disk are compared as real paths. Two names of one host are not seen to be one.
    """
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, str]:
    path = local_path(url.strip())
    if path is not None:
        found = local_clone(url.strip())
        return "", found or os.path.realpath(os.path.expanduser(path)).removesuffix("/.git").removesuffix(".git")
    scheme, separator, rest = url.strip().partition("://")
    if separator:
        authority, _, path = rest.partition("/")
        host, colon, port = authority.rpartition("@")[2].lower().rpartition(":")
        if not colon or not port.isdecimal():
            host, port = authority.rpartition("@")[2].lower(), ""
        if port and port != _DEFAULT_PORTS.get(scheme.lower()):
            host = f"{host}:{port}"
    else:
        authority, _, path = url.strip().partition(":")
        host = authority.rpartition("@")[2].lower()
    path = path.partition("?")[0].strip("/").removesuffix(".git").rstrip("/")
    return host, path


def _has_drive(text: str) -> bool:
    return len(text) > 2 and text[1] == ":" and text[2] in "/\\"
