"""`gitcoord blame`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, count
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_DEFAULT_COUNT = 50


def add_blame(parser: Parser) -> None:
    """Declare the arguments of `blame`."""
    parser.add_argument("path", metavar="PATH", help="a file, directory or pattern, relative to here")
    parser.add_argument("--resource", action="store_true", help="PATH is a named resource")
    parser.add_argument("-n", metavar="N", type=count, default=_DEFAULT_COUNT, help="the newest N (default: 50)")
    add_common(parser, acts=False)
    parser.set_defaults(run=_run, session=None)


def _run(args: argparse.Namespace) -> int:
    path = acting.named([args.path])[0]
    return acting.ask(args, lambda desk: desk.blame(path, resource=args.resource, limit=args.n), _show)


def _show(answer: acting.Answer) -> None:
    from gitcoord.cli.table import print_records

    holds = answer["holds"]
    rows = [
        [
            hold["since"],
            hold["until"] or "",
            hold["session"],
            hold["mode"],
            hold["path"],
            hold["reason"],
            _ended(hold),
        ]
        for hold in holds
    ]
    print_records("Held by, newest first", ["since", "until", "session", "mode", "as", "why", "ended"], rows)
    if not holds:
        acting.complain("nobody ever held it by this name")


def _ended(hold: acting.Answer) -> str:
    if hold["ended"] is None:
        return "lapsed, and taken by nobody yet" if "lapsed" in hold else "still held"
    own = hold["ended_by"] in (None, hold["session"]) or hold["ended"] == "ran out of its time"
    by = "" if own else f" by {hold['ended_by']}"
    return f"{hold['ended']}{by}" + (f": {hold['ended_why']}" if hold["ended_why"] else "")
