"""The MCP face: gitcoord as a server that agents' clients start (stdio) or connect to (streamable HTTP).

Both functions serve until the client or a signal ends them. They never initialise a repository: while there is none to
work in, every tool answers why and what to do, and works as soon as that was done. Importing this package loads nothing
of the SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ADDRESS = "127.0.0.1:8642"
"""Where `--http` listens when no address is said."""


def run_stdio(repo: str | None = None, *, session: str | None = None, key: str | None = None) -> int:
    """Serve the client at the other end of standard input and output until it goes.

    Args:
        repo: the repository that `--repo` names; else it is looked for.
        session: the session id that `--session` names; else `GITCOORD_SESSION`, else one made from the client's name.
        key: with what to sign, as `--key` says it; else as the configuration does.

    Returns:
        The exit code.
    """
    from gitcoord.mcp_server.launch import serve_stdio

    return serve_stdio(repo, session, key)


def run_http(
    address: str = DEFAULT_ADDRESS,
    repo: str | None = None,
    *,
    allow_remote: Sequence[str] = (),
    key: str | None = None,
) -> int:
    """Serve streamable HTTP at `http://ADDRESS/mcp` until a signal ends it.

    Every request needs the bearer token in `GITCOORD_HTTP_TOKEN`, else one that is made now; it and the URL are printed
    on standard error. The traffic is not encrypted.

    Args:
        address: `HOST:PORT`, `HOST` or `PORT`; port 0 takes a free one.
        repo: the repository that `--repo` names; else it is looked for, without asking clients.
        allow_remote: the host names by which clients on other machines reach this one. An address that is not loopback
            is refused without any; a `Host` header with another name always is.
        key: with what to sign for every caller, as `--key` says it; else with each session's own key.

    Returns:
        The exit code.

    Raises:
        BadRequest: the address makes no sense, or is refused.
        CoordError: nothing can listen there.
    """
    from gitcoord.mcp_server.launch import serve_http

    return serve_http(address, repo, allow_remote, key)
