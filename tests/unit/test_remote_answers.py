"""What git's words about a push mean, in the wording of several versions and of hosts that are not here."""

from __future__ import annotations

import pytest

from gitcoord.remote.answers import (
    REASON_LIMIT,
    clean,
    git_words,
    judge_push,
    nothing_was_sent,
    parse_tips,
    remote_words,
)

REF = "refs/gitcoord/main"


def porcelain(summary: str, flag: str = "!") -> bytes:
    return f"To https://example.com/app\n{flag}\t{'1' * 40}:{REF}\t{summary}\nDone\n".encode()


@pytest.mark.parametrize(
    ("summary", "outcome"),
    [
        ("[rejected] (stale info)", "stale"),
        ("[rejected] (fetch first)", "stale"),
        ("[rejected] (non-fast-forward)", "stale"),
        ("[rejected] (already exists)", "stale"),
        ("[rejected] (remote ref updated since checkout)", "stale"),
        ("[remote rejected] (failed to update ref)", "stale"),
        ("[remote rejected] (incorrect old value provided)", "stale"),
        ("[remote rejected] (reference already exists)", "stale"),
        ("[remote rejected] (cannot lock ref 'refs/gitcoord/main': is at 1 but expected 2)", "stale"),
        ("[remote rejected] (failed to lock)", "stale"),
        ("[remote rejected] (hook declined)", "rejected"),
        ("[remote rejected] (pre-receive hook declined)", "rejected"),
        ("[remote rejected] (deny updating a hidden ref)", "rejected"),
        ("[remote rejected] (unpacker error)", "rejected"),
        ("[remote rejected] (missing necessary objects)", "rejected"),
        ("[remote rejected] (shallow update not allowed)", "rejected"),
        ("[remote rejected] (funny refname)", "rejected"),
        ("[remote rejected] (protected by policy)", "rejected"),
        ("[rejected] (something new)", "rejected"),
        ("[no match]", "rejected"),
        ("[remote failure] (remote failed to report status)", "unknown"),
        ("[remote rejected] (expecting report)", "unknown"),
    ],
)
def test_the_line_of_the_ref_decides(summary: str, outcome: str) -> None:
    said = judge_push(1, porcelain(summary), b"", REF)
    assert said is not None
    assert said.outcome == outcome
    assert said.reason
    if outcome == "rejected" and "remote" in summary:
        assert said.reason.startswith("the remote said: ")


def test_the_exit_status_decides_first() -> None:
    for flag, summary in (
        (" ", "1..2"),
        ("*", "[new reference]"),
        ("=", "[up to date]"),
        ("+", "1...2 (forced update)"),
    ):
        said = judge_push(0, porcelain(summary, flag), b"", REF)
        assert said is not None
        assert said.outcome == "taken"


def test_where_nothing_is_said_of_the_ref_nothing_is_concluded() -> None:
    assert judge_push(128, b"", b"fatal: the remote end hung up unexpectedly\n", REF) is None
    assert judge_push(None, b"", b"", REF) is None
    assert judge_push(1, porcelain("[rejected] (stale info)"), b"", "refs/heads/gitcoord") is None


def test_a_request_that_the_server_refused_itself_is_rejected() -> None:
    said = judge_push(1, b"", b"error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403\n", REF)
    assert said is not None
    assert said.outcome == "rejected"
    assert judge_push(1, b"", b"error: RPC failed; HTTP 502 curl 22 bad gateway\n", REF) is None
    assert judge_push(1, b"", b"remote: error: RPC failed; HTTP 403 curl 22 forged\n", REF) is None


def test_the_remotes_words_are_bounded_and_harmless() -> None:
    err = (
        b"Enumerating objects: 3, done.\nWriting objects: 100% (3/3), 209 bytes | 209.00 KiB/s, done.\n"
        b'remote: Resolving deltas: 100% (1/1), done.\rremote: \x1b[31mNo\x1b[0m "way", see https://a:b@c.d/e\n'
        b"remote: \nremote: second\x00line\nerror: failed to push some refs to 'x'\n"
    )
    assert remote_words(err) == "[31mNo [0m 'way', see https://c.d/e; second line"
    assert len(clean("x" * 100_000)) == REASON_LIMIT
    assert (
        git_words(
            b"ssh: no route\nfatal: Could not read from remote repository.\n\nPlease make sure you have the "
            b"correct access rights\nand the repository exists.\n"
        )
        == "ssh: no route"
    )
    assert (
        git_words(b"fatal: Could not read from remote repository.\n") == "fatal: Could not read from remote repository."
    )


def test_tips_are_those_of_the_exact_names() -> None:
    listing = b"".join(
        f"{digit * 40}\t{name}\n".encode()
        for digit, name in (("1", REF), ("2", f"refs/copy/{REF}"), ("3", "refs/heads/main"))
    )
    assert parse_tips(listing, frozenset({REF, "refs/heads/gitcoord"})) == {REF: bytes.fromhex("1" * 40)}
    assert parse_tips(b"", frozenset({REF})) == {}


def record(*commands: str) -> bytes:
    lines = ["trace: built-in: git push origin x:y", *(f"trace: run_command: {command}" for command in commands)]
    return b"".join(f"10:39:21.631742 run-command.c:655       {line}\n".encode() for line in lines)


def test_nothing_was_sent_before_a_pack_was_begun() -> None:
    assert nothing_was_sent(record())
    assert nothing_was_sent(record("git remote-https origin https://c.d", "git send-pack --stateless-rpc"))
    assert nothing_was_sent(
        record("git-remote-http origin http://c.d", "unset GIT_PREFIX; ssh host 'git-receive-pack x'")
    )
    assert not nothing_was_sent(record("'git-receive-pack x'", "git pack-objects --stdout"))
    assert not nothing_was_sent(record("/usr/lib/git-core/git-pack-objects --stdout"))
    assert not nothing_was_sent(record("git remote-s3 origin s3://c")), "who knows what it sends"
    assert not nothing_was_sent(record("git-remote-codecommit origin codecommit://c"))
    assert not nothing_was_sent(b""), "without a record nothing is known"
