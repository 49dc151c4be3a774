"""Which desk answers a caller: it is opened at the first call, in the repository that the start options lead to.

A stdio connection is one caller with one desk, whose session has the server's process as its proof of life. Over HTTP
nothing is kept between requests: each has a desk of its own and names the session that it acts as. Nothing proves an
HTTP caller's life, so its lease decides, and the end of the server signs nobody off.

What is not promised: that a repository is found. Then every call is answered with what was tried, and tried again, so a
repository that is made or initialised later works without a restart.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import anyio

from gitcoord.errors import CoordError, NotARepository, NotInitialised, UnsupportedRepository
from gitcoord.mcp_server.threads import off_loop

if TYPE_CHECKING:
    from gitcoord import service


class Desk(Protocol):
    """What this face asks of a desk besides the methods that are tools."""

    def tip(self) -> str:
        """Return what changes when the log grew; cheap."""
        ...

    def keep_alive_once(self) -> float:
        """Renew what is due and return after how many seconds to call again."""
        ...

    def follow_once(self) -> float:
        """Meet the remote if that is due and return after how many seconds to call again."""
        ...

    def close(self) -> object:
        """Sign off what this desk signed on."""
        ...

    def status(self) -> dict[str, Any]:
        """Return who is here and what they hold."""
        ...

    def get_locked_files(self) -> dict[str, Any]:
        """Return all locks."""
        ...

    def show_session(self, session: str) -> dict[str, Any]:
        """Return one session."""
        ...

    def show_policy(self) -> dict[str, Any]:
        """Return who may do what."""
        ...

    def get_history(self, *, limit: int) -> dict[str, Any]:
        """Return the newest entries of the log."""
        ...


class Caller(NamedTuple):
    """Who calls, as far as the protocol says.

    Attributes:
        hint: the client's own name, from which its session's id is made; may be empty.
        roots: asks the client for its root directories; empty where it has none to tell.
    """

    hint: str
    roots: Callable[[], Awaitable[list[str]]]


async def _no_roots() -> list[str]:
    return []


NOBODY = Caller("", _no_roots)


class Place(NamedTuple):
    """A directory that may lead to the repository, and who named it."""

    path: str
    named_by: str


class Desks(Protocol):
    """Gives each caller its desk.

    Attributes:
        stateless: the connection keeps nothing between calls, so a changing call has to name its session.
    """

    stateless: bool

    async def open(self, caller: Caller) -> Desk:
        """Return the caller's desk.

        Raises:
            CoordError: there is none, and why.
        """
        ...

    async def opened(self) -> Desk:
        """Wait until there is a desk whose session this process keeps alive, and return it."""
        ...

    async def found(self) -> Desk:
        """Wait until a repository is opened, and return a desk in it."""
        ...

    async def observe(self, caller: Caller) -> Desk:
        """Return a desk to look through that is nobody's: it takes no session's news away.

        Raises:
            CoordError: there is none, and why.
        """
        ...

    def close(self) -> None:
        """Sign off what was signed on for a caller that is gone."""
        ...


class Opener(NamedTuple):
    """How a desk is opened where the repository was found.

    Attributes:
        session: the session id that its caller is meant to have, if any.
        process: this process proves the session's life.
        key: with what to sign, where the command line says it.
    """

    session: str | None
    process: bool
    key: str | None = None

    def open_at(self, path: str, hint: str) -> service.Desk:
        """Open a desk in the repository around a directory.

        Raises:
            CoordError: no repository there, or one without a log.
        """
        from gitcoord.service import open_desk

        desk = open_desk(path, session=self.session, hint=hint, process=self.process, key=self.key)
        desk.tip()
        return desk


def beside(desk: service.Desk, hint: str) -> Desk:
    """Return a desk in the same opened repository for somebody else, who has no session and no process."""
    from gitcoord.service.callers import Callers
    from gitcoord.service.desk import Desk as RealDesk

    return RealDesk(desk.access, Callers(desk.access, wished=None, hint=hint, process=False))


class Finder:
    """Where to look for the repository: what somebody named outright decides alone, else the first place in one.

    A repository that was found once stays the one.

    Args:
        named: the repository that the command line or `GITCOORD_REPO` names, where one does.
        project: the directory that the client's harness says it works on.
        working: the server's working directory.
    """

    def __init__(self, named: Place | None, project: Place | None, working: Place) -> None:
        """Keep the places."""
        self._named = named
        self._project = project
        self._working = working
        self._roots: list[str] = []

    @classmethod
    def from_environment(cls, repo: str | None) -> Finder:
        """Return the finder that the command line and the environment ask for.

        Args:
            repo: what `--repo` says.
        """
        from gitcoord.config import read_environment

        told = read_environment()
        named = Place(repo, "--repo") if repo else Place(told.repo, "GITCOORD_REPO") if told.repo else None
        project = Place(told.project_dir, "the client's project directory") if told.project_dir else None
        return cls(named, project, Place(os.getcwd(), "the working directory"))

    async def open(self, caller: Caller, opener: Opener) -> service.Desk:
        """Open a desk in the first place that is in a repository.

        Of several roots, one that is in an initialised repository comes before one that is not.

        Args:
            caller: whose roots to ask for.
            opener: how to open it.

        Raises:
            CoordError: no place is in a repository, or the one that counts cannot be worked in.
        """
        if self._named:
            if not await off_loop(partial(os.path.isdir, self._named.path)):
                raise NotARepository(
                    f"{self._named.path} ({self._named.named_by}) is no directory, or is gone",
                    next="start the server with `gitcoord serve --repo PATH`, or set GITCOORD_REPO",
                )
            return await off_loop(partial(opener.open_at, self._named.path, caller.hint))
        tried: list[Place] = []
        for ask in (self._ask_project, partial(self._ask_roots, caller), self._ask_working):
            pending: CoordError | None = None
            for place in await ask():
                try:
                    desk = await off_loop(partial(opener.open_at, place.path, caller.hint))
                except (NotInitialised, UnsupportedRepository) as error:
                    pending = pending or error
                except NotARepository:
                    tried.append(place)
                else:
                    self._named = place
                    return desk
            if pending:
                raise pending
        raise NotARepository(
            "no git repository found; tried " + ", ".join(f"{place.path} ({place.named_by})" for place in tried),
            next="start the server with `gitcoord serve --repo PATH`, or set GITCOORD_REPO",
        )

    async def _ask_project(self) -> list[Place]:
        return [self._project] if self._project else []

    async def _ask_roots(self, caller: Caller) -> list[Place]:
        self._roots = await caller.roots() or self._roots
        return [Place(root, "a root of the client") for root in self._roots]

    async def _ask_working(self) -> list[Place]:
        return [self._working]


class ConnectionDesks:
    """The desk of the one caller of a stdio connection.

    Args:
        finder: where to look for the repository.
        session: the id to act as, where the environment names one.
        key: with what to sign, where the command line says it.
    """

    stateless = False

    def __init__(self, finder: Finder, session: str | None = None, key: str | None = None) -> None:
        """Open nothing yet."""
        self._finder = finder
        self._opener = Opener(session, process=True, key=key)
        self._opening = anyio.Lock()
        self._is_open = anyio.Event()
        self._desk: service.Desk | None = None

    async def open(self, caller: Caller) -> Desk:
        """Return the connection's desk, opened by its first call."""
        return await self._open(caller)

    async def _open(self, caller: Caller) -> service.Desk:
        async with self._opening:
            if self._desk is None:
                self._desk = await self._finder.open(caller, self._opener)
                self._is_open.set()
            return self._desk

    async def opened(self) -> Desk:
        """Wait until the connection's desk is open, and return it."""
        await self._is_open.wait()
        return await self._open(NOBODY)

    async def found(self) -> Desk:
        """Wait until the connection's desk is open, and return it."""
        return await self.opened()

    async def observe(self, caller: Caller) -> Desk:
        """Return a desk beside the connection's."""
        return beside(await self._open(caller), "")

    def close(self) -> None:
        """Sign the connection's session off."""
        if self._desk is not None:
            self._desk.close()


