"""The shared corpus of hand-judged pairs of a lock and a path, for everything that judges paths."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hooks", "verdicts.txt")


class Pair(NamedTuple):
    """One line of the corpus.

    Attributes:
        lock: what one session holds, in spelled form.
        asked: what another session wants to edit, in spelled form.
        held: the verdict.
        fold_case: the log takes upper and lower case for the same.
    """

    lock: str
    asked: str
    held: bool
    fold_case: bool

    @property
    def is_pattern(self) -> bool:
        """Whether what is asked about is a pattern: it has a wildcard that no backslash escapes."""
        plain = self.asked.replace("\\\\", "").replace("\\*", "").replace("\\?", "")
        return "*" in plain or "?" in plain

    @property
    def file(self) -> str | None:
        """The file that is asked about, as git names files; None where it is a directory or a pattern."""
        if self.is_pattern or self.asked.endswith("/"):
            return None
        parts: list[str] = []
        for part in self.asked.split("/"):
            if part == "..":
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        name = "/".join(parts)
        for letter in "*?[]":
            name = name.replace("\\" + letter, letter)
        return name.replace("\\\\", "\\")


def corpus() -> list[Pair]:
    """Return all pairs, in their order."""
    decoder = json.JSONDecoder()
    pairs: list[Pair] = []
    with open(FILE, encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith('"'):
                continue
            lock, end = decoder.raw_decode(line)
            asked, rest = decoder.raw_decode(line[end:].lstrip())
            words = line[end:].lstrip()[rest:].split()
            assert words[0] in ("held", "free"), line
            pairs.append(Pair(lock, asked, words[0] == "held", words[1:] == ["i"]))
    return pairs
