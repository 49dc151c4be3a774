"""Damaged records: named, never granted by, out of the way of what does not need them, and healed where a copy is."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.errors import exit_code
from gitcoord.service import Desk, initialise, open_desk
from support.repo import LOG_REF, fsck, git, loosen, make_repo

if TYPE_CHECKING:
    from pathlib import Path

INTEGRITY = 3
PATH = "src/app.py"
RECORD = f"locks/{PATH}/@holder.json"


@pytest.fixture(autouse=True)
def relaxed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITCOORD_FSYNC", "0")


@pytest.fixture
def repo(tmp_path: Path) -> str:
    where = make_repo(tmp_path / "repo")
    initialise(where)
    holder = open_desk(where, session="holder")
    assert holder.lock_files([PATH])["granted"]
    assert holder.store_data("plan", "next", 1)["ok"]
    assert open_desk(where, session="me").store_data("plan", "mine", 2)["ok"]
    return where


def object_file(repo: str, name: str) -> str:
    loosen(repo)
    oid = git(repo, "rev-parse", f"{LOG_REF}:{name}" if name else LOG_REF)
    return f"{repo}/.git/gitcoord/objects/{oid[:2]}/{oid[2:]}"


def truncate(path: str) -> None:
    os.chmod(path, 0o644)
    os.truncate(path, os.path.getsize(path) // 2)


def empty(path: str) -> None:
    os.chmod(path, 0o644)
    os.truncate(path, 0)


def flip(path: str) -> None:
    """Turn over one bit in the middle."""
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        middle = os.path.getsize(path) // 2
        file.seek(middle)
        byte = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([byte ^ 0x10]))


def vanish(path: str) -> None:
    os.unlink(path)


def nonsense(path: str) -> None:
    """A sound object that is no record: what only an attacker or a bug could leave."""
    os.chmod(path, 0o644)
    body = b"{}\n"
    with open(path, "wb") as file:
        file.write(zlib.compress(b"blob %d\0%s" % (len(body), body)))


HARMS = (truncate, empty, flip, vanish)
Harm = Callable[[str], None]


def check_fault(answer: dict[str, Any], verdict: str, named: str) -> None:
    """The answer says no, with an integrity fault that names what is damaged."""
    assert answer.get(verdict, False) is False, answer
    assert exit_code(answer) == INTEGRITY, answer
    assert named in answer["error"]["message"], answer
    assert answer["error"]["next"]


@pytest.mark.parametrize("harm", [*HARMS, nonsense])
def test_a_damaged_lock_protects_as_if_it_were_whole(repo: str, harm: Harm) -> None:
    path = object_file(repo, RECORD)
    oid = "".join(path.split("/")[-2:])
    harm(path)
    me = open_desk(repo, session="me")
    named = RECORD if harm is nonsense else oid
    before = me.tip()
    check_fault(me.lock_files([PATH]), "granted", named)
    check_fault(me.lock_files(["src/"]), "granted", named)
    check_fault(me.lock_files(["**/app.py"]), "granted", named)
    check_fault(me.lock_files([PATH], wait_s=0.2), "granted", named)
    check_fault(me.lock_files([PATH], mode="intent"), "granted", named)
    check_fault(me.check([PATH]), "ok", named)
    check_fault(me.break_lock([PATH], "it is damaged"), "ok", named)
    check_fault(me.get_locked_files(), "locks", named)
    assert me.tip() == before, "nothing was written because of it"
    # What does not need it goes on.
    assert me.lock_files(["src/db.py"])["granted"]
    assert me.store_data("plan", "mine", 3)["ok"]
    assert me.unlock_files(["src/db.py"])["ok"]
    assert [s["session"] for s in me.list_sessions()["sessions"]] == ["holder", "me"]
    assert open_desk(repo, session="holder").store_data("plan", "next", 2)["ok"]


@pytest.mark.parametrize("harm", [*HARMS, nonsense])
def test_a_damaged_session_frees_none_of_its_locks(repo: str, harm: Harm) -> None:
    path = object_file(repo, "sessions/holder.json")
    oid = "".join(path.split("/")[-2:])
    harm(path)
    named = "sessions/holder.json" if harm is nonsense else oid
    me = open_desk(repo, session="me")
    before = me.tip()
    check_fault(me.lock_files([PATH]), "granted", named)
    check_fault(me.check([PATH]), "ok", named)
    check_fault(me.sign_on("holder", takeover=True), "ok", named)
    check_fault(open_desk(repo, session="holder").store_data("plan", "next", 3), "ok", named)
    check_fault(open_desk(repo, session="holder").sign_off(), "ok", named)
    assert me.tip() == before
    assert me.lock_files(["src/db.py"])["granted"]
    assert me.retrieve_data("plan", "next")["value"] == 1
    assert me.store_data("plan", "mine", 3)["ok"]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["locks", "locks/src", f"locks/{PATH}"])
def test_a_damaged_tree_protects_all_that_may_lie_in_it(repo: str, name: str, harm: Harm) -> None:
    path = object_file(repo, name)
    oid = "".join(path.split("/")[-2:])
    harm(path)
    me = open_desk(repo, session="me")
    check_fault(me.lock_files([PATH]), "granted", oid)
    check_fault(me.check([PATH]), "ok", oid)
    check_fault(me.lock_files(["**"]), "granted", oid)
    assert me.store_data("plan", "mine", 3)["ok"], "locks are not its business"
    if name != "locks":
        assert me.lock_files(["docs/a.md"])["granted"]


@pytest.mark.parametrize("harm", [*HARMS, nonsense])
@pytest.mark.parametrize("name", ["coord.json", "policy.json"])
def test_without_its_rules_the_log_grants_nothing(repo: str, name: str, harm: Harm) -> None:
    path = object_file(repo, name)
    oid = "".join(path.split("/")[-2:])
    harm(path)
    named = name if harm is nonsense else oid
    me = open_desk(repo, session="me")
    before = me.tip()
    check_fault(me.lock_files(["docs/a.md"]), "granted", named)
    check_fault(me.store_data("plan", "mine", 3), "ok", named)
    check_fault(me.sign_on(), "ok", named) if name == "coord.json" else me.sign_on()
    assert me.tip() == before or name == "policy.json"
    read = me.retrieve_data("plan", "next")
    if name == "coord.json":
        check_fault(read, "found", named)  # nobody can say in which format the rest is
    else:
        assert read["value"] == 1, "reading what is whole still works"


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_tip_is_named_by_everything(repo: str, harm: Harm) -> None:
    oid = git(repo, "rev-parse", LOG_REF)
    harm(object_file(repo, ""))
    me = open_desk(repo, session="me")
    check_fault(me.lock_files(["docs/a.md"]), "granted", oid)
    check_fault(me.store_data("plan", "mine", 3), "ok", oid)
    check_fault(me.retrieve_data("plan", "mine"), "found", oid)
    check_fault(me.status(), "repository", oid)
    assert git_tip(repo) == oid


def git_tip(repo: str) -> str:
    with open(f"{repo}/.git/{LOG_REF}", encoding="ascii") as file:
        return file.read().strip()


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_value_is_refused_and_its_neighbours_are_not(repo: str, harm: Harm) -> None:
    [name] = [n for n in git(repo, "ls-tree", "-r", "--name-only", LOG_REF, "data/").split("\n") if "next" in n]
    path = object_file(repo, name)
    oid = "".join(path.split("/")[-2:])
    harm(path)
    me = open_desk(repo, session="me")
    check_fault(me.retrieve_data("plan", "next"), "found", oid)
    check_fault(me.store_data("plan", "next", 5), "ok", oid)
    assert me.retrieve_data("plan", "mine")["value"] == 2
    assert me.list_keys("plan")["keys"] == ["mine", "next"]


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"0" * 40 + b"\n", b"ab\n", b"\0" * 41])
def test_a_damaged_ref_is_named_and_what_it_named_is_known_all_the_same(repo: str, content: bytes) -> None:
    known = git(repo, "rev-parse", LOG_REF)
    with open(f"{repo}/.git/{LOG_REF}", "wb") as file:
        file.write(content)
    me = open_desk(repo, session="me")
    read = me.retrieve_data("plan", "next")
    assert read["found"]
    assert LOG_REF in read["notices"][0]
    assert any(known[:12] in line for line in me.lock_files(["elsewhere"])["notices"])
    assert known in git(repo, "rev-list", LOG_REF).split()


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("kept", ["packed", "loose"])
def test_what_the_main_store_still_has_is_put_back(repo: str, harm: Harm, kept: str) -> None:
    names = [RECORD, "sessions/holder.json", "locks/src", "policy.json", "coord.json", ""]
    files = [object_file(repo, name) for name in names]
    if kept == "packed":
        git(repo, "repack", "-adq")
    else:
        for path in files:
            copy = f"{repo}/.git/objects/" + "/".join(path.split("/")[-2:])
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copyfile(path, copy)
    for path in files:
        harm(path)
    me: Desk = open_desk(repo, session="me")
    refused = me.lock_files([PATH])
    assert refused["error"]["code"] == "lock_held"
    assert refused["conflicts"][0]["session"] == "holder"
    assert me.lock_files(["docs/a.md"])["granted"]
    assert fsck(repo) == []
    for name, path in zip(names, files, strict=True):
        with open(path, "rb") as file:
            assert zlib.decompress(file.read()), f"{name} is not put back"
    open_desk(repo, session="holder").unlock_files([PATH])
    assert me.lock_files([PATH])["granted"]


def test_damage_while_a_server_runs_does_not_free_what_it_protects(repo: str) -> None:
    me = open_desk(repo, session="me")
    assert not me.lock_files([PATH])["granted"], "all is read and kept in memory"
    for name in (RECORD, "sessions/holder.json", "locks/src", "policy.json", "coord.json"):
        flip(object_file(repo, name))
        answer = me.lock_files([PATH])
        assert not answer["granted"]
        assert answer["error"]["code"] in ("lock_held", "object_damaged")
