"""`kill -9` at every point at which the history is packed and what nothing reaches goes: nothing else does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gitcoord import config
from gitcoord.service import initialise, open_desk
from gitcoord.store.objects import ObjectStore
from gitcoord.store.packing import pack_history
from gitcoord.store.unreached import GRACE_S
from processes.workers import die_at_every_call_of_packing, entries, kinds
from support.procs import start
from support.repo import fsck, git, make_repo

if TYPE_CHECKING:
    from pathlib import Path


def has(repo: str, oid: bytes) -> bool:
    return "missing" not in git(repo, "cat-file", "--batch-check", stdin=oid.hex().encode() + b"\n")


def test_death_at_every_call_while_the_history_is_packed(tmp_path: Path) -> None:
    template = make_repo(tmp_path / "template")
    initialise(template)
    desk = open_desk(template, session="ada@host")
    for number in range(3):
        assert desk.store_data("s", f"k{number}", number)["ok"]
    batch = ObjectStore(desk.access.repository).batch()
    lost, named = batch.add(b"blob", b"nothing reaches it"), batch.add(b"blob", b"a tag does")
    assert len(batch.paths) == 2
    git(template, "tag", "mine", named.hex())
    place = f"{desk.access.runtime}/objects/pack"
    for name in os.listdir(place):
        when = os.stat(f"{place}/{name}").st_mtime - GRACE_S - 60
        os.utime(f"{place}/{name}", (when, when))
    with start(die_at_every_call_of_packing, 1, template, str(tmp_path / "copies")) as crew:
        crew.go()
        repos: list[str] = crew.finish(timeout_s=600)[0]
    assert len(repos) > 40
    gone = [not has(repo, lost) for repo in repos]
    assert gone[-1], "it is old, and went where nobody died"
    assert gone.index(True) > 10, "it went late: first all that stays was elsewhere"
    for repo in repos:
        assert fsck(repo) == []
        assert has(repo, named)
        assert kinds(entries(repo)) == {"log.init": 1, "session.start": 1, "data.store": 3}
    for repo in repos[::8]:
        again = open_desk(repo, session="after")
        assert again.store_data("s", "k0", "after")["ok"]
        now = again.access.now()
        pack_history(again.access.repository, again.access.log.tip(), now.at_ms / 1000, config.environment())
        assert fsck(repo) == []
        assert again.retrieve_data("s", "k2")["value"] == 2
