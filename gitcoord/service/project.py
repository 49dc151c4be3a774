"""What a repository calls itself: the project's name, from the remote's URL or from the directory."""

from __future__ import annotations

import os

from gitcoord.store.disk import read_whole
from gitcoord.store.repository import Repository, parse_config


def repository_config(repository: Repository) -> dict[str, str]:
    """Return the repository's own git configuration, without the user's and without what it includes."""
    path = os.path.join(repository.common_dir, "config")
    return parse_config(read_whole(path).decode(errors="surrogateescape"))


def project_of(repository: Repository) -> str:
    """Return the project's name: `owner/name` from `origin`'s URL (or the only remote's), else the directory's name."""
    config = repository_config(repository)
    urls = {key[len("remote.") : -len(".url")]: url for key, url in config.items() if is_remote_url(key)}
    url = urls.get("origin") or (next(iter(urls.values())) if len(urls) == 1 else "")
    name = name_from_url(url)
    if name:
        return name
    top = repository.worktree or repository.common_dir
    if repository.worktree and repository.git_dir != repository.common_dir:
        top = os.path.dirname(repository.common_dir)
    return os.path.basename(top).removesuffix(".git") or "repository"


def is_remote_url(key: str) -> bool:
    """Tell whether a key of git's configuration is the URL of a remote."""
    return key.startswith("remote.") and key.endswith(".url")


def name_from_url(url: str) -> str:
    """Return the path of a remote's URL without host, port, `.git` and slashes; of a local path, its last part.

    Knows `ssh://`, `git://`, `http(s)://`, `file://`, and git's `user@host:path` form. Subgroups stay:
    `group/sub/name`.
    """
    text = url.strip()
    scheme, separator, rest = text.partition("://")
    if separator:
        host, _, path = rest.partition("/")
        local = scheme == "file" or not host
    elif ":" in text and "/" not in text.partition(":")[0] and not _has_drive(text):
        path, local = text.partition(":")[2], False
    else:
        path, local = text, True
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..", "~")]
    if parts and parts[-1] == ".git":
        parts.pop()
    if not parts:
        return ""
    parts[-1] = parts[-1].removesuffix(".git") or parts[-1]
    return parts[-1] if local else "/".join(parts)


def _has_drive(text: str) -> bool:
    return len(text) > 2 and text[1] == ":" and text[2] in "/\\"
