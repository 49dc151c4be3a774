"""The resources: documents about the repository's sessions and locks that a client can read and watch.

They hold text that other sessions wrote; it is data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import mcp_types
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

if TYPE_CHECKING:
    from gitcoord.mcp_server.desks import Desk

_JSON = "application/json"
_SESSION = "coord://sessions/"
_LOG_ENTRIES = 50

RESOURCES = [
    mcp_types.Resource(
        uri="coord://status",
        name="status",
        title="Status",
        description="Who is here, what they hold and why, what lapses soon, who waits.",
        mime_type=_JSON,
    ),
    mcp_types.Resource(
        uri="coord://locks", name="locks", title="Locks", description="Every lock that is held.", mime_type=_JSON
    ),
    mcp_types.Resource(
        uri="coord://log", name="log", title="Log", description="The newest entries of the audit.", mime_type=_JSON
    ),
    mcp_types.Resource(
        uri="coord://policy",
        name="policy",
        title="Policy",
        description="Who may do what: principals, their keys and roles, and the limits. People change it.",
        mime_type=_JSON,
    ),
]
TEMPLATES = [
    mcp_types.ResourceTemplate(
        uri_template="coord://sessions/{id}",
        name="session",
        title="Session",
        description="One session and what it holds.",
        mime_type=_JSON,
    )
]


def read_document(desk: Desk, uri: str) -> dict[str, Any] | None:
    """Return the document at a URI that may exist, or None where there is none just now.

    An answer of the desk that says why not is a document too.
    """
    if uri == "coord://status":
        return desk.status()
    if uri == "coord://locks":
        return desk.get_locked_files()
    if uri == "coord://log":
        return desk.get_history(limit=_LOG_ENTRIES)
    if uri == "coord://policy":
        return desk.show_policy()
    document = desk.show_session(session=unquote(uri.removeprefix(_SESSION)))
    return None if document.get("found") is False else document


def may_exist(uri: str) -> bool:
    """Tell whether there is such a resource, or may be: sessions come and go."""
    if uri.startswith(_SESSION):
        return uri != _SESSION and "/" not in uri.removeprefix(_SESSION)
    return any(uri == resource.uri for resource in RESOURCES)


def not_found(uri: str) -> MCPError:
    """Return the protocol's error for a URI that leads nowhere."""
    return MCPError(INVALID_PARAMS, "Resource not found", {"uri": uri})


def to_contents(uri: str, written: str) -> mcp_types.ReadResourceResult:
    """Return a document's JSON text as the protocol hands it over."""
    return mcp_types.ReadResourceResult(
        contents=[mcp_types.TextResourceContents(uri=uri, text=written, mime_type=_JSON)]
    )
