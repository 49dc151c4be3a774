"""Shared state: any JSON value, exact names, compare-and-set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from mainjob.cast import Agent, Stage

_ROUNDS = 50
_LIMIT = 256 * 1024


def _nested(depth: int) -> Any:
    value: Any = "bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"down": value}
    return value


_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**53 + 1,
    10**30,
    1.5,
    1.0,
    -2.5e-10,
    "",
    "null",
    '{"looks": "like JSON"}',
    "[1]",
    'größe ✓ 🙂 \u2028 \\ " / \u0000 \x1b[31m',
    [],
    [1],
    [[], {}, None, [None]],
    {},
    {"": 0, "b": [1, {"a": None}], "a": "x", "Ä": False},
    _nested(60),
]


async def kinds(stage: Stage) -> None:
    """Kinds: every JSON value comes back exactly as it was stored, by whom and when."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    for number, value in enumerate(_VALUES):
        key = f"value {number}"
        stored = await first.call("store_data", scope="kinds", key=key, value=value, quiet=True)
        found = await second.call("retrieve_data", scope="kinds", key=key, quiet=True)
        printed = await dana.run("data", "get", "kinds", key, quiet=True)
        wanted = json.dumps(value, sort_keys=True)
        came = json.dumps(found.get("value"), sort_keys=True)
        ok = stored.get("ok") is True and found.get("found") is True and came == wanted
        note.expect(f"{wanted[:50]} comes back to the other agent", found if found.get("error") else came, ok=ok)
        note.expect("and at the command line", printed.out, ok=json.dumps(printed.json, sort_keys=True) == wanted)
    missing = await second.call("retrieve_data", scope="kinds", key="value")
    note.same("a missing key is not found", (missing.get("found"), missing.get("value")), (False, None))
    done = await dana.run("data", "get", "kinds", "value")
    note.expect("exit 1 at the command line", f"{done.code}: {done.err}", ok=done.code == 1 and done.out == "")
    found = await second.call("retrieve_data", scope="kinds", key="value 0")
    note.same("null is a value", (found.get("found"), found.get("value")), (True, None))
    note.same("stored by", found.get("stored_by"), "claude-code-1")
    note.expect("stored at", str(found.get("stored_at")), ok=str(found.get("stored_at")).endswith("Z"))
    keys = (await second.call("list_keys", scope="kinds"))["keys"]
    note.same("all keys are listed", keys, sorted(f"value {number}" for number in range(len(_VALUES))))
    text = "not JSON: {\n"
    done = await dana.run("data", "set", "kinds", "text", "--text", "-", stdin=text.encode())
    note.same("the person stores a text from standard input", done.code, 0)
    done = await dana.run("data", "get", "kinds", "text", "--text")
    note.same("and gets it back byte for byte", done.out, text)
    gone = await first.call("delete_scope", scope="kinds")
    note.same("all are deleted at once", gone.get("deleted"), len(_VALUES) + 1)


async def exact_names(stage: Stage) -> None:
    """Names: scopes and keys are exact, whatever separates their parts; scopes are listed by pattern."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    scopes = ["a/b", "a:b", "a__b", "a", "a b", "A:B", "a/b/", "/a/b", "a//b", "..", "@x", "%2F", ".git", "ä", "a\nb"]
    for number, scope in enumerate(scopes):
        await first.call("store_data", scope=scope, key="k", value=number, quiet=True)
        await first.call("store_data", scope=scope, key=f"../{scope}", value=-number, quiet=True)
    for number, scope in enumerate(scopes):
        one = await second.call("retrieve_data", scope=scope, key="k", quiet=True)
        two = await second.call("retrieve_data", scope=scope, key=f"../{scope}", quiet=True)
        note.same(f"{scope!r} has its own", (one.get("value"), two.get("value")), (number, -number))
    note.same("each is listed once", (await second.call("list_scopes"))["scopes"], sorted(scopes))
    gone = await first.call("delete_scope", scope="a:b")
    note.same("deleting one", gone.get("deleted"), 2)
    left = [s for s in sorted(scopes) if s != "a:b"]
    note.same("deletes no other", (await dana.ask("data", "scopes"))["scopes"], left)
    for scope in left:
        await first.call("delete_scope", scope=scope, quiet=True)
    for scope in ("session:one", "session:two", "issue:1", "issue:12", "sessions"):
        await second.call("store_data", scope=scope, key="k", value=1, quiet=True)
    cases = {
        "session:*": ["session:one", "session:two"],
        "issue:*": ["issue:1", "issue:12"],
        "issue:?": ["issue:1"],
        "*": ["issue:1", "issue:12", "session:one", "session:two", "sessions"],
        "nothing:*": [],
    }
    for pattern, wanted in cases.items():
        answer = await first.call("list_scopes", pattern=pattern)
        note.same(f"scopes by {pattern}", answer.get("scopes"), wanted)
    for scope in cases["*"]:
        await second.call("delete_scope", scope=scope, quiet=True)
    note.same("nothing is left", (await second.call("list_scopes"))["scopes"], [])


async def compare_and_set(stage: Stage) -> None:
    """Compare-and-set: only on the revision that was expected; 0 means absent."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    place: dict[str, Any] = {"scope": "project", "key": "plan"}
    one = await first.call("store_data", **place, value=["transport"], expect_revision=0)
    note.expect("stored, for it was absent", one, ok=one.get("ok") is True)
    stale = await second.call("store_data", **place, value=["types"], expect_revision=0)
    note.refused("not absent any more", stale, "revision_mismatch")
    found = await second.call("retrieve_data", **place)
    note.same("the revision is the one of the store", found.get("revision"), one.get("revision"))
    two = await second.call("store_data", **place, value=["transport", "types"], expect_revision=found["revision"])
    note.expect("on the right one it is stored", two, ok=two.get("ok") is True and two["revision"] > one["revision"])
    refused = await dana.ask("data", "set", "project", "plan", "[]", "--expect-revision", str(one["revision"]))
    note.refused("the person is refused on an old one", refused, "revision_mismatch")
    refused = await dana.ask("data", "delete", "project", "plan", "--expect-revision", str(one["revision"]))
    note.refused("in deleting too", refused, "revision_mismatch")
    gone = await first.call("delete_data", **place)
    note.same("deleted", gone.get("deleted"), True)
    gone = await first.call("delete_data", **place)
    note.expect("once: the second time there is nothing", gone, ok=gone.get("deleted") is False and "error" not in gone)
    anew = await second.call("store_data", **place, value=1, expect_revision=0)
    note.expect("absent again", anew, ok=anew.get("ok") is True and anew["revision"] > two["revision"])
    await second.call("delete_scope", scope="project")


