"""Bad history that somebody pushed is judged before it is used, kept out, and told of in every answer meanwhile."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from gitcoord.service import initialise, open_desk
from gitcoord.sharing.door import REPLAYED_AT_MOST
from gitcoord.verify.chain import verify_arriving
from support.forge import Forge, honest_log, make_key, set_lock
from support.forgeries import FORGERIES, SIGNED
from support.mcp_face import ask, connected
from support.program import run
from support.repo import LOG_REF, git, make_repo
from support.team import Team, desk, tip
from support.world import granted

if TYPE_CHECKING:
    from pathlib import Path

    from gitcoord.service import Desk


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def forge_in(where: str) -> tuple[bytes, bytes]:
    """Forge a flipped holder on the tip of a clone's unsigned log; return the tip that it follows, and it."""
    forge = Forge(where, None, 1, signed=False)  # pyright: ignore[reportArgumentType] - nobody signs here
    session = str(next(forge.log.state_at(forge.tip).sessions())["session"])
    lock = forge.lock(forge.tip)
    operation = forge.lock_operation(forge.tip, session)
    bad = forge.commit(forge.tip, [operation], tamper=set_lock(lock, token=lock["token"] - 1))
    return forge.tip, bad


def push(where: str, oid: bytes) -> None:
    git(where, "push", "-q", "origin", f"{oid.hex()}:{LOG_REF}")


def test_a_forged_commit_on_an_unsigned_log_is_set_back_and_kept(team: Team) -> None:
    one, where = team.sharing("one"), team.sharing("two")
    granted(desk(one).lock_files(["a.py"]))
    assert desk(where).sync()["ok"]
    good, bad = forge_in(one)
    push(one, bad)
    answer = desk(where).sync()
    assert answer["ok"], answer
    assert team.tip() == tip(where) == good.hex()
    assert git(where, "rev-parse", f"refs/gitcoord/kept/{bad.hex()}") == bad.hex()
    event = answer["events"][-1]
    assert (event["event"], event["found"]) == ("forged", bad.hex())
    assert "rule tree" in event["done"]
    assert desk(where).status()["remote"]["quarantine"] is None  # it is not there any more


def test_while_bad_history_is_left_there_every_answer_says_so(team: Team) -> None:
    one, where = team.sharing("one"), team.sharing("two")
    granted(desk(one).lock_files(["a.py"]))
    assert desk(where).sync()["ok"]
    good, bad = forge_in(one)
    push(one, bad)
    git(where, "config", "gitcoord.restore", "false")
    assert desk(where).sync()["error"]["code"] == "remote_damaged"
    assert tip(where) == good.hex()
    status = desk(where).status()
    kept = status["remote"]["quarantine"]
    assert (kept["tip"], kept["commit"], kept["good"], kept["rule"]) == (bad.hex(), bad.hex(), good.hex(), "tree")
    assert git(where, "rev-parse", kept["ref"]) == bad.hex()
    assert "gitcoord.restore" in kept["next"]
    assert any(finding["code"] == "quarantined" for finding in run(where, "doctor", "--json").json["findings"])
    for words in (("status",), ("locks",), ("data", "scopes"), ("log",)):
        assert bad.hex() in run(where, *words).err

    async def body() -> None:
        async with connected(where) as client:
            for tool in (await client.list_tools()).tools:
                arguments = {name: _value(schema) for name, schema in _required(tool.input_schema).items()}
                answer = await ask(client, tool.name, **arguments)
                assert any(bad.hex() in text and "tree" in text for text in answer["notices"]), (tool.name, answer)
            somebody = desk(where).list_sessions()["sessions"][0]["session"]
            for name in ("status", "locks", "log", "policy", f"sessions/{somebody}"):
                read = await client.read_resource(f"coord://{name}")
                document = json.loads(cast("Any", read.contents[0]).text)
                assert any(bad.hex() in text for text in document["notices"]), name

    anyio.run(body)
    push_back = desk(one).sync()
    assert push_back["ok"], push_back
    git(where, "config", "gitcoord.restore", "true")
    assert "notices" not in desk(where).sync()
    assert "notices" not in desk(where).status()


def _required(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: schema["properties"][name] for name in schema.get("required", ())}


def _value(schema: dict[str, Any]) -> Any:
    return {"array": ["z.py"], "integer": 1}.get(schema.get("type", ""), "x")


