"""What a shell command writes, as far as its plain forms say: redirections, and the commands that are about files.

Nothing is executed and nothing is expanded but what stands there: a variable, a substitution's output or a program of
its own hides what it writes, and the README says so. `cd` and `git -C` are followed where they name a directory
outright.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from gitcoord.hooks.shell_words import Word, lex
from gitcoord.values import NamedTuple

_SEPARATORS = frozenset({";", "&", "&&", "||", "|", "|&", "\n", "(", ")", "{", "}", ";;", "!"})
_WRITING = frozenset({">", ">>", ">|", "&>", "&>>", "<>"})
_NESTED = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash"})
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


def effects(command: str, base: str, depth: int = 0) -> list[Effect]:
    """Return what a shell command writes.

    Args:
        command: the command line; beyond 64 KiB it is not looked at.
        base: the directory in which it runs.
        depth: how many shells deep.
    """
    if depth > _DEPTH:
        return []
    found: list[Effect] = []
    here: str | None = base
    outside: list[str | None] = []  # of parentheses, and of `pushd`
    for words in _commands(lex(command[:_LONGEST])):
        if words[0].operator and words[0].text in "()":
            if words[0].text == "(":
                outside.append(here)
            elif outside:
                here = outside.pop()
            continue
        found += [effect for word in words for text in word.inner for effect in _inside(text, here, depth)]
        if words[0].text == "[[":
            continue  # a comparison is no redirection
        plain, targets = _redirections(words)
        found += [_path(target, here) for target in targets if here is not None or os.path.isabs(target.text)]
        rest, there = _without_prefixes(plain, here)
        if not rest or not rest[0].sure:
            continue
        name = os.path.basename(rest[0].text)
        if name in ("cd", "pushd"):
            if name == "pushd":
                outside.append(here)
            here = _moved(rest[1:], here)
        elif name == "popd":
            here = outside.pop() if outside else None
        else:
            found += _effects_of(name, rest[1:], there, depth)
    return [effect for effect in found if effect.words != ("",)]


def _inside(text: str, here: str | None, depth: int) -> list[Effect]:
    """Return what a command in a command writes; where nobody knows the directory, only what is absolute."""
    found = effects(text, "/" if here is None else here, depth + 1)
    return [one for one in found if here is not None or (one.kind == "path" and os.path.isabs(one.words[0]))]


def _moved(words: list[Word], here: str | None) -> str | None:
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


def _path(word: Word, here: str | None) -> Effect:
    if not word.sure or word.text in ("/dev/null", "/dev/stdout", "/dev/stderr", "-", "{}"):
        return Effect("path", ("",), "")
    return Effect("path", (os.path.expanduser(word.text),), here or "/", word.wild)


def _commands(words: Iterator[Word]) -> Iterator[list[Word]]:
    """Yield the commands of a line, and each parenthesis as one of its own."""
    found: list[Word] = []
    for word in words:
        if (word.operator and word.text in _SEPARATORS) or (word.text in ("{", "}", "!") and not found):
            if found:
                yield found
            found = []
            if word.operator and word.text in "()":
                yield [word]
        else:
            found.append(word)
    if found:
        yield found


def _redirections(words: list[Word]) -> tuple[list[Word], list[Word]]:
    """Split a command into its words and the files that it redirects output to."""
    plain: list[Word] = []
    targets: list[Word] = []
    rest = words[::-1]
    while rest:
        word = rest.pop()
        if not word.operator:
            plain.append(word)
            continue
        target = rest.pop() if rest and not rest[-1].operator else Word("")
        duplicates = word.text == ">&" and (target.text.rstrip("-").isdigit() or target.text == "-")
        if word.text in _WRITING or (word.text == ">&" and not duplicates):
            targets.append(target)
    return plain, targets


# What stands before a command, and which of its options have a value in the next word.
_PREFIXES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("command", "time", "nohup", "builtin", "setsid", "busybox", "coproc"), ()),
    **dict.fromkeys(("then", "do", "else", "if", "while", "until", "elif"), ()),
    "exec": ("-a",),
    "sudo": ("-u", "-g", "-p", "-C", "-D", "-h", "-R", "-r", "-t", "-T", "-U", "--user", "--group", "--chdir"),
    "doas": ("-u", "-C"),
    "env": ("-u", "--unset", "-C", "--chdir"),
    "nice": ("-n", "--adjustment"),
    "ionice": ("-c", "-n"),
    "timeout": ("-s", "-k", "--signal", "--kill-after"),
    "stdbuf": ("-i", "-o", "-e"),
    "xargs": ("-n", "-I", "-L", "-P", "-d", "-a", "-E", "-s"),
}
_WITH_A_WORD = ("timeout", "function")  # how long; how it is called
_CHANGES_DIRECTORY = {"env": ("-C", "--chdir"), "sudo": ("-D", "--chdir")}


def _without_prefixes(words: list[Word], here: str | None) -> tuple[list[Word], str | None]:
    """Return a command without what stands before it, and where it runs."""
    at = 0
    while at < len(words):
        text = words[at].text
        name = os.path.basename(text) if "=" not in text else text
        at += 1
        if name == "function":
            at += 1
            while at < len(words) and words[at].text == "{":
                at += 1
        elif name in _PREFIXES:
            while at < len(words) and words[at].text.startswith("-"):
                option = words[at].text
                at += 1
                if option in _PREFIXES[name] and at < len(words):
                    if option in _CHANGES_DIRECTORY.get(name, ()):
                        here = _moved([words[at]], here)
                    at += 1
            at += name in _WITH_A_WORD
        elif not ("=" in text and text.partition("=")[0].isidentifier()):
            return words[at - 1 :], here
    return [], here


# -- commands


def _effects_of(name: str, words: list[Word], here: str | None, depth: int) -> list[Effect]:
    if name in ("eval", "trap") or name in _NESTED:
        script = _script(name, words)
        return [] if script is None else _inside(script, here, depth)
    if name == "find":
        started = _started(words) if depth < _DEPTH else ()
        return [effect for one in started for effect in _effects_of(one[0].text, one[1:], here, depth + 1)]
    if name == "git":
        from gitcoord.hooks.shell_git import git_effects

        return [] if here is None else git_effects([word.text if word.sure else "" for word in words], here)
    written = _written(name, words, here)
    return [_path(word, here) for word in written if here is not None or os.path.isabs(word.text)]


def _script(name: str, words: list[Word]) -> str | None:
    """Return the command line that a command is given to run; None where nobody can know it."""
    if name == "eval":
        return " ".join(word.text for word in words) if all(word.sure for word in words) else None
    if name == "trap":
        found = words[0] if words else None
    else:
        options = (at for at, word in enumerate(words[:-1]) if word.text[:1] == "-" and word.text[1:2] != "-")
        at = next((at for at in options if "c" in words[at].text), None)
        found = None if at is None else words[at + 1]
    return found.text if found is not None and found.sure else None


def _started(words: list[Word]) -> Iterator[list[Word]]:
    """Yield the commands that `find` starts, as far as they are written down."""
    found: list[Word] | None = None
    for word in words:
        if found is None:
            found = [] if word.text in ("-exec", "-execdir", "-ok", "-okdir") else None
        elif word.text not in (";", "+"):
            found.append(word)
        elif found:
            yield found
            found = None
    if found:
        yield found


_ALL = (
    *("tee", "rm", "unlink", "rmdir", "touch", "truncate", "shred", "sponge"),
    *("gzip", "bzip2", "xz"),
)
"""Commands that write all that they name."""
_INTO = {
    "curl": ("-o", "--output"),
    "wget": ("-O", "--output-document"),
    "sort": ("-o", "--output"),
}
"""Commands that write what an option names."""


def _written(name: str, words: list[Word], here: str | None) -> list[Word]:
    """Return the words of a command that name what it writes."""
    options, arguments = _split(name, words)
    if name in _ALL:
        return arguments
    if name in _INTO:
        return _values(words, _INTO[name])
    if name in ("sed", "gsed", "perl", "ruby"):
        in_place = any(_is_in_place(name, text) for text in options)
        given = any(text.startswith(("-e", "-f", "--expression", "--file")) for text in options)
        return (arguments if given or name in ("perl", "ruby") else arguments[1:]) if in_place else []
    if name == "dd":
        return [word._replace(text=word.text[3:]) for word in words if word.text.startswith("of=")]
    if name == "patch":
        return [*arguments[:1], *_values(words, ("-o", "--output"))]
    if name in ("rsync", "scp"):
        return _moved_files("cp", words, arguments, here) if arguments and ":" not in arguments[-1].text else []
    if name in ("mv", "cp", "ln", "install"):
        return _moved_files(name, words, arguments, here)
    return []


def _is_in_place(name: str, option: str) -> bool:
    """Tell whether an option of a stream editor, maybe among others in one word, lets it write the files."""
    if option.startswith("--"):
        return name not in ("perl", "ruby") and option.startswith("--in-place")
    for letter in option[1:]:
        if letter == "i":
            return True
        if letter in ("efl" if name in ("sed", "gsed") else "eEI"):
            return False
    return False


def _values(words: list[Word], flags: tuple[str, ...]) -> list[Word]:
    """Return what options say: in the next word, behind `=`, or directly behind a short one."""
    found: list[Word] = []
    letters = {flag[1] for flag in flags if len(flag) == 2}
    for at, word in enumerate(words):
        name, equals, value = word.text.partition("=")
        together = word.text[:1] == "-" and word.text[1:].isalpha() and word.text[-1] in letters
        if word.text in flags or (together and word.text[:2] not in flags):
            found += words[at + 1 : at + 2]
        elif equals and name.startswith("--") and name in flags:
            found.append(word._replace(text=value))
        elif word.text[:2] in flags and word.text[1:2] != "-":
            found.append(word._replace(text=word.text[2:]))
    return found


_VALUED = {
    "sed": ("-e", "-f", "--expression", "--file", "-l"),
    "perl": ("-e",),
    "ruby": ("-e",),
    "truncate": ("-s", "--size", "-r"),
    "touch": ("-d", "-t", "-r", "--date"),
    "mv": ("-t", "--target-directory", "-S"),
    "cp": ("-t", "--target-directory", "-S"),
    "ln": ("-t", "--target-directory", "-S"),
    "install": ("-t", "--target-directory", "-m", "-o", "-g"),
    "patch": ("-i", "--input", "-o", "--output", "-d", "-p", "-r", "-F", "-B"),
    "rsync": ("-e", "--exclude", "--include", "-f"),
    "scp": ("-i", "-P", "-o", "-F", "-l", "-S", "-c", "-J"),
    "shred": ("-n", "-s"),
}


def _split(name: str, words: list[Word]) -> tuple[list[str], list[Word]]:
    """Split a command's words into its options and its arguments."""
    options: list[str] = []
    arguments: list[Word] = []
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


def _moved_files(name: str, words: list[Word], arguments: list[Word], here: str | None) -> list[Word]:
    """Return what a move or copy writes: its destination, or what goes below it; a move writes its sources too."""
    into = next(iter(_values(words, ("-t", "--target-directory"))), None)
    sources = arguments if into is not None else arguments[:-1]
    target = into if into is not None else arguments[-1] if len(arguments) > 1 else None
    found = list(sources) if name == "mv" else []
    if target is None:
        return found
    if into is None and target.text[-1:] != "/" and not os.path.isdir(os.path.join(here or "/", target.text)):
        return [*found, target]
    for source in sources:
        text = os.path.join(target.text, os.path.basename(source.text.rstrip("/")))
        found.append(Word(text, target.sure and source.sure, target.wild or source.wild))
    return found
