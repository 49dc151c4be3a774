"""`gitcoord verify` on real repositories: what it says, what it remembers, and what cannot be hidden from it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from support.forge import make_key
from support.program import Done, run
from support.repo import LOG_REF, git, make_repo
from support.team import Team

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> str:
    """Return a repository with an unsigned log of a few commits."""
    where = make_repo(tmp_path / "repo")
    assert run(where, "init").code == 0
    for name in ("a.py", "b.py", "c.py"):
        assert run(where, "lock", name, "-m", "why").code == 0
    return where


def tip(repo: str) -> str:
    return git(repo, "rev-parse", LOG_REF)


def fault(done: Done) -> tuple[str, str]:
    """Return the rule and the commit of an answer that must be one about a bad commit."""
    assert done.code == 3, done
    return done.json["fault"]["rule"], done.json["fault"]["commit"]


def slip_in(repo: str) -> str:
    """Commit something with plain git, let the log's ref name it, and return it."""
    made = git(repo, "commit-tree", f"{LOG_REF}^{{tree}}", "-p", LOG_REF, "-m", "lock: x")
    git(repo, "update-ref", LOG_REF, made)
    return made


def test_a_good_log_is_good_and_the_second_time_only_what_is_new_is_judged(repo: str) -> None:
    first = run(repo, "verify", "--json").json
    assert (first["ok"], first["judged"], first["remembered"], first["unsigned"]) == (True, 5, 0, 5)
    assert run(repo, "lock", "d.py").code == 0
    second = run(repo, "verify", "--json").json
    assert (second["judged"], second["remembered"], second["commits"]) == (1, 5, 6)
    assert any("unproven" in line for line in second["outside"])


def test_what_is_worth_a_look_is_told_each_time(repo: str) -> None:
    for number in range(2):
        taken = run(repo, "unlock", f"{'ab'[number]}.py", "--force", "-m", "why", "--session", "other")
        assert taken.code == 0, taken
        for _ in range(2):
            answer: dict[str, Any] = run(repo, "verify", "--json").json
            kinds = [event["kind"] for event in answer["notable"]]
            assert (kinds, answer["notables"]) == (["forced-break"] * (number + 1), number + 1)
    assert "forced-break" in run(repo, "verify").out
    told: dict[str, Any] = run(repo, "verify", "--json").json
    assert told["notable"] == run(repo, "verify", "--anew", "--json").json["notable"]


def test_a_range_says_what_it_leaves_out(repo: str) -> None:
    outside: list[str] = run(repo, "verify", "2..", "--json").json["outside"]
    assert outside[0] == "2 and what is behind it: trusted, and not judged"
    assert not any("after" in line for line in outside)
    assert run(repo, "verify", "2..4", "--json").json["outside"][1] == "what comes after 4"


def test_a_bad_commit_is_named_with_exit_code_3(repo: str) -> None:
    good = tip(repo)
    bad = slip_in(repo)
    done = run(repo, "verify", "--json")
    assert fault(done) == ("revision", bad)
    assert done.json["good"] == good
    told = run(repo, "verify")
    assert (told.code, told.out) == (3, ""), told.err
    assert bad in told.err
    assert "revision" in told.err


def test_nothing_but_a_good_verification_writes_the_memory(repo: str) -> None:
    memory = f"{repo}/.git/gitcoord/verified"
    run(repo, "status")
    run(repo, "log")
    assert not os.path.exists(memory)
    slip_in(repo)
    run(repo, "verify")
    assert not os.path.exists(memory)


