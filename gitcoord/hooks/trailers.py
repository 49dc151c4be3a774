"""Provenance: trailers in a code commit that lead to the log, written and read.

    Coord-Session: claude-code-1
    Coord-Task: 17
    Coord-Token: 1042 src/app.py        the token of the lock that covers it, and what is locked
    Coord-Id: 01JD...                   the grant: git log --grep 'Coord-Id: 01JD...' refs/coord

A `Coord-Id` follows the tokens that it granted. A provisional lock has no token yet, for the remote may give it another
or none: `Coord-Token: provisional src/app.py` stands in its place, and the grant's id leads to what became of it. The
trailers are claims of whoever made the commit; nothing proves them but the log, and what signs the commit.
"""

from __future__ import annotations

from gitcoord import names
from gitcoord.errors import CoordError
from gitcoord.render import visible
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from gitcoord.model import Lock

_KEYS = ("Coord-Session", "Coord-Task", "Coord-Token", "Coord-Id")
_PROVISIONAL = "provisional"
_MOST = 100


class Token(NamedTuple):
    """One lock that a code commit says it was made under.

    Attributes:
        token: the lock's fencing token; None where the lock was provisional.
        path: what is locked, as records write it.
        grant: the id of the operation that granted it; empty where the commit does not say.
    """

    token: int | None
    path: str
    grant: str


class Provenance(NamedTuple):
    """What a code commit says of where it comes from."""

    session: str | None
    task: str | None
    tokens: list[Token]


def lines_for(
    session: str, task: str | None, held: Iterable[Lock], provisional: Container[str] = frozenset()
) -> list[str]:
    """Return the trailers of a commit.

    Args:
        session: who makes it.
        task: what for.
        held: the locks that it holds on what the commit changes.
        provisional: the grants that the remote has not confirmed.
    """
    lines = [f"Coord-Session: {session}"]
    if task:
        lines.append(f"Coord-Task: {visible(task)[:200]}")
    grants: dict[str, list[Lock]] = {}
    for lock in sorted(held, key=lambda lock: (lock["token"], lock["key"]))[:_MOST]:
        grants.setdefault(lock["grant"], []).append(lock)
    for grant, locks in grants.items():
        lines += [
            f"Coord-Token: {_PROVISIONAL if grant in provisional else lock['token']} {_quoted(lock['path'])}"
            for lock in locks
        ]
        lines.append(f"Coord-Id: {grant}")
    return lines


def _quoted(recorded: str) -> str:
    """Return a recorded path as one word of a line that can be read back."""
    return names.quote(names.from_json_text(recorded))


def parse(message: str) -> Provenance:
    """Return what a commit message's trailers say; a message without any says nothing."""
    session = task = None
    tokens: list[Token] = []
    waiting = 0
    for line in _last_paragraph(message):
        key, colon, value = line.partition(":")
        if not colon or key not in _KEYS:
            continue
        value = value.strip()
        if key == "Coord-Session":
            session = _session(value)
        elif key == "Coord-Task":
            task = value
        elif key == "Coord-Token":
            number, _, path = value.partition(" ")
            if number.isascii() and number.isdigit() and len(number) < 19 and path:
                tokens.append(Token(int(number), path, ""))
            elif number == _PROVISIONAL and path:
                tokens.append(Token(None, path, ""))
        else:
            tokens[waiting:] = [token._replace(grant=value) for token in tokens[waiting:]]
            waiting = len(tokens)
    return Provenance(session, task, tokens)


def without(message: str) -> str:
    """Return a message without the trailers of an earlier making of the commit."""
    end = _end_of_text(message)
    text, rest = message[:end], message[end:]
    lines = text.splitlines(keepends=True)
    last = len(lines) - len(_last_paragraph(text, keep=True))
    kept = [line for at, line in enumerate(lines) if at < last or line.partition(":")[0] not in _KEYS]
    return "".join(kept) + rest


def _session(value: str) -> str | None:
    try:
        return names.check_session_id(value)
    except CoordError:
        return None


def _end_of_text(message: str) -> int:
    """Return where git's own remarks begin: a scissors line, or comments at the end."""
    end = at = 0
    for line in message.splitlines(keepends=True):
        if line.startswith("# ------------------------ >8"):
            break
        at += len(line)
        if line.strip() and not line.startswith("#"):
            end = at
    return end


def _last_paragraph(message: str, *, keep: bool = False) -> list[str]:
    lines = message[: _end_of_text(message)].splitlines(keepends=keep)
    found: list[str] = []
    for line in reversed(lines):
        if not line.strip():
            break
        found.append(line)
    return found[::-1]
