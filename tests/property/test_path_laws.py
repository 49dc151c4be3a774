"""Laws of names and claims: every round trip is exact, and overlap is what trying file names says."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitcoord.errors import InvalidPath, UnreadableRecord
from gitcoord.names import (
    check_session_id,
    decode_part,
    decode_text,
    encode_part,
    encode_text,
    from_json_text,
    quote,
    session_id_from,
    to_json_text,
    unquote,
    user_session_id,
)
from gitcoord.paths import (
    Claim,
    claim_from_literal,
    covers_path,
    overlaps,
    parse_claim,
    part_may_match,
    tree_parts,
    unescape,
)

TRICKY = [b".git", b"git~1", b"%", b"@", b"*", b"?", b"\\", b"/", b"\xe2\x80\x8c", b'"', b"\n", b"\xc3", b"\xa9", b"0"]
any_bytes = st.one_of(st.binary(max_size=12), st.lists(st.sampled_from(TRICKY), max_size=6).map(b"".join))
paths = any_bytes.map(lambda raw: raw.decode("utf-8", "surrogateescape"))

ALPHABET = "ab./"
LONGEST = 6


def _names() -> list[str]:
    found: list[str] = []
    for length in range(1, LONGEST + 1):
        for letters in itertools.product(ALPHABET, repeat=length):
            name = "".join(letters)
            if not {"", ".", ".."}.intersection(name.split("/")):
                found.append(name)
    return found


NAMES = _names()


def _oracle(claim: Claim) -> re.Pattern[str]:
    """Translate a claim (without escapes) to a regular expression, on another way than the product walk."""
    if claim.kind == "directory":
        below = re.escape(claim.key)
        return re.compile(f"{below}(/.*)?" if below else ".*", re.DOTALL)
    out = before = ""
    rest = claim.key
    while rest:
        if rest.startswith("**/") and before in ("", "/"):
            out, rest = out + "(?:.*/)?", rest[3:]
            before = "/"
            continue
        before = rest[0]
        if rest.startswith("**"):
            out, rest = out + ".*", rest[2:]
        elif rest.startswith("*"):
            out, rest = out + "[^/]*", rest[1:]
        elif rest.startswith("?"):
            out, rest = out + "[^/]", rest[1:]
        else:
            out, rest = out + re.escape(rest[0]), rest[1:]
    return re.compile(out, re.DOTALL)


def _covered(claim: Claim) -> set[str]:
    matcher = _oracle(claim)
    return {name for name in NAMES if matcher.fullmatch(name)}


def _globs(claim: Claim) -> frozenset[str]:
    """Return what is left to be matched at the start: `§` is a run of anything, `»` is `**/` at a part's start."""
    if claim.kind == "directory":
        return frozenset({claim.key, f"{claim.key}/§"} if claim.parts else {"§"})
    return frozenset({re.sub(r"(^|/)§/", r"\1»", claim.key.replace("**", "§"))})


def _opened(rests: frozenset[str]) -> frozenset[str]:
    found = set(rests)
    todo = list(rests)
    while todo:
        rest = todo.pop()
        more = {"§": [rest[1:]], "*": [rest[1:]], "»": [rest[1:], "§/" + rest[1:]]}.get(rest[:1], [])
        todo += [new for new in more if new not in found]
        found.update(more)
    return frozenset(found)


def _after(rests: frozenset[str], letter: str) -> frozenset[str]:
    found = {rest for rest in rests if rest[:1] == "§" or (rest[:1] == "*" and letter != "/")}
    found |= {rest[1:] for rest in rests if rest[:1] == letter or (rest[:1] == "?" and letter != "/")}
    return _opened(frozenset(found))


def _shared_name(one: Claim, other: Claim) -> str | None:
    """Return a shortest name that both claims cover, of any length, found letter by letter."""
    todo = [("", _opened(_globs(one)), _opened(_globs(other)))]
    seen: set[tuple[str, frozenset[str], frozenset[str]]] = set()
    for name, left, right in todo:
        part = name.rsplit("/", 1)[-1]
        if "" in left and "" in right and part not in ("", ".", ".."):
            return name
        looks = part if part in ("", ".", "..") else "name"
        if not left or not right or (looks, left, right) in seen:
            continue
        seen.add((looks, left, right))
        letters = ALPHABET if looks == "name" else ALPHABET.replace("/", "")
        todo += [(name + letter, _after(left, letter), _after(right, letter)) for letter in letters]
    return None


def _claim_or_none(text: str, *, directory: bool) -> Claim | None:
    try:
        return parse_claim(text, directory=directory)
    except InvalidPath:
        return None


claims = (
    st.tuples(
        st.lists(st.sampled_from(["a", "b", ".", "/", "*", "?", "**", "**/", "/**"]), min_size=1, max_size=4),
        st.booleans(),
    )
    .map(lambda made: _claim_or_none("".join(made[0]), directory=made[1]))
    .filter(lambda claim: claim is not None)
)


