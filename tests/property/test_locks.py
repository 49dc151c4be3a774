"""Laws of locks: at no revision do two sessions hold what does not go together, and tokens only grow."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitcoord.errors import LockHeld
from gitcoord.model import Lock
from gitcoord.paths import overlaps
from gitcoord.state import claim_of
from gitcoord.transitions.locks import conflicts
from support.history import EVERYBODY, KINDS, LITERAL, History, Step
from support.ledger import claims_of

FAST = settings(max_examples=100, deadline=None, derandomize=True, database=None)

steps = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 30), st.integers(0, 30)),
    min_size=30,
    max_size=90,
)


def meet(one: str, other: str) -> bool:
    """Tell whether two literal paths get in each other's way: by their texts alone, unlike the code."""
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def check_holders(found: list[Lock]) -> None:
    """Fail if two sessions hold what does not go together."""
    for one, other in itertools.combinations(found, 2):
        if one["session"] == other["session"] or (one["kind"] == "resource") != (other["kind"] == "resource"):
            continue
        if "intent" in (one["mode"], other["mode"]) or one["mode"] == other["mode"] == "shared":
            continue
        if one["kind"] == "resource":
            assert one["key"] != other["key"], (one, other)
        else:
            assert not meet(one["path"], other["path"]), (one, other)


@FAST
@given(steps)
def test_no_two_sessions_ever_hold_literal_paths_that_do_not_go_together(taken: list[Step]) -> None:
    history = History(LITERAL)
    for step in EVERYBODY + taken:
        history.take(step)
        check_holders(list(history.ledger.state.locks()))


@FAST
@given(steps)
def test_no_two_sessions_ever_hold_overlapping_claims_of_any_kind(taken: list[Step]) -> None:
    history = History()
    for step in EVERYBODY + taken:
        history.take(step)
        for one, other in itertools.combinations(list(history.ledger.state.locks()), 2):
            free = "intent" in (one["mode"], other["mode"]) or one["mode"] == other["mode"] == "shared"
            if one["session"] != other["session"] and not free:
                assert not overlaps(claim_of(one), claim_of(other))


@FAST
@given(steps)
def test_walking_the_tree_finds_what_comparing_with_every_lock_finds(taken: list[Step]) -> None:
    history = History()
    for step in EVERYBODY + taken:
        history.take(step)
    state = history.ledger.state
    everything = list(state.locks())
    wanted = [*claims_of("a", "a/b", "a/b/c", "e/f", "x", "*", "a/**", "?/b/*", "**"), *claims_of("a", resource=True)]
    for claim in wanted:
        found = sorted((lock["key"], lock["session"], lock["kind"]) for lock in state.overlapping(claim))
        expected = [lock for lock in everything if overlaps(claim, claim_of(lock))]
        assert found == sorted((lock["key"], lock["session"], lock["kind"]) for lock in expected)


@FAST
@given(steps)
def test_a_grant_is_refused_exactly_if_something_stands_in_its_way(taken: list[Step]) -> None:
    history = History()
    for step in EVERYBODY + taken:
        history.take(step)
    for path in ("a/b", "e", "*", "e/*"):
        blocked = bool(conflicts(history.ledger.state, claims_of(path)[0], "exclusive", "s9"))
        trial = history.ledger.fork()
        trial.start("s9")
        if blocked:
            with pytest.raises(LockHeld):
                trial.lock("s9", path)
        else:
            trial.lock("s9", path)


@FAST
@given(steps)
def test_tokens_of_a_path_strictly_grow_with_its_grants(taken: list[Step]) -> None:
    history = History(LITERAL)
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    exclusive: dict[str, int] = {}
    for step in EVERYBODY + taken:
        history.take(step)
        for lock in history.ledger.state.locks():
            place = (lock["kind"] == "resource", lock["key"])
            token, grant = newest.get((str(place), lock["session"]), (0, ""))
            if lock["grant"] != grant:
                assert lock["token"] > token
                assert lock["token"] == history.ledger.revision
            else:
                assert lock["token"] == token
            newest[str(place), lock["session"]] = (lock["token"], lock["grant"])
            if lock["mode"] == "exclusive":
                assert lock["token"] >= exclusive.get(str(place), 0)
                exclusive[str(place)] = lock["token"]


@FAST
@given(steps)
def test_a_session_holds_as_many_locks_as_its_record_says(taken: list[Step]) -> None:
    history = History()
    for step in EVERYBODY + taken:
        history.take(step)
        state = history.ledger.state
        counted: dict[str, int] = {}
        for lock in state.locks():
            counted[lock["session"]] = counted.get(lock["session"], 0) + 1
            assert state.session(lock["session"]) is not None
        for record in state.sessions():
            assert record["held"] == counted.get(record["session"], 0)
            assert len(list(state.locks_of(record))) == record["held"]


def test_random_histories_do_all_that_there_is_to_do() -> None:
    done: Counter[str] = Counter()
    refused = 0

    @FAST
    @given(steps)
    def live(taken: list[Step]) -> None:
        nonlocal refused
        history = History()
        for step in EVERYBODY + taken:
            history.take(step)
        done.update(history.done)
        refused += history.refused

    live()
    kinds = {
        *("session.start", "session.end", "session.renew", "session.reap", "session.challenge"),
        *(
            "lock.acquire",
            "lock.release",
            "lock.break",
            "lock.expire",
            "data.store",
            "data.delete",
            "data.delete_scope",
        ),
    }
    assert {kind for kind in kinds if done[kind] >= 5} == kinds, done
    assert refused > 100
