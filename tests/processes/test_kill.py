"""`kill -9` at every point of a write: what was acknowledged stays, and the next comer goes on as if nothing were."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.service import initialise, open_desk
from processes.workers import die_at_every_call, die_at_every_call_of_init, die_at_random, entries, kinds, stores
from support.procs import start
from support.repo import LOG_REF, fsck, git, make_repo

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE_S = 1.5
"""How long the next comer may take on a busy machine: far less than any lock file is waited for."""

# Files on which the system's own locks are taken: what lies there means nothing.
OWN_LOCKS = {"alive.lock", "build.lock", "machine.lock", "publish.lock", "setup.lock", "waiting.lock"}


WRITES = (("store", "0"), ("store", "1"), ("lock", "0"))
"""What the mortals write, and whether it is synced."""

SURE = {"answered", "after", "merging"}
"""The phases of a write in which it is on the log."""


def initialised(place: Path) -> str:
    where = make_repo(place)
    initialise(where)
    return where


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return initialised(tmp_path / "repo")


def check_goes_on(repo: str) -> None:
    """The repository is sound, nothing stands in anybody's way, and another process writes at once."""
    assert fsck(repo) == []
    desk = open_desk(repo, session="afterwards")
    answer = desk.store_data("after", "all", 1)
    assert answer["ok"], answer
    locks = [name for _, _, names in os.walk(f"{repo}/.git/refs") for name in names if name.endswith(".lock")]
    assert locks == []
    assert not os.path.exists(f"{repo}/.git/gitcoord/swap")
    git(repo, "update-ref", "refs/heads/other", "HEAD")


def die(repo: str, kind: str, fsync: str, *, torn: bool) -> list[str]:
    """Let writers die at every call, check what became of each, and return the phases in which they died."""
    with start(die_at_every_call, 1, repo, kind, torn, env={"GITCOORD_FSYNC": fsync}) as crew:
        crew.go()
        told = crew.finish(timeout_s=300)[0]
    log = entries(repo)
    on_log = stores(log) if kind != "lock" else {("deaths", key): found for key, found in granted(log).items()}
    for key, phase, after, took_s, lock_left in told:
        assert not after.get("error"), f"after a death at {key}: {after}"
        assert took_s < AT_ONCE_S, f"after a death at {key} the next comer took {took_s} s"
        assert not lock_left, f"after a death at {key} the ref's lock file stood"
        known = on_log.get(("deaths", key), [])
        assert len(known) == 1 if phase in SURE else len(known) <= 1, f"{key}: {known}"
        if kind != "lock":
            assert len(on_log[("next", key)]) == 1
    if kind != "lock":
        assert set(kinds(log)) == {"log.init", "session.start", "data.store"}
        assert kinds(log)["session.start"] == 2
        assert {scope for scope, _ in on_log} - {"more"} == {"deaths", "next"}
    check_goes_on(repo)
    phases = [phase for _, phase, _, _, _ in told]
    assert phases[-1] == "answered"
    parts = 1 if kind == "merge" else 3
    assert phases.count("answered") == parts, "every trial but the last of each phase ended in death"
    return [phase for phase in phases if phase != "answered"]


def test_death_at_every_call_to_the_file_system(tmp_path: Path) -> None:
    deaths: list[str] = []
    for kind, fsync in WRITES:
        died = die(initialised(tmp_path / f"{kind}-{fsync}"), kind, fsync, torn=False)
        assert died.count("between") >= 30
        assert died.count("after") >= 5
        assert len(died) >= 80
        deaths += died
    assert len(deaths) >= 250
    assert deaths.count("between") >= 90, "between the first object's first byte and the ref's move"


def test_death_half_way_through_every_write(tmp_path: Path) -> None:
    deaths: list[str] = []
    for kind, fsync in WRITES:
        died = die(initialised(tmp_path / f"{kind}-{fsync}"), kind, fsync, torn=True)
        # The spool, the note of what is built, the pack, its list, the ref's new value, the reflog.
        assert died.count("between") >= 6
        deaths += died
    assert len(deaths) >= 20


@pytest.mark.parametrize(("torn", "least"), [(False, 80), (True, 8)])
def test_death_at_every_call_while_packs_are_merged(repo: str, least: int, *, torn: bool) -> None:
    died = die(repo, "merge", "0", torn=torn)
    assert set(died) == {"merging"}
    assert len(died) >= least, "a merge of one level makes fewer calls than that: it went up two"


def granted(log: list[Any]) -> dict[str, list[int]]:
    """Return the tokens of the mortals' grants by path."""
    found: dict[str, list[int]] = {}
    for entry in log:
        if entry.kind == "lock.acquire" and entry.operation["session"] != "steady":
            found.setdefault(entry.operation["claims"][0]["path"], []).append(entry.revision)
    return found


def test_death_at_random_moments(repo: str) -> None:
    with start(die_at_random, 1, repo, 150, 7, env={"GITCOORD_FSYNC": "0"}) as crew:
        crew.go()
        told = crew.finish()[0]
    acknowledged = [key for keys in told for key in keys]
    on_log = stores(entries(repo))
    twice = [key for key, values in on_log.items() if len(values) != 1]
    assert twice == [], "something was done twice"
    missing = [key for key in acknowledged if ("random", key) not in on_log]
    assert missing == []
    assert len(acknowledged) > 60
    unknown = len(on_log) - len(acknowledged)
    assert 0 <= unknown <= len(told), "each of the dead had at most one operation under way"
    assert sum(bool(keys) for keys in told) > 30, "many died after they had written something"
    check_goes_on(repo)


def test_death_at_every_call_of_init(tmp_path: Path) -> None:
    template = make_repo(tmp_path / "template")
    with start(die_at_every_call_of_init, 1, template, str(tmp_path / "copies"), env={"GITCOORD_FSYNC": "0"}) as crew:
        crew.go()
        told = crew.finish()[0]
    assert len(told) > 40
    for at, (again, repo) in enumerate(told, 1):
        assert not again.get("error"), f"after a death at call {at}: {again['error']}"
        with open(f"{repo}/.git/objects/info/alternates", encoding="ascii") as file:
            assert file.read() == "../gitcoord/objects\n", f"after a death at call {at}"
        with open(f"{repo}/.git/refs/coord", encoding="ascii") as file:
            assert file.read() == f"ref: {LOG_REF}\n", f"after a death at call {at}"
        leftovers = [name for _, _, names in os.walk(f"{repo}/.git") for name in names if name.endswith(".lock")]
        assert set(leftovers) <= OWN_LOCKS, f"after a death at call {at}"
        if at % 8 == 0:
            assert open_desk(repo, session="after").store_data("s", "k", at)["ok"]
            assert kinds(entries(repo)) == {"log.init": 1, "session.start": 1, "data.store": 1}
            assert fsck(repo) == []


def test_a_dead_writers_files_are_swept_by_the_doctor(repo: str) -> None:
    with start(die_at_every_call, 1, repo, "store", False, env={"GITCOORD_FSYNC": "0"}) as crew:
        crew.go()
        crew.finish()
    left = os.listdir(f"{repo}/.git/gitcoord/tmp")
    assert left, "some died with a file in their hands"
    for name in left:
        os.utime(f"{repo}/.git/gitcoord/tmp/{name}", (1, 1))
    assert git(repo, "rev-parse", LOG_REF)
    from gitcoord.service import doctor

    doctor(repo, fix=True)
    assert os.listdir(f"{repo}/.git/gitcoord/tmp") == []
