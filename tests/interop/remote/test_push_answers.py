"""A push ends in a truthful answer: taken, stale, rejected with the remote's words, or unknown."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitcoord.errors import RemoteUnreachable
from support.clones import INCOMING, LOG_REF, chain, clone_of_nothing, commit, transport
from support.procs import Link, start, wait_until
from support.remotes import (
    CUT_AFTER_TAKING,
    HttpRemote,
    Remote,
    bare_remote,
    daemon_remote,
    hook,
    http_remote,
    ssh_remote,
    wire_to,
)
from support.repo import git

if TYPE_CHECKING:
    pass

ROUNDS = 30


def clone(tmp_path: Path, remote: Remote, name: str = "clone") -> str:
    where = clone_of_nothing(tmp_path / name)
    remote.let_in(where)
    return where


# -- the remote says no


REFUSING = """\
while read old new ref; do
    case $ref in refs/gitcoord/*) printf 'only branches here, \\033[31mfriend\\n' >&2; exit 1;; esac
done
"""


def test_a_hook_that_takes_branches_only_is_told_in_its_own_words(tmp_path: Path, remote: Remote) -> None:
    where = clone(tmp_path, remote)
    hook(remote, "pre-receive", REFUSING)
    first, second = chain(where, 2)
    said = transport(where).push(first, None)
    assert said.outcome == "rejected"
    assert said.reason.startswith('the remote said: "pre-receive hook declined: only branches here,')
    assert "\033" not in said.reason
    assert remote.tip() is None
    branch = transport(where, ref="refs/heads/gitcoord")
    assert branch.push(first, None).outcome == "taken"
    assert branch.push(second, first).outcome == "taken"
    assert branch.fetch(into=INCOMING) == second
    assert branch.push(second, None).outcome == "taken", "the same value is no quarrel"
    assert branch.push(first, first).outcome == "stale"


def test_an_update_hook_that_refuses_is_told_with_a_bound(tmp_path: Path, remote: Remote) -> None:
    where = clone(tmp_path, remote)
    hook(remote, "update", "yes 'no no no' | head -c 100000 >&2; exit 1")
    said = transport(where).push(commit(where, "one"), None)
    assert said.outcome == "rejected"
    assert "hook declined: no no no" in said.reason
    assert len(said.reason) < 600


@pytest.mark.parametrize("setting", ["transfer.hideRefs", "receive.hideRefs"])
def test_a_hidden_ref_is_rejected(tmp_path: Path, remote: Remote, setting: str) -> None:
    where = clone(tmp_path, remote)
    git(remote.path, "config", setting, "refs/gitcoord")
    said = transport(where).push(commit(where, "one"), None)
    assert said.outcome == "rejected"
    assert "hidden ref" in said.reason


def test_a_remote_that_checks_objects_is_content(tmp_path: Path, remote: Remote) -> None:
    where = clone(tmp_path, remote)
    git(remote.path, "config", "receive.fsckObjects", "true")
    assert transport(where).push(chain(where, 3)[-1], None).outcome == "taken"
    odd = git(where, "mktree", stdin=f"100644 blob {git(where, 'hash-object', '-w', 'README.md')}\t.GIT\n".encode())
    bad = bytes.fromhex(git(where, "commit-tree", odd, "-m", "bad"))
    said = transport(where, ref="refs/gitcoord/other").push(bad, None)
    assert said.outcome == "rejected"
    assert "unpacker error" in said.reason


def test_a_missing_object_is_rejected(tmp_path: Path, remote: Remote) -> None:
    where = clone(tmp_path, remote)
    one = commit(where, "one")
    blob = git(where, "rev-parse", f"{one.hex()}:data.json")
    os.unlink(f"{where}/.git/objects/{blob[:2]}/{blob[2:]}")
    assert transport(where).push(one, None).outcome == "rejected"
    assert remote.tip() is None


def test_a_remote_that_one_may_only_read_is_rejected_or_not_reached(tmp_path: Path) -> None:
    with daemon_remote(tmp_path / "team.git") as remote:
        git(remote.path, "config", "daemon.receivepack", "false")
        where = clone(tmp_path, remote)
        assert transport(where).look() is None
        with pytest.raises(RemoteUnreachable):
            transport(where).push(commit(where, "one"), None)
        assert remote.tip() is None


@pytest.mark.parametrize("status", [403, 404, 413])
def test_a_server_that_forbids_pushing_is_rejected(tmp_path: Path, web: HttpRemote, status: int) -> None:
    where = clone(tmp_path, web.remote)
    web.server.answer_pushes_with = status
    said = transport(where).push(commit(where, "one"), None)
    assert said.outcome == "rejected", said
    assert str(status) in said.reason


def test_a_locked_ref_on_the_remote_is_stale_not_rejected(tmp_path: Path, remote: Remote) -> None:
    where = clone(tmp_path, remote)
    first, second = chain(where, 2)
    assert transport(where).push(first, None).outcome == "taken"
    Path(remote.path, f"{LOG_REF}.lock").touch()
    said = transport(where).push(second, first)
    assert said.outcome == "stale"
    assert said.reason.startswith("the remote said:")


def test_a_ref_that_moves_while_the_push_is_under_way_is_stale(tmp_path: Path, remote: Remote) -> None:
    """The lease is checked against what was seen at the beginning; the remote itself sees that it moved since."""
    where = clone(tmp_path, remote)
    first, second, third = chain(where, 3)
    assert transport(where).push(first, None).outcome == "taken"
    git(where, "push", "-q", "origin", f"{third.hex()}:refs/keep/third")
    hook(remote, "update", f"unset GIT_QUARANTINE_PATH; git update-ref {LOG_REF} {third.hex()}")
    assert transport(where).push(second, first).outcome == "stale"
    assert remote.tip() == third


# -- the answer is lost


@pytest.mark.parametrize("kind", ["path", "git", "http", "ssh"])
def test_a_server_that_dies_after_taking_leaves_the_answer_unknown(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "served" / "team.git"
    with ExitStack() as stack:
        if kind == "path":
            remote = bare_remote(path)
        elif kind == "git":
            remote = stack.enter_context(daemon_remote(path))
        elif kind == "http":
            remote = stack.enter_context(http_remote(path, secrets=tmp_path / "secrets")).remote
        else:
            remote = stack.enter_context(ssh_remote(path, keys=tmp_path / "keys"))
        where = clone(tmp_path, remote)
        file = hook(remote, "reference-transaction", CUT_AFTER_TAKING)
        one = commit(where, "one")
        assert transport(where).push(one, None).outcome == "unknown"
        assert remote.tip() == one
        os.unlink(file)
        assert transport(where).push(one, None).outcome == "taken"


def test_an_answer_that_a_server_drops_is_unknown(tmp_path: Path, web: HttpRemote) -> None:
    where = clone(tmp_path, web.remote)
    web.server.drop_answers = True
    one = commit(where, "one")
    said = transport(where).push(one, None)
    assert said.outcome == "unknown"
    assert web.remote.tip() == one
    assert transport(where).look() == one


def test_a_wire_that_is_cut_while_the_remote_works_is_unknown(tmp_path: Path, served: Remote) -> None:
    from concurrent.futures import ThreadPoolExecutor

    port = int(served.url.split(":")[2].split("/")[0])
    reached, go_on = tmp_path / "reached", tmp_path / "go-on"
    hook(served, "update", f"touch {reached}; until [ -e {go_on} ]; do sleep 0.02; done")
    with wire_to(port) as wire, ThreadPoolExecutor(1) as pool:
        where = clone(tmp_path, served._replace(url=f"git://127.0.0.1:{wire.port}/team.git"))
        one = commit(where, "one")
        pushing = pool.submit(transport(where).push, one, None)
        wait_until(reached.exists, "the update hook runs")
        wire.cut()
        assert pushing.result().outcome == "unknown"
        assert served.tip() is None
        go_on.touch()
        wait_until(lambda: served.tip() == one, "the push lands after all")


def test_a_time_limit_leaves_the_answer_unknown_and_the_push_may_land_later(tmp_path: Path, served: Remote) -> None:
    where = clone(tmp_path, served)
    go_on = tmp_path / "go-on"
    hook(served, "update", f"until [ -e {go_on} ]; do sleep 0.02; done")
    one = commit(where, "one")
    said = transport(where, limit_s=1).push(one, None)
    assert (said.outcome, said.reason) == ("unknown", "no answer within 1 s")
    assert served.tip() is None
    go_on.touch()
    wait_until(lambda: served.tip() == one, "the push lands after all")


def test_a_time_limit_leaves_no_process_behind(tmp_path: Path, remote: Remote) -> None:
    where = clone(tmp_path, remote)
    numbers = tmp_path / "numbers"
    hook(remote, "update", f"echo $$ $PPID >> {numbers}; trap '' TERM; while :; do sleep 0.02; done")
    assert transport(where, limit_s=1).push(commit(where, "one"), None).outcome == "unknown"
    for number in numbers.read_text().split():
        wait_until(lambda: not _runs(int(number)), f"process {number} ends")  # noqa: B023
    assert remote.tip() is None
    assert not list(Path(where, ".git/gitcoord/tmp").iterdir())


def _runs(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# -- two at once


def race(link: Link, where: str) -> None:
    mine = transport(where)
    for _ in range(ROUNDS):
        told = link.receive()
        new, expected = bytes.fromhex(told["new"]), told["expected"]
        said = mine.push(new, None if expected is None else bytes.fromhex(expected))
        link.emit([said.outcome, said.reason])


def test_of_two_pushers_exactly_one_is_taken_and_the_other_stale(tmp_path: Path, remote: Remote) -> None:
    both = [clone(tmp_path, remote, name) for name in ("one", "two")]
    tip: bytes | None = None
    late = 0
    with start(race, 1, both[0]) as first, start(race, 1, both[1]) as second:
        crews = (first, second)
        for crew in crews:
            crew.go()
        for number in range(ROUNDS):
            if tip is not None:
                for where in both:
                    transport(where).fetch(into=LOG_REF)
            news = [commit(where, f"{where} {number}", *([] if tip is None else [tip])) for where in both]
            for crew, new in zip(crews, news, strict=True):
                crew[0].send({"new": new.hex(), "expected": None if tip is None else tip.hex()})
            said = [crew[0].next() for crew in crews]
            assert sorted(outcome for outcome, _ in said) == ["stale", "taken"], said
            late += any(reason.startswith("the remote said") for _, reason in said)
            tip = next(new for new, (outcome, _) in zip(news, said, strict=True) if outcome == "taken")
            assert remote.tip() == tip
        for crew in crews:
            crew.finish()
    assert late, "no two pushes were ever under way at once"
    assert git(remote.path, "rev-list", "--count", LOG_REF) == str(ROUNDS)


# -- what a push leaves behind


def _push_in_vain(link: Link, where: str, oid: str) -> None:
    link.emit("pushing")
    transport(where, limit_s=600).push(bytes.fromhex(oid), None)


def _is_named_by_a_process(where: str) -> bool:
    """Tell whether a program runs whose words name a directory."""
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.fsencode(where) in Path(f"/proc/{number}/cmdline").read_bytes():
                return True
        except OSError:
            continue  # it ended just now
    return False


def test_what_a_killed_push_left_is_swept_by_a_later_one_and_a_live_ones_is_not(tmp_path: Path, remote: Remote) -> None:
    where = clone(tmp_path, remote)
    first, second = chain(where, 2)
    directory = f"{where}/.git/gitcoord/tmp"
    going, gone = str(tmp_path / "going"), str(tmp_path / "gone")
    hook(remote, "pre-receive", f"touch {going}; while test ! -e {gone}; do sleep 0.05; done; exit 1")
    with start(_push_in_vain, 1, where, first.hex()) as crew:
        crew.go()
        assert crew[0].next() == "pushing"
        wait_until(lambda: os.path.exists(going), "the push to arrive")
        crew[0].kill()
    (left,) = [name for name in os.listdir(directory) if name.startswith("push-")]
    Path(gone).touch()
    wait_until(lambda: not _is_named_by_a_process(where), "git, which outlived its caller, to end")
    hook(remote, "pre-receive", "exit 0")
    young = Path(directory, "push-1-young")
    young.touch()
    transport(where).push(first, None)
    assert left in os.listdir(directory), "it may be a live one's yet"
    os.utime(f"{directory}/{left}", (1, 1))
    assert transport(where).push(second, first).outcome == "taken"
    assert [name for name in os.listdir(directory) if name.startswith("push-")] == [young.name]
