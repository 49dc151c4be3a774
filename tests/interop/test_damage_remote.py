"""A remote's log that is not what it was, and a local one that somebody set elsewhere: named, and nothing is lost."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.errors import exit_code
from gitcoord.runtime.shared import read_contact
from gitcoord.service import Desk, doctor
from support.repo import LOG_REF, fsck, git, read_log
from support.team import Team, desk, plain_commit, tip, tree
from support.world import code, granted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INTEGRITY = 3


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


class Pair:
    """Two clones, each of which has a confirmed lock; `early` is the remote's tip before the second one's."""

    def __init__(self, path: Path) -> None:
        self.team = Team(path)
        self.one, self.two = self.team.sharing("one"), self.team.sharing("two")
        self.ada, self.bob = desk(self.one, "ada@one"), desk(self.two, "bob@two")
        granted(self.ada.lock_files(["x"]))
        self.early = self.team.tip()
        self.last = granted(self.bob.lock_files(["y"]))
        self.seen = self.team.tip()

    def other_history(self, *files: str) -> str:
        """Return the tip of a history that leaves the log at `early`, made by a third clone, and is on the remote."""
        self.team.set_hub(self.early)
        where = self.team.sharing("three")
        for file in files:
            granted(desk(where, "eve@three").lock_files([file]))
        return self.team.tip()

    def held(self, where: Desk) -> dict[str, str]:
        """Return what a clone shows as confirmed, by path."""
        locks = where.get_locked_files()["locks"]
        assert {lock["state"] for lock in locks} == {"confirmed"}
        return {lock["path"]: lock["session"] for lock in locks}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def meet(*desks: Desk) -> list[dict[str, Any]]:
    """Let desks meet the remote, one after another, and return their answers."""
    answers = [each.sync() for each in desks]
    assert all(answer["ok"] for answer in answers), answers
    return answers


def all_equal(pair: Pair) -> None:
    assert tip(pair.one) == tip(pair.two) == pair.team.tip()
    for where in (pair.one, pair.two, pair.team.hub):
        assert fsck(where) == []


def kept(where: str) -> set[str]:
    return set(git(where, "for-each-ref", "--format=%(objectname)", "refs/gitcoord/kept/").split())


# -- what a remote can be found to be


def rewound(pair: Pair) -> str:
    pair.team.set_hub(pair.early)
    return pair.early


def forked(pair: Pair) -> str:
    return pair.other_history("z")


def reordered(pair: Pair) -> str:
    """Put a merge there that has everything behind it, and the last seen tip second."""
    theirs = pair.other_history("z")
    for name in ("one", "two"):
        git(pair.team.hub, "fetch", "-q", f"{pair.team.root}/{name}", f"{LOG_REF}:refs/gitcoord/from/{name}")
    revision = 1 + max(read_revision(pair.team.hub, rev) for rev in (theirs, pair.seen))
    header = json.loads(git(pair.team.hub, "show", f"{theirs}:coord.json"))
    merge: dict[str, Any] = {
        **header["operations"][0],
        "id": "0" * 26,
        "type": "log.merge",
        "replayed": [],
        "refused": [],
    }
    merge |= {"restores": None, "adopts": None}
    header |= {"revision": revision, "operations": [merge]}
    made = plain_commit(
        pair.team.hub,
        [theirs, pair.seen],
        {"coord.json": json.dumps(header).encode()},
        f"merge: nothing\n\nCoord-Op: log.merge\nCoord-Rev: {revision}\nCoord-Id: {'0' * 26}\n",
    )
    pair.team.set_hub(made)
    return made


def read_revision(where: str, rev: str) -> int:
    return json.loads(git(where, "show", f"{rev}:coord.json"))["revision"]


def deleted(pair: Pair) -> None:
    git(pair.team.hub, "update-ref", "-d", LOG_REF)


DAMAGE: list[Callable[[Pair], str | None]] = [rewound, forked, reordered, deleted]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_named_and_what_was_acknowledged_is_put_back(
    pair: Pair, damage: Callable[[Pair], str | None]
) -> None:
    found = damage(pair)
    (answer,) = meet(pair.bob)
    assert answer["remote_state"] == damage.__name__
    (event,) = answer["events"]
    assert (event["event"], event["expected"], event["found"]) == (damage.__name__, pair.seen, found)
    assert {pair.seen, found or pair.seen} <= kept(pair.two)
    assert git(pair.two, "rev-list", "--first-parent", LOG_REF).split().count(pair.seen) == 1
    assert pair.held(pair.bob).items() >= {"x": "ada@one", "y": "bob@two"}.items()
    again = meet(pair.bob, pair.ada, pair.bob, pair.ada)
    assert [one["remote_state"] for one in again[2:]] == ["equal", "equal"]
    all_equal(pair)
    assert pair.held(pair.ada) == pair.held(pair.bob)
    assert damage.__name__ in [event["event"] for event in pair.bob.status()["remote"]["events"]]
    later = granted(pair.ada.lock_files(["w"]))
    assert later["token"] > pair.last["token"]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_where_it_is_not_to_be_put_right_it_is_left_and_named(pair: Pair, damage: Callable[[Pair], str | None]) -> None:
    git(pair.two, "config", "gitcoord.restore", "false")
    found = damage(pair)
    for answer in (pair.bob.sync(), pair.bob.lock_files(["w"])):
        assert code(answer) == "remote_damaged"
        assert exit_code(answer) == INTEGRITY
        assert damage.__name__ in answer["error"]["message"]
        assert "gitcoord.restore" in answer["error"]["next"]
    assert [event["event"] for event in pair.bob.status()["remote"]["events"]] == [damage.__name__]
    assert tip(pair.two) == pair.seen
    assert git(pair.team.hub, "for-each-ref", "--format=%(objectname)", LOG_REF) == (found or "")
    assert pair.held(pair.bob) == {"x": "ada@one", "y": "bob@two"}
    git(pair.two, "config", "gitcoord.restore", "true")
    meet(pair.bob, pair.ada)
    all_equal(pair)


def test_what_the_other_history_granted_is_judged_after_what_was_seen(pair: Pair) -> None:
    pair.other_history("y", "z")
    three = desk(str(pair.team.root / "three"), "eve@three")
    meet(pair.bob, pair.ada)
    (answer,) = meet(three)
    assert answer["remote_state"] == "restored"
    assert [one["claims"] for one in answer["refused"]] == [["y"]]
    assert pair.held(three) == {"x": "ada@one", "y": "bob@two", "z": "eve@three"}
    assert three.check(["y"])["ok"] is False
    meet(pair.ada, pair.bob)
    all_equal(pair)
    assert tip(pair.one) == tip(str(pair.team.root / "three"))
    told = [(entry["verb"], entry["paths"]) for entry in pair.bob.get_history(path="y")["entries"]]
    assert told == [("refused", ["y"]), ("lock", ["y"])]
    ids = [entry["id"] for entry in pair.ada.get_history()["entries"]]
    assert len(ids) == len(set(ids))


def test_clones_that_saw_either_side_agree_without_undoing_each_other(pair: Pair) -> None:
    pair.other_history("z")
    three = desk(str(pair.team.root / "three"), "eve@three")
    granted(three.lock_files(["v"]))
    for one in (pair.ada, three, pair.bob, pair.ada, three):
        meet(one)
    length = len(read_log(pair.team.hub))
    for _ in range(2):
        meet(three, pair.bob, pair.ada)
    assert len(read_log(pair.team.hub)) == length
    assert tip(pair.one) == tip(pair.two) == tip(str(pair.team.root / "three"))


def test_a_lock_is_confirmed_on_a_remote_that_it_had_to_put_right(pair: Pair) -> None:
    pair.team.set_hub(pair.early)
    answer = granted(pair.bob.lock_files(["w"]))
    assert (answer["state"], answer["token"] > pair.last["token"]) == ("confirmed", True)
    assert code(pair.ada.lock_files(["y"])) == "lock_held"
    all_equal(pair)


def test_a_remote_that_serves_one_clone_something_else_is_told_apart_from_it(pair: Pair) -> None:
    """One of the clones is sent to a copy of the remote that is behind."""
    mirror = str(pair.team.root / "mirror.git")
    git(pair.team.hub, "clone", "-q", "--mirror", pair.team.hub, mirror)
    git(mirror, "update-ref", LOG_REF, pair.early)
    git(pair.two, "config", "gitcoord.restore", "false")
    git(pair.two, "config", "remote.origin.url", mirror)
    assert code(pair.bob.sync()) == "remote_damaged"
    git(pair.two, "config", "remote.origin.url", pair.team.hub)
    meet(pair.bob, pair.ada)
    all_equal(pair)


def test_another_repositorys_log_is_never_taken_over_nor_overwritten(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = Team(tmp_path / "elsewhere")
    where = other.sharing("theirs")
    granted(desk(where, "eve@theirs").lock_files(["x"]))
    git(pair.team.hub, "fetch", "-q", other.hub, f"+{LOG_REF}:{LOG_REF}")
    foreign = pair.team.tip()
    for answer in (pair.bob.sync(), pair.bob.lock_files(["w"])):
        assert code(answer) == "unrelated_logs"
        assert exit_code(answer) == INTEGRITY
        assert "--adopt" in answer["error"]["next"]
    assert pair.team.tip() == foreign
    assert tip(pair.two) == pair.seen
    assert [event["event"] for event in pair.bob.status()["remote"]["events"]] == ["unrelated"]
    pair.team.set_hub(pair.seen)
    meet(pair.bob)


# -- commits that are none of the log's


def header_of(team: Team, **fields: Any) -> bytes:
    header = json.loads(git(team.hub, "show", f"{LOG_REF}:coord.json"))
    return json.dumps({**header, **fields}, indent=1).encode()


def garbage(team: Team) -> str:
    return plain_commit(team.hub, [team.tip()], {"note.txt": b"hello"})


def without_header(team: Team) -> str:
    return plain_commit(team.hub, [team.tip()], {"coord.json": None}, "m\n\nCoord-Rev: 7\n")


def unreadable_header(team: Team) -> str:
    return plain_commit(team.hub, [team.tip()], {"coord.json": b"{nonsense"}, "m\n\nCoord-Rev: 7\n")


def without_policy(team: Team) -> str:
    files = {"policy.json": b"{}", "coord.json": header_of(team, revision=7)}
    return plain_commit(team.hub, [team.tip()], files, "m\n\nCoord-Rev: 7\n")


def larger_revision(team: Team) -> str:
    return plain_commit(team.hub, [team.tip()], {"coord.json": header_of(team, revision=99)}, "m\n\nCoord-Rev: 99\n")


def other_repository(team: Team) -> str:
    files = {"coord.json": header_of(team, revision=7, repository="somebody-elses")}
    return plain_commit(team.hub, [team.tip()], files, "m\n\nCoord-Rev: 7\n")


def no_history(team: Team) -> str:
    return plain_commit(team.hub, [], {"note.txt": b"hello"})


def two_of_them(team: Team) -> str:
    return plain_commit(team.hub, [garbage(team)], {"more.txt": b"hello"})


UNSOUND: list[Callable[[Team], str]] = [
    *(garbage, without_header, unreadable_header, without_policy),
    *(larger_revision, other_repository, no_history, two_of_them),
]


@pytest.mark.parametrize("make", UNSOUND, ids=lambda make: make.__name__)
def test_what_is_no_commit_of_the_log_is_kept_and_stops_nobody(pair: Pair, make: Callable[[Team], str]) -> None:
    bad = make(pair.team)
    pair.team.set_hub(bad)
    assert granted(pair.ada.lock_files(["w"]))["state"] == "confirmed"
    assert bad in kept(pair.one)
    meet(pair.bob, pair.ada)
    all_equal(pair)
    assert bad not in git(pair.one, "rev-list", LOG_REF).split()
    assert pair.ada.status()["remote"]["events"][0]["found"] == bad


def test_where_nothing_is_to_be_put_right_the_last_good_tip_stays_in_use(pair: Pair) -> None:
    git(pair.two, "config", "gitcoord.restore", "false")
    bad = garbage(pair.team)
    pair.team.set_hub(bad)
    answer = pair.bob.lock_files(["w"])
    assert (code(answer), exit_code(answer)) == ("remote_damaged", INTEGRITY)
    assert bad in answer["error"]["message"]
    assert pair.held(pair.bob) == {"x": "ada@one", "y": "bob@two"}
    assert granted(pair.bob.lock_files(["w"], offline=True))["state"] == "provisional"
    assert pair.team.tip() == bad


def test_what_a_later_version_wrote_is_no_damage_and_not_built_upon(pair: Pair) -> None:
    later = plain_commit(
        pair.team.hub, [pair.seen], {"coord.json": header_of(pair.team, format=99, revision=7)}, "m\n\nCoord-Rev: 7\n"
    )
    pair.team.set_hub(later)
    answer = pair.bob.lock_files(["w"])
    assert (code(answer), exit_code(answer)) == ("unsupported_format", INTEGRITY)
    assert later in answer["error"]["message"]
    assert "upgrade" in answer["error"]["next"]
    assert (pair.team.tip(), tip(pair.two)) == (later, pair.seen)
    assert pair.held(pair.bob) == {"x": "ada@one", "y": "bob@two"}
    for _ in range(2):
        assert code(pair.bob.sync()) == "unsupported_format"
    (event,) = pair.bob.status()["remote"]["events"]
    assert (event["event"], event["found"]) == ("newer_format", later)
    assert "not taken in" in event["done"]
    assert "remote_event" in findings(pair.two)


def test_a_fresh_clone_joins_the_last_good_commit_under_a_bad_one(pair: Pair) -> None:
    pair.team.set_hub(garbage(pair.team))
    where = pair.team.sharing("four")
    assert tip(where) == pair.seen
    meet(desk(where, "dan@four"))
    assert pair.team.tip() == pair.seen


def test_a_branch_of_files_under_the_logs_name_is_no_log(tmp_path: Path) -> None:
    team = Team(tmp_path)
    git(team.hub, "update-ref", LOG_REF, "HEAD")
    where = team.clone("one")
    from gitcoord.errors import IntegrityFault
    from gitcoord.service import initialise

    with pytest.raises(IntegrityFault, match=r"coord\.json"):
        initialise(where)


# -- the local ref


def test_a_fetch_over_unpublished_operations_loses_none_of_them(pair: Pair) -> None:
    assert pair.bob.lock_files(["w"], offline=True)["granted"]
    assert pair.bob.store_data("plan", "next", 1)["ok"]
    granted(pair.ada.lock_files(["v"]))
    with pair.team.without_remote():
        assert pair.bob.lock_files(["u"], offline=True)["granted"]
    mine = tip(pair.two)
    git(pair.two, "fetch", "-q", "origin", f"+{LOG_REF}:{LOG_REF}")
    assert tip(pair.two) != mine
    meet(pair.bob)
    assert pair.held(pair.bob).keys() == {"x", "y", "w", "v", "u"}
    assert "local_rewound" in [event["event"] for event in pair.bob.status()["remote"]["events"]]
    assert mine in kept(pair.two)
    meet(pair.ada)
    all_equal(pair)


def test_plain_push_and_fetch_share_and_harm_nothing(pair: Pair) -> None:
    assert pair.bob.lock_files(["w"], offline=True)["granted"]
    git(pair.two, "push", "-q", "origin", f"refs/coord:{LOG_REF}")
    git(pair.one, "fetch", "-q", "origin", f"{LOG_REF}:{LOG_REF}")
    assert tip(pair.one) == tip(pair.two)
    assert "w" in {lock["path"] for lock in pair.ada.get_locked_files()["locks"]}
    meet(pair.ada, pair.bob)
    assert pair.held(pair.ada) == pair.held(pair.bob) == {"x": "ada@one", "y": "bob@two", "w": "bob@two"}
    assert granted(pair.ada.lock_files(["v"]))["state"] == "confirmed"
    assert pair.ada.status()["remote"]["events"] == []


def test_the_local_ref_that_was_deleted_comes_back_with_what_was_not_published(pair: Pair) -> None:
    with pair.team.without_remote():
        assert pair.bob.lock_files(["w"], offline=True)["granted"]
    git(pair.two, "update-ref", "-d", LOG_REF)
    assert {lock["path"] for lock in pair.bob.get_locked_files()["locks"]} == {"x", "y", "w"}
    answer = granted(pair.bob.lock_files(["v"]))
    assert any("it was deleted" in line and "put back" in line for line in answer["notices"])
    assert pair.bob.unlock_files(["v"])["ok"]
    meet(pair.bob)
    assert pair.held(pair.bob) == {"x": "ada@one", "y": "bob@two", "w": "bob@two"}


def test_a_mirror_clones_flat_alias_is_made_to_follow_again(pair: Pair, tmp_path: Path) -> None:
    mirror = str(tmp_path / "mirror.git")
    git(pair.one, "clone", "-q", "--mirror", pair.one, mirror)
    assert git(mirror, "rev-parse", "refs/coord") == pair.seen or tip(mirror)
    git(mirror, "config", "remote.origin.url", pair.team.hub)
    from gitcoord.service import initialise

    assert initialise(mirror)["ok"]
    assert git(mirror, "symbolic-ref", "refs/coord") == LOG_REF


def test_a_mirror_push_from_a_clone_without_the_log_is_put_right(pair: Pair) -> None:
    bare = pair.team.clone("fresh")
    git(bare, "push", "-q", "--mirror", "origin")
    assert git(pair.team.hub, "for-each-ref", LOG_REF) == ""
    (answer,) = meet(pair.bob)
    assert answer["remote_state"] == "deleted"
    assert pair.team.tip() == pair.seen


# -- what doctor says of it


def findings(where: str, *, fix: bool = False) -> dict[str, dict[str, Any]]:
    return {finding["code"]: finding for finding in doctor(where, fix=fix)["findings"]}


def test_doctor_is_content_with_two_clones_that_share(pair: Pair) -> None:
    meet(pair.ada, pair.bob)
    assert findings(pair.one) == findings(pair.two) == {}


def test_doctor_tells_what_was_not_in_order_and_what_is_kept(pair: Pair) -> None:
    pair.other_history("z")
    meet(pair.bob)
    found = findings(pair.two)
    assert found.keys() == {"remote_event", "kept_tips"}
    assert {finding["severity"] for finding in found.values()} == {"note"}
    assert "forked" in found["remote_event"]["message"]
    assert doctor(pair.two, fix=False)["ok"]


def test_doctor_knows_a_remote_that_is_gone_or_cannot_confirm(pair: Pair) -> None:
    with pair.team.without_remote():
        assert code(pair.bob.sync()) == "remote_unreachable"
    assert findings(pair.two)["remote_unreached"]["severity"] == "warning"
    meet(pair.bob)
    git(pair.two, "config", "--add", "remote.origin.pushurl", "/one")
    git(pair.two, "config", "--add", "remote.origin.pushurl", "/two")
    assert findings(pair.two)["several_push_urls"]["severity"] == "error"
    git(pair.two, "remote", "remove", "origin")
    answer = doctor(pair.two, fix=False)
    assert (answer["ok"], [finding["code"] for finding in answer["findings"]]) == (False, ["no_such_remote"])


def test_doctor_says_when_the_remote_was_not_met_for_long(pair: Pair) -> None:
    contact = read_contact(f"{pair.two}/.git/gitcoord")
    assert contact.reached is not None
    from gitcoord.runtime.shared import write_contact

    write_contact(
        f"{pair.two}/.git/gitcoord", contact._replace(reached={**contact.reached, "time": "2020-01-01T00:00:00.000Z"})
    )
    assert "2020-01-01" in findings(pair.two)["remote_not_met"]["message"]


def test_doctor_settles_a_push_whose_end_is_not_known(pair: Pair) -> None:
    from gitcoord.runtime.shared import Flight, read_flight, write_flight
    from gitcoord.store.repository import find_repository
    from gitcoord.store.siderefs import PENDING, write_side_ref

    runtime, seen = f"{pair.two}/.git/gitcoord", bytes.fromhex(pair.seen)
    write_flight(runtime, Flight(seen, bytes.fromhex(pair.early)))
    write_side_ref(find_repository(pair.two, {}), f"{PENDING}/{pair.early}", bytes.fromhex(pair.early))
    git(pair.two, "update-ref", "refs/gitcoord/remotes/origin", pair.early)
    found = findings(pair.two)
    assert found.keys() == {"push_unsettled", "pending_leftover", "seen_ref_differs"}
    assert all(finding["fixable"] for finding in found.values())
    assert {finding["fixed"] for finding in findings(pair.two, fix=True).values()} == {True}
    assert read_flight(runtime) is None
    assert findings(pair.two) == {}
    assert tip(pair.two) == pair.team.tip() == pair.seen
    assert tree(pair.two) == tree(pair.team.hub)
    assert os.listdir(f"{runtime}/tmp") == []
