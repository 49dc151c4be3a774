"""Clones made from a path on the same disk: what git copies into them, and what it takes to stand on their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gitcoord import config
from gitcoord.errors import Contention
from gitcoord.remote import local_clone
from gitcoord.service import initialise, open_desk
from gitcoord.store.inherited import LetGo, inherited_directories, let_go_of_inherited
from gitcoord.store.setup import prepare_runtime
from support.clones import INCOMING, LOG_REF, repository, transport
from support.repo import GitFailed, fsck, git, log_length, loosen, make_repo

LENGTH = 5  # init, the sign-on and three locks


@pytest.fixture
def first(tmp_path: Path) -> str:
    """Return a working clone with a log."""
    where = make_repo(tmp_path / "first")
    initialise(where)
    desk = open_desk(where, session="ada@host")
    for number in range(3):
        desk.lock_files([f"src/{number}.py"])
    return where


def cloned(source: str, path: Path, *shape: str) -> str:
    path.parent.mkdir(exist_ok=True)
    git(str(path.parent), "clone", "-q", *shape, source, str(path))
    return str(path)


def alternates(where: str) -> list[str]:
    """Return the lines of a repository's list of alternates."""
    try:
        return Path(repository(where).common_dir, "objects/info/alternates").read_text().splitlines()
    except FileNotFoundError:
        return []


def let_go(where: str) -> LetGo:
    return let_go_of_inherited(repository(where), config.environment())


def everything_named(where: str) -> str:
    return git(where, "rev-list", "--objects", "--all", "--reflog")


# -- what git itself does


@pytest.mark.parametrize(
    ("shape", "inherits", "has_log"),
    [
        ([], True, False),
        (["--bare"], True, False),
        (["--mirror"], True, True),
        (["--no-hardlinks"], True, False),
        (["--no-local"], False, False),
        (["--no-local", "--mirror"], False, True),
        (["--depth=1", "--no-local"], False, False),
        (["--shared"], False, False),
        (["--shared", "--mirror"], False, True),
    ],
)
def test_what_a_clone_of_a_path_inherits(
    first: str, tmp_path: Path, shape: list[str], *, inherits: bool, has_log: bool
) -> None:
    where = cloned(first, tmp_path / "second", *shape)
    line = f"{first}/.git/gitcoord/objects"
    assert (line in alternates(where)) == inherits
    assert inherited_directories(repository(where)) == ([line] if inherits else [])
    assert bool(git(where, "for-each-ref", LOG_REF)) == has_log
    common = repository(where).common_dir
    assert not os.path.exists(f"{common}/gitcoord")
    if has_log:
        assert Path(common, "packed-refs").read_text().count("refs/coord\n") == 1, "the alias comes as a plain ref"
    if "--shared" in shape:
        assert alternates(where) == [f"{first}/.git/objects"]


def test_a_linked_worktree_shares_and_a_clone_of_it_inherits(first: str, tmp_path: Path) -> None:
    side = str(tmp_path / "side")
    git(first, "worktree", "add", "-q", "-b", "side", side)
    assert alternates(side) == ["../gitcoord/objects"]
    assert inherited_directories(repository(side)) == []
    # git makes the line absolute from the worktree's own git directory, where there is no such thing.
    wrong = f"{first}/.git/worktrees/side/gitcoord/objects"
    mirror = tmp_path / "third.git"
    clones = [cloned(side, tmp_path / "second")]
    if is_refused(side, mirror, "--mirror", why="with nonexistent object"):  # a newer git looks before it writes refs
        cloned(side, mirror, "--mirror", "--no-local")
        assert alternates(str(mirror)) == []
    else:
        clones.append(str(mirror))
    for where in clones:
        assert inherited_directories(repository(where)) == [wrong]
        done = let_go(where)
        assert done.dropped == (wrong,)
        assert done.kept == ()
        assert alternates(where) == ["../gitcoord/objects"]
        assert fsck(where) == []
    shutil.rmtree(first)
    assert fsck(clones[0]) == []
    assert log_length(str(mirror)) == LENGTH


