"""Every kind of remote takes, refuses, shows and hands out the log alike."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.clones import INCOMING, LOG_REF, chain, clone_of_nothing, commit, transport
from support.remotes import Remote, bare_remote, daemon_remote, http_remote, ssh_remote
from support.repo import fsck, git, make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("path", "working clone", "file", "git", "http", "ssh")


@pytest.fixture(params=KINDS)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    kind: str = request.param
    path = tmp_path / "served" / "team.git"
    with ExitStack() as stack:
        if kind == "path":
            yield bare_remote(path)
        elif kind == "working clone":
            where = make_repo(tmp_path / "served" / "team")
            yield Remote(where, f"{where}/.git")
        elif kind == "file":
            yield bare_remote(tmp_path / "served" / "with space.git", file_url=True)
        elif kind == "git":
            yield stack.enter_context(daemon_remote(path))
        elif kind == "http":
            yield stack.enter_context(http_remote(path, secrets=tmp_path / "secrets")).remote
        else:
            yield stack.enter_context(ssh_remote(path, keys=tmp_path / "keys"))


@pytest.fixture
def clones(remote: Remote, tmp_path: Path) -> tuple[str, str]:
    made = clone_of_nothing(tmp_path / "one"), clone_of_nothing(tmp_path / "two")
    for where in made:
        remote.let_in(where)
    return made


def test_a_ref_is_looked_for_pushed_under_a_lease_and_fetched(remote: Remote, clones: tuple[str, str]) -> None:
    one, two = (transport(where) for where in clones)
    assert one.look() is None
    assert one.fetch(into=INCOMING) is None
    first, second, third = chain(clones[0], 3)
    assert one.push(first, None).outcome == "taken"
    assert remote.tip() == first
    assert one.look() == first
    assert two.look_for([LOG_REF, "refs/heads/gitcoord", "refs/gitcoord"]) == {LOG_REF: first}
    assert one.push(second, None).outcome == "stale"
    assert one.push(third, second).outcome == "stale"
    assert remote.tip() == first
    assert one.push(first, None).outcome == "taken", "what is there already is taken"
    assert two.fetch(into=INCOMING) == first
    assert one.push(third, first).outcome == "taken"
    assert two.fetch(into=INCOMING) == third
    assert git(clones[1], "rev-parse", INCOMING) == third.hex()
    assert git(clones[1], "rev-list", "--count", INCOMING) == "3"
    assert two.push(commit(clones[1], "of the other", third), third).outcome == "taken"
    assert fsck(clones[1]) == []
    assert fsck(remote.path) == []


def test_nothing_else_of_the_clone_is_touched(clones: tuple[str, str]) -> None:
    git(clones[0], "push", "-q", "origin", "main")
    git(clones[0], "tag", "v1")
    git(clones[0], "push", "-q", "origin", "v1")
    one, two = (transport(where) for where in clones)
    tips = chain(clones[0], 2)
    assert one.push(tips[1], None).outcome == "taken"
    before = _seen(clones[1])
    two.fetch(into=INCOMING)
    after = _seen(clones[1])
    assert set(after.splitlines()) - set(before.splitlines()) == {f"{tips[1].hex()} {INCOMING}"}
    assert not os.path.exists(f"{clones[1]}/.git/FETCH_HEAD")


def _seen(where: str) -> str:
    with open(f"{where}/.git/config", encoding="utf-8") as config:
        return git(where, "for-each-ref", "--format=%(objectname) %(refname)") + "\n" + config.read()
