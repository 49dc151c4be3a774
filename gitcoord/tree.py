"""A git tree as a value: read where it is looked at, shared where it is equal, written where it changed.

A `Node` is one parsed tree object. It never changes and is found by its object id, so two states that differ in one
lock share all nodes but those on the way to it, and moving to a new tip costs what changed between the two. A
`Tree` is a working copy over such nodes: changes are kept beside them until `write` splices the new entries into the
raw bytes of the old tree (building a wide tree anew costs ten times as much) and hands the results to a sink.

Nothing here does I/O by itself: objects come from the `read` function and go to the `add` function that are passed in.

Sources: gitformat-tree (order of entries: a directory sorts as if its name ended in a slash).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

from gitcoord.errors import ObjectDamaged
from gitcoord.tree_entries import BLOB, TREE, Entry, parse_entries
from gitcoord.values import Any, cast

Reader = Callable[[bytes], tuple[bytes, bytes]]
Sink = Callable[[bytes, bytes], bytes]
Parts = tuple[bytes, ...]

_new = cast("Any", tuple).__new__
_CACHE_BYTES = 48 * 1024 * 1024


def _sort_key(name: bytes, mode: bytes) -> bytes:
    return name + b"/" if mode == TREE else name


class Node:
    """One tree object, parsed. Equal ids are one node; nothing may change it."""

    __slots__ = ("_keys", "_marked", "_wild", "index", "raw")

    def __init__(self, raw: bytes, index: dict[bytes, Entry], keys: list[bytes] | None = None) -> None:
        """Keep the raw bytes and the entries by name; `keys` are the sort keys in order, where they are known."""
        self.raw = raw
        self.index = index
        self._keys = keys
        self._wild: tuple[bytes, ...] | None = None
        self._marked: tuple[bytes, ...] | None = None

    @classmethod
    def parse(cls, raw: bytes, oid_size: int) -> Node:
        """Parse a tree object's body.

        Raises:
            ValueError: the bytes are not a tree.
        """
        return cls(raw, parse_entries(raw, oid_size))

    @property
    def keys(self) -> list[bytes]:
        """The sort keys of the entries, in the tree's order."""
        if self._keys is None:
            self._keys = [name if mode == BLOB else name + b"/" for name, (mode, _) in self.index.items()]
        return self._keys

    @property
    def wild(self) -> tuple[bytes, ...]:
        """The names that hold a wildcard."""
        if self._wild is None:
            has_any = b"*" in self.raw or b"?" in self.raw
            self._wild = tuple(n for n in self.index if b"*" in n or b"?" in n) if has_any else ()
        return self._wild

    @property
    def marked(self) -> tuple[bytes, ...]:
        """The names that begin with `@`."""
        if self._marked is None:
            self._marked = tuple(n for n in self.index if n[:1] == b"@") if b" @" in self.raw else ()
        return self._marked

    def spliced(self, changes: dict[bytes, Entry | None]) -> Node:
        """Return the node in which names stand for other entries, or for none.

        Args:
            changes: the new entry of each name; None removes it.
        """
        raw, index = self.raw, dict(self.index)
        keys: list[bytes] | None = None
        for name, entry in changes.items():
            old = index.get(name)
            if old is not None and entry is not None and old.mode == entry.mode:
                # The commonest change by far: the entry stays in its place.
                row = b"%b %b\0%b" % (old.mode, name, old.oid)
                raw = raw.replace(row, row[: -len(old.oid)] + entry.oid, 1)
                index[name] = entry
                continue
            if keys is None:
                keys = list(self.keys)
            if old is not None:
                del index[name]
                row = b"%b %b\0%b" % (old.mode, name, old.oid)
                at = raw.index(row)
                raw = raw[:at] + raw[at + len(row) :]
                del keys[bisect_left(keys, _sort_key(name, old.mode))]
            if entry is None:
                continue
            key = _sort_key(name, entry.mode)
            place = bisect_left(keys, key)
            at = len(raw)
            if place < len(keys):
                after = keys[place]
                name_after = after[:-1] if after.endswith(b"/") else after
                follower = index[name_after]
                at = raw.index(b"%b %b\0%b" % (follower.mode, name_after, follower.oid))
            raw = raw[:at] + b"%b %b\0%b" % (entry.mode, name, entry.oid) + raw[at:]
            keys.insert(place, key)
            index[name] = entry
        return Node(raw, index, self._keys if keys is None else keys)


_EMPTY = Node(b"", {}, [])


