"""What a name becomes in a tree, in a line of output and in JSON, and which names gitcoord takes."""

from __future__ import annotations

import pytest

from gitcoord.errors import InvalidName, InvalidPath, TooLarge, UnreadableRecord
from gitcoord.names import (
    check_key,
    check_scope,
    check_session_id,
    decode_part,
    decode_text,
    encode_part,
    encode_text,
    from_json_text,
    quote,
    session_id_from,
    shown,
    to_json_text,
    unquote,
    user_session_id,
)

PARTS = [
    ("app.py", b"app.py"),
    ("[id]", b"[id]"),
    ("a b", b"a b"),
    ("a:b", b"a:b"),
    ("100%", b"100%"),
    ("user@host", b"user@host"),
    ("grün", b"gr\xc3\xbcn"),
    ("raw\udcff", b"raw\xff"),
    ("*.py", b"*.py"),
    ("**", b"**"),
    ("git", b"git"),
    ("g~x", b"g~x"),
    ("notes~1", b"notes~1"),
    ("", b"%"),
    (".", b"%2E"),
    ("..", b"%2E."),
    ("...", b"..."),
    ("@me", b"%40me"),
    ("%41", b"%2541"),
    ("a\nb", b"%61%0Ab"),
    ("a\x7f%", b"%61%7F%25"),
    ("a/b", b"%61%2Fb"),
    ("é\n", b"%C3%A9%0A"),
    ("\udcff\n", b"%FF%0A"),
    (".git", b"%2Egit"),
    (".GitHub", b"%2EGitHub"),
    (".gitmodules", b"%2Egitmodules"),
    (".g\u200cit", b"%2Eg\xe2\x80\x8cit"),
    ("\ufeff.git", b"%EF%BB%BF.git"),
    ("git~1", b"%67it~1"),
    ("GITMOD~4", b"%47ITMOD~4"),
    ("gi7eba~1", b"%67i7eba~1"),
    ("~1000000", b"%7E1000000"),
    (r"\*", b"%2A"),
    (r"a\?b", b"%61%3Fb"),
    (r"a\\b", b"%61%5Cb"),
    (r"?\*", b"%?%2A"),
    (r"*\\.git", b"%*%5C.git"),
    (r"\**", b"%2A*"),
]

TEXTS = [
    ("main", b"main"),
    ("what?", b"what?"),
    ("*", b"*"),
    ("a\\b", b"%61%5Cb"),
    ("*\\", b"%2A%5C"),
    ("a/b", b"%61%2Fb"),
    ("@x", b"%40x"),
    (".git", b"%2Egit"),
    ("", b"%"),
]


@pytest.mark.parametrize(("part", "name"), PARTS)
def test_part_has_one_readable_name_and_comes_back(part: str, name: bytes) -> None:
    assert encode_part(part) == name
    assert decode_part(name) == part


@pytest.mark.parametrize(("text", "name"), TEXTS)
def test_text_has_one_readable_name_and_comes_back(text: str, name: bytes) -> None:
    assert encode_text(text) == name
    assert decode_text(name) == text


@pytest.mark.parametrize("part", ["a\\", r"\a", r"a\[b"])
def test_part_that_is_not_canonical_is_a_callers_bug(part: str) -> None:
    with pytest.raises(ValueError, match="canonical"):
        encode_part(part)


@pytest.mark.parametrize(
    "name",
    [b"", b"%61", b"%61bc", b"%4", b"%zz", b"%2e", b"%%", b"%a", b"a\\b", b".git", b"@x", b"a\nb", b"%40\n", b"%*a"],
)
def test_name_that_nothing_encodes_to_is_refused(name: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        decode_part(name)
    with pytest.raises(UnreadableRecord):
        decode_text(name)


QUOTED = [
    ("src/a b.py", "src/a b.py"),
    ("grün", "grün"),
    ('say "hi"', r'"say \"hi\""'),
    ("a\\b", r'"a\\b"'),
    ("a\nb\tc\x01\x7f", r'"a\nb\tc\001\177"'),
    ("grün\udcff", r'"grün\377"'),
    ("\a\b\v\f\r", r'"\a\b\v\f\r"'),
]


@pytest.mark.parametrize(("path", "line"), QUOTED)
def test_path_is_printed_as_git_prints_it(path: str, line: str) -> None:
    assert quote(path) == line
    assert unquote(line) == path


def test_bytes_that_git_wrote_in_octal_become_the_letter() -> None:
    assert unquote(r'"gr\303\274n"') == "grün"


@pytest.mark.parametrize(
    "text",
    ['"', '"a', '"a"b', '"a"b"', '"\\"', r'"\x41"', r'"\400"', r'"\18"', r'"\19a"', '"\\', '"\ud800"', r'"\1²3"'],
)
def test_malformed_quoting_is_refused(text: str) -> None:
    with pytest.raises(InvalidPath):
        unquote(text)


def test_json_carries_a_path_as_it_is_unless_it_could_be_mistaken() -> None:
    assert to_json_text("a\\*b\n") == "a\\*b\n"
    assert to_json_text('a"b') == 'a"b'
    assert to_json_text('"a') == r'"\"a"'
    assert to_json_text("é\udcff") == r'"é\377"'
    assert from_json_text(r'"é\377"') == "é\udcff"
    assert from_json_text('"a"') == "a"


@pytest.mark.parametrize("text", ["\udcff", "a\ud800", '"a'])
def test_json_text_that_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidPath):
        from_json_text(text)


