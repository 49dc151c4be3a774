"""Locks as callers meet them: spellings, conflicts and what they say, times, breaking, checking."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gitcoord.errors import exit_code
from gitcoord.service import Desk, open_desk
from support.clock import ManualClock
from support.repo import add_worktree, fsck, git, read_log, tree_paths
from support.world import World, code, granted


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "repo")


@pytest.fixture
def one(world: World) -> Desk:
    return world.agent("one")


@pytest.fixture
def two(world: World) -> Desk:
    return world.agent("two")


def held(desk: Desk, **fields: Any) -> list[str]:
    return [lock["path"] for lock in desk.get_locked_files(**fields)["locks"]]


# -- answers


def test_a_grant_answers_in_the_public_shape(world: World, one: Desk) -> None:
    answer = granted(one.lock_files(["src/app.py", "docs/"], reason="Rework"))
    assert set(answer) == {
        *("granted", "session", "grant", "token", "revision", "state", "expires_at", "locks", "warnings", "notices"),
    }
    assert answer["session"] == "one-1"
    assert answer["token"] == answer["revision"] == world.state.revision
    lock = answer["locks"][0]
    assert lock == {
        "path": "src/app.py",
        "kind": "file",
        "mode": "exclusive",
        "state": "local",
        "session": "one-1",
        "grant": answer["grant"],
        "token": answer["token"],
        "locked_at": "2025-06-15T15:06:40.000Z",
        "expires_at": "2025-06-15T15:21:40.000Z",
        "reason": "Rework",
    }
    assert answer["locks"][1]["kind"] == "directory"


def test_a_refusal_says_who_holds_what_since_when_until_when_why_and_what_to_try(one: Desk, two: Desk) -> None:
    granted(one.lock_files(["src"], reason="Rework the pool"))
    answer = two.lock_files(["src/app.py"])
    assert answer["granted"] is False
    assert code(answer) == "lock_held"
    assert exit_code(answer) == 1
    message = answer["error"]["message"]
    for told in ("src/app.py", "(as src)", "one-1", "15:06:40", "15:21:40", "Rework the pool"):
        assert told in message
    assert "one-1" in answer["error"]["next"]
    (conflict,) = answer["conflicts"]
    assert (conflict["path"], conflict["held_path"], conflict["session"]) == ("src/app.py", "src", "one-1")
    assert "held" not in answer


def test_several_are_granted_all_or_none(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["b"]))
    before = world.length()
    answer = two.lock_files(["a", "b", "c"])
    assert [conflict["path"] for conflict in answer["conflicts"]] == ["b"]
    assert world.length() == before
    assert held(two) == ["b"]


def test_what_no_path_can_be_is_refused_and_nothing_is_written(world: World, one: Desk) -> None:
    for files in (["../outside"], ["/etc/passwd"], [""], ["a\0b"], [".git/config"], ["ok", "../no"], []):
        answer = one.lock_files(files)
        assert code(answer) in ("invalid_path", "bad_request"), files
        assert answer["granted"] is False
        assert exit_code(answer) == 2
    assert world.length() == 1


def test_a_mode_that_is_none_is_refused(world: World, one: Desk) -> None:
    answer = one.lock_files(["a"], mode="write")
    assert code(answer) == "bad_request"
    assert "shared" in answer["error"]["next"]
    assert world.length() == 1


# -- one path, many spellings


def test_every_spelling_from_every_place_is_the_same_lock(world: World, tmp_path: Path) -> None:
    side = add_worktree(world.root, tmp_path / "side")
    one, two = world.agent("one"), world.agent("two")
    below = world.command("ada@host", base=os.path.join(world.root, "src"))
    linked = open_desk(side, hint="linked", process=True, clock=world.clock)
    first = granted(one.lock_files(["./src//app.py"]))
    for spelling in ("src/../src/app.py", f"{world.root}/src/app.py", "src/./app.py", f"{side}/src/app.py"):
        again = granted(one.lock_files([spelling]))
        assert again["locks"][0]["path"] == "src/app.py", spelling
        assert again["token"] == first["token"]
    for desk, spelling in ((below, "app.py"), (linked, "src/app.py"), (linked, f"{side}/src/app.py"), (two, "src")):
        assert code(desk.lock_files([spelling])) == "lock_held", spelling
    assert world.state.session("one-1") is not None
    assert len(held(two)) == 1


def test_a_worktree_that_is_added_while_a_server_runs_counts(world: World, tmp_path: Path, one: Desk) -> None:
    granted(one.lock_files(["src/app.py"]))
    side = add_worktree(world.root, tmp_path / "side")
    (lock,) = granted(one.lock_files([f"{side}/src/app.py"]))["locks"]
    assert lock["path"] == "src/app.py"


def test_composed_and_decomposed_letters_are_one_path(one: Desk, two: Desk) -> None:
    granted(one.lock_files(["docs/\u00e9t\u00e9.md"]))
    assert code(two.lock_files(["docs/e\u0301te\u0301.md"])) == "lock_held"
    assert one.unlock_files(["docs/e\u0301t\u00e9.md"])["ok"]


@pytest.mark.parametrize("part", ["d", "ä"])
def test_the_deepest_path_that_fits_is_locked_and_released(world: World, one: Desk, two: Desk, part: str) -> None:
    deep = "/".join([part] * (4096 // (len(part.encode()) + 1)))
    granted(one.lock_files([deep]))
    assert code(two.lock_files([deep])) == "lock_held"
    assert code(two.lock_files([part])) == "lock_held"
    assert len(two.get_locked_files()["locks"]) == 1
    assert one.sign_off()["released"] == [deep]
    assert held(two) == []
    assert not [path for path in tree_paths(world.root) if path.startswith("locks/")]


def test_a_path_named_twice_is_one_lock(one: Desk) -> None:
    assert len(granted(one.lock_files(["a", "./a", "b/../a"]))["locks"]) == 1


@pytest.mark.parametrize("files", [["new", "new/"], ["new/", "new"]], ids=repr)
def test_a_path_named_as_file_and_as_directory_is_locked_as_the_directory(one: Desk, files: list[str]) -> None:
    (lock,) = granted(one.lock_files(files))["locks"]
    assert lock["kind"] == "directory"
    assert one.check(["new/deep/file"])["checked"][0]["why"].startswith("locked by you")


def test_an_existing_directory_is_locked_with_all_below(one: Desk, two: Desk) -> None:
    assert granted(one.lock_files(["src"]))["locks"][0]["kind"] == "directory"
    assert code(two.lock_files(["src/new/deep.py"])) == "lock_held"
    assert code(two.lock_files(["."])) == "lock_held"


@pytest.mark.parametrize("spelling", [".", "./", "src/.."])
def test_the_whole_repository_can_be_locked_and_unlocked(world: World, one: Desk, two: Desk, spelling: str) -> None:
    granted(one.lock_files([spelling]))
    assert code(two.lock_files(["README.md"])) == "lock_held"
    assert "locks/@one-1.json" in tree_paths(world.root)
    assert one.unlock_files(["."])["released"] == ["."]
    granted(two.lock_files(["README.md"]))
    assert code(one.lock_files([spelling])) == "lock_held"


def test_upper_and_lower_case_are_one_path_where_git_says_so(tmp_path: Path) -> None:
    world = World(tmp_path / "repo", ignore_case=True)
    granted(world.agent("one").lock_files(["Src/App.py"]))
    two = world.agent("two")
    assert code(two.lock_files(["src/app.PY"])) == "lock_held"
    assert held(two) == ["Src/App.py"]


def test_paths_are_locked_in_a_bare_repository_too(tmp_path: Path) -> None:
    world = World(tmp_path / "repo.git", bare=True)
    granted(world.agent("one").lock_files(["src/app.py", "docs/"]))
    assert code(world.agent("two").lock_files(["src"])) == "lock_held"
    assert fsck(world.root) == []


ODD = [
    " lead and trail ",
    'qu"ote',
    "new\nline",
    "tab\t",
    "bytes-\udcff\udcfe",
    ".gitmodules",
    "@at",
    "%41",
    "app/[id]/page.tsx",
    "x" * 255,
    "/".join(["d"] * 500),
    "ünïcödé/日本",
    "-dash",
    "CON",
    "a\\\\b",
    "\u202egnirts",
]


def test_every_legal_path_is_locked_listed_and_released(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(ODD))
    assert len(held(two)) == len(ODD)
    for path in ODD:
        assert code(two.lock_files([path])) == "lock_held", path
    assert fsck(world.root) == []
    shown = git(world.root, "log", "-1", "--format=%B", "refs/coord")
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert len(one.unlock_files(ODD)["released"]) == len(ODD)
    assert held(two) == []


def test_plain_git_tells_a_files_lock_history(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["src/app.py"]))
    granted(two.lock_files(["src/db.py"]))
    one.unlock_files(["src/app.py"])
    subjects = [entry.subject for entry in read_log(world.root, "refs/coord", "locks/src/app.py")]
    assert subjects == ["lock: src/app.py (one-1)", "unlock: src/app.py (one-1)"]


# -- modes


def test_sharers_go_together_and_keep_the_exclusive_out(one: Desk, two: Desk) -> None:
    granted(one.lock_files(["a"], mode="shared"))
    granted(two.lock_files(["a"], mode="shared"))
    assert code(two.lock_files(["a"])) == "lock_held"
    one.unlock_files(["a"])
    assert granted(two.lock_files(["a"]))["locks"][0]["mode"] == "exclusive"


def test_an_intent_never_blocks_and_warns_both(one: Desk, two: Desk) -> None:
    assert granted(one.lock_files(["a"], mode="intent", reason="soon"))["warnings"] == []
    (warning,) = granted(two.lock_files(["a"]))["warnings"]
    assert "one-1" in warning
    assert "soon" in warning
    again = granted(one.lock_files(["a"], mode="intent"))
    assert "two-1" in again["warnings"][0]


@pytest.mark.parametrize("mode", ["intent", "shared"])
def test_relocking_in_a_weaker_mode_keeps_the_stronger_one_and_says_so(one: Desk, two: Desk, mode: str) -> None:
    first = granted(one.lock_files(["d"], reason="old"))
    again = granted(one.lock_files(["d"], mode=mode, reason="new"))
    assert (again["token"], again["locks"][0]["mode"], again["locks"][0]["reason"]) == (
        first["token"],
        "exclusive",
        "new",
    )
    assert "stays exclusive" in again["warnings"][0]
    assert code(two.lock_files(["d"])) == "lock_held"
    assert one.unlock_files(["d"])["ok"]
    assert granted(one.lock_files(["d"], mode=mode))["locks"][0]["mode"] == mode


def test_a_stronger_lock_among_others_is_not_weakened_in_passing(one: Desk, two: Desk) -> None:
    granted(one.lock_files(["d"]))
    refused = one.lock_files(["d", "e"], mode="intent")
    assert (code(refused), "leave d out" in refused["error"]["next"]) == ("bad_request", True)
    assert held(one) == ["d"]
    assert code(two.lock_files(["d"])) == "lock_held"


def test_relocking_keeps_the_token_and_an_upgrade_has_a_new_one(one: Desk) -> None:
    first = granted(one.lock_files(["a"], mode="shared"))
    same = granted(one.lock_files(["a"], mode="shared", reason="because"))
    upgraded = granted(one.lock_files(["a"]))
    assert (same["token"], same["grant"]) == (first["token"], first["grant"])
    assert upgraded["token"] > first["token"]
    assert upgraded["grant"] != first["grant"]
    assert upgraded["locks"][0]["reason"] == "because"


# -- resources


def test_a_resource_is_locked_by_its_exact_name_apart_from_paths(one: Desk, two: Desk) -> None:
    answer = granted(one.lock_files(["deploy/prod", "port*"], resource=True))
    assert {lock["kind"] for lock in answer["locks"]} == {"resource"}
    assert code(two.lock_files(["deploy/prod"], resource=True)) == "lock_held"
    granted(two.lock_files(["deploy/prod", "deploy"]))
    granted(two.lock_files(["portx"], resource=True))
    assert sorted(held(two, resource=True)) == ["deploy/prod", "port*", "portx"]
    assert sorted(held(two, resource=False)) == ["deploy", "deploy/prod"]
    assert two.unlock_files(["portx"], resource=True)["released"] == ["portx"]


@pytest.mark.parametrize("name", ["", "a//b", "/a", "a/", "..", "a\0"])
def test_a_name_that_is_no_resource_is_refused(world: World, one: Desk, name: str) -> None:
    assert code(one.lock_files([name], resource=True)) == "invalid_path"
    assert world.length() == 1


# -- times


def test_a_ttl_ends_one_lock_and_the_next_comer_has_it_in_commits_that_say_so(
    world: World, one: Desk, two: Desk
) -> None:
    first = granted(one.lock_files(["a"], ttl_s=60))
    granted(one.lock_files(["b"]))
    assert first["expires_at"] == "2025-06-15T15:07:40.000Z"
    two.sign_on()
    world.clock.advance(59)
    assert code(two.lock_files(["a"])) == "lock_held"
    world.clock.advance(1)
    before = world.state.revision
    second = granted(two.lock_files(["a"]))
    assert world.since(before) == ["lock.expire", "lock.acquire"]
    assert second["token"] > first["token"]
    assert code(two.lock_files(["b"])) == "lock_held"
    assert "ran out" in one.store_data("s", "k", 1)["notices"][0]


def test_an_expired_lock_stays_until_somebody_wants_it(world: World, one: Desk) -> None:
    granted(one.lock_files(["a"], ttl_s=60))
    world.clock.advance(3600)
    one.renew()
    assert held(one) == ["a"]
    assert one.check(["a"])["checked"][0]["why"].startswith("your own lock's time is up")


def test_a_ttl_longer_than_the_lease_lengthens_it_up_to_the_limit(world: World, one: Desk, two: Desk) -> None:
    answer = granted(one.lock_files(["a"], ttl_s=3600))
    assert answer["expires_at"] == "2025-06-15T16:06:40.000Z"
    world.clock.advance(3599)
    assert code(two.lock_files(["a"])) == "lock_held"
    world.clock.advance(1)
    granted(two.lock_files(["a"]))
    assert code(two.lock_files(["a"], ttl_s=86401)) == "limit_reached"


def test_a_lapsed_sessions_locks_go_to_the_next_comer(world: World, two: Desk) -> None:
    granted(world.command("ada@host").lock_files(["a", "b"]))
    world.clock.advance(7200)
    granted(two.lock_files(["a"]))
    assert world.operations("session.reap")[0]["target"] == "ada@host"
    assert held(two) == ["a"]


def test_locks_of_another_machines_session_are_not_ended_by_this_ones_clock(world: World, one: Desk) -> None:
    far = world.agent("far", clock=ManualClock(machine="machine-b"))
    granted(far.lock_files(["a"], ttl_s=60))
    world.clock.advance(86400 * 30)
    answer = one.lock_files(["a"])
    assert code(answer) == "lock_held"
    assert code(world.agent("x", session="far-1").sign_on(takeover=True)) == "session_taken"
    assert held(one) == ["a"]


def test_a_silent_session_of_another_machine_can_be_challenged_and_ended(world: World, one: Desk) -> None:
    granted(world.agent("far", clock=ManualClock(machine="machine-b")).lock_files(["a"]))
    one.sign_on()
    one.lock_files(["a"])
    world.clock.advance(900 * 1.05)
    one.lock_files(["a"])
    world.clock.advance(900 * 1.05 + 1)
    granted(one.lock_files(["a"]))
    assert [operation["evidence"]["kind"] for operation in world.operations("session.reap")] == ["challenge"]
