"""The commit that people read: message, author and dates, rendered from `coord.json` and from nothing else.

People believe what `git log` tells them, so all of it follows from the operations, and a verifier can demand equality.
Paths are quoted as git quotes them, reasons are indented, control characters are made visible: no text of a session can
forge a trailer, a subject or a terminal's colours.

Sources: gitformat-commit for the author and committer lines; git-interpret-trailers for what counts as a trailer.
"""

from __future__ import annotations

from collections.abc import Callable

from gitcoord import names
from gitcoord.errors import ObjectDamaged
from gitcoord.model import Header, Operation
from gitcoord.model_time import parse_time
from gitcoord.values import Any

_SUBJECT = 100
_PATHS = 100
_NAME = 100
_REVISION_DIGITS = 20
# A log has few authors, and each is shown with every commit.
_IDENTS_KEPT = 1000
_idents: dict[tuple[str, str], str] = {}


def visible(text: str) -> str:
    r"""Return text in which control and direction-changing characters are shown as escapes (`\x1b`), newlines too."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _harmless(c) else _escape(c) for c in text)


def _harmless(char: str) -> bool:
    return char.isprintable() or char == "\u00a0"


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown_path(recorded: str) -> str:
    """Return a recorded path as git would print it."""
    return visible(names.quote(names.from_json_text(recorded)))


def _listed(items: list[str], prefix: str, suffix: str) -> str:
    """Join as many items as the subject has room for, and count the rest."""
    for count in range(min(len(items), 12), 0, -1):
        rest = len(items) - count
        line = f"{prefix}{', '.join(items[:count])}{f', +{rest} more' if rest else ''}{suffix}"
        if len(line) <= _SUBJECT:
            return line
    room = _SUBJECT - len(prefix) - len(suffix) - (len(f", +{len(items) - 1} more") if len(items) > 1 else 0) - 3
    more = f", +{len(items) - 1} more" if len(items) > 1 else ""
    return f"{prefix}...{items[0][-max(room, 8) :]}{more}{suffix}"


def touched(operation: Operation) -> list[dict[str, Any]]:
    """Return the claims that an operation names, each with its `path`, `key` and `kind`."""
    return operation.get("claims") or operation.get("locks") or []


def _claims(operation: Operation) -> list[str]:
    return [shown_path(record["path"]) for record in touched(operation)]


def _holders(operation: Operation) -> str:
    return ", ".join(sorted({record["session"] for record in operation["locks"]}))


_REAP = {"process-gone": "its process is gone", "lease-over": "its lease ran out", "challenge": "challenged, no answer"}


def _shown_evidence(evidence: dict[str, Any]) -> str:
    kind = str(evidence["kind"])
    return _REAP.get(kind) or visible(kind)


def _start(operation: Operation) -> str:
    takeover = operation["takeover"]
    if takeover is None:
        return f"sign-on: {operation['session']}"
    return f"takeover: {operation['session']} ({_shown_evidence(takeover['evidence'])})"


def _renewal(operation: Operation) -> str:
    return _listed([operation["session"], *(other["session"] for other in operation["others"])], "renew: ", "")


def _datum(operation: Operation) -> str:
    return visible(names.quote(operation["scope"] + " " + operation["key"]))


def _merge(operation: Operation) -> str:
    done, refused = len(operation["replayed"]), operation["refused"]
    kind = (
        f"restore ({operation['restores']})" if operation["restores"] else "adopt" if operation["adopts"] else "merge"
    )
    line = f"{kind}: {done} operation{'' if done == 1 else 's'}"
    if not refused:
        return line
    who = ", ".join(sorted({refusal["session"] for refusal in refused}))
    return f"{line}, {len(refused)} refused ({who})"


_SUBJECTS: dict[str, Callable[[Operation], str]] = {
    "log.init": lambda op: f"init: log {op['repository']}",
    "log.merge": _merge,
    "log.share": lambda op: f"share: confirmed by {visible(op['remote'])} ({ident(op['author'])})",
    "session.start": _start,
    "session.end": lambda op: f"sign-off: {op['session']}",
    "session.renew": _renewal,
    "session.resume": lambda op: f"resume: {op['session']}",
    "session.reap": lambda op: f"reap: {op['target']} ({_shown_evidence(op['evidence'])}), by {op['session']}",
    "session.challenge": lambda op: f"challenge: {op['target']}, by {op['session']}",
    "lock.acquire": lambda op: _listed(_claims(op), "lock: ", f" ({op['session']})"),
    "lock.release": lambda op: _listed(_claims(op), "unlock: ", f" ({op['session']})"),
    "lock.break": lambda op: _listed(_claims(op), "break: ", f" of {_holders(op)}, by {op['session']}"),
    "lock.expire": lambda op: _listed(_claims(op), "expire: ", f" of {_holders(op)}"),
    "data.store": lambda op: _listed([_datum(op)], "store: ", f" ({op['session']})"),
    "data.delete": lambda op: _listed([_datum(op)], "delete: ", f" ({op['session']})"),
    "policy.set": lambda op: f"policy: version {op['policy']['version']} ({op['session']})",
    "data.delete_scope": lambda op: _listed([visible(op["scope"])], "delete scope: ", f" ({op['session']})"),
}


def subject(operation: Operation) -> str:
    """Return the one line that names an operation: at most 100 characters, a verb of its own for each kind."""
    line = _SUBJECTS[operation["type"]](operation)
    return line if len(line) <= _SUBJECT else line[: _SUBJECT - 3] + "..."


def verb(operation: Operation) -> str:
    """Return the verb of an operation's subject."""
    return subject(operation).split(":", 1)[0]


