"""Tells subscribers which resources changed, in both ways that the protocol has had for it.

Somebody else's change shows as a new tip of the log. While anybody is subscribed the tip is looked up twice a second,
which costs one file read; when it moved, the watched documents are read and compared with what they were. Not promised:
one notification for each change, nor one for what only time changes (a lease that lapses).
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
from mcp.shared.subscriptions import ResourceUpdated

from gitcoord.errors import CoordError
from gitcoord.mcp_server.answers import to_json
from gitcoord.mcp_server.resources import read_document
from gitcoord.mcp_server.threads import off_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable

    from mcp.server.session import ServerSession
    from mcp.server.subscriptions import SubscriptionBus

    from gitcoord.mcp_server.desks import Desk

POLL_S = 0.5


class Watch:
    """The subscriptions of one server.

    Args:
        observe: gives a desk to look through; raises `CoordError` while there is none.
        bus: reaches the subscribers of the newest protocol.
    """

    def __init__(self, observe: Callable[[], Awaitable[Desk]], bus: SubscriptionBus) -> None:
        """Watch nothing yet."""
        self._observe = observe
        self._bus = bus
        self._sessions: dict[str, list[ServerSession]] = {}
        self._listeners: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._tip = ""
        self._wanted = anyio.Event()

    async def subscribe(self, uri: str, session: ServerSession) -> None:
        """Notify a session of the older protocol from now on."""
        await self._look_first(uri)
        self._sessions.setdefault(uri, []).append(session)
        self._wanted.set()

    def unsubscribe(self, uri: str) -> None:
        """Notify nobody of the older protocol of this URI any more."""
        self._sessions.pop(uri, None)
        self._forget_unwatched()

    async def look_first(self, uris: Iterable[str]) -> None:
        """Remember how the documents are before their listener is told that it listens."""
        for uri in uris:
            await self._look_first(uri)

    @contextmanager
    def listening(self, uris: Iterable[str]) -> Generator[None]:
        """Watch for a listener of the newest protocol while the block runs."""
        watched = list(uris)
        for uri in watched:
            self._listeners[uri] = self._listeners.get(uri, 0) + 1
        if watched:
            self._wanted.set()
        try:
            yield
        finally:
            for uri in watched:
                self._listeners[uri] -= 1
                if not self._listeners[uri]:
                    del self._listeners[uri]
            self._forget_unwatched()

    async def run(self) -> None:
        """Look for changes for ever, while somebody is subscribed."""
        while True:
            await self._wanted.wait()
            await anyio.sleep(POLL_S)
            await self._look()

    async def _look(self) -> None:
        try:
            tip = await off_loop((await self._observe()).tip)
        except CoordError as error:
            tip = error.code
        if tip == self._tip:
            return
        self._tip = tip
        for uri in [*self._sessions, *(uri for uri in self._listeners if uri not in self._sessions)]:
            now = await self._read(uri)
            if now != self._seen.get(uri):
                self._seen[uri] = now
                await self._tell(uri)

    async def _tell(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri))
        for session in list(self._sessions.get(uri, ())):
            await session.send_resource_updated(uri)

    async def _look_first(self, uri: str) -> None:
        if uri not in self._seen:
            self._seen[uri] = await self._read(uri)

    async def _read(self, uri: str) -> int:
        """Return what tells two states of a document apart."""
        try:
            document = await off_loop(partial(read_document, await self._observe(), uri))
        except CoordError as error:
            return hash(error.code)
        return 0 if document is None else hash(to_json(document)[1])

    def _forget_unwatched(self) -> None:
        for uri in [uri for uri in self._seen if uri not in self._sessions and uri not in self._listeners]:
            del self._seen[uri]
        if not self._sessions and not self._listeners:
            self._wanted = anyio.Event()
