"""News for sessions: what reaches them once, and what is left for those that are gone."""

from __future__ import annotations

from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.coordinator import Receipt
    from gitcoord.model import Session


def deliver(runtime: str, record: Session) -> list[str]:
    """Return the notices on a session's record that it has not been told, and remember that it is.

    Raises:
        StorageFault: that cannot be remembered.
    """
    from gitcoord.runtime.told import Told

    told = Told(runtime)
    fresh = told.fresh(record["incarnation"], [notice["id"] for notice in record["notices"]])
    told.remember(record["incarnation"], fresh)
    return [notice["text"] for notice in record["notices"] if notice["id"] in fresh]


def pass_word(runtime: str, receipt: Receipt, notices: list[str]) -> None:
    """Leave word for those whose sessions were ended, and give it to those who come again under such an id.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    from gitcoord.runtime.told import leave_word, take_word

    for operation, facts in zip(receipt.operations, receipt.facts, strict=True):
        lost = [str(lock["path"]) for lock in facts.get("released", [])]
        if operation["type"] == "session.reap":
            what = f"; it held {', '.join(lost[:5])}" if lost else ""
            text = f"your session was ended by {operation['session']} at {operation['clock']['time']}{what}"
            leave_word(runtime, operation["target"], text)
        elif operation["type"] == "session.start" and operation["takeover"] is None:
            notices.extend(take_word(runtime, operation["session"]))


def settle(keep_notes: Callable[[], None], notices: list[str]) -> None:
    """Keep notes beside the log. What is published stands, whatever becomes of them."""
    try:
        keep_notes()
    except CoordError as error:
        notices.append(f"gitcoord could not keep its notes: {error.message}")
