"""All benchmarks, and the command that runs them."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

from bench import faces, growth, hooks, integrity, sharing, stdio, together, writing
from bench.measure import FULL, QUICK, Row, Sizes, table
from support.repo import GITCONFIG, scrubbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Not the system's directory for temporary files: that may lie in memory, where syncing costs nothing.
PLACE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build")

GROUPS: dict[str, Callable[[str, Sizes], Iterator[Row]]] = {
    "write": writing.rows,
    "growth": growth.rows,
    "integrity": integrity.rows,
    "together": together.rows,
    "stdio": stdio.rows,
    "sharing": sharing.rows,
    "start": faces.start_rows,
    "surface": faces.surface_rows,
    "hooks": hooks.rows,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks and print their table; the exit code is 1 with `--check` where a limit is missed."""
    parser = argparse.ArgumentParser(prog="tests/bench/run.py", description="gitcoord against its alternatives")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, measures little")
    parser.add_argument("--only", action="append", choices=GROUPS, metavar="NAME", help=f"one of: {', '.join(GROUPS)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--place", metavar="DIR", default=PLACE, help="make the repositories below this directory")
    args = parser.parse_args(argv)
    os.makedirs(args.place, exist_ok=True)
    place = tempfile.mkdtemp(prefix="bench-", dir=args.place)
    try:
        found = _run(place, args.only or list(GROUPS), QUICK if args.quick else FULL)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if args.quick and not args.check:
        # So little was measured that a verdict would mean nothing.
        found = [row._replace(limit=None) for row in found]
    print(json.dumps([_as_json(row) for row in found], indent=1) if args.json else table(found))
    missed = [row for row in found if row.missed]
    if missed:
        print(f"{len(missed)} of {sum(row.limit is not None for row in found)} limits missed", file=sys.stderr)
    return 1 if args.check and missed else 0


def _run(place: str, groups: Sequence[str], sizes: Sizes) -> list[Row]:
    home = os.path.join(place, "home")
    os.makedirs(home)
    with open(os.path.join(home, ".gitconfig"), "w", encoding="utf-8") as config:
        config.write(GITCONFIG)
    # Python's own variables go too: one of them would keep every process from finding its code compiled.
    clean = {name: value for name, value in scrubbed(os.environ, home).items() if not name.startswith("PYTHON")}
    os.environ.clear()
    os.environ.update(clean)
    found: list[Row] = []
    for group in groups:
        where = os.path.join(place, group)
        os.makedirs(where)
        for row in GROUPS[group](where, sizes):
            print(f"  {row.what}: {row.ratio:.2f}", file=sys.stderr, flush=True)
            found.append(row)
        # It is removed at the end, with all the rest: some file systems look at every file that went lately before
        # they make a new one, and no group is to pay for another's.
    return found


def _as_json(row: Row) -> dict[str, object]:
    return {**row._asdict(), "ratio": round(row.ratio, 4), "missed": row.missed}
