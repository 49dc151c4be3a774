from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitcoord.runtime.waiting import find_ring


def test_two_that_wait_for_each_other_are_a_ring() -> None:
    edges = {"a": {"b"}, "b": {"a"}}
    assert find_ring("a", edges) == ["a", "b"]
    assert find_ring("b", edges) == ["b", "a"]


def test_a_ring_beside_me_is_not_mine() -> None:
    assert find_ring("a", {"a": {"b"}, "b": {"c"}, "c": {"b"}}) is None


def test_waiting_for_nobody_is_no_ring() -> None:
    assert find_ring("a", {}) is None
    assert find_ring("a", {"a": set(), "b": {"a"}}) is None


def test_the_shortest_ring_is_found() -> None:
    edges = {"a": {"b", "c"}, "b": {"c"}, "c": {"d"}, "d": {"a"}}
    assert find_ring("a", edges) == ["a", "c", "d"]


def test_one_that_waits_for_itself_is_a_ring_of_one() -> None:
    assert find_ring("a", {"a": {"a"}}) == ["a"]


def test_a_thousand_in_a_row_do_not_exhaust_the_stack() -> None:
    edges = {str(n): {str((n + 1) % 5000)} for n in range(5000)}
    assert find_ring("0", edges) == [str(n) for n in range(5000)]


@given(st.dictionaries(st.integers(0, 6), st.sets(st.integers(0, 6))))
def test_a_ring_is_found_exactly_when_i_am_reachable_from_myself(graph: dict[int, set[int]]) -> None:
    edges = {str(key): {str(one) for one in ends} for key, ends in graph.items()}
    reached: set[str] = set()
    todo = set(edges.get("0", ()))
    while todo:
        one = todo.pop()
        reached.add(one)
        todo |= edges.get(one, set()) - reached
    ring = find_ring("0", edges)
    assert (ring is not None) == ("0" in reached)
    if ring is not None:
        assert ring[0] == "0"
        assert len(set(ring)) == len(ring)
        assert all(after in edges[before] for before, after in zip(ring, [*ring[1:], "0"], strict=True))
