"""From the words of a command line to the one function that answers them.

The table below is all that `gitcoord --help` needs, and all that is read before a command is known. For the command
`lock`, the module `gitcoord.cli.lock` has a function `add_lock(parser)` that declares the arguments and names the
function that runs; for `session start` it is `add_start` in `gitcoord.cli.session`.
"""

from __future__ import annotations

import sys

from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gitcoord.cli.parsing import Parser

USAGE = 2

COMMANDS = {
    "init": "make the coordination log in this repository",
    "demo": "see two agents contend for a file, in a scratch repository",
    "serve": "be the MCP server of one agent",
    "status": "one screen: who is here, what they hold and why, what lapses soon",
    "session": "sign on and off, see who is here",
    "lock": "claim files, directories, patterns or named resources",
    "unlock": "give claims back, or break another's",
    "locks": "list what is locked",
    "check": "ask whether this session may edit; exit 1 and who holds it if not",
    "data": "keep JSON values that all sessions see",
    "log": "read who did what, when and why",
    "sync": "share with a remote, and meet it: bring together what was done",
    "hooks": "make locks hold: git's hooks, agents' hooks, a server's door",
    "hook": "answer a hook of git or of an agent's harness",
    "ci": "check a range of commits against the log, in a pipeline",
    "at": "see who was here and what was held at some time",
    "blame": "see who held a path, when, why, and how it ended",
    "verify": "replay the log: is every commit what the rules make, and by whom",
    "policy": "who may do what",
    "keys": "whose keys count, and a key for an agent",
    "doctor": "find what is wrong with the log's surroundings, and put it right",
    "completion": "print the completion script of a shell",
}
"""Name of each command and what it does."""

GROUPS = {
    "session": {
        "start": "sign on, or resume",
        "list": "list the sessions",
        "show": "show one session and what it holds",
        "renew": "renew a session's lease",
        "end": "sign off; all that the session holds is released",
    },
    "data": {
        "set": "store a value",
        "get": "print a value; a missing key exits 1",
        "delete": "delete a key",
        "list": "list the keys of a scope",
        "scopes": "list the scopes",
        "delete-scope": "delete a scope with all its keys",
    },
    "hooks": {
        "install": "put gitcoord beside the hooks that are there",
        "uninstall": "take gitcoord out again; what was there before stays",
        "status": "show which hooks guard, and how",
    },
    "policy": {
        "show": "print the policy",
        "set": "set the policy",
    },
    "keys": {
        "list": "list the keys of the policy",
        "new": "make a key for a session",
        "add": "let a public key count as somebody's",
        "revoke": "let a key count no more",
    },
}
"""The commands that have verbs of their own."""

_MODULES = {"unlock": "lock", "locks": "lock"}
_VALUED = ("-C", "--repo", "--session", "--key")
_WITH_VALUE = ("-C", "--repo=", "--session=", "--key=")


def run(words: list[str]) -> int:
    """Run the command that the words name.

    Args:
        words: the arguments after the program's name.

    Returns:
        The exit code.

    Raises:
        SystemExit: a usage error or a help text, already printed.
    """
    leading, rest = _take_common(words)
    if not rest:
        return _usage_error(words, "say what to do", _overview())
    word = rest[0]
    if word in ("-h", "--help", "help"):
        return _help(rest[1:])
    if word in ("--version", "-V"):
        from gitcoord import __version__

        print(f"gitcoord {__version__}")
        return 0
    if word not in COMMANDS:
        kind = "option" if word.startswith("-") else "command"
        return _usage_error(words, f"unknown {kind} {word!r}{_meant(word, COMMANDS)}", _listed())
    common, rest = _take_common(rest[1:])
    leading += common
    name = word
    if word in GROUPS:
        if not rest or rest[0] in ("-h", "--help"):
            if not rest:
                return _usage_error(words, f"say which of its commands {word} shall do", _group_overview(word))
            print(_group_overview(word), end="")
            return 0
        if rest[0] not in GROUPS[word]:
            meant = _meant(rest[0], GROUPS[word], f"{word} ")
            return _usage_error(words, f"unknown command '{word} {rest[0]}'{meant}", _group_overview(word))
        name, rest = f"{word} {rest[0]}", rest[1:]
    if name == "check":
        from gitcoord.cli.check import parse_simple

        simple = parse_simple(leading + rest)
        if simple is not None:
            return simple.run(simple)
    if name == "hook" and not leading and not {"-h", "--help"} & set(rest[:3]):
        from gitcoord.hooks.run import main

        return main(rest)
    args = make_parser(name).parse(leading + rest)
    return args.run(args)


