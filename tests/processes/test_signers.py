"""Several processes write at once, each with a key of its own: every commit bears its own writer's signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitcoord.service import initialise, open_desk
from support.forge import make_key
from support.procs import Link, start
from support.repo import LOG_REF, git, make_repo

if TYPE_CHECKING:
    from pathlib import Path

WRITERS, COUNT = 4, 12


def write(link: Link, repo: str, keys: str) -> None:
    """Lock paths as one of several agents, and tell what was granted."""
    name = f"agent-{link.index}"
    desk = open_desk(repo, session=name, hint="test", key=f"{keys}/{name}")
    link.emit("ready")
    link.receive()
    granted: list[str] = []
    for number in range(COUNT):
        answer = desk.lock_files([f"{name}/{number}.py"])
        assert answer["granted"], answer
        granted.append(answer["grant"])
    link.emit(granted)


def test_each_process_signs_its_own_in_a_group_commit(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    root = make_key(str(tmp_path / "root"))
    initialise(repo, sign="ssh", key=str(tmp_path / "root"))
    desk = open_desk(repo, session="root", hint="test")
    keys = {f"agent-{number}": make_key(str(tmp_path / f"agent-{number}")) for number in range(WRITERS)}
    for name in keys:
        assert desk.add_key(name, str(tmp_path / f"{name}.pub"), roles=["agent"])["ok"]
    with start(write, WRITERS, repo, str(tmp_path)) as crew:
        crew.go()
        for worker in crew:
            assert worker.next() == "ready"
        for worker in crew:
            worker.send("write")
        told = crew.finish()
    ids = {identity for lines in told for identity in lines[-1]}
    assert len(ids) == WRITERS * COUNT
    checked = desk.verify()
    assert checked["ok"], checked
    assert checked["signed"] == dict.fromkeys(keys, COUNT + 1) | {"Ada Test": 2 + WRITERS}
    allowed = [f"{name} {key.public}" for name, key in [*keys.items(), ("root", root)]]
    (tmp_path / "allowed").write_text("\n".join(allowed) + "\n")
    git(repo, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "allowed"))
    for line in git(repo, "log", "--format=%G? %GS %an", LOG_REF).splitlines():
        good, signer, author = line.split(" ", 2)
        assert good == "G"
        assert signer in {author, "root"}
