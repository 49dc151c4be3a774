"""How every command asks the service and hands on what it answers.

An answer is a dict. With `--json` it is printed as it is, a refusal too, for it is what the MCP tool of the same
meaning returns. For people the command's own function prints it, a refusal is explained on stderr, and notices and
warnings follow there.
"""

from __future__ import annotations

import os
import sys

from gitcoord.cli import silence
from gitcoord.errors import BadRequest, CoordError, NotARepository, exit_code
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.service import Desk

Answer = dict[str, Any]
Arguments = Any
"""What the words of a command line gave: one attribute for each argument."""
REFUSED = 1


def ask(args: Arguments, call: Callable[[Desk], Answer], show: Callable[[Answer], None], *, verdict: str = "ok") -> int:
    """Let the caller's desk answer, print the answer, and return the exit code.

    Args:
        args: the command's arguments.
        call: asks the desk.
        show: prints an answer without an error for people.
        verdict: the member that says false where nothing came of it.
    """
    try:
        answer = call(open_desk(args))
    except CoordError as error:
        answer = failure(error, verdict)
    return report(args, answer, show)


def open_desk(args: Arguments) -> Desk:
    """Open the desk of whoever runs this command.

    Raises:
        CoordError: no repository here, or one without a log.
    """
    from gitcoord import config, service

    start = start_of(args)
    env = config.read_environment()
    chosen = args.session is not None or env.session is not None
    agent = env.harness or "command line"
    key: str | None = getattr(args, "signing_key", None)
    desk = service.open_desk(
        start, session=who(args), hint=agent, process=False, base=start, may_number=not chosen, key=key
    )
    desk.access.says = _say
    desk.offline = bool(getattr(args, "offline", False))
    if env.harness and not chosen:
        from gitcoord.service import identity

        # An agent's command is its MCP server's session, where the two are known to be one.
        desk.callers.wished = identity.served_session(desk.access, env.harness_session) or desk.callers.wished
    return desk


def _say(text: str) -> None:
    print(f"gitcoord: {text}", file=sys.stderr, flush=True)


def who(args: Arguments) -> str:
    """Return the session id of whoever runs this command; see `gitcoord.service.identity`.

    Raises:
        InvalidName: what was said can be no session id.
    """
    from gitcoord.service import identity

    return identity.session_of(args.session)


def named(paths: list[str]) -> list[str]:
    """Return paths of a command line as the service takes them: quoted as git does where JSON could not carry them."""
    from gitcoord.names import to_json_text

    return [to_json_text(path) for path in paths]


def named_one(path: str | None) -> str | None:
    """Return one path as `named` does, or None."""
    return None if path is None else named([path])[0]


def start_of(args: Arguments) -> str:
    """Return the directory that the command works in: `-C`, else the working directory.

    Raises:
        NotARepository: `-C` names none.
        CoordError: the working directory is gone.
    """
    try:
        here = os.getcwd()
    except OSError as error:
        raise CoordError("the working directory is gone", next="cd to a directory that exists") from error
    return entered(os.path.join(here, args.repo), args.repo) if args.repo else here


def entered(path: str, named: str) -> str:
    """Return a path if it is a directory, as git asks of what it is told to work in.

    Args:
        path: the path.
        named: how it was given.

    Raises:
        NotARepository: it is none.
    """
    if os.path.isdir(path):
        return path
    from gitcoord.names import shown

    what = "is no directory" if os.path.lexists(path) else "is not there"
    raise NotARepository(f"{shown(named)} {what}", next="name a directory of the repository")


def failure(error: CoordError, verdict: str) -> Answer:
    """Return the answer that an error is: the verdict false, the error, and its facts."""
    return {"ok": False, verdict: False, **error.facts, "error": error.to_dict()}


def report(args: Arguments, answer: Answer, show: Callable[[Answer], None]) -> int:
    """Print an answer as the arguments wish, and return the exit code that belongs to it.

    What was looked for and is not there is no error of the answer, and exits with 1 all the same.
    """
    try:
        if args.json:
            print_json(answer)
        else:
            _tell(answer, show)
        sys.stdout.flush()
    except BrokenPipeError:  # nobody listens; what was done is done, and the code says it
        silence()
    except OSError as error:
        silence()
        outcome = "refused" if answer.get("error") or _came_to_nothing(answer) else "done"
        complain(
            f"gitcoord: the answer could not be written to stdout: {error.strerror}; what was asked for is {outcome}"
        )
        return CoordError.exit_code
    return exit_code(answer) or (REFUSED if _came_to_nothing(answer) else 0)


def _came_to_nothing(answer: Answer) -> bool:
    return any(name in answer and not answer[name] for name in ("ok", "granted", "found", "deleted"))


def _tell(answer: Answer, show: Callable[[Answer], None]) -> None:
    if answer.get("error"):
        from gitcoord.cli.refusal import explain

        explain(answer)
    else:
        show(answer)
    remark(answer)


def remark(answer: Answer) -> None:
    """Print an answer's warnings and notices on stderr."""
    from gitcoord.cli.text import visible

    for kind, member in (("warning", "warnings"), ("notice", "notices")):
        for line in answer.get(member) or ():
            complain(f"{kind}: {visible(line, 1000)}")


def complain(line: str) -> None:
    """Print a line on stderr, behind what stdout already got."""
    sys.stdout.flush()
    print(line, file=sys.stderr)


def print_usage_error(message: str, help_command: str) -> None:
    """Print what is wrong with a command line as the answer of a program."""
    error = BadRequest(message, next=help_command)
    print_json(failure(error, "ok"))
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Print one JSON document on stdout: in one line for a program, broken into lines on a terminal."""
    from gitcoord.cli.text import to_json

    write(to_json(value, indent=2 if on_terminal() else None) + "\n")


def write(text: str) -> None:
    """Write a text to stdout in UTF-8, whatever the locale says."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def on_terminal() -> bool:
    """Tell whether a person sees stdout."""
    return sys.stdout.isatty()


def now_ms() -> int:
    """Return what the wall clock says, for moments that are shown relative to it; nothing is decided by it."""
    from gitcoord.runtime.machine import wall_ms

    return wall_ms()
