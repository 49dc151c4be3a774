"""`gitcoord demo`."""

from __future__ import annotations

from gitcoord.cli import acting, silence
from gitcoord.cli.parsing import Parser
from gitcoord.cli.text import visible
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_PAUSE_S = 0.7
_LINE_LIMIT = 2000


def add_demo(parser: Parser) -> None:
    """Declare the arguments of `demo`."""
    parser.add_argument("--keep", action="store_true", help="leave the scratch repository, to look around in it")
    parser.add_argument("--fast", action="store_true", help="do not pause between the steps on a terminal")
    parser.add_argument("--json", action="store_true", help="print the steps as one JSON document")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from gitcoord import demo

    def say(line: str) -> None:
        if args.json:
            return
        try:
            print(visible(line, _LINE_LIMIT), flush=True)
        except BrokenPipeError:  # nobody reads on, and the demo still has to end in good order
            silence()

    pauses = acting.on_terminal() and not args.fast and not args.json
    answer = demo.run(keep=args.keep, pause_s=_PAUSE_S if pauses else 0, say=say)
    return acting.report(args, answer, _show)


def _show(answer: acting.Answer) -> None:
    checks = sum(len(step["checks"]) for step in answer["steps"])
    print(f"\nAll {checks} expectations were met.")
    if answer["repository"]:
        print(f"The repository is {visible(answer['repository'], 4096)}")
