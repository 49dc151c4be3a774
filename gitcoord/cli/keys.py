"""`gitcoord keys list|new|add|revoke`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, text
from gitcoord.cli.text import visible
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_PATH_LIMIT = 4096


def add_list(parser: Parser) -> None:
    """Declare the arguments of `keys list`."""
    add_common(parser, acts=False)
    parser.set_defaults(run=_list, session=None)


def _list(args: argparse.Namespace) -> int:
    return acting.ask(args, lambda desk: desk.list_keys_of_principals(), _show_keys)


def _show_keys(answer: acting.Answer) -> None:
    from gitcoord.cli.table import print_records

    rows = [
        [
            key["principal"],
            " ".join(key["roles"]),
            key["kind"],
            key["fingerprint"],
            key["since"],
            "" if key["until"] is None else key["until"],
            "good" if key["good"] else "revoked" if key["until"] is not None else "later",
        ]
        for key in answer["keys"]
    ]
    print_records("Keys", ["principal", "roles", "kind", "fingerprint", "since>", "until>", "now"], rows)
    if not answer["signed_log"]:
        acting.complain("this log names no principals: it is unsigned, and every identity is unproven")
    elif answer["unsigned"] == "accepted":
        acting.complain("unsigned operations are accepted, and unproven")


def add_new(parser: Parser) -> None:
    """Declare the arguments of `keys new`."""
    parser.add_argument("name", metavar="SESSION", type=text, help="the session that will sign with it")
    add_common(parser, acts=False)
    parser.examples("gitcoord keys new claude-code-1", "gitcoord keys add claude claude-code-1 --role agent")
    parser.set_defaults(run=_new, session=None)


def _new(args: argparse.Namespace) -> int:
    def show(answer: acting.Answer) -> None:
        print(f"key    {visible(answer['path'], _PATH_LIMIT)}")
        print(f"public {visible(answer['public'], 1000)}")
        print(f"named  {visible(answer['fingerprint'])}")
        if answer["next"]:
            acting.complain(f"next: {visible(answer['next'])}")

    return acting.ask(args, lambda desk: desk.new_key(args.name), show)


def add_add(parser: Parser) -> None:
    """Declare the arguments of `keys add`."""
    parser.add_argument("name", metavar="NAME", type=text, help="the principal: a person, an agent, a machine")
    parser.add_argument(
        "public",
        metavar="KEY",
        type=text,
        help="an SSH public key or its file, an armoured GPG key's file, how GnuPG names a key, or a session's id",
    )
    parser.add_argument(
        "--role", metavar="ROLE", action="append", type=text, help="what the principal may do (default: member)"
    )
    parser.add_argument("-m", "--reason", metavar="REASON", type=text, default="", help="why")
    add_common(parser)
    parser.examples("gitcoord keys add bob ~/bob.pub", "gitcoord keys add ci 0123ABCD... --role agent")
    parser.set_defaults(run=_add)


def _add(args: argparse.Namespace) -> int:
    return acting.ask(
        args,
        lambda desk: desk.add_key(args.name, args.public, roles=args.role, reason=args.reason),
        lambda answer: _show_change(answer, "counts from the next operation on"),
    )


def add_revoke(parser: Parser) -> None:
    """Declare the arguments of `keys revoke`."""
    parser.add_argument("fingerprint", metavar="KEY", type=text, help="its fingerprint, or the beginning of it")
    parser.add_argument("-m", "--reason", metavar="REASON", type=text, default="", help="why")
    add_common(parser)
    parser.set_defaults(run=_revoke)


def _revoke(args: argparse.Namespace) -> int:
    return acting.ask(
        args,
        lambda desk: desk.revoke_key(args.fingerprint, reason=args.reason),
        lambda answer: _show_change(answer, "counts no more; what it signed before stays proven"),
    )


def _show_change(answer: acting.Answer, what: str) -> None:
    if answer["changed"]:
        print(f"{visible(answer['fingerprint'])} {what} (policy version {answer['version']})")
    else:
        acting.complain("nothing to change")
