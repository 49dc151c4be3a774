"""Who acts as whom, goes on as whom, and hears what news."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from gitcoord.errors import NotInitialised, exit_code
from gitcoord.service import open_desk
from support.clock import ManualClock
from support.repo import git, make_repo, read_json
from support.world import World, code, granted


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "repo")


def ids(world: World) -> dict[str, str]:
    return {view["session"]: view["state"] for view in world.command("looker").list_sessions()["sessions"]}


# -- who acts as whom


def test_a_command_goes_on_as_the_session_of_the_command_before(world: World) -> None:
    first = world.command().sign_on()
    granted(world.command().lock_files(["a"]))
    assert world.command().sign_on()["incarnation"] == first["incarnation"]
    assert world.command().unlock_files(["a"])["released"] == ["a"]


def test_naming_a_session_of_the_clone_acts_as_it(world: World) -> None:
    server = world.agent(session="team")
    server.sign_on()
    granted(world.command("ada@host").lock_files(["a"], session="team"))
    assert [lock["session"] for lock in server.get_locked_files()["locks"]] == ["team"]
    assert server.unlock_files(["a"])["released"] == ["a"]


def test_a_session_at_work_on_another_machine_is_not_acted_as(world: World) -> None:
    world.agent(session="team", clock=ManualClock(machine="machine-b")).sign_on()
    answer = world.command("ada@host").lock_files(["a"], session="team")
    assert code(answer) == "session_taken"
    assert "another machine" in answer["error"]["message"]


def test_a_second_server_with_the_same_wished_id_does_not_act_as_the_first(world: World) -> None:
    world.agent(session="team").sign_on()
    answer = world.agent(session="team").lock_files(["a"])
    assert code(answer) == "session_taken"
    assert answer["granted"] is False


@pytest.mark.parametrize("session", ["", "a b", "../x", "a\n", "@x", "x.lock"], ids=repr)
def test_a_name_that_is_no_id_is_refused_everywhere(world: World, session: str) -> None:
    desk = world.command()
    answers: list[dict[str, Any]] = [
        desk.lock_files(["a"], session=session),
        desk.unlock_files(["a"], session=session),
        desk.break_lock(["a"], "r", session=session),
        desk.store_data("s", "k", 1, session=session),
        desk.delete_data("s", "k", 5, session=session),
        desk.sign_on(session=session),
        desk.sign_off(session=session),
        desk.renew(session=session),
        desk.show_session(session),
        desk.check(["a"], session=session),
        desk.get_locked_files(owner="ours", session=session),
        desk.get_history(session=session),
    ]
    assert [code(answer) for answer in answers] == ["invalid_name"] * len(answers)
    assert world.length() == 1


def test_signing_on_again_confirms_the_session_and_renews_it(world: World) -> None:
    desk = world.agent("a")
    first = desk.sign_on()
    world.clock.advance(60)
    second = desk.sign_on(intent="something new")
    assert second["incarnation"] == first["incarnation"]
    assert second["lease_expires_at"] > first["lease_expires_at"]
    assert desk.show_session("a-1")["session"]["intent"] == "something new"


def test_signing_on_under_another_id_ends_the_former_session_unless_it_holds_something(world: World) -> None:
    desk = world.agent("a")
    desk.sign_on()
    assert desk.sign_on(session="better")["session"] == "better"
    assert ids(world) == {"better": "live"}
    granted(desk.lock_files(["x"]))
    answer = desk.sign_on(session="third")
    assert code(answer) == "refused"
    assert "better" in answer["error"]["message"]
    assert ids(world) == {"better": "live"}


def test_threads_that_share_a_desk_sign_on_once_and_lose_nothing(world: World) -> None:
    desk = world.agent("a")
    answers: list[dict[str, Any]] = []

    def work(number: int) -> None:
        answers.append(desk.store_data("s", f"k{number}", number))
        answers.append(desk.lock_files([f"f{number}"]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code(answer) for answer in answers] == [None] * 16
    assert len(world.operations("session.start")) == 1
    assert len(world.operations()) == 18
    assert desk.show_session("a-1")["session"]["locks"] == 8


def test_a_file_system_that_refuses_is_an_answer_and_changes_nothing(world: World) -> None:
    desk = world.agent("a")
    desk.sign_on()
    before = world.length()
    in_the_way = os.path.join(world.coordinator.repository.runtime, "pending")
    os.remove(in_the_way)
    os.mkdir(in_the_way)
    answer = desk.store_data("s", "k", 1)
    assert code(answer) == "storage"
    assert exit_code(answer) == 5
    os.rmdir(in_the_way)
    assert world.length() == before
    assert desk.store_data("s", "k", 1)["ok"]


# -- resuming


def test_an_agent_that_resumes_in_another_process_goes_on_with_its_locks(world: World) -> None:
    old = world.agent("a")
    signed = old.sign_on()
    token = granted(old.lock_files(["x"]))["token"]
    world.kill(old)
    new = world.agent("a")
    answer = new.sign_on(incarnation=signed["incarnation"])
    assert answer["session"] == "a-1"
    assert answer["incarnation"] == signed["incarnation"]
    assert ids(world) == {"a-1": "live"}
    assert new.get_locked_files(owner="ours")["locks"][0]["token"] == token
    assert code(world.agent("b").lock_files(["x"])) == "lock_held"


def test_an_incarnation_that_was_reaped_does_not_resume(world: World) -> None:
    old = world.agent("a")
    signed = old.sign_on()
    granted(old.lock_files(["x"]))
    world.kill(old)
    granted(world.agent("b").lock_files(["x"]))
    new = world.agent("a")
    assert code(new.sign_on(incarnation=signed["incarnation"])) == "session_ended"
    assert "error" not in new.sign_on()


def test_an_incarnation_whose_process_lives_is_not_resumed_by_another(world: World) -> None:
    old = world.agent("a")
    signed = old.sign_on()
    answer = world.agent("a").sign_on(incarnation=signed["incarnation"])
    assert code(answer) == "session_taken"
    granted(old.lock_files(["x"]))


def test_a_command_that_resumes_does_not_take_the_proof_from_a_living_server(world: World) -> None:
    server = world.agent("a")
    signed = server.sign_on()
    granted(server.lock_files(["x"]))
    world.command("ada@host").sign_on(incarnation=signed["incarnation"])
    world.kill(server)
    world.clock.advance(61)
    granted(world.agent("b").lock_files(["x"]))


@pytest.mark.parametrize("incarnation", ["nonsense", "", "../../x", "01JZ0000000000000000000000"])
def test_an_incarnation_that_never_was_does_not_resume(world: World, incarnation: str) -> None:
    answer = world.agent("a").sign_on(incarnation=incarnation)
    assert code(answer) == "session_ended"
    assert world.length() == 1


# -- news


def test_the_loser_of_a_break_is_told_once_at_its_next_operation(world: World) -> None:
    loser, breaker = world.agent("a"), world.agent("b")
    granted(loser.lock_files(["x"]))
    breaker.break_lock(["x"], "needed for the release")
    answer = loser.store_data("s", "k", 1)
    (notice,) = answer["notices"]
    assert "x was broken by b-1" in notice
    assert "needed for the release" in notice
    assert "notices" not in loser.store_data("s", "k", 2)
    assert "notices" not in loser.get_locked_files(owner="ours")


@pytest.mark.parametrize("verb", ["read", "refused", "check", "sign_on", "renew"])
def test_news_comes_with_an_answer_of_any_kind_and_once(world: World, verb: str) -> None:
    loser, breaker = world.agent("a"), world.agent("b")
    granted(loser.lock_files(["x"]))
    breaker.break_lock(["x"], "why not")
    granted(breaker.lock_files(["x"]))
    told = {
        "read": loser.get_locked_files,
        "refused": lambda: loser.lock_files(["x"]),
        "check": lambda: loser.check(["x"]),
        "sign_on": loser.sign_on,
        "renew": loser.renew,
    }[verb]()
    assert len(told.get("notices", [])) == 1, told
    assert "notices" not in loser.store_data("s", "k", 1)
    assert "notices" not in loser.get_locked_files()


def test_a_background_renewal_swallows_no_news(world: World) -> None:
    loser, breaker = world.agent("a"), world.agent("b")
    granted(loser.lock_files(["x", "y"]))
    breaker.break_lock(["x"], "why not")
    world.clock.advance(500)
    loser.keep_alive_once()
    assert len(world.operations("session.renew")) == 1
    assert len(loser.store_data("s", "k", 1)["notices"]) == 1


def test_a_command_hears_the_news_of_its_session(world: World) -> None:
    granted(world.command("ada@host").lock_files(["x"]))
    world.command("bob@host").break_lock(["x"], "away")
    assert len(world.command("ada@host").store_data("s", "k", 1)["notices"]) == 1
    assert "notices" not in world.command("ada@host").store_data("s", "k", 2)


# -- looking


def test_a_session_is_shown_with_what_it_holds(world: World) -> None:
    desk = world.agent("claude-code")
    desk.sign_on(intent="rework the pool")
    granted(desk.lock_files(["b", "a"], reason="both"))
    shown = world.command().show_session("claude-code-1")
    session = shown["session"]
    assert shown["found"] is True
    assert sorted(lock["path"] for lock in session["locked"]) == ["a", "b"]
    assert {name: session[name] for name in ("state", "process", "locks", "intent", "agent", "author")} == {
        "state": "live",
        "process": True,
        "locks": 2,
        "intent": "rework the pool",
        "agent": "claude-code",
        "author": "claude-code-1",
    }
    missing = world.command().show_session("nobody")
    assert (missing["found"], missing["session"], missing["error"]["code"]) == (False, None, "not_found")


def test_a_session_is_a_record_that_git_shows(world: World) -> None:
    world.agent("codex").sign_on()
    record = read_json(world.root, "sessions/codex-1.json")
    assert record["session"] == "codex-1"
    assert git(world.root, "log", "-1", "--format=%an", "refs/coord") == "codex-1"


def test_a_person_is_the_author_of_a_commands_session(world: World) -> None:
    git(world.root, "config", "user.name", "Ada Lovelace")
    git(world.root, "config", "user.email", "ada@example.invalid")
    world.command("ada@host").sign_on()
    assert git(world.root, "log", "-1", "--format=%an <%ae>", "refs/coord") == "Ada Lovelace <ada@example.invalid>"


def test_without_a_log_every_verb_says_how_to_make_one(tmp_path: Path) -> None:
    desk = open_desk(make_repo(tmp_path / "bare", bare=True), hint="a", process=True)
    answers = [desk.sign_on(), desk.lock_files(["a"]), desk.get_locked_files(), desk.store_data("s", "k", 1)]
    answers += [desk.check(["a"]), desk.status(), desk.get_history(), desk.list_sessions(), desk.unlock_files(all=True)]
    for answer in answers:
        assert code(answer) == "not_initialised", answer
        assert answer["error"]["next"] == "gitcoord init"
        assert exit_code(answer) == 5
    with pytest.raises(NotInitialised):
        desk.tip()