class NodeCache:
    """The nodes that were looked at, by object id.

    Bounded by size: when it is full it is emptied, and what is needed is read again.
    """

    def __init__(self, read: Reader, oid_size: int) -> None:
        """Read missing objects through `read`, whose ids are `oid_size` bytes long."""
        self._read = read
        self._oid_size = oid_size
        self._nodes: dict[bytes, Node] = {}
        self._bytes = 0

    def node(self, oid: bytes) -> Node:
        """Return the tree with this id.

        Raises:
            ObjectMissing: no such object.
            ObjectDamaged: it is no tree, or not a well-formed one.
        """
        found = self._nodes.get(oid)
        if found is None:
            kind, raw = self._read(oid)
            if kind != b"tree":
                raise _wrong_kind(oid, kind, "a tree")
            try:
                found = Node.parse(raw, self._oid_size)
            except ValueError as error:
                raise ObjectDamaged(f"object {oid.hex()} is damaged: {error}", next="gitcoord doctor") from error
            self.keep(oid, found)
        return found

    def keep(self, oid: bytes, node: Node) -> None:
        """Remember a node that was just written."""
        if self._bytes > _CACHE_BYTES:
            self._nodes = {}
            self._bytes = 0
        self._bytes += len(node.raw) * 3 + 200
        self._nodes[oid] = node

    def blob(self, oid: bytes) -> bytes:
        """Return the body of the blob with this id.

        Raises:
            ObjectMissing: no such object.
            ObjectDamaged: it is no blob.
        """
        kind, body = self._read(oid)
        if kind != b"blob":
            raise _wrong_kind(oid, kind, "a record")
        return body


def _wrong_kind(oid: bytes, kind: bytes, wanted: str) -> ObjectDamaged:
    found = kind.decode(errors="replace")
    return ObjectDamaged(f"object {oid.hex()} is a {found} where {wanted} should be", next="gitcoord doctor")


class Draft:
    """A file's content that is put together when it is written, if it is: most states change a file more than once.

    Attributes:
        value: what the content says; nobody may change it.
    """

    __slots__ = ("_body", "_encode", "value")

    def __init__(self, value: Any, encode: Callable[[Any], bytes]) -> None:
        """Take the value, and the function that makes the content of it."""
        self.value = value
        self._encode = encode
        self._body: bytes | None = None

    @property
    def body(self) -> bytes:
        """The content."""
        if self._body is None:
            self._body = self._encode(self.value)
        return self._body


class Dir:
    """A directory of a working copy: a node, and what was changed over it."""

    __slots__ = ("base", "changes")

    def __init__(self, base: Node) -> None:
        """Start without changes."""
        self.base = base
        self.changes: dict[bytes, Dir | Draft | bytes | None] = {}

    def fork(self) -> Dir:
        """Return an independent copy; unchanged parts stay shared."""
        copy = Dir(self.base)
        stack: list[tuple[Dir, Dir]] = [(self, copy)]
        while stack:
            old, new = stack.pop()
            for name, change in old.changes.items():
                if isinstance(change, Dir):
                    below = Dir(change.base)
                    stack.append((change, below))
                    new.changes[name] = below
                else:
                    new.changes[name] = change
        return copy

    def empty(self) -> bool:
        """Tell whether no entry is left."""
        known = self.base.index
        if len(self.changes) < len(known):
            return False  # one was not touched; counting anew for each of many removals would take their square
        gone = sum(1 for name, change in self.changes.items() if change is None and name in known)
        new = sum(1 for name, change in self.changes.items() if change is not None and name not in known)
        return len(known) - gone + new == 0

    def names(self) -> list[bytes]:
        """Return the names of the entries, in no promised order."""
        if not self.changes:
            return list(self.base.index)
        kept = [n for n in self.base.index if n not in self.changes]
        return kept + [n for n, c in self.changes.items() if c is not None]

    def wild(self) -> list[bytes]:
        """Return the names that hold a wildcard."""
        kept = [n for n in self.base.wild if n not in self.changes]
        return kept + [n for n, c in self.changes.items() if c is not None and (b"*" in n or b"?" in n)]

    def marked(self) -> list[bytes]:
        """Return the names that begin with `@`."""
        kept = [n for n in self.base.marked if n not in self.changes]
        return kept + [n for n, c in self.changes.items() if c is not None and n[:1] == b"@"]