async def race(stage: Stage) -> None:
    """Race: both agents count up one counter, fifty times each, while git cleans up; no update is lost."""
    note = stage.recorder
    before = int(stage.git("rev-list", "--count", "refs/coord"))
    await stage.first.call("store_data", scope="race", key="counter", value=0)
    note.asked(f"{_ROUNDS} times each: retrieve_data, then store_data of one more with expect_revision")
    lost = [0, 0]

    async def count_up(number: int, agent: Agent) -> None:
        for _ in range(_ROUNDS):
            done = False
            while not done:
                found = await agent.call("retrieve_data", scope="race", key="counter", quiet=True)
                more = {"value": found["value"] + 1, "expect_revision": found["revision"]}
                answer = await agent.call("store_data", scope="race", key="counter", quiet=True, **more)
                done = answer.get("ok") is True
                lost[number] += not done

    async with anyio.create_task_group() as group:
        group.start_soon(count_up, 0, stage.first)
        group.start_soon(count_up, 1, stage.second)
        for words in (("pack-refs", "--all"), ("gc", "--prune=now", "--quiet"), ("prune", "--expire=now")):
            await anyio.to_thread.run_sync(lambda words=words: stage.git(*words))
    found = await stage.second.call("retrieve_data", scope="race", key="counter")
    note.same("the counter", found.get("value"), 2 * _ROUNDS)
    note.expect("they met: some were refused and tried again", lost, ok=sum(lost) > 0)
    stored = int(stage.git("rev-list", "--count", "refs/coord")) - before
    note.same("each store is one commit, and no refusal is", stored, 2 * _ROUNDS + 1)
    await stage.first.call("delete_scope", scope="race")


async def bounds(stage: Stage) -> None:
    """Bounds: what is too large or no JSON is refused, and changes nothing."""
    note, first, dana = stage.recorder, stage.first, stage.dana
    fits = "x" * (_LIMIT - 2)
    answer = await first.call("store_data", scope="big", key="k", value=fits, quiet=True)
    note.expect("a value of exactly 256 KiB", answer, ok=answer.get("ok") is True)
    found = await stage.second.call("retrieve_data", scope="big", key="k", quiet=True)
    note.expect("comes back", f"{len(str(found.get('value')))} letters", ok=found.get("value") == fits)
    await first.call("delete_scope", scope="big")
    tip = stage.git("rev-parse", "refs/coord")
    answer = await first.call("store_data", scope="big", key="k", value=fits + "x", quiet=True)
    note.refused("one byte more", answer, "too_large")
    message = answer["error"]["message"].replace(",", "").replace(" ", "")
    note.expect("the limit is stated", answer, ok=str(_LIMIT) in message or "256KiB" in message)
    cases = ['{"a": 1', "nonsense", "NaN", "[Infinity]", "1e999", '"\\ud800"', '{"a": 1, "a": 2}', "", "01"]
    for text in cases:
        done = await dana.run("data", "set", "bad", "k", text)
        note.expect(f"{text!r} is refused, exit 2", f"{done.code}: {done.err}", ok=done.code == 2)
    done = await dana.run("data", "set", "bad", "k", "--text", "-", stdin=b"\xff\xfe")
    note.expect("bytes that are no UTF-8, exit 2", f"{done.code}: {done.err}", ok=done.code == 2)
    for scope, key in (("", "k"), ("s", ""), ("s" * 2000, "k"), ("s", "k" * 2000)):
        answer = await dana.ask("data", "set", scope, key, "1", quiet=True)
        code = "too_large" if len(scope) + len(key) > 1024 else "invalid_name"
        note.refused(f"{scope[:5]!r} {key[:5]!r} can be no names", answer, code)
    note.refused("NUL neither", await first.call("store_data", scope="s\0", key="k", value=1), "invalid_name")
    note.same("nothing was written", stage.git("rev-parse", "refs/coord"), tip)
