"""What fetching leaves: the whole log in gitcoord's own directory, and everything else as it was."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from gitcoord.errors import ObjectMissing, RemoteUnreachable
from support.clones import INCOMING, LOG_REF, chain, clone_of_nothing, commit, repository, transport
from support.remotes import Remote, bare_remote
from support.repo import fsck, git, git_bytes, make_repo


def published(tmp_path: Path, length: int, *, sha256: bool = False) -> tuple[Remote, list[bytes]]:
    """Return a remote with a log and a branch, and the log's commits."""
    remote = bare_remote(tmp_path / "team.git", sha256=sha256, file_url=True)
    author = clone_of_nothing(tmp_path / "author", sha256=sha256)
    remote.let_in(author)
    tips = chain(author, length)
    assert transport(author).push(tips[-1], None).outcome == "taken"
    git(author, "push", "-q", "origin", "main")
    git(remote.path, "config", "uploadpack.allowFilter", "true")
    return remote, tips


def own_objects(where: str) -> set[str]:
    """Return the objects in gitcoord's own directory, seen without any other store."""
    env = {"GIT_OBJECT_DIRECTORY": f"{repository(where).runtime}/objects"}
    listing = git(
        where, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered", "--buffer", env=env
    )
    inherited = f"{repository(where).runtime}/objects/info/alternates"
    assert not os.path.exists(inherited)
    return set(listing.split())


def reachable(where: str, tip: bytes) -> set[str]:
    return {line.split(" ")[0] for line in git(where, "rev-list", "--objects", tip.hex()).splitlines()}


@pytest.mark.parametrize("length", [3, 200], ids=["as loose objects", "as a pack"])
@pytest.mark.parametrize("sha256", [False, True], ids=["sha1", "sha256"])
def test_new_objects_land_in_the_own_directory(tmp_path: Path, length: int, sha256: bool) -> None:
    remote, tips = published(tmp_path, length, sha256=sha256)
    where = clone_of_nothing(tmp_path / "clone", sha256=sha256)
    remote.let_in(where)
    before = git(where, "count-objects", "-v")
    assert transport(where).fetch(into=INCOMING) == tips[-1]
    assert own_objects(where) == reachable(where, tips[-1])
    assert own_objects(where) == reachable(remote.path, tips[-1])
    assert _own_store(before) == _own_store(git(where, "count-objects", "-v"))
    assert fsck(where) == []


def _own_store(counted: str) -> list[str]:
    return [line for line in counted.splitlines() if not line.startswith(("alternate", "prune-packable"))]


def test_what_a_plain_fetch_left_in_the_main_store_is_gathered(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 5)
    where = clone_of_nothing(tmp_path / "clone")
    remote.let_in(where)
    git(where, "fetch", "-q", "origin", f"{LOG_REF}:{LOG_REF}")
    assert transport(where).fetch(into=INCOMING) == tips[-1]
    assert own_objects(where) == reachable(remote.path, tips[-1])
    newest = commit(remote.path, "newest", tips[-1])
    git(remote.path, "update-ref", LOG_REF, newest.hex())
    git(where, "fetch", "-q", "origin", LOG_REF)
    assert transport(where).fetch(into=INCOMING) == newest
    git(where, "update-ref", "-d", LOG_REF)
    git(where, "gc", "-q", "--prune=now")
    assert own_objects(where) == reachable(remote.path, newest)


def test_a_partial_clone_gets_all_of_the_log(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 4)
    for name, plain_fetch in (("partial", False), ("partial-fetched", True)):
        where = str(tmp_path / name)
        git(str(tmp_path), "clone", "-q", "--filter=blob:none", "--no-checkout", remote.url, where)
        if plain_fetch:
            git(where, "fetch", "-q", "origin", f"{LOG_REF}:{LOG_REF}")
        assert transport(where).fetch(into=INCOMING) == tips[-1]
        assert own_objects(where) == reachable(remote.path, tips[-1])
        assert fsck(where) == []
        assert "partialclonefilter = blob:none" in Path(where, ".git/config").read_text()
        newest = commit(where, "from a partial clone", tips[-1])
        assert transport(where).push(newest, tips[-1]).outcome == "taken"
        tips.append(newest)


