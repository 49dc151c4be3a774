"""`gitcoord sync`."""

from __future__ import annotations

import time

from gitcoord.cli import acting
from gitcoord.cli.parsing import Parser, add_common, positive_duration
from gitcoord.cli.text import visible
from gitcoord.errors import BadRequest, CoordError
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from gitcoord.cli.acting import Answer
    from gitcoord.service import Desk

_WATCH_S = 5
_REFUSED_SHOWN = 20
_PATHS_SHOWN = 5


def add_sync(parser: Parser) -> None:
    """Declare the arguments of `sync`."""
    parser.add_argument("--remote", metavar="NAME", help="share with this remote from now on")
    parser.add_argument(
        "--branch", action="store_true", help="keep the log there as a branch, where no other ref is taken"
    )
    parser.add_argument("--adopt", action="store_true", help="take this clone's log over into one that began apart")
    parser.add_argument("--watch", action="store_true", help="go on, and print what comes, until interrupted")
    parser.add_argument("--every", metavar="TIME", type=positive_duration, default=_WATCH_S, help="how often to look")
    add_common(parser)
    parser.examples("gitcoord sync", "gitcoord sync --watch --every 10s", "gitcoord sync --remote origin --adopt")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.watch and args.remote:
        error = BadRequest("--watch and --remote contradict each other", next="share first, then watch")
        return acting.report(args, acting.failure(error, "ok"), _show)
    if args.watch:
        return _watch(args)
    return acting.ask(args, lambda desk: _sync(args, desk), _show)


def _sync(args: argparse.Namespace, desk: Desk) -> Answer:
    sharing: Answer | None = None
    notices: list[str] = []
    if args.remote:
        from gitcoord import service

        made = service.initialise(acting.start_of(args), remote=args.remote, branch=args.branch, adopt=args.adopt)
        sharing, notices = made["sharing"], made.get("notices", [])
    elif args.branch:
        raise BadRequest("--branch says how to share with a remote", next="add --remote NAME")
    answer = desk.sync(adopt=args.adopt and not args.remote)
    if sharing and "error" not in answer:
        refused = [*sharing.pop("refused", []), *answer["refused"]]
        answer = {**answer, "refused": refused, "sharing": sharing, "warnings": [sharing["warning"]]}
        answer["notices"] = [*notices, *answer.get("notices", [])]
    return answer


def _watch(args: argparse.Namespace) -> int:
    """Meet the remote again and again, and print what happened since the last time."""
    try:
        desk = acting.open_desk(args)
        revision = desk.status()["repository"]["revision"]
        told: Answer | None = None
        while True:
            answer = desk.sync()
            told = _said_once(args, answer, told)
            entries = desk.get_history(limit=1000).get("entries", [])
            for entry in reversed([entry for entry in entries if entry["revision"] > revision]):
                revision = entry["revision"]
                if not args.json:
                    print(f"{entry['at']}  {visible(entry['subject'], 200)}", flush=True)
            time.sleep(args.every)
    except CoordError as error:
        return acting.report(args, acting.failure(error, "ok"), _show)
    except (KeyboardInterrupt, BrokenPipeError):
        return 0


def _said_once(args: argparse.Namespace, answer: Answer, told: Answer | None) -> Answer | None:
    """Print an answer while watching: of an error that stays the same the first one only, and that it is over.

    Returns:
        the error that stands; None for none.
    """
    error = answer.get("error")
    same = error is not None and told is not None and all(error[name] == told[name] for name in ("code", "message"))
    if args.json:
        if not same:
            acting.print_json(answer)
    elif error is not None and not same:
        acting.report(args, answer, _show)
    elif error is None and told is not None:
        acting.complain(f"{visible(answer.get('remote'))}: contact is back; {_distance(answer)}")
    return error


def _show(answer: Answer) -> None:
    from gitcoord.cli.init import show_sharing

    show_sharing(answer.get("sharing"))
    said = {"equal": "nothing new", "grown": "brought together", "absent": "the remote has no log"}
    state = str(answer.get("remote_state"))
    print(f"{visible(answer.get('remote'))}: {said.get(state, state)}; {_distance(answer)}")
    for mirror in answer.get("mirrors") or ():
        said = f": {visible(mirror['message'], 500)}" if mirror.get("message") else ""
        print(f"mirror {visible(mirror['remote'])}: {visible(mirror['state'])}{said}")
    for event in answer.get("events") or ():
        found = event["found"] or "nothing"
        print(f"{event['event']}: expected {event['expected'][:12]}, found {found[:12]}; {event['done']}")
    for one in (answer.get("settled") or ())[:_REFUSED_SHOWN]:
        print(f"found out: {_fate(one)}")
    for refusal in (answer.get("refused") or ())[:_REFUSED_SHOWN]:
        print(
            f"refused: {visible(refusal['type'])} of {visible(refusal['session'])}: {visible(refusal['message'], 500)}"
        )


def _fate(one: Answer) -> str:
    """Return what became of an operation whose fate was unknown, in one line."""
    what = " ".join([visible(one["type"]), *(visible(path, 200) for path in one["claims"][:_PATHS_SHOWN])])
    token = "" if one["token"] is None else f", token {one['token']}"
    fates = {
        "in_effect": f"in effect{token}",
        "refused": f"refused: {visible(one.get('message'), 500)}",
        "not_on_the_log": "not on the log; ask for it again if you still want it",
    }
    return f"{what} of {visible(one['session'])} ({visible(one['id'])}): {fates[one['fate']]}"


def _distance(answer: Answer) -> str:
    ahead, behind = answer.get("ahead"), answer.get("behind")
    if not ahead and not behind:
        return "this clone and the remote are at the same point"
    return f"this clone is {ahead} ahead and {behind} behind"
