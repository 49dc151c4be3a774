"""Commits under provisional locks: they name the grant and no token, and are judged by what became of the grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitcoord.hooks import trailers
from support.guarded import ME, OTHER, guard, run_git, write
from support.program import run
from support.repo import git, make_repo

if TYPE_CHECKING:
    from pathlib import Path

PATH = "src/app.py"


@pytest.fixture
def clones(tmp_path: Path) -> tuple[str, str]:
    """Return two guarded clones that share code and log through a bare repository with a door."""
    bare = make_repo(tmp_path / "server.git", bare=True)
    alice = make_repo(tmp_path / "alice")
    git(alice, "remote", "add", "origin", bare)
    git(alice, "push", "-q", "origin", "main")
    bob = str(tmp_path / "bob")
    git(str(tmp_path), "clone", "-q", bare, bob)
    for clone, words in ((alice, ["init", "--remote", "origin"]), (bob, ["init"])):
        assert run(clone, *words).code == 0
        guard(clone)
    assert run(bare, "hooks", "install", "--server").code == 0
    return alice, bob


def locked_apart(where: str, *, then: str | None = None) -> tuple[str, dict[str, object]]:
    """Lock a file without the remote and commit a change of it; return the commit and the lock's answer."""
    done = run(where, "lock", PATH, "--offline", "--session", ME, "--json")
    assert done.json["state"] == "provisional"
    write(where, PATH, then or "mine\n")
    assert run_git(where, "commit", "-q", "-a", "-m", "Change").code == 0
    return git(where, "rev-parse", "HEAD"), done.json


def test_a_commit_names_the_grant_and_no_token_that_may_change(clones: tuple[str, str]) -> None:
    _, bob = clones
    oid, got = locked_apart(bob)
    said = git(bob, "log", "-1", "--format=%B", oid)
    assert f"Coord-Token: provisional {PATH}\nCoord-Id: {got['grant']}" in said
    assert trailers.parse(said).tokens == [trailers.Token(None, PATH, str(got["grant"]))]


def test_the_way_from_the_commit_to_the_log_and_back_stays_when_the_lock_is_confirmed(clones: tuple[str, str]) -> None:
    alice, bob = clones
    assert run(alice, "lock", "elsewhere.py", "--session", OTHER).code == 0
    oid, got = locked_apart(bob)
    before = run(bob, "log", "--commit", oid, "--json").json
    assert run(bob, "sync").code == 0
    now = run(bob, "locks", PATH, "--json").json["locks"][0]
    assert now["state"] == "confirmed"
    found = run(bob, "log", "--commit", oid, "--json").json
    assert [token["token"] for token in found["tokens"]] == [None]
    assert [entry["id"] for entry in found["entries"]] == [got["grant"]] == [entry["id"] for entry in before["entries"]]
    assert found["entries"][0]["revision"] == now["token"] != before["entries"][0]["revision"]
    assert f"token    provisional {PATH}" in run(bob, "log", "--commit", oid).out
    back = run(bob, "log", "--commit", found["entries"][0]["commit"], "--json").json
    assert [one["commit"] for one in back["code"]] == [oid]
    merged = run(bob, "log", "--commit", found["entries"][0]["merge"], "--json").json
    assert [one["commit"] for one in merged["code"]] == [oid]


def test_what_was_confirmed_is_pushed(clones: tuple[str, str]) -> None:
    alice, bob = clones
    assert run(alice, "lock", "elsewhere.py", "--session", OTHER).code == 0
    locked_apart(bob)
    ran = run_git(bob, "push", "-q", "origin", "main")
    assert ran.code == 0, ran
    assert run(bob, "locks", PATH, "--json").json["locks"][0]["state"] == "confirmed"


@pytest.mark.parametrize("where", ["the clone", "the door", "a pipeline"])
def test_what_was_refused_after_all_is_not_pushed(clones: tuple[str, str], where: str) -> None:
    alice, bob = clones
    locked_apart(bob)
    assert run(alice, "lock", PATH, "--session", OTHER).code == 0
    if where != "the clone":
        run(bob, "sync")
        assert run(alice, "unlock", PATH, "--session", OTHER).code == 0
        assert run(alice, "sync").code == 0
        run(bob, "sync")  # it is free again: only the refusal tells
    if where == "a pipeline":
        done = run(bob, "ci", "--base", "origin/main", "--head", "HEAD", "--json")
        assert (done.code, done.json["error"]["code"]) == (1, "stale_token")
        text = done.json["error"]["message"]
    else:
        ran = run_git(bob, "push", *(["--no-verify"] if where == "the door" else []), "origin", "main")
        assert ran.code != 0
        text = ran.err
    assert f"{PATH} was changed by {ME} under a provisional lock, which was refused after all: " in text


def test_a_later_lock_that_came_by_a_merge_makes_a_token_stale(clones: tuple[str, str]) -> None:
    alice, bob = clones
    assert run(alice, "lock", PATH, "--session", OTHER).code == 0
    write(alice, PATH, "theirs\n")
    assert run_git(alice, "commit", "-q", "-a", "-m", "Change", session=OTHER).code == 0
    assert run(alice, "unlock", PATH, "--session", OTHER).code == 0
    assert run(bob, "sync").code == 0
    locked_apart(bob)
    assert run(bob, "unlock", PATH, "--session", ME).code == 0
    assert run(alice, "lock", "elsewhere.py", "--session", OTHER).code == 0  # so that the two have to be merged
    assert run(bob, "sync").code == 0
    ran = run_git(alice, "push", "origin", "main", session=OTHER)
    assert ran.code != 0
    assert f"and {ME} was granted {PATH} later" in ran.err
