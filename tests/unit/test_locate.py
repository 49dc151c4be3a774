"""What a typed path means, with real directories, symbolic links and several worktrees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gitcoord.errors import InvalidPath
from gitcoord.locate import Place, resolve, to_spelled
from gitcoord.paths import Claim

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> str:
    main = tmp_path / "main"
    for directory in ("src/sub", ".git/worktrees/inner", "lib", "app/[id]"):
        (main / directory).mkdir(parents=True)
    for file in ("src/a.py", "src/sub/b.py", "lib/c.py", "app/[id]/page.tsx", "app/*.tsx"):
        (main / file).write_text("")
    (main / "link").symlink_to("src")
    (main / "alias.py").symlink_to("src/a.py")
    (main / "gitlink").symlink_to(".git")
    (main / "dangling").symlink_to("nowhere")
    (main / "away").symlink_to(tmp_path)
    (main / "inner" / "src").mkdir(parents=True)
    (tmp_path / "outer" / "src").mkdir(parents=True)
    (tmp_path / "entrance").symlink_to(main)
    (tmp_path / "shortcut.py").symlink_to(main / "src" / "a.py")
    return os.path.realpath(main)


def place_at(root: str, base: str = "") -> Place:
    outer = os.path.join(os.path.dirname(root), "outer")
    return Place((root, os.path.join(root, "inner"), outer), os.path.join(root, base), (os.path.join(root, ".git"),))


@pytest.mark.parametrize(
    "text",
    [
        "a.py",
        "./a.py",
        ".//a.py",
        "../src/a.py",
        "../src/../src/a.py",
        "../link/a.py",
        "../link/sub/../a.py",
        "../nothere/../src/a.py",
        "{root}/src/a.py",
        "{root}//src/./a.py",
        "{root}/../entrance/src/a.py",
        "{root}/../shortcut.py",
        "../away/main/src/a.py",
    ],
)
def test_one_file_has_one_key_however_it_is_named(root: str, text: str) -> None:
    claim = resolve(text.format(root=root), place_at(root, "src"))
    assert claim == Claim("file", ("src", "a.py"), "src/a.py")


@pytest.mark.parametrize(
    ("text", "kind", "spelled"),
    [
        ("src", "directory", "src"),
        ("src/", "directory", "src"),
        ("src/sub/..", "directory", "src"),
        (".", "directory", "."),
        ("{root}", "directory", "."),
        ("{root}/", "directory", "."),
        ("{root}/../entrance", "directory", "."),
        ("new", "file", "new"),
        ("new/", "directory", "new"),
        ("new/deep/file.py", "file", "new/deep/file.py"),
        ("alias.py", "file", "alias.py"),
        ("link", "file", "link"),
        ("link/", "directory", "src"),
        ("link/.", "directory", "src"),
        ("dangling", "file", "dangling"),
        ("away", "file", "away"),
        ("link/new.py", "file", "src/new.py"),
        ("src/*.py", "pattern", "src/*.py"),
        ("link/*.py", "pattern", "src/*.py"),
        ("link/**/", "pattern", "src/**"),
        ("*/a.py", "pattern", "*/a.py"),
        ("{root}/**", "pattern", "**"),
        ("{root}/../entrance/s?c/", "pattern", "s?c/**"),
        ("app/[id]/page.tsx", "file", "app/[id]/page.tsx"),
        ("app/[id]", "directory", "app/[id]"),
        (r"app/\*.tsx", "file", r"app/\*.tsx"),
        ("app/*.tsx", "pattern", "app/*.tsx"),
        ("sub/.gitignore", "file", "sub/.gitignore"),
    ],
)
def test_what_is_on_disk_says_what_is_claimed(root: str, text: str, kind: str, spelled: str) -> None:
    claim = resolve(text.format(root=root), place_at(root))
    assert (claim.kind, claim.spelled) == (kind, spelled)


def test_literal_text_is_a_name_letter_by_letter(root: str) -> None:
    place = place_at(root)
    assert resolve("app/*.tsx", place, literal=True) == Claim("file", ("app", r"\*.tsx"), r"app/\*.tsx")
    assert resolve("a\\b", place, literal=True).spelled == r"a\\b"
    assert resolve("src", place, literal=True).kind == "directory"


def test_all_worktrees_give_one_key(root: str) -> None:
    place = place_at(root, "inner")
    outer = place.roots[2]
    assert resolve("src/a.py", place).key == "src/a.py"
    assert resolve(os.path.join(outer, "src/a.py"), place).key == "src/a.py"
    assert resolve("../src/a.py", place).key == "src/a.py"
    assert resolve("inner/src/a.py", place_at(root)).key == "src/a.py"
    assert resolve("inner", place_at(root)) == Claim("directory", (), ".")
    assert resolve("../../outer/*", place) == Claim("pattern", ("*",), "*")


def test_worktree_inside_a_git_directory_is_a_worktree(root: str) -> None:
    nested = os.path.join(root, ".git", "nested")
    os.mkdir(nested)
    place = Place((root, nested), nested, (os.path.join(root, ".git"),))
    assert resolve("a.py", place).key == "a.py"


@pytest.mark.parametrize(
    "text", ["..", "../other", "{root}/../..", "/etc/passwd", "/", "/*", "../*", "away/x", "away/", "{root}x/a"]
)
def test_path_outside_all_worktrees_is_refused_by_name(root: str, text: str) -> None:
    with pytest.raises(InvalidPath, match="outside the repository") as caught:
        resolve(text.format(root=root), place_at(root))
    assert root in caught.value.next


@pytest.mark.parametrize(
    "text", [".git", ".git/config", "gitlink/config", "gitlink/", "sub/.git/HEAD", ".GIT/x", "*/.git", ".git/*"]
)
def test_path_in_a_git_directory_is_refused(root: str, text: str) -> None:
    with pytest.raises(InvalidPath, match="inside a git directory"):
        resolve(text, place_at(root))


@pytest.mark.parametrize("text", ["", "a\0b", "a\\", "src\\a.py", "a\ud800", "*/../../x"])
def test_what_is_no_path_is_refused(root: str, text: str) -> None:
    with pytest.raises(InvalidPath):
        resolve(text, place_at(root))


def test_case_rule_reaches_the_key_and_the_root(root: str) -> None:
    place = place_at(root)
    assert resolve("SRC/New.py", place, fold_case=True) == Claim("file", ("src", "new.py"), "SRC/New.py")
    shouted = os.path.join(os.path.dirname(root), "MAIN", "x.py")
    assert resolve(shouted, place, fold_case=True).spelled == "x.py"
    with pytest.raises(InvalidPath):
        resolve(shouted, place)


def test_bytes_that_are_not_utf8_are_a_name(root: str) -> None:
    name = os.fsdecode(b"raw\xff.py")
    assert resolve(name, place_at(root)).spelled == name


def test_name_is_composed_in_the_key_only(root: str) -> None:
    assert resolve("e\u0301.py", place_at(root)) == Claim("file", ("\u00e9.py",), "e\u0301.py")


def test_bare_repository_takes_paths_from_its_root(tmp_path: Path) -> None:
    bare = os.path.realpath(tmp_path)
    os.mkdir(os.path.join(bare, "objects"))
    place = Place((), bare, (bare,))
    assert resolve("src/../src/a.py", place) == Claim("file", ("src", "a.py"), "src/a.py")
    assert resolve("objects", place).kind == "file"
    assert resolve("objects/", place).kind == "directory"
    assert resolve(".", place) == Claim("directory", (), ".")
    with pytest.raises(InvalidPath, match="bare"):
        resolve(os.path.join(bare, "a"), place)
    with pytest.raises(InvalidPath):
        resolve("../a", place)
    with pytest.raises(InvalidPath, match="git directory"):
        resolve(".git/a", place)


def test_windows_own_paths_are_turned_round_and_nothing_else_is() -> None:
    assert to_spelled("C:\\repo\\a.py", literal=False, windows=True) == "C:/repo/a.py"
    assert to_spelled("C:\\repo\\a.py", literal=False, windows=False) == "C:\\repo\\a.py"
    assert to_spelled(r"src\*.py", literal=False, windows=True) == r"src\*.py"
    assert to_spelled("src\\a.py", literal=True, windows=True) == "src/a.py"
    assert to_spelled("src\\a*.py", literal=True, windows=False) == r"src\\a\*.py"
    assert to_spelled("a:\\*", literal=False, windows=True) == "a:/*"
    assert to_spelled("a:b\\*", literal=False, windows=True) == "a:b\\*"
