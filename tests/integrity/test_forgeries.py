"""Every kind of forgery is found, in the right commit and by the right rule; and the suite can tell a bad verifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gitcoord import principals
from gitcoord.transitions import clocks
from gitcoord.verify import rules
from support.forge import Forge, honest_log
from support.forgeries import FORGERIES, SIGNED
from support.later_forgeries import branch_of_a_stolen_key, honest_merge

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = (1, 2, 3)
BOTH = [(name, kind) for name in FORGERIES for kind in (True, False) if kind or name not in SIGNED]


@pytest.fixture(scope="module")
def forges(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, bool], Forge]:
    """Return a workshop beside an honest log, for every seed, signed and unsigned."""
    found: dict[tuple[int, bool], Forge] = {}
    for seed in SEEDS:
        for signed in (True, False):
            repo, keys = honest_log(str(tmp_path_factory.mktemp("forge")), signed=signed, seed=seed)
            found[seed, signed] = Forge(repo, keys, seed, signed=signed)
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_an_honest_log_is_good(forges: dict[tuple[int, bool], Forge], seed: int, signed: bool) -> None:
    forge = forges[seed, signed]
    verdict = forge.judge(forge.tip)
    assert verdict.fault is None
    assert verdict.good == forge.tip
    assert verdict.checked == len(forge.line) > 30
    assert verdict.tally.unsigned == (0 if signed else verdict.checked)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "signed"), BOTH, ids=[f"{n}-{'signed' if s else 'unsigned'}" for n, s in BOTH])
def test_a_forgery_is_found_in_its_commit_by_its_rule(
    forges: dict[tuple[int, bool], Forge], seed: int, name: str, signed: bool
) -> None:
    forge = forges[seed, signed]
    forged = FORGERIES[name](forge)
    verdict = forge.judge(forged.tip)
    assert verdict.fault is not None
    assert (verdict.fault.rule, verdict.fault.commit.hex()) == (forged.rule, forged.bad.hex()), verdict.fault.reason
    before = forge.log.commit(forged.bad).parents
    assert verdict.good in {None, *forge.line, *before} or forged.rule == "tree"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_an_honest_merge_is_good(forges: dict[tuple[int, bool], Forge], seed: int, signed: bool) -> None:
    forge = forges[seed, signed]
    assert forge.judge(honest_merge(forge)).fault is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stolen_old_key_gets_nothing_in_by_going_back_to_where_it_counted(
    forges: dict[tuple[int, bool], Forge], seed: int
) -> None:
    forge = forges[seed, True]
    branch, made = branch_of_a_stolen_key(forge)
    # The branch alone breaks no rule: it might have been made then. A merge brings nothing of it.
    assert forge.judge(branch).fault is None
    assert made.state.session("thief-1") is None
    assert all(lock["path"] != "stolen.py" for lock in made.state.locks())


def test_there_are_many_kinds() -> None:
    assert len(FORGERIES) >= 65


def test_another_root_than_the_trusted_one_is_found(forges: dict[tuple[int, bool], Forge]) -> None:
    signed, unsigned = forges[1, True], forges[1, False]
    assert signed.judge(signed.tip, signed.keys.ada.fingerprint).fault is None
    for forge, pinned in ((signed, signed.keys.bob), (unsigned, signed.keys.ada)):
        fault = forge.judge(forge.tip, pinned.fingerprint).fault
        assert fault is not None
        assert (fault.rule, fault.commit) == ("root", forge.line[0])


def _judge_nothing(*_: Any) -> None:
    return None


def _believe_the_name(policy: Any, operation: Any, _revision: int) -> str | None:
    """Judge by nothing: whoever is named is believed."""
    found = principals.find_key(policy, operation.get("signer", ""))
    return None if found is None else found[0]


BAD_VERIFIERS: dict[str, tuple[Any, str, Callable[..., Any], list[str]]] = {
    "transitions without the lease check": (
        clocks, "lease_is_over", lambda *_: True, ["early_takeover"],
    ),
    "transitions without the expiry check": (
        clocks, "lock_is_over", lambda *_: True, ["early_expiry"],
    ),
    "without the parent's policy": (
        principals, "judge", _believe_the_name,
        ["break_by_one_who_may_not", "key_added_by_one_who_may_not", "revoked_key"],
    ),
    "without the owners of sessions": (
        principals, "check_actor", _judge_nothing, ["acting_as_anothers_session"],
    ),
    "without the rendered commit": (
        rules, "check_rendered", _judge_nothing, ["message_that_says_other", "author_that_is_another"],
    ),
    "without the place in the log": (
        rules, "check_place", _judge_nothing, ["replayed", "grafted_from_another_repository"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("variant", BAD_VERIFIERS)
def test_the_suite_fails_a_verifier_that_leaves_a_check_out(
    forges: dict[tuple[int, bool], Forge], monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    module, name, instead, slips = BAD_VERIFIERS[variant]
    forge = forges[1, True]
    forged = [(kind, FORGERIES[kind](forge)) for kind in slips]
    monkeypatch.setattr(module, name, instead)
    for kind, one in forged:
        fault = forge.judge(one.bad).fault
        assert fault is None or fault.rule != one.rule, f"{variant}: {kind} is found all the same, by what?"
