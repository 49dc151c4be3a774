from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitcoord.errors import NotARepository, UnsupportedRepository
from gitcoord.service.project import project_of
from gitcoord.store.repository import find_repository, parse_config, worktree_roots
from support.repo import git, make_repo


def make_git_dir(path: Path, config: str = "") -> Path:
    for name in ("objects", "refs"):
        (path / name).mkdir(parents=True)
    (path / "HEAD").write_text("ref: refs/heads/main\n")
    (path / "config").write_text(config)
    return path


def make_linked(main: Path, root: Path, name: str) -> Path:
    root.mkdir()
    git_dir = main / ".git" / "worktrees" / name
    git_dir.mkdir(parents=True)
    (git_dir / "HEAD").write_text("ref: refs/heads/x\n")
    (git_dir / "commondir").write_text("../..\n")
    (git_dir / "gitdir").write_text(f"{root / '.git'}\n")
    (root / ".git").write_text(f"gitdir: {git_dir}\n")
    return git_dir


def test_a_repository_is_found_from_any_depth(tmp_path: Path) -> None:
    make_git_dir(tmp_path / "r" / ".git")
    (tmp_path / "r" / "a" / "b").mkdir(parents=True)
    repo = find_repository(str(tmp_path / "r" / "a" / "b" / "not-there-yet"), {})
    root = os.path.realpath(tmp_path / "r")
    assert repo == (f"{root}/.git", f"{root}/.git", root, False, "sha1", f"{root}/.git/gitcoord")
    assert worktree_roots(repo) == (root,)


def test_a_symbolic_link_to_the_start_gives_the_real_path(tmp_path: Path) -> None:
    make_git_dir(tmp_path / "r" / ".git")
    (tmp_path / "l").symlink_to("r")
    assert find_repository(str(tmp_path / "l"), {}).worktree == os.path.realpath(tmp_path / "r")


def test_outside_of_any_repository_the_way_out_is_git_init(tmp_path: Path) -> None:
    with pytest.raises(NotARepository) as caught:
        find_repository(str(tmp_path), {})
    assert str(tmp_path) in caught.value.message
    assert caught.value.next == "git init"


def test_a_bare_repository_has_no_worktree(tmp_path: Path) -> None:
    make_git_dir(tmp_path / "r.git", "[core]\n\tbare = true\n")
    repo = find_repository(str(tmp_path / "r.git" / "refs"), {})
    assert repo.bare
    assert repo.worktree is None
    assert worktree_roots(repo) == ()


def test_started_inside_the_git_directory_the_worktree_is_still_known(tmp_path: Path) -> None:
    make_git_dir(tmp_path / "r" / ".git")
    assert find_repository(str(tmp_path / "r" / ".git" / "refs"), {}).worktree == os.path.realpath(tmp_path / "r")


def test_linked_worktrees_share_the_common_directory_and_know_each_other(tmp_path: Path) -> None:
    main = tmp_path / "r"
    make_git_dir(main / ".git")
    git_dir = make_linked(main, tmp_path / "w", "w")
    make_linked(main, tmp_path / "gone", "gone")
    (tmp_path / "gone" / ".git").unlink()
    (tmp_path / "gone").rmdir()
    roots = (os.path.realpath(main), os.path.realpath(tmp_path / "w"))
    for start in (tmp_path / "w", git_dir):
        repo = find_repository(str(start), {})
        assert repo.git_dir == os.path.realpath(git_dir)
        assert repo.common_dir == os.path.realpath(main / ".git")
        assert repo.runtime == os.path.realpath(main / ".git") + "/gitcoord"
        assert repo.worktree == roots[1]
        assert worktree_roots(repo) == roots
    assert worktree_roots(find_repository(str(main), {})) == roots


def test_a_linked_worktree_of_a_bare_repository_is_not_bare(tmp_path: Path) -> None:
    main = tmp_path / "r"
    make_git_dir(main / ".git", "[core]\n\tbare = true\n")
    make_linked(main, tmp_path / "w", "w")
    repo = find_repository(str(tmp_path / "w"), {})
    assert not repo.bare
    assert worktree_roots(repo) == (os.path.realpath(tmp_path / "w"),)


def test_a_submodule_has_the_worktree_that_its_config_names(tmp_path: Path) -> None:
    make_git_dir(tmp_path / "r" / ".git")
    make_git_dir(tmp_path / "r" / ".git" / "modules" / "sub", "[core]\n\tworktree = ../../../sub\n")
    sub = tmp_path / "r" / "sub"
    sub.mkdir()
    (sub / ".git").write_text("gitdir: ../.git/modules/sub\n")
    repo = find_repository(str(sub), {})
    assert repo.worktree == os.path.realpath(sub)
    assert repo.runtime == os.path.realpath(tmp_path / "r" / ".git" / "modules" / "sub" / "gitcoord")
    assert worktree_roots(repo) == (os.path.realpath(sub),)