def reason(operation: Operation) -> str:
    """Return what the session said of its operation, or what a merge has to say; may be empty."""
    if operation["type"] == "log.merge":
        return "\n".join(
            f"refused {one['type']} of {one['session']}: {one['message']}" for one in operation["refused"][:_PATHS]
        )
    return operation.get("reason") or operation.get("intent") or ""


def _trailers(operation: Operation, revision: int) -> list[str]:
    lines = [f"Coord-Op: {operation['type']}"]
    if "session" in operation:
        lines.append(f"Coord-Session: {operation['session']}")
    if "target" in operation:
        lines.append(f"Coord-Target: {operation['target']}")
    claims = _claims(operation)
    lines.extend(f"Coord-Path: {path}" for path in claims[:_PATHS])
    if len(claims) > _PATHS:
        lines.append(f"Coord-Paths-More: {len(claims) - _PATHS}")
    if operation.get("mode", "exclusive") != "exclusive":
        lines.append(f"Coord-Mode: {operation['mode']}")
    lines.extend(f"Coord-Refused: {refusal['id']}" for refusal in operation.get("refused", [])[:_PATHS])
    if "scope" in operation:
        lines.append(f"Coord-Scope: {visible(names.quote(operation['scope']))}")
    if "key" in operation:
        lines.append(f"Coord-Key: {visible(names.quote(operation['key']))}")
    return [*lines, f"Coord-Rev: {revision}", f"Coord-Id: {operation['id']}"]


def message(header: Header) -> str:
    """Return the commit message of a header: subject, reasons (indented), trailers."""
    operations = header["operations"]
    first = subject(operations[0])
    if len(operations) > 1:
        more = f" (+{len(operations) - 1} more)"
        first = first[: _SUBJECT - len(more)] + more
    said = [f"    {visible(line)}" for op in operations for line in reason(op).splitlines() if line.strip()]
    trailers = [line for op in operations for line in _trailers(op, header["revision"])]
    return "\n".join([first, "", *([*said, ""] if said else []), *trailers]) + "\n"


def ident(author: dict[str, Any]) -> str:
    """Return an author as git's commits hold it, without the date; characters that git gives meaning are dropped."""
    said = author["name"], author["email"]
    known = _idents.get(said)
    if known is None:
        if len(_idents) >= _IDENTS_KEPT:
            _idents.clear()
        known = _idents[said] = f"{_clean(said[0])[:_NAME] or 'unknown'} <{_clean(said[1])[:_NAME]}>"
    return known


def _clean(text: str) -> str:
    kept = "".join(c for c in visible(text) if c not in "<>")
    return kept.strip(" .,:;<>\"\\'")


def commit(tree: bytes, parents: list[bytes], header: Header) -> bytes:
    """Return the body of the commit object for a header.

    Args:
        tree: the state's tree.
        parents: the log before it; none for the first commit.
        header: the state's `coord.json`.
    """
    operation = header["operations"][0]
    who = f"{ident(operation['author'])} {parse_time(operation['clock']['time']) // 1000} +0000"
    lines = [
        f"tree {tree.hex()}",
        *(f"parent {parent.hex()}" for parent in parents),
        f"author {who}",
        f"committer {who}",
    ]
    return ("\n".join(lines) + "\n\n" + message(header)).encode()


def parse_commit(oid: bytes, body: bytes) -> tuple[bytes, list[bytes], int]:
    """Return a commit's tree, its parents, and the revision that its message states (0 where it states none).

    Raises:
        ObjectDamaged: the body is not a commit's.
    """
    tree, parents, at = b"", list[bytes](), 0
    end = body.find(b"\n\n")
    end = len(body) if end < 0 else end
    try:
        while at < end:
            after = body.find(b"\n", at, end)
            after = end if after < 0 else after
            if body.startswith(b"tree ", at):
                tree = bytes.fromhex(body[at + 5 : after].decode())
            elif body.startswith(b"parent ", at):
                parents.append(bytes.fromhex(body[at + 7 : after].decode()))
            else:
                break
            at = after + 1
    except ValueError as error:
        raise ObjectDamaged(f"object {oid.hex()} is not a commit: {error}", next="gitcoord doctor") from error
    if not tree:
        raise ObjectDamaged(f"object {oid.hex()} is not a commit", next="gitcoord doctor")
    at = body.rfind(b"\nCoord-Rev: ", end + 2)
    digits = body[at + 12 :].split(b"\n", 1)[0] if at >= 0 else b""
    return tree, parents, int(digits) if digits.isdigit() and len(digits) < _REVISION_DIGITS else 0
