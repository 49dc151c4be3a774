"""The log's ref, as other programs leave it: what is read meanwhile, what puts it back, and what is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitcoord.errors import exit_code
from gitcoord.service import Desk, doctor, initialise, open_desk
from support.program import run
from support.repo import LOG_REF, fsck, git, log_length, make_repo
from support.stray import DAMAGES, Damage, emptied, forked, ref_file


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


def desk(repo: str, session: str) -> Desk:
    """Return the desk of a new process, as far as what it knows goes."""
    return open_desk(repo, session=session)


@pytest.fixture(name="repo")
def made_repo(tmp_path: Path) -> str:
    repo = make_repo(tmp_path / "repo")
    assert initialise(repo)["created"]
    assert desk(repo, "A").lock_files(["a"])["granted"]
    assert desk(repo, "B").lock_files(["zz"])["granted"]
    return repo


@pytest.fixture(name="damage", params=DAMAGES)
def one_damage(request: pytest.FixtureRequest) -> tuple[str, Damage]:
    return DAMAGES[request.param]


def test_what_is_read_is_the_newest_that_is_known_and_the_next_change_puts_the_ref_back(
    repo: str, damage: tuple[str, Damage]
) -> None:
    tip = git(repo, "rev-parse", LOG_REF)
    assert desk(repo, "A").verify()["ok"]
    damage[1](repo)
    checked = desk(repo, "C").check(["zz"])
    assert checked["checked"][0]["conflicts"][0]["session"] == "B"
    assert "another program moved refs/gitcoord/main" in checked["notices"][0]
    assert desk(repo, "C").status()["repository"]["tip"] == tip
    assert exit_code(desk(repo, "C").verify()) == 3
    refused = desk(repo, "C").lock_files(["zz"])
    assert refused["error"]["code"] == "lock_held"
    assert any("put back" in line for line in refused["notices"])
    assert git(repo, "rev-parse", LOG_REF) == tip
    assert "notices" not in desk(repo, "C").status()
    assert desk(repo, "C").lock_files(["free"])["granted"]
    assert git(repo, "rev-parse", f"{LOG_REF}~2") == tip
    assert fsck(repo) == []
    assert doctor(repo)["ok"]


def test_doctor_and_init_name_it_and_put_it_back(repo: str, damage: tuple[str, Damage]) -> None:
    tip = git(repo, "rev-parse", LOG_REF)
    damage[1](repo)
    found = doctor(repo)
    assert (found["ok"], found["findings"][0]["code"]) == (False, f"ref_{damage[0]}")
    assert found["error"]["next"] == "gitcoord doctor --fix"
    mended = doctor(repo, fix=True)
    assert (mended["ok"], mended["findings"][0]["fixed"]) == (True, True)
    assert git(repo, "rev-parse", LOG_REF, "refs/coord").split() == [tip, tip]
    assert doctor(repo)["ok"]
    damage[1](repo)
    made = initialise(repo)
    assert (made["created"], made["restored"]) == (False, True)
    assert "another program moved" in made["notices"][0]
    assert git(repo, "rev-parse", LOG_REF) == tip


def test_the_program_says_it_to_people(repo: str) -> None:
    emptied(repo)
    checked = run(repo, "check", "zz", "--session", "C")
    assert checked.code == 1
    assert "notice: another program moved" in checked.err
    assert "its ref is put back" in run(repo, "init").out


def test_what_was_put_in_the_place_of_the_log_is_kept_where_it_is_a_log(repo: str) -> None:
    forked(repo)
    theirs = git(repo, "rev-parse", LOG_REF)
    assert desk(repo, "A").lock_files(["x"])["granted"]
    assert git(repo, "for-each-ref", "--format=%(objectname)", "refs/gitcoord/kept/") == theirs


def test_a_ref_that_only_grew_is_believed_whoever_moved_it(repo: str, tmp_path: Path) -> None:
    other = str(tmp_path / "copy")
    git(str(tmp_path), "clone", "-q", repo, other)
    git(other, "fetch", "-q", repo, f"{LOG_REF}:{LOG_REF}")
    assert initialise(other, local=True)["ok"]
    assert desk(other, "M").lock_files(["more"])["granted"]
    git(repo, "fetch", "-q", other, f"{LOG_REF}:{LOG_REF}")
    status = desk(repo, "A").status()
    assert "notices" not in status
    assert "more" in {lock["path"] for lock in status["locks"]}


def test_a_ref_that_holds_nothing_and_of_which_nothing_is_known_has_a_way_out(repo: str) -> None:
    emptied(repo)
    os.unlink(f"{repo}/.git/gitcoord/pending")
    os.unlink(f"{repo}/.git/logs/{LOG_REF}")
    way_out = f"rm {repo}/.git/{LOG_REF}, then: gitcoord init"
    for answer in (desk(repo, "A").status(), desk(repo, "A").lock_files(["x"]), doctor(repo), doctor(repo, fix=True)):
        assert way_out in answer["error"]["next"]
    assert way_out in run(repo, "init").err
    os.unlink(ref_file(repo))
    assert initialise(repo)["created"]


def test_a_move_that_was_begun_and_not_made_is_no_damage(repo: str) -> None:
    """A writer dies between its line in the reflog and the ref's move."""
    tip = git(repo, "rev-parse", LOG_REF)
    with open(f"{repo}/.git/gitcoord/swap", "w", encoding="ascii") as value:
        value.write("34" * 20 + "\n")
    os.link(f"{repo}/.git/gitcoord/swap", f"{ref_file(repo)}.lock")
    with open(f"{repo}/.git/logs/{LOG_REF}", "a", encoding="ascii") as log:
        log.write(f"{tip} {'34' * 20} A <a@b> 1 +0000\tcoord: lock: y (A)\n")
    assert "notices" not in desk(repo, "A").status()
    assert desk(repo, "A").lock_files(["y"])["granted"]
    assert git(repo, "rev-parse", f"{LOG_REF}~1") == tip
    assert log_length(repo) == 6


def test_a_server_at_work_sees_it_although_it_believed_that_commit_before(repo: str) -> None:
    server = desk(repo, "A")
    assert server.lock_files(["c"])["granted"]
    assert server.status()["repository"]["tip"] == git(repo, "rev-parse", LOG_REF)
    assert desk(repo, "D").lock_files(["d"])["granted"]
    git(repo, "update-ref", LOG_REF, f"{LOG_REF}~2")
    assert not server.check(["d"])["ok"]
    assert any("put back" in line for line in server.lock_files(["e"])["notices"])
