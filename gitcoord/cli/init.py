"""`gitcoord init`."""

from __future__ import annotations

import os

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, text
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
    parser.add_argument(
        "--sign",
        choices=("gpg", "ssh", "none"),
        help="make a signed log, or an unsigned one (default: signed if git signs commits, with its key)",
    )
    parser.add_argument(
        "--key", metavar="KEY", type=text, help="sign with this key, as git's user.signingKey names one"
    )
    parser.add_argument("--trust", metavar="KEY", type=text, help="pin the fingerprint of the log's root in this clone")
    add_common(parser, acts=False)
    parser.examples("gitcoord init", "gitcoord init --sign ssh --key ~/.ssh/id_ed25519")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from gitcoord import service

    try:
        answer = service.initialise(
            os.path.join(acting.start_of(args), args.dir), sign=args.sign, key=args.key, trust=args.trust
        )
    except CoordError as error:
        answer = acting.failure(error, "ok")
    return acting.report(args, answer, _show)


def _show(answer: acting.Answer) -> None:
    done = "made" if answer.get("created") else "there already; nothing was changed"
    print(f"log        {visible(answer.get('ref'))} ({done})")
    print(f"repository {visible(answer.get('repository'))}")
    print(f"runtime    {visible(answer.get('runtime'), _PATH_LIMIT)}")
    if answer.get("root"):
        print(f"root       {visible(answer['root'])} (signed by it; what is not signed is refused)")
    if answer.get("next"):
        acting.complain(f"next: {visible(answer['next'], 1000)}")
