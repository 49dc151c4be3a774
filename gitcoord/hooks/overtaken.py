"""Locks under which commits say that they were made, and what the log says of those since.

A commit's claim is worth what the log makes of it: a grant that the log has is that session's and stands at that place,
whatever number and session the commit names beside it. Only where the log does not know the grant's id do the number
and the session count that are claimed; and where there is no number either, there is nothing to be compared.
"""

from __future__ import annotations

from gitcoord import paths
from gitcoord.errors import CoordError
from gitcoord.service.history import events
from gitcoord.transitions.locks import claim_from
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gitcoord.hooks.trailers import Token
    from gitcoord.log import Log
    from gitcoord.paths import Claim


class Grant(NamedTuple):
    """What an operation that asked for locks on paths came to.

    Attributes:
        id: the operation's.
        revision: at which it took effect.
        session: whose.
        claims: on what.
        at: when.
        marks: it only marks, and overtakes nobody.
        refused: why it is not in effect after all; None where it is.
    """

    id: str
    revision: int
    session: str
    claims: list[Claim]
    at: str
    marks: bool
    refused: str | None


class Found(NamedTuple):
    """What the log has on a file that was changed under a token.

    Attributes:
        file: as git names it.
        own: the grant that the commit names, where the log knows it.
        later: the grant to another session that came after it; None where its own was refused.
        under: the part of the later grant that covers the file.
    """

    file: str
    own: Grant | None
    later: Grant | None
    under: Claim | None


class Grants:
    """The grants of a log, as far back as some tokens reach.

    Args:
        log: what is read.
        tokens: what commits claim.
    """

    def __init__(self, log: Log, tokens: Iterable[Token]) -> None:
        """Read the log, the newest first: past the lowest number, and until every grant that is named was found.

        An honest grant is found at its number; one that the log does not have makes this read all of it.
        """
        tokens = list(tokens)
        wanted = {token.grant for token in tokens if token.grant}
        lowest = min((token.token for token in tokens if token.token is not None), default=None)
        self._newest: list[Grant] = []
        self._places: dict[str, int] = {}
        for event in events(log):
            if not wanted and (lowest is None or event.revision < lowest):
                break
            operation = event.operation
            if operation["type"] != "lock.acquire":
                continue
            claims = [claim_from(record) for record in operation["claims"] if record["kind"] != "resource"]
            marks = operation["mode"] == "intent"
            at = operation["clock"]["time"]
            self._places.setdefault(operation["id"], len(self._newest))
            self._newest.append(
                Grant(operation["id"], event.revision, operation["session"], claims, at, marks, event.refused)
            )
            wanted.discard(operation["id"])

    def overtaken(self, token: Token, session: str | None, files: list[str], *, fold_case: bool) -> Iterator[Found]:
        """Yield the files of a commit that were changed under a lock which was refused, or which another came after.

        Args:
            token: what the commit claims.
            session: whose it says that it is; counts only where the log does not know the grant.
            files: what it changes.
            fold_case: the log's rule.
        """
        place = self._places.get(token.grant)
        own = None if place is None else self._newest[place]
        under = list(covered(token, files, fold_case=fold_case))
        if own is not None and own.refused is not None:
            for file, _ in under:
                yield Found(file, own, None, None)
            return
        if own is not None:
            newer, session = self._newest[:place], own.session
        elif token.token is not None:
            newer = [grant for grant in self._newest if grant.revision > token.token]
        else:
            return
        later = [one for one in newer if one.session != session and not one.marks and one.refused is None]
        for file, literal in under:
            met = ((one, claim) for one in later for claim in one.claims if paths.overlaps(claim, literal))
            one, claim = next(met, (None, None))
            if one is not None:
                yield Found(file, own, one, claim)


def covered(token: Token, files: list[str], *, fold_case: bool) -> Iterator[tuple[str, Claim]]:
    """Yield the files that lie under what a token is for."""
    from gitcoord import names

    try:
        own = paths.parse_claim(names.unquote(token.path), fold_case=fold_case)
    except CoordError:
        return  # a trailer of somebody else's making names nothing
    # What is written says no more whether it was a directory: then it covers all below it.
    whole = own._replace(kind="directory") if own.kind == "file" else own
    for file in files:
        literal = paths.claim_from_literal(file, fold_case=fold_case)
        if paths.overlaps(whole, literal):
            yield file, literal
