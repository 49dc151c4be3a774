"""The command line: what it shows, its exit codes, and that it answers as the tools do."""

from __future__ import annotations

import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from support import program

if TYPE_CHECKING:
    from mainjob.cast import Stage


async def looking(stage: Stage) -> None:
    """Looking: status, locks, session and log for people and for pipes."""
    note, first, dana = stage.recorder, stage.first, stage.dana
    one, two = stage.project.files[:2]
    await first.call("lock_files", files=[one], reason="looked at", ttl_s=60)
    await dana.ask("lock", two, "-m", "mine")
    done = await dana.run("status")
    kinds = [line.split("\t")[0] for line in done.out.splitlines()]
    wanted = {"repository", "you", "session", "lock", "lapsing"}
    note.expect("status: where, who, what, and what lapses soon", done.out, ok=set(kinds) == wanted)
    status = await dana.ask("status")
    note.same("what lapses within minutes", [k["path"] for k in status["lapsing"]], [one])
    for option, path in (("--ours", two), ("--theirs", one)):
        listed = (await dana.ask("locks", option))["locks"]
        note.same(f"locks {option}", [k["path"] for k in listed], [path])
    note.same("locks on a path", [k["path"] for k in (await dana.ask("locks", one))["locks"]], [one])
    done = await dana.run("locks")
    fields = [line.split("\t")[:4] for line in done.out.splitlines()]
    rows = sorted([[one, "file", "exclusive", "claude-code-1"], [two, "file", "exclusive", "dana"]])
    note.same("one lock a line, with tabs", sorted(fields), rows)
    entries = (await dana.ask("log", "-n", "5"))["entries"]
    revisions = [entry["revision"] for entry in entries]
    note.expect(
        "the log, newest first", revisions, ok=len(revisions) == 5 and revisions == sorted(revisions, reverse=True)
    )
    entries = (await dana.ask("log", one, "--session", "claude-code-1", "-n", "1"))["entries"]
    came = [(e["verb"], e["paths"], e["reason"], e["session"]) for e in entries]
    note.same("of a path and a session", came, [("lock", [one], "looked at", "claude-code-1")])
    head = stage.git("rev-parse", "refs/coord")
    newest = (await dana.ask("log", "-n", "1"))["entries"][0]["commit"]
    note.same("its commits are git's", newest, head)
    shown = await dana.ask("session", "show")
    note.same("session show: oneself", [k["path"] for k in shown["session"]["locked"]], [two])


async def same_answers(stage: Stage) -> None:
    """Same answers: --json prints what the tool of the same meaning returns."""
    note, first, second, dana = stage.recorder, stage.first, stage.second, stage.dana
    one, two = stage.project.files[:2]
    package, name = stage.project.package, "mainjob:same"
    await first.call("lock_files", files=[one, "lonely/*.md"], reason="größe\nzwei")
    await first.call("lock_files", files=["deploy/prod"], resource=True, mode="shared")
    await first.call("store_data", scope=name, key="k", value=["ä", None, 1.5])
    cases: list[tuple[tuple[str, ...], str, dict[str, Any]]] = [
        (("session", "list"), "list_sessions", {}),
        (("locks",), "get_locked_files", {}),
        (("locks", package), "get_locked_files", {"path": package}),
        (("data", "get", name, "k"), "retrieve_data", {"scope": name, "key": "k"}),
        (("data", "get", name, "x"), "retrieve_data", {"scope": name, "key": "x"}),
        (("data", "list", name), "list_keys", {"scope": name}),
        (("data", "scopes", "mainjob:*"), "list_scopes", {"pattern": "mainjob:*"}),
        (("log", "-n", "200"), "get_history", {"limit": 200}),
        (("log", one), "get_history", {"path": one}),
        (("log", "--session", "dana"), "get_history", {"session": "dana"}),
        (("lock", one, two), "lock_files", {"files": [one, two]}),
        (("lock", "../x"), "lock_files", {"files": ["../x"]}),
        (("lock", one, "--wait", "0s"), "lock_files", {"files": [one], "wait_s": 0}),
        (("unlock", one), "unlock_files", {"files": [one]}),
        (("unlock", two), "unlock_files", {"files": [two]}),
        (("unlock", "--force", two, "-m", "why"), "break_lock", {"files": [two], "reason": "why"}),
        (("data", "set", name, "k", "1", "--expect-revision", "0"), "store_data", {"value": 1, "expect_revision": 0}),
        (("data", "delete", name, "x"), "delete_data", {"scope": name, "key": "x"}),
        (("data", "delete-scope", "none"), "delete_scope", {"scope": "none"}),
        (("session", "end", "nobody"), "sign_off", {"session": "nobody"}),
    ]
    tip = stage.git("rev-parse", "refs/coord")
    for words, tool, arguments in cases:
        if tool == "store_data":
            arguments |= {"scope": name, "key": "k"}
        if tool in ("lock_files", "unlock_files", "break_lock", "store_data", "delete_data", "delete_scope"):
            arguments |= {"session": "dana"}
        printed = await dana.ask(*words)
        returned = await second.call(tool, **arguments)
        difference = [k for k in {*printed, *returned} if printed.get(k) != returned.get(k)]
        note.same(f"gitcoord {' '.join(words)} answers as {tool}", sorted(difference), [])
    printed, document = await dana.ask("status"), await second.read("coord://status")
    own = {"session", "repository"}
    differing = sorted(k for k in {*printed, *document} - own if printed.get(k) != document.get(k))
    note.same("gitcoord status answers as coord://status, but for who asks and from where", differing, [])
    note.same("asking wrote nothing", stage.git("rev-parse", "refs/coord"), tip)
    await first.call("delete_scope", scope=name)


