"""Whose a commit is: on a signed log the door believes a signature, and not what trailers claim."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pytest

from gitcoord.hooks import git_events, install
from gitcoord.hooks.trailers import lines_for
from gitcoord.service import initialise, open_desk
from gitcoord.service.access import open_access
from gitcoord.store.repository import find_repository
from support.forge import make_key
from support.guarded import run_git, write
from support.program import run
from support.repo import LOG_REF, git, make_repo

if TYPE_CHECKING:
    from pathlib import Path

PATH = "src/app.py"
WHO = ("ada", "bob")


class Site(NamedTuple):
    """A server with a signed log, a clone, and where keys lie."""

    server: str
    clone: str
    keys: Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    keys = {name: str(tmp_path / name) for name in (*WHO, "stranger")}
    for path in keys.values():
        make_key(path)
        os.chmod(path, 0o600)
    server = make_repo(tmp_path / "server.git", bare=True)
    clone = make_repo(tmp_path / "clone")
    git(clone, "remote", "add", "origin", server)
    git(clone, "push", "-q", "origin", "main")
    git(clone, "config", "gitcoord.fsync", "false")
    initialise(clone, sign="ssh", key=keys["ada"], local=True)
    root = open_desk(clone, session="root-1", key=keys["ada"], process=False)
    assert root.add_key("bob", f"{keys['bob']}.pub", roles=["member"])["changed"]
    for name, path in (("ada", PATH), ("bob", "bob.py")):
        got = open_desk(clone, session=f"{name}-1", key=keys[name], process=False).lock_files([path])
        assert got["granted"], got
    git(clone, "push", "-q", "origin", f"{LOG_REF}:{LOG_REF}")
    install.install(find_repository(server, {}), git_events.SERVER, [])
    return Site(server, clone, tmp_path)


def commit(site: Site, path: str, claims: str, signed_by: str | None) -> str:
    """Commit a change of a file as a session, by what its trailers say, signed by somebody or nobody."""
    write(site.clone, path, f"{claims} {signed_by}\n")
    git(site.clone, "add", "-A")
    state = open_access(site.clone).state()
    record = state.session(claims)
    lines = lines_for(claims, None, [] if record is None else state.locks_of(record))
    sign = [] if signed_by is None else ["-c", "gpg.format=ssh", "-c", f"user.signingKey={site.keys / signed_by}"]
    how = [] if signed_by is None else ["-S"]
    git(site.clone, *sign, "commit", "-q", *how, "-m", "Change\n\n" + "\n".join(lines) + "\n")
    return git(site.clone, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("path", "claims", "signed_by", "passes"),
    [
        (PATH, "ada-1", "ada", True),
        (PATH, "ada-1", "bob", False),
        (PATH, "ada-1", "stranger", False),
        (PATH, "ada-1", None, False),
        (PATH, "bob-1", "bob", False),
        ("bob.py", "bob-1", "bob", True),
        ("bob.py", "bob-1", None, False),
        ("free.py", "ada-1", None, True),
        ("free.py", "nobody-1", "stranger", True),
    ],
)
def test_a_pusher_passes_as_whose_key_signed(
    site: Site, path: str, claims: str, signed_by: str | None, *, passes: bool
) -> None:
    oid = commit(site, path, claims, signed_by)
    done = run(site.clone, "ci", "--base", "origin/main", "--head", "HEAD", "--json")
    assert (done.code == 0) is passes, done
    ran = run_git(site.clone, "push", "origin", "main", session=None)
    assert (ran.code == 0) is passes, ran
    assert (git(site.server, "rev-parse", "main") == oid) is passes
    owner = "Ada Test" if claims == "ada-1" else "bob"
    if not passes and claims == f"{'ada' if path == PATH else 'bob'}-1":
        assert f"the commit says to be {claims}'s, and no key of {owner} signed it" in ran.err
        assert "git commit --amend --no-edit -S" in ran.err
        assert done.json["error"]["code"] == "session_unproven"


def test_an_older_commit_in_anothers_name_is_found_below_a_good_one(site: Site) -> None:
    commit(site, PATH, "ada-1", "bob")
    commit(site, PATH, "ada-1", "ada")
    assert run_git(site.clone, "push", "origin", "main", session=None).code != 0


def test_a_revoked_key_proves_nothing(site: Site) -> None:
    root = open_desk(site.clone, session="root-1", key=str(site.keys / "ada"), process=False)
    key = next(key for key in root.list_keys_of_principals()["keys"] if key["principal"] == "bob")
    assert "named by its fingerprint" in root.revoke_key("bob", reason="lost")["error"]["message"]
    assert root.revoke_key(key["fingerprint"], reason="lost")["changed"]
    git(site.clone, "push", "-q", "origin", f"{LOG_REF}:{LOG_REF}")
    commit(site, "bob.py", "bob-1", "bob")
    assert run_git(site.clone, "push", "origin", "main", session=None).code != 0


def test_a_server_may_take_peoples_word(site: Site) -> None:
    git(site.server, "config", "gitcoord.hookProof", "claimed")
    commit(site, PATH, "ada-1", None)
    assert run_git(site.clone, "push", "origin", "main", session=None).code == 0


def test_a_token_of_anothers_grant_is_judged_as_that_ones(site: Site) -> None:
    ada = open_desk(site.clone, session="ada-1", key=str(site.keys / "ada"), process=False)
    bob = open_desk(site.clone, session="bob-1", key=str(site.keys / "bob"), process=False)
    oid = commit(site, PATH, "ada-1", "ada")
    assert ada.unlock_files(all=True)["ok"]
    assert bob.lock_files([PATH])["granted"]
    assert bob.unlock_files(all=True)["ok"]
    git(site.clone, "push", "-q", "origin", f"{LOG_REF}:{LOG_REF}")
    said = git(site.clone, "log", "-1", "--format=%B", oid).replace("Coord-Session: ada-1", "Coord-Session: bob-1")
    for number in ("1", "999999"):  # whatever it says its token is
        words = [
            f"Coord-Token: {number} {PATH}" if line.startswith("Coord-Token") else line for line in said.split("\n")
        ]
        git(site.clone, "commit", "-q", "--amend", "-m", "\n".join(words))
        ran = run_git(site.clone, "push", "origin", "main", session=None)
        assert ran.code != 0
        assert f"{PATH} was changed by ada-1 under token {number}, and bob-1 was granted {PATH} later" in ran.err
