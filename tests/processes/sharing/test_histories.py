"""Eight processes in five clones live through partitions and deaths; what each was answered is held against the log."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from processes.sharing.workers import live
from support.agreement import Agreed, Held, check_order, read_agreed
from support.procs import start, wait_until
from support.sharing import Clones

if TYPE_CHECKING:
    from pathlib import Path

    from support.procs import Crew

ROUNDS = 10
UNSENT = ("remote_unreachable", "remote_rejected")


class Call(NamedTuple):
    """One request of one process: when it was made, and what it was answered; None where its process died first."""

    kind: str
    tag: str
    session: str
    what: str
    began: float
    ended: float
    answer: dict[str, Any] | None

    @property
    def code(self) -> str:
        if self.answer is None:
            return "died"
        return self.answer["error"]["code"] if "error" in self.answer else "ok"


def calls_of(lines: list[Any]) -> list[Call]:
    answers = {line["tag"]: line for line in lines if "answered" in line}
    found: list[Call] = []
    for line in lines:
        if "invoked" in line:
            end = answers.get(line["tag"], {"at": float("inf"), "answer": None})
            found.append(
                Call(line["invoked"], line["tag"], line["session"], line["what"], line["at"], end["at"], end["answer"])
            )
    return found


def answers_with(crew: Crew, *codes: str) -> int:
    lines = [line for worker in crew for line in list(worker.lines) if "answered" in line]
    return sum(line["answer"].get("error", {}).get("code", "ok") in codes for line in lines)


def answered(crew: Crew) -> int:
    return sum("answered" in line for worker in crew for line in list(worker.lines))


def kill_while_it_asks(crew: Crew, index: int) -> None:
    """Kill a worker between a request and its answer."""
    worker = crew[index]
    wait_until(
        lambda: worker.process.poll() is not None or ("invoked" in worker.lines[-1] and len(worker.lines) > 2),
        "it asks for something",
    )
    worker.kill()


def trouble(clones: Clones, crew: Crew) -> None:
    """Two partitions and three deaths, each after something has happened."""
    for victim in (1, 5):
        before = answered(crew)
        wait_until(lambda before=before: answered(crew) >= before + 8, "they work")
        failures = answers_with(crew, *UNSENT, "remote_unknown")
        clones.partition()
        try:
            wait_until(
                lambda failures=failures: answers_with(crew, *UNSENT, "remote_unknown") >= failures + 2, "they miss it"
            )
        finally:
            clones.heal()
        kill_while_it_asks(crew, victim)
    kill_while_it_asks(crew, 6)


def test_what_was_answered_is_what_happened(tmp_path: Path) -> None:
    clones = Clones(tmp_path)
    first, second, *others = clones.clones
    places = [first, first, clones.side, second, second, *others]
    witness = tmp_path / "witness"
    os.mkdir(witness)
    with start(live, len(places), places, str(witness), ROUNDS, 1) as crew:
        crew.go()
        trouble(clones, crew)
        for worker in crew:
            if worker.process.returncode is None:
                worker.finish()
        calls = [call for worker in crew for call in calls_of(worker.lines)]
    clones.converge()
    clones.check_sound()
    agreed = read_agreed(clones.hub)
    held = check_order(agreed)
    check_fates(calls, agreed)
    check_refusals(calls, held)
    for path in {call.what for call in calls if call.kind == "lock"}:
        check_linearizable([call for call in calls if call.what == path], held)
    codes = [call.code for call in calls]
    assert codes.count("died") >= 1
    assert codes.count("lock_held") >= 5
    assert codes.count("ok") >= 20
    assert any(code in codes for code in UNSENT)


def check_fates(calls: list[Call], agreed: Agreed) -> None:
    """What was acknowledged is in effect, or on record as refused; what failed is nowhere; nothing is twice."""
    stand = [op.operation.get("reason") or op.operation.get("value") for op in agreed.order]
    known = [op.get("reason") or op.get("value") for op in agreed.bodies.values()]
    for call in calls:
        if call.kind == "unlock":
            continue
        if call.code == "ok":
            assert stand.count(call.tag) == 1, call
        elif call.code in ("died", "remote_unknown"):
            assert known.count(call.tag) <= 1, call
        else:
            assert call.code in (*UNSENT, "lock_held"), call
            assert known.count(call.tag) == 0, call


def check_refusals(calls: list[Call], held: list[Held]) -> None:
    """Who was refused was told of somebody who did hold it, with the token that it had."""
    holdings = {(one.path, one.session, one.grant, one.token) for one in held}
    for call in calls:
        if call.code == "lock_held":
            assert call.answer is not None
            for conflict in call.answer["conflicts"]:
                named = tuple(conflict[name] for name in ("held_path", "session", "grant", "token"))
                assert named in holdings, call


def check_linearizable(calls: list[Call], held: list[Held]) -> None:
    """The calls about one path fit the order of its tokens: who had its answer first has the smaller one.

    And nobody's time, from its answer to its letting go, overlaps another's.
    """
    times: list[tuple[int, float, float, float]] = []
    by_grant = {one.grant: one for one in held}
    for call in calls:
        if call.kind != "lock" or call.answer is None or not call.answer["granted"]:
            continue
        assert call.answer["state"] == "confirmed", call
        holding = by_grant[call.answer["grant"]]
        assert call.answer["token"] == holding.token, call
        mine = [other for other in calls if other.session == call.session and other.began >= call.ended]
        release = next((other for other in mine if other.kind == "unlock"), None)
        if release is not None and release.code == "ok":
            assert holding.released is not None, call
        times.append((holding.token, call.began, call.ended, float("inf") if release is None else release.began))
    times.sort()
    for (token, began, _, let_go), (later, _, later_answer, _) in itertools.combinations(times, 2):
        assert token < later
        assert began <= later_answer, "a smaller token for who asked after a larger one was answered"
        assert let_go <= later_answer, "two held it at a time"
