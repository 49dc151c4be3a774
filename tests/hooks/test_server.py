"""The server's door, end to end: a bare repository that one hosts oneself, two clones, and a pipeline."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from gitcoord.hooks import canary, git_events, install, server
from gitcoord.hooks.settings import Settings
from gitcoord.hooks.trailers import lines_for
from gitcoord.service import doctor, initialise
from gitcoord.service.access import open_access
from gitcoord.store.repository import find_repository
from support.guarded import ME, OLD_GIT, OTHER, desk, gits, guard, lock, run_git, tree_of, write
from support.program import run
from support.repo import LOG_REF, git, make_repo
from support.verdicts import corpus

if TYPE_CHECKING:
    from pathlib import Path


class Site(NamedTuple):
    """A server and two clones of it; the log is shared by plain git, and each clone's hooks are not in the way."""

    server: str
    alice: str
    bob: str

    def send(self, clone: str) -> None:
        """Push a clone's log to the server."""
        git(clone, "push", "-q", "origin", f"{LOG_REF}:{LOG_REF}")

    def fetch(self, clone: str) -> None:
        """Fetch the server's log into a clone."""
        git(clone, "fetch", "-q", "origin", f"+{LOG_REF}:{LOG_REF}")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    bare = make_repo(tmp_path / "server.git", bare=True)
    alice = make_repo(tmp_path / "alice")
    git(alice, "remote", "add", "origin", bare)
    git(alice, "push", "-q", "origin", "main")
    git(alice, "config", "gitcoord.fsync", "false")
    initialise(alice, local=True)  # the log moves by plain git here, so that each step is the test's own
    bob = str(tmp_path / "bob")
    git(str(tmp_path), "clone", "-q", bare, bob)
    made = Site(bare, alice, bob)
    made.send(alice)
    made.fetch(bob)
    initialise(bob, local=True)
    done = install.install(find_repository(bare, {}), git_events.SERVER, [])
    assert [one.how for one in done] == ["config" if "config" in gits() else "file"]
    return made


def commit(where: str, name: str, session: str | None) -> str:
    """Commit a change with the trailers that a session's hooks would write."""
    write(where, name, f"{session}\n")
    git(where, "add", "-A")
    message = "Change\n"
    if session is not None:
        state = open_access(where).state()
        record = state.session(session)
        held = [] if record is None else list(state.locks_of(record))
        message += "\n" + "\n".join(lines_for(session, None, held)) + "\n"
    git(where, "commit", "-q", "-m", message)
    return git(where, "rev-parse", "HEAD")


def heads(site: Site) -> tuple[str, str]:
    return git(site.server, "rev-parse", "main"), git(site.server, "rev-parse", LOG_REF)


def test_a_stale_holders_push_is_refused_end_to_end(site: Site) -> None:
    lock(site.alice, "src/app.py", session="alice")
    commit(site.alice, "src/app.py", "alice")
    desk(site.alice, "alice").unlock_files(all=True)
    site.send(site.alice)
    site.fetch(site.bob)
    later = lock(site.bob, "src/app.py", session="bob")
    commit(site.bob, "src/app.py", "bob")
    site.send(site.bob)
    before = heads(site)
    ran = run_git(site.alice, "push", "origin", "main", session=None)
    assert ran.code != 0
    assert "remote: gitcoord: push refused:" in ran.err
    assert "src/app.py is held by bob (exclusive)" in ran.err
    assert heads(site) == before
    assert run_git(site.bob, "push", "origin", "main", session=None).code == 0
    desk(site.bob, "bob").unlock_files(all=True)
    site.send(site.bob)
    git(site.alice, "fetch", "-q", "origin")
    git(site.alice, "rebase", "-q", "-X", "theirs", "origin/main")
    ran = run_git(site.alice, "push", "origin", "main", session=None)
    assert ran.code != 0
    assert "bob was granted src/app.py later, at 20" in ran.err
    assert f"(token {later['token']})" in ran.err
    site.fetch(site.alice)
    lock(site.alice, "src/app.py", session="alice")
    site.send(site.alice)
    git(site.alice, "reset", "-q", "--soft", "origin/main")
    commit(site.alice, "src/app.py", "alice")
    assert run_git(site.alice, "push", "origin", "main", session=None).code == 0


