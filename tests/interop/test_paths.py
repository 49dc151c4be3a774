"""Every path that a repository may hold can be locked, found, listed and unlocked, and git finds nothing wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.names import from_json_text, to_json_text
from gitcoord.paths import escape
from gitcoord.service import Desk, initialise, open_desk
from support.repo import fsck, git, git_bytes, make_repo, read_log, tree_paths

if TYPE_CHECKING:
    from pathlib import Path

NFC, NFD = "caf\u00e9.py", "cafe\u0301.py"
NASTY = [
    "a b", " leading", "trailing ", "two  spaces", "dot.", "dots...", "...", "tilde~1", "a~", "git~1", "GIT~2",
    'quo"te', '"', '""', "apo'strophe", "back`tick", "$HOME", "semi;colon", "pipe|", "amp&", "<angle>", "star*",
    "what?", "[brackets]", "app/[id]/page.tsx", "{a,b}", "back\\slash", "\\", "c:\\file", "new\nline", "\n",
    "tab\tbed", "bell\x07", "\x1b[31mred", "del\x7f", "carriage\rreturn", "-dash", "--", "--help", "#hash", "!bang",
    ":colon", "a:b", "x=y", "@x", "@", "@x.json", "%", "%41", "%%", "%2F", ".gitmodules", "sub/.gitmodules",
    ".gitattributes", ".gitignore", ".mailmap", ".github/workflows/ci.yml", ".gitx", "deep/.gitkeep", "con",
    "aux.c", "nul", "lock.json", "a.lock", "HEAD", "refs/heads/x", "coord.json", "locks/x", NFC,
    "\u00fcber/\u6f22\u5b57.txt", "\U0001f680.md", "\u200bzero", "rtl\u202eoverride", "zw\u200cnj", ".g\u200cit",
    "\ufeffbom", "not\udcffutf8", "\udcfe\udcff", "mixed\udc80/\udc81\u00e9", "Coord-Op: lock.acquire",
    "x\n\nCoord-Id: forged", "nbsp\u00a0", "\u2028line", "a" * 255, "\u00e9" * 127, "%" * 85,
]  # fmt: skip
LONG = "/".join(["d" * 200] * 20) + "/" + "e" * (4096 - 201 * 20)
DEEP = "/".join(["d"] * 1500)


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    return where


def spelled(path: str) -> str:
    """Return how people type a file's name: without wildcards, and quoted as git does where JSON could not hold it."""
    return to_json_text(escape(path))


def shown(lock: dict[str, Any]) -> str:
    """Return the file name that a lock view means."""
    text = from_json_text(lock["path"])
    for letter in "*?\\":
        text = text.replace("\\" + letter, letter if letter != "\\" else "\0")
    return text.replace("\0", "\\")


def check_cycle(desk: Desk, other: Desk, path: str) -> None:
    """Lock, be refused, check, find, list and unlock one path."""
    typed = spelled(path)
    granted = desk.lock_files([typed], reason=f"because of {typed[:100]!a}")
    assert granted["granted"], (path, granted)
    [lock] = granted["locks"]
    assert lock["kind"] == "file"
    assert lock["path"] == typed
    refused = other.lock_files([typed])
    assert not refused["granted"]
    assert refused["conflicts"][0]["path"] == lock["path"]
    assert not other.check([typed])["ok"]
    assert desk.check([typed])["checked"][0]["ok"]
    assert [found["path"] for found in desk.get_locked_files(typed)["locks"]] == [lock["path"]]
    assert desk.get_history(path=typed, limit=1)["entries"][0]["paths"] == [lock["path"]]


def test_every_nasty_path_is_locked_listed_and_unlocked(repo: str) -> None:
    me, other = open_desk(repo, session="me"), open_desk(repo, session="other")
    other.sign_on()
    for path in NASTY:
        check_cycle(me, other, path)
    listed = [shown(lock) for lock in me.get_locked_files()["locks"]]
    assert sorted(listed) == sorted(NASTY)
    assert fsck(repo) == []
    assert me.show_session("me")["session"]["locks"] == len(NASTY)
    for path in NASTY[::2]:
        assert me.unlock_files([spelled(path)])["released"] == [spelled(path)]
    assert sorted(shown(lock) for lock in me.get_locked_files()["locks"]) == sorted(NASTY[1::2])
    released = me.unlock_files(all=True)["released"]
    assert len(released) == len(NASTY[1::2])
    assert me.get_locked_files()["locks"] == []
    assert tree_paths(repo, under="locks") == []
    assert fsck(repo) == []


def test_no_path_forges_a_line_of_the_audit(repo: str) -> None:
    me = open_desk(repo, session="me")
    for path in NASTY:
        assert me.lock_files([spelled(path)])["granted"]
    for entry in read_log(repo)[2:]:
        assert entry.trailers["Coord-Op"] == ["lock.acquire"]
        assert len(entry.ids) == 1
        assert len(entry.trailers["Coord-Path"]) == 1
        assert (entry.subject + entry.body).replace("\n", "").replace("\u00a0", "").isprintable()


