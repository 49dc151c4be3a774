"""People share the state with plain git, overwrite it and delete it: gitcoord copes with whatever that leaves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gitcoord.service import initialise, open_desk
from support.agreement import check_order, read_agreed
from support.repo import LOG_REF, GitFailed, fsck, git, make_repo
from support.sharing import Clones, done, granted

if TYPE_CHECKING:
    from pathlib import Path

PUSH = ("push", "-q", "origin", "refs/coord:refs/gitcoord/main")
FETCH = ("fetch", "-q", "origin", "refs/gitcoord/main:refs/gitcoord/main")
FORCE_FETCH = ("fetch", "-q", "origin", "+refs/gitcoord/main:refs/gitcoord/main")


@pytest.fixture
def clones(tmp_path: Path) -> Clones:
    found = Clones(tmp_path, 3)
    for number in range(3):
        found.desk(number, real=True).sign_on()
    return found


def write_apart(clones: Clones, number: int) -> None:
    """Let a clone lock and store what the remote does not have."""
    desk = clones.desk(number, real=True)
    desk.offline = True
    done(desk.store_data("apart", f"c{number}", number))
    assert desk.lock_files([f"apart/{number}"], reason="apart")["state"] == "provisional"
    desk.offline = False


def check_kept(clones: Clones, *numbers: int) -> None:
    """What these clones wrote apart is in effect everywhere, and confirmed."""
    clones.converge()
    clones.check_sound()
    check_order(read_agreed(clones.hub))
    for clone in clones.clones:
        desk = open_desk(clone, session="looks")
        for number in numbers:
            assert desk.retrieve_data("apart", f"c{number}")["value"] == number
            (lock,) = desk.get_locked_files(f"apart/{number}")["locks"]
            assert (lock["session"], lock["state"]) == (f"c{number}", "confirmed")
            assert lock["token"] is not None


def test_a_plain_push_and_a_plain_fetch_share_state(clones: Clones) -> None:
    git(clones.clones[0], *FETCH)
    write_apart(clones, 0)
    git(clones.clones[0], *PUSH)
    git(clones.clones[1], *FETCH)
    there = clones.desk(1, real=True)
    assert there.retrieve_data("apart", "c0")["value"] == 0
    assert [lock["session"] for lock in there.get_locked_files("apart/0")["locks"]] == ["c0"]
    refusal = there.lock_files(["apart/0"])
    (mine,) = clones.desk(0, real=True).get_locked_files("apart/0")["locks"]
    assert refusal["error"]["code"] == "lock_held"
    assert refusal["conflicts"][0]["state"] == "confirmed"
    assert refusal["conflicts"][0]["grant"] == mine["grant"]
    check_kept(clones, 0)


def test_where_plain_git_cannot_go_on_sync_brings_both_sides_together(clones: Clones) -> None:
    write_apart(clones, 0)
    write_apart(clones, 1)
    done(clones.desk(2, real=True).store_data("s", "k", 2))
    for number in (0, 1):
        for command in (PUSH, FETCH):
            with pytest.raises(GitFailed, match="exited with 1"):
                git(clones.clones[number], *command)
    check_kept(clones, 0, 1)


def test_a_forced_fetch_over_unpublished_operations_is_undone_by_sync(clones: Clones) -> None:
    write_apart(clones, 0)
    granted(clones.desk(1, real=True).lock_files(["b"]))
    git(clones.clones[0], *FORCE_FETCH)
    desk = clones.desk(0, real=True)
    read = desk.retrieve_data("apart", "c0")
    assert (read["found"], len(read["notices"])) == (True, 1), "what was acknowledged here is read meanwhile"
    assert "another program moved refs/gitcoord/main" in read["notices"][0]
    answer = done(desk.sync())
    assert answer["remote_state"] == "local_rewound"
    assert ["put back" in line for line in answer["notices"]] == [True]
    check_kept(clones, 0)
    assert done(desk.sync())["events"] == [], "it is told once"


def test_a_forced_fetch_is_undone_later_where_the_remote_is_away_at_first(clones: Clones) -> None:
    write_apart(clones, 0)
    granted(clones.desk(1, real=True).lock_files(["b"]))
    git(clones.clones[0], *FORCE_FETCH)
    desk = clones.desk(0, real=True)
    # It goes away while what is brought back is on its way.
    clones.hook("pre-receive", f'rm "$0"; mv "{clones.hub}" "{clones.hub}.away"; kill -9 0')
    assert desk.sync()["error"]["code"] == "remote_unknown"
    assert desk.sync()["error"]["code"] == "remote_unknown"
    clones.heal()
    done(desk.sync())
    check_kept(clones, 0)


def test_a_forced_fetch_is_undone_later_where_the_remote_says_no_at_first(clones: Clones) -> None:
    write_apart(clones, 0)
    granted(clones.desk(1, real=True).lock_files(["b"]))
    git(clones.clones[0], *FORCE_FETCH)
    clones.hook("update", "exit 1")
    answer = clones.desk(0, real=True).sync()
    assert answer["error"]["code"] == "remote_rejected"
    assert "put back" in answer["notices"][0]
    status = clones.desk(0, real=True).status()
    assert [event["event"] for event in status["remote"]["events"]] == ["local_rewound"]
    assert clones.desk(0, real=True).retrieve_data("apart", "c0")["found"]
    clones.unhook("update")
    done(clones.desk(0, real=True).sync())
    check_kept(clones, 0)


def test_a_log_that_a_mirroring_push_deleted_is_back_with_the_next_contact(clones: Clones) -> None:
    write_apart(clones, 0)
    token = granted(clones.desk(1, real=True).lock_files(["b"]))["token"]
    clones.converge()
    bystander = f"{clones.root}/bystander"
    git(clones.root, "clone", "-q", clones.hub, bystander)
    git(bystander, "push", "-q", "--mirror", "origin")
    assert git(clones.hub, "for-each-ref", LOG_REF) == ""
    answer = granted(clones.desk(2, real=True).lock_files(["c"]))
    assert answer["token"] > token
    refusal = clones.desk(0, real=True).lock_files(["b"])
    assert [refusal["conflicts"][0][name] for name in ("session", "token")] == ["c1", token]
    assert [event["event"] for event in clones.desk(2, real=True).sync()["events"]] == []
    check_kept(clones, 0)


def test_linked_worktrees_of_one_clone_share_as_one(clones: Clones) -> None:
    main, side = clones.desk(0, real=True), open_desk(clones.side, session="side")
    side.offline = True
    done(side.store_data("apart", "side", "waits"))
    side.offline = False
    assert main.retrieve_data("apart", "side")["value"] == "waits"
    before = clones.remote_tip()
    answer = granted(main.lock_files(["src/app.py"]))
    carried = [op.kind for op in read_agreed(clones.hub).order][-3:]
    assert carried == ["session.start", "data.store", "lock.acquire"], "one push carried what waited"
    assert clones.remote_tip() != before
    done(clones.desk(1, real=True).sync())
    assert clones.desk(1, real=True).retrieve_data("apart", "side")["value"] == "waits"
    refusal = side.lock_files([f"{clones.side}/src/app.py"])
    assert [refusal["conflicts"][0][name] for name in ("session", "token")] == ["c0", answer["token"]]
    assert not side.check(["src/app.py"])["ok"]
    assert (main.status()["remote"]["ahead"], side.status()["remote"]["behind"]) == (0, 0)


def is_whole_here(where: str, tip: str) -> bool:
    """Tell whether all behind a commit lies in gitcoord's own directory."""
    own = {"GIT_OBJECT_DIRECTORY": f"{where}/.git/gitcoord/objects", "GIT_ALTERNATE_OBJECT_DIRECTORIES": ""}
    try:
        git(where, "rev-list", "--objects", "--quiet", tip, env=own)
    except GitFailed:
        return False
    return True


