"""`reference-transaction`: in this clone the log only grows, whatever program is at it.

gitcoord itself moves the ref without git, so what comes here is somebody else: a `git update-ref`, a forced fetch, a
mirror, a deletion. What grows the log along its first parents may pass.
"""

from __future__ import annotations

import os

from gitcoord.hooks import gitrun, speech
from gitcoord.hooks.push import is_zero
from gitcoord.model import LOG_REF


def reference_transaction(phase: str, text: str) -> bool:
    """Say why a change of the log's ref is stopped; false where it is."""
    if phase != "prepared":
        return True
    for line in text.splitlines():
        _, new, ref = (*line.split(" ", 2), "", "")[:3]
        if ref == LOG_REF and not _grows(new) and not (is_zero(new) and _is_only_packed()):
            what = "deleted" if is_zero(new) else f"set to {new[:10]}, which does not continue it"
            speech.tell(
                [
                    f"gitcoord: stopped: {LOG_REF} was to be {what}; the log only grows",
                    "next: git log refs/coord shows it; to stop guarding it: gitcoord hooks uninstall",
                ]
            )
            return False
    return True


def _is_only_packed() -> bool:
    """Tell whether it is only the loose copy of the packed log that goes, which is how git packs refs.

    Whoever deletes a packed ref holds the lock of the packed refs at this moment; who has just packed it does not.
    """
    code, found = gitrun.Running(["rev-parse", "--git-path", "packed-refs"]).end()
    path = os.fsdecode(found).removesuffix("\n")
    if code or os.path.lexists(f"{path}.lock") or os.path.lexists(f"{path}.new"):
        return False
    code, tip = gitrun.Running(["rev-parse", "-q", "--verify", LOG_REF]).end()
    try:
        with open(path, "rb") as file:
            return code == 0 and b"\n%b %b\n" % (tip.strip(), LOG_REF.encode()) in file.read()
    except OSError:
        return False


def _grows(new: str) -> bool:
    """Tell whether the log's present tip lies on the first-parent chain of a new one."""
    code, found = gitrun.Running(["rev-parse", "-q", "--verify", LOG_REF]).end()
    old = found.decode().strip()
    if code or old == new:
        return True
    if is_zero(new):
        return False
    chain = gitrun.Running(["rev-list", "--first-parent", new, f"^{old}^@"])
    code, found = chain.end()
    return code == 0 and old in found.decode().split()
