"""`gitcoord serve`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, text
from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_serve(parser: Parser) -> None:
    """Declare the arguments of `serve`."""
    from gitcoord.mcp_server import DEFAULT_ADDRESS

    parser.add_argument(
        "--http",
        metavar="ADDRESS",
        nargs="?",
        const=DEFAULT_ADDRESS,
        help=f"serve streamable HTTP at [HOST:]PORT (default: {DEFAULT_ADDRESS}); each request needs a bearer token",
    )
    parser.add_argument(
        "--allow-remote",
        metavar="NAME",
        action="append",
        default=[],
        type=text,
        help="let other machines use this name",
    )
    add_common(parser)
    parser.examples("gitcoord serve --repo ~/src/project", "gitcoord serve --http 8642")
    parser.set_defaults(run=_run, parser=parser)


def _run(args: argparse.Namespace) -> int:
    from gitcoord import mcp_server

    usage: Parser = args.parser
    if args.http is None and args.allow_remote:
        usage.error("--allow-remote goes with --http")
    if args.http is not None and args.session is not None:
        usage.error("over HTTP each caller names its own session, so --session has no meaning")
    try:
        if args.http is not None:
            return mcp_server.run_http(args.http, args.repo, allow_remote=args.allow_remote, key=args.signing_key)
        return mcp_server.run_stdio(args.repo, session=args.session, key=args.signing_key)
    except CoordError as error:
        return acting.report(args, acting.failure(error, "ok"), lambda _: None)