def test_a_shallow_clone_gets_all_of_the_log_and_stays_shallow(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 4)
    author = str(tmp_path / "author")
    git(author, "commit", "-q", "--allow-empty", "-m", "Second")
    git(author, "push", "-q", "origin", "main")
    for name, plain_fetch in (("shallow", False), ("shallow-fetched", True)):
        where = str(tmp_path / name)
        git(str(tmp_path), "clone", "-q", "--depth=1", remote.url, where)
        if plain_fetch:
            git(where, "fetch", "-q", "--depth=1", "origin", f"{LOG_REF}:{LOG_REF}")
        cut = Path(where, ".git/shallow").read_text()
        assert transport(where).fetch(into=INCOMING) == tips[-1]
        assert own_objects(where) >= reachable(remote.path, tips[-1])
        assert Path(where, ".git/shallow").read_text() == cut
        assert git(where, "rev-list", "--count", "main") == "1"
        newest = commit(where, "from a shallow clone", tips[-1])
        assert transport(where).push(newest, tips[-1]).outcome == "taken"
        tips.append(newest)
        assert transport(where).fetch(into=INCOMING) == newest


def test_a_mirror_clone_keeps_its_own_log(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 2)
    where = str(tmp_path / "mirror.git")
    git(str(tmp_path), "clone", "-q", "--mirror", remote.url, where)
    own = commit(where, "not yet pushed", tips[-1])
    git(where, "update-ref", LOG_REF, own.hex())
    mirror = transport(where)
    assert mirror.fetch(into=INCOMING) == tips[-1]
    assert git(where, "rev-parse", LOG_REF) == own.hex()
    later = commit(where, "pushed", tips[-1])
    assert mirror.push(later, tips[-1]).outcome == "taken"
    assert git(where, "rev-parse", LOG_REF) == own.hex()
    assert remote.tip("refs/heads/main") is not None
    assert remote.tip(INCOMING) is None


def test_a_linked_worktree_fetches_for_all(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 2)
    where = clone_of_nothing(tmp_path / "clone")
    remote.let_in(where)
    side = str(tmp_path / "side")
    git(where, "worktree", "add", "-q", "-b", "side", side)
    assert transport(side).fetch(into=INCOMING) == tips[-1]
    assert git(where, "rev-parse", INCOMING) == tips[-1].hex()
    assert own_objects(where) == own_objects(side) == reachable(remote.path, tips[-1])


def test_no_tags_hooks_or_settings_of_the_user_come_into_play(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 2)
    git(remote.path, "tag", "on-the-log", tips[0].hex())
    where = clone_of_nothing(tmp_path / "clone")
    remote.let_in(where)
    for key, value in (
        ("remote.origin.fetch", "+refs/*:refs/stolen/*"),
        ("remote.origin.tagOpt", "--tags"),
        ("remote.origin.prune", "true"),
        ("remote.origin.mirror", "true"),
        ("fetch.prune", "true"),
        ("fetch.recurseSubmodules", "true"),
        ("push.followTags", "true"),
        ("push.gpgSign", "true"),
        ("push.recurseSubmodules", "on-demand"),
        ("push.useForceIfIncludes", "true"),
        ("push.negotiate", "true"),
        ("transfer.fsckObjects", "true"),
        ("core.fsmonitor", "false"),
    ):
        git(where, "config", key, value)
    noted = tmp_path / "hooks-ran"
    for name in ("pre-push", "reference-transaction", "post-checkout", "update", "post-update"):
        file = Path(where, ".git/hooks", name)
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\necho {name} >> {noted}\nexit 1\n")
        file.chmod(0o755)
    before = git(where, "for-each-ref") + Path(where, ".git/config").read_text()
    assert transport(where).fetch(into=INCOMING) == tips[-1]
    newest = commit(where, "newest", tips[-1])
    assert transport(where).push(newest, tips[-1]).outcome == "taken"
    git(where, "-c", "core.hooksPath=/dev/null", "update-ref", "-d", INCOMING)
    assert git(where, "for-each-ref") + Path(where, ".git/config").read_text() == before
    assert not noted.exists()
    assert git(remote.path, "for-each-ref", "--format=%(refname)").split() == [
        LOG_REF,
        "refs/heads/main",
        "refs/tags/on-the-log",
    ]