class HttpDesks:
    """The desks behind an HTTP endpoint, whose callers name their sessions.

    Each call has a desk of its own, so that no caller becomes another's session or gets its news; what is known of the
    log is shared.

    Args:
        finder: where to look for the repository.
        key: with what to sign for everybody, where the command line says it.
    """

    stateless = True

    def __init__(self, finder: Finder, key: str | None = None) -> None:
        """Open nothing yet."""
        self._finder = finder
        self._opener = Opener(session=None, process=False, key=key)
        self._opening = anyio.Lock()
        self._is_open = anyio.Event()
        self._first: service.Desk | None = None

    async def open(self, caller: Caller) -> Desk:
        """Return a desk for one call."""
        async with self._opening:
            if self._first is None:
                self._first = await self._finder.open(caller, self._opener)
                self._is_open.set()
            return beside(self._first, caller.hint)

    async def opened(self) -> Desk:
        """Wait for ever: nothing proves an HTTP caller's life, so this process keeps no lease alive."""
        await anyio.sleep_forever()
        raise AssertionError

    async def found(self) -> Desk:
        """Wait for the first call's repository, and return a desk in it."""
        await self._is_open.wait()
        return await self.open(NOBODY)

    async def observe(self, caller: Caller) -> Desk:
        """Return a desk for one look."""
        return await self.open(caller)

    def close(self) -> None:
        """Sign nobody off: the sessions' leases decide, and their callers may go on elsewhere."""
