"""Real git repositories for tests: make them, run git in them, fsck them, read their log.

Nothing here imports gitcoord: what it wrote is read back with git alone.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_REF = "refs/gitcoord/main"

GITCONFIG = """\
[user]
\tname = Ada Test
\temail = ada@example.invalid
[init]
\tdefaultBranch = main
[commit]
\tgpgSign = false
[tag]
\tgpgSign = false
[protocol "file"]
\tallow = always
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""

# What git, gpg, gitcoord and the harnesses of agents read: none of it may reach a test from outside.
FOREIGN = (
    "AGENT",
    "AI_AGENT",
    "CLAUDE",
    "CLAUDECODE",
    "CODEX",
    "CURSOR",
    "EMAIL",
    "GEMINI",
    "GIT_",
    "GITCOORD_",
    "GNUPGHOME",
    "GPG_",
    "MCP_",
    "OPENCODE",
    "SSH_AUTH_SOCK",
    "TERM_PROGRAM",
    "VSCODE",
    "WORKSPACE_FOLDER_PATHS",
    "XDG_",
)
COLOUR = ("CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "FORCE_COLOR", "NO_COLOR", "PY_COLORS")

_FIELD = "%x01"
_RECORD = "\x02"
_LOG_FORMAT = _FIELD.join(("%H", "%P", "%T", "%an", "%ae", "%ct", "%s", "%b", "%(trailers:only,unfold)")) + "%x02"


def scrubbed(environ: Mapping[str, str], home: str) -> dict[str, str]:
    """Return a copy of an environment with a home of its own and without anything foreign.

    Args:
        environ: the environment to start from.
        home: the directory that stands in for the person's; its `.gitconfig` is git's only configuration.
    """
    clean = {name: value for name, value in environ.items() if not name.startswith(FOREIGN) and name not in COLOUR}
    # npm's cache is no setting: keeping it spares a download for each run of a tool that comes through npx.
    clean.setdefault("npm_config_cache", os.path.join(environ.get("HOME", home), ".npm"))
    clean["HOME"] = home
    clean["GIT_CONFIG_NOSYSTEM"] = "1"
    clean["LC_ALL"] = "C.UTF-8"
    return clean


class GitFailed(AssertionError):
    """A git command of a test exited with an error; the text is what it said."""


def git_bytes(where: str, *args: str | bytes, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    """Run git in a directory and return its standard output as it is.

    Args:
        where: the directory, as for `git -C`.
        args: the command and its arguments; bytes go through untouched.
        stdin: what git reads.
        env: variables to set on top of the inherited ones.

    Raises:
        GitFailed: git exited with another status than 0.
    """
    whole_env = {**os.environ, **env} if env else None
    done = subprocess.run(["git", "-C", where, *args], input=stdin, capture_output=True, check=False, env=whole_env)
    if done.returncode != 0:
        raise GitFailed(
            f"git {args!r} in {where} exited with {done.returncode}: {done.stderr.decode(errors='replace')}"
        )
    return done.stdout


def git(where: str, *args: str | bytes, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Run git as `git_bytes` does and return its output as text without the last newline."""
    return git_bytes(where, *args, stdin=stdin, env=env).decode("utf-8", "surrogateescape").removesuffix("\n")


def make_repo(path: str | os.PathLike[str], *, bare: bool = False, sha256: bool = False, files: bool = True) -> str:
    """Make a repository and return its path.

    Args:
        path: the directory to make it in; parents are made as needed.
        bare: without a working tree.
        sha256: with SHA-256 object names.
        files: with one commit of a few files (not in a bare repository).
    """
    where = os.fspath(path)
    os.makedirs(where, exist_ok=True)
    shape = [*(["--bare"] if bare else []), *(["--object-format=sha256"] if sha256 else [])]
    git(where, "init", "-q", *shape, ".")
    if files and not bare:
        write_files(where, {"README.md": "A project.\n", "src/app.py": "print('app')\n", "src/db.py": "print('db')\n"})
        git(where, "add", "-A")
        git(where, "commit", "-q", "-m", "First files")
    return where


def write_files(where: str, files: Mapping[str, str]) -> None:
    """Write text files below a directory, making directories as needed."""
    for name, text in files.items():
        path = os.path.join(where, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)


def add_worktree(repo: str, path: str | os.PathLike[str], branch: str = "side") -> str:
    """Add a linked worktree on a new branch and return its path."""
    where = os.fspath(path)
    git(repo, "worktree", "add", "-q", "-b", branch, where)
    return where


def fsck(repo: str) -> list[str]:
    """Return what `git fsck --strict --full` finds wrong; empty where all is well.

    Dangling objects are no fault: a lost race leaves some behind.
    """
    command = ["git", "-C", repo, "fsck", "--strict", "--full", "--no-dangling", "--no-progress"]
    done = subprocess.run(command, capture_output=True, check=False)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    found = [line for line in lines if line and not line.startswith("notice:")]
    if done.returncode != 0 and not found:
        found.append(f"git fsck exited with {done.returncode}")
    return found


class LogEntry(NamedTuple):
    """One commit of the log, as `git log` prints it; `trailers` keeps each name's values in order."""

    commit: str
    parents: list[str]
    tree: str
    author: str
    email: str
    committed_s: int
    subject: str
    body: str
    trailers: dict[str, list[str]]

    @property
    def ids(self) -> list[str]:
        """The ids of the operations that this commit records."""
        return self.trailers.get("Coord-Id", [])


def read_log(repo: str, ref: str = LOG_REF, *paths: str | bytes) -> list[LogEntry]:
    """Read the log with `git log`, oldest commit first.

    Args:
        repo: the repository.
        ref: where to start; anything that git takes.
        paths: pathspecs that limit it.
    """
    text = git(repo, "log", "--reverse", f"--format={_LOG_FORMAT}", ref, "--", *paths)
    entries: list[LogEntry] = []
    for record in text.split(_RECORD):
        if not record.strip():
            continue
        commit, parents, tree, author, email, at, subject, body, trailers = record.lstrip("\n").split("\x01")
        entries.append(
            LogEntry(commit, parents.split(), tree, author, email, int(at), subject, body, _parse_trailers(trailers))
        )
    return entries


def _parse_trailers(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(": ")
        if colon:
            found.setdefault(name, []).append(value)
    return found


def log_length(repo: str, ref: str = LOG_REF) -> int:
    """Count the commits of the log."""
    return int(git(repo, "rev-list", "--count", ref))


def read_json(repo: str, path: str, rev: str = LOG_REF) -> Any:
    """Read a JSON record of the log's tree, such as `sessions/ada.json`, at a commit."""
    return json.loads(git_bytes(repo, "cat-file", "blob", f"{rev}:{path}"))


def tree_paths(repo: str, rev: str = LOG_REF, *, under: str = "") -> list[str]:
    """List the full names of all blobs of the log's tree at a commit, unquoted.

    Args:
        repo: the repository.
        rev: the commit.
        under: only those below this directory.
    """
    out = git_bytes(repo, "ls-tree", "-r", "-z", "--name-only", "--full-tree", rev, *([under + "/"] if under else []))
    return [name.decode("utf-8", "surrogateescape") for name in out.split(b"\0") if name]


def loosen(repo: str) -> None:
    """Let git unpack the log's packs into loose objects, as versions without packs wrote them."""
    own = f"{repo}/.git/gitcoord/objects"
    for name in sorted(os.listdir(f"{own}/pack")):
        path = f"{own}/pack/{name}"
        if name.endswith(".pack"):
            with open(path, "rb") as file:
                pack = file.read()
            os.unlink(path)
            if os.path.exists(path.removesuffix(".pack") + ".idx"):
                os.unlink(path.removesuffix(".pack") + ".idx")
            env = {**os.environ, "GIT_OBJECT_DIRECTORY": own}
            subprocess.run(["git", "-C", repo, "unpack-objects", "-q"], input=pack, check=True, env=env)
