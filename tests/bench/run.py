"""Measure gitcoord against its alternatives and print a table of ratios with their limits.

    python tests/bench/run.py [--check] [--quick] [--only NAME]... [--json]

Run it with the interpreter of an environment that has gitcoord and its development group installed.
"""

from __future__ import annotations

import os
import sys


def _main() -> int:
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # `bench` and `support` are packages in tests; gitcoord is this checkout's, installed or not.
    sys.path[:1] = [tests, os.path.dirname(tests)]
    from bench.suite import main

    return main()


if __name__ == "__main__":
    sys.exit(_main())