@given(claims, claims)
@example(parse_claim("**/a"), parse_claim("a"))
@example(parse_claim(".?"), parse_claim("?."))
@example(parse_claim("a/**/b"), parse_claim("a/b"))
def test_overlap_is_what_trying_names_says(one: Claim, other: Claim) -> None:
    said = overlaps(one, other)
    assert said == overlaps(other, one)
    if "pattern" in (one.kind, other.kind):
        shared = _shared_name(one, other)
        assert said == (shared is not None)
        if shared is None:
            assert not _covered(one) & _covered(other)
        else:
            assert _oracle(one).fullmatch(shared)
            assert _oracle(other).fullmatch(shared)
    else:
        shorter = min(len(one.parts), len(other.parts))
        assert said == (one.parts[:shorter] == other.parts[:shorter])


@given(claims)
def test_claim_overlaps_itself(claim: Claim) -> None:
    assert overlaps(claim, claim)
    assert covers_path(claim, claim)


@given(claims, st.sampled_from([name for name in NAMES if len(name) <= 4]), st.booleans())
def test_what_is_covered_is_covered_file_by_file(claim: Claim, name: str, directory: bool) -> None:
    literal = claim_from_literal(name, directory=directory)
    covered = _covered(claim)
    if not directory:
        assert covers_path(claim, literal) == (name in covered)
    elif covers_path(claim, literal):
        assert {inside for inside in NAMES if inside.startswith(name + "/")} <= covered


part_texts = st.lists(st.sampled_from(["a", "b", ".", "*", "?", "\\*", "\\?", "\\\\"]), min_size=1, max_size=5).map(
    "".join
)


@given(part_texts, part_texts)
def test_pruning_by_parts_never_hides_an_overlap(one: str, other: str) -> None:
    left, right = _claim_or_none(one, directory=False), _claim_or_none(other, directory=False)
    if left and right and left.parts and right.parts and overlaps(left, right):
        assert part_may_match(left.parts[0], right.parts[0])
        assert part_may_match(right.parts[0], left.parts[0])


@given(paths)
def test_literal_path_comes_back_from_its_claim_and_its_tree_names(path: str) -> None:
    try:
        claim = claim_from_literal(path)
    except InvalidPath:
        return
    assert claim.kind != "pattern"
    assert tuple(decode_part(name) for name in tree_parts(claim)) == claim.parts
    if ".." not in path.split("/"):
        named = "/".join(part for part in path.split("/") if part not in ("", "."))
        assert "/".join(unescape(part) for part in claim.spelled.split("/")) == (named or ".")
    assert parse_claim(claim.spelled, directory=claim.kind == "directory") == claim


@given(paths, st.booleans())
def test_claim_is_parsed_from_its_spelling_again(text: str, fold_case: bool) -> None:
    try:
        claim = parse_claim(text, fold_case=fold_case)
    except InvalidPath:
        return
    assert parse_claim(claim.spelled, directory=claim.kind == "directory", fold_case=fold_case) == claim
    again = parse_claim(claim.key or ".", directory=claim.kind == "directory", fold_case=fold_case)
    assert again.parts == claim.parts


@given(paths)
def test_every_text_comes_back_from_its_tree_name(text: str) -> None:
    name = encode_text(text)
    assert decode_text(name) == text
    assert b"/" not in name
    assert b"\0" not in name
    assert b"\\" not in name
    assert name


@given(any_bytes)
def test_every_tree_name_is_refused_or_the_only_one_of_its_part(name: bytes) -> None:
    for decode, encode in ((decode_part, encode_part), (decode_text, encode_text)):
        try:
            text = decode(name)
        except UnreadableRecord:
            continue
        assert encode(text) == name


@given(paths)
def test_every_path_comes_back_from_its_quoting(path: str) -> None:
    line = quote(path)
    assert unquote(line) == path
    assert "\n" not in line
    assert from_json_text(to_json_text(path)) == path
    to_json_text(path).encode()


@given(st.text(st.characters(exclude_categories=())))
def test_quoted_text_is_read_or_refused(text: str) -> None:
    for read in (unquote, from_json_text):
        try:
            path = read(text)
        except InvalidPath:
            continue
        assert unquote(quote(path)) == path.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


@given(st.text(), st.text())
def test_any_name_makes_a_valid_session_id(one: str, other: str) -> None:
    assert check_session_id(session_id_from(one))
    assert len(session_id_from(one)) <= 48
    assert check_session_id(user_session_id(one, other))


@pytest.mark.parametrize("pattern", ["*" * 300 + "a", "*a" * 60, "**/" * 60 + "a", "**a" * 60, "?*" * 60])
def test_pattern_made_to_be_slow_is_decided(pattern: str) -> None:
    claim = parse_claim(pattern)
    assert not overlaps(claim, parse_claim("**/" + "b/**/" * 30 + "*c"))
    assert overlaps(claim, claim)
