from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from gitcoord.store.objects import ObjectStore
from gitcoord.store.refs import LogRef
from gitcoord.store.repository import Repository, find_repository, worktree_roots
from gitcoord.store.setup import prepare_runtime
from support.repo import GitFailed, add_worktree, fsck, git, git_bytes, loosen, make_repo

SHAPES = ["sha1", "sha256", "bare", "bare-sha256", "worktree", "submodule", "separate"]
SIZES = (0, 1, 300, 3990, 4090, 66000)


def make(tmp_path: Path, shape: str) -> tuple[str, Repository]:
    """Make a repository of a shape and return where to run git, and what was found there."""
    sha256 = shape.endswith("sha256")
    where = make_repo(tmp_path / "r", bare=shape.startswith("bare"), sha256=sha256)
    if shape == "worktree":
        where = add_worktree(where, tmp_path / "w")
    elif shape == "submodule":
        make_repo(tmp_path / "other")
        git(where, "submodule", "--quiet", "add", str(tmp_path / "other"), "sub")
        where = os.path.join(where, "sub")
    elif shape == "separate":
        git(where, "init", "-q", "--separate-git-dir", str(tmp_path / "elsewhere"), ".")
    repo = find_repository(where, {})
    prepare_runtime(repo)
    return where, repo


def write_commit(
    store: ObjectStore, parent: bytes | None, text: bytes
) -> tuple[bytes, dict[bytes, tuple[bytes, bytes]]]:
    """Write a commit with a wide tree and blobs of all sizes, and return its name and all that was written."""
    batch = store.batch()
    written: dict[bytes, tuple[bytes, bytes]] = {}

    def add(kind: bytes, body: bytes) -> bytes:
        oid = batch.add(kind, body)
        written[oid] = (kind, body)
        return oid

    blobs = [add(b"blob", text[:size].ljust(size, b"x")) for size in SIZES]
    entries = [b"100644 f%05d.json\0%s" % (at, blobs[at % len(blobs)]) for at in range(2500)]
    inner = add(b"tree", b"".join(entries))
    tree = add(b"tree", b"40000 locks\0" + inner)
    lines = [b"tree " + tree.hex().encode()]
    if parent is not None:
        lines.append(b"parent " + parent.hex().encode())
    lines += [b"author A <a@b.c> 1700000000 +0000", b"committer A <a@b.c> 1700000000 +0000", b"", text, b""]
    oid = add(b"commit", b"\n".join(lines))
    store.sync(batch.paths)
    return oid, written


def swap(ref: LogRef, old: bytes | None, new: bytes) -> None:
    assert ref.swap(old, new, who="Ann <ann@example.org>", at_s=1_700_000_000, message="lock: a")


@pytest.mark.parametrize("shape", SHAPES)
def test_git_reads_every_object_the_ref_the_reflog_and_the_alias(tmp_path: Path, shape: str) -> None:
    where, repo = make(tmp_path, shape)
    store, ref = ObjectStore(repo), LogRef(repo)
    first, written = write_commit(store, None, b"first")
    swap(ref, None, first)
    second, more = write_commit(store, first, b"second")
    swap(ref, first, second)
    ref.make_alias()
    for oid, (kind, body) in {**written, **more}.items():
        assert git_bytes(where, "cat-file", kind.decode(), oid.hex()) == body
    assert git(where, "log", "--format=%s", "refs/coord") == "second\nfirst"
    assert git(where, "symbolic-ref", "refs/coord") == "refs/gitcoord/main"
    assert git(where, "reflog", "show", "--format=%gn %gs", "refs/gitcoord/main") == "Ann lock: a\nAnn lock: a"
    assert fsck(where) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_the_directories_are_those_that_git_names(tmp_path: Path, shape: str) -> None:
    where, repo = make(tmp_path, shape)
    assert os.path.realpath(git(where, "rev-parse", "--absolute-git-dir")) == repo.git_dir
    common = git(where, "rev-parse", "--git-common-dir")
    assert os.path.realpath(os.path.join(where, common)) == repo.common_dir
    assert git(where, "rev-parse", "--show-object-format") == repo.object_format
    assert git(where, "rev-parse", "--is-bare-repository") == ("true" if repo.bare else "false")
    if repo.worktree is not None:
        assert os.path.realpath(git(where, "rev-parse", "--show-toplevel")) == repo.worktree


