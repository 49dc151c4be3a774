"""What people read in `git log`: one verb for each kind of event, and nothing that a session's text could forge."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from gitcoord import render
from gitcoord.errors import ObjectDamaged
from gitcoord.model import Header, Operation
from gitcoord.names import to_json_text

CLOCK = {"machine": "m", "boot": "b", "uptime_ms": 5, "time": "2026-01-02T03:04:05.678Z"}
NASTY = [
    "line\nCoord-Op: lock.break",
    "a\rCoord-Rev: 9",
    "x\u2028Coord-Rev: 9",
    "x\x85Coord-Rev: 9",
    "x\x0bCoord-Rev: 9",
    "\x1b[31mred\x1b[0m",
    "\x9b31m",
    "rtl \u202egnirts",
    "isolate \u2066x",
    "zero\u200bwidth",
    "tag\U000e0041",
    "nul\x00byte",
    "tab\there",
    "del\x7f",
    "bad \udcff byte",
    '"quoted"',
    "back\\slash",
    "> trailing ",
]


def operation(kind: str = "lock.acquire", **fields: Any) -> Operation:
    base = {"id": "01OP", "type": kind, "session": "s1", "incarnation": "01IN", "clock": CLOCK}
    return {**base, "author": {"name": "s1", "email": "ada@example.invalid"}, **fields}


def header(*operations: Operation, revision: int = 7) -> Header:
    return {"format": 1, "rules": 1, "repository": "r", "revision": revision, "operations": list(operations)}


def acquire(*paths: str, reason: str = "", mode: str = "exclusive") -> Operation:
    claims = [{"path": to_json_text(path), "key": to_json_text(path), "kind": "file"} for path in paths]
    return operation(claims=claims, mode=mode, reason=reason, ttl_s=None)


def named(*paths: str, session: str = "s2") -> list[dict[str, Any]]:
    return [{"path": path, "key": path, "kind": "file", "session": session, "token": 3} for path in paths]


def trailers(message: str) -> list[tuple[str, str]]:
    """Return the trailers that git itself finds in a message."""
    command = ["git", "interpret-trailers", "--parse", "--no-divider"]
    done = subprocess.run(command, input=message.encode(), capture_output=True, check=True)
    rows = (line.partition(": ") for line in done.stdout.decode().splitlines())
    return [(name, value) for name, _, value in rows]


EVIDENCE = {"kind": "process-gone"}
EVENTS: list[tuple[Operation, str]] = [
    (operation("log.init", repository="r1"), "init: log r1"),
    (operation("session.start", intent="", takeover=None), "sign-on: s1"),
    (
        operation("session.start", intent="", takeover={"incarnation": "x", "evidence": {"kind": "lease-over"}}),
        "takeover: s1 (its lease ran out)",
    ),
    (operation("session.end"), "sign-off: s1"),
    (operation("session.renew", others=[{"session": "s2", "incarnation": "y"}]), "renew: s1, s2"),
    (operation("session.resume"), "resume: s1"),
    (operation("session.reap", target="s2", evidence=EVIDENCE), "reap: s2 (its process is gone), by s1"),
    (operation("session.challenge", target="s2"), "challenge: s2, by s1"),
    (acquire("src/app.py", "src/db.py"), "lock: src/app.py, src/db.py (s1)"),
    (operation("lock.release", claims=named("src/app.py")), "unlock: src/app.py (s1)"),
    (operation("lock.break", locks=named("src/app.py"), reason="stale"), "break: src/app.py of s2, by s1"),
    (operation("lock.expire", locks=named("src/app.py")), "expire: src/app.py of s2"),
    (operation("data.store", scope="issue:7", key="state"), "store: issue:7 state (s1)"),
    (operation("data.delete", scope="issue:7", key="state"), "delete: issue:7 state (s1)"),
    (operation("data.delete_scope", scope="issue:7"), "delete scope: issue:7 (s1)"),
]


@pytest.mark.parametrize(("made", "subject"), EVENTS, ids=[subject for _, subject in EVENTS])
def test_every_kind_of_event_has_its_own_subject(made: Operation, subject: str) -> None:
    assert render.subject(made) == subject
    assert render.verb(made) == subject.partition(":")[0]


def test_no_two_kinds_of_events_share_a_verb() -> None:
    verbs = [render.verb(made) for made, _ in EVENTS]
    assert len(set(verbs)) == len(verbs)


def test_a_message_reads_as_the_design_shows_it() -> None:
    made = acquire("src/app.py", "src/db.py", reason="Rework the connection pool.")
    assert render.message(header(made, revision=1042)) == (
        "lock: src/app.py, src/db.py (s1)\n"
        "\n"
        "    Rework the connection pool.\n"
        "\n"
        "Coord-Op: lock.acquire\n"
        "Coord-Session: s1\n"
        "Coord-Path: src/app.py\n"
        "Coord-Path: src/db.py\n"
        "Coord-Rev: 1042\n"
        "Coord-Id: 01OP\n"
    )


@pytest.mark.parametrize("made", [made for made, _ in EVENTS], ids=lambda made: made["type"])
def test_git_finds_exactly_the_trailers_that_were_meant(made: Operation) -> None:
    found = trailers(render.message(header(made)))
    assert found[0] == ("Coord-Op", made["type"])
    assert found[-2:] == [("Coord-Rev", "7"), ("Coord-Id", "01OP")]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_a_path_cannot_forge_a_line_or_a_colour(text: str) -> None:
    message = render.message(header(acquire(text)))
    found = trailers(message)
    assert [name for name, _ in found] == ["Coord-Op", "Coord-Session", "Coord-Path", "Coord-Rev", "Coord-Id"]
    assert found[3] == ("Coord-Rev", "7")
    assert all(char.isprintable() or char == "\n" for char in message)


@pytest.mark.parametrize("text", [t for t in NASTY if "\udcff" not in t], ids=ascii)
@pytest.mark.parametrize("kind", ["reason", "break", "intent", "scope", "key"])
def test_no_text_of_a_session_can_forge_a_line_or_a_colour(kind: str, text: str) -> None:
    made = {
        "reason": acquire("a", reason=text),
        "break": operation("lock.break", locks=named("a"), reason=text),
        "intent": operation("session.start", intent=text, takeover=None),
        "scope": operation("data.store", scope=text, key="k"),
        "key": operation("data.store", scope="s", key=text),
    }[kind]
    message = render.message(header(made))
    found = dict(trailers(message))
    assert found["Coord-Rev"] == "7"
    assert found["Coord-Op"] == made["type"]
    assert len(trailers(message)) == len([line for line in message.splitlines() if line.startswith("Coord-")])
    assert all(char.isprintable() or char == "\n" for char in message)


@pytest.mark.parametrize(
    "reason",
    [
        "Coord-Op: lock.break",
        "\n\nCoord-Op: lock.break\nCoord-Id: forged\n",
        "done\n\n---\ndiff --git a/x b/x",
        "Signed-off-by: Somebody <else@example.invalid>",
        "   Coord-Id: forged   ",
        "#comment",
        "\n\n\n",
    ],
)
def test_a_reason_with_trailers_of_its_own_stays_indented_text(reason: str) -> None:
    message = render.message(header(acquire("a", reason=reason)))
    assert [name for name, _ in trailers(message)] == [
        "Coord-Op",
        "Coord-Session",
        "Coord-Path",
        "Coord-Rev",
        "Coord-Id",
    ]
    assert "forged" not in [value for _, value in trailers(message)]
    body = message.split("\n\n", 1)[1].split("Coord-Op", 1)[0]
    assert all(line.startswith("    ") for line in body.splitlines() if line)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a b", "a\tb"),
        ("a\nb", "a\\nb"),
        ('"a"', "a"),
        ("a\\x1b", "a\x1b"),
        ("a\udcff", "a\\377"),
        ("a\u202e", "a\\u202e"),
    ],
    ids=ascii,
)
def test_two_paths_are_never_shown_alike(one: str, other: str) -> None:
    assert render.shown_path(to_json_text(one)) != render.shown_path(to_json_text(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a b", "c"), ("a", "b c")),
        (("a\n", "k"), ("a\\x0a", "k")),
        (("a", "\x1b"), ("a", "\\x1b")),
    ],
    ids=ascii,
)
def test_two_keys_are_never_shown_alike_by_the_trailers(one: tuple[str, str], other: tuple[str, str]) -> None:
    shown = [
        trailers(render.message(header(operation("data.store", scope=scope, key=key)))) for scope, key in (one, other)
    ]
    assert shown[0] != shown[1]


@pytest.mark.parametrize("count", [1, 2, 3, 12, 13, 100, 101, 5000])
@pytest.mark.parametrize("length", [1, 40, 99, 4096])
def test_a_subject_has_at_most_a_hundred_characters_and_says_how_many_more(count: int, length: int) -> None:
    made = acquire(*[f"{number:04}" + "x" * (length - 4 if length > 4 else 0) for number in range(count)])
    subject = render.subject(made)
    assert len(subject) <= 100
    assert subject.startswith("lock: ")
    assert subject.endswith("(s1)")
    assert count == 1 or ", " in subject


def test_a_subject_stays_short_with_the_longest_session_ids() -> None:
    long = "s" * 64
    made = operation("lock.break", locks=named("p" * 300, session=long), reason="r", session="t" * 64)
    assert len(render.subject(made)) <= 100
    assert len(render.subject({**acquire("p" * 300), "session": long})) <= 100


def test_many_paths_are_counted_where_they_are_no_longer_listed() -> None:
    message = render.message(header(acquire(*[f"f{number}" for number in range(150)])))
    found = trailers(message)
    assert sum(name == "Coord-Path" for name, _ in found) == 100
    assert ("Coord-Paths-More", "50") in found


def test_several_operations_in_one_commit_have_all_their_ids() -> None:
    message = render.message(header({**acquire("a", reason="one"), "id": "01A"}, {**acquire("b"), "id": "01B"}))
    assert message.startswith("lock: a (s1) (+1 more)\n")
    assert [value for name, value in trailers(message) if name == "Coord-Id"] == ["01A", "01B"]


@pytest.mark.parametrize("mode", ["shared", "intent"])
def test_a_mode_that_is_not_exclusive_is_told(mode: str) -> None:
    assert ("Coord-Mode", mode) in trailers(render.message(header(acquire("a", mode=mode))))


@pytest.mark.parametrize(
    ("author", "shown"),
    [
        ({"name": "Ada", "email": "a@b"}, "Ada <a@b>"),
        ({"name": "Ada <evil@x>", "email": "a@b>\ncommitter x"}, "Ada evil@x <a@b\\x0acommitter x>"),
        ({"name": " .,:;<>\"\\' ", "email": ""}, "unknown <>"),
        ({"name": "Zoë 日本", "email": "z@x"}, "Zoë 日本 <z@x>"),
        ({"name": "n" * 500, "email": "e" * 500}, f"{'n' * 100} <{'e' * 100}>"),
        ({"name": "a\x1b[31m", "email": "x\x00y"}, "a\\x1b[31m <x\\x00y>"),
    ],
    ids=["plain", "forged", "nothing left", "letters", "long", "control"],
)
def test_an_author_is_one_that_git_takes_and_cannot_be_another(author: dict[str, Any], shown: str) -> None:
    assert render.ident(author) == shown


def test_a_commit_says_what_its_header_says_and_is_read_back() -> None:
    made = header(acquire("a", reason="Coord-Rev: 99"), revision=12)
    tree, parents = bytes(range(20)), [b"p" * 20, b"q" * 20]
    body = render.commit(tree, parents, made)
    assert render.parse_commit(b"c" * 20, body) == (tree, parents, 12)
    head, _, text = body.decode().partition("\n\n")
    assert head.splitlines()[-2:] == [
        "author s1 <ada@example.invalid> 1767323045 +0000",
        "committer s1 <ada@example.invalid> 1767323045 +0000",
    ]
    assert text == render.message(made)


@pytest.mark.parametrize("body", [b"", b"tree zz\n\nx", b"blob", b"parent " + b"0" * 40 + b"\n\n"], ids=repr)
def test_bytes_that_are_no_commit_are_reported(body: bytes) -> None:
    with pytest.raises(ObjectDamaged, match="is not a commit"):
        render.parse_commit(b"c" * 20, body)


def test_a_commit_without_a_revision_counts_as_none() -> None:
    assert render.parse_commit(b"c" * 20, b"tree " + b"ab" * 20 + b"\n\ntext\n")[2] == 0
