"""`gitcoord completion bash|zsh`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_FILES = ("paths", "path")
_DIRECTORIES = ("dir", "repo")
# `git-coord`, and `git coord`: for that, git's own completion asks a function of this name.
_BASH_GIT = """
complete -o filenames -F _shtab_gitcoord git-coord

_git_coord() {
  local COMP_CWORD=$((COMP_CWORD - 1))
  local -a COMP_WORDS=(git-coord "${COMP_WORDS[@]:2}")
  _shtab_gitcoord
}
"""


def add_completion(parser: Parser) -> None:
    """Declare the arguments of `completion`."""
    parser.add_argument("shell", choices=("bash", "zsh"), help="for which shell")
    add_common(parser, acts=False)
    parser.examples('eval "$(gitcoord completion bash)"     (in ~/.bashrc)')
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import shtab

    script: str = shtab.complete(whole_parser(), shell=args.shell)
    if args.shell == "bash":
        script += _BASH_GIT
    else:
        script = script.replace("#compdef gitcoord\n", "#compdef gitcoord git-coord\n", 1)
        script = script.replace("-N gitcoord\n", "-N gitcoord git-coord\n", 1)
    if args.json:
        acting.print_json({"ok": True, "shell": args.shell, "script": script})
    else:
        acting.write(script)
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """Return one parser with all commands, for what needs to see them at once."""
    from gitcoord.cli.dispatch import COMMANDS, GROUPS, adder

    root = Parser(prog="gitcoord", description="")
    commands = root.add_subparsers()
    for name, line in COMMANDS.items():
        parser = commands.add_parser(name, description="", help=line)
        if name not in GROUPS:
            _declare(parser, adder(name))
            continue
        verbs = parser.add_subparsers()
        for verb, text in GROUPS[name].items():
            _declare(verbs.add_parser(verb, description="", help=text), adder(f"{name} {verb}"))
    return root


def _declare(parser: Parser, add: Callable[[Parser], None]) -> None:
    """Declare a command's arguments, and which of them are files."""
    import shtab

    add(parser)
    for action in parser.actions():
        if action.dest in _FILES or action.dest in _DIRECTORIES:
            setattr(action, "complete", shtab.FILE if action.dest in _FILES else shtab.DIRECTORY)  # noqa: B010