def test_a_damaged_memory_is_none(repo: str) -> None:
    run(repo, "verify")
    memory = f"{repo}/.git/gitcoord/verified"
    with open(memory, "r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"???")
    assert run(repo, "verify", "--json").json["remembered"] == 0


def test_replace_refs_and_grafts_hide_nothing(repo: str) -> None:
    good = tip(repo)
    bad = slip_in(repo)
    git(repo, "replace", bad, good)
    with open(f"{repo}/.git/info/grafts", "w", encoding="ascii") as grafts:
        grafts.write(f"{bad}\n")
    assert fault(run(repo, "verify", "--json")) == ("revision", bad)


def test_what_git_would_show_instead_is_told_of_a_good_log(repo: str) -> None:
    git(repo, "replace", tip(repo), f"{LOG_REF}~1")
    done = run(repo, "verify", "--json")
    assert done.code == 0
    assert tip(repo) in done.json["warnings"][0]


@pytest.mark.parametrize("packed", [False, True])
def test_what_git_would_show_instead_is_told_whenever_it_was_put_there(repo: str, packed: bool) -> None:
    assert run(repo, "verify").code == 0
    old, tree = git(repo, "rev-parse", f"{LOG_REF}~2"), git(repo, "rev-parse", f"{LOG_REF}~2^{{tree}}")
    blob = git(repo, "rev-parse", f"{LOG_REF}:policy.json")
    git(repo, "commit", "-q", "--allow-empty", "-m", "the user's own")
    own = git(repo, "rev-parse", "HEAD")
    other = {old: f"{LOG_REF}~1", tree: f"{LOG_REF}^{{tree}}", blob: f"{LOG_REF}:coord.json", own: f"{own}~1"}
    for name, instead in other.items():
        git(repo, "replace", "-f", name, git(repo, "rev-parse", instead))
    if packed:
        git(repo, "pack-refs", "--all")
    with open(f"{repo}/.git/info/grafts", "w", encoding="ascii") as grafts:
        grafts.write(f"{old}\n{own}\n")
    for words in (("verify",), ("verify", "--anew"), ("verify", "2..4")):
        done = run(repo, *words, "--json")
        assert done.code == 0, done
        said = "\n".join(done.json["warnings"])
        assert all(f"git replace -d {name}" in said for name in (old, tree, blob)), words
        assert f"git shows other parents for {old}" in said
        assert own not in said  # what a user does with their own history is nobody's concern


def test_a_shallow_log_is_partly_verified_and_never_good(repo: str, tmp_path: Path) -> None:
    git(repo, "branch", "log", LOG_REF)
    clone = str(tmp_path / "clone")
    git(str(tmp_path), "clone", "-q", "--depth", "2", "--branch", "log", f"file://{repo}", clone)
    git(clone, "update-ref", LOG_REF, "HEAD")
    done = run(clone, "verify", "--json")
    assert (done.code, done.json["ok"], done.json["error"]["code"]) == (1, False, "partly_verified")
    assert done.json["judged"] == 1
    assert not os.path.exists(f"{clone}/.git/gitcoord/verified")


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6, 7])
def test_a_shallow_log_with_a_merge_near_its_end_is_partly_verified(tmp_path: Path, depth: int) -> None:
    team = Team(tmp_path)
    one, two = team.sharing("one"), team.sharing("two")
    for name in ("one", "two"):
        with team.without_remote():
            for where in (one, two):
                for number in range(2):
                    assert run(where, "lock", f"{name}{number}-{where[-3:]}.py", "--offline").code == 0
        assert run(one, "sync").code == 0
        assert run(two, "sync").code == 0
    assert git(two, "rev-list", "--merges", "-1", LOG_REF)
    git(team.hub, "branch", "-f", "log", LOG_REF)
    clone = str(tmp_path / "clone")
    git(str(tmp_path), "clone", "-q", "--depth", str(depth), "--branch", "log", f"file://{team.hub}", clone)
    git(clone, "update-ref", LOG_REF, "HEAD")
    done = run(clone, "verify", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "partly_verified"), done
    # A stretch of it is judged as far as it can be too, and never by what lies before.
    here = git(clone, "rev-parse", LOG_REF)
    for good in git(clone, "rev-list", "--first-parent", LOG_REF).split():
        asked = run(clone, "verify", f"{good}..{here}", "--json")
        assert asked.json["ok"] or asked.json["error"]["code"] == "partly_verified", asked
    # What is wrong above is found all the same.
    bad = slip_in(clone)
    assert fault(run(clone, "verify", "--json")) == ("revision", bad)