@pytest.mark.parametrize("text", ["a\ud800", "\udfff"])
def test_text_that_no_bytes_decode_to_is_no_path(text: str) -> None:
    with pytest.raises(InvalidPath):
        quote(text)
    with pytest.raises(InvalidPath):
        to_json_text(text)
    with pytest.raises(InvalidPath):
        unquote(text)


def test_message_holds_any_text_in_one_short_line() -> None:
    assert shown("a b") == "'a b'"
    assert shown("a\nb\udcff") == r"'a\nb\udcff'"
    assert len(shown("x" * 10_000)) < 300


@pytest.mark.parametrize("text", ["a", "claude-code-1", "ada@host", "A.b_c+d", "1", "x" * 64, "lock", "a.locks"])
def test_plain_id_is_a_session_id(text: str) -> None:
    assert check_session_id(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "x" * 65, "-a", ".a", "@a", "a b", "a/b", "é", "a.lock", "a.JSON", "a.", "a\n", "a:b", "a%41", "\u0661"],
)
def test_other_text_is_no_session_id(text: str) -> None:
    with pytest.raises(InvalidName) as caught:
        check_session_id(text)
    assert caught.value.next


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("Claude Code", "claude-code"),
        ("claude-code", "claude-code"),
        ("Gemini CLI / v2.0", "gemini-cli-v2.0"),
        ("", "agent"),
        ("---", "agent"),
        ("日本", "agent"),
        ("Édith", "edith"),
        ("x.lock", "x-lock"),
        ("x.json", "x-json"),
        ("x..", "x"),
        ("y" * 100, "y" * 48),
        ("a\0b\n", "a-b"),
    ],
)
def test_clients_name_makes_a_session_id(name: str, wish: str) -> None:
    assert session_id_from(name) == wish
    assert check_session_id(session_id_from(name)) == wish


@pytest.mark.parametrize(
    ("user", "host", "wish"),
    [
        ("ada", "box.example.com", "ada@box"),
        ("Ada", "Box", "Ada@Box"),
        ("CORP\\ada", "box", "CORP-ada@box"),
        ("", "", "user@localhost"),
        ("ada", "10.0.0.5", "ada@10.0.0.5"),
        ("u" * 99, "h" * 99, "u" * 31 + "@" + "h" * 32),
        ("ada", "h" * 26 + "-.lock", "ada@" + "h" * 26),
    ],
)
def test_person_at_a_machine_makes_a_session_id(user: str, host: str, wish: str) -> None:
    assert user_session_id(user, host) == wish
    assert check_session_id(wish) == wish


@pytest.mark.parametrize("text", ["main", "a/b", "a:b", " ", "/", "..", ".git", "\n", "é" * 256])
def test_scope_and_key_are_exact_strings(text: str) -> None:
    assert check_scope(text) == text
    assert check_key(text) == text


@pytest.mark.parametrize("text", ["", "a\0b", "\udcff", "a\ud800"])
def test_scope_or_key_that_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        check_scope(text)
    with pytest.raises(InvalidName):
        check_key(text)


def test_too_long_scope_or_key_is_refused_with_its_limit() -> None:
    assert check_scope("x" * 1024)
    assert check_key("x" * 512)
    with pytest.raises(TooLarge, match="1,024"):
        check_scope("x" * 1023 + "é")
    with pytest.raises(TooLarge, match="512"):
        check_key("é" * 257)
