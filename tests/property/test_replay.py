"""Laws of the log: anybody who replays it arrives at the same trees and reads the same messages, bit for bit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitcoord import canonical, render
from gitcoord.service import Desk
from gitcoord.state import State
from gitcoord.transitions import advance
from support.history import EVERYBODY, KINDS, History, Step
from support.ledger import MemoryObjects
from support.repo import fsck, git_bytes
from support.world import World

FAST = settings(max_examples=100, deadline=None, derandomize=True, database=None)
FEW = settings(
    max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)

steps = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 30), st.integers(0, 30)),
    min_size=30,
    max_size=90,
)


def replayed(state: State, header: Any, objects: MemoryObjects) -> bytes:
    """Return the tree that the rules make of a parent's state and what a commit says of itself."""
    advance(state, header["operations"])
    return state.tree.write(objects.add)


@FAST
@given(steps)
def test_replaying_a_log_gives_every_commits_tree(taken: list[Step]) -> None:
    history = History()
    for step in EVERYBODY + taken:
        history.take(step)
    objects = history.ledger.objects
    parent: bytes | None = None
    for number, tree in enumerate(history.ledger.trees):
        found = objects.state(tree).tree.find((b"coord.json",))
        assert found is not None
        header = canonical.loads(objects.state(tree).tree.body(found), "coord.json")
        assert header["revision"] == number + 1
        assert replayed(objects.state(parent), header, objects) == tree
        assert canonical.dumps(header) == objects.state(tree).tree.body(found)
        parent = tree


@FAST
@given(steps)
def test_a_replay_needs_nothing_but_the_log_and_changes_nothing_that_it_was_given(taken: list[Step]) -> None:
    history = History()
    for step in EVERYBODY + taken:
        history.take(step)
    objects = history.ledger.objects
    state = objects.state(None)
    for tree in history.ledger.trees:
        header: Any = objects.state(tree).header
        before = canonical.dumps(header)
        assert replayed(state, header, objects) == tree  # one state all along, as a verifier has it
        assert canonical.dumps(header) == before


@FAST
@given(steps)
def test_every_header_has_one_message_with_its_own_trailers(taken: list[Step]) -> None:
    history = History()
    for step in EVERYBODY + taken:
        history.take(step)
    for tree in history.ledger.trees:
        header = history.ledger.objects.state(tree).header
        message = render.message(header)
        body = render.commit(tree, [], header)
        assert render.parse_commit(b"", body) == (tree, [], header["revision"])
        lines = message.splitlines()
        assert len(lines[0]) <= 100
        assert all(char.isprintable() or char == "\n" for char in message)
        ids = [line for line in lines if line.startswith("Coord-Id: ")]
        assert ids == [f"Coord-Id: {operation['id']}" for operation in header["operations"]]


# -- the same through the service, in a real repository

ODD_PATHS = ["src/app.py", "src", "new\nline", "*.py", 'q"uote', "@x", ".gitmodules", "bytes-\udcff", "a b", "\x1b[31m"]
ODD_TEXTS = ["", "why", "x\n\nCoord-Id: forged\n", "\x1b[2J", "<a@b>", "{paths}", "é" * 50]

wishes = st.lists(
    st.tuples(
        st.sampled_from(["lock", "lock", "share", "ttl", "unlock", "break", "off", "kill", "store", "delete", "time"]),
        st.integers(0, 3),
        st.integers(0, 30),
    ),
    min_size=10,
    max_size=40,
)


def do(world: World, desks: list[Desk], kind: str, who: int, number: int) -> None:
    desk, path, text = desks[who], ODD_PATHS[number % len(ODD_PATHS)], ODD_TEXTS[number % len(ODD_TEXTS)]
    if kind == "kill" and desk.callers.own is not None and desk.callers.process:
        world.kill(desk)
        desks[who] = world.agent(f"agent {who} <x>")
    if kind == "time":
        world.clock.advance((30, 500, 1000)[number % 3])
        desk.keep_alive_once()
    {
        "lock": lambda: desk.lock_files([path], reason=text),
        "share": lambda: desk.lock_files([path, "docs/"], mode="shared", reason=text),
        "ttl": lambda: desk.lock_files([path], ttl_s=60),
        "unlock": lambda: desk.unlock_files(all=True),
        "break": lambda: desk.break_lock([path], text or "stale"),
        "off": desk.sign_off,
        "store": lambda: desk.store_data("s/" + text, path.replace("\udcff", ""), [text]),
        "delete": lambda: desk.delete_scope("s/" + text),
    }.get(kind, lambda: None)()


@FEW
@given(wishes)
def test_what_callers_did_in_a_real_repository_replays_and_reads_as_it_is_rendered(
    wished: list[tuple[str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory, "repo"))
        desks = [*[world.agent(f"agent {number} <x>") for number in range(3)], world.command("ada@host")]
        for kind, who, number in wished:
            do(world, desks, kind, who, number)
        coordinator, objects = world.coordinator, MemoryObjects()
        state, parent = objects.state(None), b""
        for number, (commit, header) in enumerate(world.log(), 1):
            assert header["revision"] == commit.revision == number
            assert commit.parents == ([parent] if parent else [])
            assert len(header["operations"]) == 1
            assert replayed(state, header, objects) == commit.tree
            raw = git_bytes(world.root, "cat-file", "commit", commit.oid.hex())
            assert raw == render.commit(commit.tree, commit.parents, header)
            parent = commit.oid
        assert parent == coordinator.tip()
        ids = [operation["id"] for operation in world.operations()]
        assert len(ids) == len(set(ids))
        assert fsck(world.root) == []
        world.close()