def test_a_log_that_went_back_is_a_rollback(repo: str) -> None:
    run(repo, "verify")
    older = git(repo, "rev-parse", f"{LOG_REF}~1")
    git(repo, "update-ref", LOG_REF, older)
    verified = git(repo, "rev-parse", f"{LOG_REF}@{{1}}")
    done = run(repo, "verify", "--json")
    assert fault(done) == ("rollback", older)
    assert git(repo, "rev-parse", done.json["kept"][0]) == verified


def test_two_histories_are_a_fork_and_both_siblings_are_named(repo: str) -> None:
    ours = tip(repo)
    run(repo, "verify")
    git(repo, "update-ref", LOG_REF, f"{LOG_REF}~1")
    os.unlink(f"{repo}/.git/gitcoord/pending")
    os.unlink(f"{repo}/.git/logs/{LOG_REF}")  # what is known of the tip, all of it
    run(repo, "lock", "other.py")
    theirs = tip(repo)
    done = run(repo, "verify", "--json")
    assert fault(done) == ("fork", theirs)
    assert done.json["siblings"] == [ours, theirs]
    # Both signed siblings stay as evidence, whatever becomes of the log's ref.
    assert [git(repo, "rev-parse", name) for name in done.json["kept"]] == [ours, theirs]
    assert all(name.startswith("refs/gitcoord/kept/") for name in done.json["kept"])


def test_a_log_of_another_repository_is_a_graft(repo: str, tmp_path: Path) -> None:
    run(repo, "verify")
    other = make_repo(tmp_path / "other")
    run(other, "init")
    git(repo, "fetch", "-q", other, f"+{LOG_REF}:{LOG_REF}")
    assert fault(run(repo, "verify", "--json"))[0] == "grafted"


def test_a_log_that_is_gone_is_deleted(repo: str) -> None:
    verified = tip(repo)
    run(repo, "verify")
    git(repo, "update-ref", "-d", LOG_REF)
    done = run(repo, "verify", "--json")
    assert fault(done) == ("deleted", verified)
    assert git(repo, "rev-parse", done.json["kept"][0]) == verified


def test_a_range_is_judged_alone(repo: str) -> None:
    bad = slip_in(repo)
    assert run(repo, "verify", "2..4", "--json").json["judged"] == 2
    assert run(repo, "verify", "4", "--json").json["judged"] == 4
    assert fault(run(repo, "verify", "3..", "--json")) == ("revision", bad)
    assert run(repo, "verify", "nonsense", "--json").code == 2
    assert run(repo, "verify", "999", "--json").code == 1