def test_a_replace_ref_hides_nothing_from_the_door(site: Site) -> None:
    lock(site.alice, "src/app.py", session="alice")
    site.send(site.alice)
    site.fetch(site.bob)
    bad = commit(site.bob, "src/app.py", None)
    harmless = git(site.bob, "commit-tree", "-p", "origin/main", "-m", "Nothing", "origin/main^{tree}")
    git(site.bob, "push", "-q", "origin", f"{harmless}:refs/replace/{bad}")
    ran = run_git(site.bob, "push", "origin", "main", session=None)
    assert ran.code != 0
    assert "src/app.py is held by alice" in ran.err
    git(site.bob, "replace", bad, harmless)
    done = run(site.bob, "ci", "--base", "origin/main", "--head", "HEAD")
    assert done.code == 1, done


@pytest.mark.parametrize("ref", ["refs/tags/one", "refs/other/one"])
def test_a_commit_that_came_under_another_ref_before_is_judged_on_its_way_to_a_branch(site: Site, ref: str) -> None:
    lock(site.alice, "src/app.py", session="alice")
    site.send(site.alice)
    commit(site.bob, "src/app.py", None)
    git(site.bob, "push", "-q", "origin", f"HEAD:{ref}")
    ran = run_git(site.bob, "push", "origin", "main", session=None)
    assert ran.code != 0
    assert "src/app.py is held by alice" in ran.err


def test_a_commit_that_names_no_session_passes_nobodys_lock(site: Site) -> None:
    lock(site.alice, "src/", session="alice")
    site.send(site.alice)
    commit(site.bob, "src/db.py", None)
    assert run_git(site.bob, "push", "origin", "main", session=None).code != 0
    commit(site.bob, "README.md", None)
    assert run_git(site.bob, "push", "origin", "HEAD:refs/heads/other", session=None).code != 0
    git(site.bob, "reset", "-q", "--hard", "origin/main")
    commit(site.bob, "README.md", None)
    assert run_git(site.bob, "push", "origin", "main", session=None).code == 0


def test_the_holders_own_commit_without_trailers_is_told_why_and_how_to_get_them(site: Site) -> None:
    lock(site.alice, "src/", session=ME)
    site.send(site.alice)
    for name in ("src/app.py", "src/db.py"):
        commit(site.alice, name, None)
    ran = run_git(site.alice, "push", "origin", "main", session=None)
    assert ran.code != 0
    pipeline = run(site.alice, "ci", "--base", "origin/main", "--head", "HEAD", "--json")
    for text in (ran.err, pipeline.json["error"]["message"] + pipeline.json["error"]["next"]):
        assert "the commit names no session (Coord-Session), so it cannot be told to be the holder's" in text
        assert "gitcoord hooks install, then git commit --amend --no-edit" in text
    assert all(fault["unnamed"] for fault in pipeline.json["faults"])
    guard(site.alice)
    ran = run_git(site.alice, "rebase", "--exec", "git commit --amend --no-edit", "origin/main")
    assert ran.code == 0, ran
    assert run_git(site.alice, "push", "origin", "main").code == 0


def test_a_push_is_judged_by_the_log_as_it_was_before_it(site: Site) -> None:
    lock(site.alice, "src/app.py", session="alice")
    site.send(site.alice)
    site.fetch(site.bob)
    desk(site.bob, "bob").break_lock(["src/app.py"], "in the same push")
    commit(site.bob, "src/app.py", "bob")
    before = heads(site)
    assert run_git(site.bob, "push", "--atomic", "origin", "main", f"{LOG_REF}:{LOG_REF}", session=None).code != 0
    assert heads(site) == before
    site.send(site.bob)
    assert run_git(site.bob, "push", "origin", "main", session=None).code == 0


def test_a_commit_is_its_own_sessions(site: Site) -> None:
    lock(site.alice, "src/app.py", session="alice")
    commit(site.alice, "src/app.py", "alice")
    site.send(site.alice)
    assert run_git(site.alice, "push", "origin", "main", session=None).code == 0


