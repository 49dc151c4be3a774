"""Which files a patch in the form of Codex's `apply_patch` writes: they stand inside the tool's command."""

from __future__ import annotations

_MARKS = ("*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: ")
_BEGIN = "*** Begin Patch"


def patched_files(text: str) -> list[str]:
    """Return the paths that a patch adds, changes, deletes or moves to, in their order."""
    found: dict[str, None] = {}
    for line in text.splitlines():
        mark = next((mark for mark in _MARKS if line.strip().startswith(mark)), None)
        if mark is not None:
            found[line.strip()[len(mark) :].strip()] = None
    return [path for path in found if path]


def is_patch(text: str) -> bool:
    """Tell whether a text holds such a patch."""
    return _BEGIN in text
