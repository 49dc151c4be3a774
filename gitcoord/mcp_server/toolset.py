"""What a tool is: its name, what it tells a client, and the schemas of what goes in and comes out.

A tool has no code of its own: it is the method of the same name of the caller's desk, and its arguments are that
method's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gitcoord.mcp_server.schemas import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import mcp_types

ERROR = {
    "type": "object",
    "description": "why not, and what to try next",
    "properties": {"code": text(), "message": text(), "next": text()},
}
NOTICES = {"type": "array", "items": {"type": "string"}, "description": "news for your session: read them"}
SESSION = text("act as this session; default: this connection's own", minLength=1)


class Tool(NamedTuple):
    """One tool.

    Attributes:
        name: also the name of the desk's method that does it.
        title: for people.
        teaches: what an agent has to know to use it well.
        takes: the schema of each argument.
        gives: the schema of each member of the answer; `error` and `notices` are added.
        needs: the arguments that must be there.
        verdict: the member of the answer that is false when the call was refused.
        changes: it writes to the log.
        destroys: it can take something from others or overwrite it.
        repeats: a second call with the same arguments changes nothing more.
        reaches_out: it talks to another machine by its very purpose.
    """

    name: str
    title: str
    teaches: str
    takes: Mapping[str, Any]
    gives: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    verdict: str = "ok"
    changes: bool = False
    destroys: bool = False
    repeats: bool = True
    reaches_out: bool = False

    @property
    def input_schema(self) -> dict[str, Any]:
        """The schema of the arguments; nothing else is taken."""
        schema: dict[str, Any] = {"type": "object", "properties": dict(self.takes)}
        if self.needs:
            schema["required"] = list(self.needs)
        return {**schema, "additionalProperties": False}

    @property
    def output_schema(self) -> dict[str, Any]:
        """The schema of the answer, of a refusal too: only the verdict is in both."""
        members = {**self.gives, "error": ERROR, "notices": NOTICES}
        return {"type": "object", "properties": members}

    def described(self) -> mcp_types.Tool:
        """Return the tool as the protocol lists it."""
        import mcp_types

        hints: dict[str, bool] = {"readOnlyHint": not self.changes, "openWorldHint": self.reaches_out}
        if self.changes:
            hints |= {"destructiveHint": self.destroys, "idempotentHint": self.repeats}
        return mcp_types.Tool.model_validate(
            {
                "name": self.name,
                "title": self.title,
                "description": self.teaches,
                "inputSchema": self.input_schema,
                "outputSchema": self.output_schema,
                "annotations": hints,
            }
        )