def _signed_team(team: Team) -> tuple[Desk, str]:
    """Let ada begin a signed log, and bob, who may not repair, join it; return her desk and his clone."""
    keys = {name: make_key(str(team.root / name)) for name in ("ada", "bob")}
    one = team.clone("one")
    assert initialise(one, remote="origin", sign="ssh", key=str(team.root / "ada"))["ok"]
    ada = open_desk(one, session="ada-1", key=str(team.root / "ada"))
    assert ada.add_key("bob", str(team.root / "bob.pub"), roles=["agent"])["changed"]
    granted(ada.lock_files(["a.py"]))
    two = team.clone("two")
    joined = initialise(two)
    assert joined["joined"]
    assert keys["ada"].fingerprint in joined["notices"][0]
    assert git(two, "config", "gitcoord.root") == keys["ada"].fingerprint
    git(two, "config", "gitcoord.sign", "ssh")
    git(two, "config", "gitcoord.signingKey", str(team.root / "bob"))
    return ada, two


def test_a_role_without_repair_waits_and_one_with_it_sets_the_remote_back(team: Team) -> None:
    ada, two = _signed_team(team)
    one, good = str(team.root / "one"), tip(str(team.root / "one"))
    forge = Forge(one, None, 1, signed=False)  # pyright: ignore[reportArgumentType] - it does not sign
    bad = forge.commit(forge.tip, [forge.lock_operation(forge.tip, "ada-1")], effect=lambda _state: None)
    push(one, bad)
    bob = open_desk(two, session="bob-1")
    refused = bob.sync()
    assert (refused["error"]["code"], refused["quarantine"]["tip"]) == ("remote_damaged", bad.hex())
    assert tip(two) == good
    kept = bob.status()["remote"]["quarantine"]
    assert "ask Ada Test, whose role has `repair`, to run: gitcoord sync" in kept["next"]
    # Both ways out are told where a confirmed lock is asked for, and the second one works.
    stuck = bob.lock_files(["b.py"])
    assert not stuck["granted"]
    assert "Ada Test" in stuck["error"]["next"]
    assert "--offline" in stuck["error"]["next"]
    assert granted(bob.lock_files(["b.py"], offline=True))["state"] == "provisional"
    assert any(kept["commit"] in text for text in bob.list_scopes()["notices"])
    again = [bob.sync(), bob.sync()][-1]
    assert again["error"]["code"] == "remote_damaged"
    assert sum(event["event"] == "forged" for event in bob.status()["remote"]["events"]) == 1
    assert ada.sync()["ok"]
    assert team.tip() == good
    assert bob.sync()["ok"]
    assert "notices" not in bob.status()


def test_a_log_of_another_root_than_the_trusted_one_is_not_joined(team: Team) -> None:
    _signed_team(team)
    three = team.clone("three")
    done = run(three, "init", "--trust", "SHA256:" + 43 * "A", "--json")
    assert done.code == 3, done
    assert "rule root" in done.json["error"]["message"]
    assert git(three, "for-each-ref", LOG_REF) == ""


def test_what_is_no_fingerprint_is_trusted_by_nobody_and_changes_nothing(team: Team) -> None:
    _signed_team(team)
    three = team.clone("three")
    for words in (("init", "--trust", "SHA256:short"), ("init", "--trust", "ada")):
        done = run(three, *words, "--json")
        assert (done.code, done.json["error"]["code"]) == (2, "bad_request"), done
    assert git(three, "config", "--default", "", "gitcoord.root") == ""
    assert not os.path.exists(f"{three}/.git/gitcoord")
    assert run(three, "init").code == 0
    root = git(three, "config", "gitcoord.root")
    assert run(three, "verify", "--trust", "nonsense").code == 2
    assert git(three, "config", "gitcoord.root") == root


def test_a_clone_that_trusts_a_root_begins_no_log_without_it(tmp_path: Path) -> None:
    where = make_repo(tmp_path / "alone")
    done = run(where, "init", "--trust", "SHA256:" + 43 * "A", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "bad_request"), done
    assert git(where, "for-each-ref", LOG_REF) == ""


def test_what_is_bad_when_a_clone_joins_is_left_out(team: Team) -> None:
    one = team.sharing("one")
    granted(desk(one).lock_files(["a.py"]))
    good, bad = forge_in(one)
    push(one, bad)
    two = team.clone("two")
    assert initialise(two)["joined"]
    assert tip(two) == good.hex()
    assert desk(two).status()["remote"]["quarantine"]["commit"] == bad.hex()


def test_of_many_commits_the_form_of_each_is_judged(tmp_path: Path) -> None:
    repo, keys = honest_log(str(tmp_path), signed=False, seed=5)
    forge = Forge(repo, keys, 5, signed=False)
    found: set[str] = set()
    for name in (name for name in FORGERIES if name not in SIGNED):
        forged = FORGERIES[name](forge)
        verdict = verify_arriving(forge.log, forge.line[3], forged.tip, replayed=0)
        if verdict.fault is not None:
            found.add(verdict.fault.rule)
            assert verdict.fault.commit == forged.bad, name
    assert {"message", "author", "dates", "revision", "operation-id", "repository", "parents"} <= found
    assert verify_arriving(forge.log, forge.line[3], forge.tip, replayed=0).fault is None
    assert REPLAYED_AT_MOST > 0
