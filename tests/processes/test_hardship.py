"""Slow disks, deleted refs, foreign hands, lost sessions: nothing is doubled, lost, or granted by mistake."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gitcoord.coordinator import Coordinator
from gitcoord.service import Desk, doctor, initialise, open_desk
from support.clock import ManualClock


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    initialise(str(tmp_path))
    return tmp_path


def git(where: Path, *words: str, given: str | None = None) -> str:
    done = subprocess.run(["git", "-C", str(where), *words], check=True, capture_output=True, text=True, input=given)
    return done.stdout.strip()


def desk(root: Path, name: str, **more: Any) -> Desk:
    return open_desk(str(root), session=name, **more)


def rewritten(root: Path, path: str, where: tuple[str | int, ...], value: object) -> None:
    """Let plain git put a file with another value somewhere in it, or no such file, on the log's tip."""
    env = {"GIT_INDEX_FILE": str(root / "index-of-the-test")}
    words = ["git", "-C", str(root)]

    def run(*more: str, given: str | None = None) -> str:
        done = subprocess.run([*words, *more], check=True, capture_output=True, text=True, input=given, env=env)
        return done.stdout.strip()

    run("read-tree", "refs/coord")
    if not where:
        run("update-index", "--force-remove", path)
    else:
        record: Any = json.loads(git(root, "show", f"refs/coord:{path}"))
        inner = record
        for step in where[:-1]:
            inner = inner[step]
        inner[where[-1]] = value
        oid = run("hash-object", "-w", "--stdin", given=json.dumps(record))
        run("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
    tree = run("write-tree")
    message = git(root, "log", "-1", "--format=%B", "refs/coord")
    identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
    commit = git(root, *identity, "commit-tree", tree, "-p", "refs/coord", given=message)
    git(root, "update-ref", "refs/gitcoord/main", commit)


def test_an_operation_that_takes_longer_than_the_chain_is_believed_succeeds_at_once(root: Path) -> None:
    one = desk(root, "one@host")
    pending = one.access.coordinator._pending  # pyright: ignore[reportPrivateUsage]
    pending._believed_ms = -1  # pyright: ignore[reportPrivateUsage] - whatever is written is too old already
    assert one.lock_files(["a"])["granted"]
    assert one.lock_files(["b"])["granted"]
    assert len(one.get_history(limit=100)["entries"]) == 4


def test_a_deleted_ref_is_put_back_and_tokens_go_on(root: Path) -> None:
    one = desk(root, "one@host")
    token = one.lock_files(["a"])["token"]
    tip = git(root, "rev-parse", "refs/coord")
    git(root, "update-ref", "-d", "refs/gitcoord/main")
    listed = one.list_sessions()
    assert ("error" not in listed, "it was deleted" in listed["notices"][0]) == (True, True)
    made = initialise(str(root))
    assert (made["created"], made["restored"]) == (False, True)
    assert git(root, "rev-parse", "refs/coord") == tip
    assert desk(root, "two@host").lock_files(["b"])["token"] > token


def test_a_lock_without_its_session_still_stands_in_the_way(root: Path) -> None:
    assert desk(root, "one@host").lock_files(["a"])["granted"]
    rewritten(root, "sessions/one@host.json", (), None)
    two = desk(root, "two@host")
    assert two.check(["a"])["ok"] is False
    assert two.lock_files(["a"])["granted"] is False
    assert "no session" in doctor(str(root))["findings"][0]["message"]
    assert two.break_lock(["a"], "its session is gone")["ok"]
    assert two.lock_files(["a"])["granted"]


@pytest.mark.parametrize("field", ["format", "rules"])
def test_a_log_of_a_later_version_is_not_read_as_if_it_were_known(root: Path, field: str) -> None:
    one = desk(root, "one@host")
    assert one.lock_files(["a"])["granted"]
    rewritten(root, "coord.json", (field,), 99)
    for answer in (one.check(["b"]), one.get_locked_files(), one.retrieve_data("s", "k"), one.lock_files(["b"])):
        assert answer["error"]["code"] == "unsupported_format"


TAMPERED: list[tuple[str, tuple[str | int, ...], Any]] = [
    ("policy.json", ("limits",), {}),
    ("coord.json", ("operations",), [None]),
    ("coord.json", ("operations",), [{}]),
    ("coord.json", ("operations", 0, "claims"), []),
    ("sessions/one@host.json", ("clock", "time"), "garbage"),
    ("sessions/one@host.json", ("author",), {}),
]


@pytest.mark.parametrize(("path", "where", "value"), TAMPERED, ids=str)
def test_tampered_records_are_named_and_never_a_traceback(
    root: Path, path: str, where: tuple[str | int, ...], value: object
) -> None:
    one, two = desk(root, "one@host"), desk(root, "two@host")
    assert one.lock_files(["a"])["granted"]
    rewritten(root, path, where, value)
    answers = [two.lock_files(["a"]), two.check(["a"]), two.status(), two.get_history(), one.lock_files(["b"])]
    errors = [answer["error"] for answer in answers if "error" in answer]
    assert errors
    assert not any(answer.get("granted") for answer in answers[:1])


def test_a_command_line_session_that_was_reaped_is_told_when_it_comes_again(root: Path) -> None:
    clock = ManualClock()
    one, two = desk(root, "one@host", clock=clock), desk(root, "two@host", clock=clock)
    assert one.lock_files(["a"])["granted"]
    clock.advance(7300)
    assert two.lock_files(["a"])["granted"]
    (notice,) = one.lock_files(["b"])["notices"]
    assert "ended by two@host" in notice
    assert "it held a" in notice
    assert one.lock_files(["c"])["notices"] == []


def test_what_is_published_is_answered_as_done_though_the_notes_fail(root: Path) -> None:
    one = desk(root, "one@host")
    assert one.lock_files(["a"])["granted"]
    seen = root / ".git/gitcoord/seen"
    for path in seen.iterdir():
        path.unlink()
    seen.rmdir()
    seen.write_text("a file where the directory should be")
    answer = desk(root, "one@host").lock_files(["b"])
    assert answer["granted"]
    assert "notes" in answer["notices"][0]


def test_a_shared_repository_is_refused_with_the_reason(tmp_path: Path) -> None:
    from gitcoord.errors import UnsupportedRepository

    git(tmp_path, "init", "-q", "--shared=group")
    with pytest.raises(UnsupportedRepository, match="sharedRepository"):
        initialise(str(tmp_path))
    assert not (tmp_path / ".git/gitcoord").exists()


def test_a_server_that_stores_large_values_for_long_keeps_its_memory(root: Path) -> None:
    one = desk(root, "one@host")
    for number in range(12):
        assert one.store_data("s", "k", str(number) + "x" * 200_000)["ok"]
    log = one.access.log
    assert isinstance(log, Coordinator)
    assert log._records._kept_bytes <= 24 * 1024 * 1024  # pyright: ignore[reportPrivateUsage] - its own account
