"""Trees as values: what is written is what git would write, and only what changed is written."""

from __future__ import annotations

import pytest

from gitcoord.errors import ObjectDamaged
from gitcoord.tree import BLOB, TREE, Entry, Node, NodeCache, Tree
from support.ledger import MemoryObjects, object_id

EMPTY_TREE = bytes.fromhex("4b825dc642cb6eb9a060e54bf8d69288fbee4904")


def oid(number: int) -> bytes:
    return bytes([number]) * 20


def raw(*rows: tuple[bytes, bytes, bytes]) -> bytes:
    return b"".join(b"%b %b\0%b" % row for row in rows)


def tree_of(objects: MemoryObjects, root: bytes | None = None) -> Tree:
    return Tree(NodeCache(objects.read, 20), root)


def paths_of(tree: Tree) -> list[bytes]:
    return [b"/".join(parts) for parts, _, _ in tree.files(tree.root)]


def test_an_empty_tree_has_the_id_that_git_gives_it() -> None:
    assert tree_of(MemoryObjects()).write(object_id) == EMPTY_TREE


def test_a_directory_sorts_as_if_its_name_ended_in_a_slash() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    for path in ((b"a", b"x"), (b"a.b",), (b"a-b",), (b"a0",), (b"ab",)):
        tree.put(path, b"")
    _, body = objects.read(tree.write(objects.add))
    assert list(Node.parse(body, 20).index) == [b"a-b", b"a.b", b"a", b"a0", b"ab"]


def test_a_name_that_becomes_a_directory_moves_to_its_new_place() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    tree.put((b"a",), b"1")
    tree.put((b"a.b",), b"2")
    tree.write(objects.add)
    tree.remove((b"a",))
    tree.put((b"a", b"x"), b"3")
    _, body = objects.read(tree.write(objects.add))
    assert list(Node.parse(body, 20).index) == [b"a.b", b"a"]
    tree.remove((b"a", b"x"))
    tree.put((b"a",), b"4")
    _, body = objects.read(tree.write(objects.add))
    assert list(Node.parse(body, 20).index) == [b"a", b"a.b"]


def test_a_write_hands_over_only_what_changed() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    for number in range(50):
        tree.put((b"wide", b"%02d" % number, b"f"), b"%d" % number)
    tree.write(objects.add)
    objects.added.clear()
    tree.put((b"wide", b"07", b"f"), b"new")
    tree.write(objects.add)
    assert [kind for kind, _ in objects.added] == [b"blob", b"tree", b"tree", b"tree"]


def test_writing_twice_gives_the_same_tree() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    tree.put((b"a", b"b"), b"1")
    assert tree.write(objects.add) == tree.write(objects.add)


def test_a_directory_that_becomes_empty_leaves_the_tree() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    tree.put((b"keep",), b"1")
    before = tree.write(objects.add)
    tree.put((b"a", b"b", b"c"), b"2")
    tree.put((b"a", b"d"), b"3")
    tree.write(objects.add)
    tree.remove((b"a", b"b", b"c"))
    tree.remove((b"a", b"d"))
    assert tree.write(objects.add) == before


def test_removing_what_is_not_there_changes_nothing() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    tree.put((b"a", b"b"), b"1")
    before = tree.write(objects.add)
    for missing in ((b"x",), (b"a", b"x"), (b"a", b"b", b"c"), (b"x", b"y", b"z")):
        tree.remove(missing)
        assert tree.write(objects.add) == before, missing


def test_a_file_that_comes_and_goes_between_two_writes_leaves_no_trace() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    tree.put((b"a",), b"1")
    before = tree.write(objects.add)
    tree.put((b"new", b"deep", b"file"), b"2")
    tree.remove((b"new", b"deep", b"file"))
    assert tree.write(objects.add) == before


def test_a_fork_and_its_source_do_not_see_each_others_changes() -> None:
    objects = MemoryObjects()
    one = tree_of(objects)
    one.put((b"a", b"b"), b"1")
    other = one.fork()
    one.put((b"a", b"c"), b"2")
    other.put((b"a", b"d"), b"3")
    other.remove((b"a", b"b"))
    assert paths_of(one) == [b"a/b", b"a/c"]
    assert paths_of(other) == [b"a/d"]
    one.write(objects.add)
    assert paths_of(other) == [b"a/d"]


def test_changes_are_seen_before_they_are_written() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    tree.put((b"a", b"b"), b"1")
    tree.write(objects.add)
    tree.put((b"a", b"b"), b"2")
    found = tree.find((b"a", b"b"))
    assert found is not None
    assert tree.body(found) == b"2"
    tree.remove((b"a", b"b"))
    assert tree.find((b"a", b"b")) is None


