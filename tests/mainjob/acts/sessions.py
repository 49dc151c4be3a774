"""Sessions: who is here, under which id, and for how long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainjob.cast import Stage


async def sign_on(stage: Stage) -> None:
    """Sign on: ids from the client's name, wished ids, a taken id refused."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    answer = await first.call("sign_on", intent="rework the transport")
    note.same("an id made from the client's name", answer.get("session"), "claude-code-1")
    members = {"session", "incarnation", "machine", "project", "revision", "lease_expires_at"}
    note.same("the members of the answer", set(answer), members)
    again = await first.call("sign_on")
    note.same("signing on again confirms it", again.get("incarnation"), answer.get("incarnation"))

    for takeover in (False, True):
        refused = await second.call("sign_on", session="claude-code-1", takeover=takeover)
        note.refused("the id of one who lives is refused, takeover or not", refused, "session_taken")
        note.expect(
            "it says who has it and since when",
            {name: refused.get(name) for name in ("holder", "since")},
            ok=bool(refused.get("holder")) and bool(refused.get("since")),
        )
    for bad in ("../x", "a b", "x" * 65, "x.lock"):
        refused = await second.call("sign_on", session=bad)
        note.refused(f"{bad[:10]!r} can be no id", refused, "invalid_name")
    wished = await second.call("sign_on", session="mapper", intent="draw the map of the types")
    note.same("a wished id", wished.get("session"), "mapper")

    done = await dana.run("session", "start", "mapper")
    note.expect("the person is refused it too, exit 1", f"{done.code}: {done.err}", ok=done.code == 1)
    started = await dana.ask("session", "start", "dana", "--intent", "review both")
    note.same("the person's own", started.get("session"), "dana")

    listed = await first.call("list_sessions")
    here = {s["session"]: (s["state"], s["process"], s["intent"]) for s in listed["sessions"]}
    wanted = {
        "claude-code-1": ("live", True, "rework the transport"),
        "mapper": ("live", True, "draw the map of the types"),
        "dana": ("live", False, "review both"),
    }
    note.same("all three are here", here, wanted)


async def leases(stage: Stage) -> None:
    """Leases: shown, renewed, over without a process; the id of a lapsed one can be taken over."""
    note, second, dana = stage.recorder, stage.second, stage.dana
    before = await dana.ask("session", "show", "dana")
    renewed = await dana.ask("session", "renew", "dana", "--lease", "3h")
    note.expect(
        "a longer lease ends later",
        f"{before['session']['lease_expires_at']}, then {renewed.get('lease_expires_at')}",
        ok=renewed.get("lease_expires_at", "") > before["session"]["lease_expires_at"],
    )
    path = stage.project.files[0]
    brief = await dana.ask("session", "start", "eve", "--lease", "1s", "--session", "eve")
    note.same("somebody with a lease of a second", brief.get("session"), "eve")
    held = await dana.ask("lock", path, "--session", "eve", "-m", "only for a moment")
    note.granted("who locks a file", held)
    waited = await second.call("lock_files", files=[path], wait_s=10, reason="the next, please")
    note.granted("gets it only until the lease is over", waited)
    log = await dana.ask("log", "--session", "eve", "-n", "1")
    subject = log["entries"][0]["subject"]
    note.same("the log says why", subject, "reap: eve (its lease ran out), by mapper")

    await second.call("unlock_files", all=True)
    await dana.ask("session", "start", "eve", "--lease", "1s", "--session", "eve")
    await _until_lapsed(stage, "eve")
    plain = await second.call("sign_on", session="eve")
    note.refused("of a lapsed one the id is not given silently", plain, "session_taken")
    revived = await dana.ask("session", "renew", "--session", "eve", "--lease", "1s")
    note.expect("the lapsed one revives with its next operation", revived, ok=revived.get("ok") is True)
    await _until_lapsed(stage, "eve")
    taken = await dana.ask("session", "start", "eve", "--takeover")
    note.expect("takeover of a lapsed id", taken, ok=taken.get("session") == "eve")
    note.expect(
        "under a new incarnation", str(taken.get("incarnation")), ok=taken["incarnation"] != brief["incarnation"]
    )
    await dana.run("session", "end", "eve")


async def _until_lapsed(stage: Stage, session: str) -> None:
    """Watch a session until its lease is over; ten seconds are enough for one of a second."""
    states: list[str] = []
    for _ in range(40):
        shown = await stage.dana.ask("session", "show", session, quiet=True)
        states.append(shown["session"]["state"])
        if states[-1] != "live":
            break
    stage.recorder.same(f"{session} has lapsed", states[-1], "lapsed")


async def sign_off(stage: Stage) -> None:
    """Sign off: all that the session holds is released in the same commit."""
    note, second, dana = stage.recorder, stage.second, stage.dana
    held = sorted(stage.project.files[:3])
    note.granted("three files", await second.call("lock_files", files=held))
    before = int(stage.git("rev-list", "--count", "refs/coord"))
    record: dict[str, Any] = json.loads(stage.git("show", "refs/coord:sessions/mapper.json"))
    note.same("plain git shows the session", record["session"], "mapper")
    ended = await second.call("sign_off")
    note.same("sign off tells what is released", sorted(ended.get("released", [])), held)
    note.same("in one commit", int(stage.git("rev-list", "--count", "refs/coord")), before + 1)
    note.same("which says so", stage.git("log", "-1", "--format=%s", "refs/coord"), "sign-off: mapper")
    listed = stage.git("ls-tree", "-r", "--name-only", "refs/coord")
    ours = [name for name in listed.splitlines() if "mapper" in name]
    note.same("and leaves nothing of the session in the tree", ours, [])
    gone = await dana.ask("session", "show", "mapper")
    note.same("nobody of that name is here", gone.get("found"), False)
    anew = await second.call("lock_files", files=held[:1])
    note.same("the next change signs on by itself, as the client is called", anew.get("session"), "codex-1")
    await second.call("unlock_files", all=True)
