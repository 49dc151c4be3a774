"""How long who pushes to one remote holds back, so that of many clones in a tight loop none comes to nothing.

Who won needs no fetch before its next push, and who lost does: left to itself the one that won first wins for ever.
"""

from __future__ import annotations

import os

from gitcoord.model_time import Stamp
from gitcoord.runtime.shared import Contact, ms_since

_IN_A_ROW = 2
_LATELY_MS = 600_000
# A fetch and a push take less than so many pushes.
_A_TURN = 3
_LONGEST_WAY_S = 2.0
_OFTEN = 3
_LONGEST_BACKOFF_S = 1.0


def way_s(contact: Contact, now: Stamp, push_s: float) -> float:
    """Return for how long a clone leaves the way to others before it pushes again; 0 as a rule.

    After two pushes in a row that the remote took, four, eight, ..., where others were at work lately: as long as one
    of them needs to fetch and push, counted from the last of these pushes. Who pauses by itself waits for nothing.

    Args:
        contact: what was seen of the remote.
        now: now.
        push_s: how long a push took last.
    """
    if contact.won < _IN_A_ROW or contact.won & (contact.won - 1):
        return 0.0
    since_ms, others_ms = ms_since(contact.reached, now), ms_since(contact.others, now)
    if since_ms is None or others_ms is None or others_ms >= _LATELY_MS:
        return 0.0
    return max(0.0, min(push_s * _A_TURN, _LONGEST_WAY_S) - since_ms / 1000)


def backoff_s(lost_before: int, push_s: float) -> float:
    """Return for how long who lost a race waits before it fetches: another time for each, measured by a push.

    Who lost often waits no more: it would sleep through the moment that others leave to it.

    Args:
        lost_before: how many races were lost before this one.
        push_s: how long a push took last.
    """
    if not 0 < lost_before < _OFTEN:
        return 0.0
    return min(push_s * 2 ** (lost_before - 1), _LONGEST_BACKOFF_S) * os.urandom(1)[0] / 255
