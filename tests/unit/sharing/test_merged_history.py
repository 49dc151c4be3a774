"""The audit of a log with merges: complete, in the agreed order, each operation once, read no further than asked."""

from __future__ import annotations

import itertools

import pytest

from gitcoord.log import Commit
from gitcoord.service import open_desk
from gitcoord.service.access import open_access
from gitcoord.service.history import entries, events
from support.repo import git
from support.team import Team, desk
from support.world import granted


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a clone whose log has eight merges, each of two operations that hold and one that does not."""
    team = Team(tmp_path_factory.mktemp("team"))
    one, two = team.sharing("one"), team.sharing("two")
    ada, bob = desk(one, "ada@one"), desk(two, "bob@two")
    granted(ada.lock_files(["ada"]))
    granted(bob.lock_files(["bob"]))
    for turn in range(8):
        assert ada.sync()["ok"]
        granted(bob.lock_files([f"bob-{turn}"], offline=True))
        granted(bob.lock_files([f"both-{turn}"], offline=True))
        granted(bob.lock_files([f"more-{turn}"], offline=True))
        granted(ada.lock_files([f"both-{turn}"]))
        assert len(bob.sync()["refused"]) == 1
    return two


def test_every_operation_is_listed_once(clone: str) -> None:
    access = open_access(clone)
    ids = [event.operation["id"] for event in events(access.log)]
    assert len(ids) == len(set(ids))
    commits = {event.commit.oid.hex() for event in events(access.log)}
    assert commits == set(git(clone, "rev-list", "refs/gitcoord/main").split())


def test_revisions_fall_and_what_a_merge_brought_stands_under_it(clone: str) -> None:
    found = open_desk(clone, session="bob@two").get_history(limit=1000)["entries"]
    revisions = [entry["revision"] for entry in found]
    assert revisions == sorted(revisions, reverse=True)
    for above, entry in itertools.pairwise(found):
        if entry["merge"] is not None:
            assert entry["merge"] in (above["merge"], above["commit"])
    assert sum(entry["verb"] == "merge" for entry in found) == sum(entry["verb"] == "refused" for entry in found) == 8


def test_the_newest_entries_are_read_without_the_rest(clone: str) -> None:
    log = open_access(clone).log
    read: set[bytes] = set()
    real = log.commit

    def noted(oid: bytes) -> Commit:
        read.add(oid)
        return real(oid)

    log.commit = noted
    assert len(entries(log, None, None, 3)) == 3
    few = len(read)
    assert len(entries(log, None, None, 1000)) > 40
    assert few < len(read) / 3
