"""What a spelled path claims, and which claims get in each other's way."""

from __future__ import annotations

import pytest

from gitcoord.errors import InvalidPath
from gitcoord.paths import (
    Claim,
    claim_from_literal,
    covers_path,
    escape,
    has_wildcard,
    overlaps,
    parse_claim,
    parse_resource,
    part_may_match,
    split_spelled,
    tree_parts,
    unescape,
)

SPELLINGS = [
    ("a.py", "file", "a.py"),
    ("./src//a.py", "file", "src/a.py"),
    ("src/../src/./a.py", "file", "src/a.py"),
    ("src/", "directory", "src"),
    ("src/.", "directory", "src"),
    ("src/sub/..", "directory", "src"),
    (".", "directory", "."),
    ("./", "directory", "."),
    ("a/..", "directory", "."),
    ("app/[id]/page.tsx", "file", "app/[id]/page.tsx"),
    (r"app/\[id\]/a\ b", "file", "app/[id]/a b"),
    (r"a\*b", "file", r"a\*b"),
    (r"a\\b", "file", r"a\\b"),
    (r"a\\*", "pattern", r"a\\*"),
    ("*.py", "pattern", "*.py"),
    ("src/*/", "pattern", "src/*/**"),
    ("src/**/", "pattern", "src/**"),
    ("src/**/**/**/a", "pattern", "src/**/a"),
    ("a****b/***", "pattern", "a**b/**"),
    (r"\***", "pattern", r"\***"),
    (r"\****", "pattern", r"\***"),
    ("src/*/../a.py", "file", "src/a.py"),
    ("\udcc3\udca9", "file", "é"),
    ("...", "file", "..."),
]


@pytest.mark.parametrize(("text", "kind", "spelled"), SPELLINGS)
def test_spelling_is_made_canonical(text: str, kind: str, spelled: str) -> None:
    claim = parse_claim(text)
    assert (claim.kind, claim.spelled) == (kind, spelled)
    assert parse_claim(claim.spelled, directory=kind == "directory") == claim


def test_key_is_composed_and_folded_only_where_the_log_says_so() -> None:
    decomposed = "Cafe\u0301/STRASSE/Straße"
    assert parse_claim(decomposed) == Claim("file", ("Caf\u00e9", "STRASSE", "Straße"), decomposed)
    folded = parse_claim(decomposed, fold_case=True)
    assert folded == Claim("file", ("caf\u00e9", "strasse", "strasse"), decomposed)
    assert folded.key == "caf\u00e9/strasse/strasse"
    assert parse_claim(".").key == ""


def test_literal_name_has_no_wildcards() -> None:
    claim = claim_from_literal("app/[*]/a?b\\c")
    assert claim == Claim("file", ("app", r"[\*]", r"a\?b\\c"), r"app/[\*]/a\?b\\c")
    assert [unescape(part) for part in claim.parts] == ["app", "[*]", "a?b\\c"]
    assert claim_from_literal("src", directory=True) == parse_claim("src/")
    assert escape("a*?\\") == r"a\*\?\\"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\0b",
        "/etc/passwd",
        "..",
        "a/../../b",
        "**/../b",
        "a**/..",
        "a\\",
        r"src\app.py",
        r"a\/b",
        "a\ud800",
        "x" * 4097,
        "é" * 2049,
    ],
)
def test_what_is_no_path_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        parse_claim(text)
    assert caught.value.next


def test_longest_path_is_taken() -> None:
    assert parse_claim("x" * 4096).spelled == "x" * 4096


def test_resource_is_named_letter_by_letter() -> None:
    claim = parse_resource("deploy/pro*\\d")
    assert claim == Claim("resource", ("deploy", r"pro\*\\d"), "deploy/pro*\\d")
    assert tree_parts(claim) == (b"deploy", b"%70ro%2A%5Cd")
    assert parse_resource("Deploy") != parse_resource("deploy")
    assert parse_resource("e\u0301").parts == parse_resource("\u00e9").parts


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", ".", "a/..", "a\0", "x" * 4097, "\ud800"])
def test_what_is_no_resource_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        parse_resource(name)
    assert caught.value.next


OVERLAPPING = [
    ("a", "a"),
    ("src", "src/a.py"),
    ("src/", "src/a/b/c"),
    (".", "anything/at/all"),
    (".", "**"),
    (".", "*"),
    ("./", "./"),
    ("*.py", "a.py"),
    ("**/a.py", "a.py"),
    ("**/a.py", "x/y/a.py"),
    ("a/**/b", "a/b"),
    ("a/**/b", "a/x/y/b"),
    ("src/", "src/*.py"),
    ("src/", "s*"),
    ("src/x/", "src/**"),
    ("src/x/", "*/x/y/z"),
    ("*.py", "a*"),
    ("*/b", "a/*"),
    ("**/x/*", "y/**"),
    ("src/**", "**/*.py"),
    ("a*b*c", "*abc*"),
    ("a**c", "a/b/c"),
    ("app/[id]/*", "app/[id]/page.tsx"),
    (r"a\*b", r"a?b"),
    (r"\*", "*"),
    ("?", "é"),
    ("***", "a/b"),
    ("a/***/b", "a/b"),
]