@pytest.mark.parametrize("offline", [False, True])
def test_what_a_plain_fetch_brought_is_gathered_before_anything_is_built_on_it(clones: Clones, offline: bool) -> None:
    busy, where = clones.desk(0, real=True), clones.clones[1]
    done(clones.desk(1, real=True).sync())
    for number in range(4):
        granted(busy.lock_files([f"busy/{number}"]))
    done(busy.store_data("s", "k", 1))
    git(where, *FETCH)
    brought = git(where, "rev-parse", LOG_REF)
    looks = open_desk(where, session="looks")
    assert looks.retrieve_data("s", "k")["value"] == 1
    assert not is_whole_here(where, brought), "git puts it into the user's store"
    assert open_desk(where, session="c1").lock_files(["mine"], offline=offline)["granted"]
    assert is_whole_here(where, brought)
    # The ref moves on to another history, and git may take away what nothing names.
    tip = git(where, "rev-parse", LOG_REF)
    for ref in git(where, "for-each-ref", "--format=%(refname)", "refs/gitcoord").split():
        git(where, "update-ref", "-d", ref)
    git(where, "reflog", "expire", "--expire=now", "--all")
    git(where, "gc", "--quiet", "--prune=now")
    git(where, "repack", "-a", "-d", "-q")
    git(where, "prune", "--expire=now")
    git(where, "update-ref", LOG_REF, tip)
    clones.converge()
    clones.check_sound()
    (lock,) = open_desk(where, session="looks").get_locked_files("mine")["locks"]
    assert lock["state"] == "confirmed"


