"""git's hooks, each as git calls it: `gitcoord hook git <event> [options] -- <git's own arguments>`."""

from __future__ import annotations

import os
import sys

from gitcoord import config
from gitcoord.hooks.ground import Ground, stand
from gitcoord.hooks.settings import Settings, settle
from gitcoord.service import identity
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REFUSED = 9
"""The exit code of a refusal. Other codes than this and 0 mean that the hook itself is broken."""


class Call(NamedTuple):
    """One call of a hook.

    Attributes:
        args: what git gives it.
        flags: what was said when it was installed.
    """

    args: list[str]
    flags: Mapping[str, str]


def _ground(env: config.EnvSettings) -> Ground | None:
    """Return where git stands, and as whom: the agent's server's session, where that can be known."""
    ground = stand(os.getcwd(), identity.session_of(None), may_number=env.session is None)
    if ground is None or env.session is not None:
        return ground
    served = identity.served_session(ground.access, env.harness_session)
    if served is None:
        return ground
    return stand(os.getcwd(), served)


def _settings(ground: Ground, call: Call) -> Settings:
    return settle(call.flags, ground.config(), Settings())


def _pre_commit(call: Call) -> bool:
    from gitcoord.hooks import staged

    listing = staged.begin_listing()  # git works while the rest is loaded
    ground = _ground(config.read_environment())
    if ground is None:
        listing.end()
        return True
    return staged.pre_commit(ground, _settings(ground, call), listing)


def _prepare_commit_msg(call: Call) -> bool:
    from gitcoord.hooks import amending, staged

    manager = _told_by_manager()
    path = call.args[0] if call.args else ""
    source, of = (*call.args[1:], manager.get("SOURCE", ""), manager.get("OBJECT", ""))[:2]
    env = config.read_environment()
    ground = _ground(env)
    if ground is not None and path:
        amends = (source == "commit" and of == "HEAD") or amending.may_amend(config.environment())
        staged.write_trailers(ground, path, amends=amends, task=env.task)
    return True


def _commit_msg(call: Call) -> bool:
    """Write the trailers of a message that was empty until somebody wrote it in an editor."""
    from gitcoord.hooks import amending, staged, trailers

    env = config.read_environment()
    ground = _ground(env)
    if ground is None or not call.args:
        return True
    with open(call.args[0], encoding="utf-8", errors="replace") as file:
        if trailers.parse(file.read()).session != ground.me:
            amends = amending.may_amend(config.environment())
            staged.write_trailers(ground, call.args[0], amends=amends, task=env.task)
    return True


def _pre_push(call: Call) -> bool:
    env = config.read_environment()
    text = sys.stdin.read()
    if env.in_hook:
        return True
    from gitcoord.hooks import push

    ground = _ground(env)
    if ground is None:
        return True
    manager = _told_by_manager()
    remote = call.args[0] if call.args else manager.get("REMOTE", "origin")
    pushed = manager.get("TO") or manager.get("LOCAL")  # no commit is told where all of the history is pushed
    if not text and pushed:
        text = f"HEAD {pushed} {manager.get('BRANCH', 'refs/heads/HEAD')} {manager.get('FROM', '')}\n"
    return push.pre_push(ground, _settings(ground, call), remote, push.updates_in(text))


def _told_by_manager() -> dict[str, str]:
    """Return what the pre-commit framework keeps in the environment of what git gave it as arguments and input."""
    names = {
        "PRE_COMMIT_COMMIT_MSG_SOURCE": "SOURCE",
        "PRE_COMMIT_COMMIT_OBJECT_NAME": "OBJECT",
        "PRE_COMMIT_REMOTE_NAME": "REMOTE",
        "PRE_COMMIT_FROM_REF": "FROM",
        "PRE_COMMIT_TO_REF": "TO",
        "PRE_COMMIT_LOCAL_BRANCH": "LOCAL",
        "PRE_COMMIT_REMOTE_BRANCH": "BRANCH",
    }
    env = config.environment()
    return {short: env[name] for name, short in names.items() if env.get(name)}


def _post_checkout(call: Call) -> bool:
    ground = _ground(config.read_environment())
    if ground is not None and len(call.args) >= 3:
        from gitcoord.hooks import notices

        notices.post_checkout(ground, call.args[0], call.args[1], branch=call.args[2] == "1")
    return True


def _post_merge(_call: Call) -> bool:
    ground = _ground(config.read_environment())
    if ground is not None:
        from gitcoord.hooks import notices

        notices.post_merge(ground)
    return True


def _post_rewrite(call: Call) -> bool:
    text = sys.stdin.read()
    ground = _ground(config.read_environment())
    if ground is not None:
        from gitcoord.hooks import amending, notices

        notices.post_rewrite(ground, text)
        if call.args[:1] == ["amend"]:
            amending.tell_lost(ground, text)
    return True


def _reference_transaction(call: Call) -> bool:
    from gitcoord.hooks import refs

    text = sys.stdin.read()
    return refs.reference_transaction(call.args[0] if call.args else "", text)


def _pre_receive(call: Call) -> bool:
    from gitcoord.hooks import server
    from gitcoord.service.access import open_access
    from gitcoord.service.project import repository_config

    text = sys.stdin.read()
    access = open_access(os.getcwd())
    settings = settle(call.flags, repository_config(access.repository), Settings(errors="closed"))
    return server.pre_receive(access, settings, server.updates_in(text))


HANDLERS: dict[str, Callable[[Call], bool]] = {
    "pre-commit": _pre_commit,
    "pre-merge-commit": _pre_commit,
    "prepare-commit-msg": _prepare_commit_msg,
    "commit-msg": _commit_msg,
    "pre-push": _pre_push,
    "post-checkout": _post_checkout,
    "post-merge": _post_merge,
    "post-rewrite": _post_rewrite,
    "reference-transaction": _reference_transaction,
    "pre-receive": _pre_receive,
}
"""What answers each of git's events; false refuses."""

CLIENT = tuple(event for event in HANDLERS if event != "pre-receive")
SERVER = ("pre-receive",)
READS_STDIN = ("pre-push", "post-rewrite", "reference-transaction", "pre-receive")
CLOSED = ("pre-receive",)
"""The events that refuse by default where gitcoord itself fails: a server that cannot look lets nothing in."""
