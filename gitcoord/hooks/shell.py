"""What a shell command writes, as far as its plain forms say: redirections, and the commands that are about files.

Nothing is executed and nothing is expanded but what stands there: a variable, a substitution or a program of its own
hides what it writes, and the README says so. `cd` and `git -C` are followed where they name a directory outright.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from gitcoord.values import NamedTuple

_SEPARATORS = frozenset({";", "&", "&&", "||", "|", "|&", "\n", "(", ")", "{", "}", ";;", "!"})
_WRITING = frozenset({">", ">>", ">|", "&>", "&>>", "<>"})
_PREFIXES = frozenset(
    {"sudo", "env", "command", "exec", "time", "nohup", "nice", "builtin", "then", "do", "else", "if", "while", "elif"}
)
_NESTED = frozenset({"sh", "bash", "zsh", "dash", "ksh"})
_DEPTH = 4
_LONGEST = 1 << 16


class Effect(NamedTuple):
    """Something that a command writes.

    Attributes:
        kind: `path`, or what git does: `checkout`, `switch`, `reset`, `stash`, `unstash`, `commit`.
        words: the path; or the arguments of git that matter.
        base: the directory that relative paths are relative to.
        wild: the path has wildcards of the shell.
    """

    kind: str
    words: tuple[str, ...]
    base: str
    wild: bool = False


class _Word(NamedTuple):
    """A word of a command.

    Attributes:
        text: without quotes.
        sure: nothing in it is a variable or a substitution.
        wild: it has wildcards outside of quotes.
        operator: it is an operator of the shell.
    """

    text: str
    sure: bool = True
    wild: bool = False
    operator: bool = False


def effects(command: str, base: str, depth: int = 0) -> list[Effect]:
    """Return what a shell command writes.

    Args:
        command: the command line; beyond 64 KiB it is not looked at.
        base: the directory in which it runs.
        depth: how many shells deep.
    """
    found: list[Effect] = []
    here: str | None = base
    for words in _commands(_lex(command[:_LONGEST])):
        plain, targets = _redirections(words)
        found += [_path(target, here) for target in targets if here is not None or os.path.isabs(target.text)]
        rest = _without_prefixes(plain)
        if not rest or not rest[0].sure:
            continue
        name = os.path.basename(rest[0].text)
        if name in ("cd", "pushd"):
            here = _moved(rest[1:], here)
        elif here is not None:
            found += _effects_of(name, rest[1:], here, depth)
    return [effect for effect in found if effect.words != ("",)]


def _moved(words: list[_Word], here: str | None) -> str | None:
    """Return where a `cd` leads; None where nobody can know."""
    named = [word for word in words if word.text != "--" and not (word.text.startswith("-") and len(word.text) == 2)]
    if not named:
        return os.path.expanduser("~")
    target = named[0]
    if not target.sure or target.wild or target.text == "-":
        return None
    path = os.path.expanduser(target.text)
    if here is None and not os.path.isabs(path):
        return None
    return os.path.normpath(os.path.join(here or "/", path))


def _path(word: _Word, here: str | None) -> Effect:
    if not word.sure or word.text in ("/dev/null", "/dev/stdout", "/dev/stderr", "-"):
        return Effect("path", ("",), "")
    return Effect("path", (os.path.expanduser(word.text),), here or "/", word.wild)


# -- words


def _lex(text: str) -> Iterator[_Word]:
    """Yield the words and operators of a command line, without the bodies of here-documents."""
    at, waiting = 0, list[str]()
    while at < len(text):
        letter = text[at]
        if letter == "\n":
            yield _Word("\n", operator=True)
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
            operator, at = _operator(text, at)
            yield operator
            if operator.text in ("<<", "<<-"):
                word, at = _word(text, _skip_blanks(text, at))
                waiting.append(word.text)
        else:
            word, at = _word(text, at)
            yield word


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


def _operator(text: str, at: int) -> tuple[_Word, int]:
    while text[at].isdigit():
        at += 1
    for operator in ("&>>", "<<-", "<<<", "&>", ">>", ">|", ">&", "<>", "<&", "<<", "&&", "||", "|&", ";;"):
        if text.startswith(operator, at):
            return _Word(operator, operator=True), at + len(operator)
    return _Word(text[at], operator=True), at + 1


def _after_document(text: str, at: int, end: str) -> int:
    """Return where the text goes on after the body of a here-document."""
    while at < len(text):
        stop = text.find("\n", at)
        line = text[at:] if stop < 0 else text[at:stop]
        at = len(text) if stop < 0 else stop + 1
        if line.strip("\t") == end:
            break
    return at


def _word(text: str, at: int) -> tuple[_Word, int]:
    """Read one word: quotes are taken off, and what cannot be known makes it unsure."""
    out: list[str] = []
    sure, wild = True, False
    while at < len(text) and text[at] not in " \t\r\n;|&()<>":
        letter = text[at]
        if letter == "'":
            end = text.find("'", at + 1)
            end = len(text) if end < 0 else end
            out.append(text[at + 1 : end])
            at = end + 1
        elif letter == '"':
            at, certain = _double_quoted(text, at + 1, out)
            sure = sure and certain
        elif letter == "\\":
            out.append(text[at + 1 : at + 2])
            at += 2
        elif letter in "$`":
            sure = False
            at = _after_substitution(text, at)
        else:
            wild = wild or letter in "*?["
            out.append(letter)
            at += 1
    return _Word("".join(out), sure, wild), at


def _double_quoted(text: str, at: int, out: list[str]) -> tuple[int, bool]:
    sure = True
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\", "$", "`", "\n"):
            out.append(text[at + 1])
            at += 2
        elif text[at] in "$`":
            sure = False
            at = _after_substitution(text, at)
        else:
            out.append(text[at])
            at += 1
    return at + 1, sure


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


def _commands(words: Iterator[_Word]) -> Iterator[list[_Word]]:
    found: list[_Word] = []
    for word in words:
        if (word.operator and word.text in _SEPARATORS) or (word.text in ("{", "}", "!") and not found):
            if found:
                yield found
            found = []
        else:
            found.append(word)
    if found:
        yield found


def _redirections(words: list[_Word]) -> tuple[list[_Word], list[_Word]]:
    """Split a command into its words and the files that it redirects output to."""
    plain: list[_Word] = []
    targets: list[_Word] = []
    rest = words[::-1]
    while rest:
        word = rest.pop()
        if not word.operator:
            plain.append(word)
            continue
        target = rest.pop() if rest and not rest[-1].operator else _Word("")
        duplicates = word.text == ">&" and (target.text.rstrip("-").isdigit() or target.text == "-")
        if word.text in _WRITING or (word.text == ">&" and not duplicates):
            targets.append(target)
    return plain, targets


def _without_prefixes(words: list[_Word]) -> list[_Word]:
    rest = list(words)
    while rest:
        text = rest[0].text
        assignment = text.partition("=")[0].isidentifier() and "=" in text
        if text in _PREFIXES or assignment or (text.startswith("-") and len(rest) < len(words)):
            rest.pop(0)
        else:
            break
    return rest


# -- commands


def _effects_of(name: str, words: list[_Word], here: str, depth: int) -> list[Effect]:
    if name in _NESTED and depth < _DEPTH:
        script = next((words[at + 1] for at, word in enumerate(words[:-1]) if word.text in ("-c", "-lc", "-ec")), None)
        return effects(script.text, here, depth + 1) if script is not None and script.sure else []
    if name == "git":
        from gitcoord.hooks.shell_git import git_effects

        return git_effects([word.text if word.sure else "" for word in words], here)
    return [_path(word, here) for word in _written(name, words, here)]


def _written(name: str, words: list[_Word], here: str) -> list[_Word]:
    """Return the words of a command that name what it writes."""
    options, arguments = _split(name, words)
    if name in ("tee", "rm", "unlink", "rmdir", "touch", "truncate"):
        return arguments
    if name in ("sed", "gsed", "perl"):
        flags = [text for text in options if name == "perl" and text[:2] != "--" and "i" in text]
        in_place = bool(flags) or any(text.startswith(("-i", "--in-place")) for text in options)
        given = any(text.startswith(("-e", "-f", "--expression", "--file")) for text in options)
        return (arguments if given or name == "perl" else arguments[1:]) if in_place else []
    if name == "dd":
        return [word._replace(text=word.text[3:]) for word in words if word.text.startswith("of=")]
    if name in ("mv", "cp", "ln", "install"):
        return _moved_files(name, words, arguments, here)
    return []


_VALUED = {
    "sed": ("-e", "-f", "--expression", "--file", "-l"),
    "perl": ("-e",),
    "truncate": ("-s", "--size", "-r"),
    "touch": ("-d", "-t", "-r", "--date"),
    "mv": ("-t", "--target-directory", "-S"),
    "cp": ("-t", "--target-directory", "-S"),
    "ln": ("-t", "--target-directory", "-S"),
    "install": ("-t", "--target-directory", "-m", "-o", "-g"),
}


def _split(name: str, words: list[_Word]) -> tuple[list[str], list[_Word]]:
    """Split a command's words into its options and its arguments."""
    options: list[str] = []
    arguments: list[_Word] = []
    rest = words[::-1]
    while rest:
        word = rest.pop()
        if word.text == "--":
            arguments += rest[::-1]
            break
        if word.text.startswith("-") and word.text != "-":
            options.append(word.text)
            if word.text in _VALUED.get(name, ()) and rest:
                rest.pop()
        else:
            arguments.append(word)
    return options, arguments


def _moved_files(name: str, words: list[_Word], arguments: list[_Word], here: str) -> list[_Word]:
    """Return what a move or copy writes: its destination, or what goes below it; a move writes its sources too."""
    flags = ("-t", "--target-directory")
    into = next((words[at + 1] for at, word in enumerate(words[:-1]) if word.text in flags), None)
    sources = arguments if into is not None else arguments[:-1]
    target = into if into is not None else arguments[-1] if len(arguments) > 1 else None
    found = list(sources) if name == "mv" else []
    if target is None:
        return found
    if into is None and target.text[-1:] != "/" and not os.path.isdir(os.path.join(here, target.text)):
        return [*found, target]
    for source in sources:
        text = os.path.join(target.text, os.path.basename(source.text.rstrip("/")))
        found.append(_Word(text, target.sure and source.sure, target.wild or source.wild))
    return found
