"""The command line: one file per noun, translation only.

A command turns its arguments into one call of a `Desk` and the answer into text, or into the JSON document that the MCP
tool of the same meaning returns. Data goes to stdout and everything else to stderr, so that a pipe sees only data. What
other sessions wrote (reasons, intents, paths) is shown, never obeyed: `gitcoord.cli.text.visible` stands between it and
the terminal.

A command loads only what it needs. The table of commands is plain text, the argument parser is built for the one
command that was named, and rich is imported where a table is drawn on a terminal and nowhere else.
"""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper

from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
CRASHED = 5
_GARBAGE = 50_000  # starting up makes many objects and no garbage: looking for it costs a twentieth of a command


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code; as the program itself, end the process with it.

    0 done, 1 refused, 2 usage, 3 integrity, 4 remote, 5 anything else, 130 interrupted. A reader that closed the pipe
    changes nothing about what was done, so it changes nothing about the code either.

    Args:
        argv: the words after the program's name. Those of the process by default, which is then over.
    """
    if argv is not None:
        return _code_of(argv)
    gc.set_threshold(_GARBAGE)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed; the next file to be opened would take its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as the process lives
    code = _code_of(sys.argv[1:])
    sys.stderr.flush()
    # All is written and closed by now. Taking the interpreter apart, module by module, would cost a command that a hook
    # runs before every edit almost half of what starting an interpreter costs.
    os._exit(code)


def _code_of(words: list[str]) -> int:
    from gitcoord.cli.dispatch import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # something else within a test
            stream.reconfigure(errors="backslashreplace")
    code = 0
    try:
        code = _ended(run, words)
        sys.stdout.flush()
    except BrokenPipeError:
        silence()
    except KeyboardInterrupt:
        _tell_program(words)
        silence()
        code = INTERRUPTED
    except OSError as error:
        silence()
        print(f"gitcoord: {error}", file=sys.stderr)
        code = CRASHED
    except Exception:  # noqa: BLE001 - the interpreter would exit with 1, and 1 means "refused" to a hook
        import traceback

        traceback.print_exc()
        code = CRASHED
    return code


def _tell_program(words: list[str]) -> None:
    """Tell a program that reads the answer that the command was broken off."""
    if "--json" not in words:
        return
    from gitcoord.cli.acting import print_json

    message = "broken off before its end; whether what was asked for was done, the log tells"
    print_json({"ok": False, "error": {"code": "interrupted", "message": message, "next": "gitcoord status"}})
    sys.stdout.flush()


def _ended(run: Callable[[list[str]], int], words: list[str]) -> int:
    try:
        return run(words)
    except SystemExit as leaving:  # how argparse ends a usage error and a help text
        return leaving.code if isinstance(leaving.code, int) else CRASHED


def silence() -> None:
    """Point stdout at nothing: nobody reads it any more, and the interpreter complains when it cannot be flushed."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        return
