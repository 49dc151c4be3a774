"""Sessions as callers meet them: ids, takeover, death, sign-off, resuming, and who acts as whom."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitcoord.errors import exit_code
from support.repo import fsck, read_log
from support.world import World, code, granted


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "repo")


def ids(world: World) -> dict[str, str]:
    return {view["session"]: view["state"] for view in world.command("looker").list_sessions()["sessions"]}


# -- ids


def test_a_wished_id_is_given(world: World) -> None:
    answer = world.agent("Claude Code", session="refactor").sign_on(intent="rework")
    assert answer["session"] == "refactor"
    assert answer["project"] == "repo"
    assert answer["revision"] == 2
    assert answer["lease_expires_at"] == "2025-06-15T15:21:40.000Z"


def test_an_id_is_made_from_the_clients_own_name_and_the_lowest_free_number(world: World) -> None:
    desks = [world.agent("Claude Code") for _ in range(3)]
    assert [desk.sign_on()["session"] for desk in desks] == ["claude-code-1", "claude-code-2", "claude-code-3"]
    desks[1].sign_off()
    assert world.agent("Claude Code").sign_on()["session"] == "claude-code-2"
    assert world.agent("Cursor").sign_on()["session"] == "cursor-1"


HINTS = ["日本語" * 20, "", "\ud800 bad", "x" * 5000, "a\nCoord-Op: x", "../../etc", "é" * 60]


@pytest.mark.parametrize("hint", HINTS, ids=lambda hint: ascii(hint[:12]))
def test_any_clients_name_gives_an_id(world: World, hint: str) -> None:
    answer = world.agent(hint).sign_on()
    assert "error" not in answer, answer
    assert answer["session"].endswith("-1")
    assert fsck(world.root) == []


@pytest.mark.parametrize("intent", ["x" * 501, "\ud800"], ids=["long", "surrogate"])
def test_an_intent_that_cannot_be_kept_is_refused(world: World, intent: str) -> None:
    desk = world.agent()
    assert code(desk.sign_on(intent=intent)) == "bad_request"
    assert world.length() == 1
    assert desk.sign_on()["session"] == "agent-1"


def test_a_first_changing_operation_signs_on_in_a_commit_of_its_own(world: World) -> None:
    desk = world.agent("codex")
    answer = granted(desk.lock_files(["src/app.py"]))
    assert answer["session"] == "codex-1"
    assert world.since(1) == ["session.start", "lock.acquire"]
    assert desk.sign_on()["session"] == "codex-1"


def test_looking_signs_nobody_on(world: World) -> None:
    desk = world.agent()
    desk.get_locked_files()
    desk.check(["src/app.py"])
    desk.retrieve_data("s", "k")
    desk.list_keys("s")
    desk.list_scopes()
    desk.list_sessions()
    desk.get_history()
    desk.status()
    desk.delete_data("s", "missing")
    desk.delete_scope("missing")
    assert world.length() == 1


def test_a_refused_first_operation_signs_nobody_on(world: World) -> None:
    granted(world.agent("a").lock_files(["x"]))
    before = world.length()
    late = world.agent("b")
    assert code(late.lock_files(["x"])) == "lock_held"
    assert world.length() == before
    assert granted(late.lock_files(["y"]))["session"] == "b-1"


def test_a_taken_id_is_refused_with_who_has_it_and_since_when(world: World) -> None:
    world.agent(session="builder").sign_on()
    world.clock.advance(5)
    answer = world.agent(session="builder").sign_on()
    assert code(answer) == "session_taken"
    assert answer["ok"] is False
    assert answer["since"] == "2025-06-15T15:06:40.000Z"
    assert "builder" in answer["error"]["message"]
    assert answer["error"]["next"]
    assert exit_code(answer) == 1


def test_a_live_id_is_not_taken_over(world: World) -> None:
    world.agent(session="builder").sign_on()
    answer = world.agent(session="builder").sign_on(takeover=True)
    assert code(answer) == "session_taken"
    assert "alive" in answer["error"]["message"]


def test_the_id_of_a_dead_process_is_refused_until_takeover_is_asked_for(world: World) -> None:
    old = world.agent(session="builder")
    old.sign_on()
    granted(old.lock_files(["src/app.py"]))
    world.kill(old)
    new = world.agent(session="builder")
    refused = new.sign_on()
    assert code(refused) == "session_taken"
    assert "takeover" in refused["error"]["next"]
    answer = new.sign_on(takeover=True)
    assert answer["session"] == "builder"
    assert world.state.session("builder") is not None
    assert new.get_locked_files()["locks"] == []
    assert world.log()[-1].types == ["session.start"]
    assert read_log(world.root)[-1].subject == "takeover: builder (its process is gone)"


def test_a_takeover_of_the_living_whose_lease_is_over_ends_the_old_incarnation(world: World) -> None:
    old = world.agent(session="builder")
    first = old.sign_on()
    granted(old.lock_files(["a"]))
    world.clock.advance(900)
    new = world.agent(session="builder")
    second = new.sign_on(takeover=True)
    assert second["incarnation"] != first["incarnation"]
    answer = old.lock_files(["a"])
    assert code(answer) == "session_ended"
    assert "taken over" in answer["error"]["message"]
    assert answer["granted"] is False
    assert granted(new.lock_files(["a"]))["session"] == "builder"


def test_an_incarnation_that_never_was_is_not_known_and_one_that_was_is_over(world: World) -> None:
    old = world.agent(session="builder")
    over = old.sign_on()["incarnation"]
    old.sign_off()
    world.agent(session="builder").sign_on()
    never = "01M8A10N8W2HC1P34K4P2JZS1J"
    for session in ("builder", "nobody", None):
        answer = world.agent().sign_on(session=session, incarnation=never)
        assert code(answer) == "session_ended"
        assert f"{never} is not known here" in answer["error"]["message"]
        answer = world.agent().sign_on(session=session, incarnation=over)
        assert code(answer) == "session_ended"
        assert "is over" in answer["error"]["message"]


def test_the_old_incarnation_is_told_once_and_is_then_signed_on_anew(world: World) -> None:
    old = world.agent("codex")
    old.sign_on()
    granted(old.lock_files(["a"]))
    world.clock.advance(900)
    granted(world.agent("other").lock_files(["a"]))  # reaps codex-1
    assert code(old.store_data("s", "k", 1)) == "session_ended"
    assert world.state.datum("s", "k") is None
    assert old.store_data("s", "k", 1)["ok"]


# -- leases


def test_a_lapsed_lease_that_nobody_took_revives_with_the_next_operation(world: World) -> None:
    desk = world.agent()
    token = granted(desk.lock_files(["a"]))["token"]
    world.clock.advance(10_000)
    assert ids(world) == {"agent-1": "lapsed"}
    desk.store_data("s", "k", 1)
    assert ids(world) == {"agent-1": "live"}
    assert desk.get_locked_files()["locks"][0]["token"] == token


def test_a_command_has_two_hours_and_a_process_a_quarter_of_one(world: World) -> None:
    world.agent("server").sign_on()
    world.command("ada@host").sign_on()
    world.clock.advance(900)
    assert ids(world) == {"server-1": "lapsed", "ada@host": "live"}
    world.clock.advance(7200 - 900)
    assert ids(world) == {"server-1": "lapsed", "ada@host": "lapsed"}


def test_renewing_sets_the_length_of_the_lease(world: World) -> None:
    desk = world.command()
    desk.sign_on()
    world.clock.advance(10)
    answer = desk.renew(lease_s=60)
    assert answer["lease_expires_at"] == "2025-06-15T15:07:50.000Z"
    assert code(desk.renew(lease_s=86401)) == "limit_reached"
    assert code(desk.renew(lease_s=0)) == "bad_request"
    world.clock.advance(60)
    assert ids(world) == {"ada@host": "lapsed"}


def test_renewing_or_ending_what_nobody_began_is_refused(world: World) -> None:
    desk = world.command()
    for answer in (desk.renew(), desk.sign_off(), desk.unlock_files(["a"]), desk.unlock_files(all=True)):
        assert code(answer) == "unknown_session"
        assert answer["ok"] is False
    assert world.length() == 1


@pytest.mark.parametrize("jump_s", [-86400 * 300, 86400 * 300])
def test_setting_the_wall_clock_makes_nobody_lapse(world: World, jump_s: int) -> None:
    desk = world.agent("a")
    granted(desk.lock_files(["a"]))
    world.clock.jump(jump_s)
    other = world.agent("b")
    assert ids(world) == {"a-1": "live"}
    assert code(other.lock_files(["a"])) == "lock_held"
    assert other.check(["a"])["ok"] is False


def test_after_a_reboot_a_lease_is_measured_by_the_wall_clock(world: World) -> None:
    desk = world.agent("a")
    granted(desk.lock_files(["a"]))
    world.kill(desk)
    world.clock.advance(100)
    world.clock.reboot()
    other = world.agent("b")
    assert code(other.lock_files(["a"])) == "lock_held"
    world.clock.advance(800)
    granted(other.lock_files(["a"]))
    assert world.operations("session.reap")[0]["evidence"] == {"kind": "lease-over"}


# -- deaths


def test_the_locks_of_a_dead_process_are_free_for_the_next_comer_in_a_commit_that_says_why(world: World) -> None:
    dead = world.agent("claude-code")
    first = granted(dead.lock_files(["src/app.py", "docs/x"]))
    world.kill(dead)
    other = world.agent("codex")
    second = granted(other.lock_files(["src/app.py"]))
    assert world.since(first["revision"]) == ["session.start", "session.reap", "lock.acquire"]
    assert second["token"] > first["token"]
    subject = read_log(world.root)[-2].subject
    assert subject == "reap: claude-code-1 (its process is gone), by codex-1"
    assert [lock["path"] for lock in other.get_locked_files()["locks"]] == ["src/app.py"]


def test_nobody_is_reaped_before_somebody_wants_what_they_hold(world: World) -> None:
    dead = world.agent("a")
    granted(dead.lock_files(["x"]))
    world.kill(dead)
    other = world.agent("b")
    granted(other.lock_files(["y"]))
    other.list_sessions()
    other.check(["x"])
    other.status()
    assert world.operations("session.reap") == []
    assert ids(world)["a-1"] == "dead"


def test_a_living_process_is_not_dead_however_long_it_was_quiet(world: World) -> None:
    quiet = world.agent("a")
    granted(quiet.lock_files(["x"]))
    world.clock.advance(899)
    assert code(world.agent("b").lock_files(["x"])) == "lock_held"


def test_a_lost_proof_of_life_is_no_death(world: World) -> None:
    desk = world.agent("a")
    granted(desk.lock_files(["x"]))
    own = desk.callers.own
    assert own is not None
    Path(world.coordinator.repository.runtime, "alive", own.incarnation).unlink()
    assert code(world.agent("b").lock_files(["x"])) == "lock_held"
    assert ids(world)["a-1"] == "live"


def test_a_command_that_just_acted_as_a_dead_servers_session_keeps_it(world: World) -> None:
    server = world.agent(session="team")
    granted(server.lock_files(["x"]))
    world.kill(server)
    world.command("team").store_data("s", "k", 1)
    other = world.agent("b")
    assert code(other.lock_files(["x"])) == "lock_held"
    world.clock.advance(61)
    granted(other.lock_files(["x"]))


def test_a_server_that_closes_signs_off_and_leaves_no_proof(world: World) -> None:
    desk = world.agent()
    granted(desk.lock_files(["x"]))
    desk.close()
    desk.close()
    assert ids(world) == {}
    assert world.log()[-1].types == ["session.end"]
    assert os.listdir(os.path.join(world.coordinator.repository.runtime, "alive")) == []


def test_a_server_that_closes_after_its_session_was_taken_leaves_the_new_one_alone(world: World) -> None:
    old = world.agent(session="team")
    old.sign_on()
    world.clock.advance(900)
    new = world.agent(session="team")
    new.sign_on(takeover=True)
    old.close()
    assert ids(world) == {"team": "live"}


def test_a_refused_sign_on_leaves_no_proof_of_life_behind(world: World) -> None:
    world.agent(session="team").sign_on()
    for _ in range(3):
        world.agent(session="team").sign_on()
    assert len(os.listdir(os.path.join(world.coordinator.repository.runtime, "alive"))) == 1


# -- signing off


def test_sign_off_releases_everything_in_the_same_commit(world: World) -> None:
    desk = world.agent()
    granted(desk.lock_files(["b", "a", "src/*.py"]))
    granted(desk.lock_files(["deploy"], resource=True))
    before = world.length()
    answer = desk.sign_off()
    assert sorted(answer["released"]) == ["a", "b", "deploy", "src/*.py"]
    assert world.length() == before + 1
    assert world.log()[-1].types == ["session.end"]
    assert desk.get_locked_files()["locks"] == []
    assert ids(world) == {}


def test_after_signing_off_the_next_operation_signs_on_anew(world: World) -> None:
    desk = world.agent("a")
    first = desk.sign_on()
    desk.sign_off()
    second = desk.sign_on()
    assert second["session"] == first["session"] == "a-1"
    assert second["incarnation"] != first["incarnation"]
