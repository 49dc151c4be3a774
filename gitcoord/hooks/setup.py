"""The verbs of `gitcoord hooks`: what is installed where, for git, for agents and for a server."""

from __future__ import annotations

from gitcoord import config
from gitcoord.errors import BadRequest, NotInitialised
from gitcoord.hooks import git_events
from gitcoord.hooks import install as git_install
from gitcoord.hooks.install import Done
from gitcoord.log import Log
from gitcoord.store.repository import Repository, find_repository
from gitcoord.values import Any

Answer = dict[str, Any]


def install(start: str, *, git: bool, agents: str | None, server: bool, warn: bool) -> Answer:
    """Install hooks: git's where nothing else is asked for; a bare repository's are the server's.

    Raises:
        CoordError: no repository, no log, or a file that could not be written.
    """
    repository = find_repository(start, config.environment())
    flags = ["--warn"] if warn else []
    if not git and agents is None and not server:
        git, server = not repository.bare, repository.bare
    if server and not repository.bare:
        raise BadRequest(
            "this is no bare repository: a server's hooks stand where others push to",
            next="run it in the bare repository, on the server",
        )
    if not server:
        _check_log(repository)
    found: list[Done] = []
    if git:
        found += git_install.install(repository, git_events.CLIENT, flags)
    if server:
        from gitcoord.runtime.files import private_dir

        private_dir(repository.runtime)
        found += git_install.install(repository, git_events.SERVER, flags)
    answer: Answer = {"ok": True, "hooks": [done._asdict() for done in found]}
    if agents is not None:
        from gitcoord.hooks import clients

        changed = clients.apply(repository, agents, clients.HOOKS, flags)
        answer["hooks"] += [_agents_row(change) for change in changed]
        answer["notes"] = clients.notes(agents)
    return answer


def uninstall(start: str, *, agents: str | None) -> Answer:
    """Take gitcoord out of git's hooks and of every agent's, or of some agents' only.

    Raises:
        CoordError: no repository, or a file that could not be written.
    """
    from gitcoord.hooks import clients

    repository = find_repository(start, config.environment())
    found = [] if agents is not None else git_install.uninstall(repository)
    rows = [done._asdict() for done in found]
    if not repository.bare:
        changed = clients.remove(repository, "all" if agents is None else agents, clients.HOOKS)
        rows += [_agents_row(change) for change in changed if change["how"] == "removed"]
    return {"ok": True, "hooks": rows}


def status(start: str) -> Answer:
    """Return which hooks ask gitcoord, and how; `ok` is false where none of git's does."""
    repository = find_repository(start, config.environment())
    found = git_install.status(repository)
    rows = [done._asdict() for done in found]
    if not repository.bare:
        from gitcoord.hooks import clients

        rows += [_agents_row(change) for change in clients.check(repository, "all", clients.HOOKS)]
    guarding = any(done.how in git_install.GUARDS for done in found)
    return {"ok": True, "guarding": guarding, "hooks": rows}


def _check_log(repository: Repository) -> None:
    if not Log(repository).exists():
        raise NotInitialised("this repository has no log yet: there is nothing to guard", next="gitcoord init")


def _agents_row(change: dict[str, Any]) -> dict[str, Any]:
    return {"event": change["client"], "how": change["how"], "path": change["path"], "lines": change.get("lines", [])}
