"""`gitcoord init`."""

from __future__ import annotations

import os

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, text
from gitcoord.cli.text import visible
from gitcoord.errors import BadRequest, CoordError
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_PATH_LIMIT = 4096


def add_init(parser: Parser) -> None:
    """Declare the arguments of `init`."""
    parser.add_argument("dir", metavar="DIR", nargs="?", default="", help="a directory of the repository")
    parser.add_argument("--remote", metavar="NAME", help="share the log with this remote: it then confirms locks")
    parser.add_argument("--branch", action="store_true", help="keep it there as a branch, where no other ref is taken")
    parser.add_argument("--adopt", action="store_true", help="take this log over into one there that began apart")
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
    parser.add_argument("--client", metavar="NAMES", help="set up claude,cursor,codex,gemini,vscode,opencode; or all")
    parser.add_argument("--agents-md", action="store_true", help="put a marked block about gitcoord into AGENTS.md")
    parser.add_argument("--user", action="store_true", help="set clients up for all your projects, in your home")
    parser.add_argument("--warn", action="store_true", help="let the clients' hooks say what is wrong and stop nothing")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="say what is set up; exit 1 if something is not")
    what.add_argument("--remove", action="store_true", help="take the clients' set-up out again")
    what.add_argument("--print", action="store_true", help="print what would be written, and write nothing")
    add_common(parser, acts=False)
    parser.examples(
        "gitcoord init",
        "gitcoord init --remote origin",
        "gitcoord init --sign ssh --key ~/.ssh/id_ed25519",
        "gitcoord init --client claude,cursor",
        "gitcoord init --client all --check",
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from gitcoord import service

    if args.client is not None or args.agents_md:
        from gitcoord.cli import init_client

        if args.check or args.remove or args.print:
            return init_client.run(args)
    try:
        if args.client is None and not args.agents_md and _asks_about_clients(args):
            raise BadRequest("that is about clients, and none is named", next="say which: --client claude,cursor")
        if args.local and args.remote:
            raise BadRequest("--local and --remote contradict each other", next="leave one out")
        if (args.branch or args.adopt) and not args.remote:
            raise BadRequest("--branch and --adopt say how to share with a remote", next="add --remote NAME")
        answer = service.initialise(
            where(args),
            remote=args.remote,
            branch=args.branch,
            local=args.local,
            adopt=args.adopt,
            sign=args.sign,
            key=args.key,
            trust=args.trust,
        )
    except CoordError as error:
        answer = acting.failure(error, "ok")
    if not answer.get("error") and (args.client is not None or args.agents_md):
        from gitcoord.cli import init_client

        return init_client.run(args, made=answer)
    return acting.report(args, answer, _show)


def _asks_about_clients(args: argparse.Namespace) -> bool:
    return bool(args.check or args.remove or args.print or args.user or args.warn)


def where(args: argparse.Namespace) -> str:
    """Return the directory that is meant.

    Raises:
        CoordError: it is none.
    """
    start = acting.start_of(args)
    return acting.entered(os.path.join(start, args.dir), args.dir) if args.dir else start


def _show(answer: acting.Answer) -> None:
    sharing = answer.get("sharing")
    if sharing:
        from gitcoord.cli.sync import outcomes

        for line in outcomes(sharing):
            print(line)
    done = "made" if answer.get("created") else "there already; nothing was changed"
    if answer.get("restored"):
        done = "there already; its ref is put back"
    if answer.get("joined"):
        done = "joined; it was on the remote"
    print(f"log        {visible(answer.get('ref'))} ({done})")
    print(f"repository {visible(answer.get('repository'))}")
    print(f"runtime    {visible(answer.get('runtime'), _PATH_LIMIT)}")
    if answer.get("root"):
        print(f"root       {visible(answer['root'])} (signed by it; what is not signed is refused)")
    show_sharing(sharing)
    if answer.get("next"):
        acting.complain(f"next: {visible(answer['next'], 1000)}")


def show_sharing(sharing: acting.Answer | None) -> None:
    """Print what is shared with whom."""
    if sharing:
        where = f"{visible(sharing.get('remote'))} ({visible(sharing.get('url'), _PATH_LIMIT)})"
        done = "published as" if sharing.get("published") else "is there as"
        print(f"remote     {where}; the log {done} {visible(sharing.get('ref'))} and confirms locks from now on")
