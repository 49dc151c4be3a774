"""git's strictest fsck finds nothing wrong in a tree of the nastiest names."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from gitcoord.names import decode_part, decode_text, encode_part, encode_text
from gitcoord.paths import escape
from support.repo import GitFailed, git, git_bytes, make_repo

if TYPE_CHECKING:
    from pathlib import Path

STEMS = [".git", ".gitmodules", ".gitattributes", ".gitignore", ".mailmap"]
SHORT = ["git~1", "gitmod~1", "gi7eba~1", "gitatt~1", "gi7d29~1", "gitign~1", "gi250a~1", "mailma~1", "maba30~1"]
SHORTER = ["gi7eb~12", "gi~10000", "g~100000", "~1000000", "GIT~1", "GITMOD~4", "Gi7EbA~9"]
TAILS = ["", " ", ".", ". .", ":", "::$INDEX_ALLOCATION", "\\x", "*", "?", "/", "\n", "~", "%"]
HEADS = ["", "\\", "x\\", "\u200c", "\ufeff", "@", "%", "*\\", "*"]
ODD = ["", ".", "..", "...", "@", "@a.json", "%", "%41", "%%", "a/b", "a\\b", "\x01", "\x7f", "*", "?", "**", "\udcff"]
MORE = ["\udcff\n", "é", "e\u0301", " ", "-", "con", "aux.c", "a" * 255, "\n" * 80, "*\\", "?/", '"', "refs", "HEAD"]


def nasty() -> list[str]:
    found = [head + stem + tail for head, stem, tail in itertools.product(HEADS, STEMS, TAILS)]
    found += [head + short + tail for head, short, tail in itertools.product(HEADS[:3], SHORT + SHORTER, TAILS[:6])]
    found += [stem.upper() for stem in STEMS]
    found += [".g\u200cit", ".\u206agit", ".gi\u202et", ".g\ufeffitmodules", ".gIt\u200f"]
    return [*dict.fromkeys([*found, *ODD, *MORE])]


def tree_of(repo: str, names: set[bytes]) -> str:
    """Write a tree in which every name is a file, and a directory of its own file, as git's own plumbing does it."""
    blob = git(repo, "hash-object", "-w", "--stdin", stdin=b"{}\n").encode()
    inner = git(repo, "mktree", "-z", stdin=b"100644 blob %s\tx\0" % blob).encode()
    files = git(repo, "mktree", "-z", stdin=b"".join(b"100644 blob %s\t%s\0" % (blob, name) for name in names))
    directories = git(repo, "mktree", "-z", stdin=b"".join(b"040000 tree %s\t%s\0" % (inner, name) for name in names))
    both = f"040000 tree {directories}\tlocks\x00040000 tree {files}\tdata\x00"
    return git(repo, "mktree", "-z", stdin=both.encode())


def published(repo: str, names: set[bytes]) -> None:
    commit = git(repo, "commit-tree", "-m", "nasty", tree_of(repo, names))
    git(repo, "update-ref", "refs/gitcoord/main", commit)


@pytest.mark.parametrize("sha256", [False, True])
def test_fsck_finds_nothing_in_a_tree_of_nasty_names(tmp_path: Path, *, sha256: bool) -> None:
    repo = make_repo(tmp_path / "repo", sha256=sha256)
    literal = {encode_part(escape(text)): text for text in nasty()}
    plain = {encode_text(text): text for text in nasty()}
    assert len(literal) == len(plain) == len(nasty()) > 500
    published(repo, {*literal, *plain})
    assert "refs/gitcoord/main" in git(repo, "for-each-ref")
    said = git_bytes(repo, "fsck", "--strict", "--no-dangling", "--no-progress")
    assert said == b""
    for path in ("locks", "data"):
        names = git_bytes(repo, "ls-tree", "-z", "--name-only", f"refs/gitcoord/main:{path}").split(b"\0")[:-1]
        assert {decode_part(name) for name in names if name in literal} == {escape(text) for text in literal.values()}
        assert {decode_text(name) for name in names if name in plain} == set(plain.values())


@pytest.mark.parametrize("name", [b".git", b".GIT ", b"git~1", b".g\xe2\x80\x8cit", b"..", b"."])
def test_fsck_would_have_found_the_bare_name(tmp_path: Path, name: bytes) -> None:
    repo = make_repo(tmp_path / "repo")
    published(repo, {name})
    with pytest.raises(GitFailed):
        git_bytes(repo, "fsck", "--strict", "--no-dangling", "--no-progress")