@pytest.mark.parametrize("what", ["delete", "rewind", "replace", "code"])
def test_the_log_on_the_server_only_grows(site: Site, what: str) -> None:
    lock(site.alice, "a", session="alice")
    lock(site.alice, "b", session="alice")
    site.send(site.alice)
    before = heads(site)
    git(site.alice, "branch", "old", f"{LOG_REF}~1")
    tree = git(site.alice, "rev-parse", f"{LOG_REF}^{{tree}}")
    merge = git(site.alice, "commit-tree", tree, "-p", f"{LOG_REF}~1", "-p", LOG_REF, "-m", "reordered")
    git(site.alice, "branch", "reordered", merge)
    spec = {
        "delete": f":{LOG_REF}",
        "rewind": f"+old:{LOG_REF}",
        "replace": f"+reordered:{LOG_REF}",
        "code": f"+main:{LOG_REF}",
    }[what]
    ran = run_git(site.alice, "push", "origin", spec, session=None)
    assert ran.code != 0
    assert "the log only grows" in ran.err
    assert heads(site) == before


def forged(where: str, change: str) -> str:
    """Make a commit on the log that is not what it says, with plain git."""
    tip = git(where, "rev-parse", LOG_REF)
    message = git(where, "log", "-1", "--format=%B", LOG_REF)
    when = "2026-01-01T00:00:00Z"
    author = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    if change == "empty":
        return git(where, "commit-tree", f"{tip}^{{tree}}", "-p", tip, "-m", "slipped in", env=author)
    if change == "message":
        lock(where, "good.py", session="alice")
        good = git(where, "rev-parse", LOG_REF)
        body = git(where, "cat-file", "commit", good).replace("lock: good.py", "lock: evil.py")
        git(where, "update-ref", LOG_REF, tip)
        return git(where, "hash-object", "-t", "commit", "-w", "--stdin", stdin=(body + "\n").encode())
    lock(where, "good.py", session="alice")
    good = git(where, "rev-parse", LOG_REF)
    git(where, "update-ref", LOG_REF, tip)
    path = "locks/good.py/@alice.json"
    record = json.loads(git(where, "cat-file", "blob", f"{good}:{path}"))
    record["session" if change == "holder" else "reason"] = "mallory"
    text = json.dumps(record, sort_keys=True, indent=1) + "\n"
    blob = git(where, "hash-object", "-w", "--stdin", stdin=text.encode())
    index = {"GIT_INDEX_FILE": f"{where}/.git/forged"}
    git(where, "read-tree", good, env=index)
    git(where, "update-index", "--cacheinfo", f"100644,{blob},{path}", env=index)
    tree = git(where, "write-tree", env=index)
    body = git(where, "cat-file", "commit", good)
    body = f"tree {tree}\n" + body.partition("\n")[2]
    del message
    return git(where, "hash-object", "-t", "commit", "-w", "--stdin", stdin=(body + "\n").encode())


@pytest.mark.parametrize("change", ["empty", "message", "reason"])
def test_a_forged_commit_of_the_log_does_not_arrive(site: Site, change: str) -> None:
    lock(site.alice, "a", session="alice")
    site.send(site.alice)
    before = heads(site)
    bad = forged(site.alice, change)
    git(site.alice, "branch", "forged", bad)
    ran = run_git(site.alice, "push", "origin", f"forged:{LOG_REF}", session=None)
    assert ran.code != 0
    assert "log commit" in ran.err or "revision" in ran.err
    assert heads(site) == before
    assert run_git(site.alice, "push", "origin", f"{LOG_REF}:{LOG_REF}", session=None).code == 0


def test_an_honest_log_of_every_kind_of_operation_arrives(site: Site) -> None:
    alice = desk(site.alice, "alice")
    assert alice.lock_files(["src/", "b*", "deploy"], reason="why", ttl_s=600)["granted"]
    assert alice.store_data("plan", "key", {"a": [1, "é"]})["ok"]
    assert alice.unlock_files(["b*"])["ok"]
    assert desk(site.alice, "bob").break_lock(["src/"], "stuck")["ok"]
    assert alice.delete_data("plan", "key")["deleted"]
    assert alice.sign_off("alice")["ok"]
    git(site.alice, "repack", "-q", "-a", "-d")
    site.send(site.alice)
    assert git(site.server, "rev-parse", LOG_REF) == git(site.alice, "rev-parse", LOG_REF)


def test_a_server_without_a_log_lets_everything_in_and_takes_the_first_log(tmp_path: Path) -> None:
    bare = make_repo(tmp_path / "server.git", bare=True)
    assert run(bare, "hooks", "install", "--server").code == 0
    clone = make_repo(tmp_path / "clone")
    git(clone, "remote", "add", "origin", bare)
    assert run_git(clone, "push", "origin", "main", session=None).code == 0
    initialise(clone)
    assert run_git(clone, "push", "origin", LOG_REF, session=None).code == 0


