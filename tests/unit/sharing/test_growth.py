"""How a found tip lies to the seen one, and what can be a commit of the log: told from commits and headers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gitcoord.errors import IntegrityFault, ObjectMissing, UnsupportedFormat
from gitcoord.log import Commit
from gitcoord.sharing.growth import growth, has_first_parent, is_behind
from gitcoord.sharing.sound import newest_sound

if TYPE_CHECKING:
    from gitcoord.state import State


class Told:
    """The state at a commit, as far as it is looked at here."""

    def __init__(self, header: dict[str, Any], fault: IntegrityFault | None) -> None:
        self.header = header
        self._fault = fault

    @property
    def policy(self) -> dict[str, Any]:
        if self._fault is not None:
            raise self._fault
        return {}


class Drawn:
    """A log that is drawn: commits by name, each with its parents."""

    def __init__(self) -> None:
        self._commits: dict[bytes, Commit] = {}
        self._headers: dict[bytes, dict[str, Any]] = {}
        self.unreadable: dict[bytes, IntegrityFault] = {}
        self.lawless: dict[bytes, IntegrityFault] = {}

    def draw(self, name: str, *parents: str, repository: str = "r", stated: int | None = None, **merge: Any) -> bytes:
        """Add a commit and return its name as bytes.

        Args:
            name: the commit's.
            parents: those of its parents.
            repository: what its header says.
            stated: the revision that it states, where that is not the right one.
            merge: fields of the merge that it is.
        """
        oid, behind = name.encode(), [parent.encode() for parent in parents]
        revision = 1 + max((self._commits[parent].revision for parent in behind), default=0)
        revision = revision if stated is None else stated
        operation: dict[str, Any] = {"id": name, "type": "log.merge" if len(parents) > 1 else "data.store"}
        if len(parents) > 1:
            operation |= {"replayed": [], "refused": [], "restores": None, "adopts": None, **merge}
        self._commits[oid] = Commit(oid, b"", behind, revision)
        self._headers[oid] = {"repository": repository, "revision": revision, "operations": [operation]}
        return oid

    def commit(self, oid: bytes) -> Commit:
        if oid not in self._commits:
            raise ObjectMissing(f"{oid!r} is missing")
        return self._commits[oid]

    def state_at(self, oid: bytes) -> State:
        if oid in self.unreadable:
            raise self.unreadable[oid]
        told: Any = Told(self._headers[oid], self.lawless.get(oid))
        return told


@pytest.fixture
def log() -> Drawn:
    """Return `1-2-3`, with `2-a-b` beside it."""
    drawn = Drawn()
    drawn.draw("1")
    drawn.draw("2", "1")
    drawn.draw("3", "2")
    drawn.draw("a", "2")
    drawn.draw("b", "a")
    return drawn


@pytest.mark.parametrize(
    ("seen", "found", "kind"),
    [
        ("2", "2", "equal"),
        ("1", "3", "grown"),
        ("2", "b", "grown"),
        ("3", "2", "rewound"),
        ("b", "1", "rewound"),
        ("3", "a", "forked"),
        ("b", "3", "forked"),
    ],
)
def test_growth_is_along_first_parents_and_nothing_else(log: Drawn, seen: str, found: str, kind: str) -> None:
    assert growth(log, seen.encode(), found.encode()) == kind


def test_a_merge_grows_its_first_parent_and_reorders_its_second(log: Drawn) -> None:
    merged = log.draw("m", "3", "b")
    assert growth(log, b"3", merged) == "grown"
    assert growth(log, b"b", merged) == growth(log, b"a", merged) == "reordered"
    assert growth(log, b"2", merged) == "grown"


def test_a_merge_that_says_it_puts_right_is_no_damage_to_whom_it_brought_in(log: Drawn) -> None:
    merged = log.draw("m", "3", "b", restores="forked")
    after = log.draw("n", "m")
    assert growth(log, b"b", merged) == growth(log, b"b", after) == growth(log, b"a", after) == "restored"
    lacking = log.draw("c", "b")
    assert growth(log, lacking, after) == "forked"


def test_the_log_of_another_repository_is_told_apart(log: Drawn) -> None:
    log.draw("x", repository="other")
    assert growth(log, b"3", log.draw("y", "x", repository="other")) == "unrelated"


def test_what_is_behind_is_so_through_any_parent(log: Drawn) -> None:
    merged = log.draw("m", "3", "b")
    assert is_behind(log, merged, b"a")
    assert not has_first_parent(log, merged, b"a")
    assert not is_behind(log, b"3", b"a")


def test_a_revision_that_does_not_grow_ends_the_walk_with_a_name(log: Drawn) -> None:
    bad = log.draw("bad", "3", stated=0)
    with pytest.raises(IntegrityFault, match=b"3".hex()):
        growth(log, b"3", bad)


# -- what can be a commit of the log


def test_what_gitcoord_writes_is_sound(log: Drawn) -> None:
    for tip in (b"1", b"3", log.draw("m", "3", "b")):
        assert newest_sound(log, tip) == (tip, None)


def unsound(log: Drawn, name: str) -> bytes:
    """Draw a commit on `3` that can be none of the log."""
    match name:
        case "too large a revision":
            return log.draw("bad", "3", stated=9)
        case "the revision of its parent":
            return log.draw("bad", "3", stated=3)
        case "another repository":
            return log.draw("bad", "3", repository="other")
        case "three parents":
            return log.draw("bad", "3", "a", "b")
        case "a merge that does not say what it merged":
            return log.draw("bad", "3", "b", replayed=None)
        case "a header that cannot be read":
            oid = log.draw("bad", "3")
            log.unreadable[oid] = IntegrityFault("nonsense")
            return oid
        case _:
            oid = log.draw("bad", "3")
            log.lawless[oid] = IntegrityFault("no policy")
            return oid


@pytest.mark.parametrize(
    "name",
    [
        "too large a revision",
        "the revision of its parent",
        "another repository",
        "three parents",
        "a merge that does not say what it merged",
        "a header that cannot be read",
        "a policy that cannot be read",
    ],
)
def test_under_what_is_unsound_the_nearest_sound_first_parent_is_found(log: Drawn, name: str) -> None:
    oid = unsound(log, name)
    found = newest_sound(log, oid)
    assert found.tip == b"3"
    assert found.fault is not None
    again = log.draw("more", oid.decode(), stated=99)
    assert newest_sound(log, again).tip == b"3"


def test_where_nothing_is_sound_there_is_no_tip(log: Drawn) -> None:
    assert newest_sound(log, log.draw("root", stated=7)).tip is None
    assert newest_sound(log, b"nowhere").tip is None


def test_a_later_version_is_not_stepped_over(log: Drawn) -> None:
    later = log.draw("later", "3")
    log.unreadable[later] = UnsupportedFormat("format 99", next="upgrade gitcoord")
    with pytest.raises(UnsupportedFormat, match=later.hex()) as caught:
        newest_sound(log, log.draw("bad", "later", stated=2))
    assert caught.value.next == "upgrade gitcoord"
