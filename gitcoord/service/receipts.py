"""Reading a receipt: what one operation of a request came to."""

from __future__ import annotations

from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitcoord.coordinator import Receipt
    from gitcoord.model import Operation


def facts_of(receipt: Receipt, kind: str) -> tuple[Operation, dict[str, Any], int] | None:
    """Return the last operation of a type in a receipt with its facts and revision."""
    rows = list(zip(receipt.operations, receipt.facts, receipt.revisions, strict=True))
    return next((row for row in reversed(rows) if row[0]["type"] == kind), None)
