"""The log's ref, as other programs leave it, in clones that share, on a signed log, and as a server tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from gitcoord.service import doctor, initialise, open_desk
from support.forge import make_key
from support.mcp_face import ask, connected
from support.repo import LOG_REF, fsck, git, make_repo
from support.stray import DAMAGES, Damage, emptied
from support.team import Team, desk, tip
from support.world import granted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


@pytest.fixture(name="damage", params=DAMAGES)
def one_damage(request: pytest.FixtureRequest) -> tuple[str, Damage]:
    return DAMAGES[request.param]


def told(answer: dict[str, Any]) -> list[str]:
    """Return what an answer says of the ref."""
    return [line for line in answer.get("notices", []) if "another program moved" in line]


def test_a_clone_that_shares_reads_on_puts_it_back_and_names_it(tmp_path: Path, damage: tuple[str, Damage]) -> None:
    team = Team(tmp_path)
    one, two = team.sharing("one"), team.sharing("two")
    granted(desk(one, "ada@one").lock_files(["x"]))
    assert desk(two, "bob@two").sync()["ok"]
    with team.without_remote():
        granted(desk(two, "bob@two").lock_files(["w"], offline=True))
        granted(desk(two, "cleo@two").lock_files(["v"], offline=True))
    known = tip(two)
    damage[1](two)
    for answer in (desk(two, "eve@two").get_locked_files(), desk(two, "eve@two").status()):
        assert {lock["path"] for lock in answer["locks"]} == {"x", "w", "v"}
        assert len(told(answer)) == 1
    assert not desk(two, "eve@two").check(["v"])["ok"]
    refused = desk(two, "eve@two").lock_files(["w"], offline=True)
    assert refused["error"]["code"] == "lock_held"
    assert ["put back" in line for line in told(refused)] == [True]
    assert known in git(two, "rev-list", LOG_REF).split()
    damage[1](two)
    answer = desk(two, "bob@two").sync()
    assert (answer["ok"], answer["remote_state"]) == (True, f"local_{damage[0]}")
    assert told(desk(two, "bob@two").sync()) == []
    assert desk(one, "ada@one").sync()["ok"]
    for where in (one, two):
        assert {lock["path"] for lock in desk(where, "eve@there").get_locked_files()["locks"]} == {"x", "w", "v"}
        assert fsck(where) == []
    assert doctor(two)["ok"]


def test_a_signed_log_is_put_back_as_any_other(tmp_path: Path, damage: tuple[str, Damage]) -> None:
    repo = make_repo(tmp_path / "repo")
    make_key(str(tmp_path / "ada"))
    assert initialise(repo, sign="ssh", key=str(tmp_path / "ada"))["created"]
    for path in ("x", "y", "z"):
        granted(open_desk(repo, session="ada").lock_files([path]))
    known = tip(repo)
    damage[1](repo)
    checked = open_desk(repo, session="eve").check(["z"])
    assert (checked["ok"], len(told(checked))) == (False, 1)
    assert not open_desk(repo).verify()["ok"]
    assert open_desk(repo, session="ada").store_data("s", "k", 1)["ok"]
    assert git(repo, "rev-parse", f"{LOG_REF}~1") == known
    assert open_desk(repo).verify()["ok"]


def test_a_history_of_this_log_that_is_longer_and_lacks_what_is_known_is_not_believed(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    assert initialise(repo)["created"]
    granted(open_desk(repo, session="A").lock_files(["a"]))
    other = str(tmp_path / "copy")
    git(str(tmp_path), "clone", "-q", repo, other)
    git(other, "fetch", "-q", repo, f"{LOG_REF}:{LOG_REF}")
    assert initialise(other, local=True)["ok"]
    granted(open_desk(repo, session="B").lock_files(["b"]))
    for path in "cdefgh":
        granted(open_desk(other, session="C").lock_files([path]))
    known, theirs = tip(repo), tip(other)
    git(repo, "fetch", "-q", other, f"+{LOG_REF}:{LOG_REF}")
    assert not open_desk(repo, session="A").check(["b"])["ok"]
    assert open_desk(repo, session="A").unlock_files(["a"])["ok"]
    assert git(repo, "rev-parse", f"{LOG_REF}~1") == known
    assert git(repo, "rev-parse", f"refs/gitcoord/kept/{theirs}") == theirs


def test_a_server_at_work_says_it_and_says_no_more_once_it_is_put_back(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    assert initialise(repo)["created"]
    granted(open_desk(repo, session="B").lock_files(["b"]))

    async def main() -> None:
        async with connected(repo) as client:
            emptied(repo)
            listed = await ask(client, "get_locked_files")
            assert [lock["path"] for lock in listed["locks"]] == ["b"]
            assert len(told(listed)) == 1
            taken = granted(await ask(client, "lock_files", files=["c"]))
            assert ["put back" in line for line in told(taken)] == [True]
            assert told(await ask(client, "get_locked_files")) == []

    anyio.run(main)