def is_refused(source: str, path: Path, *shape: str, why: str) -> bool:
    """Clone, and tell whether git refuses to for a reason; then nothing is left of it."""
    said = ""
    try:
        cloned(source, path, *shape)
    except GitFailed as failed:
        said = str(failed)
    assert not said or (why in said and not path.exists())
    return bool(said)


def test_a_clone_over_a_file_url_inherits_nothing(first: str, tmp_path: Path) -> None:
    assert alternates(cloned(f"file://{first}", tmp_path / "second")) == []


def test_a_mirror_that_kept_the_line_loses_its_log_with_the_first(first: str, tmp_path: Path) -> None:
    where = cloned(first, tmp_path / "second.git", "--mirror")
    assert log_length(where) == LENGTH
    shutil.rmtree(first)
    assert fsck(where) != []


# -- standing on one's own


@pytest.mark.parametrize("shape", [[], ["--bare"], ["--mirror"], ["--no-hardlinks"], ["--no-checkout"]])
def test_after_letting_go_the_first_may_be_deleted(first: str, tmp_path: Path, shape: list[str]) -> None:
    where = cloned(first, tmp_path / "second", *shape)
    named = everything_named(where)
    done = let_go(where)
    assert done.dropped == (f"{first}/.git/gitcoord/objects",)
    assert done.copied > 0
    assert done.kept == ()
    assert alternates(where) == ["../gitcoord/objects"]
    assert let_go(where) == LetGo((), 0, ())
    shutil.rmtree(first)
    assert everything_named(where) == named
    assert fsck(where) == []
    git(where, "gc", "-q", "--prune=now")
    assert everything_named(where) == named


def test_a_long_log_is_copied_as_a_pack(first: str, tmp_path: Path) -> None:
    desk = open_desk(first, session="ada@host")
    for number in range(60):
        desk.store_data("s", f"k{number}", number)
    where = cloned(first, tmp_path / "second.git", "--mirror")
    assert let_go(where).copied > 100
    shutil.rmtree(first)
    assert log_length(where) > 60
    assert fsck(where) == []


def test_fetching_from_the_first_copies_what_the_clone_could_borrow(first: str, tmp_path: Path) -> None:
    where = cloned(first, tmp_path / "second")
    tip = bytes.fromhex(git(first, "rev-parse", LOG_REF))
    assert transport(where).fetch(into=INCOMING) == tip
    assert let_go(where).kept == ()
    shutil.rmtree(first)
    assert log_length(where, INCOMING) == LENGTH
    assert fsck(where) == []


def test_a_clone_that_shares_all_objects_keeps_sharing_them(first: str, tmp_path: Path) -> None:
    where = cloned(first, tmp_path / "second", "--shared")
    assert transport(where).fetch(into=INCOMING) is not None
    assert let_go(where) == LetGo((), 0, ())
    assert alternates(where) == [f"{first}/.git/objects", "../gitcoord/objects"]
    shutil.rmtree(f"{first}/.git/gitcoord/objects")
    assert log_length(where, INCOMING) == LENGTH


def test_other_lines_stay_as_they_are(first: str, tmp_path: Path) -> None:
    near = make_repo(tmp_path / "near")
    where = cloned(first, tmp_path / "second", "--reference", near)
    listing = Path(where, ".git/objects/info/alternates")
    lookalike = tmp_path / "gitcoord" / "objects"
    lookalike.mkdir(parents=True)
    with listing.open("a") as file:
        file.write(f"# a comment\n{lookalike}\n")
    before = alternates(where)
    assert let_go(where).dropped == (f"{first}/.git/gitcoord/objects",)
    expected = [line for line in before if line != f"{first}/.git/gitcoord/objects"]
    assert alternates(where) == [*expected, "../gitcoord/objects"]
    assert f"{near}/.git/objects" in expected


