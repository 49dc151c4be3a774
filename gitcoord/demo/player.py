"""`python -m gitcoord.demo.player PIDFILE ARGUMENT...`: the program itself, in a process whose id is known.

An MCP client library starts its servers itself and does not tell their process ids; to kill one, the demo needs it.
"""

from __future__ import annotations

import os
import runpy
import sys

if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    del sys.argv[1]
    runpy.run_module("gitcoord", run_name="__main__", alter_sys=True)
