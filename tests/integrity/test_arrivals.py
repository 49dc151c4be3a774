"""What arrives is judged before it is used: what is new and not behind the good tip, along first parents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitcoord.store.objects import ObjectStore
from gitcoord.verify import verify_new
from gitcoord.verify.used import IdsFile
from support.forge import Forge, honest_log
from support.forgeries import FORGERIES

if TYPE_CHECKING:
    from gitcoord.verify import Verdict


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    """Return a workshop beside a signed honest log."""
    repo, keys = honest_log(str(tmp_path_factory.mktemp("arrivals")), signed=True, seed=7)
    return Forge(repo, keys, 7)


def found(verdict: Verdict) -> tuple[str, bytes]:
    assert verdict.fault is not None
    return verdict.fault.rule, verdict.fault.commit


def test_good_arrivals_are_good_and_only_they_are_judged(forge: Forge) -> None:
    good = forge.line[-10]
    verdict = verify_new(forge.log, good, forge.tip)
    assert (verdict.fault, verdict.good, verdict.checked) == (None, forge.tip, 9)
    assert verify_new(forge.log, forge.tip, forge.tip).checked == 0


def test_the_last_good_commit_before_a_bad_one_is_told(forge: Forge) -> None:
    forged = FORGERIES["flipped_holder"](forge)
    last_good = forge.log.commit(forged.bad).parents[0]
    verdict = verify_new(forge.log, forge.line[-25], forged.tip)
    assert (found(verdict), verdict.good) == (("tree", forged.bad), last_good)


def test_a_history_without_the_good_tip_is_no_growth(forge: Forge) -> None:
    base = forge.line[-5]
    beside = forge.commit(base, [forge.lock_operation(base)])
    verdict = verify_new(forge.log, forge.tip, beside)
    assert (found(verdict), verdict.good) == (("growth", beside), forge.tip)
    assert found(verify_new(forge.log, forge.tip, base)) == ("growth", base)


def test_a_merge_that_puts_its_own_history_first_is_no_growth(forge: Forge) -> None:
    base = forge.line[-5]
    own = forge.commit(base, [forge.lock_operation(base)])
    merge = forge.commit(own, [forge.lock_operation(own)], parents=[own, forge.tip])
    assert found(verify_new(forge.log, forge.tip, merge)) == ("growth", merge)


def test_a_bad_commit_behind_the_second_parent_is_found(forge: Forge) -> None:
    base = forge.line[-5]
    bad = FORGERIES["lowered_token"](forge).bad
    merge = forge.commit(base, [forge.lock_operation(base)], parents=[base, bad])
    verdict = verify_new(forge.log, base, merge)
    assert (found(verdict), verdict.good) == (("tree", bad), base)


def test_a_merge_that_its_parents_do_not_make_is_bad(forge: Forge) -> None:
    base = forge.line[-5]
    good = forge.commit(base, [forge.lock_operation(base)])
    operation = forge.lock_operation(base)
    merge = forge.commit(base, [operation], parents=[base, good], header=_raised)
    verdict = verify_new(forge.log, base, merge)
    assert verdict.fault is not None
    assert verdict.fault.commit == merge
    assert verdict.good == base


def _raised(header: dict[str, object]) -> dict[str, object]:
    revision = header["revision"]
    assert isinstance(revision, int)
    return {**header, "revision": revision + 1}


def test_an_operation_that_was_replayed_from_before_the_good_tip_is_found(forge: Forge) -> None:
    used = forge.log.state_at(forge.line[5]).header["operations"][0]["id"]
    bad = forge.commit(forge.tip, [{**forge.lock_operation(forge.tip), "id": used}])
    assert found(verify_new(forge.log, forge.tip, bad)) == ("operation-id", bad)


def test_the_earlier_of_two_faults_is_the_one_that_is_told(forge: Forge) -> None:
    first = FORGERIES["signature_over_the_tree_only"](forge).bad
    second = forge.commit(first, [forge.lock_operation(first)], tamper=lambda state: state.tree.put((b"x",), b"x"))
    assert found(verify_new(forge.log, forge.line[-25], second)) == ("signature", first)


class Counting(ObjectStore):
    """A store that counts what is read of it."""

    count = 0

    def read(self, oid: bytes, *, verify: bool = False) -> tuple[bytes, bytes]:
        self.count += 1
        return super().read(oid, verify=verify)


def test_what_one_arrival_reads_does_not_grow_with_the_log(forge: Forge) -> None:
    """The ids behind the good tip are read once, and remembered for the next time."""
    runtime = forge.log.repository.runtime
    store = forge.log.objects = Counting(forge.log.repository)
    assert verify_new(forge.log, forge.line[-3], forge.line[-2]).fault is None
    first, store.count = store.count, 0
    known = IdsFile(runtime).read()
    assert known is None  # so few commits are read again in less time than it takes to write
    long = lengthened(forge, 80)
    assert verify_new(forge.log, long[0], long[-2]).fault is None
    known = IdsFile(runtime).read()
    assert known is not None
    assert known.tip == long[-2]
    store.count = 0
    assert verify_new(forge.log, long[-2], long[-1]).fault is None
    assert store.count < first / 2
    assert store.count < 30
    # Another history than the remembered one is read anew, and nothing of the other one counts as used.
    used = forge.log.state_at(long[-1]).header["operations"][0]["id"]
    beside = forge.commit(forge.tip, [{**forge.lock_operation(forge.tip), "id": used}])
    assert verify_new(forge.log, forge.tip, beside).fault is None
    again = forge.commit(long[-1], [{**forge.lock_operation(long[-1]), "id": used}])
    assert found(verify_new(forge.log, long[-1], again)) == ("operation-id", again)


def test_a_damaged_memory_of_ids_is_none(forge: Forge) -> None:
    path = f"{forge.log.repository.runtime}/arrived"
    for content in (b"", b"{}\n", b'{"tip": "00"}\nxx', b"\xff"):
        with open(path, "wb") as file:
            file.write(content)
        assert IdsFile(forge.log.repository.runtime).read() is None
        assert verify_new(forge.log, forge.line[-3], forge.tip).fault is None


def lengthened(forge: Forge, count: int) -> list[bytes]:
    made = [forge.tip]
    for _ in range(count):
        made.append(forge.commit(made[-1], [forge.lock_operation(made[-1])]))
    return made
