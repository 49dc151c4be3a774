"""Trailers lead from a code commit to the log and back, and are made anew whenever the commit is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitcoord.hooks import trailers
from support.guarded import ME, desk, lock, make_guarded, run_git, write
from support.program import run
from support.repo import git, read_log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return make_guarded(tmp_path / "repo")


def message(where: str, revision: str = "HEAD") -> str:
    return git(where, "log", "-1", "--format=%B", revision).rstrip("\n")


def said(where: str, revision: str = "HEAD") -> trailers.Provenance:
    return trailers.parse(message(where, revision))


def commit(where: str, *words: str, session: str | None = ME, **env: str) -> None:
    ran = run_git(where, "commit", *words, session=session, env=env)
    assert ran.code == 0, ran


def test_a_commit_names_its_session_and_the_locks_that_cover_it(repo: str) -> None:
    first = lock(repo, "src/", session=ME)
    second = lock(repo, "a b.txt", "unrelated.py", session=ME)
    write(repo, "src/app.py")
    write(repo, "a b.txt")
    git(repo, "add", "-A")
    commit(repo, "-m", "Rework\n\nWith a body.\n\nCo-authored-by: A <a@b.invalid>")
    assert message(repo) == (
        "Rework\n\nWith a body.\n\nCo-authored-by: A <a@b.invalid>\n"
        f"Coord-Session: {ME}\nCoord-Token: {first['token']} src\nCoord-Id: {first['grant']}\n"
        f"Coord-Token: {second['token']} a b.txt\nCoord-Id: {second['grant']}\n"
    ).removesuffix("\n")
    entry = next(one for one in read_log(repo) if first["grant"] in one.ids)
    assert entry.subject == f"lock: src ({ME})"


def test_the_task_stands_there_where_there_is_one(repo: str) -> None:
    lock(repo, "src/app.py", session=ME)
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change", GITCOORD_TASK="17")
    assert said(repo).task == "17"


def test_who_is_not_signed_on_leaves_no_trace(repo: str) -> None:
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change", session="nobody@here")
    assert message(repo) == "Change"


def test_an_empty_message_stays_empty(repo: str) -> None:
    lock(repo, "src/app.py", session=ME)
    write(repo, "src/app.py")
    ran = run_git(repo, "commit", "-a")
    assert ran.code != 0
    assert "empty commit message" in ran.err


def test_a_message_from_an_editor_gets_its_trailers(repo: str, tmp_path: Path) -> None:
    lock(repo, "src/app.py", session=ME)
    write(repo, "src/app.py")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "From an editor\\n\\n# a remark of git\\n" > "$1"\n')
    editor.chmod(0o755)
    commit(repo, "-a", "-v", GIT_EDITOR=str(editor))
    assert git(repo, "log", "-1", "--format=%s") == "From an editor"
    assert said(repo).session == ME


def test_an_amendment_writes_the_trailers_anew(repo: str) -> None:
    old = lock(repo, "src/app.py", session=ME)
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change")
    desk(repo, ME).unlock_files(all=True)
    new = lock(repo, "src/app.py", session=ME)
    commit(repo, "--amend", "--no-edit")
    assert [token.token for token in said(repo).tokens] == [new["token"]]
    assert str(old["grant"]) not in message(repo)
    assert message(repo).count("Coord-Session") == 1


def amended(where: str, *words: str, session: str | None = ME) -> str:
    """Amend the last commit, and return what was said."""
    ran = run_git(where, "commit", "--amend", *words, session=session)
    assert ran.code == 0, ran
    return ran.err


@pytest.mark.parametrize("partly", [False, True])
@pytest.mark.parametrize("way", ["-m", "-F"])
def test_a_reworded_commit_keeps_its_locks(repo: str, way: str, *, partly: bool) -> None:
    first = lock(repo, "src/app.py", session=ME)
    second = lock(repo, "z", session=ME)
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change")
    write(repo, "words.txt", "Reworded\n")
    if partly:
        write(repo, "z")
        git(repo, "add", "z")
    said_then = amended(repo, way, f"{repo}/words.txt" if way == "-F" else "Reworded")
    assert message(repo).startswith("Reworded")
    grants = [first["grant"], *([second["grant"]] if partly else [])]
    assert [token.grant for token in said(repo).tokens] == grants
    assert "no longer names" not in said_then


def test_a_commit_that_a_rebase_rewords_keeps_its_locks(repo: str) -> None:
    lock(repo, "src/app.py", session=ME)
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change")
    write(repo, "other.py")
    git(repo, "add", "other.py")
    commit(repo, "-m", "Other")
    env = {"GIT_SEQUENCE_EDITOR": "sed -i 1s/^pick/reword/", "GIT_EDITOR": "sed -i 1s/Change/Reworded/"}
    ran = run_git(repo, "rebase", "-i", "HEAD~2", env=env)
    assert ran.code == 0, ran
    assert message(repo, "HEAD~1").startswith("Reworded")
    assert [token.path for token in said(repo, "HEAD~1").tokens] == ["src/app.py"]


def test_the_next_commit_names_what_it_changes_only(repo: str) -> None:
    lock(repo, "src/app.py", session=ME)
    lock(repo, "z", session=ME)
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change", GIT_AUTHOR_DATE="2001-01-01T00:00:00Z")
    write(repo, "z")
    git(repo, "add", "z")
    commit(repo, "-m", "Next")
    assert [token.path for token in said(repo).tokens] == ["z"]


def test_what_undoes_head_in_its_second_names_its_lock(repo: str) -> None:
    lock(repo, "src/app.py", session=ME)
    then = {"GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z"}
    before = git(repo, "show", "HEAD:src/app.py")
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change", **then)
    write(repo, "src/app.py", before)
    commit(repo, "-a", "-m", "Undo", **then)
    assert [token.path for token in said(repo).tokens] == ["src/app.py"]


def test_an_amendment_that_lost_its_locks_unseen_says_so_and_gets_them_again(repo: str) -> None:
    first = lock(repo, "src/app.py", session=ME)
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change")
    told = amended(repo, "-m", "Reworded", "--date", "2001-01-01T00:00:00Z")
    assert not said(repo).tokens
    assert "gitcoord: the amended commit no longer names the locks that it was made under: src/app.py\n" in told
    assert "next: git commit --amend --no-edit\n" in told
    assert "no longer" not in amended(repo, "--no-edit")
    assert [token.grant for token in said(repo).tokens] == [first["grant"]]
    desk(repo, ME).unlock_files(all=True)
    told = amended(repo, "-m", "Again")
    assert "next: look at what others did there, gitcoord lock src/app.py, then git commit --amend --no-edit" in told
    later = lock(repo, "src/app.py", session=ME)
    amended(repo, "--no-edit")
    assert [token.grant for token in said(repo).tokens] == [later["grant"]]


@pytest.mark.parametrize("way", ["cherry-pick", "rebase"])
def test_a_copied_commit_is_its_new_makers(repo: str, way: str) -> None:
    lock(repo, "src/app.py", session="bob")
    git(repo, "checkout", "-q", "-b", "side")
    write(repo, "src/app.py", "side\n")
    commit(repo, "-a", "-m", "Side", session="bob")
    desk(repo, "bob").unlock_files(all=True)
    git(repo, "checkout", "-q", "main")
    write(repo, "README.md", "main\n")
    git(repo, "commit", "-q", "-a", "-m", "Main")
    mine = lock(repo, "src/app.py", session=ME)
    words = ["cherry-pick", "side"] if way == "cherry-pick" else ["rebase", "main", "side"]
    ran = run_git(repo, *words)
    assert ran.code == 0, ran
    assert said(repo).session == ME
    assert [token.grant for token in said(repo).tokens] == [mine["grant"]]


def test_the_way_from_a_commit_to_the_log_and_back(repo: str) -> None:
    granted = lock(repo, "src/app.py", session=ME, reason="why not")
    write(repo, "src/app.py")
    commit(repo, "-a", "-m", "Change")
    oid = git(repo, "rev-parse", "HEAD")
    done = run(repo, "log", "--commit", "HEAD", "--json")
    assert done.code == 0
    assert done.json["session"] == ME
    assert done.json["tokens"] == [{"token": granted["token"], "path": "src/app.py", "grant": granted["grant"]}]
    assert [entry["subject"] for entry in done.json["entries"]] == [f"lock: src/app.py ({ME})"]
    back = run(repo, "log", "--commit", done.json["entries"][0]["commit"], "--json")
    assert back.json["code"] == [{"commit": oid, "subject": "Change"}]
    assert run(repo, "log", "--commit", "nonsense").code == 1
    assert "rework" not in run(repo, "log", "--commit", "HEAD").out


TEXTS = ["Subject", "Subject\n\nbody\n", "Subject\n\nSigned-off-by: A <a@b>\n", "S\n\nb\n\n# git's\n# remarks\n"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_without_trailers_of_ours_stays_as_it_is(text: str) -> None:
    assert trailers.without(text) == text
    assert trailers.parse(text) == trailers.Provenance(None, None, [])


def test_what_a_body_quotes_is_no_trailer() -> None:
    text = "S\n\nCoord-Session: quoted\n\nA paragraph after it.\n"
    assert trailers.without(text) == text
    assert trailers.parse(text).session is None


@pytest.mark.parametrize(
    "line", ["Coord-Token: x a", "Coord-Token: 1", "Coord-Session: a b", "Coord-Token: " + "9" * 30 + " a"]
)
def test_trailers_that_cannot_be_are_passed_over(line: str) -> None:
    assert trailers.parse(f"S\n\n{line}\n") == trailers.Provenance(None, None, [])
