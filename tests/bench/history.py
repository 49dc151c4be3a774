"""What a commit of the log newly brought into the repository, so that others can write exactly the same.

A baseline that writes a history's commits again has to arrive at the same commit ids: then it wrote the same objects,
in the same layout, and nothing less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pygit2
from pygit2.enums import FileMode, ObjectType

from support.repo import LOG_REF

if TYPE_CHECKING:
    from collections.abc import Iterator

REF = LOG_REF


class NewTree(NamedTuple):
    """A new tree: the one of the parent commit that it came from, and what is different."""

    before: str | None
    changes: list[tuple[str, str | None, FileMode]]
    listing: list[tuple[FileMode, str, str, str]]


class Step(NamedTuple):
    """A commit and what is new in it: `blobs` by content, `trees` with the deeper ones first."""

    commit: str
    parent: str
    blobs: list[bytes]
    trees: list[NewTree]
    tree: str
    author: pygit2.Signature
    committer: pygit2.Signature
    message: str
    reflog: str
    raw: list[tuple[ObjectType, bytes]]


class Source:
    """Reads the steps of a repository's log.

    Args:
        path: the repository.
    """

    def __init__(self, path: str) -> None:
        self._repo = pygit2.Repository(path)

    def tip(self) -> str:
        """Return the newest commit of the log."""
        return str(self._repo.references[REF].target)

    def since(self, old: str) -> list[Step]:
        """Return the steps from an older tip to the newest, the oldest first."""
        found: list[Step] = []
        commit = self._commit(self.tip())
        while str(commit.id) != old:
            found.append(self._step(commit))
            commit = commit.parents[0]
        return found[::-1]

    def _commit(self, oid: str) -> pygit2.Commit:
        found = self._repo[oid]
        assert isinstance(found, pygit2.Commit)
        return found

    def _step(self, commit: pygit2.Commit) -> Step:
        parent = commit.parents[0]
        blobs: list[bytes] = []
        trees: list[NewTree] = []
        raw: list[tuple[ObjectType, bytes]] = []
        self._compare(parent.tree, commit.tree, blobs, trees, raw)
        raw.append((ObjectType.COMMIT, commit.read_raw()))
        return Step(
            str(commit.id),
            str(parent.id),
            blobs,
            trees,
            str(commit.tree.id),
            commit.author,
            commit.committer,
            commit.message,
            f"coord: {commit.message.splitlines()[0]}",
            raw,
        )

    def _compare(
        self,
        old: pygit2.Tree | None,
        new: pygit2.Tree,
        blobs: list[bytes],
        trees: list[NewTree],
        raw: list[tuple[ObjectType, bytes]],
    ) -> None:
        before = {} if old is None else {entry.name or "": entry for entry in old}
        after = {entry.name or "": entry for entry in new}
        changes: list[tuple[str, str | None, FileMode]] = [
            (name, None, entry.filemode) for name, entry in before.items() if name not in after
        ]
        for name, entry in after.items():
            was = before.get(name)
            if was is not None and was.id == entry.id:
                continue
            changes.append((name, str(entry.id), entry.filemode))
            if isinstance(entry, pygit2.Tree):
                self._compare(was if isinstance(was, pygit2.Tree) else None, entry, blobs, trees, raw)
            else:
                blobs.append(entry.read_raw())
                raw.append((ObjectType.BLOB, blobs[-1]))
        trees.append(NewTree(None if old is None else str(old.id), changes, list(_listing(after))))
        raw.append((ObjectType.TREE, new.read_raw()))


def _listing(entries: dict[str, pygit2.Object]) -> Iterator[tuple[FileMode, str, str, str]]:
    for name, entry in entries.items():
        kind = "tree" if isinstance(entry, pygit2.Tree) else "blob"
        yield entry.filemode, kind, str(entry.id), name
