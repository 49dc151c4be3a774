"""`gitcoord hook`: what git and agents' harnesses call; see `gitcoord.hooks`."""

from __future__ import annotations

from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from gitcoord.cli.parsing import Parser


def add_hook(parser: Parser) -> None:
    """Declare the arguments of `hook`."""
    from gitcoord.cli.parsing import add_common

    parser.add_argument("harness", help="git, claude, cursor, codex, gemini, vscode or opencode")
    parser.add_argument("event", help="as the harness calls it; its JSON comes on standard input")
    parser.add_argument("args", nargs="*", help="what git gives its hook, after --")
    parser.add_argument("--mode", choices=["warn", "deny", "claim"], help="say it, stop it, or lock free paths too")
    parser.add_argument("--errors", choices=["open", "closed"], help="what gitcoord's own failure means")
    parser.add_argument("--own", choices=["warn", "deny"], help="what a lost or lapsed lock of one's own means")
    parser.add_argument("--warn", action="store_true", help="the same as --mode warn")
    add_common(parser, acts=False)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import os

    from gitcoord.cli.acting import complain, start_of
    from gitcoord.errors import CoordError
    from gitcoord.hooks.run import main

    try:
        os.chdir(start_of(args))
    except CoordError as error:
        complain(f"gitcoord: {error.message}; nothing was judged")
        return CoordError.exit_code
    flags = [
        word for name in ("mode", "errors", "own") if getattr(args, name) for word in (f"--{name}", getattr(args, name))
    ]
    return main([args.harness, args.event, *flags, *(["--warn"] if args.warn else []), "--", *args.args])
