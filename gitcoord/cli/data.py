"""`gitcoord data set|get|delete|list|scopes|delete-scope`."""

from __future__ import annotations

import sys

from gitcoord.cli import acting
from gitcoord.cli.at import add_option
from gitcoord.cli.parsing import Parser, add_common, add_offline, revision, text
from gitcoord.cli.text import to_json, visible, visible_lines
from gitcoord.errors import InvalidValue, TooLarge
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from gitcoord.service import Desk

_STDIN_LIMIT = 64 * 1024 * 1024


def _add_place(parser: Parser) -> None:
    parser.add_argument("scope", metavar="SCOPE", type=text, help="such as issue:12 or session:alice")
    parser.add_argument("key", metavar="KEY", type=text, help="the value's name in it")


def _add_expected(parser: Parser) -> None:
    parser.add_argument(
        "--expect-revision", metavar="N", type=revision, help="only if the key's revision is N; 0 means absent"
    )


def add_set(parser: Parser) -> None:
    """Declare the arguments of `data set`."""
    _add_place(parser)
    parser.add_argument("value", metavar="VALUE", help="a JSON value; - reads it from standard input")
    parser.add_argument("--text", action="store_true", help="VALUE is a string, and not JSON")
    _add_expected(parser)
    add_offline(parser)
    parser.add_argument(
        "--seal", action="store_true", help="encrypt it to the principals of the policy that have a GPG key"
    )
    add_common(parser)
    parser.examples(
        "gitcoord data set issue:12 state '{\"done\": false}'",
        "gitcoord data set issue:12 title --text 'Rework the pool'",
        "git diff | gitcoord data set issue:12 patch --text -",
    )
    parser.set_defaults(run=_set)


def _set(args: argparse.Namespace) -> int:
    def call(desk: Desk) -> acting.Answer:
        return desk.store_data(args.scope, args.key, _value(args), expect_revision=args.expect_revision, seal=args.seal)

    return acting.ask(args, call, lambda answer: print(f"stored, revision {answer['revision']}"))


def _value(args: argparse.Namespace) -> Any:
    """Return the value that the arguments give.

    Raises:
        InvalidValue: not UTF-8, or not JSON where JSON is asked for.
        TooLarge: standard input holds more than anybody would store.
    """
    raw: bytes = _read_stdin() if args.value == "-" else args.value.encode("utf-8", "surrogateescape")
    try:
        body = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidValue(
            f"the value is not UTF-8 at byte {error.start}", next="store text, or the name of a file or git object"
        ) from error
    if args.text:
        return body
    from gitcoord.canonical import parse_value

    return parse_value(body)


def _read_stdin() -> bytes:
    body = sys.stdin.buffer.read(_STDIN_LIMIT + 1)
    if len(body) > _STDIN_LIMIT:
        raise TooLarge("standard input is too long for a value", next="store it in a file, and its name here")
    return body


def add_get(parser: Parser) -> None:
    """Declare the arguments of `data get`."""
    _add_place(parser)
    parser.add_argument("--text", action="store_true", help="print a string as it is; to a pipe, without a newline")
    add_option(parser)
    add_common(parser)
    parser.set_defaults(run=_get)


def _get(args: argparse.Namespace) -> int:
    def show(answer: acting.Answer) -> None:
        if not answer["found"]:
            acting.complain(f"gitcoord: no key '{visible(args.key)}' in scope '{visible(args.scope)}'")
            acting.complain(f"next: gitcoord data list {visible(args.scope)}")
        elif args.text and isinstance(answer["value"], str):
            _print_text(answer["value"])
        else:
            acting.write(to_json(answer["value"], indent=2 if acting.on_terminal() else None) + "\n")

    return acting.ask(args, lambda desk: desk.retrieve_data(args.scope, args.key, at=args.at), show, verdict="found")


def _print_text(value: str) -> None:
    """Print a string: byte for byte to a pipe, harmless to a terminal."""
    acting.write(visible_lines(value) + "\n" if acting.on_terminal() else value)


def add_delete(parser: Parser) -> None:
    """Declare the arguments of `data delete`."""
    _add_place(parser)
    _add_expected(parser)
    add_offline(parser)
    add_common(parser)
    parser.set_defaults(run=_delete)


def _delete(args: argparse.Namespace) -> int:
    return acting.ask(
        args,
        lambda desk: desk.delete_data(args.scope, args.key, expect_revision=args.expect_revision),
        _show_deleted,
        verdict="deleted",
    )


def add_delete_scope(parser: Parser) -> None:
    """Declare the arguments of `data delete-scope`."""
    parser.add_argument("scope", metavar="SCOPE", type=text, help="the scope")
    add_offline(parser)
    add_common(parser)
    parser.set_defaults(run=_delete_scope)


def _delete_scope(args: argparse.Namespace) -> int:
    return acting.ask(args, lambda desk: desk.delete_scope(args.scope), _show_deleted)


def _show_deleted(answer: acting.Answer) -> None:
    if answer["deleted"]:
        print(f"deleted {int(answer['deleted'])} {'key' if answer['deleted'] == 1 else 'keys'}")
    else:
        acting.complain("gitcoord: nothing of that name is stored")
        acting.complain("next: gitcoord data scopes")


def add_list(parser: Parser) -> None:
    """Declare the arguments of `data list`."""
    parser.add_argument("scope", metavar="SCOPE", type=text, help="the scope")
    add_common(parser)
    parser.set_defaults(run=_list)


def _list(args: argparse.Namespace) -> int:
    return acting.ask(args, lambda desk: desk.list_keys(args.scope), lambda answer: _print_names(answer["keys"]))


def add_scopes(parser: Parser) -> None:
    """Declare the arguments of `data scopes`."""
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", type=text, help="such as 'issue:*'")
    add_common(parser)
    parser.set_defaults(run=_scopes)


def _scopes(args: argparse.Namespace) -> int:
    return acting.ask(
        args, lambda desk: desk.list_scopes(pattern=args.pattern), lambda answer: _print_names(answer["scopes"])
    )


def _print_names(names: list[str]) -> None:
    for name in names:
        print(visible(name, 10_000))
