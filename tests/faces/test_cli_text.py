"""What the terminal may be shown, and how moments read."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitcoord.cli.text import distance, moment, to_json, visible, visible_lines
from gitcoord.model_time import format_time

NOW_MS = 1_750_000_000_000


@given(st.text())
def test_nothing_that_acts_on_a_terminal_passes(text: str) -> None:
    for letter in visible(text, 10_000):
        assert unicodedata.category(letter) not in {"Cc", "Cs", "Co", "Zl", "Zp"}
        assert unicodedata.category(letter) != "Cf" or letter in "\u200c\u200d"


@given(st.text())
def test_lines_keep_their_breaks_and_tabs_and_nothing_else(text: str) -> None:
    for letter in visible_lines(text):
        assert letter in "\n\t" or unicodedata.category(letter) not in {"Cc", "Cs", "Co", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("two\nlines\r\tand a tab", "two\\nlines\\r\\tand a tab"),
        ("\x1b[31mred\x1b[0m", "\\e[31mred\\e[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("\x07", "\\x07"),
        ("abc\u202edcb", "abc\\u202edcb"),
        ("\udcff", "\\xff"),
        ("\U000e0041", "\\U000e0041"),
        ("Größe 大小 👩\u200d👧", "Größe 大小 👩\u200d👧"),
        ("", ""),
    ],
)
def test_what_would_act_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_nothing_is_shown_as_nothing() -> None:
    assert visible(None) == ""


def test_a_long_text_is_cut_and_marked() -> None:
    assert visible("x" * 500, 10) == "x" * 10 + "..."
    assert visible("x" * 10, 10) == "x" * 10


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values, st.sampled_from([None, 2]))
def test_json_says_the_same_and_acts_on_no_terminal(value: object, indent: int | None) -> None:
    document = to_json(value, indent=indent)
    assert json.loads(document.encode()) == value
    assert all(letter == "\n" or unicodedata.category(letter) not in {"Cc", "Cs", "Zl", "Zp"} for letter in document)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "now"),
        (45, "in 45 s"),
        (-45, "45 s ago"),
        (12 * 60, "in 12 min"),
        (-3 * 3600, "3 h ago"),
        (2 * 3600 + 600, "in 2 h 10 min"),
        (3600 - 1, "in 60 min"),
        (-30 * 3600, "30 h ago"),
        (10 * 86400, "in 10 days"),
    ],
)
def test_a_distance_is_said_in_the_unit_that_fits(seconds: int, said: str) -> None:
    assert distance(format_time(NOW_MS + seconds * 1000), NOW_MS) == said


def test_a_moment_is_said_both_ways() -> None:
    assert moment(format_time(NOW_MS + 60_500), NOW_MS) == "2025-06-15T15:07:40Z (in 60 s)"


def test_a_moment_that_never_comes_has_no_end() -> None:
    assert moment(None, NOW_MS) == "no end"


def test_a_moment_that_is_none_is_said_to_be_unknown_and_does_not_act() -> None:
    assert moment("\x1b[2J", NOW_MS) == "\\e[2J (at an unknown time)"
