"""Laws of merges: however clones grew apart and met again, there is one order, and every operation is accounted for."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gitcoord import merge, render
from gitcoord.errors import IntegrityFault
from gitcoord.model import Lock
from gitcoord.paths import overlaps
from gitcoord.state import State, claim_of
from gitcoord.transitions.merging import UNTOLD
from support.branches import Branch, Dag
from support.history import KINDS, LITERAL, Step
from support.parted import MOVES, Clones, Move, conflicts, miscounted

FAST = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate, Phase.shrink],  # explaining takes minutes
)

LOCKING = ("lock", "lock", "lock", "unlock", "break", "expire", "time", "takeover", "reap", "challenge", "renew")
STORING = ("store", "store", "delete", "delete_scope", "time", "lock")


def steps_of(kinds: tuple[str, ...]) -> st.SearchStrategy[Step]:
    return st.tuples(st.sampled_from(kinds), st.integers(0, 3), st.integers(0, 30), st.integers(0, 30))


def moves_of(kinds: tuple[str, ...]) -> st.SearchStrategy[list[Move]]:
    steps = st.lists(steps_of(kinds), min_size=1, max_size=6)
    move = st.tuples(st.sampled_from(MOVES), st.integers(0, 2), st.integers(0, 2), steps)
    return st.lists(move, min_size=8, max_size=24)


commons = st.lists(steps_of(KINDS), max_size=10)
anything = st.one_of(moves_of(KINDS), moves_of(LOCKING), moves_of(STORING))


def taken(common: list[Step], moves: list[Move], paths: tuple[str, ...] | None = None) -> Clones:
    clones = Clones(common) if paths is None else Clones(common, paths)
    for move in moves:
        clones.take(move)
    return clones


def merges_of(clones: Clones) -> list[bytes]:
    for tip in clones.tips():
        clones.orders.order(tip)
    return clones.orders.merges


@FAST
@given(commons, anything)
def test_every_operation_is_in_effect_once_or_on_record_as_refused(common: list[Step], moves: list[Move]) -> None:
    clones = taken(common, moves)
    did = [set(clones.orders.order(clone.ledger.head)) for clone in clones.all]
    clones.settle()
    order, refused = clones.orders.order(clones.remote.tip), clones.orders.refused(clones.remote.tip)
    assert len(order) == len(set(order))
    assert set(order) == set().union(*did)
    agreed = [
        operation for oid in clones.dag.first_parents(clones.remote.tip) for operation in clones.dag.operations(oid)
    ]
    on_record = {one["id"]: one for made in agreed if made["type"] == "log.merge" for one in made["refused"]}
    in_effect = [done for made in agreed for done in made.get("replayed", [made["id"]])]
    assert len(in_effect) == len(set(in_effect))
    assert set(in_effect) == set(order) - refused
    assert set(on_record) == refused
    assert all(one["message"] and one["code"] for one in on_record.values())
    assert len({clone.ledger.head for clone in clones.all}) == 1


@FAST
@given(commons, anything)
def test_equal_tips_give_the_same_commit_whoever_merges(common: list[Step], moves: list[Move]) -> None:
    clones = taken(common, moves)
    for oid in merges_of(clones):
        ours, theirs = clones.dag.commit(oid).parents
        assert clones.dag.elsewhere().merge(ours, theirs) == oid
        assert clones.dag.commit(oid).revision == 1 + max(clones.dag.commit(one).revision for one in (ours, theirs))


@FAST
@given(commons, anything)
def test_there_is_nothing_to_merge_where_nothing_is_missing(common: list[Step], moves: list[Move]) -> None:
    clones = taken(common, moves)
    dag, orders = clones.dag, clones.orders
    for oid in merges_of(clones):
        for before in (oid, *dag.commit(oid).parents):
            assert dag.merge(oid, before) is None
    for ours in clones.tips():
        for theirs in clones.tips():
            lacks = set(orders.order(theirs)) - set(orders.order(ours))
            assert (dag.merge(ours, theirs) is None) == (not lacks)
            assert merge.missing(dag, ours, theirs).operations == [
                orders.bodies[one] for one in orders.order(theirs) if one in lacks
            ]


@FAST
@given(commons, anything)
def test_the_agreed_order_only_grows_and_what_it_decided_stays_decided(common: list[Step], moves: list[Move]) -> None:
    clones = taken(common, moves)
    clones.settle()
    orders, tips = clones.orders, clones.remote.tips
    for before, after in itertools.pairwise(tips):
        assert before in clones.dag.first_parents(after)
        assert orders.order(after)[: len(orders.order(before))] == orders.order(before)
        assert orders.refused(after) & set(orders.order(before)) == orders.refused(before)
        assert clones.dag.commit(after).revision > clones.dag.commit(before).revision


@FAST
@given(commons, moves_of(LOCKING), st.sampled_from([None, LITERAL]))
def test_a_lock_is_exclusive_and_its_tokens_grow(
    common: list[Step], moves: list[Move], paths: tuple[str, ...] | None
) -> None:
    clones = taken(common, moves, paths)
    clones.settle()
    earlier: list[Lock] = []
    seen: set[tuple[str, str, str]] = set()
    for oid in clones.dag.first_parents(clones.remote.tip):
        state = clones.dag.state_at(oid)
        assert conflicts(state) == []
        fresh = [lock for lock in state.locks() if (lock["session"], lock["key"], lock["grant"]) not in seen]
        for lock in fresh:
            assert lock["token"] == clones.dag.commit(oid).revision
            others = [one for one in earlier if one["session"] != lock["session"]]
            assert all(one["token"] < lock["token"] for one in others if overlaps(claim_of(one), claim_of(lock)))
        earlier += fresh
        seen |= {(lock["session"], lock["key"], lock["grant"]) for lock in fresh}


@FAST
@given(commons, anything)
def test_sessions_hold_what_their_records_count(common: list[Step], moves: list[Move]) -> None:
    clones = taken(common, moves)
    for oid in merges_of(clones):
        state = clones.dag.state_at(oid)
        assert miscounted(state) == []
        assert conflicts(state) == []
        assert list(state.faults()) == []


def notices(state: State, session: str, incarnation: str) -> list[str] | None:
    record = state.session(session)
    if record is None or record["incarnation"] != incarnation:
        return None
    return [notice["id"] for notice in record["notices"]]


@FAST
@given(commons, anything)
def test_a_session_hears_once_of_each_refusal_and_loses_no_other_news(common: list[Step], moves: list[Move]) -> None:
    clones = taken(common, moves)
    for oid in merges_of(clones):
        before, after = clones.dag.state_at(clones.dag.commit(oid).parents[0]), clones.dag.state_at(oid)
        for record in before.sessions():
            heard = notices(after, record["session"], record["incarnation"])
            assert heard is None or heard[: len(record["notices"])] == [one["id"] for one in record["notices"]][-50:]
        for refusal in clones.dag.operations(oid)[0]["refused"]:
            heard = notices(after, refusal["session"], refusal["incarnation"])
            told = refusal["type"] not in UNTOLD
            assert heard is None or len(heard) == 50 or heard.count(refusal["id"]) == told


@FAST
@given(commons, anything)
def test_a_merges_message_reads_as_it_is_rendered_and_nobodys_words_forge_a_trailer(
    common: list[Step], moves: list[Move]
) -> None:
    clones = taken(common, moves)
    for oid in merges_of(clones):
        header, body = clones.dag.state_at(oid).header, clones.dag.objects.read(oid)[1]
        commit = clones.dag.commit(oid)
        assert body == render.commit(commit.tree, commit.parents, header)
        lines = render.message(header).splitlines()
        assert len(lines[0]) <= 100
        assert all(char.isprintable() or char == "\n" for char in render.message(header))
        made = header["operations"][0]
        trailers = [line for line in lines if line.startswith("Coord-")]
        assert trailers == [
            "Coord-Op: log.merge",
            *(f"Coord-Refused: {one['id']}" for one in made["refused"][:100]),
            f"Coord-Rev: {commit.revision}",
            f"Coord-Id: {made['id']}",
        ]


# -- what is not believed

ODD: list[Any] = [
    *(None, True, 0, -1, 10**30, 1.5, "", "x", "a\nb", ".", "../x", "a\0b", '"\\777"', "*", "s1", "ID100000003"),
    *("file", "directory", "pattern", "resource", [], [None], [[]], {}, {"kind": "file"}, {"kind": "lease-over"}),
]


def holds_others(value: Any) -> bool:
    return isinstance(value, (dict, list))


def keys_of(value: Any) -> list[Any]:
    return list(range(len(value))) if isinstance(value, list) else sorted(value)  # pyright: ignore[reportUnknownArgumentType]


def spoil(operation: Any, way: list[int], odd: Any) -> None:
    """Change one field of an operation, or one deep in it; `...` takes it away."""
    here: Any = operation
    for at, choice in enumerate(way):
        keys = keys_of(here)
        if not keys:
            return
        key = keys[choice % len(keys)]
        inner: Any = here[key]
        if at < len(way) - 1 and holds_others(inner):
            here = inner
            continue
        if odd is ...:
            del here[key]
        else:
            here[key] = odd
        return


changes = st.tuples(st.lists(st.integers(0, 30), min_size=1, max_size=3), st.sampled_from([..., *ODD]))


@settings(FAST, max_examples=300)
@given(commons, st.lists(st.tuples(steps_of(KINDS), st.none() | changes), min_size=1, max_size=12))
def test_what_others_wrote_is_replayed_or_refused_or_not_believed(
    common: list[Step], steps: list[tuple[Step, tuple[list[int], Any] | None]]
) -> None:
    clones = Clones(common, count=2)
    here, there = clones.all
    dag, tip = clones.dag, there.ledger.head
    here.take(("store", 0, 0, 0))
    for step, change in steps:
        before = there.ledger.head
        there.take(step)
        made = there.ledger.head
        if made == before:
            continue
        operations = copy.deepcopy(dag.operations(made))
        if change is not None:
            spoil(operations[0], *change)
        tip = dag.by_hand(made, operations, [tip], dag.commit(made).revision)
    try:
        made = Dag(dag.objects).merge(here.ledger.head, tip)
    except IntegrityFault:
        return
    if made is not None:
        state = Dag(dag.objects).state_at(made)
        assert (miscounted(state), conflicts(state), list(state.faults())) == ([], [], [])
        assert render.parse_commit(b"", dag.objects.read(made)[1])[2] == state.header["revision"]


# -- shared state


@FAST
@given(commons, moves_of(STORING))
def test_a_revision_that_was_read_anywhere_is_never_that_of_another_value(
    common: list[Step], moves: list[Move]
) -> None:
    clones = taken(common, moves)
    clones.settle()
    dag = clones.dag

    def values(oid: bytes) -> dict[tuple[str, str, int], str]:
        state = dag.state_at(oid)
        found = [state.datum(scope, key) for scope in state.scopes() for key in state.keys(scope)]
        return {(one["scope"], one["key"], one["revision"]): one["store"] for one in found if one is not None}

    behind = {clones.remote.tip}
    waiting = list(behind)
    while waiting:
        fresh = set(dag.commit(waiting.pop()).parents) - behind
        behind |= fresh
        waiting += fresh
    now = values(clones.remote.tip)
    for oid in behind:
        for read, store in values(oid).items():
            assert now.get(read, store) == store


def storing(expecting: bool, *, interfered: bool, deletes: bool) -> tuple[Dag, bytes, list[str]]:
    """Let a clone store into one key again and again while offline; return the log, the merge and what it did."""
    there = Branch()
    there.start("s0")
    there.start("s1")
    there.store("s0", "s", "k", 0)
    here = there.clone()
    there.store("s1", "s", "k" if interfered else "other", "theirs")
    done: list[str] = []
    for value in (1, 2, 3):
        old = here.state.datum("s", "k")
        expected = (old["revision"] if old else 0) if expecting else None
        if deletes and old is not None:
            here.run("data.delete", "s0", scope="s", key="k", expect_revision=expected, replaces=old["store"])
            done.append(here.dag.operations(here.head)[0]["id"])
            expected = 0 if expecting else None
        here.store("s0", "s", "k", value, expected)
        done.append(here.dag.operations(here.head)[0]["id"])
    made = here.dag.merge(there.head, here.head)
    assert made is not None
    return here.dag, made, done


@given(st.booleans(), st.booleans())
def test_stores_made_offline_one_after_another_all_survive_where_nobody_interfered(
    expecting: bool, deletes: bool
) -> None:
    dag, made, done = storing(expecting, interfered=False, deletes=deletes)
    assert dag.operations(made)[0]["replayed"] == done
    datum = dag.state_at(made).datum("s", "k")
    assert datum is not None
    assert (datum["value"], datum["revision"]) == (3, dag.commit(made).revision)


@given(st.booleans(), st.booleans())
def test_a_store_or_deletion_over_anothers_newer_store_is_refused(expecting: bool, deletes: bool) -> None:
    dag, made, done = storing(expecting, interfered=True, deletes=deletes)
    refused = dag.operations(made)[0]["refused"]
    assert [one["id"] for one in refused] == done
    assert {one["code"] for one in refused} == {"revision_mismatch"}
    assert all("stored anew by s1" in one["message"] for one in refused)
    datum = dag.state_at(made).datum("s", "k")
    assert datum is not None
    assert datum["value"] == "theirs"