def test_a_directory_is_no_file_and_a_file_is_no_directory() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    tree.put((b"a", b"b"), b"1")
    for looked_at in (tree, tree_of(objects, tree.write(objects.add))):
        assert looked_at.find((b"a",)) is None
        assert looked_at.open((b"a", b"b")) is None
        assert looked_at.find((b"a", b"b", b"c")) is None


def test_names_with_wildcards_are_found_in_old_and_new_entries() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    for name in (b"plain", b"*.py", b"old?"):
        tree.put((name, b"f"), b"1")
    tree.write(objects.add)
    tree.put((b"new*", b"f"), b"2")
    tree.remove((b"old?", b"f"))
    tree.write(objects.add)
    assert sorted(tree.root.wild()) == [b"*.py", b"new*"]


@pytest.mark.parametrize("size", [20, 32])
def test_a_row_is_spliced_where_an_object_id_looks_like_another_row(size: int) -> None:
    # The bytes of an id may be anything, another entry's text too.
    trap = (b"100644 b\0" + b"x" * size)[:size]
    node = Node.parse(raw((BLOB, b"a", trap), (BLOB, b"b", b"y" * size)), size)
    made = node.spliced({b"b": Entry(BLOB, b"z" * size), b"aa": Entry(BLOB, b"w" * size)})
    assert made.raw == raw((BLOB, b"a", trap), (BLOB, b"aa", b"w" * size), (BLOB, b"b", b"z" * size))


def test_splicing_leaves_the_old_node_as_it_was() -> None:
    node = Node.parse(raw((BLOB, b"a", oid(1)), (TREE, b"b", oid(2))), 20)
    before = (node.raw, dict(node.index), list(node.keys))
    node.spliced({b"a": None, b"b": Entry(BLOB, oid(3)), b"c": Entry(TREE, oid(4))})
    assert (node.raw, dict(node.index), list(node.keys)) == before


GOOD = raw((BLOB, b"a", oid(1)), (TREE, b"b", oid(2)))


@pytest.mark.parametrize(
    "body",
    [GOOD[:-1], GOOD[2:], GOOD + b"\n", GOOD.replace(b"\0", b"\1"), b"100644 \0" + oid(1), b"100644 a/b\0" + oid(1)],
    ids=["cut at the end", "cut at the start", "one byte more", "without NUL", "an empty name", "a slash in a name"],
)
def test_bytes_that_are_no_tree_are_reported_by_their_objects_name(body: bytes) -> None:
    objects = MemoryObjects()
    damaged = objects.add(b"tree", body)
    with pytest.raises(ObjectDamaged, match=damaged.hex()):
        tree_of(objects, damaged)


def test_a_blob_where_a_tree_should_be_and_the_other_way_round_is_reported() -> None:
    objects = MemoryObjects()
    blob = objects.add(b"blob", b"text")
    with pytest.raises(ObjectDamaged, match="a blob where a tree should be"):
        tree_of(objects, blob)
    inner = objects.add(b"tree", b"")
    root = objects.add(b"tree", raw((BLOB, b"a", inner)))
    tree = tree_of(objects, root)
    found = tree.find((b"a",))
    assert found is not None
    with pytest.raises(ObjectDamaged, match="a tree where a record should be"):
        tree.body(found)


def test_a_full_cache_reads_again_and_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitcoord.tree._CACHE_BYTES", 0)
    objects = MemoryObjects()
    tree = tree_of(objects)
    for number in range(5):
        tree.put((b"d%d" % number, b"f"), b"x")
    tree.write(objects.add)
    assert paths_of(tree) == [b"d%d/f" % number for number in range(5)]


def test_a_rollback_undoes_all_that_changed_since_the_savepoint_and_nothing_else() -> None:
    objects = MemoryObjects()
    tree = tree_of(objects)
    tree.put((b"a", b"b", b"c"), b"1")
    tree.put((b"d",), b"1")
    kept = tree.write(objects.add)
    tree.put((b"a", b"x"), b"2")
    tree.savepoint()
    tree.put((b"d",), b"3")
    tree.remove((b"a", b"b", b"c"))
    tree.put((b"a", b"b", b"e"), b"3")
    tree.remove((b"a", b"x"))
    tree.put((b"new", b"f"), b"3")
    tree.rollback()
    assert sorted(paths_of(tree)) == [b"a/b/c", b"a/x", b"d"]
    tree.put((b"d",), b"4")
    tree.rollback()
    tree.remove((b"a", b"x"))
    assert tree.write(objects.add) == kept
