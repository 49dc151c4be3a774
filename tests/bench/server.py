"""gitcoord's own stdio server with one more tool, which does nothing: what a round trip costs by itself.

The tool travels the same way as every other: checked arguments, a worker thread, a method of the desk, a structured
answer.
"""

from __future__ import annotations

import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from gitcoord.mcp_server import run_stdio, server
from gitcoord.mcp_server.toolset import Tool
from gitcoord.service import Desk


def _nothing(_: Desk) -> dict[str, Any]:
    return {}


if __name__ == "__main__":
    Desk.nothing = _nothing  # pyright: ignore[reportAttributeAccessIssue]
    server.CORE["nothing"] = Tool("nothing", "Nothing", "Do nothing.", {}, {})
    sys.exit(run_stdio(sys.argv[1]))