def test_the_root_is_pinned_at_first_sight_and_another_one_is_refused(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    keys = {name: make_key(str(tmp_path / name)) for name in ("ada", "eve")}
    assert run(repo, "init", "--sign", "ssh", "--key", str(tmp_path / "ada")).code == 0
    git(repo, "config", "--unset", "gitcoord.root")
    told = run(repo, "verify")
    assert told.code == 0
    assert "first use" in told.err
    assert git(repo, "config", "--local", "gitcoord.root") == keys["ada"].fingerprint
    done = run(repo, "verify", "--trust", keys["eve"].fingerprint, "--json")
    assert fault(done)[0] == "root"
    assert run(repo, "verify", "--trust", keys["ada"].fingerprint).code == 0


def test_an_unsigned_log_becomes_a_signed_one(repo: str, tmp_path: Path) -> None:
    key = make_key(str(tmp_path / "ada"))
    assert run(repo, "keys", "add", "ada", str(tmp_path / "ada.pub")).code == 0
    assert run(repo, "keys", "add", "eve", str(tmp_path / "ada.pub")).code == 1
    assert run(repo, "lock", "unsigned.py").code == 0
    signed = run(repo, "lock", "signed.py", "--session", "ada-1", "--key", str(tmp_path / "ada"))
    assert signed.code == 0, signed.err
    done = run(repo, "verify", "--json")
    assert (done.code, done.json["root"], done.json["signed"]) == (0, key.fingerprint, {"ada": 2})
    sessions = {row["session"]: row["proven"] for row in run(repo, "session", "list", "--json").json["sessions"]}
    assert sessions.pop("ada-1") is True
    assert set(sessions.values()) == {False}


def test_a_key_that_was_revoked_is_not_added_again_in_whatever_way(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    for name in ("ada", "old", "new"):
        make_key(str(tmp_path / name))
    assert run(repo, "init", "--sign", "ssh", "--key", str(tmp_path / "ada")).code == 0
    assert run(repo, "keys", "add", "bob", str(tmp_path / "old.pub"), "--role", "root").code == 0
    shown: dict[str, Any] = run(repo, "policy", "show", "--json").json["policy"]
    lost = shown["principals"].pop("bob")["keys"][0]["fingerprint"]
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(shown))
    assert run(repo, "policy", "set", str(policy)).code == 0
    kept = {key["fingerprint"]: key for key in run(repo, "keys", "list", "--json").json["keys"]}
    assert (kept[lost]["good"], kept[lost]["principal"], kept[lost]["roles"]) == (False, "bob", [])
    for name in ("bob", "robert"):
        refused = run(repo, "keys", "add", name, str(tmp_path / "old.pub"))
        assert (refused.code, lost in refused.err) == (1, True), refused
    assert run(repo, "keys", "add", "bob", str(tmp_path / "new.pub")).code == 0
    good = [key["roles"] for key in run(repo, "keys", "list", "--json").json["keys"] if key["principal"] == "bob"]
    assert good == [["member"], ["member"]]
    assert run(repo, "verify").code == 0


def test_the_past_is_shown_as_it_was(repo: str) -> None:
    run(repo, "unlock", "a.py")
    run(repo, "data", "set", "s", "k", "1")
    before: dict[str, Any] = run(repo, "locks", "--at", "4", "--json").json
    assert [lock["path"] for lock in before["locks"]] == ["a.py", "b.py"]
    assert before["at"]["revision"] == 4
    assert run(repo, "data", "get", "s", "k", "--at", "4").code == 1
    assert run(repo, "at", before["at"]["commit"], "--json").json["locks"] == before["locks"]
    assert run(repo, "status", "--at", before["at"]["time"], "--json").json["at"] == before["at"]


def test_blame_tells_who_held_a_path_why_and_how_it_ended(repo: str) -> None:
    run(repo, "unlock", "a.py")
    run(repo, "lock", "a.py", "-m", "again", "--session", "bob")
    run(repo, "unlock", "--force", "a.py", "-m", "stale", "--session", "eve")
    holds = run(repo, "blame", "a.py", "--json").json["holds"]
    assert [(h["session"], h["reason"], h["ended"], h["ended_why"]) for h in holds[:1]] == [
        ("bob", "again", "broken", "stale")
    ]
    assert (holds[0]["ended_by"], holds[1]["ended"], holds[1]["reason"]) == ("eve", "released", "why")
    assert run(repo, "blame", "b.py", "--json").json["holds"][0]["ended"] is None


def test_a_shallow_signed_log_is_partly_verified_and_pins_no_root(tmp_path: Path) -> None:
    where = make_repo(tmp_path / "signed")
    make_key(str(tmp_path / "ada"))
    assert run(where, "init", "--sign", "ssh", "--key", str(tmp_path / "ada")).code == 0
    for name in ("a", "b"):
        assert run(where, "lock", name).code == 0
    other = str(tmp_path / "other")
    git(str(tmp_path), "clone", "-q", "--depth", "1", f"file://{where}", other)
    git(other, "fetch", "-q", "--depth", "2", "origin", f"{LOG_REF}:{LOG_REF}")
    done = run(other, "verify", "--json")
    assert (done.code, done.json["error"]["code"]) == (1, "partly_verified")
    assert "gitcoord.root" not in git(other, "config", "--list")