def make_parser(name: str) -> Parser:
    """Return the argument parser of one command, such as `lock` or `session start`."""
    from gitcoord.cli.parsing import Parser

    parser = Parser(prog=f"gitcoord {name}", description=_summary(name))
    adder(name)(parser)
    return parser


def adder(name: str) -> Callable[[Parser], None]:
    """Return the function that declares a command's arguments on a parser."""
    from importlib import import_module

    word, _, verb = name.partition(" ")
    module = import_module(f"gitcoord.cli.{_MODULES.get(word, word)}")
    return getattr(module, f"add_{(verb or word).replace('-', '_')}")


def _summary(name: str) -> str:
    word, _, verb = name.partition(" ")
    line = GROUPS[word][verb] if verb else COMMANDS[word]
    return line[0].upper() + line[1:] + "."


def _take_common(words: list[str]) -> tuple[list[str], list[str]]:
    """Split off the options that every command takes, which people also write before the command."""
    taken: list[str] = []
    rest = list(words)
    while rest:
        word = rest[0]
        if word in _VALUED and len(rest) > 1:
            taken += [rest.pop(0), rest.pop(0)]
        elif word == "--json" or word.startswith(_WITH_VALUE):
            taken.append(rest.pop(0))
        else:
            break
    return taken, rest


def _usage_error(words: list[str], message: str, more: str) -> int:
    from gitcoord.cli.parsing import asks_for_json

    if asks_for_json(words):
        from gitcoord.cli.acting import print_usage_error

        print_usage_error(message, "gitcoord --help")
    print(f"gitcoord: {message}\n\n{more}", end="", file=sys.stderr)
    return USAGE


def _help(words: list[str]) -> int:
    name = " ".join(words[:2]) if words and words[0] in GROUPS else " ".join(words[:1])
    word, _, verb = name.partition(" ")
    if not name or word.startswith("-"):
        print(_overview(), end="")
    elif word in GROUPS and not verb:
        print(_group_overview(word), end="")
    elif word not in COMMANDS or (verb and verb not in GROUPS[word]):
        meant = _meant(verb, GROUPS[word], f"{word} ") if word in GROUPS else _meant(word, COMMANDS)
        return _usage_error(words, f"unknown command '{name}'{meant}", _listed())
    else:
        make_parser(name).print_help()
    return 0


def _meant(word: str, names: Iterable[str], before: str = "") -> str:
    """Return a question for the name that was probably meant, nothing where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, names, n=1)
    return f"; did you mean '{before}{near[0]}'?" if near else ""


def _listed() -> str:
    from textwrap import fill

    text = "Commands: " + " ".join(COMMANDS)
    return fill(text, 79, subsequent_indent="  ", break_on_hyphens=False) + "\n"


def _rows(table: dict[str, str], prefix: str = "") -> str:
    width = max(len(name) for name in table) + len(prefix)
    return "".join(f"  {prefix + name:<{width}}  {line}\n" for name, line in table.items())


def _overview() -> str:
    return (
        "usage: gitcoord [-C DIR] COMMAND ...      (also: git coord COMMAND ...)\n\n"
        "Coordination of agents and people who work in one git repository: sessions,\n"
        "locks and shared state on refs/coord. With plain git: git log refs/coord\n\n"
        f"{_rows(COMMANDS)}\n"
        "Every command takes -h, --json (the answer as one JSON document) and -C DIR (as\n"
        "if started there). What acts takes --session ID; the default is\n"
        "$GITCOORD_SESSION, else what the agent's harness says of itself, else\n"
        "user@host.\n\n"
        "Exit codes: 0 done, 1 refused, 2 usage, 3 integrity, 4 remote, 5 anything else.\n"
    )


def _group_overview(word: str) -> str:
    return f"usage: gitcoord {word} COMMAND ...\n\n{_summary(word)}\n\n{_rows(GROUPS[word], word + ' ')}"
