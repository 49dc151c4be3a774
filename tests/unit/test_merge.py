"""Two tips and what each lacks of the other: who meets where, what is no merge, and what is not believed."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitcoord import merge, render
from gitcoord.errors import IntegrityFault, ObjectMissing, UnreadableRecord, UnsupportedFormat
from gitcoord.log import Commit
from gitcoord.model import Operation
from gitcoord.state import State
from support.branches import Branch, Dag


@pytest.fixture
def here() -> Branch:
    made = Branch()
    made.start("s1")
    made.start("s2")
    return made


def forged(
    branch: Branch, *operations: Operation, parents: list[bytes] | None = None, revision: int | None = None
) -> bytes:
    """Add a commit as somebody might make it by hand: the tree is the tip's, with another header."""
    at = branch.revision + 1 if revision is None else revision
    return branch.dag.by_hand(branch.head, list(operations), [branch.head] if parents is None else parents, at)


def diverged(here: Branch) -> tuple[Branch, bytes]:
    """Return a clone, and the merge of its tip and ours, in which something was refused."""
    there = here.clone()
    there.lock("s2", "a")
    here.lock("s1", "a")
    here.store("s1", "s", "k", 1)
    made = here.dag.merge(there.head, here.head)
    assert made is not None
    return there, made


def instead_of(dag: Dag, made: bytes, operation: Any) -> bytes:
    """Add a commit that is like another one, and records another operation."""
    return dag.by_hand(made, [operation], dag.commit(made).parents, dag.commit(made).revision)


# -- who meets where


class Chain:
    """A log of commits without states: of each the parents and the revision."""

    def __init__(self, commits: dict[bytes, tuple[list[bytes], int]]) -> None:
        self._commits = commits
        self.asked = 0

    def commit(self, oid: bytes) -> Commit:
        self.asked += 1
        parents, revision = self._commits[oid]
        return Commit(oid, b"", parents, revision)

    def state_at(self, oid: bytes) -> State:
        raise ObjectMissing(oid.hex())


def test_sides_of_ten_thousand_commits_are_found_and_nothing_behind_their_meeting_is_read() -> None:
    commits: dict[bytes, tuple[list[bytes], int]] = {b"c0": ([], 1)}
    for number in range(1, 1000):
        commits[b"c%d" % number] = ([b"c%d" % (number - 1)], number + 1)
    for side in (b"a", b"b"):
        for number in range(10_000):
            commits[b"%b%d" % (side, number)] = ([b"%b%d" % (side, number - 1) if number else b"c999"], 1001 + number)
    chain = Chain(commits)
    found = merge.sides(chain, b"a9999", b"b9999")
    assert (len(found.ours), len(found.theirs)) == (10_000, 10_000)
    assert chain.asked < 60_000
    assert len(merge.first_parents(chain, b"a9999", found.ours)) == 10_000


def test_a_commit_that_two_merges_reach_is_behind_both() -> None:
    chain = Chain({
        b"root": ([], 1), b"x": ([b"root"], 2), b"y": ([b"root"], 2),
        b"xy": ([b"x", b"y"], 3), b"yx": ([b"y", b"x"], 3), b"one": ([b"xy", b"yx"], 4), b"two": ([b"yx", b"xy"], 4),
    })  # fmt: skip
    assert merge.sides(chain, b"one", b"two") == ({b"one"}, {b"two"})
    assert merge.sides(chain, b"one", b"y") == ({b"one", b"xy", b"yx", b"x"}, set())
    assert merge.sides(chain, b"one", b"one") == (set(), set())


@pytest.mark.parametrize("revision", [3, 4, 5])
def test_a_parent_whose_revision_is_not_smaller_is_a_fault_however_it_is_reached(revision: int) -> None:
    # The child that reaches `low` first is in order; the one that comes later is not.
    chain = Chain({
        b"low": ([], 5), b"high": ([b"low"], 10), b"odd": ([b"low"], revision),
        b"ours": ([b"high"], 11), b"theirs": ([b"odd"], 12),
    })  # fmt: skip
    for ours, theirs in ((b"ours", b"theirs"), (b"theirs", b"ours")):
        with pytest.raises(IntegrityFault, match="has revision 5"):
            merge.sides(chain, ours, theirs)


# -- the same whoever merges

SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:]
from support.branches import Branch
here = Branch()
for name in ("s1", "s2", "s3"):
    here.start(name)
there = here.clone()
for number in range(12):
    here.lock("s1", f"d/{number}*", f"d/{number}/x")
    there.lock("s2", f"d/{number * 3 % 12}/**", f"*/{number}")
    here.store("s1", f"s{number % 3}", f"k{number}", {"b": 1, "a": [number]})
made = here.dag.merge(there.head, here.head)
there.store("s3", "s", "k", 1)
print(made.hex(), here.dag.merge(there.head, made).hex())
"""


def test_processes_that_order_their_sets_otherwise_make_the_same_merge() -> None:
    root = Path(__file__).parents[1]
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(root), str(root.parent)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(said) == 1


def test_a_merge_carries_nothing_of_whoever_makes_it(here: Branch) -> None:
    there, made = diverged(here)
    here.clock.advance(1000)
    assert here.dag.elsewhere().merge(there.head, here.head) == made
    operation = here.dag.operations(made)[0]
    assert operation["author"] == {"name": "gitcoord", "email": "merge@gitcoord.invalid"}
    assert operation["clock"]["machine"] == ""
    assert len(operation["id"]) == 26
    assert here.dag.merge(there.head, here.head, restores="rewound") != made


# -- nothing to merge


def test_a_tip_is_not_merged_with_itself_whatever_for(here: Branch) -> None:
    assert merge.merged(here.dag, here.head, here.head) is None
    assert merge.merged(here.dag, here.head, here.head, restores="rewound") is None


def test_a_merge_with_one_parent_twice_is_read_like_any_other(here: Branch) -> None:
    _, made = diverged(here)
    operation: Operation = {**here.dag.operations(made)[0]}
    operation.update(replayed=list[str](), refused=list[Any]())
    there = here.clone()
    here.move(forged(here, operation, parents=[here.head, here.head]))
    here.store("s1", "s", "k2", 1)
    there.store("s2", "s", "k3", 1)
    assert [one["key"] for one in merge.missing(here.dag, there.head, here.head).operations] == ["k2"]


def test_an_operation_that_both_did_is_not_done_again(here: Branch) -> None:
    there = here.clone()
    there.store("s2", "other", "k", 1)
    operation = here.operation("data.store", "s1", scope="s", key="k", value=1, expect_revision=None, replaces=None)
    here.apply(operation)
    there.apply(operation)
    assert here.dag.merge(there.head, here.head) is None
    here.store("s1", "s", "k2", 1)
    made = here.dag.merge(there.head, here.head)
    assert made is not None
    assert len(here.dag.operations(made)[0]["replayed"]) == 1
    # And the other way round, where the first of the two is by now behind both.
    before = there.clone()
    before.store("s2", "s", "k4", 1)
    assert [one["key"] for one in merge.missing(here.dag, before.head, made).operations] == ["k2"]


# -- of different logs


def test_tips_of_different_logs_are_not_merged_unless_one_is_adopted(here: Branch) -> None:
    other = Branch(here.dag, repository="repository-2")
    with pytest.raises(IntegrityFault, match="different logs"):
        here.dag.merge(here.head, other.head)
    other.start("s9")
    with pytest.raises(IntegrityFault, match="different logs"):
        here.dag.merge(here.head, other.head)
    other.lock("s9", "a")
    made = here.dag.merge(here.head, other.head, adopts="repository-2")
    assert made is not None
    here.move(made)
    assert here.held("s9") == ["a"]
    assert here.state.header["repository"] == "repository-1"
    assert render.message(here.state.header).startswith("adopt: 2 operations\n")
    here.lock("s1", "b")
    assert here.dag.merge(here.head, other.head, adopts="repository-2") is None


# -- what is not believed


def test_what_is_missing_or_of_a_later_version_stops_the_merge(here: Branch) -> None:
    there, _ = diverged(here)
    here.move(forged(here, {**here.dag.operations(here.head)[0], "id": "NEW1", "type": "lock.teleport"}))
    with pytest.raises(UnsupportedFormat, match=r"lock\.teleport"):
        here.dag.merge(there.head, here.head)
    del here.dag.objects.by_oid[here.dag.commit(here.head).parents[0]]
    with pytest.raises(ObjectMissing):
        here.dag.elsewhere().merge(there.head, here.head)


def test_a_merge_by_hand_is_none(here: Branch) -> None:
    there, made = diverged(here)
    operation = here.dag.operations(made)[0]
    store = here.dag.operations(here.head)[0]
    first, second = here.head, there.head
    tips = [
        forged(here, {**store, "id": "NEW1"}, parents=[first, second]),
        forged(here, operation, parents=[first]),
        forged(here, operation, parents=[first, second, second]),
        forged(here, {**store, "id": "NEW1"}, operation, parents=[first]),
        forged(here, operation, {**store, "id": "NEW1"}, parents=[first, second]),
        forged(here, {**store, "id": "NEW1"}, parents=[]),
    ]
    for tip in tips:
        with pytest.raises(IntegrityFault, match="records a"):
            here.dag.merge(there.head, tip)


def test_a_merge_that_keeps_silent_about_an_operation_is_not_believed(here: Branch) -> None:
    there, made = diverged(here)
    here.move(made)
    silent: Operation = {**here.dag.operations(made)[0]}
    silent["refused"] = []
    tip = forged(here, silent, parents=here.dag.commit(made).parents, revision=here.revision)
    fresh = there.clone()
    fresh.store("s2", "s", "other", 1)
    assert here.dag.merge(fresh.head, made) is not None
    with pytest.raises(IntegrityFault, match="no merge on the way"):
        here.dag.merge(fresh.head, tip)


@pytest.mark.parametrize("revision", ["4", "9", "9" * 5000, "-1", "x"])
def test_a_message_that_states_another_revision_than_the_header_is_not_believed(here: Branch, revision: str) -> None:
    there, _ = diverged(here)
    body = here.dag.objects.read(here.head)[1]
    old = b"\nCoord-Rev: %d\n" % here.revision
    assert old in body
    tip = here.dag.objects.add(b"commit", body.replace(old, b"\nCoord-Rev: %b\n" % revision.encode()))
    with pytest.raises(IntegrityFault):
        here.dag.merge(there.head, tip)
    with pytest.raises(IntegrityFault):
        here.dag.merge(tip, there.head)


ODD: list[Any] = [True, 1, {}, [None], [[]], [{}], ["\n"], {"id": 1}]


@pytest.mark.parametrize("field", ["replayed", "refused", "restores", "adopts"])
@pytest.mark.parametrize("odd", ODD)
def test_a_merge_whose_record_is_not_of_its_form_is_not_believed(here: Branch, field: str, odd: Any) -> None:
    there, made = diverged(here)
    bad = {**here.dag.operations(made)[0], field: odd}
    with pytest.raises(UnreadableRecord):
        Dag(here.dag.objects).merge(there.head, instead_of(here.dag, made, bad))


SPOILT: list[tuple[str, Any]] = [
    *[(field, odd) for field in ("id", "session") for odd in (None, 1, "a b", "x\n\nCoord-Id: forged", "é")],
    ("id", ""),
    *[(field, odd) for field in ("type", "code", "message", "incarnation") for odd in (None, 1)],
    ("type", "x\n\nCoord-Id: forged"),
    ("claims", None),
    ("claims", "x"),
    ("claims", {}),
    ("claims", [None]),
    ("claims", [{"path": 1, "key": "a", "kind": "file"}]),
    *[("after", odd) for odd in (None, "0", 1.5)],
]


@pytest.mark.parametrize(("field", "odd"), SPOILT)
def test_a_refusal_that_is_not_of_its_form_is_not_believed(here: Branch, field: str, odd: Any) -> None:
    there, made = diverged(here)
    bad = copy.deepcopy(here.dag.operations(made)[0])
    bad["refused"][0][field] = odd
    with pytest.raises(UnreadableRecord):
        Dag(here.dag.objects).merge(there.head, instead_of(here.dag, made, bad))


def test_an_operation_whose_words_would_forge_the_merges_message_is_not_replayed(here: Branch) -> None:
    there, _ = diverged(here)
    store = here.dag.operations(here.head)[0]
    for field, odd in (("id", "A\n\nCoord-Id: B"), ("session", "s1\n\nCoord-Id: B"), ("session", "s1 (x)")):
        body = {**store, "id": "NEW1", field: odd}
        with pytest.raises(UnreadableRecord):
            Dag(here.dag.objects).merge(there.head, forged(here, body))
