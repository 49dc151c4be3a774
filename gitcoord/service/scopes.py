"""Choosing scopes by pattern."""

from __future__ import annotations

from fnmatch import translate
from re import compile as compile_pattern


def matching(pattern: str, scopes: list[str]) -> list[str]:
    """Return the scopes that a pattern matches whole; `*` and `?` match anything, slashes too, `[` is a letter."""
    matches = compile_pattern(translate(pattern.replace("[", "[[]"))).match
    return [scope for scope in scopes if matches(scope)]
