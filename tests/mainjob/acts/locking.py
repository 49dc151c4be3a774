"""Locks of files: modes, several at once, again, back, broken, and out of time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError

if TYPE_CHECKING:
    from mainjob.cast import Stage


async def hold(stage: Stage) -> None:
    """Exclusive: one holds, all others are told who, since when, until when, why, and what to try."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    path = stage.project.files[0]
    granted = await first.call("lock_files", files=[path], reason="the pool leaks connections")
    note.granted("the first locks a file", granted)
    lock: dict[str, Any] = granted["locks"][0]
    members = ["path", "kind", "mode", "state", "session", "grant", "token", "locked_at", "expires_at", "reason"]
    note.same("the members of a lock", sorted(lock), sorted(members))
    note.same("its kind and mode", (lock["kind"], lock["mode"], lock["state"]), ("file", "exclusive", "local"))

    refused = await second.call("lock_files", files=[path])
    note.refused("the second is refused", refused, "lock_held")
    note.same("told of exactly that lock", refused.get("conflicts"), [{**lock, "held_path": path}])
    message = refused["error"]["message"]
    for fact in ("session", "locked_at", "expires_at", "reason"):
        note.expect(f"the message has its {fact}", message, ok=lock[fact] in message)

    done = await dana.run("lock", path)
    note.same("the person is refused with exit 1", done.code, 1)
    told = [
        word for word in ("claude-code-1", "since", "until", "the pool leaks connections", "next:") if word in done.err
    ]
    note.expect("and told who, since, until, why, and what next", told, ok=len(told) == 5)
    note.same("on standard error only", done.out, "")
    for session, code in (("dana", 1), ("codex-1", 1), ("claude-code-1", 0)):
        done = await dana.run("check", path, "--session", session)
        note.expect(f"may {session} edit it: exit {code}", f"{done.code}: {done.out}{done.err}", ok=done.code == code)


async def share(stage: Stage) -> None:
    """Shared and intent: who goes with whom, and who is warned."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    one, two = stage.project.files[:2]
    note.granted("shared by the first", await first.call("lock_files", files=[one], mode="shared"))
    note.granted("shared by the second", await second.call("lock_files", files=[one], mode="shared"))
    alone = await dana.ask("lock", one)
    note.refused("exclusively it is not to be had", alone, "lock_held")
    names = sorted(conflict["session"] for conflict in alone.get("conflicts", []))
    note.same("both stand in the way", names, ["claude-code-1", "codex-1"])
    note.granted("the person shares it as well", await dana.ask("lock", one, "--shared"))

    note.granted("intent of the first", await first.call("lock_files", files=[two], mode="intent", reason="soon"))
    over = await second.call("lock_files", files=[two])
    note.granted("intent blocks nobody", over)
    note.expect("it warns", over.get("warnings"), ok=any("claude-code-1" in line for line in over["warnings"]))
    late = await dana.ask("lock", two, "--intent")
    note.granted("intent beside an exclusive lock", late)
    note.expect("is warned too", late.get("warnings"), ok=any("codex-1" in line for line in late["warnings"]))


async def several(stage: Stage) -> None:
    """Several at once: all or none."""
    note, first, second = stage.recorder, stage.first, stage.second
    one, two, three = stage.project.files[:3]
    note.granted("the first holds the middle one", await first.call("lock_files", files=[two]))
    refused = await second.call("lock_files", files=[one, two, three])
    note.refused("all three are refused", refused, "lock_held")
    note.same("because of that one", [c["path"] for c in refused.get("conflicts", [])], [two])
    held = await second.call("get_locked_files")
    note.same("and none of the others is held", [lock["path"] for lock in held["locks"]], [two])
    await first.call("unlock_files", files=[two])
    granted = await second.call("lock_files", files=[one, two, three, one])
    note.granted("now all of them", granted)
    note.same("one said twice is one lock", sorted(k["path"] for k in granted["locks"]), sorted([one, two, three]))
    note.same("with one grant", len({lock["grant"] for lock in granted["locks"]}), 1)


async def again(stage: Stage) -> None:
    """Again: re-locking renews, may change the reason, and upgrades the mode when alone."""
    note, first, second = stage.recorder, stage.first, stage.second
    path = stage.project.files[0]
    one = await first.call("lock_files", files=[path], mode="shared", reason="reading")
    same = await first.call("lock_files", files=[path], mode="shared", reason="reading closely")
    before, after = one["locks"][0], same["locks"][0]
    kept = ("token", "grant", "locked_at")
    note.same("token and grant stay", [after[k] for k in kept], [before[k] for k in kept])
    note.same("the reason is the new one", after["reason"], "reading closely")
    note.expect("it ends later", after["expires_at"], ok=after["expires_at"] >= before["expires_at"])
    await second.call("lock_files", files=[path], mode="shared")
    upgrade = await first.call("lock_files", files=[path])
    note.refused("no upgrade while another shares it", upgrade, "lock_held")
    await second.call("unlock_files", files=[path])
    upgrade = await first.call("lock_files", files=[path])
    note.granted("an upgrade when alone", upgrade)
    note.expect("is a new grant with a larger token", upgrade, ok=upgrade["token"] > one["token"])
    note.same("the reason stays if none is given", upgrade["locks"][0]["reason"], "reading closely")


async def give_back(stage: Stage) -> None:
    """Unlock: one's own, and nobody else's."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    one, two, three = stage.project.files[:3]
    await first.call("lock_files", files=[one, two])
    other = await second.call("unlock_files", files=[one])
    note.refused("what another holds", other, "not_holder")
    note.refused("what nobody holds", await first.call("unlock_files", files=[three]), "not_found")
    mixed = await first.call("unlock_files", files=[one, three])
    told = (mixed.get("released"), mixed.get("not_held"))
    note.same("what is held is released, the rest is named", told, ([one], [three]))
    done = await dana.run("unlock", two)
    note.expect(
        "the person neither, exit 1", f"{done.code}: {done.err}", ok=done.code == 1 and "claude-code-1" in done.err
    )
    note.same("all of it", (await first.call("unlock_files", all=True)).get("released"), [two])
    note.refused("neither named nor all", await first.call("unlock_files"), "bad_request")


