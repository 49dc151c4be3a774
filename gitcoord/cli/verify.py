"""`gitcoord verify`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, text
from gitcoord.cli.text import visible
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_SHOWN = 20


def add_verify(parser: Parser) -> None:
    """Declare the arguments of `verify`."""
    parser.add_argument(
        "range",
        metavar="RANGE",
        nargs="?",
        type=text,
        help="A..B, trusting A; or B, for all up to B: commits, revisions or times (default: the whole log)",
    )
    parser.add_argument("--trust", metavar="KEY", type=text, help="pin the fingerprint of the log's root in this clone")
    parser.add_argument("--anew", action="store_true", help="judge everything again, also what was verified before")
    add_common(parser, acts=False)
    parser.examples("gitcoord verify", "gitcoord verify 1000..", "gitcoord verify --trust SHA256:...")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    args.session = None
    return acting.ask(
        args, lambda desk: desk.verify(range=args.range, trust=args.trust, anew=args.anew), _show, verdict="ok"
    )


def _show(answer: acting.Answer) -> None:
    from gitcoord.cli.table import print_records

    total, before = answer["commits"], answer["remembered"]
    known = f", {before} of them verified before" if before else ""
    print(f"good: {total} {'commit' if total == 1 else 'commits'}{known}, up to {visible(answer['tip'])}")
    signed: dict[str, int] = answer["signed"]
    rows = [[f"signed by {name}", number] for name, number in signed.items()]
    if answer["unknown"]:
        rows.append(["signed by keys that no policy vouches for", answer["unknown"]])
    if answer["unsigned"]:
        rows.append(["unsigned, identities unproven", answer["unsigned"]])
    for what, number in rows:
        print(f"  {visible(what)}: {number}")
    if answer["root"]:
        print(f"  root: {visible(answer['root'])}")
    notable = answer["notable"]
    if notable:
        fields = [[event["revision"], event["kind"], event["subject"]] for event in notable[-_SHOWN:]]
        print_records("Within the rules, and worth a look", ["revision>", "what", "which"], fields)
    if answer["notables"] > _SHOWN:
        acting.complain(f"and {answer['notables'] - _SHOWN} older ones: gitcoord verify --json")
    for line in answer["outside"]:
        acting.complain(f"not verified: {visible(line)}")
