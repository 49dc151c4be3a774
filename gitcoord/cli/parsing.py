"""The argument parser that every command uses, and the types of arguments."""

from __future__ import annotations

import argparse
import os

from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FALLBACK_WIDTH = 80
_WIDEST_HELP = 100


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """A help text as wide as the terminal.

    The standard one asks `shutil` for the width, even when no help is printed, and that import costs a third of the
    whole parser.
    """

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size(1).columns
        except (OSError, ValueError):
            columns = 0
        super().__init__(prog, width=min(columns or _FALLBACK_WIDTH, _WIDEST_HELP) - 2, max_help_position=28)


class Parser(argparse.ArgumentParser):
    """A parser that takes options anywhere between the arguments, and never guesses an abbreviated one."""

    def __init__(self, *, prog: str, description: str) -> None:
        """Make the parser of the command `prog`."""
        super().__init__(prog=prog, description=description, formatter_class=_Formatter, allow_abbrev=False)
        self._prints_json = False

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the arguments, as JSON too where that is asked for, and leave with exit code 2."""
        if self._prints_json:
            from gitcoord.cli.acting import print_usage_error

            print_usage_error(message, f"{self.prog} --help")
        super().error(message)

    def parse(self, words: list[str]) -> argparse.Namespace:
        """Return the arguments that the words give.

        Options may stand between the arguments, as in `lock a.py -m why b.py`; after `--` all are arguments.

        Raises:
            SystemExit: a usage error or a help text, already printed.
        """
        options: list[str] = []
        arguments: list[str] = []
        self._prints_json = asks_for_json(words)
        rest = words[::-1]
        while rest:
            word = rest.pop()
            if word == "--":
                arguments += rest[::-1]
                break
            if not _is_option(word):
                arguments.append(word)
                continue
            if not self._knows(word):
                self.error(f"unrecognized arguments: {word} (an argument that begins with '-' stands behind --)")
            options.append(word)
            action = self._option_string_actions.get(word)
            if action is None or not rest:
                continue
            if action.nargs is None or (action.nargs == "?" and not _is_option(rest[-1])):
                options.append(rest.pop())
        if "--" in arguments:  # argparse would take it for its separator
            self.error("'--' is no argument; a file of that name is ./--")
        return self.parse_args([*options, *(["--"] if arguments else []), *arguments])

    def _knows(self, word: str) -> bool:
        """Tell whether a word is an option, alone or with its value in one word."""
        known = self._option_string_actions
        return word.partition("=")[0] in known or (word[1:2] != "-" and word[:2] in known)

    def actions(self) -> list[argparse.Action]:
        """Return what was declared so far."""
        return list(self._actions)

    def examples(self, *lines: str) -> None:
        """Show these command lines under the help text."""
        self.epilog = "examples:\n" + "\n".join(f"  {line}" for line in lines)


def asks_for_json(words: list[str]) -> bool:
    """Tell whether a program reads the answer, however wrong the rest of the command line is."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _is_option(word: str) -> bool:
    """Tell whether a word looks like an option, which `-` (standard input) and negative numbers do not."""
    return word[:1] == "-" and word != "-" and not word[1:2].isdigit()


def add_common(parser: Parser, *, acts: bool = True) -> None:
    """Declare what every command takes.

    Args:
        parser: the command's parser.
        acts: also `--session`, for what is done in a session's name.
    """
    group = parser.add_argument_group("options of every command")
    group.add_argument("-C", "--repo", metavar="DIR", help="as if gitcoord had been started in DIR")
    group.add_argument("--json", action="store_true", help="print the answer as one JSON document")
    if acts:
        group.add_argument("--session", metavar="ID", type=text, help="act as this session")
        group.add_argument(
            "--key",
            dest="signing_key",
            metavar="KEY",
            type=text,
            help="sign with this key, as git's user.signingKey names one (default: $GITCOORD_SIGNING_KEY)",
        )


def add_offline(parser: Parser) -> None:
    """Declare that a command may do without the remote that confirms."""
    parser.add_argument("--offline", action="store_true", help="do without the remote; what needs it is provisional")


def add_paths(parser: Parser, nargs: str) -> None:
    """Declare what a command claims, releases or asks about: `+` for at least one path, `*` for any number."""
    parser.add_argument("paths", metavar="PATH", nargs=nargs, help="files, directories or patterns, relative to here")
    parser.add_argument("--resource", action="store_true", help="PATH is a named resource such as deploy/prod")


def text(value: str) -> str:
    """Take an argument as text.

    Raises:
        argparse.ArgumentTypeError: its bytes are not UTF-8.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{value!r} is not valid UTF-8") from None
    return value


def duration(value: str) -> int:
    """Take `90`, `90s`, `10m`, `2h` or `1d` as seconds.

    Raises:
        argparse.ArgumentTypeError: it is none of these.
    """
    number, unit = (value[:-1], value[-1]) if value[-1:] in _UNITS else (value, "s")
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise argparse.ArgumentTypeError(f"{value!r} is no duration; say 90, 90s, 10m, 2h or 1d")
    return int(number) * _UNITS[unit]


def positive_duration(value: str) -> int:
    """Take a duration of at least a second, as seconds.

    Raises:
        argparse.ArgumentTypeError: it is none, or nothing.
    """
    seconds = duration(value)
    if seconds == 0:
        raise argparse.ArgumentTypeError("it has to last at least a second")
    return seconds


def count(value: str) -> int:
    """Take a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    number = revision(value)
    if number == 0:
        raise argparse.ArgumentTypeError("it has to be at least 1")
    return number


def revision(value: str) -> int:
    """Take a whole number that is not negative.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise argparse.ArgumentTypeError(f"{value!r} is no whole number")
    return int(value)
