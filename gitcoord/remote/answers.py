"""What git's words about a push or a look mean. Pure: exit status, `--porcelain` lines and git's own trace go in.

Translated texts decide nothing: git is run in the C locale, and what it does not say clearly counts as the worse case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitcoord.remote.urls import without_credentials
from gitcoord.values import Literal, NamedTuple

Outcome = Literal["taken", "stale", "rejected", "unknown"]
REASON_LIMIT = 500
_LINES_LIMIT = 8

# What is said when somebody else was quicker, by the git here before sending, or by the one there after receiving.
_STALE = (
    "stale info",
    "fetch first",
    "non-fast-forward",
    "non-fast forward",
    "needs force",
    "already exists",
    "failed to update ref",
    "cannot lock ref",
    "failed to lock",
    "incorrect old value",
    "reference does not exist",
    "failed to read existing ref",
    "remote ref updated since checkout",
)
# What git says for a ref of which no report came back.
_UNREPORTED = ("remote failed to report status", "expecting report")
# A server that answers the request itself with one of these has not handed it to git.
_REFUSED_REQUEST = re.compile(rb"^error: RPC failed; HTTP (?:401|403|404|405|411|413|415)\b", re.MULTILINE)
_HELPER = re.compile(rb"\bgit[ -]'?remote-([A-Za-z0-9+_-]+)")
_HELPERS_OF_GIT = frozenset({"http", "https", "ftp", "ftps", "fd", "ext"})
# Three lines that follow every failure of a connection, and say less than what stands before them.
_BOILERPLATE = frozenset(
    {
        "fatal: Could not read from remote repository.",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
    }
)
_PROGRESS = re.compile(
    r"[A-Z][A-Za-z ]*: +(?:\d+% \(\d+/\d+\)|\d+)(?:, .*)?$|Total \d+ \(delta|Delta compression using"
)


class Push(NamedTuple):
    """How one push ended.

    Attributes:
        outcome: `taken`: the ref there holds the new commit now. `stale`: it did not hold what was expected; somebody
            else moved it, or was about to. `rejected`: the remote does not take it. `unknown`: it was sent and no
            answer came; it may stand there now, or a little later, or never.
        reason: what git said; words of the remote are marked as such, bounded, and without control characters.
    """

    outcome: Outcome
    reason: str


def parse_tips(listing: bytes, wanted: frozenset[str]) -> dict[str, bytes]:
    """Return the refs that `git ls-remote` lists, those only that are wanted by their exact names."""
    found: dict[str, bytes] = {}
    for line in listing.split(b"\n"):
        oid, tab, name = line.partition(b"\t")
        ref = name.decode("utf-8", "surrogateescape")
        if tab and ref in wanted:
            found[ref] = bytes.fromhex(oid.decode("ascii"))
    return found


def judge_push(status: int | None, out: bytes, err: bytes, ref: str) -> Push | None:
    """Return how a push of one ref ended, None where nothing was said of the ref itself.

    Args:
        status: git's exit status, None where its time was over.
        out: its standard output, made with `--porcelain`.
        err: its standard error.
        ref: the full name of the ref on the remote.
    """
    if status == 0:
        return Push("taken", "")
    if _REFUSED_REQUEST.search(err):
        return Push("rejected", git_words(err))
    flag, summary = _line_of(out, ref)
    if flag != "!":
        return None
    kind, _, reason = summary.partition("] (")
    reason = reason.removesuffix(")") or summary
    if any(text in reason for text in _UNREPORTED):
        return Push("unknown", git_words(err) or clean(reason))
    by_remote = kind.startswith("[remote")
    if any(text in reason for text in _STALE):
        return Push("stale", _marked(reason) if by_remote else clean(reason))
    said = remote_words(err)
    if by_remote:
        return Push("rejected", _marked(f"{reason}: {said}" if said else reason))
    return Push("rejected", clean(reason))


def _line_of(out: bytes, ref: str) -> tuple[str, str]:
    """Return the flag and the summary of a ref in the output of `git push --porcelain`."""
    for line in out.decode("utf-8", "replace").split("\n"):
        flag, tab, rest = line.partition("\t")
        names, tab, summary = rest.partition("\t")
        if tab and names.endswith(f":{ref}"):
            return flag, summary
    return "", ""


def nothing_was_sent(commands: bytes) -> bool:
    """Tell from git's own record of its commands that no pack was begun, so that the remote cannot have changed a ref.

    git starts `pack-objects` after it has connected, signed in and read what the remote has; receive-pack needs that
    pack, be it an empty one. A foreign remote helper may send by other means: then nothing is certain.

    Args:
        commands: what git wrote for `GIT_TRACE`; its wording does not matter, only the names of programs in it.
    """
    if not commands or b"pack-objects" in commands:
        return False
    return all(found[1].decode() in _HELPERS_OF_GIT for found in _HELPER.finditer(commands))


def remote_words(err: bytes) -> str:
    """Return what the remote itself said (its hooks, its server), without progress, in one bounded line."""
    lines = (line.removeprefix("remote:").strip() for line in _lines(err) if line.startswith("remote:"))
    return _joined(line for line in lines if not _PROGRESS.match(line))


def git_words(err: bytes) -> str:
    """Return what git and its helpers said of a failure, without progress and advice, in one bounded line."""
    lines = [line for line in _lines(err) if not line.startswith(("hint:", "warning:", "To "))]
    said = [line for line in lines if not _PROGRESS.match(line.removeprefix("remote:").strip())]
    return _joined([line for line in said if line not in _BOILERPLATE] or said)


def _marked(text: str) -> str:
    return f'the remote said: "{clean(text)}"'


def _lines(err: bytes) -> Iterator[str]:
    for line in err.decode("utf-8", "replace").replace("\r", "\n").split("\n"):
        if line.strip():
            yield line.strip()


def _joined(lines: Iterator[str] | list[str]) -> str:
    return clean("; ".join([line for line in lines if line][:_LINES_LIMIT]))


def clean(text: str) -> str:
    """Return somebody else's words in one line: bounded, printable, and without passwords in URLs."""
    one_line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    shown = without_credentials(one_line).replace('"', "'")
    return shown if len(shown) <= REASON_LIMIT else f"{shown[: REASON_LIMIT - 3]}..."