async def codes(stage: Stage) -> None:
    """Exit codes: 0 done, 1 refused, 2 usage, 3 integrity (see doctor), 5 the rest; data on stdout only."""
    note, first, dana = stage.recorder, stage.first, stage.dana
    path = stage.project.files[0]
    await first.call("lock_files", files=[path])
    cases: list[tuple[tuple[str, ...], int]] = [
        (("--help",), 0),
        (("lock", "--help"), 0),
        (("check", stage.project.files[1]), 0),
        (("check", path), 1),
        (("check", stage.project.files[1], path), 1),
        (("lock", path), 1),
        (("unlock", path), 1),
        (("data", "get", "no", "key"), 1),
        (("data", "delete", "no", "key"), 1),
        (("session", "show", "nobody"), 1),
        ((), 2),
        (("nonsense",), 2),
        (("lock",), 2),
        (("lock", path, "--ttl", "soon"), 2),
        (("lock", path, "--shared", "--intent"), 2),
        (("unlock", "--force", path), 2),
        (("unlock", path, "--all"), 2),
        (("data", "set", "s", "k", "{"), 2),
        (("check", "../outside"), 2),
        (("lock", path, "--session", "no good"), 2),
        (("serve", "--repo", stage.scratch, "--http", "nonsense:port"), 2),
        (("-C", stage.scratch, "status"), 5),
        (("-C", stage.scratch, "check", "x"), 5),
    ]
    for words, code in cases:
        done = await dana.run(*words)
        note.expect(f"exit {code}", f"{done.code}: {done.out[:60]}{done.err}", ok=done.code == code)
        if code:
            note.expect("said on standard error only", done.err, ok=done.out == "" and done.err != "")


async def terminal(stage: Stage) -> None:
    """Terminal: one screen without colours where none are wished, no escape of another's obeyed, completion, demo."""
    note, first, dana = stage.recorder, stage.first, stage.dana
    await first.call("lock_files", files=[stage.project.files[0]], reason="\x1b[31mred\x1b]0;title\x07 \u202etxet")
    for command in ("status", "locks", "log"):
        env = {"NO_COLOR": "1", "GITCOORD_SESSION": "dana"}
        show = partial(program.run_on_terminal, stage.project.root, command, columns=120, env=env)
        code, shown = await anyio.to_thread.run_sync(show)
        note.expect(f"{command} on a terminal, plain", shown[-200:], ok=code == 0 and "\x1b" not in shown)
        note.expect("and harmless", shown[-200:], ok="\x07" not in shown and "\u202e" not in shown)
    done = await dana.run("demo", "--fast")
    note.expect("the demo is as told", done.out[-100:], ok=done.code == 0)
    for shell in ("bash", "zsh"):
        done = await dana.run("completion", shell)
        note.expect(f"completion for {shell}", done.out[:60], ok=done.code == 0 and "unlock" in done.out)
        if shell == "bash":
            check = partial(subprocess.run, ["bash", "-n"], input=done.raw, capture_output=True, check=False)
            parsed = await anyio.to_thread.run_sync(check)
            note.same("bash takes it", (parsed.returncode, parsed.stderr), (0, b""))
