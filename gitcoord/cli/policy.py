"""`gitcoord policy show|set`."""

from __future__ import annotations

import sys

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, text
from gitcoord.cli.text import to_json
from gitcoord.errors import InvalidValue, NotFound
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from gitcoord.service import Desk

_LIMIT = 4 * 1024 * 1024


def add_show(parser: Parser) -> None:
    """Declare the arguments of `policy show`."""
    add_common(parser, acts=False)
    parser.set_defaults(run=_show, session=None)


def _show(args: argparse.Namespace) -> int:
    return acting.ask(
        args,
        lambda desk: desk.show_policy(),
        lambda answer: acting.write(to_json(answer["policy"], indent=2) + "\n"),
    )


def add_set(parser: Parser) -> None:
    """Declare the arguments of `policy set`."""
    parser.add_argument("file", metavar="FILE", help="the whole policy as JSON; - reads it from standard input")
    parser.add_argument("-m", "--reason", metavar="REASON", type=text, default="", help="why")
    add_common(parser)
    parser.examples("gitcoord policy show > policy.json; edit it; gitcoord policy set policy.json -m 'one more role'")
    parser.set_defaults(run=_set)


def _set(args: argparse.Namespace) -> int:
    def call(desk: Desk) -> acting.Answer:
        return desk.set_policy(_read(args.file), reason=args.reason)

    return acting.ask(args, call, lambda answer: print(f"policy version {answer['version']}"))


def _read(path: str) -> Any:
    """Return the JSON value in a file.

    Raises:
        InvalidValue: it is none.
        NotFound: there is no such file.
    """
    from gitcoord.canonical import parse_value

    try:
        if path == "-":
            raw = sys.stdin.buffer.read(_LIMIT)
        else:
            with open(path, "rb") as file:
                raw = file.read(_LIMIT)
        return parse_value(raw.decode())
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}", next="gitcoord policy show > FILE") from error
    except InvalidValue as error:
        raise InvalidValue(f"{path} is {error.message}", next="gitcoord policy show > FILE, and change that") from error
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{path} is not UTF-8", next="gitcoord policy show") from error
