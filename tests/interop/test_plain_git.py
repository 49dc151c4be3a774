"""Plain git reads the log, carries it elsewhere, and finds nothing else of the repository touched."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from gitcoord.service import initialise, open_desk
from support.repo import LOG_REF, add_worktree, fsck, git, git_bytes, log_length, make_repo, read_json, read_log

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = ("ordinary", "bare", "worktree", "sha256", "bare-sha256", "separate")


def make(tmp_path: Path, shape: str) -> str:
    """Make a repository of a shape and return a directory to work from."""
    where = make_repo(tmp_path / "repo", bare=shape.startswith("bare"), sha256=shape.endswith("sha256"))
    if shape == "worktree":
        return add_worktree(where, tmp_path / "side")
    if shape == "separate":
        git(where, "init", "-q", "--separate-git-dir", str(tmp_path / "elsewhere.git"), ".")
    return where


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    return where


def story(where: str) -> None:
    """Two sessions work a little."""
    ann, bob = open_desk(where, session="ann"), open_desk(where, session="bob")
    assert ann.lock_files(["src/app.py", "src/db.py"], reason="Rework the pool\nand its tests")["granted"]
    assert bob.lock_files(["docs/"])["granted"]
    assert ann.store_data("plan", "next", {"step": 1})["ok"]
    assert ann.unlock_files(["src/app.py"])["ok"]
    assert bob.lock_files(["src/app.py"])["granted"]
    assert bob.break_lock(["src/db.py"], "ann is at lunch")["ok"]
    assert ann.store_data("plan", "next", {"step": 2})["ok"]


def test_git_log_of_a_path_is_that_files_history(repo: str) -> None:
    story(repo)
    history = [entry.subject for entry in read_log(repo, "refs/coord", "locks/src/app.py")]
    assert history == ["lock: src/app.py, src/db.py (ann)", "unlock: src/app.py (ann)", "lock: src/app.py (bob)"]
    db = [entry.subject for entry in read_log(repo, "refs/coord", "locks/src/db.py")]
    assert db == ["lock: src/app.py, src/db.py (ann)", "break: src/db.py of ann, by bob"]
    assert [entry.subject for entry in read_log(repo, "refs/coord", "locks/docs")] == ["lock: docs (bob)"]


def test_git_show_of_a_session_is_that_session(repo: str) -> None:
    story(repo)
    shown = json.loads(git(repo, "show", "refs/coord:sessions/bob.json"))
    assert (shown["session"], shown["held"]) == ("bob", 2)
    assert git(repo, "ls-tree", "--name-only", "refs/coord").split() == [
        "coord.json", "data", "locks", "policy.json", "sessions",
    ]  # fmt: skip
    assert read_json(repo, "locks/src/app.py/@bob.json")["session"] == "bob"
    assert git(repo, "rev-parse", "refs/coord") == git(repo, "rev-parse", LOG_REF)
    assert git(repo, "symbolic-ref", "refs/coord") == LOG_REF


def test_git_log_p_reads_well(repo: str) -> None:
    story(repo)
    text = git(repo, "log", "-p", "--reverse", "refs/coord")
    assert '+ "reason": "Rework the pool\\nand its tests"' in text
    assert "        Rework the pool\n        and its tests\n" in text, "the reason, indented, in the message"
    # What one store changes is the value, who is here, and the commit's own header.
    store = git(repo, "show", "--format=", "--name-only", "refs/coord").split("\n")
    assert sorted(path.split("/")[0] for path in store) == ["coord.json", "data", "sessions"]
    changed = git(repo, "show", "--format=", "refs/coord", "--", "data").split("\n")
    lines = [line for line in changed if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    assert '-  "step": 1' in lines
    assert '+  "step": 2' in lines
    assert len(lines) <= 10, "one field a line: only what changed is in the diff"
    assert all(len(line) <= 300 for line in text.split("\n"))


def test_every_commit_says_what_it_is(repo: str) -> None:
    story(repo)
    log = read_log(repo)
    assert [int(entry.trailers["Coord-Rev"][0]) for entry in log] == list(range(1, len(log) + 1))
    assert len({entry.ids[0] for entry in log}) == len(log)
    assert all(len(entry.subject) <= 100 for entry in log)
    verbs = {entry.subject.split(":")[0] for entry in log}
    assert verbs == {"init", "sign-on", "lock", "unlock", "break", "store"}
    assert all(len(entry.parents) == (number > 0) for number, entry in enumerate(log))


def test_the_reflog_tells_of_every_move(repo: str) -> None:
    story(repo)
    lines = git(repo, "reflog", "show", "--format=%H %gs", LOG_REF).split("\n")
    assert lines[0].startswith(git(repo, "rev-parse", LOG_REF))
    assert all(" coord: " in line for line in lines)
    assert git(repo, "rev-parse", f"{LOG_REF}@{{1}}") == git(repo, "rev-parse", f"{LOG_REF}~1")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_repository_works(tmp_path: Path, shape: str) -> None:
    where = make(tmp_path, shape)
    made = initialise(where)
    assert made["created"]
    story(where)
    assert fsck(where) == []
    assert [entry.subject for entry in read_log(where, "refs/coord", "locks/docs")] == ["lock: docs (bob)"]
    assert len(git(where, "rev-parse", LOG_REF)) == (64 if shape.endswith("sha256") else 40)


def test_linked_worktrees_share_one_log(tmp_path: Path) -> None:
    main = make_repo(tmp_path / "repo")
    side = add_worktree(main, tmp_path / "side")
    assert initialise(side)["created"]
    assert not initialise(main)["created"]
    assert open_desk(side, session="ann").lock_files(["src/app.py"])["granted"]
    refused = open_desk(main, session="bob").lock_files([os.path.join(side, "src", "app.py")])
    assert refused["conflicts"][0]["session"] == "ann"
    assert git(side, "rev-parse", "refs/coord") == git(main, "rev-parse", "refs/coord")


def listing(top: str) -> dict[str, str]:
    """Return a fingerprint of everything below a directory: kind, rights, content."""
    found: dict[str, str] = {}
    for where, directories, names in os.walk(top):
        for name in [*directories, *names]:
            path = os.path.join(where, name)
            mode = f"{os.lstat(path).st_mode:o}"
            if os.path.islink(path):
                mode += " -> " + os.readlink(path)
            elif name in names:
                with open(path, "rb") as file:
                    mode += " " + hashlib.sha256(file.read()).hexdigest()
            found[os.path.relpath(path, top)] = mode
    return found


@pytest.mark.parametrize("shape", ["ordinary", "bare", "sha256"])
def test_init_touches_nothing_else_and_is_idempotent(tmp_path: Path, shape: str) -> None:
    where = make(tmp_path, shape)
    if shape == "ordinary":
        git(where, "remote", "add", "origin", "https://example.invalid/a/b.git")
        git(where, "stash", "list")
        git(where, "pack-refs", "--all")
        os.makedirs(f"{where}/.git/objects/info", exist_ok=True)
    before = listing(where)
    assert initialise(where)["created"]
    after = listing(where)
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    git_dir = "" if shape.startswith("bare") else ".git/"
    own = ("gitcoord", "refs/gitcoord", "refs/coord", "logs/refs/gitcoord", "objects/info/alternates")
    # The directories in which the reflog lies may be new too.
    parents = {f"{git_dir}logs", f"{git_dir}logs/refs"}
    strange = [path for path in changed - parents if not path.removeprefix(git_dir).startswith(own)]
    assert strange == []
    assert {path for path in before if path not in after} == set()
    assert f"{git_dir}gitcoord/README" in changed
    runtime = os.path.join(where, git_dir, "gitcoord")
    assert os.stat(runtime).st_mode & 0o777 == 0o700
    assert not initialise(where)["created"]
    again = listing(where)
    # Files of locks may be touched, nothing may be made, moved or changed.
    assert {path for path in {*after, *again} if after.get(path) != again.get(path)} == set()
    assert log_length(where) == 1
    assert fsck(where) == []


def test_init_keeps_other_alternates(tmp_path: Path) -> None:
    lender = make_repo(tmp_path / "lender")
    where = str(tmp_path / "borrower")
    git(lender, "clone", "-q", "--shared", lender, where)
    listed = f"{where}/.git/objects/info/alternates"
    with open(listed, "rb") as file:
        before = file.read()
    initialise(where)
    with open(listed, "rb") as file:
        assert file.read() == before + b"../gitcoord/objects\n"
    assert git(where, "log", "-1", "--format=%s") == "First files"
    assert fsck(where) == []


def test_a_clone_and_a_push_to_a_strict_host_carry_the_log(repo: str, tmp_path: Path) -> None:
    story(repo)
    desk = open_desk(repo, session="ann")
    for path in ("a b", "tab\there", 'quo"te', "@x", "%41", ".gitmodules", "sub/.gitattributes", "new\nline"):
        assert desk.lock_files([path])["granted"]
    tip = git(repo, "rev-parse", LOG_REF)
    mirror = str(tmp_path / "mirror.git")
    git(repo, "clone", "-q", "--mirror", "--no-local", repo, mirror)
    assert git(mirror, "rev-parse", LOG_REF) == tip
    assert fsck(mirror) == []
    host = make_repo(tmp_path / "host.git", bare=True)
    git(host, "config", "receive.fsckObjects", "true")
    git(host, "config", "transfer.fsckObjects", "true")
    git(repo, "push", "-q", host, f"{LOG_REF}:{LOG_REF}")
    assert git(host, "rev-parse", LOG_REF) == tip
    assert fsck(host) == []
    taker = make_repo(tmp_path / "taker")
    git(taker, "config", "fetch.fsckObjects", "true")
    git(taker, "fetch", "-q", host, f"{LOG_REF}:{LOG_REF}")
    assert git(taker, "rev-parse", LOG_REF) == tip
    assert read_log(taker)[-1].subject == read_log(repo)[-1].subject


def test_the_users_own_git_works_as_before(repo: str) -> None:
    story(repo)
    with open(f"{repo}/src/app.py", "a", encoding="utf-8") as file:
        file.write("# more\n")
    git(repo, "commit", "-q", "-am", "More")
    git(repo, "checkout", "-q", "-b", "topic")
    assert git(repo, "status", "--porcelain") == ""
    assert "gitcoord" not in git(repo, "branch", "-a")
    assert "coord" not in git(repo, "log", "--format=%s", "--branches", "--tags")
    git(repo, "gc", "-q")
    assert fsck(repo) == []
    assert git_bytes(repo, "for-each-ref", "--format=%(refname)", "refs/gitcoord", "refs/coord").split() == [
        b"refs/coord", b"refs/gitcoord/main",
    ]  # fmt: skip
