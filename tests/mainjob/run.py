"""Run the main job in a scratch directory of its own: `python tests/mainjob/run.py [--project DIR] [--keep] [--json]`.

This file only makes the surroundings: an environment that says nothing of whoever runs it, a directory that is removed
at the end. The job itself is `mainjob.job`, in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_ROOT = os.path.dirname(_TESTS)


def main() -> int:
    """Parse the arguments, run the job, clean up, and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", metavar="DIR", help="copy this project, not the sources of installed packages")
    parser.add_argument("--keep", action="store_true", help="leave the scratch directory, and say where it is")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    args = parser.parse_args()

    from gitcoord import config
    from support.repo import GITCONFIG, scrubbed

    scratch = os.path.realpath(tempfile.mkdtemp(prefix="gitcoord-mainjob-"))
    home = os.path.join(scratch, "home")
    os.mkdir(home)
    with open(os.path.join(home, ".gitconfig"), "w", encoding="utf-8") as file:
        file.write(GITCONFIG)
    # Safe path: the project has files named like modules of the standard library, and commands run among them.
    env = scrubbed(config.environment(), home) | {"PYTHONPATH": os.pathsep.join((_TESTS, _ROOT)), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "mainjob.job", scratch]
    command += ["--project", os.path.abspath(args.project)] if args.project else []
    command += ["--json"] if args.json else []
    try:
        return subprocess.run(command, env=env, cwd=scratch, check=False).returncode
    finally:
        if args.keep:
            print(f"kept: {scratch}", file=sys.stderr)
        else:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.path[:0] = [_TESTS, _ROOT]
    sys.exit(main())