def test_the_worktrees_are_those_that_git_lists(tmp_path: Path) -> None:
    main = make_repo(tmp_path / "r")
    linked = add_worktree(main, tmp_path / "with space", "a")
    gone = add_worktree(main, tmp_path / "gone", "b")
    shutil.rmtree(gone)
    expected = (os.path.realpath(main), os.path.realpath(linked))
    for where in (main, linked):
        assert worktree_roots(find_repository(where, {})) == expected


def test_a_bare_repository_with_worktrees_has_no_main_one(tmp_path: Path) -> None:
    make_repo(tmp_path / "r")
    git(str(tmp_path), "clone", "-q", "--bare", "r", "b.git")
    linked = add_worktree(str(tmp_path / "b.git"), tmp_path / "w")
    for where in (str(tmp_path / "b.git"), linked):
        assert worktree_roots(find_repository(where, {})) == (os.path.realpath(linked),)
    assert not find_repository(linked, {}).bare


HOUSEKEEPING = [
    ("gc", "--quiet", "--prune=now"),
    ("prune", "--expire=now"),
    ("repack", "-adq"),
    ("repack", "-adlq"),
    ("pack-refs", "--all", "--prune"),
    ("reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all"),
    ("maintenance", "run", "--quiet", "--task=loose-objects", "--task=gc"),
]


@pytest.mark.parametrize("shape", ["sha1", "sha256", "bare", "worktree"])
def test_no_housekeeping_takes_an_object_not_even_an_unreachable_one(tmp_path: Path, shape: str) -> None:
    where, repo = make(tmp_path, shape)
    store, ref = ObjectStore(repo), LogRef(repo)
    tip, written = write_commit(store, None, b"reachable")
    swap(ref, None, tip)
    _, stray = write_commit(store, tip, b"not yet reachable")
    for command in HOUSEKEEPING:
        git(where, *command)
    assert {oid: store.read(oid, verify=True) for oid in (*written, *stray)} == {**written, **stray}
    assert store.healed == []
    assert ref.read() == tip
    after, _ = write_commit(store, tip, b"goes on")
    swap(ref, tip, after)
    assert git(where, "rev-parse", "refs/gitcoord/main") == after.hex()
    assert fsck(where) == []


@pytest.mark.parametrize("shape", ["sha1", "sha256"])
def test_a_missing_or_damaged_object_comes_back_from_the_users_packs(tmp_path: Path, shape: str) -> None:
    where, repo = make(tmp_path, shape)
    tip, written = write_commit(ObjectStore(repo), None, b"packed")
    loosen(where)
    with closing(ObjectStore(repo)) as store:
        swap(LogRef(repo), None, tip)
        # Without -l a repack copies what lies in alternates.
        git(where, "repack", "-adq")
        paths = [path for path in Path(store.directory).rglob("*") if path.is_file()]
        for path in paths[::2]:
            path.unlink()
        for path in paths[1::2]:
            data = path.read_bytes()
            path.chmod(0o644)
            path.write_bytes(data[: len(data) - 5])
        assert {oid: store.read(oid) for oid in written} == written
        assert sorted(store.healed) == sorted(written)
        assert {str(path) for path in paths} == {
            str(path) for path in Path(store.directory).rglob("*") if path.is_file()
        }
    for path in Path(repo.common_dir, "objects", "pack").iterdir():
        path.unlink()
    with closing(ObjectStore(repo)) as store:
        assert {oid: store.read(oid, verify=True) for oid in written} == written
        assert store.healed == []


