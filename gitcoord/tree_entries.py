"""The entries of a git tree, out of its bytes.

The roots of a log's states have the same names, as a rule, and differ in what the names stand for: so where a small
tree of the same length has what is remembered, and only looked for there first.
"""

from __future__ import annotations

from itertools import chain

from gitcoord.values import Any, NamedTuple, cast

BLOB = b"100644"
TREE = b"40000"
_FEW_BYTES = 8192
_FEW_ROWS = 16
_LAYOUTS_KEPT = 200
_new = cast("Any", tuple).__new__
_ENTRY = {size: rb"(100644|40000) ([^/\0]+)\0(.{%d})" % size for size in (20, 32)}
# Of a row: its name, what stands before what it stands for, where that begins, where this does and ends, and its mode.
_Row = tuple[bytes, bytes, int, int, int, bytes]
_layouts: dict[int, list[_Row]] = {}


class Entry(NamedTuple):
    """What a name in a tree stands for."""

    mode: bytes
    oid: bytes

    @property
    def is_tree(self) -> bool:
        """Tell whether the name is a directory."""
        return self.mode == TREE


def _rows(raw: bytes, oid_size: int) -> list[tuple[bytes, bytes, bytes]]:
    """Return what stands in the rows of a small tree; rows that are none end the list early."""
    found: list[tuple[bytes, bytes, bytes]] = []
    at = 0
    while at < len(raw):
        blank, nul = raw.find(b" ", at), raw.find(b"\0", at)
        mode, name, oid = raw[at:blank], raw[blank + 1 : nul], raw[nul + 1 : nul + 1 + oid_size]
        if mode not in (BLOB, TREE) or not name or b"/" in name or not at < blank < nul or len(oid) != oid_size:
            break
        found.append((mode, name, oid))
        at = nul + 1 + oid_size
    return found


def _many_rows(raw: bytes, oid_size: int) -> list[tuple[bytes, bytes, bytes]]:
    """Return the same of a wide tree, in one call; what that needs is only loaded where it pays."""
    import re

    return re.findall(_ENTRY[oid_size], raw, re.DOTALL)


def _keep_layout(raw: bytes, rows: list[tuple[bytes, bytes, bytes]]) -> None:
    """Remember where a tree has what; of each length the last one."""
    if len(_layouts) >= _LAYOUTS_KEPT:
        _layouts.clear()
    layout: list[_Row] = []
    at = 0
    for mode, name, oid in rows:
        head = b"%b %b\0" % (mode, name)
        layout.append((name, head, at, at + len(head), at + len(head) + len(oid), mode))
        at += len(head) + len(oid)
    _layouts[len(raw)] = layout


def _rows_as_before(raw: bytes, oid_size: int) -> dict[bytes, Entry] | None:
    """Return the entries of a tree that has the same names as the last one of its length; None where it has not.

    The roots of a log's states do, as a rule, and differ in what the names stand for.
    """
    layout = _layouts.get(len(raw))
    if not layout or layout[0][4] - layout[0][3] != oid_size:
        return None
    found: dict[bytes, Entry] = {}
    for name, head, at, begin, end, mode in layout:
        if not raw.startswith(head, at):
            return None
        found[name] = _new(Entry, (mode, raw[begin:end]))
    return found


def parse_entries(raw: bytes, oid_size: int) -> dict[bytes, Entry]:
    """Return the entries of a tree object's body by name, in its order.

    Raises:
        ValueError: the bytes are not a tree.
    """
    if len(raw) < _FEW_BYTES:
        known = _rows_as_before(raw, oid_size)
        if known is not None:
            return known
        rows = _rows(raw, oid_size)
    else:
        rows = _many_rows(raw, oid_size)
    # Three texts a row, and a blank and a NUL between them.
    if sum(map(len, chain.from_iterable(rows))) + 2 * len(rows) != len(raw):
        raise ValueError("not a tree object")
    if len(rows) <= _FEW_ROWS:
        _keep_layout(raw, rows)
    # Thousands of entries are made for each one that is looked at: the tuple's own constructor is the quickest.
    return {name: _new(Entry, (mode, oid)) for mode, name, oid in rows}