async def break_one(stage: Stage) -> None:
    """Break: with a reason, on record, and the loser is told once."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    one, two = stage.project.files[:2]
    await first.call("lock_files", files=[one, two], reason="gone for lunch")
    done = await dana.run("unlock", "--force", one)
    note.expect("the person needs a reason, exit 2", f"{done.code}: {done.err}", ok=done.code == 2)
    try:
        came = str(await second.call("break_lock", files=[one]))
    except MCPError as error:
        came = f"protocol error: {error}"
    note.expect("so does an agent", came, ok="'reason' is missing" in came)
    note.refused("a blank one is none", await second.call("break_lock", files=[one], reason=" "), "bad_request")
    broken = await dana.ask("unlock", "--force", one, "-m", "the release cannot wait")
    note.same("broken", [(k["path"], k["session"]) for k in broken.get("broken", [])], [(one, "claude-code-1")])
    told = await second.call("break_lock", files=[two], reason="me too")
    note.expect("broken by an agent", told, ok=told.get("ok") is True)
    note.granted("who broke it has to lock it still", await second.call("lock_files", files=[one]))
    answer = await first.call("store_data", scope="tmp", key="k", value=1)
    news: list[str] = answer.get("notices", [])
    note.expect("the loser is told of both, with the reasons", news, ok=len(news) == 2 and "cannot wait" in news[0])
    later = await first.call("store_data", scope="tmp", key="k", value=2)
    note.same("once", later.get("notices"), None)
    await first.call("delete_scope", scope="tmp")
    entry = (await dana.ask("log", one, "-n", "2"))["entries"][-1]
    note.same("it is on record", (entry["verb"], entry["reason"]), ("break", "the release cannot wait"))
    body = stage.git("log", "-1", "--format=%B", entry["commit"])
    note.expect("in the commit too", body, ok="Coord-Op: lock.break" in body and "cannot wait" in body)
    note.refused("nothing to break", await second.call("break_lock", files=[one], reason="why"), "not_found")


async def expire(stage: Stage) -> None:
    """Ttl: a lock that ends earlier than the lease; tokens grow through it."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    path = stage.project.files[0]
    brief = await dana.ask("lock", path, "--ttl", "1s", "-m", "just a moment")
    note.granted("a lock for a second", brief)
    began = time.monotonic()
    note.refused("it counts", await second.call("lock_files", files=[path]), "lock_held")
    granted = await second.call("lock_files", files=[path], wait_s=10)
    took_s = time.monotonic() - began
    note.granted("and is over in time", granted)
    note.expect("after a second, not much later", f"{took_s:.2f} s", ok=0.3 < took_s < 4)
    note.expect(f"with a token above {brief['token']}", granted, ok=granted["token"] > brief["token"])
    subjects = stage.git("log", "-2", "--format=%s", "refs/coord").splitlines()
    note.same("the log says so", subjects, [f"lock: {path} (codex-1)", f"expire: {path} of dana"])
    answer = await dana.ask("data", "set", "tmp", "k", "1")
    news: list[str] = answer.get("notices", [])
    note.expect("the loser is told", news, ok=len(news) == 1 and path in news[0])
    await dana.run("data", "delete-scope", "tmp")
    long = await first.call("lock_files", files=[stage.project.files[1]], ttl_s=7200)
    shown = await dana.ask("session", "show", "claude-code-1")
    note.granted("a ttl beyond the lease", long)
    lease = shown["session"]["lease_expires_at"]
    note.expect("lengthens the lease", f"{long['expires_at']}, lease {lease}", ok=long["expires_at"] <= lease)
    note.refused("up to a limit", await first.call("lock_files", files=[path], ttl_s=10**7), "limit_reached")