def test_a_clone_of_a_clone_lets_go_of_both(first: str, tmp_path: Path) -> None:
    second = cloned(first, tmp_path / "second")
    prepare_runtime(repository(second))
    own = open_desk_with_log(second)
    third = cloned(second, tmp_path / "third.git", "--mirror")
    # The second let go of the first when it was initialised.
    assert inherited_directories(repository(third)) == [f"{second}/.git/gitcoord/objects"]
    done = let_go(third)
    assert done.dropped == (f"{second}/.git/gitcoord/objects",)
    shutil.rmtree(first)
    shutil.rmtree(second)
    assert git(third, "rev-parse", LOG_REF) == own
    assert fsck(third) == []


def open_desk_with_log(where: str) -> str:
    """Give a clone a log of its own and return its tip."""
    initialise(where)
    open_desk(where, session="bob@host").lock_files(["README.md"])
    return git(where, "rev-parse", LOG_REF)


def test_a_directory_that_is_gone_is_dropped_only_if_nothing_is_missing(first: str, tmp_path: Path) -> None:
    plain = cloned(first, tmp_path / "plain")
    mirror = cloned(first, tmp_path / "mirror.git", "--mirror")
    moved = f"{first}-moved"
    os.rename(first, moved)
    assert let_go(plain).dropped == (f"{first}/.git/gitcoord/objects",)
    assert alternates(plain) == ["../gitcoord/objects"]
    kept = let_go(mirror)
    assert kept.dropped == ()
    assert "is gone" in kept.kept[0][1]
    assert f"{first}/.git/gitcoord/objects" in alternates(mirror)
    os.rename(moved, first)
    assert let_go(mirror).kept == ()
    shutil.rmtree(first)
    assert fsck(mirror) == []


def test_a_damaged_source_keeps_the_line(first: str, tmp_path: Path) -> None:
    where = cloned(first, tmp_path / "second.git", "--mirror")
    loosen(first)
    blob = git(first, "rev-parse", f"{LOG_REF}:coord.json")
    path = f"{first}/.git/gitcoord/objects/{blob[:2]}/{blob[2:]}"
    os.chmod(path, 0o600)
    Path(path).write_bytes(b"nonsense")
    done = let_go(where)
    assert done.dropped == ()
    assert len(done.kept) == 1
    assert f"{first}/.git/gitcoord/objects" in alternates(where)


def test_a_list_that_another_program_has_locked_is_left_alone(first: str, tmp_path: Path) -> None:
    where = cloned(first, tmp_path / "second")
    prepare_runtime(repository(where))
    before = alternates(where)
    Path(where, ".git/objects/info/alternates.lock").touch()
    with pytest.raises(Contention):
        let_go(where)
    assert alternates(where) == before


def test_sha256_and_odd_paths(tmp_path: Path) -> None:
    source = make_repo(tmp_path / "a: b" / "first one", sha256=True)
    initialise(source)
    open_desk(source, session="ada@host").lock_files(["README.md"])
    where = cloned(source, tmp_path / "c:d" / "second.git", "--mirror")
    assert let_go(where).kept == ()
    shutil.rmtree(source)
    assert fsck(where) == []
    assert log_length(where) == 3


def test_the_repository_behind_a_path_is_found(first: str, tmp_path: Path) -> None:
    git_dir = f"{first}/.git"
    side = str(tmp_path / "side")
    git(first, "worktree", "add", "-q", "-b", "side", side)
    bare = cloned(first, tmp_path / "bare.git", "--bare")
    os.symlink(first, tmp_path / "link")
    for url, found in (
        (first, git_dir),
        (git_dir, git_dir),
        (f"{first}/", git_dir),
        (f"file://{first}", git_dir),
        (f"file://localhost{first}", git_dir),
        (side, git_dir),
        (str(tmp_path / "link"), git_dir),
        (str(tmp_path / "bare"), bare),
        (bare, bare),
        ("https://example.invalid/first", None),
        ("host:first", None),
        (str(tmp_path), None),
        (f"{first}/README.md", None),
        (str(tmp_path / "nothing"), None),
    ):
        assert local_clone(url) == found, url
    assert local_clone("first", base=str(tmp_path)) == git_dir
