"""Operations of this clone whose fate nobody was told: the answer to their push was lost, or who asked for it is gone.

Each has a file of its own from when its push is certain to have ended until somebody was told what became of it. Losing
one loses the news, never the operation: what is in effect is on the log.
"""

from __future__ import annotations

import os

from gitcoord import plainjson
from gitcoord.runtime.files import DRAFT, names, parse_object, private_dir, remove, write_whole
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = "fates"
_KEPT = 200


class Asked(NamedTuple):
    """An operation that was asked for.

    Attributes:
        id: its id.
        type: what it is, such as `lock.acquire`.
        session: whose it is.
        claims: what it names, as operations have claims.
        since: the tip that the remote's log had when it was pushed, in hexadecimal.
    """

    id: str
    type: str
    session: str
    claims: list[dict[str, Any]]
    since: str


def note(runtime: str, one: Asked) -> None:
    """Keep an operation until `take`; of very many the further ones are not kept.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    folder = private_dir(os.path.join(runtime, _FOLDER))
    if len(names(folder)) < _KEPT:
        write_whole(os.path.join(folder, one.id), plainjson.encode(one._asdict()).encode())


def every(runtime: str) -> Iterator[Asked]:
    """Yield what is kept, the oldest operation first."""
    folder = os.path.join(runtime, _FOLDER)
    for name in sorted(names(folder)):
        if name.startswith(DRAFT):
            continue
        try:
            with open(os.path.join(folder, name), "rb") as file:
                found = parse_object(file.read())
            yield Asked(name, str(found["type"]), str(found["session"]), list(found["claims"]), str(found["since"]))
        except (OSError, KeyError, TypeError):
            continue  # told by another process just now, or not to be understood


def take(runtime: str, one: Asked) -> bool:
    """Keep an operation no more; False where another process was quicker, and tells of it."""
    return remove(os.path.join(runtime, _FOLDER, one.id))
