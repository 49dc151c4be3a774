"""Unlocking, breaking, checking, and what is told of locks: lists, status, history, damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitcoord.errors import exit_code
from gitcoord.service import Desk
from support.repo import git, loosen, read_log
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


# -- unlocking


def test_unlocking_says_what_was_released_and_what_was_not_held(world: World, one: Desk) -> None:
    granted(one.lock_files(["a", "b", "c"]))
    answer = one.unlock_files(["./a", "b", "never"])
    assert answer["ok"] is True
    assert (answer["released"], answer["not_held"]) == (["a", "b"], ["never"])
    assert answer["revision"] == world.state.revision
    assert one.unlock_files(all=True)["released"] == ["c"]
    before = world.length()
    assert one.unlock_files(all=True)["released"] == []
    assert world.length() == before


def test_unlocking_what_another_holds_is_refused_and_releases_nothing(one: Desk, two: Desk) -> None:
    granted(one.lock_files(["a"]))
    granted(two.lock_files(["b"]))
    answer = two.unlock_files(["a", "b"])
    assert code(answer) == "not_holder"
    assert answer["ok"] is False
    assert "one-1" in answer["error"]["message"]
    assert "--force" in answer["error"]["next"]
    assert sorted(held(one)) == ["a", "b"]


def test_unlocking_what_nobody_holds_is_refused_with_what_is_near(one: Desk) -> None:
    granted(one.lock_files(["src"]))
    answer = one.unlock_files(["src/app.py"])
    assert code(answer) == "not_found"
    assert "holds src" in answer["error"]["message"]
    assert answer["not_held"] == ["src/app.py"]


def test_unlocking_takes_either_names_or_all(one: Desk) -> None:
    one.sign_on()
    for answer in (one.unlock_files(), one.unlock_files([]), one.unlock_files(["a"], all=True)):
        assert code(answer) == "bad_request"


# -- breaking


def test_a_break_is_recorded_with_its_reason_and_the_path_is_free(world: World, one: Desk, two: Desk) -> None:
    first = granted(one.lock_files(["src/app.py", "b"]))
    answer = two.break_lock(["src/app.py"], "one-1 is on holiday")
    assert answer["ok"] is True
    (broken,) = answer["broken"]
    assert (broken["path"], broken["session"], broken["token"]) == ("src/app.py", "one-1", first["token"])
    entry = read_log(world.root)[-1]
    assert entry.subject == "break: src/app.py of one-1, by two-1"
    assert "    one-1 is on holiday" in entry.body
    assert granted(two.lock_files(["src/app.py"]))["token"] > first["token"]
    assert held(one, owner="ours") == ["b"]


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
def test_a_break_without_a_reason_is_refused(world: World, one: Desk, two: Desk, reason: str) -> None:
    granted(one.lock_files(["a"]))
    before = world.length()
    answer = two.break_lock(["a"], reason)
    assert code(answer) == "bad_request"
    assert answer["ok"] is False
    assert world.length() == before


def test_a_break_of_what_nobody_else_holds_names_what_overlaps(one: Desk, two: Desk) -> None:
    granted(one.lock_files(["src"]))
    answer = two.break_lock(["src/app.py"], "stale")
    assert code(answer) == "not_found"
    assert "src (one-1)" in answer["error"]["message"]
    assert code(one.break_lock(["src"], "mine")) == "not_found"


def test_a_break_ends_every_sharers_lock(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["a"], mode="shared"))
    granted(two.lock_files(["a"], mode="shared"))
    answer = world.agent("three").break_lock(["a"], "stale")
    assert sorted(lock["session"] for lock in answer["broken"]) == ["one-1", "two-1"]
    assert len(one.store_data("s", "k", 1)["notices"]) == 1
    assert len(two.store_data("s", "k", 1)["notices"]) == 1


def test_a_reason_cannot_forge_the_audit(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["a"], reason="x\n\nCoord-Op: lock.break\nCoord-Id: forged\n\x1b[2J"))
    two.break_lock(["a"], "y\n\nCoord-Session: root\n\n---\n")
    for entry in read_log(world.root):
        assert len(entry.ids) == 1
        assert "forged" not in entry.ids
        assert entry.trailers.get("Coord-Session", [""])[0] != "root"
        assert "\x1b" not in entry.body


# -- looking and checking


def test_locks_are_listed_by_path_pattern_and_owner(one: Desk, two: Desk) -> None:
    granted(one.lock_files(["src/a.py", "docs"]))
    granted(two.lock_files(["src/b.py"]))
    assert held(one) == ["docs", "src/a.py", "src/b.py"]
    assert held(one, owner="ours") == ["docs", "src/a.py"]
    assert held(one, owner="theirs") == ["src/b.py"]
    assert held(one, path="src") == ["src/a.py", "src/b.py"]
    assert held(one, path="*/a.py") == ["src/a.py"]
    assert held(one, path="docs/x/y") == ["docs"]
    assert held(one, path="tests") == []


def test_check_says_whether_the_session_may_edit(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["src"], reason="Rework"))
    mine, theirs = one.check(["src/app.py", "README.md"]), two.check(["README.md", "src/app.py"])
    assert mine["ok"] is True
    assert [row["why"].split(" ")[0] for row in mine["checked"]] == ["locked", "nobody"]
    assert theirs["ok"] is False
    assert code(theirs) == "lock_held"
    assert exit_code(theirs) == 1
    assert [row["ok"] for row in theirs["checked"]] == [True, False]
    assert "one-1" in theirs["error"]["message"]
    assert "Rework" in theirs["error"]["message"]
    assert theirs["checked"][1]["conflicts"][0]["held_path"] == "src"
    world.clock.advance(900)
    lapsed = two.check(["src/app.py"])
    assert lapsed["ok"] is True
    assert "lapsed" in lapsed["checked"][0]["warnings"][0]


def test_check_warns_of_intents_and_forbids_what_others_share(one: Desk, two: Desk) -> None:
    granted(one.lock_files(["a"], mode="intent"))
    granted(one.lock_files(["b"], mode="shared"))
    answer = two.check(["a", "b"])
    assert [row["ok"] for row in answer["checked"]] == [True, False]
    assert "one-1" in answer["checked"][0]["warnings"][0]


def test_status_is_one_screen_of_who_holds_what_and_what_lapses(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["a"], ttl_s=120, reason="quick"))
    granted(two.lock_files(["b"]))
    world.kill(two)
    shown = one.status()
    assert shown["repository"]["revision"] == world.state.revision
    assert shown["repository"]["tip"] == one.tip() == git(world.root, "rev-parse", "refs/coord")
    assert shown["session"]["session"] == "one-1"
    assert {view["session"]: view["state"] for view in shown["sessions"]} == {"one-1": "live", "two-1": "dead"}
    assert [lock["path"] for lock in shown["lapsing"]] == ["a"]
    assert any("two-1" in warning for warning in shown["warnings"])


def test_a_lock_that_stands_in_nobodys_way_is_listed_as_lapsed(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["short"], ttl_s=60))
    granted(one.lock_files(["long"]))
    granted(two.lock_files(["dead"]))

    def lapsed(*lists: list[Any]) -> list[list[str]]:
        return [[lock["path"] for lock in found if lock.get("lapsed")] for found in lists]

    assert lapsed(one.get_locked_files()["locks"], one.status()["locks"]) == [[], []]
    before = world.state.revision
    world.clock.advance(61)
    world.kill(two)
    other = world.command("other@host")
    assert [row["ok"] for row in other.check(["short", "long", "dead"])["checked"]] == [True, False, True]
    assert lapsed(other.get_locked_files()["locks"], other.status()["locks"]) == [["dead", "short"]] * 2
    assert lapsed(other.show_session("one-1")["session"]["locked"]) == [["short"]]
    # As it was then, by the times that were recorded and not by what is known today.
    granted(one.lock_files(["later"]))
    assert lapsed(other.at(str(before))["locks"], other.at("tip")["locks"]) == [[], ["short"]]
    assert lapsed(other.get_locked_files(at=str(before))["locks"], other.status(at="tip")["locks"]) == [[], ["short"]]


def test_history_tells_what_happened_to_a_path_and_by_whom(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["src"], reason="Rework"))
    granted(two.lock_files(["docs"]))
    two.break_lock(["src"], "stale")
    entries = one.get_history(path="src/app.py")["entries"]
    assert [entry["verb"] for entry in entries] == ["break", "lock"]
    assert entries[1]["reason"] == "Rework"
    assert entries[1]["author"] == "one-1"
    assert entries[0]["commit"] == git(world.root, "rev-parse", "refs/coord")
    touched = one.get_history(session="one-1")["entries"]
    assert [entry["type"] for entry in touched] == ["lock.break", "lock.acquire", "session.start"]
    assert len(one.get_history(limit=2)["entries"]) == 2
    for limit in (0, -1, 10_001):
        assert code(one.get_history(limit=limit)) == "bad_request"


def test_history_of_a_path_does_not_tell_of_a_resource_of_that_name(one: Desk) -> None:
    granted(one.lock_files(["deploy"], resource=True))
    granted(one.lock_files(["deploy"]))
    assert [entry["verb"] for entry in one.get_history(path="deploy")["entries"]] == ["lock"]
    assert len(one.get_history(path="deploy", resource=True)["entries"]) == 1


def test_history_of_a_path_tells_of_the_death_that_freed_it(world: World, one: Desk, two: Desk) -> None:
    granted(one.lock_files(["src"]))
    world.kill(one)
    granted(two.lock_files(["src/app.py"]))
    verbs = [entry["verb"] for entry in two.get_history(path="src/app.py")["entries"]]
    assert verbs == ["lock", "reap", "lock"]


# -- damage


def test_a_damaged_lock_is_reported_by_name_and_nothing_is_granted_over_it(world: World, one: Desk) -> None:
    granted(one.lock_files(["src/app.py", "docs/x"]))
    loosen(str(world.root))
    record = git(world.root, "rev-parse", "refs/coord:locks/src/app.py/@one-1.json")
    path = Path(world.coordinator.repository.runtime, "objects", record[:2], record[2:])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-9])
    two = world.agent("two")
    for files in (["src/app.py"], ["src"], ["**/app.py"]):
        answer = two.lock_files(files)
        assert answer["granted"] is False
        assert exit_code(answer) == 3, answer
        assert record in answer["error"]["message"] or "src/app.py" in answer["error"]["message"]
        assert two.check(files)["ok"] is False
    granted(two.lock_files(["README.md"]))
