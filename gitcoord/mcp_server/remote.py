"""The tool about the remote that confirms: meet it now."""

from __future__ import annotations

from gitcoord.mcp_server.schemas import flag, integer, maybe, records, text, texts
from gitcoord.mcp_server.toolset import Tool

TOOLS = (
    Tool(
        "sync",
        "Sync",
        "Meet the remote that confirms locks: bring in what other clones did, publish what waits here. Happens by "
        "itself; call it after `remote_unknown` or offline work. `confirmed` lists provisional locks that hold "
        "now, with their tokens, `refused` what did not hold after all.",
        {},
        {
            "ok": flag(),
            "remote_state": text("equal, grown, absent, or the damage that was found"),
            "ahead": integer("commits that the remote lacks"),
            "behind": integer(),
            "confirmed": records(
                {
                    "path": text(),
                    "kind": text(),
                    "mode": text(),
                    "session": text(),
                    "grant": text(),
                    "token": integer("the lock's token from now on"),
                }
            ),
            "refused": records(
                {"id": text(), "type": text(), "session": text(), "claims": texts(), "code": text(), "message": text()}
            ),
            "settled": records(
                {
                    "id": text(),
                    "type": text(),
                    "session": text(),
                    "claims": texts(),
                    "fate": text(
                        "what became of an operation whose answer was lost: in_effect, refused, not_on_the_log"
                    ),
                    "token": maybe(integer()),
                    "message": text(),
                }
            ),
            "remote": text(),
            "reached_at": maybe(text()),
        },
        changes=True,
        reaches_out=True,
    ),
)
