"""From a code commit to the log, and back: `gitcoord log --commit`."""

from __future__ import annotations

from gitcoord import config
from gitcoord.errors import NotFound
from gitcoord.hooks import gitrun, trailers
from gitcoord.hooks.gitrun import GitFailed
from gitcoord.model import LOG_REF
from gitcoord.service import history
from gitcoord.service.access import Access, open_access
from gitcoord.values import Any

Answer = dict[str, Any]


def of_commit(start: str, revision: str) -> Answer:
    """Return what a code commit was made under, or, for a commit of the log, which code commits name it.

    Args:
        start: a directory of the repository.
        revision: the commit, as git names it.

    Raises:
        NotFound: there is no such commit.
        NotInitialised: there is no log.
    """
    access = open_access(start)
    access.log.tip()
    env = config.without_repository(config.environment())
    env["GIT_DIR"] = access.repository.git_dir
    words = ["rev-parse", "-q", "--verify", "--end-of-options", f"{revision}^{{commit}}"]
    code, found = gitrun.Running(words, env).end()
    if code:
        raise NotFound(f"git knows no commit {revision!r}", next="git log")
    oid = found.decode("ascii").strip()
    code, _ = gitrun.Running(["merge-base", "--is-ancestor", oid, LOG_REF], env).end()
    return _of_log(access, oid, env) if code == 0 else _of_code(access, oid, env)


def _of_code(access: Access, oid: str, env: dict[str, str]) -> Answer:
    message = gitrun.output(["log", "-1", "--no-show-signature", "--format=%B", oid], env=env)
    said = trailers.parse(message.decode("utf-8", "replace"))
    ids = {token.grant for token in said.tokens if token.grant}
    return {
        "found": True,
        "kind": "code",
        "commit": oid,
        "session": said.session,
        "task": said.task,
        "tokens": [token._asdict() for token in said.tokens],
        "entries": history.with_ids(access.log, ids) if ids else [],
    }


def _of_log(access: Access, oid: str, env: dict[str, str]) -> Answer:
    header = access.log.state_at(bytes.fromhex(oid)).header
    own = [operation["id"] for operation in header["operations"]]
    brought = [one for operation in header["operations"] for one in operation.get("replayed") or ()]
    ids = [*own, *brought]
    words = ["log", "--no-show-signature", "--branches", "--tags", "--remotes", "--fixed-strings", "--format=%H %s"]
    words += [f"--grep=Coord-Id: {one}" for one in ids]
    try:
        listed = gitrun.output(words, env=env).decode("utf-8", "replace")
    except GitFailed:
        listed = ""  # nothing was committed yet
    rows = [line.partition(" ") for line in listed.splitlines()]
    code = [{"commit": commit, "subject": subject} for commit, _, subject in rows]
    return {"found": True, "kind": "log", "commit": oid, "ids": ids, "code": code}
