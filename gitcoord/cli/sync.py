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
    from collections.abc import Iterable

    from gitcoord.cli.acting import Answer
    from gitcoord.service import Desk

_WATCH_S = 5
_SHOWN = 20
_PATHS_SHOWN = 5
_ERROR = ("code", "message")
_FOUND = ("confirmed", "refused", "settled", "events")
_OPERATION = ("at", "verb", "subject", "session", "revision", "commit")


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
        for name in ("confirmed", "refused"):
            answer[name] = [*sharing.pop(name, []), *answer[name]]
        answer = {**answer, "sharing": sharing, "warnings": [sharing["warning"]]}
        answer["notices"] = [*notices, *answer.get("notices", [])]
    return answer


def _watch(args: argparse.Namespace) -> int:
    """Meet the remote again and again, and print what happened since the last time."""
    try:
        desk = acting.open_desk(args)
        revision = desk.status()["repository"]["revision"]
        told: Answer = {}
        while True:
            answer = desk.sync()
            entries = desk.get_history(limit=1000).get("entries", [])
            new = [entry for entry in reversed(entries) if entry["revision"] > revision]
            revision = new[-1]["revision"] if new else revision
            _say(args, answer, new, told)
            told = answer
            time.sleep(args.every)
    except CoordError as error:
        return acting.report(args, acting.failure(error, "ok"), _show)
    except (KeyboardInterrupt, BrokenPipeError):
        return 0


def _say(args: argparse.Namespace, answer: Answer, new: list[Answer], told: Answer) -> None:
    """Print what a look found while watching; what stays the same, an error or a notice, the first time only.

    Args:
        args: the command's.
        answer: of this look.
        new: the operations that came with it, the oldest first.
        told: the answer of the look before.
    """
    error, before = answer.get("error"), told.get("error")
    is_same = error is not None and before is not None and all(error[name] == before[name] for name in _ERROR)
    changed = not is_same and error is not before
    notices = [one for one in answer.get("notices") or () if one not in (told.get("notices") or ())]
    if args.json:
        if new or changed or notices or any(answer.get(name) for name in _FOUND):
            operations = [{name: entry[name] for name in _OPERATION} for entry in new]
            acting.print_json({**answer, "operations": operations})
        return
    for line in (*outcomes(answer), *_settled(answer)):
        print(line, flush=True)
    if changed and error is not None:
        acting.report(args, answer, _show)
    else:
        acting.remark({"notices": notices})
        if changed:
            acting.complain(f"{visible(answer.get('remote'))}: contact is back; {_distance(answer)}")
    for entry in new:
        print(f"{entry['at']}  {visible(entry['subject'], 200)}", flush=True)


def _show(answer: Answer) -> None:
    from gitcoord.cli.init import show_sharing

    decided = outcomes(answer)
    for line in decided:
        print(line)
    show_sharing(answer.get("sharing"))
    said = {"equal": "nothing new", "grown": "brought together", "absent": "the remote has no log"}
    state = str(answer.get("remote_state"))
    if state == "equal" and decided:
        state = "grown"  # by the first of two meetings: the one that turned sharing on
    print(f"{visible(answer.get('remote'))}: {said.get(state, state)}; {_distance(answer)}")
    for mirror in answer.get("mirrors") or ():
        said = f": {visible(mirror['message'], 500)}" if mirror.get("message") else ""
        print(f"mirror {visible(mirror['remote'])}: {visible(mirror['state'])}{said}")
    for event in answer.get("events") or ():
        found = event["found"] or "nothing"
        print(f"{event['event']}: expected {event['expected'][:12]}, found {found[:12]}; {event['done']}")
    for line in _settled(answer):
        print(line)


def _settled(answer: Answer) -> list[str]:
    return [f"found out: {_fate(one)}" for one in (answer.get("settled") or ())[:_SHOWN]]


def outcomes(answer: Answer) -> list[str]:
    """Return what did not hold on the remote, and why, and which locks are confirmed, in lines."""
    refused = (
        f"refused: {_what(one)} of {visible(one['session'])}: {visible(one['message'], 500)}"
        for one in answer.get("refused") or ()
    )
    confirmed = (
        f"confirmed: {visible(one['path'], 200)} of {visible(one['session'])}, token {one['token']}"
        for one in answer.get("confirmed") or ()
    )
    return [*_some(refused), *_some(confirmed)]


def _some(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    more = [f"... and {len(every) - _SHOWN} more (--json has them)"] if len(every) > _SHOWN else []
    return [*every[:_SHOWN], *more]


def _what(one: Answer) -> str:
    """Return an operation's type and what it names."""
    paths = [visible(path, 200) for path in one["claims"]]
    more = [f"and {len(paths) - _PATHS_SHOWN} more"] if len(paths) > _PATHS_SHOWN else []
    return " ".join([visible(one["type"]), *paths[:_PATHS_SHOWN], *more])


def _fate(one: Answer) -> str:
    """Return what became of an operation whose fate was unknown, in one line."""
    token = "" if one["token"] is None else f", token {one['token']}"
    fates = {
        "in_effect": f"in effect{token}",
        "refused": f"refused: {visible(one.get('message'), 500)}",
        "not_on_the_log": "not on the log; ask for it again if you still want it",
    }
    return f"{_what(one)} of {visible(one['session'])} ({visible(one['id'])}): {fates[one['fate']]}"


def _distance(answer: Answer) -> str:
    ahead, behind = answer.get("ahead"), answer.get("behind")
    if not ahead and not behind:
        return "this clone and the remote are at the same point"
    return f"this clone is {ahead} ahead and {behind} behind"
