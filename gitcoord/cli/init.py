"""`gitcoord init`."""

from __future__ import annotations

import os

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common
from gitcoord.cli.text import visible
from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_PATH_LIMIT = 4096


def add_init(parser: Parser) -> None:
    """Declare the arguments of `init`."""
    parser.add_argument("dir", metavar="DIR", nargs="?", default="", help="a directory of the repository")
    parser.add_argument("--local", action="store_true", help="do not look whether the remote has a log already")
    parser.add_argument("--client", metavar="NAMES", help="set up claude,cursor,codex,gemini,vscode,opencode; or all")
    parser.add_argument("--agents-md", action="store_true", help="put a marked block about gitcoord into AGENTS.md")
    parser.add_argument("--user", action="store_true", help="set clients up for all your projects, in your home")
    parser.add_argument("--warn", action="store_true", help="let the clients' hooks say what is wrong and stop nothing")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="say what is set up; exit 1 if something is not")
    what.add_argument("--remove", action="store_true", help="take the clients' set-up out again")
    what.add_argument("--print", action="store_true", help="print what would be written, and write nothing")
    add_common(parser, acts=False)
    parser.examples("gitcoord init --client claude,cursor", "gitcoord init --client all --check")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from gitcoord import service

    if args.client or args.agents_md:
        from gitcoord.cli import init_client

        if args.check or args.remove or args.print:
            return init_client.run(args)
    elif args.check or args.remove or args.print or args.user or args.warn:
        acting.complain("gitcoord: say which client: --client claude,cursor")
        return 2

    try:
        answer = service.initialise(os.path.join(acting.start_of(args), args.dir))
    except CoordError as error:
        answer = acting.failure(error, "ok")
    if not answer.get("error") and (args.client or args.agents_md):
        from gitcoord.cli import init_client

        return init_client.run(args, made=answer)
    return acting.report(args, answer, _show)


def _show(answer: acting.Answer) -> None:
    done = "made" if answer.get("created") else "there already; nothing was changed"
    print(f"log        {visible(answer.get('ref'))} ({done})")
    print(f"repository {visible(answer.get('repository'))}")
    print(f"runtime    {visible(answer.get('runtime'), _PATH_LIMIT)}")
    if answer.get("next"):
        acting.complain(f"next: {visible(answer['next'], 1000)}")