class Tree:
    """A working copy of a tree: files by their parts, changed in memory, written when asked.

    Not for several threads at once. `fork` is cheap and makes copies that do not see each other's changes.
    """

    def __init__(self, cache: NodeCache, root: bytes | None) -> None:
        """Start from the tree with id `root`, or from an empty one."""
        self._cache = cache
        self._undo: list[tuple[Dir, bytes, bool, Dir | Draft | bytes | None]] | None = None
        self.root = Dir(cache.node(root) if root else _EMPTY)

    def fork(self) -> Tree:
        """Return an independent working copy of the same contents."""
        copy = Tree(self._cache, None)
        copy.root = self.root.fork()
        return copy

    def savepoint(self) -> None:
        """Let `rollback` come back to here. Costs nothing now, and little for each later change."""
        self._undo = []

    def rollback(self) -> None:
        """Undo every change since the last savepoint, which stays one."""
        undo = self._undo or []
        while undo:
            directory, name, was_changed, change = undo.pop()
            if was_changed:
                directory.changes[name] = change
            else:
                del directory.changes[name]

    def _change(self, directory: Dir, name: bytes, change: Dir | Draft | bytes | None) -> None:
        if self._undo is not None:
            self._undo.append((directory, name, name in directory.changes, directory.changes.get(name)))
        directory.changes[name] = change

    def enter(self, directory: Dir, name: bytes) -> Dir | None:
        """Return the subdirectory of that name, or None where it is missing or a file."""
        if name in directory.changes:
            change = directory.changes[name]
            return change if isinstance(change, Dir) else None
        entry = directory.base.index.get(name)
        return Dir(self._cache.node(entry.oid)) if entry is not None and entry.is_tree else None

    def open(self, parts: Parts) -> Dir | None:
        """Return the directory at these parts, for looking only; None where there is none."""
        directory: Dir | None = self.root
        for name in parts:
            if directory is None:
                return None
            directory = self.enter(directory, name)
        return directory

    def file(self, directory: Dir, name: bytes) -> bytes | Draft | Entry | None:
        """Return a file's content if it was changed here, its entry if not, None where there is no such file."""
        if name in directory.changes:
            change = directory.changes[name]
            return change if isinstance(change, (bytes, Draft)) else None
        entry = directory.base.index.get(name)
        return None if entry is None or entry.is_tree else entry

    def find(self, parts: Parts) -> bytes | Draft | Entry | None:
        """Do as `file` does, by the whole path."""
        directory = self.open(parts[:-1])
        return None if directory is None else self.file(directory, parts[-1])

    @property
    def blob(self) -> Callable[[bytes], bytes]:
        """Reads a file of the tree by its object id; see `NodeCache.blob`."""
        return self._cache.blob

    def body(self, found: bytes | Draft | Entry) -> bytes:
        """Return the bytes of what `file` or `find` returned."""
        if isinstance(found, Draft):
            return found.body
        return found if isinstance(found, bytes) else self._cache.blob(found.oid)

    def put(self, parts: Parts, body: bytes | Draft) -> None:
        """Let the file at these parts hold `body`, making directories on the way."""
        directory = self.root
        for name in parts[:-1]:
            child = directory.changes.get(name)
            if not isinstance(child, Dir):
                child = self.enter(directory, name) or Dir(_EMPTY)
                self._change(directory, name, child)
            directory = child
        self._change(directory, parts[-1], body)

    def remove(self, parts: Parts) -> None:
        """Let there be no file at these parts; directories that become empty go with it."""
        if self.find(parts) is None:
            return
        way = [self.root]
        for name in parts[:-1]:
            here = way[-1]
            child = here.changes.get(name)
            if not isinstance(child, Dir):
                child = self.enter(here, name) or Dir(_EMPTY)
                self._change(here, name, child)
            way.append(child)
        self._change(way[-1], parts[-1], None)
        for at in range(len(way) - 1, 0, -1):
            if not way[at].empty():
                break
            self._change(way[at - 1], parts[at - 1], None)

    def files(self, directory: Dir, prefix: Parts = ()) -> Iterator[tuple[Parts, Dir, bytes]]:
        """Walk all files at and below a directory, by name within each directory.

        Yields:
            the file's parts below `prefix`, its directory and its name in it.
        """
        stack = [(prefix, directory)]
        while stack:
            path, here = stack.pop()
            below: list[tuple[Parts, Dir]] = []
            for name in sorted(here.names()):
                child = self.enter(here, name)
                if child is None:
                    yield (*path, name), here, name
                else:
                    below.append(((*path, name), child))
            stack.extend(reversed(below))

    def write(self, add: Sink) -> bytes:
        """Hand every new blob and tree to `add` and return the root's id. No savepoint outlives it.

        Args:
            add: takes a kind and a body, returns the object's id.
        """
        self._undo = None
        order: list[tuple[Dir, Dir | None, bytes]] = []
        stack: list[tuple[Dir, Dir | None, bytes]] = [(self.root, None, b"")]
        while stack:
            item = stack.pop()
            order.append(item)
            stack.extend((c, item[0], n) for n, c in item[0].changes.items() if isinstance(c, Dir))
        entries: dict[int, dict[bytes, Entry | None]] = {}
        root = b""
        for directory, parent, name in reversed(order):
            changes = entries.pop(id(directory), {})
            for file_name, body in directory.changes.items():
                if body is None:
                    changes[file_name] = None
                elif not isinstance(body, Dir):
                    oid = add(b"blob", body if isinstance(body, bytes) else body.body)
                    changes[file_name] = _new(Entry, (BLOB, oid))
            node = directory.base.spliced(changes) if changes else directory.base
            directory.base, directory.changes = node, {}
            if parent is not None and not node.index:
                entries.setdefault(id(parent), {})[name] = None
                continue
            oid = add(b"tree", node.raw)
            self._cache.keep(oid, node)
            if parent is None:
                root = oid
            else:
                entries.setdefault(id(parent), {})[name] = _new(Entry, (TREE, oid))
        return root
