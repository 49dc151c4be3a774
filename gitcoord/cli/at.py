"""`gitcoord at`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, text
from gitcoord.cli.text import visible
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_at(parser: Parser) -> None:
    """Declare the arguments of `at`."""
    parser.add_argument(
        "point", metavar="POINT", type=text, help="a time (2026-01-31T09:00:00Z, 2h for ago), a revision, or a commit"
    )
    add_common(parser, acts=False)
    parser.examples("gitcoord at 2h", "gitcoord at 1042", "gitcoord locks --at 2026-01-31T09:00:00Z")
    parser.set_defaults(run=_run, session=None)


def _run(args: argparse.Namespace) -> int:
    return acting.ask(args, lambda desk: desk.at(args.point), show)


def show(answer: acting.Answer) -> None:
    """Print who was there and what was held at a point of the log."""
    from gitcoord.cli.lock import print_locks
    from gitcoord.cli.table import print_records

    point = answer["at"]
    print_records("", [], [[point["revision"], point["time"], point["commit"]]], kind="at")
    rows = [
        [row["session"], row["author"], row["machine"], row["renewed_at"], row["intent"]] for row in answer["sessions"]
    ]
    print_records("Sessions", ["session", "author", "machine", "last seen", "intent"], rows, kind="session")
    print_locks("Locks", answer["locks"], kind="lock")


def add_option(parser: Parser) -> None:
    """Declare `--at` on a command that shows the state."""
    parser.add_argument("--at", metavar="POINT", type=text, help="as it was: a time, a revision or a commit")


def tell(answer: acting.Answer) -> None:
    """Say on stderr which point an answer is about, where it is about one."""
    point = answer.get("at")
    if point:
        acting.complain(f"as of revision {point['revision']}, {visible(point['time'])}")
