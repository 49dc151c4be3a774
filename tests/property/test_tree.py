"""Laws of trees: a working copy is a mapping of paths to bodies, and its tree is the one that git would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitcoord.tree import BLOB, TREE, Entry, Node, NodeCache, Tree
from support.ledger import MemoryObjects, object_id
from support.repo import git, make_repo

FAST = settings(max_examples=150, deadline=None, derandomize=True, database=None)
FEW = settings(max_examples=25, deadline=None, derandomize=True, database=None)

# Names that sort differently as a file and as a directory, and some that hold each other.
NAMES = [b"a", b"a.", b"a-", b"a0", b"ab", b"b", b"*", b"@x.json", b"%41", b"\xff"]
names = st.sampled_from(NAMES)
paths = st.lists(names, min_size=1, max_size=3).map(tuple)
steps = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "remove", "write", "fork", "reopen"]), paths, st.integers(0, 3)),
    max_size=40,
)


def naive_tree(model: dict[tuple[bytes, ...], bytes], prefix: tuple[bytes, ...] = ()) -> bytes:
    """Return the id of the tree of a mapping, built from nothing."""
    rows: list[tuple[bytes, bytes]] = []
    depth = len(prefix)
    for name in {path[depth] for path in model if path[:depth] == prefix}:
        body = model.get((*prefix, name))
        if body is not None:
            rows.append((name, b"100644 %b\0%b" % (name, object_id(b"blob", body))))
        else:
            rows.append((name + b"/", b"40000 %b\0%b" % (name, naive_tree(model, (*prefix, name)))))
    return object_id(b"tree", b"".join(row for _, row in sorted(rows)))


def fits(model: dict[tuple[bytes, ...], bytes], path: tuple[bytes, ...]) -> bool:
    """Tell whether a file can be at a path: nothing is below it, and no file is above it."""
    return not any(other != path and other[: len(path)] == path for other in model) and not any(
        path[:depth] in model for depth in range(1, len(path))
    )


def listed(tree: Tree) -> dict[tuple[bytes, ...], bytes]:
    found: dict[tuple[bytes, ...], bytes] = {}
    for path, here, name in tree.files(tree.root):
        body = tree.file(here, name)
        assert body is not None
        found[path] = tree.body(body)
    return found


@FAST
@given(steps)
def test_a_working_copy_is_a_mapping_and_its_tree_has_gits_id(taken: list[tuple[str, tuple[bytes, ...], int]]) -> None:
    objects = MemoryObjects()
    tree = Tree(NodeCache(objects.read, 20), None)
    model: dict[tuple[bytes, ...], bytes] = {}
    aside: tuple[Tree, dict[tuple[bytes, ...], bytes]] = (tree.fork(), {})
    for kind, path, number in taken:
        if kind == "put" and fits(model, path):
            tree.put(path, b"%d" % number)
            model[path] = b"%d" % number
        elif kind == "remove" and fits(model, path):
            tree.remove(path)
            model.pop(path, None)
        elif kind == "write":
            assert tree.write(objects.add) == naive_tree(model)
        elif kind == "reopen":
            tree = Tree(NodeCache(objects.read, 20), tree.write(objects.add))
        elif kind == "fork":
            aside = (tree, dict(model))
            tree = tree.fork()
        assert listed(tree) == model
    for copy, expected in ((tree, model), aside):
        assert listed(copy) == expected
        assert copy.write(objects.add) == naive_tree(expected)


@FAST
@given(steps)
def test_a_second_write_hands_over_nothing_new(taken: list[tuple[str, tuple[bytes, ...], int]]) -> None:
    objects = MemoryObjects()
    tree = Tree(NodeCache(objects.read, 20), None)
    model: dict[tuple[bytes, ...], bytes] = {}
    for _, path, number in taken:
        if fits(model, path):
            tree.put(path, b"%d" % number)
            model[path] = b"%d" % number
    root = tree.write(objects.add)
    objects.added.clear()
    assert tree.write(objects.add) == root
    assert {oid for _, oid in objects.added} <= {root}


entries = st.dictionaries(names, st.tuples(st.booleans(), st.binary(min_size=20, max_size=20)), max_size=10)


def node_of(found: dict[bytes, tuple[bool, bytes]]) -> Node:
    made = Node(b"", {}, [])
    return made.spliced({name: Entry(TREE if is_tree else BLOB, oid) for name, (is_tree, oid) in found.items()})


@FAST
@given(entries, entries, st.sets(names))
def test_splicing_is_building_anew(
    before: dict[bytes, tuple[bool, bytes]], changed: dict[bytes, tuple[bool, bytes]], removed: set[bytes]
) -> None:
    changes: dict[bytes, Any] = {
        name: Entry(TREE if is_tree else BLOB, oid) for name, (is_tree, oid) in changed.items()
    }
    changes |= dict.fromkeys(removed)
    after = {name: row for name, row in {**before, **changed}.items() if name not in removed}
    made = node_of(before).spliced(changes)
    built = node_of(after)
    assert made.raw == built.raw
    assert made.index == built.index
    parsed = Node.parse(made.raw, 20)
    assert parsed.index == made.index
    assert parsed.keys == made.keys
    assert sorted(parsed.wild) == sorted(name for name in after if b"*" in name)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_repo(Path(tmp_path_factory.mktemp("mktree")), files=False)


@FEW
@given(found=entries)
def test_the_order_of_entries_is_that_of_git_mktree(repo: str, found: dict[bytes, tuple[bool, bytes]]) -> None:
    rows = [
        b"%b %b %b\t%b" % (b"040000" if is_tree else BLOB, b"tree" if is_tree else b"blob", oid.hex().encode(), name)
        for name, (is_tree, oid) in found.items()
    ]
    told = git(repo, "mktree", "-z", "--missing", stdin=b"".join(row + b"\0" for row in rows))
    assert object_id(b"tree", node_of(found).raw).hex() == told
