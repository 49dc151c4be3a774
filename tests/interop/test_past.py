"""The past as it was, through merges, breaks, takeovers and locks that ran out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.service import open_desk
from support.clock import ManualClock
from support.program import run
from support.repo import LOG_REF, git
from support.team import Team

if TYPE_CHECKING:
    from pathlib import Path

    from gitcoord.service import Desk


@pytest.fixture
def merged(tmp_path: Path) -> str:
    """Return a clone whose log has a merge: what bob did offline, and what ada had agreed meanwhile."""
    team = Team(tmp_path)
    one, two = team.sharing("one"), team.sharing("two")
    for name in ("broken.py", "freed.py"):
        assert run(one, "lock", name, "-m", "first", "--session", "ada").code == 0
    assert run(two, "sync").code == 0
    with team.without_remote():
        for words in (
            ("lock", "passing.py", "-m", "short work"),
            ("lock", "contested.py"),
            ("unlock", "passing.py"),
            ("unlock", "--force", "broken.py", "-m", "urgent"),
        ):
            done = run(two, *words, "--offline", "--session", "bob")
            assert done.code == 0, done
    assert run(one, "lock", "contested.py", "--session", "ada").code == 0
    assert run(one, "unlock", "freed.py", "--session", "ada").code == 0
    for where in (two, one):
        assert run(where, "sync").code == 0
    assert len(git(one, "rev-list", "--merges", LOG_REF).split()) == 1
    return one


def blamed(where: str, path: str) -> list[tuple[str, str, str, str]]:
    answer: dict[str, Any] = run(where, "blame", path, "--json").json
    return [(hold["session"], hold["ended"], hold["ended_by"], hold["ended_why"]) for hold in answer["holds"]]


def test_what_came_with_a_merge_is_told_by_what_was_done_there(merged: str) -> None:
    assert blamed(merged, "broken.py") == [("ada", "broken", "bob", "urgent")]
    assert blamed(merged, "freed.py") == [("ada", "released", "ada", None)]
    assert blamed(merged, "contested.py") == [("ada", None, None, None)]
    assert blamed(merged, "passing.py") == [("bob", "released", "bob", None)]
    (hold,) = run(merged, "blame", "passing.py", "--json").json["holds"]
    assert (hold["reason"], hold["path"]) == ("short work", "passing.py")
    assert hold["since"] < hold["until"]
    assert hold["commit"] == git(merged, "rev-parse", LOG_REF)
    assert git(merged, "log", "-1", "--format=%s", hold["ended_commit"]) == "unlock: passing.py (bob)"


def test_the_state_of_a_commit_that_a_merge_brought_in_was_never_the_logs(merged: str) -> None:
    apart = git(merged, "rev-parse", f"{LOG_REF}^2")
    refused = run(merged, "at", apart, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "not_found")
    assert refused.json["error"]["next"] == f"gitcoord at {git(merged, 'rev-parse', LOG_REF)}"
    at = git(merged, "rev-parse", f"{LOG_REF}~1")
    assert [lock["path"] for lock in run(merged, "at", at, "--json").json["locks"]] == ["broken.py", "contested.py"]
    assert [lock["path"] for lock in run(merged, "at", "tip", "--json").json["locks"]] == ["contested.py"]


def test_a_hold_that_ran_out_was_taken_over_or_stands_unclaimed_is_told_so(tmp_path: Path) -> None:
    where, clock = Team(tmp_path).clone("one"), ManualClock()
    assert run(where, "init").code == 0

    def desk(session: str) -> Desk:
        return open_desk(where, session=session, hint="test", clock=clock)

    old = desk("old")
    old.sign_on(session="old")
    for path in ("taken.py", "short.py", "left.py"):
        assert old.lock_files([path], ttl_s=60 if path != "taken.py" else None)["granted"]
    asked: dict[str, Any] = old.status()["repository"]
    clock.advance(61)
    other = desk("other")
    assert other.lock_files(["short.py"])["granted"]
    (second, first) = other.blame("short.py")["holds"]
    assert (first["ended"], first["ended_by"], "lapsed" in second) == ("ran out of its time", "other", False)
    (left,) = other.blame("left.py")["holds"]
    assert (left["ended"], left["lapsed"]) == (None, True)
    # At a moment between, the commit is the same and the time is not.
    assert [lock["path"] for lock in other.at(str(asked["revision"]))["locks"] if "lapsed" in lock] == []
    late = [lock["path"] for lock in other.at("0s")["locks"] if "lapsed" in lock]
    assert late == ["left.py"]
    clock.advance(100_000)
    new = desk("old")
    assert new.sign_on(session="old", takeover=True)["session"] == "old"
    (taken,) = new.blame("taken.py")["holds"]
    assert (taken["ended"], taken["ended_by"]) == ("taken over", "old")


def test_a_renamed_file_has_two_names_and_a_holder_by_each(tmp_path: Path) -> None:
    where = Team(tmp_path).clone("one")
    assert run(where, "init").code == 0
    (tmp_path / "one" / "old.py").write_text("x\n")
    git(where, "add", "old.py")
    git(where, "commit", "-q", "-m", "old")
    assert run(where, "lock", "old.py", "--session", "ada").code == 0
    git(where, "mv", "old.py", "new.py")
    assert blamed(where, "new.py") == []
    assert "by this name" in run(where, "blame", "new.py").err
    assert run(where, "lock", "new.py", "--session", "bob").code == 0
    assert [held[0] for held in (*blamed(where, "old.py"), *blamed(where, "new.py"))] == ["ada", "bob"]
