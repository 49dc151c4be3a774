"""`gitcoord init --client`: the set-up of agents' clients."""

from __future__ import annotations

from gitcoord.cli import acting
from gitcoord.cli.init import where
from gitcoord.cli.text import visible
from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

_PATH_LIMIT = 4096


def run(args: argparse.Namespace, made: acting.Answer | None = None) -> int:
    """Do what was asked for the clients, and print what came of it.

    Args:
        args: the command's arguments.
        made: what `init` itself did.
    """
    from gitcoord.hooks import client_setup

    what = "check" if args.check else "remove" if args.remove else "print" if args.print else "apply"
    try:
        answer = client_setup.run(
            where(args),
            what,
            clients=args.client,
            agents_md=args.agents_md,
            user=args.user,
            warn=args.warn,
        )
    except CoordError as error:
        answer = acting.failure(error, "ok")
    return acting.report(args, {**(made or {}), **answer}, _show)


def _show(answer: acting.Answer) -> None:
    rows: list[dict[str, Any]] = answer["clients"]
    for row in rows:
        print(f"{visible(row['how']):<8} {visible(row['client']):<9} {visible(row['path'], _PATH_LIMIT)}")
        if answer.get("printed") and row["text"] is not None:
            print(row["text"])
    for note in answer.get("notes", ()):
        acting.complain(visible(note, _PATH_LIMIT))