def test_a_fetch_that_finds_nothing_new_sends_nothing(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 3)
    where = clone_of_nothing(tmp_path / "clone")
    remote.let_in(where)
    one = transport(where)
    assert one.fetch(into=INCOMING) == tips[-1]
    before = sorted(Path(where, ".git/gitcoord/objects").rglob("*"))
    assert one.fetch(into="refs/gitcoord/incoming/other") == tips[-1]
    assert sorted(Path(where, ".git/gitcoord/objects").rglob("*")) == before


def test_the_ref_follows_a_remote_that_was_rewound(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 3)
    where = clone_of_nothing(tmp_path / "clone")
    remote.let_in(where)
    assert transport(where).fetch(into=INCOMING) == tips[2]
    git(remote.path, "update-ref", LOG_REF, tips[0].hex())
    assert transport(where).fetch(into=INCOMING) == tips[0]


def test_lost_objects_come_back_when_everything_is_asked_for(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 3)
    where = clone_of_nothing(tmp_path / "clone")
    remote.let_in(where)
    one = transport(where)
    one.fetch(into=INCOMING)
    blob = git(where, "rev-parse", f"{tips[0].hex()}:data.json")
    os.unlink(f"{where}/.git/gitcoord/objects/{blob[:2]}/{blob[2:]}")
    assert one.fetch(into=INCOMING, everything=True) == tips[-1]
    assert git_bytes(where, "cat-file", "blob", blob) == b"entry 0\n"
    assert own_objects(where) == reachable(remote.path, tips[-1])


def test_a_remote_that_lacks_objects_moves_no_ref(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 3)
    where = clone_of_nothing(tmp_path / "clone")
    remote.let_in(where)
    blob = git(remote.path, "rev-parse", f"{tips[0].hex()}:data.json")
    os.unlink(f"{remote.path}/objects/{blob[:2]}/{blob[2:]}")
    with pytest.raises((RemoteUnreachable, ObjectMissing)):
        transport(where).fetch(into=INCOMING)
    assert git(where, "for-each-ref", INCOMING) == ""


def test_objects_of_another_repository_are_read_but_not_relied_on(tmp_path: Path) -> None:
    remote, tips = published(tmp_path, 3)
    near = make_repo(tmp_path / "near")
    git(near, "fetch", "-q", remote.url, f"{LOG_REF}:refs/heads/kept")
    where = str(tmp_path / "clone")
    git(str(tmp_path), "clone", "-q", "--reference", near, remote.url, where)
    assert transport(where).fetch(into=INCOMING) == tips[-1]
    assert own_objects(where) == reachable(remote.path, tips[-1])


def test_many_threads_share_one_transport(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    remote, tips = published(tmp_path, 3)
    where = clone_of_nothing(tmp_path / "clone")
    remote.let_in(where)
    one = transport(where)
    open_before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(one.look) for _ in range(12)]
        fetches = [pool.submit(one.fetch, into=f"{INCOMING}-{number}") for number in range(12)]
        assert {look.result() for look in looks} == {fetch.result() for fetch in fetches} == {tips[-1]}
    if open_before:
        assert len(os.listdir("/proc/self/fd")) <= open_before
    assert zombies() == 0


def zombies() -> int:
    """Count dead children that nobody has waited for."""
    with contextlib.suppress(ChildProcessError):
        return int(os.waitpid(-1, os.WNOHANG)[0] != 0)
    return 0
