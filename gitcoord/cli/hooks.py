"""`gitcoord hooks install|uninstall|status`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common
from gitcoord.cli.text import visible
from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_PATH_LIMIT = 4096


def add_install(parser: Parser) -> None:
    """Declare the arguments of `hooks install`."""
    parser.add_argument("--git", action="store_true", help="git's hooks of this clone (the default)")
    parser.add_argument("--agents", metavar="NAMES", help="claude,cursor,codex,gemini,vscode,opencode; or all")
    parser.add_argument("--server", action="store_true", help="the door of a bare repository: pre-receive")
    parser.add_argument("--warn", action="store_true", help="say what is wrong and stop nothing")
    add_common(parser, acts=False)
    parser.examples("gitcoord hooks install --git --agents claude,cursor", "gitcoord hooks install --server")
    parser.set_defaults(run=_install)


def add_uninstall(parser: Parser) -> None:
    """Declare the arguments of `hooks uninstall`."""
    parser.add_argument("--agents", metavar="NAMES", help="take out the hooks of these agents only; or all")
    add_common(parser, acts=False)
    parser.set_defaults(run=_uninstall)


def add_status(parser: Parser) -> None:
    """Declare the arguments of `hooks status`."""
    add_common(parser, acts=False)
    parser.set_defaults(run=_status)


def _install(args: argparse.Namespace) -> int:
    from gitcoord.hooks import setup

    return _answered(
        args,
        lambda: setup.install(
            acting.start_of(args), git=args.git, agents=args.agents, server=args.server, warn=args.warn
        ),
    )


def _uninstall(args: argparse.Namespace) -> int:
    from gitcoord.hooks import setup

    return _answered(args, lambda: setup.uninstall(acting.start_of(args), agents=args.agents))


def _status(args: argparse.Namespace) -> int:
    from gitcoord.hooks import setup

    return _answered(args, lambda: setup.status(acting.start_of(args)))


def _answered(args: argparse.Namespace, call: Callable[[], acting.Answer]) -> int:
    try:
        answer = call()
    except CoordError as error:
        answer = acting.failure(error, "ok")
    return acting.report(args, answer, _show)


def _show(answer: acting.Answer) -> None:
    rows: list[dict[str, Any]] = answer["hooks"]
    for row in rows:
        print(f"{visible(row['how']):<9} {visible(row['event']):<24} {visible(row['path'], _PATH_LIMIT)}")
    by_hand = [row for row in rows if row["lines"]]
    for row in by_hand:
        acting.complain(f"\n{visible(row['event'])}: add these lines yourself")
        for line in row["lines"]:
            acting.complain(visible(line, _PATH_LIMIT))
    for note in answer.get("notes", ()):
        acting.complain(visible(note, _PATH_LIMIT))
