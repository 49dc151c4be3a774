"""`check`, the guard of the hooks and the server's door say the same, and what the corpus says, of every pair."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from gitcoord import paths
from gitcoord.service import guarding
from gitcoord.service.callers import Callers
from support.verdicts import Pair, corpus
from support.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitcoord.service import Desk

PAIRS = corpus()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, tuple[World, Desk]]]:
    made: dict[bool, tuple[World, Desk]] = {}
    for fold_case in (False, True):
        world = World(tmp_path_factory.mktemp("repo") / "r", ignore_case=fold_case)
        shutil.rmtree(f"{world.root}/src")  # a path that is a directory on the disk would be taken for one
        made[fold_case] = world, world.command("holder@there")
    yield made
    for world, _ in made.values():
        world.close()


def test_the_corpus_is_large_and_says_both() -> None:
    assert len(PAIRS) >= 200
    assert len(set(PAIRS)) == len(PAIRS)
    assert {pair.held for pair in PAIRS} == {True, False}
    assert sum(pair.file is not None for pair in PAIRS) >= 150


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.lock}|{pair.asked}|{pair.fold_case:d}")
def test_all_judges_say_what_the_corpus_says(worlds: dict[bool, tuple[World, Desk]], pair: Pair) -> None:
    world, holder = worlds[pair.fold_case]
    assert holder.lock_files([pair.lock])["granted"]
    try:
        desk = world.command("other@there")
        assert desk.check([pair.asked])["ok"] is not pair.held
        callers = Callers(desk.access, wished="other@there", hint="", process=False)
        state, now = desk.access.state(), desk.access.now()
        claim = paths.parse_claim(pair.asked, fold_case=pair.fold_case)
        met = list(guarding.met_at(callers, state, [claim], "other@there", now))
        assert bool(met[0].look.held) is pair.held
        if pair.file is not None:
            found = guarding.met_on(callers, state, ["elsewhere", pair.file], "other@there", now)
            assert any(one.look.held for one in found if one.claim.spelled != "elsewhere") is pair.held
    finally:
        holder.unlock_files(all=True)
