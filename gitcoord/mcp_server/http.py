"""The HTTP endpoint: streamable HTTP for those who cannot start a process, guarded as a local service has to be.

Any page in a browser and any user of the machine can reach a loopback port. So every request needs a bearer token, its
`Host` must be one of this endpoint's names and its `Origin`, if it has one, one of its own. Other machines reach it
only where their name for it was given on purpose.

Both protocol eras are served without sessions of the transport: each request stands alone.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mcp.server.transport_security import (
    DEFAULT_MAX_REQUEST_BODY_SIZE,
    RequestBodyLimitMiddleware,
    TransportSecuritySettings,
)

from gitcoord.errors import BadRequest, CoordError
from gitcoord.mcp_server.wire import Malformed, read_document, write_message

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/mcp"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8642

_TOKEN_BYTES = 32
_GRACE_S = 2
_BACKLOG = 128


class Endpoint(NamedTuple):
    """A socket that listens, and what a request to it needs.

    Attributes:
        listener: the bound socket.
        url: where clients connect.
        hosts: the values of `Host` that are served.
        token: what each request carries.
        made: the token was made now, not given.
    """

    listener: socket.socket
    url: str
    hosts: tuple[str, ...]
    token: str
    made: bool

    @classmethod
    def bind(cls, address: str, allow_remote: Sequence[str], token: str | None) -> Endpoint:
        """Listen at an address.

        Args:
            address: `HOST:PORT`, `HOST` or `PORT`.
            allow_remote: the names by which other machines may reach it.
            token: the bearer token; made where there is none.

        Raises:
            BadRequest: the address makes no sense, or is not loopback and no name was given.
            CoordError: nothing can listen there.
        """
        host, port = parse_address(address)
        found = _resolve(host, port)
        if not ipaddress.ip_address(found[1][0]).is_loopback and not allow_remote:
            raise BadRequest(
                f"{host} can be reached from other machines, and the traffic is not encrypted",
                next=f"listen on {DEFAULT_HOST}, or name how clients reach it: --allow-remote HOST",
            )
        family, where = found
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise CoordError(f"cannot listen on {host}:{port}: {error}", next="gitcoord serve --http 0") from error
        port = listener.getsockname()[1]
        names = [_bracketed(name) for name in ("127.0.0.1", "localhost", "::1", host, *allow_remote)]
        hosts = tuple(dict.fromkeys(f"{name}:{port}" for name in names if name not in {"0.0.0.0", "[::]"}))  # noqa: S104
        shown = _bracketed(allow_remote[0] if allow_remote else host)
        return cls(
            listener, f"http://{shown}:{port}{PATH}", hosts, token or secrets.token_urlsafe(_TOKEN_BYTES), not token
        )

    def announcement(self) -> str:
        """Return what the person who started the server has to know to connect a client."""
        header = f"Authorization: Bearer {self.token}" if self.made else "Authorization: Bearer <GITCOORD_HTTP_TOKEN>"
        return f"gitcoord serves MCP at {self.url}\n{header}\n"

    def application(self, server: Server[Any]) -> ASGIApp:
        """Return the guarded ASGI application of a server."""
        inner = server.streamable_http_app(
            streamable_http_path=PATH,
            stateless_http=True,
            transport_security=TransportSecuritySettings(
                allowed_hosts=list(self.hosts), allowed_origins=[f"http://{host}" for host in self.hosts]
            ),
        )
        return TokenGuard(RequestBodyLimitMiddleware(StrictBody(inner), DEFAULT_MAX_REQUEST_BODY_SIZE), self.token)

    async def serve(self, server: Server[Any]) -> None:
        """Serve until a signal ends it."""
        import uvicorn

        settings = uvicorn.Config(
            self.application(server),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        await uvicorn.Server(settings).serve(sockets=[self.listener])


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `HOST`, `PORT`, or nothing.

    Raises:
        BadRequest: it is none of them.
    """
    host, colon, port = address.rpartition(":")
    is_bare_ipv6 = address.count(":") > 1 and not address.startswith("[")
    if not colon or address.endswith("]") or is_bare_ipv6:
        host, port = ("", address) if address.isdecimal() else (address, "")
    if port and not (port.isdecimal() and int(port) < 65_536):
        raise BadRequest(f"{address!r} is no address: the port is 0 to 65535", next="gitcoord serve --http HOST:PORT")
    return host.strip("[]") or DEFAULT_HOST, int(port) if port else DEFAULT_PORT


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise BadRequest(f"{host} is no address of this machine: {error}", next="gitcoord serve --http") from error
    return family, where


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class TokenGuard:
    """Lets only requests with the right bearer token through.

    Args:
        app: what answers them.
        token: the token.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        """Guard an application."""
        self._app = app
        self._expected = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and not self._is_welcome(scope):
            await _respond(
                send, 401, {"error": "a bearer token is required: see what `gitcoord serve --http` printed"}, _CHALLENGE
            )
            return
        await self._app(scope, receive, send)

    def _is_welcome(self, scope: Scope) -> bool:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = shown[0].partition(b" ") if len(shown) == 1 else (b"", b"", b"")
        return secrets.compare_digest(token.strip(), self._expected) and scheme.lower() == b"bearer"


class StrictBody:
    """Refuses bodies that two parsers would read differently; see `gitcoord.mcp_server.wire`.

    Args:
        app: what answers the others; it gets each body in one piece.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Check for an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        first: list[Message] = [await receive()]
        try:
            read_document(first[0].get("body", b""))
        except Malformed as malformed:
            await _respond(send, 400, json.loads(write_message(malformed.reply)))
            return

        async def replay() -> Message:
            return first.pop() if first else await receive()

        await self._app(scope, replay, send)


_CHALLENGE = [(b"www-authenticate", b'Bearer realm="gitcoord"')]


async def _respond(send: Send, status: int, body: dict[str, Any], headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    start = [(b"content-type", b"application/json"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
