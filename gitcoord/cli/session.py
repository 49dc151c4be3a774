"""`gitcoord session start|list|show|renew|end`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, add_offline, positive_duration, text
from gitcoord.cli.text import distance, moment, visible
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

_PATH_LIMIT = 4096


def _add_id(parser: Parser, what: str) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", type=text, help=f"{what} (default: who you are, see --session)")


def _adopt(args: argparse.Namespace) -> None:
    """Let the argument ID say the same as `--session`."""
    args.session = args.session if args.id is None else args.id


def add_start(parser: Parser) -> None:
    """Declare the arguments of `session start`."""
    _add_id(parser, "the id that is wished")
    parser.add_argument("--intent", metavar="TEXT", type=text, help="what the session is going to do, for the others")
    parser.add_argument("--takeover", action="store_true", help="take the id over if its holder is gone")
    parser.add_argument("--lease", metavar="TIME", type=positive_duration, help="how long without a sign of life")
    parser.add_argument("--incarnation", metavar="ID", type=text, help="resume: the incarnation that was signed on")
    add_offline(parser)
    add_common(parser)
    parser.examples("gitcoord session start alice --intent 'rework the pool'", "export GITCOORD_SESSION=alice")
    parser.set_defaults(run=_start)


def _start(args: argparse.Namespace) -> int:
    _adopt(args)
    return acting.ask(
        args,
        lambda desk: desk.sign_on(
            session=args.id,  # named outright, an id that somebody has is refused; who one is anyway is confirmed
            intent=args.intent,
            takeover=args.takeover,
            incarnation=args.incarnation,
            lease_s=args.lease,
        ),
        _show_start,
    )


def _show_start(answer: acting.Answer) -> None:
    print(f"session      {visible(answer['session'])}")
    print(f"incarnation  {visible(answer['incarnation'])}")
    print(f"lease        until {moment(answer['lease_expires_at'], acting.now_ms())}")


def add_list(parser: Parser) -> None:
    """Declare the arguments of `session list`."""
    add_common(parser)
    parser.set_defaults(run=_list)


def _list(args: argparse.Namespace) -> int:
    return acting.ask(args, lambda desk: desk.list_sessions(), _show_list)


def _show_list(answer: acting.Answer) -> None:
    print_sessions(answer["sessions"])
    if not answer["sessions"]:
        acting.complain("nobody is signed on")


def print_sessions(sessions: list[dict[str, Any]], *, kind: str = "", spaced: bool = False) -> None:
    """Print a list of sessions.

    Args:
        sessions: as `list_sessions` gives them.
        kind: the first field of each line where several kinds of records are mixed.
        spaced: leave a line above the table.
    """
    from gitcoord.cli.table import print_records

    if acting.on_terminal():
        now = acting.now_ms()
        rows = [
            [
                s["session"],
                s["principal"] or "unproven",
                s["state"],
                s["locks"],
                distance(s["lease_expires_at"], now),
                s["machine"],
                s["intent"],
            ]
            for s in sessions
        ]
        columns = ["session", "identity", "state", "locks>", "lease ends", "machine", "intent"]
        print_records("Sessions", columns, rows, spaced=spaced)
        return
    rows = [[s["session"], s["state"], s["locks"], s["lease_expires_at"], s["machine"], s["intent"]] for s in sessions]
    print_records("Sessions", [], rows, kind=kind)


def add_show(parser: Parser) -> None:
    """Declare the arguments of `session show`."""
    _add_id(parser, "whom to show")
    add_common(parser)
    parser.set_defaults(run=_show)


def _show(args: argparse.Namespace) -> int:
    _adopt(args)

    def show(answer: acting.Answer) -> None:
        _show_one(answer["session"])

    return acting.ask(args, lambda desk: desk.show_session(acting.who(args)), show, verdict="found")


def _show_one(session: dict[str, Any]) -> None:
    now = acting.now_ms()
    rows = {
        "session": visible(session["session"]),
        "state": visible(session["state"]),
        "author": visible(session["author"]),
        "agent": visible(session["agent"]),
        "intent": visible(session["intent"]),
        "machine": visible(session["machine"]),
        "incarnation": visible(session["incarnation"]),
        "started": moment(session["started_at"], now),
        "renewed": moment(session["renewed_at"], now),
        "lease": f"until {moment(session['lease_expires_at'], now)}",
    }
    for label, value in rows.items():
        if value:
            print(f"{label:<12} {value}")
    for lock in session.get("locked") or ():
        reason = f": {visible(lock['reason'])}" if lock.get("reason") else ""
        how = visible(lock["mode"]) + (", lapsed" if lock.get("lapsed") else "")
        print(f"{'holds':<12} {visible(lock['path'], _PATH_LIMIT)} ({how}){reason}")


def add_renew(parser: Parser) -> None:
    """Declare the arguments of `session renew`."""
    _add_id(parser, "whose lease")
    parser.add_argument("--lease", metavar="TIME", type=positive_duration, help="a new length, such say 4h")
    add_offline(parser)
    add_common(parser)
    parser.set_defaults(run=_renew)


def _renew(args: argparse.Namespace) -> int:
    _adopt(args)
    return acting.ask(args, lambda desk: desk.renew(acting.who(args), lease_s=args.lease), _show_renew)


def _show_renew(answer: acting.Answer) -> None:
    print(f"{visible(answer['session'])}: lease until {moment(answer['lease_expires_at'], acting.now_ms())}")


def add_end(parser: Parser) -> None:
    """Declare the arguments of `session end`."""
    _add_id(parser, "who signs off")
    add_offline(parser)
    add_common(parser)
    parser.set_defaults(run=_end)


def _end(args: argparse.Namespace) -> int:
    _adopt(args)
    return acting.ask(args, lambda desk: desk.sign_off(acting.who(args)), _show_end)


def _show_end(answer: acting.Answer) -> None:
    print(f"signed off {visible(answer['session'])}")
    for path in answer.get("released") or ():
        print(f"released {visible(path, _PATH_LIMIT)}")