def test_git_dir_and_work_tree_of_the_environment_count_only_when_given(tmp_path: Path) -> None:
    make_git_dir(tmp_path / "r" / ".git")
    make_git_dir(tmp_path / "s" / ".git")
    (tmp_path / "t").mkdir()
    start = str(tmp_path / "r")
    repo = find_repository(start, {"GIT_DIR": "../s/.git", "GIT_WORK_TREE": "../t"})
    assert repo.git_dir == os.path.realpath(tmp_path / "s" / ".git")
    assert repo.worktree == os.path.realpath(tmp_path / "t")
    assert find_repository(start, {"GIT_DIR": "../s/.git"}).worktree == os.path.realpath(tmp_path / "r")
    assert find_repository(start, {"GIT_DIR": ""}).git_dir == os.path.realpath(tmp_path / "r" / ".git")
    with pytest.raises(NotARepository, match="GIT_DIR"):
        find_repository(start, {"GIT_DIR": "nowhere"})


def test_git_common_dir_of_the_environment_is_where_the_runtime_lies(tmp_path: Path) -> None:
    make_git_dir(tmp_path / "r" / ".git")
    make_git_dir(tmp_path / "s")
    repo = find_repository(str(tmp_path / "r"), {"GIT_COMMON_DIR": "../s"})
    assert repo.runtime == os.path.realpath(tmp_path / "s" / "gitcoord")


def test_a_git_file_that_points_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: gone\n")
    with pytest.raises(NotARepository, match="gone"):
        find_repository(str(tmp_path), {})
    (tmp_path / ".git").write_text("nonsense\n")
    with pytest.raises(NotARepository, match="not a git file"):
        find_repository(str(tmp_path), {})


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("[core]\nrepositoryformatversion = 1\n[extensions]\nrefStorage = reftable\n", "reftable"),
        ("[core]\nrepositoryformatversion = 1\n[extensions]\nmystery = 1\n", "mystery"),
        ("[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = md5\n", "md5"),
        ("[core]\nrepositoryformatversion = 2\n", "'2'"),
        ("[core]\nrepositoryformatversion = x\n", "'x'"),
        ("[extensions]\nobjectformat = sha256\n", "version 0"),
    ],
)
def test_a_repository_of_an_unknown_kind_is_refused_with_the_reason(tmp_path: Path, config: str, reason: str) -> None:
    make_git_dir(tmp_path / ".git", config)
    with pytest.raises(UnsupportedRepository) as caught:
        find_repository(str(tmp_path), {})
    assert reason in caught.value.message
    assert caught.value.next


def test_harmless_extensions_and_sha256_are_taken(tmp_path: Path) -> None:
    config = (
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n\tpartialClone = origin\n"
        "\tworktreeConfig\n\trelativeWorktrees = true\n\tpreciousObjects = true\n\trefStorage = files\n"
    )
    make_git_dir(tmp_path / ".git", config)
    (tmp_path / ".git" / "config.worktree").write_text("[core]\n\tworktree = ../elsewhere\n")
    repo = find_repository(str(tmp_path), {})
    assert repo.object_format == "sha256"
    assert repo.worktree == os.path.realpath(tmp_path / "elsewhere")


def test_unknown_extensions_of_a_version_0_repository_are_ignored_as_git_does(tmp_path: Path) -> None:
    make_git_dir(tmp_path / ".git", "[extensions]\n\tmystery = 1\n")
    assert find_repository(str(tmp_path), {}).object_format == "sha1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[core]\nworktree = a b  # comment\n", "a b"),
        ("[core] worktree = a\n", "a"),
        ('[CORE]\nWorkTree = "a # b"  ; c\n', "a # b"),
        ('[core]\nworktree = "a\\"b\\\\c\\td"\n', 'a"b\\c\td'),
        ("[core]\nworktree = a\\\nb\n", "ab"),
        ("[core]\nworktree\n", "true"),
        ("[core]\nworktree = a\nworktree = b\n", "b"),
        ('[core "sub"]\nworktree = a\n', None),
        ("[other]\nworktree = a\n[broken\n=\n", None),
    ],
)
def test_config_files_are_read_as_git_reads_them(text: str, value: str | None) -> None:
    assert parse_config(text).get("core.worktree") == value


def test_every_section_of_a_config_is_read_and_a_subsection_keeps_its_letters() -> None:
    text = (
        '[gitcoord]\n\tfsync = false\n[remote "Origin"]\n\turl = https://example.com/o/n.git\n'
        '[branch "a\\"b]c"] merge = refs/heads/x ; why\n[core]\n\tbare = false\n'
    )
    assert parse_config(text) == {
        "gitcoord.fsync": "false",
        "remote.Origin.url": "https://example.com/o/n.git",
        'branch.a"b]c.merge': "refs/heads/x",
        "core.bare": "false",
    }


def test_the_repositorys_own_settings_reach_the_service(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    git(repo, "config", "remote.origin.url", "https://example.com/owner/name.git")
    assert project_of(find_repository(repo, {})) == "owner/name"
