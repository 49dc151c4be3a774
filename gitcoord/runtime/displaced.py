"""What this clone's sessions lost without a word of it on the log: for whoever asks under such an id next.

A session keeps its own record of what was refused to it, and its news, on the log. One whose record there is another
clone's (two signed on under one id while they could not see each other), or is gone, has no such place; nor has what
was written here only, and could not stay. What is kept for it here is a file for each id, in the clone where it was at
work: its news, which is told once, and the locks that it counted on, until it asks for them anew or lets them go.

Losing the file loses the news, never a lock: what was refused is on the log, and `gitcoord sync` and the history tell.
"""

from __future__ import annotations

import json
import os

from gitcoord.runtime.files import DRAFT, names, parse_object, private_dir, remove, write_whole
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gitcoord.model import Lost

_FOLDER = "displaced"
_KEPT = 50
_LOST_FIELDS = ("path", "key", "kind", "grant", "why")


class Displaced(NamedTuple):
    """What one incarnation lost at once.

    Attributes:
        id: which loss it is: what is kept already under an id is not kept again.
        session: the session's id, which may be another's now, or nobody's.
        incarnation: the id of its sign-on.
        process: whether a process stood behind it.
        word: what is to be told; "" once it was.
        lost: the locks that it counted on.
    """

    id: str
    session: str
    incarnation: str
    process: bool
    word: str
    lost: tuple[Lost, ...]


def note(runtime: str, one: Displaced) -> None:
    """Keep what an incarnation lost; what is known already is left as it is.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    known = read(runtime, one.session)
    if all(each.id != one.id for each in known):
        _write(runtime, one.session, [*known, one][-_KEPT:])


def read(runtime: str, session: str) -> list[Displaced]:
    """Return what incarnations of an id lost here, the oldest first. Costs one look for a file where there is none."""
    try:
        with open(os.path.join(runtime, _FOLDER, session), "rb") as file:
            rows = parse_object(file.read()).get("displaced", [])
    except OSError:
        return []
    found = [_parsed(session, row) for row in (cast("list[Any]", rows) if isinstance(rows, list) else [])]
    return [one for one in found if one is not None]


def _parsed(session: str, row: Any) -> Displaced | None:
    try:
        lost = tuple(cast("Lost", {name: str(one[name]) for name in _LOST_FIELDS}) for one in row["lost"])
        incarnation, word = str(row["incarnation"]), str(row["word"])
        return Displaced(str(row["id"]), session, incarnation, bool(row["process"]), word, lost)
    except (KeyError, TypeError):
        return None


def every(runtime: str) -> Iterator[Displaced]:
    """Yield what all ids lost here."""
    for name in sorted(names(os.path.join(runtime, _FOLDER))):
        if not name.startswith(DRAFT):
            yield from read(runtime, name)


def sweep(runtime: str, before_s: float) -> list[str]:
    """Forget what was kept before a time and nobody has come for since, and return the ids that it was kept for.

    Args:
        runtime: the runtime directory.
        before_s: by the wall clock, in seconds since the epoch.
    """
    folder = os.path.join(runtime, _FOLDER)
    gone: list[str] = []
    for name in names(folder):
        path = os.path.join(folder, name)
        try:
            if os.stat(path).st_mtime < before_s and remove(path):
                gone.append(name)
        except OSError:
            continue
    return sorted(gone)


def take_words(runtime: str, wanted: Collection[Displaced]) -> list[str]:
    """Return what is to be told of some, once.

    Raises:
        StorageFault: that it was told cannot be remembered.
    """
    words: list[str] = []
    for session in dict.fromkeys(one.session for one in wanted):
        told = {one.id for one in wanted if one.session == session and one.word}
        if told:
            known = read(runtime, session)
            words += [one.word for one in known if one.id in told and one.word]
            _write(runtime, session, [one._replace(word="") if one.id in told else one for one in known])
    return words


def let_go(runtime: str, wanted: Collection[Displaced], places: Collection[tuple[bool, str]] | None) -> list[str]:
    """Let some no longer count on locks, and return the paths of these.

    Args:
        runtime: the runtime directory.
        wanted: whose.
        places: where they lie: among the resources or not, and under which key; None is all.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    gone: list[str] = []
    for session in dict.fromkeys(one.session for one in wanted if one.lost):
        ids = {one.id for one in wanted if one.session == session}
        rows: list[Displaced] = []
        for one in read(runtime, session):
            left = one.lost
            if one.id in ids:
                left = tuple(
                    lock for lock in left if not (places is None or (lock["kind"] == "resource", lock["key"]) in places)
                )
                gone += [lock["path"] for lock in one.lost if lock not in left]
            rows.append(one._replace(lost=left))
        _write(runtime, session, rows)
    return gone


def _write(runtime: str, session: str, rows: list[Displaced]) -> None:
    """Keep what there is still to tell, or to warn of."""
    path = os.path.join(private_dir(os.path.join(runtime, _FOLDER)), session)
    kept = [{**one._asdict(), "lost": list(one.lost)} for one in rows if one.word or one.lost]
    if kept:
        write_whole(path, json.dumps({"displaced": kept}, separators=(",", ":")).encode())
    else:
        remove(path)
