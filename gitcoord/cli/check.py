"""`gitcoord check`: what a hook asks before every edit, so it has to be quick."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.text import visible
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.cli.acting import Arguments
    from gitcoord.cli.parsing import Parser

_PATH_LIMIT = 4096


def add_check(parser: Parser) -> None:
    """Declare the arguments of `check`."""
    from gitcoord.cli.parsing import add_common, add_paths

    add_paths(parser, "+")
    add_common(parser)
    parser.set_defaults(run=run)


class _Simple:
    """The arguments of a simple command line, as the parser would give them."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths
        self.repo: str | None = None
        self.session: str | None = None
        self.json = False
        self.resource = False
        self.run = run


def parse_simple(words: list[str]) -> Arguments | None:
    """Return the arguments of a command line in its simple form; None leaves it to the parser.

    The parser takes all forms and explains what is wrong, and loading it costs a fifth of the whole command.
    """
    found = _Simple([])
    rest = words[::-1]
    while rest:
        word = rest.pop()
        if word[:1] != "-":
            found.paths.append(word)
        elif word == "--json":
            found.json = True
        elif word == "--resource":
            found.resource = True
        elif word in ("--session", "-C", "--repo") and rest and rest[-1][:1] != "-" and rest[-1].isascii():
            setattr(found, "session" if word == "--session" else "repo", rest.pop())
        else:
            return None
    return found if found.paths else None


def run(args: Arguments) -> int:
    """Answer the command."""
    return acting.ask(args, lambda desk: desk.check(acting.named(args.paths), resource=args.resource), _show)


def _show(answer: acting.Answer) -> None:
    for item in answer["checked"]:
        print(f"{visible(item['path'], _PATH_LIMIT)}: {visible(item['why'])}")
        acting.remark(item)
