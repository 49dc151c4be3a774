"""What happens in the demo, and what has to come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from gitcoord.demo.stage import Agent, Stage
    from gitcoord.demo.teller import Teller

_FILE = "src/app.py"
_WAIT_S = 20
_AT_ONCE_S = 5
_POLL_S = 0.1


async def play(stage: Stage, teller: Teller) -> str:
    """Play the story to its end.

    Returns:
        What `git log refs/coord` says of it.

    Raises:
        NotAsTold: something came out differently.
    """
    await _make_repository(stage, teller)
    async with stage.agent("claude-code") as first, stage.agent("codex") as second:
        await _sign_on(teller, first, second)
        token = await _contend(teller, first, second)
        await _share_state(teller, first, second)
        await _take_over(stage, teller, first, second, token)
        await _keep_state(teller, second)
    await _end(stage, teller, second)
    return _tell(stage, teller)


def _stored(answer: dict[str, Any]) -> str:
    return f"stored, revision {answer['revision']}" if answer.get("ok") else _refusal(answer)


def _code(answer: dict[str, Any]) -> str | None:
    return answer["error"]["code"] if answer.get("error") else None


def _refusal(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    return f"refused ({error['code']}): {error['message']}" if error else f"not refused: {answer}"


async def _make_repository(stage: Stage, teller: Teller) -> None:
    teller.begin("A scratch repository gets a coordination log.", "git init", "gitcoord init")
    stage.build()
    stage.gitcoord("init")
    ref = stage.git("symbolic-ref", "refs/coord").strip()
    teller.check("refs/coord leads to refs/gitcoord/main", f"it leads to {ref}", ok=ref == "refs/gitcoord/main")
    await teller.rest()


async def _sign_on(teller: Teller, first: Agent, second: Agent) -> None:
    intents = {"claude-code": "rework the connection pool", "codex": "add a health check"}
    teller.begin(
        "Two agents, each with an MCP server of its own, sign on.",
        *(f"{name}: sign_on(intent={intent!r})" for name, intent in intents.items()),
    )
    for agent, (name, intent) in zip((first, second), intents.items(), strict=True):
        answer = await agent.call("sign_on", intent=intent)
        agent.session = str(answer.get("session"))
        teller.check(f"an id made from the client's name: {name}-1", agent.session, ok=agent.session == f"{name}-1")
    await teller.rest()


async def _contend(teller: Teller, first: Agent, second: Agent) -> int:
    reason = "the pool leaks connections"
    teller.begin("The first locks a file.", f"{first.session}: lock_files(files=[{_FILE!r}], reason={reason!r})")
    granted = await first.call("lock_files", files=[_FILE], reason=reason)
    teller.check("granted", _grant(granted), ok=granted.get("granted") is True)
    await teller.rest()

    teller.begin("The second wants it too.", f"{second.session}: lock_files(files=[{_FILE!r}])")
    refused = await second.call("lock_files", files=[_FILE])
    conflicts: list[dict[str, Any]] = refused.get("conflicts") or [{}]
    holder, why = conflicts[0].get("session"), conflicts[0].get("reason")
    teller.check("refused: it is held", _refusal(refused), ok=_code(refused) == "lock_held")
    teller.check(
        f"held by {first.session}, because {reason}",
        f"held by {holder}, because {why}",
        ok=(holder, why) == (first.session, reason),
    )
    await teller.rest()
    return granted["token"]


def _grant(answer: dict[str, Any]) -> str:
    if not answer.get("granted"):
        return _refusal(answer)
    return f"granted to {answer['session']} with token {answer['token']}, until {answer['expires_at']}"


async def _share_state(teller: Teller, first: Agent, second: Agent) -> None:
    place = {"scope": "project", "key": "plan"}
    teller.begin(
        "Both write one plan; compare-and-set keeps them from overwriting each other.",
        f"{first.session}: store_data('project', 'plan', ['pool'], expect_revision=0)",
        f"{second.session}: store_data('project', 'plan', ['health'], expect_revision=0)",
    )
    stored = await first.call("store_data", **place, value=["pool"], expect_revision=0)
    teller.check("stored, for the key was absent", _stored(stored), ok=stored.get("ok") is True)
    stale = await second.call("store_data", **place, value=["health"], expect_revision=0)
    teller.check("refused: it is there by now", _refusal(stale), ok=_code(stale) == "revision_mismatch")
    found = await second.call("retrieve_data", **place)
    plan = [*found["value"], "health"]
    again = await second.call("store_data", **place, value=plan, expect_revision=found["revision"])
    teller.check("read again, then stored", _stored(again), ok=again.get("ok") is True)
    await teller.rest()


async def _take_over(stage: Stage, teller: Teller, first: Agent, second: Agent, token: int) -> None:
    """Let the second wait, kill the first, and see the second get the lock."""
    teller.begin("The second waits for the file.", f"{second.session}: lock_files(files=[{_FILE!r}], wait_s={_WAIT_S})")
    answers: list[dict[str, Any]] = []
    killed_at = 0.0
    reason = "the health check needs it"
    async with anyio.create_task_group() as group:

        async def wait() -> None:
            answers.append(await second.call("lock_files", files=[_FILE], reason=reason, wait_s=_WAIT_S))

        group.start_soon(wait)
        line = await _waiting_line(stage, second.session)
        teller.check(
            f"in the waiting line: {second.session}", f"in the waiting line: {line}", ok=second.session in line
        )
        teller.check("no answer yet", f"{len(answers)} answers", ok=not answers)
        await teller.rest()

        teller.begin(f"The first one's server is killed: {first.session} is gone without a word.")
        pid, killed_at = first.kill(), anyio.current_time()
        teller.show(f"kill -9 {pid}")
    took_s = anyio.current_time() - killed_at
    teller.check("granted to the one who waited", _grant(answers[0]), ok=answers[0].get("granted") is True)
    teller.check(f"at once (in {_AT_ONCE_S} s)", f"after {took_s:.1f} s", ok=took_s < _AT_ONCE_S)
    new = answers[0]["token"]
    teller.check(f"a fencing token above {token}", f"token {new}", ok=new > token)
    await teller.rest()


async def _waiting_line(stage: Stage, session: str) -> str:
    """Return the sessions that wait, as soon as this one does, or when that takes too long."""
    waiting: list[str] = []
    with anyio.move_on_after(_AT_ONCE_S):
        while session not in waiting:
            state = await anyio.to_thread.run_sync(stage.state)
            waiting = [entry["session"] for entry in state["waiting"]]
            await anyio.sleep(_POLL_S)
    return ", ".join(waiting) or "nobody"


async def _keep_state(teller: Teller, second: Agent) -> None:
    teller.begin("What the dead one stored is still there.", f"{second.session}: retrieve_data('project', 'plan')")
    found = await second.call("retrieve_data", scope="project", key="plan")
    teller.check("['pool', 'health']", str(found.get("value")), ok=found.get("value") == ["pool", "health"])
    sessions = await second.call("list_sessions")
    here = [entry["session"] for entry in sessions["sessions"] if entry["state"] == "live"]
    teller.check(f"live are: {second.session}", f"live are: {', '.join(here)}", ok=here == [second.session])
    await teller.rest()


async def _end(stage: Stage, teller: Teller, second: Agent) -> None:
    teller.begin("The second one's client goes away, and its server signs off.", "gitcoord status")
    left = await anyio.to_thread.run_sync(stage.state)
    held = ", ".join(lock["path"] for lock in left["locks"]) or "nothing"
    here = ", ".join(entry["session"] for entry in left["sessions"] if entry["state"] == "live") or "nobody"
    teller.check("nothing is locked", f"{held} is locked", ok=not left["locks"])
    teller.check(f"{second.session} is not here any more", f"here: {here}", ok=second.session not in here)
    await teller.rest()


def _tell(stage: Stage, teller: Teller) -> str:
    teller.begin("Plain git tells the story.", "git log --reverse --format='%h %s' refs/coord")
    story = stage.git("log", "--reverse", "--format=%h %s", "refs/coord")
    teller.show(story)
    subjects = [line.partition(" ")[2] for line in story.splitlines()]
    reaps = [number for number, subject in enumerate(subjects) if subject.startswith("reap:")]
    teller.check("one commit clears the dead one away", f"commits that clear away: {len(reaps)}", ok=len(reaps) == 1)
    after = subjects[reaps[0] + 1]
    teller.check(f"the next one locks {_FILE}", after, ok=after.startswith(f"lock: {_FILE}"))

    age = len(subjects) - 1 - reaps[0]
    teller.begin("The commit that clears it away says why.", f"git show --no-patch refs/coord~{age}")
    teller.show(stage.git("show", "--no-patch", f"refs/coord~{age}"))
    faults = stage.git("fsck", "--strict", "--no-dangling", "--no-progress").strip()
    teller.check("git fsck finds nothing wrong", faults or "nothing wrong", ok=not faults)
    return story
