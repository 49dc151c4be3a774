"""`gitcoord ci`: what a server's hook checks, in a pipeline."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common
from gitcoord.cli.text import visible
from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_LINE = 1000


def add_ci(parser: Parser) -> None:
    """Declare the arguments of `ci`."""
    parser.add_argument("--base", metavar="A", required=True, help="the commit that the branch is to come onto")
    parser.add_argument("--head", metavar="B", required=True, help="the commit that is to come in")
    parser.add_argument("--warn", action="store_true", help="say what is wrong and exit with 0 all the same")
    add_common(parser, acts=False)
    parser.examples(
        "git fetch origin refs/gitcoord/main:refs/gitcoord/main && gitcoord ci --base origin/main --head HEAD"
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from gitcoord.hooks import pushed, server

    try:
        found, faults = server.check_range(acting.start_of(args), args.base, args.head)
    except CoordError as error:
        return acting.report(args, acting.failure(error, "ok"), _show)
    answer: acting.Answer = {
        "ok": not faults or args.warn,
        "commits": len(found),
        "faults": [fault._asdict() for fault in faults],
    }
    if faults and not args.warn:
        first = faults[0]
        way_out = pushed.way_out(faults).removeprefix("next: ")
        answer["error"] = {"code": first.kind, "message": first.message, "next": way_out}
    if not args.json:
        _annotate(answer)
    return acting.report(args, answer, _show)


def _annotate(answer: acting.Answer) -> None:
    """Print what is wrong, as GitHub Actions shows it beside the lines of a change, and as people read it elsewhere."""
    from gitcoord import config

    for fault in answer["faults"]:
        message = f"{fault['commit'][:10]}: {fault['message']}"
        if config.read_environment().github_actions:
            kind = "error" if answer.get("error") else "warning"
            path = _escaped(fault["path"]).replace(":", "%3A").replace(",", "%2C")
            print(f"::{kind} file={path},title=gitcoord {fault['kind']}::{_escaped(message)}")
        else:
            print(visible(f"{fault['path']}: {message}", _LINE))


def _escaped(text: str) -> str:
    """Return a text as a workflow command takes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _show(answer: acting.Answer) -> None:
    count, faults = answer["commits"], len(answer["faults"])
    what = "nothing" if not faults else "1 thing" if faults == 1 else f"{faults} things"
    acting.complain(f"{count} {'commit' if count == 1 else 'commits'}, {what} against the log")
