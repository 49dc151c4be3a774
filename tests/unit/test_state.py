"""The state: records lie where people look for them, and one that is wrong is reported, never believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitcoord.canonical import dumps
from gitcoord.errors import UnreadableRecord, UnsupportedFormat
from gitcoord.paths import Claim
from gitcoord.state import State, claim_parts, data_parts, holder_name, key_parts, session_parts
from gitcoord.transitions.locks import conflicts
from gitcoord.tree import Parts
from support.ledger import Ledger, claims_of


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    made.start("s1")
    made.start("s2")
    return made


def layout(ledger: Ledger) -> list[str]:
    tree = ledger.state.tree
    return [b"/".join(parts).decode() for parts, _, _ in tree.files(tree.root)]


def lock_place(path: str, session: str) -> Parts:
    return (*claim_parts(claims_of(path)[0]), holder_name(session))


def damaged(ledger: Ledger, place: Parts, body: bytes) -> State:
    """Return the state with one record replaced, as a reader finds it who has never seen the right one."""
    work = ledger.state.fork()
    assert work.tree.find(place) is not None, place
    work.tree.put(place, body)
    return ledger.objects.state(work.tree.write(ledger.objects.add))


def edited(ledger: Ledger, place: Parts, **fields: Any) -> State:
    found = ledger.state.tree.find(place)
    assert found is not None
    return damaged(ledger, place, dumps({**json.loads(ledger.state.tree.body(found)), **fields}))


# -- the layout


def test_records_lie_where_plain_git_finds_them(ledger: Ledger) -> None:
    ledger.lock("s1", "src/app.py")
    ledger.lock("s1", "docs/", mode="shared")
    ledger.lock("s2", "docs/", mode="shared")
    ledger.lock("s2", "deploy/prod", resource=True)
    ledger.store("s1", "issue/7", "state", 1)
    found = sorted(layout(ledger))
    assert [path for path in found if not path.startswith("data/")] == [
        "coord.json",
        "locks/docs/@s1.json",
        "locks/docs/@s2.json",
        "locks/src/app.py/@s1.json",
        "policy.json",
        "resources/deploy/prod/@s2.json",
        "sessions/s1.json",
        "sessions/s2.json",
    ]
    (stored,) = (path for path in found if path.startswith("data/"))
    assert stored.startswith("data/issue/7/@")
    assert stored.endswith("/state.json")


def test_the_whole_repository_can_be_locked(ledger: Ledger) -> None:
    ledger.lock("s1", ".")
    assert "locks/@s1.json" in layout(ledger)
    assert [lock["path"] for lock in ledger.state.overlapping(claims_of("src/app.py")[0])] == ["."]
    ledger.unlock("s1", ".")
    assert ledger.held("s1") == []


def test_what_is_over_leaves_the_tree(ledger: Ledger) -> None:
    before = ledger.trees[-1]
    ledger.lock("s1", "a/b/c", "a/d")
    ledger.store("s1", "scope", "key", 1)
    ledger.unlock("s1", "a/b/c", "a/d")
    ledger.run("data.delete", "s1", scope="scope", key="key", expect_revision=None)
    gone = {path for path in layout(ledger) if path.startswith(("locks", "data"))}
    assert gone == set()
    assert ledger.trees[-1] != before  # the header and the renewed session are new


def test_equal_states_have_equal_trees_whatever_way_they_came_about(ledger: Ledger) -> None:
    work = ledger.state.fork()
    other = ledger.state.fork()
    one, two = claims_of("a", "b")
    lock: Any = {"mode": "exclusive", "session": "s1", "incarnation": "i", "grant": "g", "token": 3, "locked_at": "t"}
    lock.update(reason="", term=None, kind="file")
    on_a: Any = {**lock, "path": "a", "key": "a"}
    on_b: Any = {**lock, "path": "b", "key": "b"}
    other_reason: Any = {**on_b, "reason": "x"}
    work.put_lock(one, on_a)
    work.put_lock(two, on_b)
    other.put_lock(two, on_b)
    other.put_lock(two, other_reason)
    other.put_lock(one, on_a)
    other.put_lock(two, on_b)
    add = ledger.objects.add
    assert work.tree.write(add) == other.tree.write(add)


# -- names that must not meet


SCOPES = [
    *("a/b", "a:b", "a__b", "a", " a", "a ", "A", "a//b", "a/b/", "/a", "/", ".", "..", "a/./b", "@00", "%", "%41"),
    *(".git", "a\nb", "a\\b", "a*b", "a?b", "é", "e\u0301", "x.json", "a.json/b"),
]


def test_scopes_are_exact_strings(ledger: Ledger) -> None:
    for number, scope in enumerate(SCOPES):
        ledger.store("s1", scope, "key", number)
    for number, scope in enumerate(SCOPES):
        found = ledger.state.datum(scope, "key")
        assert found is not None
        assert found["value"] == number, scope
        assert ledger.state.keys(scope) == ["key"]
    assert ledger.state.scopes() == sorted(SCOPES)


def test_keys_are_exact_strings(ledger: Ledger) -> None:
    for number, key in enumerate(SCOPES):
        ledger.store("s1", "scope", key, number)
    assert ledger.state.keys("scope") == sorted(SCOPES)
    values = [ledger.state.datum("scope", key) for key in SCOPES]
    assert [None if found is None else found["value"] for found in values] == list(range(len(SCOPES)))


def test_a_key_with_slashes_is_no_key_of_a_deeper_scope(ledger: Ledger) -> None:
    ledger.store("s1", "a", "b/c", 1)
    assert ledger.state.datum("a/b", "c") is None
    assert ledger.state.keys("a/b") == []
    assert ledger.state.scopes() == ["a"]


def test_a_scope_above_and_one_below_do_not_see_each_others_keys(ledger: Ledger) -> None:
    ledger.store("s1", "a", "k", 1)
    ledger.store("s1", "a/b", "k", 2)
    assert (ledger.state.keys("a"), ledger.state.keys("a/b"), ledger.state.scopes()) == (["k"], ["k"], ["a", "a/b"])


def test_an_emptied_scope_is_gone_before_the_tree_is_written_too(ledger: Ledger) -> None:
    ledger.store("s1", "a/b", "k", 2)
    work = ledger.state.fork()
    work.drop_datum("a/b", "k")
    assert (work.scopes(), work.keys("a/b"), work.datum("a/b", "k")) == ([], [], None)


# -- what stands in the way of a claim


OVERLAPPING = [
    ("src", "src/a.py"),
    ("src/", "src/a.py"),
    ("src/a.py", "src/a.py"),
    (".", "src/a.py"),
    ("*.py", "a.py"),
    ("src/*.py", "src/a.py"),
    ("**/a.py", "a.py"),
    ("**/a.py", "x/y/a.py"),
    ("**", "x/y"),
    ("s*/a.py", "src/"),
    ("s*/a.py", "src/*"),
    ("*/a.py", "src/?.py"),
    ("a/**/b", "a/b"),
    ("a/**/b", "a/x/"),
    ("a**z", "abc/xyz"),
    ("?/x", "*/x"),
    (r"lit\*/x", r"lit\*/x"),
    ("app/[id]/p", "app/*/p"),
]
APART = [
    ("src", "srcs"),
    ("src/*.py", "src"),
    ("src/a.py", "src/b.py"),
    ("*.py", "src/a.py"),
    ("src/*.py", "src/a.js"),
    ("src/*.py", "src/sub/a.py"),
    ("a/*/c", "a/b/d"),
    (r"lit\*", "lity"),
    (r"lit\*/x", "lity/x"),
    ("app/[id]/p", "app/i/p"),
    ("??", "a"),
    ("SRC", "src"),
]


@pytest.mark.parametrize(("one", "other"), OVERLAPPING + [(b, a) for a, b in OVERLAPPING])
def test_a_lock_is_found_from_every_claim_that_overlaps_it(ledger: Ledger, one: str, other: str) -> None:
    ledger.lock("s1", one)
    for noise in ("zzz/deep/er", "zzz/*.q", "zz?"):
        ledger.lock("s1", noise, mode="intent")
    found = [lock["path"] for lock in conflicts(ledger.state, claims_of(other)[0], "exclusive", "s2")]
    assert found == [claims_of(one)[0].spelled]


@pytest.mark.parametrize(("one", "other"), APART + [(b, a) for a, b in APART])
def test_a_lock_is_not_found_from_a_claim_apart(ledger: Ledger, one: str, other: str) -> None:
    ledger.lock("s1", one)
    assert list(ledger.state.overlapping(claims_of(other)[0])) == []


def test_a_resource_and_a_path_of_the_same_name_are_two_things(ledger: Ledger) -> None:
    ledger.lock("s1", "deploy", resource=True)
    ledger.lock("s2", "deploy")
    ledger.lock("s2", "deploy/prod", resource=True)
    assert ledger.held("s2") == ["deploy", "deploy/prod"]


def test_a_lock_is_yielded_once_however_many_ways_lead_to_it(ledger: Ledger) -> None:
    ledger.lock("s1", "a/**/b/*.py", "a/*/b", "a/x")
    for wanted in ("a/x/b/c.py", "a", "**", "*/x/**/c.py", "."):
        found = [lock["path"] for lock in ledger.state.overlapping(claims_of(wanted)[0])]
        assert len(found) == len(set(found)), wanted


def test_what_a_session_holds_is_found_among_the_others(ledger: Ledger) -> None:
    ledger.lock("s1", "a/b", "c")
    ledger.lock("s2", "a/x", "d")
    ledger.lock("s1", "r/1", resource=True)
    paths = [lock["path"] for lock in ledger.state.locks_of(ledger.session("s1"))]
    assert sorted(paths) == ["a/b", "c", "r/1"]


def test_upper_and_lower_case_are_one_path_where_the_log_says_so() -> None:
    ledger = Ledger(case="insensitive")
    ledger.start("s1")
    assert ledger.state.fold_case
    upper, lower = claims_of("SRC/Ä.py", "src/ä.PY", fold_case=True)
    assert claim_parts(upper) == claim_parts(lower)


# -- damaged records


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"{}", b'"text"', b"\xff\xfe", b'{"path": "src/app.py"}'],
    ids=lambda body: repr(body[:10]),
)
def test_a_damaged_lock_record_is_named_and_nothing_below_it_is_granted(ledger: Ledger, body: bytes) -> None:
    ledger.lock("s1", "src/app.py")
    state = damaged(ledger, lock_place("src/app.py", "s1"), body)
    for wanted in ("src/app.py", "src", ".", "src/*.py"):
        with pytest.raises(UnreadableRecord, match=r"locks/src/app\.py/@s1\.json"):
            list(state.overlapping(claims_of(wanted)[0]))
    assert list(state.overlapping(claims_of("docs/x")[0])) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"session": "s2"},
        {"key": "src/other.py"},
        {"key": ".", "path": "."},
        {"kind": "resource"},
        {"token": "4"},
        {"mode": None},
        {"mode": "exclusjve"},
        {"kind": "nonsense"},
        {"term": {}},
        {"term": {"ttl_s": "1", "clock": {}}},
        {"term": {"ttl_s": 1, "clock": {"machine": "m", "boot": "b", "uptime_ms": 1}}},
    ],
    ids=repr,
)
def test_a_lock_record_that_does_not_fit_its_place_or_shape_is_not_believed(
    ledger: Ledger, fields: dict[str, Any]
) -> None:
    ledger.lock("s1", "src/app.py")
    state = edited(ledger, lock_place("src/app.py", "s1"), **fields)
    with pytest.raises(UnreadableRecord, match=r"locks/src/app\.py/@s1\.json"):
        list(state.overlapping(claims_of("src/app.py")[0]))


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_pattern_that_is_recorded_as_a_path_does_not_lose_its_reach(ledger: Ledger, kind: str) -> None:
    ledger.lock("s1", "src/*.py")
    state = edited(ledger, lock_place("src/*.py", "s1"), kind=kind)
    with pytest.raises(UnreadableRecord):
        assert conflicts(state, claims_of("src/app.py")[0], "exclusive", "s2") == []


def test_an_unknown_mode_never_lets_anybody_in_beside_it(ledger: Ledger) -> None:
    ledger.lock("s1", "src/app.py")
    state = edited(ledger, lock_place("src/app.py", "s1"), mode="exclusjve")
    with pytest.raises(UnreadableRecord):
        assert conflicts(state, claims_of("src/app.py")[0], "shared", "s2") == []


def test_a_directory_where_a_lock_record_should_be_is_reported(ledger: Ledger) -> None:
    ledger.lock("s1", "src/app.py")
    work = ledger.state.fork()
    place = lock_place("src/app.py", "s1")
    work.tree.remove(place)
    work.tree.put((*place, b"inner"), b"{}")
    state = ledger.objects.state(work.tree.write(ledger.objects.add))
    with pytest.raises(UnreadableRecord):
        list(state.overlapping(claims_of("src/app.py")[0]))


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        (session_parts("s1"), {"session": "s2"}),
        (session_parts("s1"), {"clock": {}}),
        (session_parts("s1"), {"lease_s": None}),
        (session_parts("s1"), {"notices": "none"}),
        (key_parts("scope", "key"), {"key": "other"}),
        (key_parts("scope", "key"), {"scope": "other"}),
        (key_parts("scope", "key"), {"revision": None}),
        ((b"policy.json",), {"limits": None}),
        ((b"coord.json",), {"revision": "7"}),
        ((b"coord.json",), {"operations": {}}),
    ],
    ids=repr,
)
def test_any_record_that_does_not_fit_is_reported_by_its_name(
    ledger: Ledger, place: Parts, fields: dict[str, Any]
) -> None:
    ledger.store("s1", "scope", "key", 1)
    state = edited(ledger, place, **fields)
    name = b"/".join(place).decode().replace(".", r"\.")
    with pytest.raises(UnreadableRecord, match=name):
        _ = (state.session("s1"), state.datum("scope", "key"), state.policy, state.header)


@pytest.mark.parametrize("fields", [{"format": 2}, {"format": 0}, {"rules": 2}], ids=repr)
def test_a_log_of_a_later_format_is_refused(ledger: Ledger, fields: dict[str, Any]) -> None:
    state = edited(ledger, (b"coord.json",), **fields)
    with pytest.raises(UnsupportedFormat) as caught:
        _ = state.revision
    assert "upgrade" in caught.value.next


def test_a_field_of_a_later_version_is_kept_when_the_record_is_rewritten(ledger: Ledger) -> None:
    work = ledger.state.fork()
    record: Any = {**ledger.session("s1"), "colour": "green"}
    work.put_session(record)
    ledger._tip = work  # pyright: ignore[reportPrivateUsage] - a later version wrote this
    ledger.lock("s1", "a")
    assert ledger.session("s1").get("colour") == "green"


@pytest.mark.parametrize("top", [b"coord.json", b"policy.json"])
def test_a_state_without_its_header_or_policy_is_reported(ledger: Ledger, top: bytes) -> None:
    work = ledger.state.fork()
    work.tree.remove((top,))
    state = ledger.objects.state(work.tree.write(ledger.objects.add))
    with pytest.raises(UnreadableRecord, match=top.decode()):
        _ = (state.policy, state.header)


# -- copies


def test_a_fork_does_not_change_what_others_look_at(ledger: Ledger) -> None:
    ledger.lock("s1", "a")
    work = ledger.state.fork()
    work.drop_lock(claims_of("a")[0], "s1")
    work.drop_session("s1")
    assert ledger.held("s1") == ["a"]
    assert ledger.state.session("s1") is not None
    assert work.session("s1") is None


def test_the_layout_has_room_for_every_claim_at_once(ledger: Ledger) -> None:
    names = ["a", "a/@s1.json", "a/b", "@s1", "%", "a/.git", "*", r"\*", "*/@x", "a/**"]
    ledger.lock("s1", *names)
    assert ledger.held("s1") == sorted(claim.spelled for claim in claims_of(*names))


def test_data_of_a_scope_named_like_a_bucket_stays_apart(ledger: Ledger) -> None:
    assert data_parts("@00") != (b"data", b"@00")
    ledger.store("s1", "a/@00", "k", 1)
    assert ledger.state.keys("a") == []
    assert ledger.state.scopes() == ["a/@00"]


def test_a_claim_knows_where_its_locks_lie() -> None:
    assert claim_parts(Claim("resource", ("deploy", "prod"), "deploy/prod")) == (b"resources", b"deploy", b"prod")
    assert holder_name("ada@host") == b"@ada@host.json"