@pytest.fixture
def fetched(clones: Clones) -> str:
    """A clone into which plain git brought the log, and that has not joined it."""
    where = f"{clones.root}/fetched"
    git(clones.root, "clone", "-q", clones.hub, where)
    git(where, *FETCH)
    return where


def test_a_clone_that_only_fetched_the_log_grants_nothing_until_it_joins(fetched: str) -> None:
    desk = open_desk(fetched, session="late")
    before = git(fetched, "rev-parse", LOG_REF)
    for offline in (False, True):
        refused = desk.lock_files(["free.txt"], offline=offline)
        assert refused["error"]["code"] == "not_joined"
        assert refused["error"]["next"] == "gitcoord init"
    assert desk.store_data("s", "k", 1)["error"]["code"] == "not_joined"
    assert git(fetched, "rev-parse", LOG_REF) == before
    assert any("gitcoord init" in said for said in desk.status()["warnings"])
    assert initialise(fetched)["joined"]
    granted(open_desk(fetched, session="late").lock_files(["free.txt"]))


def test_a_clone_whose_runtime_files_forgot_the_remote_grants_nothing(clones: Clones) -> None:
    where = clones.clones[1]
    os.unlink(f"{where}/.git/gitcoord/shared")
    refused = open_desk(where, session="c9").lock_files(["free.txt"])
    assert refused["error"]["code"] == "not_joined"
    initialise(where)
    granted(open_desk(where, session="c9").lock_files(["free.txt"]))


def test_the_remote_itself_grants_by_being_written(clones: Clones) -> None:
    git(clones.hub, "config", "remote.origin.url", f"{clones.root}/elsewhere.git")
    answer = open_desk(clones.hub, session="host").lock_files(["free.txt"])
    assert (answer["granted"], answer["state"]) == (True, "local")


def test_git_reads_what_is_written_where_the_log_came_by_a_plain_fetch(tmp_path: Path) -> None:
    there, here = make_repo(tmp_path / "there"), make_repo(tmp_path / "here")
    initialise(there)
    git(here, "fetch", "-q", there, f"{LOG_REF}:{LOG_REF}")
    done(open_desk(here, session="ada").lock_files(["a.txt"]), "granted")
    assert "lock: a.txt" in git(here, "log", "-1", "--format=%s", "refs/coord")
    fsck(here)
