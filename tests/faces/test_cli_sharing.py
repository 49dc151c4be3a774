"""Sharing at the command line: what is printed where, and with which exit code."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.runtime.shared import Shared, read_contact, write_shared
from gitcoord.service import initialise
from support.procs import wait_until
from support.program import Done, run, start
from support.repo import LOG_REF, git
from support.team import Team, desk, plain_commit, tip
from support.world import granted

if TYPE_CHECKING:
    from pathlib import Path

REFUSED, USAGE, INTEGRITY, NOT_CONFIRMED = 1, 2, 3, 4


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def done(answer: Done, code: int = 0) -> Done:
    assert answer.code == code, (answer.out, answer.err)
    assert "Traceback" not in answer.err
    return answer


# -- turning it on


def test_init_says_what_is_pushed_where_and_who_can_read_it(team: Team) -> None:
    where = team.clone("one")
    said = done(run(where, "init", "--remote", "origin"))
    assert f"remote     origin ({team.hub}); the log published as {LOG_REF} and confirms locks from now on" in said.out
    assert "warning: whoever can read this remote can read the state" in said.err
    again = done(run(where, "init", "--remote", "origin"))
    assert "there already; nothing was changed" in again.out
    assert f"the log is there as {LOG_REF}" in again.out


def test_a_fresh_clone_needs_only_init(team: Team) -> None:
    granted(desk(team.sharing("one"), "ada@one").lock_files(["src/app.py"]))
    where = team.clone("two")
    said = done(run(where, "init"))
    assert "(joined; it was on the remote)" in said.out
    assert "is there as refs/gitcoord/main" in said.out
    locks = done(run(where, "locks", "--json")).json["locks"]
    assert [(lock["path"], lock["session"], lock["state"]) for lock in locks] == [
        ("src/app.py", "ada@one", "confirmed")
    ]


def test_sharing_is_turned_on_later_by_sync(team: Team) -> None:
    where = team.clone("one")
    done(run(where, "init"))
    done(run(where, "lock", "src/app.py"))
    alone = done(run(where, "sync", "--json"), 5)
    assert alone.json["error"]["next"] == "gitcoord sync --remote origin"
    said = done(run(where, "sync", "--remote", "origin"))
    assert "the log published as refs/gitcoord/main" in said.out
    assert "same point" in said.out
    assert "warning: whoever can read" in said.err
    assert team.tip() == tip(where)
    assert done(run(where, "locks", "--json")).json["locks"][0]["state"] == "confirmed"


def test_a_remote_that_takes_no_such_refs_is_offered_a_branch(team: Team) -> None:
    team.refuse("refs/gitcoord/*")
    where = team.clone("one")
    for command in (("init", "--remote", "origin"), ("sync", "--remote", "origin")):
        said = done(run(where, *command), NOT_CONFIRMED)
        assert "no such refs here" in said.err
        assert "gitcoord init --remote origin --branch" in said.err
    done(run(where, "sync", "--remote", "origin", "--branch"))
    fresh = team.clone("two")
    assert "refs/heads/gitcoord" in done(run(fresh, "init")).out


def test_two_logs_are_joined_only_when_asked(team: Team) -> None:
    granted(desk(team.sharing("one"), "ada@one").lock_files(["x"]))
    where = team.clone("two")
    done(run(where, "init", "--local"))
    done(run(where, "lock", "y"))
    before = team.tip(), tip(where)
    said = done(run(where, "sync", "--remote", "origin"), INTEGRITY)
    assert "they began apart" in said.err
    assert "--adopt" in said.err
    assert "--adopt" in done(run(where, "init")).err
    assert (team.tip(), tip(where)) == before
    done(run(where, "sync", "--remote", "origin", "--adopt"))
    assert {lock["path"] for lock in done(run(where, "locks", "--json")).json["locks"]} == {"x", "y"}


@pytest.mark.parametrize("how", ["sync --remote", "sync", "init --remote"])
def test_what_did_not_hold_in_the_other_log_is_listed(team: Team, how: str) -> None:
    granted(desk(team.sharing("one"), "ada@one").lock_files(["x"]))
    where = team.clone("two")
    done(run(where, "init", "--local"))
    done(run(where, "lock", "x"))
    if how == "sync":
        done(run(where, "sync", "--remote", "origin"), INTEGRITY)
        write_shared(f"{where}/.git/gitcoord", Shared("origin", LOG_REF))
    words = [*how.split(), *(["origin"] if "remote" in how else []), "--adopt", "--json"]
    answer = done(run(where, *words)).json
    refused = answer["sharing"]["refused"] if how.startswith("init") else answer["refused"]
    assert [(one["type"], one["claims"]) for one in refused] == [("lock.acquire", ["x"])]


@pytest.mark.parametrize("command", ["sync", "init"])
def test_what_did_not_hold_in_the_other_log_is_printed_first(team: Team, command: str) -> None:
    done(run(team.sharing("one"), "lock", "x", "--session", "root@vm"))
    where = team.clone("two")
    done(run(where, "init", "--local"))
    done(run(where, "lock", "x", "y", "--session", "root@vm"))
    done(run(where, "lock", "z", "--session", "eve@vm"))
    hint = done(run(where, "sync", "--remote", "origin"), INTEGRITY).err
    assert "gitcoord sync --remote origin --adopt" in hint
    out = done(run(where, command, "--remote", "origin", "--adopt")).out
    token = done(run(where, "locks", "z", "--json")).json["locks"][0]["token"]
    lines = out.splitlines()
    assert lines[0].startswith("refused: session.start of root@vm: session root@vm is ")
    assert lines[1].startswith("refused: lock.acquire x y of root@vm: ")
    assert lines[2] == f"confirmed: z of eve@vm, token {token}"
    assert "nothing new" not in out


def test_a_remote_that_was_renamed_or_removed_is_named_with_the_way_out(team: Team) -> None:
    where = team.sharing("one")
    done(run(where, "lock", "x"))
    before = team.tip()
    git(where, "remote", "rename", "origin", "upstream")
    for words in (("sync",), ("lock", "y")):
        said = done(run(where, *words), NOT_CONFIRMED)
        assert "no such remote: 'origin'" in said.err
        assert "gitcoord sync --remote NAME" in said.err
        assert "try again" not in said.err
    team.set_hub(git(team.hub, "rev-parse", f"{before}^"))
    said = done(run(where, "sync", "--remote", "upstream"))
    assert team.tip() != git(team.hub, "rev-parse", f"{before}^"), "what was seen under the old name is not forgotten"
    assert done(run(where, "lock", "y", "--json")).json["state"] == "confirmed"
    git(where, "remote", "remove", "upstream")
    assert "gitcoord sync --remote NAME" in done(run(where, "sync"), NOT_CONFIRMED).err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("init", "--remote", "origin", "--local"), USAGE),
        (("init", "--branch"), USAGE),
        (("init", "--adopt"), USAGE),
        (("sync", "--watch", "--remote", "origin"), USAGE),
        (("sync", "--branch"), USAGE),
        (("sync", "--remote", "upstream"), NOT_CONFIRMED),
    ],
    ids=str,
)
def test_what_contradicts_itself_or_names_nothing_changes_nothing(
    team: Team, words: tuple[str, ...], code: int
) -> None:
    where = team.clone("one")
    initialise(where)
    before = tip(where)
    said = done(run(where, *words), code)
    assert said.out == ""
    assert tip(where) == before
    assert git(team.hub, "for-each-ref", LOG_REF) == ""


def test_several_push_urls_are_refused_with_the_way_out(team: Team) -> None:
    where = team.clone("one")
    for url in (team.hub, "/nowhere.git"):
        git(where, "remote", "set-url", "--add", "--push", "origin", url)
    said = done(run(where, "init", "--remote", "origin"), NOT_CONFIRMED)
    assert "several push URLs" in said.err
    assert "git remote add NAME URL" in said.err


def test_what_is_said_of_the_last_failure_is_of_the_last_one(team: Team) -> None:
    where = team.sharing("one")
    done(run(where, "session", "start"))
    for url in (team.hub, "/nowhere.git"):
        git(where, "remote", "set-url", "--add", "--push", "origin", url)
    assert "several push URLs" in done(run(where, "lock", "a"), NOT_CONFIRMED).err
    git(where, "config", "--unset-all", "remote.origin.pushurl")
    assert "kept here" not in done(run(where, "data", "set", "s", "k", "1")).err
    assert team.tip() == tip(where)
    with team.without_remote():
        said = done(run(where, "lock", "a"), NOT_CONFIRMED).err
        assert f"see what git itself says: git ls-remote {team.hub}" in said
    team.refuse("refs/gitcoord/*")
    assert "no such refs here" in done(run(where, "lock", "a"), NOT_CONFIRMED).err
    kept = done(run(where, "data", "set", "s", "k", "2")).err
    assert "kept here until the remote takes it" in kept
    assert "no such refs here" in kept
    assert "was not reached" not in kept


def test_who_keeps_the_log_as_a_branch_is_not_advised_to(team: Team) -> None:
    where = team.clone("one")
    done(run(where, "init", "--remote", "origin", "--branch"))
    team.refuse("refs/heads/gitcoord")
    said = done(run(where, "lock", "a"), NOT_CONFIRMED).err
    assert "no such refs here" in said
    assert "see what the remote asks for" in said
    assert "--branch" not in said


# -- with and without the remote


def test_the_json_of_a_confirmed_lock_is_the_public_shape(team: Team) -> None:
    where = team.sharing("one")
    answer = done(run(where, "lock", "src/app.py", "--json")).json
    assert (answer["granted"], answer["state"], answer["token"]) == (True, "confirmed", answer["revision"])
    assert answer["locks"][0]["token"] == answer["token"]


def test_a_held_path_exits_with_one_and_names_the_holder(team: Team) -> None:
    won = granted(desk(team.sharing("one"), "ada@one").lock_files(["src/app.py"], reason="Rework"))
    where = team.sharing("two")
    said = done(run(where, "lock", "src/app.py"), REFUSED)
    assert "ada@one" in said.err
    assert "Rework" in said.err
    (held,) = done(run(where, "lock", "src/app.py", "--json"), REFUSED).json["conflicts"]
    assert (held["token"], held["locked_at"]) == (won["token"], won["locks"][0]["locked_at"])


def test_a_holder_of_ones_own_name_is_told_to_be_another_clones(team: Team) -> None:
    one, two = team.sharing("one"), team.sharing("two")
    done(run(one, "lock", "a"))
    for words in (["lock"], ["check"], ["unlock"]):
        said = done(run(two, *words, "a"), REFUSED)
        assert "(another clone, exclusive)" in said.err
    assert "gitcoord: refused: held by " in (refused := run(two, "lock", "a").err).splitlines()[0]
    assert refused.splitlines()[0].endswith(" (another clone)")
    (held,) = done(run(two, "lock", "a", "--json"), REFUSED).json["conflicts"]
    assert held["another_clone"] is True
    done(run(one, "lock", "b", "--session", "ada@one"))
    (held,) = done(run(two, "lock", "b", "--json"), REFUSED).json["conflicts"]
    assert "another_clone" not in held


def test_without_the_remote_the_exit_code_is_four_and_offline_is_offered(team: Team) -> None:
    where = team.sharing("one")
    with team.without_remote():
        said = done(run(where, "lock", "a"), NOT_CONFIRMED)
        assert "was not reached" in said.err
        assert "--offline" in said.err
        done(run(where, "sync"), NOT_CONFIRMED)
        done(run(where, "lock", "a", "--offline"))
        done(run(where, "lock", "b", env={"GITCOORD_OFFLINE": "1"}))
        kept = done(run(where, "data", "set", "s", "k", "1"))
        assert "notice: kept here until the remote" in kept.err
        assert done(run(where, "locks")).out.count("provisional") == 2
        assert "provisional" in done(run(where, "check", "a")).out
        status = done(run(where, "status", "--json")).json
        assert status["remote"]["ahead"] > 0
        assert {lock["state"] for lock in status["locks"]} == {"provisional"}
    done(run(where, "sync"))
    assert "provisional" not in done(run(where, "locks")).out
    assert team.tip() == tip(where)


@pytest.mark.parametrize("races", [False, True], ids=["alone", "merged"])
def test_sync_lists_each_provisional_lock_that_holds_with_its_token_and_each_that_does_not(
    team: Team, *, races: bool
) -> None:
    one, two = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    done(run(two, "lock", "a", "c", "--offline", "--session", "bob@two"))
    done(run(two, "lock", "b", "--offline", "--session", "bob@two"))
    done(run(two, "unlock", "c", "--session", "bob@two", env={"GITCOORD_OFFLINE": "1"}))
    if races:
        granted(one.lock_files(["b"]))
    said = done(run(two, "sync", "--json")).json
    locks = {lock["path"]: lock for lock in done(run(two, "locks", "--json")).json["locks"]}
    names = ("path", "kind", "mode", "session", "grant", "token")
    assert said["confirmed"] == [
        {name: locks[path][name] for name in names} for path in (["a"] if races else ["a", "b"])
    ]
    assert [(lost["session"], lost["claims"]) for lost in said["refused"]] == [("bob@two", ["b"])] * races
    again = done(run(two, "sync", "--json")).json
    assert (again["confirmed"], again["refused"]) == ([], []), "once"


def test_sync_prints_refusals_first_and_then_what_is_confirmed(team: Team) -> None:
    one, two = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    done(run(two, "lock", "a", "--offline", "--session", "bob@two"))
    done(run(two, "lock", "b", "--offline", "--session", "bob@two"))
    granted(one.lock_files(["b"]))
    lines = done(run(two, "sync")).out.splitlines()
    token = done(run(two, "locks", "a", "--json")).json["locks"][0]["token"]
    assert lines[0].startswith("refused: lock.acquire b of bob@two: b is held by ada@one since ")
    assert lines[1] == f"confirmed: a of bob@two, token {token}"
    assert lines[2].startswith("origin: brought together; ")


def test_what_lost_is_told_once_and_check_fails(team: Team) -> None:
    one, two = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    done(run(two, "lock", "a", "--offline"))
    granted(one.lock_files(["a"]))
    said = done(run(two, "sync"))
    assert said.out.startswith("refused: lock.acquire a of ")
    assert said.err.count("refused after all") == 1
    assert "refused after all" not in done(run(two, "locks")).err
    assert "ada@one" in done(run(two, "check", "a"), REFUSED).err
    assert one.unlock_files(["a"])["ok"]
    done(run(two, "sync"))
    assert "refused after all" in done(run(two, "check", "a"), REFUSED).err
    log = done(run(two, "log")).out
    assert "refused: lock: a" in log
    assert "merge: 0 operations" not in log or "refused" in log


def test_two_clones_of_one_person_are_numbered_and_kept_apart(team: Team) -> None:
    one, two = team.sharing("one"), team.sharing("two")
    first = done(run(one, "lock", "a", "--json")).json["session"]
    second = done(run(two, "lock", "b", "--json")).json["session"]
    assert second == f"{first}-2"
    assert done(run(two, "lock", "c", "--json")).json["session"] == second
    stolen = done(run(two, "unlock", "a", "--session", first, "--json"), REFUSED).json
    assert stolen["error"]["next"]
    assert [lock["path"] for lock in done(run(one, "locks", "--json")).json["locks"]] == ["a"]


# -- damage


def test_sync_names_the_damage_and_what_was_done(team: Team) -> None:
    where = team.sharing("one")
    done(run(where, "lock", "a"))
    early = git(team.hub, "rev-parse", f"{LOG_REF}~1")
    last = team.tip()
    team.set_hub(early)
    said = done(run(where, "sync"))
    assert f"rewound: expected {last[:12]}, found {early[:12]}; put back to where it was" in said.out
    assert team.tip() == last
    git(where, "config", "gitcoord.restore", "false")
    team.set_hub(early)
    for command in (("sync",), ("lock", "b")):
        stopped = done(run(where, *command), INTEGRITY)
        assert "is rewound" in stopped.err
        assert "gitcoord.restore" in stopped.err
    assert team.tip() == early


def test_a_commit_that_is_none_of_the_logs_is_named(team: Team) -> None:
    where = team.sharing("one")
    git(where, "config", "gitcoord.restore", "false")
    bad = plain_commit(team.hub, [team.tip()], {"note.txt": b"hello"})
    team.set_hub(bad)
    said = done(run(where, "lock", "b"), INTEGRITY)
    assert bad in said.err
    done(run(where, "locks"))


def test_doctor_tells_of_the_remote(team: Team) -> None:
    where = team.sharing("one")
    assert "all is in order" in done(run(where, "doctor")).err
    with team.without_remote():
        done(run(where, "sync"), NOT_CONFIRMED)
    assert "remote_unreached" in done(run(where, "doctor")).out
    git(where, "remote", "remove", "origin")
    said = done(run(where, "doctor", "--json"), 5).json
    assert "no_such_remote" in [finding["code"] for finding in said["findings"]]


# -- watching


def test_watching_prints_what_comes_and_ends_well_when_interrupted(team: Team) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    with start(where, "sync", "--watch", "--every", "1") as watching:
        try:
            assert watching.stdout is not None
            granted(one.lock_files(["src/app.py"]))
            lines = [watching.stdout.readline().decode() for _ in range(2)]
            assert "sign-on: ada@one" in lines[0]
            assert "lock: src/app.py (ada@one)" in lines[1]
            assert one.unlock_files(["src/app.py"])["ok"]
            assert "unlock: src/app.py" in watching.stdout.readline().decode()
            watching.send_signal(signal.SIGINT)
            out, err = watching.communicate(timeout=20)
        finally:
            watching.kill()
    assert (watching.returncode, out) == (0, b"")
    assert b"Traceback" not in err


def test_watching_in_json_gives_a_line_for_each_look_that_found_something(team: Team) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    before = done(run(where, "status", "--json")).json["remote"]["reached_at"]
    with start(where, "sync", "--watch", "--every", "1", "--json") as watching:
        try:
            assert watching.stdout is not None
            seen = {before}

            def looks() -> bool:
                seen.add((read_contact(f"{where}/.git/gitcoord").reached or {}).get("time"))
                return len(seen) > 3

            wait_until(looks, "looks that find nothing")
            made = granted(one.lock_files(["src/app.py"]))
            found: list[dict[str, Any]] = []
            while len(found) < 2:
                line = json.loads(watching.stdout.readline())
                assert line["operations"], "a look that found nothing has no line"
                found += line["operations"]
            watching.send_signal(signal.SIGINT)
            out, _ = watching.communicate(timeout=20)
        finally:
            watching.kill()
    assert out == b""
    assert [(each["subject"], each["session"]) for each in found] == [
        ("sign-on: ada@one", "ada@one"),
        ("lock: src/app.py (ada@one)", "ada@one"),
    ]
    assert (found[1]["revision"], found[1]["commit"]) == (made["revision"], team.tip())


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_watching_says_an_error_once_and_that_contact_is_back(team: Team, how: tuple[str, ...]) -> None:
    one, where = desk(team.sharing("one"), "ada@one"), team.sharing("two")
    granted(one.lock_files(["src/app.py"]))

    def looked() -> int:
        return int((read_contact(f"{where}/.git/gitcoord").failed or {}).get("uptime_ms", 0))

    with start(where, "sync", "--watch", "--every", "1", *how) as watching:
        try:
            assert watching.stdout is not None
            assert b"ada@one" in watching.stdout.readline() or how
            with team.without_remote():
                seen = {looked()}
                wait_until(lambda: seen.add(looked()) or len(seen) > 3, "looks in vain")
            assert watching.stderr is not None
            said = [watching.stderr.readline() for _ in range(3)] if not how else []
            lines = [watching.stdout.readline() for _ in range(2)] if how else []
            watching.send_signal(signal.SIGINT)
            out, err = watching.communicate(timeout=20)
        finally:
            watching.kill()
    everything = b"".join([*said, *lines, out, err])
    assert everything.count(b"was not reached") == 1, everything
    assert watching.returncode == 0
    if not how:
        assert b"contact is back" in everything


def test_status_tells_how_far_behind_this_clone_is(team: Team) -> None:
    one, two = team.sharing("one"), team.sharing("two")
    done(run(two, "lock", "mine", "--offline"))
    for path in ("a", "b"):
        done(run(one, "lock", path, "--session", "other"))
    git(two, "config", "remote.origin.pushurl", f"{team.hub}.nowhere")
    done(run(two, "sync"), NOT_CONFIRMED)
    remote = done(run(two, "status", "--json")).json["remote"]
    assert remote["behind"] > 0
    fields = done(run(two, "status")).out.splitlines()
    (row,) = [line.split("\t") for line in fields if line.startswith("remote\t")]
    assert row[1:4] == ["origin", str(remote["ahead"]), str(remote["behind"])]
