"""Several processes judge one log: the verdict, the commit and the rule are those of one process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitcoord.verify import segments
from gitcoord.verify.chain import Examination, Verdict
from gitcoord.verify.history import between
from gitcoord.verify.tally import Tally
from support.forge import Forge, honest_log
from support.forgeries import FORGERIES, SIGNED

if TYPE_CHECKING:
    from gitcoord.log import Log
    from gitcoord.verify.evidence import Seen


@pytest.fixture(scope="module", params=[True, False], ids=["signed", "unsigned"])
def forge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Forge:
    """Return a workshop beside an honest log."""
    repo, keys = honest_log(str(tmp_path_factory.mktemp("segments")), signed=request.param, seed=4)
    return Forge(repo, keys, 4, signed=request.param)


def judged(log: Log, tip: bytes, processes: int) -> tuple[Verdict, Examination]:
    examination = Examination(log)
    examination.processes = processes
    return examination.run(None, tip)[0], examination


def commits(log: Log, tip: bytes) -> list[Seen]:
    return between(Examination(log).reader, None, tip).commits


def test_a_log_is_cut_without_losing_a_commit(forge: Forge) -> None:
    whole = commits(forge.log, forge.tip)
    for processes in (1, 2, 3, 7, len(whole), 1000):
        stretches = segments.cut(whole, processes)
        assert len(stretches) <= processes
        assert [seen for stretch in stretches for seen in stretch] == whole
    assert segments.cut([], 3) == [[]]
    assert segments.cut(whole) == [whole]  # too short to be worth a process


def test_a_helper_says_of_its_stretch_what_was_found_in_it(forge: Forge) -> None:
    stretches = segments.cut(commits(forge.log, forge.tip), 3)
    with segments.Helpers(forge.log, None, stretches[1:]) as helpers:
        found = [helpers.answer(number) for number in range(2)]
    assert [None if good is None else good.tally["counts"]["commits"] for good in found] == [
        len(s) for s in stretches[1:]
    ]


def test_many_processes_find_in_an_honest_log_what_one_finds(forge: Forge) -> None:
    alone, one = judged(forge.log, forge.tip, 1)
    together, many = judged(forge.log, forge.tip, 4)
    assert (together.good, together.fault, together.checked) == (forge.tip, None, alone.checked)
    assert many.tally.told() == one.tally.told()
    assert (many.ids, many.merges, many.root, many.repository) == (one.ids, one.merges, one.root, one.repository)


@pytest.mark.parametrize("name", FORGERIES)
def test_many_processes_name_the_same_first_bad_commit(forge: Forge, name: str) -> None:
    if name in SIGNED and not forge.signed:
        return
    forged = FORGERIES[name](forge)
    alone, together = (judged(forge.log, forged.tip, processes)[0] for processes in (1, 3))
    assert together[:4] == alone[:4]
    assert together.fault is not None
    assert (together.fault.rule, together.fault.commit) == (forged.rule, forged.bad)


def test_an_id_of_an_earlier_stretch_is_not_used_again(forge: Forge) -> None:
    used = forge.log.state_at(forge.line[5]).header["operations"][0]["id"]
    bad = forge.commit(forge.tip, [{**forge.lock_operation(forge.tip), "id": used}])
    verdict, _ = judged(forge.log, bad, 2)
    assert verdict.fault is not None
    assert (verdict.fault.rule, verdict.fault.commit, verdict.good) == ("operation-id", bad, forge.tip)


def test_a_stretch_that_no_helper_judged_is_judged_here(forge: Forge) -> None:
    examination = Examination(forge.log)
    examination.processes = 3
    stretches = segments.cut(commits(forge.log, forge.tip), 3)
    unreadable = forge.log.repository._replace(common_dir="/nowhere", runtime="/nowhere/gitcoord")
    with segments.Helpers(forge.log, None, stretches) as helpers:
        assert helpers.answer(0) is None  # where a log begins is judged by who knows which log it is
        assert helpers.answer(1) is not None
    elsewhere = type(forge.log)(unreadable)
    with segments.Helpers(elsewhere, None, stretches) as helpers:
        assert helpers.answer(1) is None


def test_a_clock_that_went_back_across_a_cut_is_not_joined_unseen() -> None:
    early, late = Tally(), Tally()
    early.count(b"1", 1, [operation("2026-01-01T12:00:00.000Z")], None)
    late.count(b"2", 2, [operation("2026-01-01T11:00:00.000Z")], None)
    assert not early.join(late.told())
    assert early.commits == 1
    a_little = Tally()
    a_little.count(b"3", 2, [operation("2026-01-01T11:59:00.000Z")], None)
    assert early.join(a_little.told())
    assert early.commits == 2


def operation(time: str) -> dict[str, object]:
    clock = {"machine": "m", "boot": "b", "uptime_ms": 1, "time": time}
    return {"id": "X", "type": "session.renew", "session": "s", "others": [], "clock": clock}
