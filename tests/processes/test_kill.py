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


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    return where


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


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize(
    ("kind", "fsync", "least", "between", "behind"),
    [("store", "0", 60, 25, 5), ("store", "1", 80, 35, 8), ("lock", "0", 80, 25, 5), ("merge", "0", 15, 0, 15)],
)
def test_death_at_every_call_to_the_file_system(
    repo: str, kind: str, fsync: str, least: int, between: int, behind: int, *, torn: bool
) -> None:
    with start(die_at_every_call, 1, repo, kind, torn, env={"GITCOORD_FSYNC": fsync}) as crew:
        crew.go()
        told = crew.finish(timeout_s=600)[0]
    phases = [phase for _, phase, _, _, _ in told]
    assert phases[-1] == "answered"
    parts = {"after"} if kind == "merge" else {"before", "between", "after"}
    assert phases.count("answered") == len(parts), "every trial but the last of each phase ended in death"
    assert len(told) >= (least // 12 if torn else least)
    assert torn or phases.count("between") >= between
    assert torn or phases.count("after") >= behind
    assert torn or parts <= set(phases)
    log = entries(repo)
    on_log = stores(log) if kind != "lock" else {("deaths", key): found for key, found in granted(log).items()}
    for key, phase, after, took_s, lock_left in told:
        assert not after.get("error"), f"after a death at {key}: {after}"
        assert took_s < AT_ONCE_S, f"after a death at {key} the next comer took {took_s} s"
        assert not lock_left, f"after a death at {key} the ref's lock file stood"
        known = on_log.get(("deaths", key), [])
        assert len(known) == 1 if phase in ("answered", "after") else len(known) <= 1, f"{key}: {known}"
        if kind != "lock":
            assert len(on_log[("next", key)]) == 1
    if kind != "lock":
        assert set(kinds(log)) == {"log.init", "session.start", "data.store"}
        assert kinds(log)["session.start"] == 2
        assert {scope for scope, _ in on_log} - {"more"} == {"deaths", "next"}
    check_goes_on(repo)


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
