"""The tool about the past: who did what, when and why."""

from __future__ import annotations

from gitcoord.mcp_server.schemas import flag, integer, maybe, records, text, texts
from gitcoord.mcp_server.toolset import Tool

TOOLS = (
    Tool(
        "get_history",
        "Get history",
        "The audit, newest first: every sign-on, lock, release, break, expiry and stored value. With a path: that "
        "file's lock history.",
        {
            "path": text("only what touched this path", minLength=1),
            "session": text("only what this session did", minLength=1),
            "limit": integer("at most so many entries; default 50", minimum=1, maximum=10_000),
        },
        {
            "entries": records(
                {
                    "revision": integer(),
                    "commit": text(),
                    "merge": maybe(text("the merge that brought it in, if one did")),
                    "at": text(),
                    "verb": text(),
                    "type": text("such as lock.acquire"),
                    "session": maybe(text()),
                    "id": text(),
                    "subject": text(),
                    "paths": texts(),
                    "reason": maybe(text()),
                    "author": maybe(text()),
                    "signer": maybe(text("whose key signed it; null: nobody's")),
                    "proven": flag("the signature is good, by a key that the policy lets count"),
                }
            )
        },
    ),
)
