"""The words and operators of a shell's command line, taken apart without running or looking up anything.

Quotes come off, braces are written out, here-documents are passed over. What only a shell can know (a variable, what a
substitution prints) makes a word unsure; the commands inside of a substitution are kept to be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from gitcoord.values import NamedTuple

_MOST_BRACES = 64
_LONGEST_ARITHMETIC = 500
_OPEN, _COMMA, _CLOSE = "\ue000", "\ue001", "\ue002"
_KNOWN = re.compile(r"\$(?:\{(?:PWD|HOME)\}|(?:PWD|HOME)(?![A-Za-z0-9_]))")


class Word(NamedTuple):
    """A word of a command.

    Attributes:
        text: without quotes.
        sure: nothing in it is a variable or a substitution.
        wild: it has wildcards outside of quotes.
        operator: it is an operator of the shell.
        inner: the commands of its substitutions.
    """

    text: str
    sure: bool = True
    wild: bool = False
    operator: bool = False
    inner: tuple[str, ...] = ()


def lex(text: str) -> Iterator[Word]:
    """Yield the words and operators of a command line, without the bodies of here-documents."""
    at, waiting = 0, list[str]()
    while at < len(text):
        letter = text[at]
        if letter == "\n":
            yield Word("\n", operator=True)
            at += 1
            while waiting:
                at = _after_document(text, at, waiting.pop(0))
        elif letter in " \t\r":
            at += 1
        elif letter == "\\" and text[at + 1 : at + 2] == "\n":
            at += 2
        elif letter == "#":
            at = (text + "\n").index("\n", at)
        elif letter in ";|&()<>" or (letter.isdigit() and _redirects(text, at)):
            after = _after_arithmetic(text, at)
            if after > at:
                at = after
                continue
            operator, at = _operator(text, at)
            yield operator
            if operator.text in ("<<", "<<-"):
                word, at = _word(text, _skip_blanks(text, at))
                waiting.append(word.text)
        else:
            word, at = _word(text, at)
            yield from _written_out(word)


def _redirects(text: str, at: int) -> bool:
    """Tell whether digits stand directly before a redirection, and begin a word."""
    if at and text[at - 1] not in " \t\n;|&(":
        return False
    end = at
    while text[end : end + 1].isdigit():
        end += 1
    return text[end : end + 1] in ("<", ">")


def _skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    return at


def _operator(text: str, at: int) -> tuple[Word, int]:
    while text[at].isdigit():
        at += 1
    for operator in ("&>>", "<<-", "<<<", "&>", ">>", ">|", ">&", "<>", "<&", "<<", "&&", "||", "|&", ";;"):
        if text.startswith(operator, at):
            return Word(operator, operator=True), at + len(operator)
    return Word(text[at], operator=True), at + 1


def _after_document(text: str, at: int, end: str) -> int:
    """Return where the text goes on after the body of a here-document."""
    while at < len(text):
        stop = text.find("\n", at)
        line = text[at:] if stop < 0 else text[at:stop]
        at = len(text) if stop < 0 else stop + 1
        if line.strip("\t") == end:
            break
    return at


def _after_arithmetic(text: str, at: int) -> int:
    """Return where `((...))` ends, in which nothing is redirected; where it begins, if it is something else."""
    if not text.startswith("((", at):
        return at
    end = text.find("))", at, at + _LONGEST_ARITHMETIC)
    depth = 0
    for letter in text[at + 2 : end] if end > 0 else ";":
        depth += (letter == "(") - (letter == ")")
        if depth < 0 or letter in ";\n":
            return at
    return end + 2


def _written_out(word: Word) -> list[Word]:
    """Return a word once for each choice that its braces give."""
    if _OPEN not in word.text:
        return [word]
    done: list[str] = []
    waiting = [word.text]
    while waiting:
        text = waiting.pop(0)
        end = text.find(_CLOSE)
        start = text.rfind(_OPEN, 0, max(end, 0))
        if start < 0 or len(done) + len(waiting) >= _MOST_BRACES:
            done.append(text)
            continue
        choices = text[start + 1 : end].split(_COMMA)
        if len(choices) == 1:
            choices = ["{" + choices[0] + "}"]
        waiting += [text[:start] + choice + text[end + 1 :] for choice in choices]
    letters = str.maketrans({_OPEN: "{", _COMMA: ",", _CLOSE: "}"})
    return [word._replace(text=text.translate(letters)) for text in dict.fromkeys(done)]


class _Reading:
    """One word while it is read."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at
        self.out: list[str] = []
        self.inner: list[str] = []
        self.sure, self.wild = True, False

    def take(self) -> None:
        """Read one letter outside of quotes, or what begins with it."""
        text, at = self.text, self.at
        letter = text[at]
        if letter == "'" or text.startswith("$'", at):
            self._single(at + 1 + (letter == "$"), escapes=letter == "$")
        elif letter == '"' or text.startswith('$"', at):
            self.at += 1 + (letter == "$")
            self._double()
        elif letter == "\\":
            self.out.append(text[at + 1 : at + 2])
            self.at += 2
        elif letter in "$`":
            self._substitution()
        else:
            self.wild = self.wild or letter in "*?["
            self.out.append({"{": _OPEN, ",": _COMMA, "}": _CLOSE}.get(letter, letter))
            self.at += 1

    def _single(self, begin: int, *, escapes: bool) -> None:
        end = self.text.find("'", begin)
        end = len(self.text) if end < 0 else end
        inside = self.text[begin:end]
        self.sure = self.sure and not (escapes and "\\" in inside)
        self.out.append(inside)
        self.at = end + 1

    def _double(self) -> None:
        text = self.text
        while self.at < len(text) and text[self.at] != '"':
            letter = text[self.at]
            if letter == "\\" and text[self.at + 1 : self.at + 2] in ('"', "\\", "$", "`", "\n"):
                self.out.append(text[self.at + 1])
                self.at += 2
            elif letter in "$`":
                self._substitution()
            else:
                self.out.append(letter)
                self.at += 1
        self.at += 1

    def _substitution(self) -> None:
        known = _KNOWN.match(self.text, self.at)
        if known is not None and not self.out:
            # The place where the command is then is followed, and the home is the guard's too.
            self.out.append("." if "PWD" in known.group() else os.path.expanduser("~"))
            self.at = known.end()
            return
        self.sure = False
        begin, self.at = self.at, _after_substitution(self.text, self.at)
        found = self.text[begin : self.at]
        if found.startswith("`"):
            self.inner.append(found.strip("`"))
        elif found.startswith("$(") and not found.startswith("$(("):
            self.inner.append(found[2:].removesuffix(")"))


def _word(text: str, at: int) -> tuple[Word, int]:
    """Read one word: quotes are taken off, and what cannot be known makes it unsure."""
    reading = _Reading(text, at)
    while reading.at < len(text) and text[reading.at] not in " \t\r\n;|&()<>":
        reading.take()
    return Word("".join(reading.out), reading.sure, reading.wild, inner=tuple(reading.inner)), reading.at


def _after_substitution(text: str, at: int) -> int:
    """Return where a word goes on after a variable or a substitution that nobody looks into."""
    if text[at] == "`":
        end = text.find("`", at + 1)
        return len(text) if end < 0 else end + 1
    opening = text[at + 1 : at + 2]
    closing = {"(": ")", "{": "}"}.get(opening)
    if closing is None:
        at += 1
        while text[at : at + 1].isalnum() or text[at : at + 1] == "_":
            at += 1
        return at if opening.isalnum() or opening == "_" else at + 1
    depth = 0
    for end in range(at + 1, len(text)):
        depth += (text[end] == opening) - (text[end] == closing)
        if depth == 0:
            return end + 1
    return len(text)
