"""The one reader of the process environment and of git's configuration.

Reading the environment is cheap and is done by every command. Reading git's configuration starts git once, so only
those do it that write under a person's name or make a log. Neither gives an error for a variable that says nothing
useful: the default is taken, and the defaults are the safe ones.
"""

from __future__ import annotations

import os

from gitcoord.errors import CoordError
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_GIT_TIMEOUT_S = 20

PROJECT_VARIABLES = (
    # Claude Code sets it for MCP servers and hooks; Cursor and Gemini CLI set it too, for hooks made for Claude.
    "CLAUDE_PROJECT_DIR",
    # Cursor: the workspace's root, for hooks.
    "CURSOR_PROJECT_DIR",
    # Cursor: the open folders, for MCP servers, which it starts in the home directory.
    "WORKSPACE_FOLDER_PATHS",
    # Gemini CLI: for hooks.
    "GEMINI_PROJECT_DIR",
)
"""Variables in which agents' harnesses say which project they work on, the first that is set counts."""

HARNESS_VARIABLES = (
    # In commands and hooks of Claude Code, and for its MCP servers.
    ("CLAUDE_CODE_SESSION_ID", "claude-code"),
    # In commands of Codex; its MCP servers do not get it.
    ("CODEX_THREAD_ID", "codex"),
    # In hooks of Gemini CLI.
    ("GEMINI_SESSION_ID", "gemini"),
)
"""Variables in which harnesses name the conversation, with the harness; the first that is set counts."""

IN_HOOK_VARIABLE = "GITCOORD_IN_HOOK"
"""Set to 1 for what a hook of gitcoord's starts, so that it cannot loop into itself."""

# What git would take the repository from: here the caller says which one is meant. Hooks inherit most of them.
_REPOSITORY_VARIABLES = frozenset(
    {
        "GIT_DIR",
        "GIT_COMMON_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_NAMESPACE",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_CONFIG",
        "GIT_PROTOCOL",
        "GIT_REFLOG_ACTION",
        "GIT_REPLACE_REF_BASE",
    }
)
# What would let a program ask a person, and what would translate or lengthen what git says.
_TALKATIVE_VARIABLES = frozenset({"SSH_ASKPASS", "LANGUAGE", "GIT_CURL_VERBOSE"})


class EnvSettings(NamedTuple):
    """What the environment says; None where it is silent."""

    session: str | None = None
    repo: str | None = None
    project_dir: str | None = None
    harness: str | None = None
    harness_session: str | None = None
    no_color: bool = False
    durable: bool | None = None
    offline: bool | None = None
    user_name: str | None = None
    user_email: str | None = None
    fallback_email: str | None = None
    login: str | None = None
    hook_mode: str | None = None
    hook_errors: str | None = None
    hook_own: str | None = None
    in_hook: bool = False
    task: str | None = None
    github_actions: bool = False
    signing_key: str | None = None
    agent_socket: str | None = None
    gnupg_home: str | None = None


class GitSettings(NamedTuple):
    """What git's configuration says; None where it is silent."""

    durable: bool | None = None
    user_name: str | None = None
    user_email: str | None = None
    ignore_case: bool | None = None
    root: str | None = None
    sign: str | None = None
    signing_key: str | None = None
    git_signs: bool | None = None
    git_format: str | None = None
    git_key: str | None = None
    gpg_program: str | None = None
    ssh_program: str | None = None
    ssh_default_key: str | None = None


class Settings(NamedTuple):
    """What holds for this process, defaults filled in.

    Attributes:
        session: `GITCOORD_SESSION`.
        repo: `GITCOORD_REPO`, the repository to work in.
        project_dir: the directory that the agent's harness names as its project.
        harness: which harness that is, such as `claude-code`.
        harness_session: the harness's name of the conversation.
        no_color: plain text is wished (`NO_COLOR`, or a terminal without capabilities).
        durable: objects and refs are synced to the disk before an answer (`GITCOORD_FSYNC`, `gitcoord.fsync`).
        user_name: whose work it is, as git would say; else the login name.
        user_email: the address, as git would say; else `login@host`.
        ignore_case: `core.ignorecase`.
    """

    session: str | None
    repo: str | None
    project_dir: str | None
    harness: str | None
    harness_session: str | None
    no_color: bool
    durable: bool
    user_name: str
    user_email: str
    ignore_case: bool


