"""Bad history that the remote has: none of it is used, it is kept for the eye, and every answer says so meanwhile."""

from __future__ import annotations

from gitcoord.runtime.shared import read_contact, read_shared
from gitcoord.store.siderefs import KEPT
from gitcoord.values import Any


def standing(runtime: str) -> dict[str, Any] | None:
    """Return what is kept out of use, with the ref that shows it; None where nothing is, or nothing is shared."""
    if read_shared(runtime) is None:
        return None
    found = read_contact(runtime).quarantine
    return None if found is None else {**found, "ref": f"{KEPT}/{found.get('tip')}"}


def notice(runtime: str) -> str | None:
    """Return what every answer has to say while bad history is kept out of use; None where there is none."""
    found = standing(runtime)
    if found is None:
        return None
    return (
        f"the remote's log holds bad history, and none of it is used here: its tip {found.get('tip')} is kept as "
        f"{found['ref']}; the first bad commit is {found.get('commit')}, by the rule {found.get('rule')}; what is good "
        f"goes up to {found.get('good')}. Do: {found.get('next')}"
    )