@pytest.mark.parametrize(
    ("path", "name"), [("src/app.py", "locks/src/app.py"), ("a b", "locks/a b"), ("caf\u00e9.py", "locks/caf\u00e9.py")]
)
def test_an_ordinary_path_lies_where_it_lies_in_the_repository(repo: str, path: str, name: str) -> None:
    open_desk(repo, session="me").lock_files([path])
    assert tree_paths(repo, under="locks") == [f"{name}/@me.json"]
    assert [entry.subject for entry in read_log(repo, "refs/coord", name)] == [f"lock: {path} (me)"]


@pytest.mark.parametrize("path", [LONG, DEEP], ids=["4096 bytes", "1500 deep"])
def test_long_and_deep_paths(repo: str, path: str) -> None:
    me, other = open_desk(repo, session="me"), open_desk(repo, session="other")
    assert len(LONG.encode()) == 4096
    check_cycle(me, other, path)
    assert fsck(repo) == []
    # What lies above it, and a pattern that may match it, are in its way.
    assert not other.lock_files([path.split("/", 1)[0] + "/"])["granted"]
    assert not other.lock_files(["**/" + path.rsplit("/", 1)[1]])["granted"]
    assert git_bytes(repo, "log", "-p", "-1", "refs/coord")
    assert len(tree_paths(repo, under="locks")) == 1
    assert me.unlock_files([path])["ok"]
    assert other.lock_files([path.split("/", 1)[0] + "/"])["granted"]
    assert fsck(repo) == []


def test_a_longer_path_is_refused_and_changes_nothing(repo: str) -> None:
    me = open_desk(repo, session="me")
    before = me.tip()
    answer = me.lock_files([LONG + "x"])
    assert not answer["granted"]
    assert answer["error"]["code"] == "invalid_path"
    assert me.tip() == before


@pytest.mark.parametrize(
    "path", [".git", ".git/config", "src/../.git/hooks", ".GIT/x", "sub/.git/y", "", "a\0b", "../x"]
)
def test_what_is_no_file_of_the_repository_is_refused(repo: str, path: str) -> None:
    answer = open_desk(repo, session="me").lock_files([path])
    assert not answer["granted"]
    assert answer["error"]["code"] == "invalid_path"


def test_one_file_has_one_lock_however_it_is_named(repo: str, tmp_path: Path) -> None:
    me, other = open_desk(repo, session="me"), open_desk(repo, session="other")
    os.symlink("src", f"{repo}/link")
    os.symlink(repo, tmp_path / "elsewhere")
    assert me.lock_files(["src/app.py"])["granted"]
    for text in (
        "./src//app.py",
        "src/../src/app.py",
        f"{repo}/src/app.py",
        "link/app.py",
        f"{tmp_path}/elsewhere/src/app.py",
    ):
        again = me.lock_files([text])
        assert again["granted"], (text, again)
        assert again["locks"][0]["path"] == "src/app.py"
        assert not other.lock_files([text])["granted"], text
    below = open_desk(repo, session="other", base=f"{repo}/src")
    assert not below.lock_files(["app.py"])["granted"]
    assert len(me.get_locked_files()["locks"]) == 1


def test_two_spellings_of_unicode_are_one_path(repo: str) -> None:
    me, other = open_desk(repo, session="me"), open_desk(repo, session="other")
    assert me.lock_files([NFD])["granted"]
    refused = other.lock_files([NFC])
    assert not refused["granted"]
    assert refused["conflicts"][0]["session"] == "me"
    assert me.unlock_files([NFC])["ok"]
    assert tree_paths(repo, under="locks") == []


def test_in_a_repository_that_folds_case_two_cases_are_one_path(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    git(repo, "config", "core.ignorecase", "true")
    initialise(repo)
    me, other = open_desk(repo, session="me"), open_desk(repo, session="other")
    assert me.lock_files(["Src/App.py"])["granted"]
    assert not other.lock_files(["src/app.PY"])["granted"]
    assert not other.lock_files(["SRC/"])["granted"]
    assert fsck(repo) == []


def test_nasty_scopes_and_keys_come_back_exactly(repo: str) -> None:
    me = open_desk(repo, session="me")
    names = [path for path in NASTY if not any("\udc80" <= letter <= "\udcff" for letter in path)]
    names += ["a/b", "a__b", "/", "//", "a//b", "a/", "/a", ".", "..", "a/../b", NFD]
    for name in names:
        stored = me.store_data(name, name, name)
        assert stored["ok"], (name, stored)
    assert me.list_scopes()["scopes"] == sorted(names)
    for name in names:
        assert me.list_keys(name)["keys"] == [name]
        assert me.retrieve_data(name, name)["value"] == name
    assert fsck(repo) == []
    for name in names:
        assert me.delete_scope(name)["deleted"] == 1
    assert me.list_scopes()["scopes"] == []
    assert tree_paths(repo, under="data") == []
