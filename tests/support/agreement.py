"""Reading the agreed order of a shared log with git alone, and judging by it what the clones were answered.

The agreed order is that of the first parents; a merge stands for what it says it replayed. Nothing of gitcoord's own
reading is used, so a fault in it cannot hide itself.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from support.repo import LOG_REF, git, git_bytes


class Done(NamedTuple):
    """One operation of the agreed order.

    `revision` is that of the commit, a merge too, with which it came into effect.
    """

    revision: int
    operation: dict[str, Any]

    @property
    def id(self) -> str:
        return self.operation["id"]

    @property
    def kind(self) -> str:
        return self.operation["type"]


class Agreed(NamedTuple):
    """What a tip adds up to.

    Attributes:
        order: what is in effect, the oldest first.
        refused: what merges refused: id to code, of the whole history.
        bodies: every operation that any commit behind the tip records, by id.
        merges: how many merges there are on the chain of first parents.
    """

    order: list[Done]
    refused: dict[str, str]
    bodies: dict[str, dict[str, Any]]
    merges: int

    @property
    def ids(self) -> list[str]:
        """The ids of what is in effect, in order."""
        return [one.id for one in self.order]


def _headers(repo: str, commits: list[str]) -> dict[str, dict[str, Any]]:
    asked = "".join(f"{commit}:coord.json\n" for commit in commits)
    answer = git_bytes(repo, "cat-file", "--batch", stdin=asked.encode())
    found: dict[str, dict[str, Any]] = {}
    for commit in commits:
        head, _, rest = answer.partition(b"\n")
        size = int(head.split()[2])
        found[commit] = json.loads(rest[:size])
        answer = rest[size + 1 :]
    return found


def read_agreed(repo: str, ref: str = LOG_REF) -> Agreed:
    """Read the whole history behind a ref."""
    headers = _headers(repo, git(repo, "rev-list", ref).split())
    bodies = {op["id"]: op for header in headers.values() for op in header["operations"] if op["type"] != "log.merge"}
    order: list[Done] = []
    merges = 0
    for commit in git(repo, "rev-list", "--reverse", "--first-parent", ref).split():
        header = headers[commit]
        for operation in header["operations"]:
            if operation["type"] == "log.merge":
                merges += 1
                order += [Done(header["revision"], bodies[done]) for done in operation["replayed"]]
            else:
                order.append(Done(header["revision"], operation))
    everywhere = [op for header in headers.values() for op in header["operations"] if op["type"] == "log.merge"]
    refused = {one["id"]: one["code"] for merge in everywhere for one in merge["refused"]}
    return Agreed(order, refused, bodies, merges)


class Held(NamedTuple):
    """A time on the log during which a session held a path: from one operation to another, or to the end."""

    path: str
    session: str
    grant: str
    token: int
    released: str | None


def check_order(agreed: Agreed) -> list[Held]:
    """Follow who holds what along the agreed order; return all holdings, the oldest first.

    Raises:
        AssertionError: something is in effect twice, a path has two holders, or tokens do not grow.
    """
    assert len(set(agreed.ids)) == len(agreed.ids), "something is in effect twice"
    assert not set(agreed.ids) & set(agreed.refused), "what a merge refused is in effect"
    lost = set(agreed.bodies) - set(agreed.ids) - set(agreed.refused)
    assert lost == set(), "something is neither in effect nor refused"
    now: dict[str, Held] = {}
    past: list[Held] = []
    tokens: dict[str, int] = {}

    def let_go(held: Held, by: str) -> None:
        del now[held.path]
        past.append(held._replace(released=by))

    for one in agreed.order:
        operation = one.operation
        session = operation.get("session", "")
        if one.kind == "lock.acquire":
            for path in (claim["path"] for claim in operation["claims"]):
                if path in now:
                    assert now[path].session == session, f"{path}: granted to {session} beside {now[path]}"
                    continue
                # Two grants of one merge have its revision both; only the last of them is ever seen.
                assert one.revision >= tokens.get(path, 0), f"{path}: tokens do not grow at {operation}"
                tokens[path] = one.revision
                now[path] = Held(path, session, one.id, one.revision, None)
        elif one.kind == "lock.release":
            for path in (claim["path"] for claim in operation["claims"]):
                if path in now and now[path].session == session:
                    let_go(now[path], one.id)
        elif one.kind in ("lock.break", "lock.expire"):
            for lock in operation["locks"]:
                let_go(now[lock["path"]], one.id)
        elif one.kind in ("session.end", "session.reap"):
            gone = session if one.kind == "session.end" else operation["target"]
            for held in [held for held in now.values() if held.session == gone]:
                let_go(held, one.id)
    return [*past, *now.values()]