def test_packs_that_a_repack_replaced_are_no_obstacle(tmp_path: Path) -> None:
    where, repo = make(tmp_path, "sha1")
    ref = LogRef(repo)
    tips: list[bytes] = []
    packs: set[str] = set()
    with closing(ObjectStore(repo)) as store:
        for text in (b"one", b"two", b"three"):
            before = tips[-1] if tips else None
            tip, _ = write_commit(ObjectStore(repo), before, text)
            loosen(where)
            swap(ref, before, tip)
            tips.append(tip)
            git(where, "repack", "-adq")
            packs.update(os.listdir(os.path.join(repo.common_dir, "objects", "pack")))
            for oid in tips:
                Path(store.directory, oid.hex()[:2], oid.hex()[2:]).unlink()
                # The pack that was opened for the last read is gone by now.
                assert store.read(oid)[0] == b"commit"
        assert store.healed == [tips[0], *tips[:2], *tips]
    assert len([name for name in packs if name.endswith(".pack")]) == 3


def test_a_fresh_clone_of_the_log_is_read_and_kept(tmp_path: Path) -> None:
    _, repo = make(tmp_path, "sha1")
    tip, written = write_commit(ObjectStore(repo), None, b"shared")
    swap(LogRef(repo), None, tip)
    clone = make_repo(tmp_path / "clone", files=False)
    # The file:// transport copies objects instead of borrowing them.
    git(clone, "fetch", "-q", f"file://{tmp_path}/r", "refs/gitcoord/main:refs/gitcoord/main")
    other = find_repository(clone, {})
    prepare_runtime(other)
    with closing(ObjectStore(other)) as store:
        assert LogRef(other).read() == tip
        assert {oid: store.read(oid) for oid in written} == written
    shutil.rmtree(os.path.join(other.common_dir, "objects", "pack"))
    assert git(clone, "log", "--format=%s", "refs/gitcoord/main") == "shared"


def test_gits_own_swap_and_ours_see_each_other(tmp_path: Path) -> None:
    where, repo = make(tmp_path, "sha1")
    store, ref = ObjectStore(repo), LogRef(repo)
    first, _ = write_commit(store, None, b"first")
    second, _ = write_commit(store, first, b"second")
    third, _ = write_commit(store, second, b"third")
    swap(ref, None, first)
    ref.make_alias()
    git(where, "update-ref", "refs/coord", second.hex(), first.hex())
    assert not ref.swap(first, third, who="a <b>", at_s=1, message="m")
    git(where, "pack-refs", "--all")
    assert not Path(ref.path).exists()
    swap(ref, second, third)
    with pytest.raises(GitFailed):
        git(where, "update-ref", "refs/gitcoord/main", first.hex(), second.hex())
    git(where, "update-ref", "-d", "refs/gitcoord/main")
    assert ref.read() is None
    swap(ref, None, first)
    assert git(where, "rev-parse", "refs/gitcoord/main") == first.hex()


def test_a_mirror_clone_flattens_the_alias_and_it_is_made_again(tmp_path: Path) -> None:
    _, repo = make(tmp_path, "bare")
    ref = LogRef(repo)
    tip, _ = write_commit(ObjectStore(repo), None, b"x")
    swap(ref, None, tip)
    ref.make_alias()
    git(str(tmp_path), "clone", "-q", "--mirror", f"file://{tmp_path}/r", "m.git")
    mirror = find_repository(str(tmp_path / "m.git"), {})
    prepare_runtime(mirror)
    flattened = LogRef(mirror)
    assert flattened.alias_state() == "flattened"
    flattened.make_alias()
    git(str(tmp_path / "m.git"), "pack-refs", "--all")
    assert flattened.alias_state() == "ok"
    assert git(str(tmp_path / "m.git"), "symbolic-ref", "refs/coord") == "refs/gitcoord/main"
