"""`gitcoord status`."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.at import add_option, show
from gitcoord.cli.lock import print_locks
from gitcoord.cli.parsing import Parser, add_common
from gitcoord.cli.session import print_sessions
from gitcoord.cli.text import distance, visible
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

_SHOWN_LOCKS = 20


def add_status(parser: Parser) -> None:
    """Declare the arguments of `status`."""
    add_option(parser)
    add_common(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    return acting.ask(args, lambda desk: desk.status(at=args.at), _show)


def _show(answer: acting.Answer) -> None:
    if "at" in answer:
        show(answer)
    elif acting.on_terminal():
        _show_screen(answer)
    else:
        _show_lines(answer)


def _show_screen(answer: acting.Answer) -> None:
    """Print what fits one screen: who is here, what is held and why, what lapses soon, who waits."""
    from gitcoord.cli.table import print_records

    place, own, now = answer["repository"], answer.get("session"), acting.now_ms()
    print(f"{visible(place.get('root') or '(bare)', 4096)}, revision {place['revision']}")
    print(f"you are {visible(own['session'])}" if own else "you are not signed on (the first change signs you on)")
    _show_remote(answer.get("remote"))
    if not answer["sessions"]:
        print("nobody is signed on")
    print_sessions(answer["sessions"], spaced=True)
    locks: list[dict[str, Any]] = answer["locks"]
    print_locks("Locks", locks[:_SHOWN_LOCKS], spaced=True)
    if len(locks) > _SHOWN_LOCKS:
        print(f"and {len(locks) - _SHOWN_LOCKS} more: gitcoord locks")
    rows = [[one["session"], one["path"], one["why"]] for one in answer["lost"][:_SHOWN_LOCKS]]
    print_records("Lost", ["session", "path", "refused, since"], rows, spaced=True)
    print_locks("Lapsing soon", answer["lapsing"][:_SHOWN_LOCKS], spaced=True)
    rows = [[w["session"], " ".join(w["paths"]), distance(w["since"], now)] for w in answer["waiting"]]
    print_records("Waiting", ["session", "for", "since"], rows, spaced=True)


def _show_remote(remote: acting.Answer | None) -> None:
    """Print how far this clone and the remote are apart, when they last met, and what was not in order."""
    if not remote:
        return
    met = remote.get("reached_at")
    when = f"met {distance(met, acting.now_ms())}" if met else "never met"
    print(f"remote {visible(remote['remote'])}: {when}, {remote['ahead']} ahead, {remote['behind']} behind")
    if remote.get("unreached"):
        print(f"  not reached: {visible(remote['unreached'].get('message'), 500)}")
    kept_out = remote.get("quarantine")
    if kept_out:
        where, rule = visible(kept_out.get("ref")), visible(kept_out.get("rule"))
        print(f"  bad history is kept out of use: {where}, from {visible(kept_out.get('commit'))} on, rule {rule}")
    for event in remote.get("events") or ():
        print(f"  {visible(event.get('event'))} at {visible(event.get('at'))}: {visible(event.get('done'), 500)}")


def _show_lines(answer: acting.Answer) -> None:
    from gitcoord.cli.table import print_records

    place, own = answer["repository"], answer.get("session")
    print_records("", [], [[place.get("root") or "", place["revision"], place["tip"]]], kind="repository")
    print_records("", [], [[own["session"]]] if own else [], kind="you")
    remote = answer.get("remote")
    if remote:
        row = [remote["remote"], remote["ahead"], remote["behind"], remote.get("reached_at") or ""]
        print_records("", [], [row], kind="remote")
    print_sessions(answer["sessions"], kind="session")
    print_locks("", answer["locks"], kind="lock")
    rows = [[one["session"], one["path"], one["why"]] for one in answer["lost"]]
    print_records("", [], rows, kind="lost")
    print_locks("", answer["lapsing"], kind="lapsing")
    rows = [[w["session"], w["since"], *w["paths"]] for w in answer["waiting"]]
    print_records("", [], rows, kind="waiting")
