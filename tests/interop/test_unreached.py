"""Objects that nothing reaches go when the history is packed, once they are old; nothing else ever does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitcoord import config
from gitcoord.runtime.group import Pending, PendingFile
from gitcoord.runtime.shared import Contact, Flight, write_contact, write_flight
from gitcoord.service import initialise, open_desk
from gitcoord.store.objects import ObjectStore
from gitcoord.store.packing import pack_history
from gitcoord.store.unreached import GRACE_S, noted_tips
from support.repo import LOG_REF, fsck, git, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.service import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    repo = make_repo(tmp_path / "r")
    initialise(repo)
    found = open_desk(repo, session="writer")
    for number in range(5):
        assert found.store_data("s", f"k{number}", number)["ok"]
    return found


def root_of(desk: Desk) -> str:
    root = desk.access.repository.worktree
    assert root is not None
    return root


def built_in_vain(desk: Desk, text: str) -> str:
    """Write a commit as a publisher does whose push then fails, and return its name."""
    tip = git(root_of(desk), "rev-parse", LOG_REF)
    batch = ObjectStore(desk.access.repository).batch()
    blob = batch.add(b"blob", text.encode())
    tree = batch.add(b"tree", b"100644 %s\0" % text.encode() + blob)
    who = "a <a@example.com> 1 +0000"
    lines = f"tree {tree.hex()}\nparent {tip}\nauthor {who}\ncommitter {who}\n\n{text}\n"
    commit = batch.add(b"commit", lines.encode())
    assert len(batch.paths) == 2
    return commit.hex()


def age(desk: Desk, by_s: float) -> None:
    """Let all that is in the log's packs be so much older."""
    place = f"{desk.access.runtime}/objects/pack"
    for name in os.listdir(place):
        when = os.stat(f"{place}/{name}").st_mtime - by_s
        os.utime(f"{place}/{name}", (when, when))


def pack(desk: Desk) -> int:
    log, now = desk.access.log, desk.access.now()
    return pack_history(desk.access.repository, log.tip(), now.at_ms / 1000, config.environment())


def is_there(desk: Desk, oid: str) -> bool:
    """Tell whether git finds a commit with its tree, all of it or (nothing of it) none."""
    names = f"{oid}\n{oid}^{{tree}}\n"
    gone = git(root_of(desk), "cat-file", "--batch-check", stdin=names.encode()).count("missing")
    assert gone in {0, 2}
    return not gone


def is_sound(desk: Desk) -> None:
    assert fsck(root_of(desk)) == []
    fresh = open_desk(root_of(desk), session="writer")
    assert [fresh.retrieve_data("s", f"k{number}")["value"] for number in range(5)] == list(range(5))
    assert fresh.store_data("s", "k0", 0)["ok"]


def test_what_nothing_reaches_goes_once_it_is_old(desk: Desk) -> None:
    lost = built_in_vain(desk, "old")
    age(desk, GRACE_S + 60)
    young = built_in_vain(desk, "young")
    assert pack(desk) > 0
    assert not is_there(desk, lost)
    assert is_there(desk, young)
    is_sound(desk)
    # What was kept has kept its age: packing does not make it young again.
    age(desk, GRACE_S / 2)
    pack(desk)
    assert is_there(desk, young)
    age(desk, GRACE_S / 2 + 60)
    assert pack(desk) > 0
    assert not is_there(desk, young)
    is_sound(desk)


def by_branch(desk: Desk, oid: str) -> None:
    git(root_of(desk), "branch", "mine", oid)


def by_side_ref(desk: Desk, oid: str) -> None:
    git(root_of(desk), "update-ref", f"refs/gitcoord/kept/{oid}", oid)


def by_reflog(desk: Desk, oid: str) -> None:
    tip = git(root_of(desk), "rev-parse", LOG_REF)
    git(root_of(desk), "update-ref", LOG_REF, oid)
    git(root_of(desk), "update-ref", LOG_REF, tip)


def by_contact(desk: Desk, oid: str) -> None:
    write_contact(desk.access.runtime, Contact(tip=bytes.fromhex(oid)))


def by_flight(desk: Desk, oid: str) -> None:
    write_flight(desk.access.runtime, Flight(bytes.fromhex(oid), None))


def by_expected_flight(desk: Desk, oid: str) -> None:
    write_flight(desk.access.runtime, Flight(bytes(20), bytes.fromhex(oid)))


def by_chain(desk: Desk, oid: str, name: str = "pending") -> None:
    chain = Pending(desk.access.log.tip(), (bytes.fromhex(oid),), ((0, 0),))
    PendingFile(desk.access.runtime, name).write(chain, desk.access.now())


def by_candidates(desk: Desk, oid: str) -> None:
    by_chain(desk, oid, "candidate-pending")


NAMING = (
    by_branch,
    by_side_ref,
    by_reflog,
    by_contact,
    by_flight,
    by_expected_flight,
    by_chain,
    by_candidates,
)


@pytest.mark.parametrize("name", NAMING, ids=lambda name: name.__name__)
def test_what_somebody_names_stays_however_old(desk: Desk, name: Callable[[Desk, str], None]) -> None:
    named, lost = built_in_vain(desk, "named"), built_in_vain(desk, "lost")
    name(desk, named)
    age(desk, 2 * GRACE_S)
    assert pack(desk) > 0
    assert is_there(desk, named)
    assert not is_there(desk, lost)
    is_sound(desk)


def test_nothing_goes_where_git_finds_the_repository_damaged(desk: Desk) -> None:
    lost = built_in_vain(desk, "lost")
    git(root_of(desk), "commit", "--allow-empty", "-qm", "to be damaged")
    head = git(root_of(desk), "rev-parse", "HEAD")
    os.unlink(f"{root_of(desk)}/.git/objects/{head[:2]}/{head[2:]}")
    age(desk, 2 * GRACE_S)
    pack(desk)
    assert is_there(desk, lost)


def test_what_is_refused_again_and_again_does_not_grow_without_end(desk: Desk) -> None:
    place = f"{desk.access.runtime}/objects"
    sizes: list[int] = []
    for turn in range(3):
        for number in range(30):
            built_in_vain(desk, f"{turn}-{number}-" + "x" * 2000)
        age(desk, 2 * GRACE_S)
        pack(desk)
        retired = Path(desk.access.runtime, "retired").read_text(encoding="ascii")
        over = {line.split(" ")[1] for line in retired.splitlines()[1:]}
        files = [os.path.join(where, name) for where, _, names in os.walk(place) for name in names]
        sizes.append(sum(os.stat(path).st_size for path in files if os.path.basename(path)[:-5] not in over))
    assert sizes[2] <= sizes[0] * 1.1
    is_sound(desk)


def test_notes_that_say_nothing_name_nothing(tmp_path: Path) -> None:
    assert noted_tips(str(tmp_path)) == []
    (tmp_path / "flight").write_text("{")
    (tmp_path / "contact").write_text('{"tip": "xyz"}')
    (tmp_path / "pending").write_text("half of a")
    assert noted_tips(str(tmp_path)) == []
