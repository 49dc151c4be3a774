"""`gitcoord lock`, `unlock` and `locks`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.at import add_option, tell
from gitcoord.cli.parsing import Parser, add_common, add_offline, add_paths, duration, positive_duration, text
from gitcoord.cli.text import distance, moment, visible
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from gitcoord.service import Desk

_PATH_LIMIT = 4096
_SECONDS = "90, 90s, 10m, 2h, 1d"


def add_lock(parser: Parser) -> None:
    """Declare the arguments of `lock`."""
    add_paths(parser, "+")
    parser.add_argument("-m", "--reason", metavar="REASON", type=text, default="", help="why, for the others")
    parser.add_argument("--ttl", metavar="TIME", type=positive_duration, help=f"when it ends by itself: {_SECONDS}")
    parser.add_argument("--wait", metavar="TIME", type=duration, help="wait for it so long, first come first served")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--shared", action="store_true", help="others may share it too; nobody gets it exclusively")
    mode.add_argument("--intent", action="store_true", help="block nobody, warn everybody")
    add_offline(parser)
    add_common(parser)
    parser.examples(
        "gitcoord lock src/app.py -m 'rework the pool' --wait 30s",
        "gitcoord lock 'src/**/*.py' --shared",
        "gitcoord lock --resource deploy/prod --ttl 10m",
    )
    parser.set_defaults(run=_lock)


def _lock(args: argparse.Namespace) -> int:
    mode = "shared" if args.shared else "intent" if args.intent else "exclusive"

    def call(desk: Desk) -> acting.Answer:
        if args.wait and not args.json:
            _announce_wait(desk, args)
        return desk.lock_files(
            acting.named(args.paths),
            mode=mode,
            reason=args.reason,
            ttl_s=args.ttl,
            wait_s=args.wait,
            resource=args.resource,
            offline=args.offline,
        )

    return acting.ask(args, call, _show_lock, verdict="granted")


def _announce_wait(desk: Desk, args: argparse.Namespace) -> None:
    """Tell a person at a terminal what they are waiting for; what is free a moment later is granted all the same."""
    import sys

    if not sys.stderr.isatty() or args.intent:
        return
    found = desk.check(acting.named(args.paths), resource=args.resource)
    if found.get("checked") and found.get("error"):
        from gitcoord.cli.refusal import explain_conflicts

        acting.complain(f"waiting for at most {args.wait} s (Ctrl-C gives up)")
        explain_conflicts([lock for item in found["checked"] for lock in item.get("conflicts") or ()])


def _show_lock(answer: acting.Answer) -> None:
    now = acting.now_ms()
    for lock in answer["locks"]:
        kind = "" if lock["mode"] == "exclusive" else f" ({lock['mode']})"
        state = "" if lock["state"] in ("local", "confirmed") else f" [{lock['state']}]"
        until = moment(lock["expires_at"], now)
        print(f"locked {visible(lock['path'], _PATH_LIMIT)}{kind}{state} until {until}, {_handle(lock)}")


def _handle(lock: acting.Answer) -> str:
    """Return by what a lock is told from an earlier one: its token, or before the remote has it, its grant."""
    return f"grant {visible(lock['grant'])}" if lock["token"] is None else f"token {lock['token']}"


def add_unlock(parser: Parser) -> None:
    """Declare the arguments of `unlock`."""
    add_paths(parser, "*")
    parser.add_argument("--all", action="store_true", help="all that this session holds")
    parser.add_argument("--force", action="store_true", help="break another's lock; it is told of it")
    parser.add_argument("-m", "--reason", metavar="REASON", type=text, help="why the lock is broken; --force needs it")
    add_offline(parser)
    add_common(parser)
    parser.examples("gitcoord unlock src/app.py", "gitcoord unlock --force src/app.py -m 'bob is on holiday'")
    parser.set_defaults(run=_unlock, parser=parser)


def _unlock(args: argparse.Namespace) -> int:
    usage: Parser = args.parser
    if args.all == bool(args.paths):
        usage.error("say either PATH... or --all")
    if args.force and (args.all or not (args.reason or "").strip()):
        usage.error("--force breaks the locks on PATH..., and needs -m REASON")
    if args.reason is not None and not args.force:
        usage.error("-m REASON goes with --force")
    if args.force:
        return acting.ask(
            args,
            lambda desk: desk.break_lock(acting.named(args.paths), args.reason, resource=args.resource),
            _show_broken,
        )
    return acting.ask(
        args,
        lambda desk: desk.unlock_files(acting.named(args.paths) or None, all=args.all, resource=args.resource),
        _show_unlock,
    )


def _show_unlock(answer: acting.Answer) -> None:
    for path in answer["released"]:
        print(f"unlocked {visible(path, _PATH_LIMIT)}")
    for path in answer["not_held"]:
        acting.complain(f"not held: {visible(path, _PATH_LIMIT)}")


def _show_broken(answer: acting.Answer) -> None:
    for lock in answer["broken"]:
        print(f"broken {visible(lock['path'], _PATH_LIMIT)} of {visible(lock['session'])}")


def add_locks(parser: Parser) -> None:
    """Declare the arguments of `locks`."""
    parser.add_argument("path", metavar="PATH", nargs="?", help="only what overlaps this path")
    parser.add_argument("--resource", action="store_true", help="named resources; PATH is one")
    add_option(parser)
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--ours", action="store_true", help="only what this session holds")
    whose.add_argument("--theirs", action="store_true", help="only what others hold")
    add_common(parser)
    parser.set_defaults(run=_locks)


def _locks(args: argparse.Namespace) -> int:
    owner = "ours" if args.ours else "theirs" if args.theirs else None
    resource = True if args.resource else None
    return acting.ask(
        args,
        lambda desk: desk.get_locked_files(
            path=acting.named_one(args.path), owner=owner, resource=resource, at=args.at
        ),
        _show_locks,
    )


def _show_locks(answer: acting.Answer) -> None:
    tell(answer)
    print_locks("Locks", answer["locks"])
    if not answer["locks"]:
        acting.complain("nothing is locked")


def print_locks(title: str, locks: list[dict[str, Any]], *, kind: str = "", spaced: bool = False) -> None:
    """Print a list of locks.

    Args:
        title: stands above the table on a terminal.
        locks: lock views.
        kind: the first field of each line where several kinds of records are mixed.
        spaced: leave a line above the table.
    """
    from gitcoord.cli.table import print_records

    if acting.on_terminal():
        now = acting.now_ms()
        rows = [
            [
                lock["path"] + (" (resource)" if lock["kind"] == "resource" else ""),
                lock["mode"] + (" (provisional)" if lock["state"] == "provisional" else ""),
                lock["session"],
                _end(lock, now),
                lock["reason"],
            ]
            for lock in locks
        ]
        print_records(title, ["path", "mode", "session", "ends", "reason"], rows, spaced=spaced)
        return
    fields = ("path", "kind", "mode", "session", "token", "expires_at", "reason")
    shown = [{**lock, "token": lock["state"] if lock["token"] is None else lock["token"]} for lock in locks]
    rows = [[*(lock[name] for name in fields), *(["lapsed"] if "lapsed" in lock else [])] for lock in shown]
    print_records(title, [], rows, kind=kind)


def _end(lock: dict[str, Any], now_ms: int) -> str:
    """Return when a lock ends, or that it is in nobody's way any more: out of its time, or its holder is gone."""
    when = distance(lock["expires_at"], now_ms)
    return (
        when if "lapsed" not in lock else f"ran out {when}" if when.endswith(" ago") else "lapsed: its holder is gone"
    )
