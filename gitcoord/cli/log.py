"""`gitcoord log`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, count, text
from gitcoord.cli.text import distance
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_DEFAULT_COUNT = 50


def add_log(parser: Parser) -> None:
    """Declare the arguments of `log`."""
    parser.add_argument("path", metavar="PATH", nargs="?", help="only what touched this path")
    parser.add_argument("--resource", action="store_true", help="PATH is a named resource")
    parser.add_argument("--session", metavar="ID", type=text, help="only what this session did")
    parser.add_argument("--commit", metavar="REV", help="what a code commit was made under, or the way back")
    parser.add_argument("-n", metavar="N", type=count, default=_DEFAULT_COUNT, help="the newest N (default: 50)")
    add_common(parser, acts=False)
    parser.examples("gitcoord log src/app.py", "git log -p refs/coord     (the same with plain git, in full)")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.commit is not None:
        return _of_commit(args)
    whose = args.session
    args.session = None  # a filter here, and not who asks
    return acting.ask(
        args,
        lambda desk: desk.get_history(
            path=acting.named_one(args.path), session=whose, limit=args.n, resource=args.resource
        ),
        _show,
    )


def _of_commit(args: argparse.Namespace) -> int:
    from gitcoord.errors import CoordError
    from gitcoord.hooks import provenance

    try:
        answer = provenance.of_commit(acting.start_of(args), args.commit)
    except CoordError as error:
        answer = acting.failure(error, "found")
    return acting.report(args, answer, _show_commit)


def _show_commit(answer: acting.Answer) -> None:
    from gitcoord.cli.text import visible

    if answer["kind"] == "log":
        for one in answer["code"]:
            print(f"{one['commit']} {visible(one['subject'])}")
        if not answer["code"]:
            acting.complain("no commit of a branch, tag or remote names what this commit of the log granted")
        return
    print(f"session  {visible(answer['session']) or '(the commit names none)'}")
    if answer["task"]:
        print(f"task     {visible(answer['task'])}")
    for token in answer["tokens"]:
        number = "provisional" if token["token"] is None else token["token"]
        print(f"token    {number} {visible(token['path'], 4096)}")
    _show(answer)


def _show(answer: acting.Answer) -> None:
    from gitcoord.cli.table import print_records

    entries = answer["entries"]
    if acting.on_terminal():
        now = acting.now_ms()
        rows = [[e["revision"], distance(e["at"], now), _signer(e), e["subject"], e["reason"]] for e in entries]
        print_records("Log, newest first", ["revision>", "when", "signed by", "what", "reason"], rows)
    else:
        fields = ("revision", "at", "commit", "session", "subject", "reason")
        print_records("Log", [], [[*(entry[name] for name in fields), _signer(entry)] for entry in entries])
    if not entries:
        acting.complain("the log holds nothing of that")


def _signer(entry: acting.Answer) -> str:
    """Return who signed an entry, and whether that is proven; nothing for an unsigned one."""
    if entry["signer"] is None:
        return ""
    return str(entry["signer"]) if entry["proven"] else f"{entry['signer']} (unproven)"
