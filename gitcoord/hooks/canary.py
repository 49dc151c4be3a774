"""The canary: a guard that is installed must refuse what is not allowed, and `gitcoord doctor` tries each one.

In a scratch repository in the runtime directory one session locks a file, and each installed guard, the very file or
command that git or a client would start, is asked to let another session write it. What it lets pass is broken. So is
what was installed here and would not be started: gone, not executable, switched off, or for other tools than those that
write.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from gitcoord import config
from gitcoord.errors import CoordError
from gitcoord.hooks import client_guards, install
from gitcoord.hooks.client_guards import ClientGuard
from gitcoord.runtime.files import private_dir
from gitcoord.store.repository import Repository, find_repository
from gitcoord.values import Any, NamedTuple

_FILE = "canary.txt"
_HOLDER, _OTHER = "canary-holder", "canary-other"
_TIMEOUT_S = 60
_DENIES = ("pre-commit", "pre-merge-commit", "pre-push", "reference-transaction", "pre-receive")


class Tried(NamedTuple):
    """One guard that was tried.

    Attributes:
        guard: which.
        denied: it refused.
        said: what it said.
    """

    guard: str
    denied: bool
    said: str


def findings(start: str) -> list[dict[str, Any]]:
    """Return a finding of `doctor` for each installed guard that let the canary pass; none where all refused.

    Args:
        start: a directory of the repository.

    Raises:
        CoordError: no repository, or the scratch repository could not be made.
    """
    found: list[dict[str, Any]] = []
    for one in tried(start):
        if not one.denied:
            said = one.said.strip()[-300:] or "it said nothing"
            message = f"the guard of {one.guard} let a forbidden write pass: {said}"
            found.append(
                {"code": "guard_broken", "message": message, "severity": "error", "fixable": False, "fixed": False}
            )
    return found


def tried(start: str) -> list[Tried]:
    """Send each installed guard the canary, and return what became of it."""
    repository = find_repository(start, config.environment())
    standing = install.status(repository)
    hooks = [done for done in standing if done.event in _DENIES and done.how in install.GUARDS]
    found = [_never_starts(done) for done in standing if done.how in _IDLE]
    found += [_never_starts(done) for done in install.lost(repository, standing) if done.how not in _IDLE]
    asked = list(client_guards.installed(repository))
    found += [Tried(guard.name, False, guard.fault) for guard in asked if guard.fault]
    commands = [guard for guard in asked if not guard.fault]
    if not hooks and not commands:
        return found
    scratch = os.path.join(private_dir(repository.runtime), f"canary-{os.getpid()}")
    try:
        git = _prepared(scratch)
        found += [_try_hook(repository, done, scratch, git) for done in hooks]
        return found + [_try_client(guard, scratch) for guard in commands]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


_IDLE = {
    "off": "git does not start it: {path} is not executable, or switched off in git's config",
    "unread": "git does not look for hooks in {path} in this version: gitcoord hooks install",
}


def _never_starts(done: install.Done) -> Tried:
    why = _IDLE.get(done.how, "it was installed, and {path} does not ask gitcoord any more: gitcoord hooks install")
    return Tried(f"git's {done.event}", False, why.format(path=done.path))


def _environment() -> dict[str, str]:
    env = config.without_repository(config.environment())
    dropped = ("GITCOORD_HOOK_MODE", "GITCOORD_HOOK_ERRORS", config.IN_HOOK_VARIABLE)
    env = {name: value for name, value in env.items() if name not in dropped}
    return {**env, "GITCOORD_SESSION": _OTHER, "GITCOORD_CANARY": "1"}


class _Git(NamedTuple):
    """The scratch repository: its commits before and after the forbidden one."""

    before: str
    after: str


def _prepared(scratch: str) -> _Git:
    """Make the scratch repository: a log, a lock on one file, and that file changed and staged."""
    # A person's own configuration may have hooks for all their repositories.
    env = {**_environment(), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    shutil.rmtree(scratch, ignore_errors=True)
    os.mkdir(scratch, 0o700)

    def git(*words: str) -> str:
        identity = ["-c", "user.name=canary", "-c", "user.email=canary@localhost", "-c", "commit.gpgSign=false"]
        nothing = ["-c", f"core.hooksPath={os.devnull}"]
        command = ["git", "-C", scratch, *identity, *nothing, *words]
        done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603 - fixed words
        if done.returncode:
            raise CoordError(f"the scratch repository could not be made: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode("ascii", "replace").strip()

    git("init", "-q", "--template=", ".")
    git("commit", "-q", "--allow-empty", "-m", "before")
    _write(scratch, "one\n")
    git("add", "--", _FILE)
    from gitcoord import service

    service.initialise(scratch)
    desk = service.open_desk(scratch, session=_HOLDER, process=False)
    got = desk.lock_files([_FILE], reason="doctor tries the guards")
    if not got["granted"]:
        raise CoordError(f"the canary could not be locked: {got['error']['message']}")
    before = git("rev-parse", "HEAD")
    git("commit", "-q", "-m", "after")
    after = git("rev-parse", "HEAD")
    git("reset", "-q", "--soft", before)  # what no branch has is what a push brings
    _write(scratch, "two\n")
    git("add", "--", _FILE)
    return _Git(before, after)


def _write(scratch: str, text: str) -> None:
    with open(os.path.join(scratch, _FILE), "w", encoding="ascii") as file:
        file.write(text)


def script_of(repository: Repository, done: install.Done) -> str:
    """Return the file that git starts for an event."""
    return os.path.join(repository.runtime, "hooks", done.event) if done.how == "config" else done.path


def _try_hook(repository: Repository, done: install.Done, scratch: str, git: _Git) -> Tried:
    """Start a hook file as git would, in the scratch repository."""
    path = script_of(repository, done)
    zero = "0" * len(git.before)
    stdin, words = "", list[str]()
    if done.event == "pre-push":
        words, stdin = ["origin", "none"], f"refs/heads/x {git.after} refs/heads/x {git.before}\n"
    elif done.event == "reference-transaction":
        words, stdin = ["prepared"], f"{zero} {zero} refs/gitcoord/main\n"
    elif done.event == "pre-receive":
        stdin = f"{git.before} {git.after} refs/heads/x\n"
    env = {**_environment(), "GIT_DIR": os.path.join(scratch, ".git")}
    by_husky = done.how != "config" and not os.access(path, os.X_OK)
    start = ["sh", "-e", path] if by_husky else [path]
    if done.how == "manager":
        start = ["sh", "-c", f'gitcoord hook git {done.event} -- "$@"', "sh"]  # what its own file says, without it
    code, said = _run([*start, *words], stdin, scratch, env)
    denied = code != 0 and ("gitcoord: " in said and ("refused" in said or "stopped" in said))
    warned = code == 0 and "gitcoord: warning" in said
    return Tried(f"git's {done.event}", denied or warned, said)


def _try_client(guard: ClientGuard, scratch: str) -> Tried:
    """Start a client's command with a write of the locked file."""
    payload = client_guards.payload(guard.client, os.path.join(scratch, _FILE), scratch, _OTHER)
    code, said = _run(["sh", "-c", guard.command], json.dumps(payload), scratch, _environment())
    return Tried(guard.name, code in (0, 2) and _HOLDER in said, said)


def _run(command: list[str], stdin: str, where: str, env: dict[str, str]) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - what is installed is what has to be tried
            command, input=stdin.encode(), cwd=where, env=env, capture_output=True, check=False, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")