APART = [
    ("a", "b"),
    ("src", "src2/a"),
    ("src/", "src.py"),
    ("*.py", "src/a.py"),
    ("*.py", "a.pyc"),
    ("*.py", "*.pyc"),
    ("src/*.py", "src/sub/*.py"),
    ("src/*", "src"),
    ("src/**", "src"),
    ("src/", "doc/**"),
    ("src/", "*.py/x"),
    ("a/**/b", "ab"),
    ("a**/b", "ab"),
    ("a?b", "a/b"),
    ("*", "a/b"),
    ("app/[id]/*", "app/i/page.tsx"),
    (r"a\*b", "axb"),
    (r"\*", "a?"),
    ("?", "??"),
    ("**/*.py", "**/*.js"),
    (".?", "?."),
    ("src", "src/*"),
    (r"\\*", "a*"),
]


@pytest.mark.parametrize(("one", "other"), OVERLAPPING)
def test_claims_that_share_a_file_overlap(one: str, other: str) -> None:
    left, right = parse_claim(one), parse_claim(other)
    assert overlaps(left, right)
    assert overlaps(right, left)


@pytest.mark.parametrize(("one", "other"), APART)
def test_claims_that_share_no_file_do_not_overlap(one: str, other: str) -> None:
    left, right = parse_claim(one), parse_claim(other)
    assert not overlaps(left, right)
    assert not overlaps(right, left)


def test_resource_overlaps_only_itself() -> None:
    port = parse_resource("port/8080")
    assert overlaps(port, parse_resource("port/8080"))
    assert not overlaps(port, parse_resource("port"))
    assert not overlaps(port, parse_claim("port/8080"))
    assert not overlaps(parse_claim("."), port)


def test_case_is_compared_by_the_logs_rule() -> None:
    assert not overlaps(parse_claim("SRC/A.py"), parse_claim("src/*.PY"))
    assert overlaps(parse_claim("SRC/A.py", fold_case=True), parse_claim("src/*.PY", fold_case=True))


def test_patterns_too_large_to_decide_overlap() -> None:
    one = parse_claim("*a" * 1000)
    assert overlaps(one, parse_claim("*b" * 1000))
    assert not overlaps(parse_claim("*a" * 40), parse_claim("*b" * 40))


COVERED = [
    ("a.py", "a.py"),
    ("src/", "src/a.py"),
    ("src/", "src/sub/"),
    ("src/", "src/"),
    (".", "."),
    (".", "a"),
    (".", "**"),
    ("src/", "src/*.py"),
    ("*.py", "*.py"),
    ("*.py", "a.py"),
    ("src/**", "src/sub/"),
    ("src/**", "src/"),
    ("src/**/*", "src/"),
    ("**", "."),
    ("s*/**", "src/sub/"),
    ("src**", "src/"),
]

UNCOVERED = [
    ("a.py", "b.py"),
    ("src", "src/a.py"),
    ("src", "src/"),
    ("src/a.py", "src/"),
    ("src/sub/", "src/"),
    ("*.py", "a.js"),
    ("*.py", "x.py/"),
    ("src/*", "src/"),
    ("src/*/**", "src/"),
    ("src/**", "."),
    ("src/**/*.py", "src/"),
    ("**", "*"),
]


@pytest.mark.parametrize(("claim", "path"), COVERED)
def test_claim_has_the_path(claim: str, path: str) -> None:
    assert covers_path(parse_claim(claim), parse_claim(path))


@pytest.mark.parametrize(("claim", "path"), UNCOVERED)
def test_claim_does_not_have_the_path(claim: str, path: str) -> None:
    assert not covers_path(parse_claim(claim), parse_claim(path))


def test_resource_covers_only_itself() -> None:
    assert covers_path(parse_resource("a"), parse_resource("a"))
    assert not covers_path(parse_resource("a"), parse_claim("a"))
    assert not covers_path(parse_claim("."), parse_resource("a"))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("*", "b", True),
        ("a*", "*b", True),
        ("a*", "b*", False),
        ("**", "b", True),
        ("a**", "b", True),
        (r"\**", "*b", True),
        (r"\*", "b*", False),
        (r"\*", r"\*", True),
        ("?", "ab", False),
    ],
)
def test_parts_that_may_match_a_common_name_are_not_pruned(one: str, other: str, *, expected: bool) -> None:
    assert part_may_match(one, other) is expected
    assert part_may_match(other, one) is expected


def test_wildcard_is_seen_unless_escaped() -> None:
    assert [has_wildcard(part) for part in ("a", "a*", "?", r"\*", r"\\*", r"\?\*", r"\*?", "[a]")] == [
        False,
        True,
        True,
        False,
        True,
        False,
        True,
        False,
    ]


def test_tree_parts_are_laid_out_as_the_repository_is() -> None:
    assert tree_parts(parse_claim(r"src/.git2/@a/*.py/\?")) == (b"src", b"%2Egit2", b"%40a", b"*.py", b"%3F")
    assert tree_parts(parse_claim(".")) == ()


def test_split_keeps_what_only_the_disk_can_resolve() -> None:
    assert split_spelled(r"/a/../\[b]//.") == ["", "a", "..", "[b]", "", "."]