def test_a_door_that_fails_lets_nothing_in_unless_told_so(site: Site) -> None:
    git(site.server, "config", "gitcoord.hookMode", "nonsense")
    commit(site.bob, "README.md", None)
    ran = run_git(site.bob, "push", "origin", "main", session=None)
    assert ran.code != 0
    assert "could not be judged" in ran.err
    git(site.server, "config", "gitcoord.hookErrors", "open")
    assert run_git(site.bob, "push", "origin", "main", session=None).code == 0


def test_the_door_runs_what_stood_there_before(site: Site) -> None:
    install.uninstall(find_repository(site.server, {}))
    path = f"{site.server}/hooks/pre-receive"
    with open(path, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\ncat > "$PWD/told"\necho "says the project" >&2\n')
    os.chmod(path, 0o755)
    install.install(find_repository(site.server, {}), git_events.SERVER, [], OLD_GIT)
    lock(site.alice, "src/app.py", session="alice")
    site.send(site.alice)
    commit(site.bob, "src/app.py", None)
    ran = run_git(site.bob, "push", "origin", "main", session=None)
    assert ran.code != 0
    assert ran.err.index("says the project") < ran.err.index("push refused")
    with open(f"{site.server}/told", encoding="utf-8") as file:
        assert file.read().rstrip("\n").endswith("refs/heads/main")


def test_a_pipeline_says_the_same(site: Site) -> None:
    lock(site.alice, "src/app.py", session="alice", reason="mine, a: b%")
    oid = commit(site.alice, "src/app.py", None)
    done = run(site.alice, "ci", "--base", "origin/main", "--head", "HEAD", "--json")
    assert done.code == 1
    assert done.json["faults"][0]["kind"] == "lock_held"
    assert done.json["faults"][0]["commit"] == oid
    env = {"GITHUB_ACTIONS": "true"}
    done = run(site.alice, "ci", "--base", "origin/main", "--head", "HEAD", env=env)
    assert done.out.startswith("::error file=src/app.py,title=gitcoord lock_held::")
    assert "b%25" in done.out
    warned = run(site.alice, "ci", "--base", "origin/main", "--head", "HEAD", "--warn")
    assert (warned.code, warned.err) == (0, "1 commit, 1 thing against the log\n")
    good = run(site.alice, "ci", "--base", "origin/main", "--head", "origin/main")
    assert (good.code, good.err) == (0, "0 commits, nothing against the log\n")
    unknown = run(site.alice, "ci", "--base", "nonsense", "--head", "HEAD")
    assert unknown.code == 2
    assert unknown.err.startswith("gitcoord: 'nonsense' names no commit here")
    plain = make_repo(f"{site.alice}/../plain")
    assert run(plain, "ci", "--base", "HEAD", "--head", "HEAD").code == 5


def test_a_pipeline_finds_stale_tokens(site: Site) -> None:
    lock(site.alice, "src/app.py", session="alice")
    commit(site.alice, "src/app.py", "alice")
    desk(site.alice, "alice").unlock_files(all=True)
    lock(site.alice, "src/app.py", session="bob")
    desk(site.alice, "bob").unlock_files(all=True)
    done = run(site.alice, "ci", "--base", "origin/main", "--head", "HEAD", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "stale_token")


def test_the_door_judges_the_corpus_as_the_corpus_says(tmp_path: Path) -> None:
    from gitcoord.hooks.pushed import Pushed
    from gitcoord.hooks.trailers import Provenance

    for fold_case in (False, True):
        where = make_repo(tmp_path / f"r{fold_case:d}")
        git(where, "config", "core.ignorecase", str(fold_case).lower())
        git(where, "config", "gitcoord.fsync", "false")
        initialise(where)
        os.rename(f"{where}/src", f"{where}/elsewhere")
        holder = desk(where)
        for pair in corpus():
            if pair.file is None or pair.fold_case is not fold_case:
                continue
            assert holder.lock_files([pair.lock])["granted"]
            one = Pushed("0" * 40, [pair.file], Provenance(ME, None, []))
            faults = server.judge(open_access(where), Settings(), [one])
            assert bool(faults) is pair.held, pair
            holder.unlock_files(all=True)
    assert OTHER != ME


def test_clones_that_share_pass_the_door_and_so_do_their_merges(tmp_path: Path) -> None:
    bare = make_repo(tmp_path / "server.git", bare=True)
    clones: list[str] = []
    for name in ("alice", "bob"):
        clone = make_repo(tmp_path / name)
        git(clone, "remote", "add", "origin", bare)
        clones.append(clone)
    alice, bob = clones
    assert run(bare, "hooks", "install", "--server").code == 0
    assert run(alice, "init", "--remote", "origin").code == 0
    assert run(bob, "init").code == 0
    assert run(alice, "lock", "a.py", "--session", "alice").code == 0
    assert run(bob, "lock", "b.py", "--session", "bob").code == 0
    for clone, who in ((alice, "alice"), (bob, "bob")):
        assert run(clone, "lock", f"{who}.py", "--offline", "--session", who).code == 0
    for clone in (alice, bob, alice):
        assert run(clone, "sync").code == 0, clone
    merges = git(bare, "rev-list", "--count", "--merges", LOG_REF)
    assert int(merges) >= 1
    assert git(bare, "rev-parse", LOG_REF) == git(alice, "rev-parse", LOG_REF)
    assert run(bob, "lock", "a.py", "--session", "bob").code == 1


def test_a_pipeline_with_a_cut_off_history_says_so_and_judges_nothing(site: Site, tmp_path: Path) -> None:
    commit(site.alice, "README.md", None)
    git(site.alice, "push", "-q", "origin", "main")
    lock(site.alice, "src/app.py", session="alice")
    site.send(site.alice)
    shallow = str(tmp_path / "shallow")
    git(str(tmp_path), "clone", "-q", "--depth=1", f"file://{site.server}", shallow)
    site.fetch(shallow)
    git(shallow, "branch", "base")
    commit(shallow, "new.py", None)
    assert run(shallow, "ci", "--base", "base", "--head", "HEAD").code == 0
    git(shallow, "commit", "-q", "--allow-empty", "-m", "Elsewhere")
    other = git(shallow, "commit-tree", "HEAD^{tree}", "-m", "Unrelated")
    done = run(shallow, "ci", "--base", other, "--head", "base")
    assert done.code == 2
    assert "the history is cut off" in done.err
    assert "fetch-depth: 0" in done.err


def test_the_doctor_asks_of_a_door_only_what_a_door_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    bare = make_repo(tmp_path / "server.git", bare=True)
    assert run(bare, "doctor").code == 5, "a repository that is no door has nothing yet"
    assert run(bare, "hooks", "install", "--server").code == 0
    was = tree_of(bare)
    for words in (["doctor"], ["doctor", "--fix"]):
        assert (run(bare, *words).code, tree_of(bare)) == (0, was)
    clone = make_repo(tmp_path / "clone")
    git(clone, "remote", "add", "origin", bare)
    initialise(clone, remote="origin")
    lock(clone, "src/app.py", session="alice")
    was = tree_of(bare)
    for words in (["doctor"], ["doctor", "--fix"]):
        done = run(bare, *words)
        assert (done.code, done.err.strip(), tree_of(bare)) == (0, "all is in order", was)
    hook = install.status(find_repository(bare, {}))[0]
    assert hook.event == "pre-receive"
    script = canary.script_of(find_repository(bare, {}), hook)
    with open(script, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexit 0\n")
    os.chmod(script, 0o755)
    done = run(bare, "doctor", "--json")
    assert done.code == 5
    assert [one["code"] for one in done.json["findings"]] == ["guard_broken"]


def test_the_doctor_tells_of_a_log_at_the_door_that_cannot_be_read(site: Site) -> None:
    tree = git(site.server, "rev-parse", f"{LOG_REF}^{{tree}}")
    os.unlink(os.path.join(site.server, "objects", tree[:2], tree[2:]))
    answer = doctor(site.server, door=True)
    assert not answer["ok"]
    assert tree in json.dumps(answer)
    assert "unreadable" in {one["code"] for one in answer["findings"]}


def test_what_git_alone_received_is_no_damage_and_the_doctor_copies_nothing_unasked(site: Site) -> None:
    initialise(site.server, local=True)
    lock(site.alice, "src/app.py", session="alice")
    site.send(site.alice)
    was = tree_of(site.server)
    assert doctor(site.server, door=True) == {"ok": True, "findings": []}
    assert tree_of(site.server) == was
    assert doctor(site.server, fix=True, door=True) == {"ok": True, "findings": []}