def environment() -> dict[str, str]:
    """Return a copy of the process environment."""
    return dict(os.environ)  # noqa: TID251 - this is the one place


def without_repository(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment from which git takes no repository."""
    return {name: value for name, value in env.items() if name not in _REPOSITORY_VARIABLES}


def login_name(env: Mapping[str, str] | None = None) -> str:
    """Return the name under which the user is logged in, or `user-<number>` where the system knows none.

    Args:
        env: the environment to ask first; the process's own by default.
    """
    env = environment() if env is None else env
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if env.get(variable):
            return env[variable]
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return f"user-{os.getuid()}" if hasattr(os, "getuid") else "user"


def host_name() -> str:
    """Return the name that this machine gives itself, or `localhost`."""
    if hasattr(os, "uname"):
        return os.uname().nodename or "localhost"
    import platform

    return platform.node() or "localhost"


def read_environment(env: Mapping[str, str] | None = None) -> EnvSettings:
    """Return what the environment says.

    Args:
        env: the variables; the process's own by default.
    """
    env = environment() if env is None else env
    harness = next(((name, env[variable]) for variable, name in HARNESS_VARIABLES if env.get(variable)), (None, None))
    return EnvSettings(
        session=env.get("GITCOORD_SESSION") or None,
        signing_key=env.get("GITCOORD_SIGNING_KEY") or None,
        agent_socket=env.get("SSH_AUTH_SOCK") or None,
        gnupg_home=env.get("GNUPGHOME") or None,
        repo=env.get("GITCOORD_REPO") or None,
        project_dir=next(filter(None, (_first_folder(env.get(name, "")) for name in PROJECT_VARIABLES)), None),
        harness=harness[0],
        harness_session=harness[1],
        no_color=bool(env.get("NO_COLOR")) or env.get("TERM") == "dumb",
        durable=parse_switch(env.get("GITCOORD_FSYNC")),
        offline=parse_switch(env.get("GITCOORD_OFFLINE")),
        user_name=env.get("GIT_AUTHOR_NAME") or None,
        user_email=env.get("GIT_AUTHOR_EMAIL") or None,
        fallback_email=env.get("EMAIL") or None,
        login=login_name(env),
        hook_mode=env.get("GITCOORD_HOOK_MODE") or None,
        hook_errors=env.get("GITCOORD_HOOK_ERRORS") or None,
        hook_own=env.get("GITCOORD_HOOK_OWN") or None,
        in_hook=env.get(IN_HOOK_VARIABLE) == "1",
        task=env.get("GITCOORD_TASK") or None,
        github_actions=env.get("GITHUB_ACTIONS") == "true",
    )


def _first_folder(text: str) -> str | None:
    """Return the first absolute path in a variable that may hold one, several with commas, or a JSON list."""
    if os.path.isabs(text) and os.path.isdir(text):
        return text  # a comma may be part of the path
    for part in text.strip().strip("[]").split(","):
        folder = part.strip().strip('"')
        if os.path.isabs(folder):
            return folder
    return None


def parse_switch(text: str | None) -> bool | None:
    """Return a boolean as git writes it, or None for anything else."""
    word = (text or "").strip().lower()
    if word in {"true", "yes", "on", "1"}:
        return True
    return False if word in {"false", "no", "off", "0"} else None


def read_git_config(git_dir: str, env: Mapping[str, str] | None = None) -> GitSettings:
    """Return what git's configuration says, seen from one repository, by starting git once.

    A machine without git has none, and that is no error.

    Args:
        git_dir: the git directory; of a linked worktree, its own one.
        env: the environment that git gets; the process's own by default.

    Raises:
        CoordError: git cannot read the configuration, or does not answer.
    """
    return parse_git_config(_list_git_config(git_dir, env))


def read_git_entries(git_dir: str, env: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return all entries of git's configuration, seen from one repository, the least important first.

    Args:
        git_dir: the git directory; of a linked worktree, its own one.
        env: the environment that git gets; the process's own by default.

    Returns:
        Keys and values; the first and the last part of a key in lower case, what lies between as it is written.

    Raises:
        CoordError: git cannot read the configuration, or does not answer.
    """
    return _parse_entries(_list_git_config(git_dir, env))


def _list_git_config(git_dir: str, env: Mapping[str, str] | None) -> bytes:
    import subprocess

    env = environment() if env is None else env
    env = without_repository(env)
    env["GIT_TERMINAL_PROMPT"] = "0"
    command = ["git", f"--git-dir={git_dir}", "config", "--list", "-z", "--includes"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command; the directory stays one argument
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_TIMEOUT_S, env=env, check=False
        )
    except FileNotFoundError:
        return b""
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"git did not tell its configuration: {error}"
        raise CoordError(msg, next=f"git --git-dir={git_dir} config --list") from error
    if done.returncode != 0:
        msg = f"git cannot read its configuration: {done.stderr.decode(errors='replace').strip()}"
        raise CoordError(msg, next=f"git --git-dir={git_dir} config --list")
    return done.stdout


def ask_default_key(command: str) -> str | None:
    """Return the first line that `gpg.ssh.defaultKeyCommand` prints, as git asks it; None where it prints none.

    Args:
        command: a program and its arguments, quoted as in a shell; no shell is started.

    Raises:
        CoordError: it cannot be run, fails, or does not answer.
    """
    import shlex
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - the user's own setting, which git runs for each signature
            shlex.split(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise CoordError(f"gpg.ssh.defaultKeyCommand did not tell a key: {error}", next="name one: --key") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[:500]
        raise CoordError(f"gpg.ssh.defaultKeyCommand failed: {said}", next="name a key: --key")
    lines = done.stdout.decode(errors="replace").splitlines()
    return lines[0].strip() or None if lines else None


def git_environment(
    env: Mapping[str, str], *, entries: Iterable[tuple[str, str]] = (), objects: tuple[str, str] | None = None
) -> dict[str, str]:
    """Return the environment for a git that must not ask anybody anything, and works in the repository it is told.

    The user's own settings for reaching a remote stay: ssh command and agent, proxies, configuration files, and what
    `GIT_CONFIG_COUNT` brings. What hooks inherit (`GIT_DIR`, the quarantine, ...) goes.

    Args:
        env: the environment to start from.
        entries: configuration on top of what is there; values do not show in a list of processes.
        objects: a directory that new objects go to, and one that is read besides.
    """
    clean = {
        name: value
        for name, value in env.items()
        if name not in _REPOSITORY_VARIABLES
        and name not in _TALKATIVE_VARIABLES
        and not (name.startswith("GIT_TRACE") and not os.path.isabs(value))
    }
    # An empty GIT_ASKPASS outranks core.askPass and SSH_ASKPASS, and then no program is asked at all.
    clean.update(
        GIT_TERMINAL_PROMPT="0",
        GIT_ASKPASS="",
        SSH_ASKPASS_REQUIRE="never",
        GCM_INTERACTIVE="never",
        GIT_NO_REPLACE_OBJECTS="1",
        GIT_NO_LAZY_FETCH="1",
        LC_ALL="C",
    )
    if objects is not None:
        clean["GIT_OBJECT_DIRECTORY"] = objects[0]
        clean["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = alternates_variable(objects[1:])
    count = int(clean["GIT_CONFIG_COUNT"]) if clean.get("GIT_CONFIG_COUNT", "").isdecimal() else 0
    for number, (key, value) in enumerate(entries, count):
        clean[f"GIT_CONFIG_KEY_{number}"], clean[f"GIT_CONFIG_VALUE_{number}"] = key, value
        clean["GIT_CONFIG_COUNT"] = str(number + 1)
    return clean


def alternates_variable(directories: Iterable[str]) -> str:
    """Return object directories as git takes them from a variable; one with a separator in its path is quoted."""
    return os.pathsep.join(
        '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"' if os.pathsep in path or path[:1] == '"' else path
        for path in directories
    )


def _parse_entries(listing: bytes) -> list[tuple[str, str]]:
    entries: list[tuple[str, str]] = []
    for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
        key, newline, value = entry.partition("\n")
        if key:
            entries.append((key, value if newline else "true"))  # a key that stands alone is git's way to say yes
    return entries


def set_git_config(git_dir: str, key: str, value: str, env: Mapping[str, str] | None = None) -> None:
    """Set a key in the repository's own git configuration, as somebody asked, by starting git once.

    Args:
        git_dir: the git directory.
        key: such as `gitcoord.root`.
        value: its new value.
        env: the environment that git gets; the process's own by default.

    Raises:
        CoordError: git did not do it.
    """
    import subprocess

    env = environment() if env is None else env
    env = {name: text for name, text in env.items() if name not in _REPOSITORY_VARIABLES}
    command = ["git", f"--git-dir={git_dir}", "config", "--local", key, value]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command; key and value stay one argument each
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_TIMEOUT_S, env=env, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CoordError(f"git did not set {key}: {error}", next=f"git config {key} {value}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise CoordError(f"git did not set {key}: {said}", next=f"git config {key} {value}")


def parse_git_config(listing: bytes) -> GitSettings:
    """Return the settings in what `git config --list -z` prints: the last value of a key counts.

    Args:
        listing: entries that end in NUL, each a key, then a newline and its value unless the key stands alone.
    """
    values = dict(_parse_entries(listing))
    return GitSettings(
        durable=parse_switch(values.get("gitcoord.fsync")),
        user_name=values.get("author.name") or values.get("user.name") or None,
        user_email=values.get("author.email") or values.get("user.email") or None,
        ignore_case=parse_switch(values.get("core.ignorecase")),
        root=values.get("gitcoord.root") or None,
        sign=values.get("gitcoord.sign") or None,
        signing_key=values.get("gitcoord.signingkey") or None,
        git_signs=parse_switch(values.get("commit.gpgsign")),
        git_format=values.get("gpg.format") or None,
        git_key=values.get("user.signingkey") or None,
        gpg_program=values.get("gpg.openpgp.program") or values.get("gpg.program") or None,
        ssh_program=values.get("gpg.ssh.program") or None,
        ssh_default_key=values.get("gpg.ssh.defaultkeycommand") or None,
    )


def settle(env: EnvSettings, git: GitSettings | None = None) -> Settings:
    """Return what holds: the environment before git's configuration, then the defaults.

    Args:
        env: what the environment says.
        git: what git's configuration says, where somebody has read it.
    """
    git = git or GitSettings()
    login = env.login or login_name()
    durable = env.durable if env.durable is not None else git.durable
    return Settings(
        session=env.session,
        repo=env.repo,
        project_dir=env.project_dir,
        harness=env.harness,
        harness_session=env.harness_session,
        no_color=env.no_color,
        durable=durable is not False,
        user_name=_clean(env.user_name) or _clean(git.user_name) or _clean(login) or "user",
        user_email=_clean(env.user_email)
        or _clean(git.user_email)
        or _clean(env.fallback_email)
        or f"{_clean(login) or 'user'}@{host_name()}",
        ignore_case=bool(git.ignore_case),
    )


def _clean(text: str | None) -> str:
    """Return a name without what would end it early in a commit's author line."""
    kept = "".join(char for char in text or "" if char not in "<>" and char.isprintable())
    return kept.strip(" .,:;\"'\\")
