"""A signature in a commit object: where git puts it, and what it covers.

git keeps a commit's signature in a header of the commit itself, its further lines indented by one blank, and signs all
the rest of the object: tree, parents, author, dates and message. Repositories with SHA-256 names use a header of
another name, so that a commit that was converted can carry both.

Sources: gitformat-signature; `commit.c` of git (`add_header_signature`, `parse_signed_commit`).
"""

from __future__ import annotations

from gitcoord.values import Any, NamedTuple, cast

_new = cast("Any", tuple).__new__
_HEADERS = (b"gpgsig", b"gpgsig-sha256")
SSH = b"-----BEGIN SSH SIGNATURE-----"
PGP = b"-----BEGIN PGP SIGNATURE-----"
_END_OF = {SSH: b"-----END SSH SIGNATURE-----", PGP: b"-----END PGP SIGNATURE-----"}


class Opened(NamedTuple):
    """A commit's body taken apart.

    Attributes:
        payload: what a signature covers: the body without its signatures.
        signatures: every signature in it, armoured, each with the name of its header.
    """

    payload: bytes
    signatures: list[tuple[bytes, bytes]]


def header_name(oid_size: int) -> bytes:
    """Return the header that holds the signature where object names have so many bytes."""
    return _HEADERS[oid_size == 32]


def wrap(payload: bytes, signature: bytes, oid_size: int) -> bytes:
    """Return a commit's body with a signature of it.

    Args:
        payload: the body, without any.
        signature: armoured text.
        oid_size: how many bytes an object's name has.
    """
    head, gap, message = payload.partition(b"\n\n")
    lines = signature.strip().replace(b"\r\n", b"\n").replace(b"\n", b"\n ")
    return b"%b\n%b %b%b%b" % (head, header_name(oid_size), lines, gap, message)


def unwrap(body: bytes) -> Opened:
    """Take a commit's body apart; the opposite of `wrap`, also for what git and others wrote."""
    if b"\ngpgsig" not in body:
        return _new(Opened, (body, []))
    head, gap, message = body.partition(b"\n\n")
    if b"\ngpgsig" not in head:
        return Opened(body, [])
    kept: list[bytes] = []
    found: list[tuple[bytes, list[bytes]]] = []
    inside = False
    for line in head.split(b"\n"):
        name, _, rest = line.partition(b" ")
        if inside and line.startswith(b" "):
            found[-1][1].append(line[1:])
            continue
        inside = name in _HEADERS
        if inside:
            found.append((name, [rest]))
        else:
            kept.append(line)
    return Opened(b"\n".join(kept) + gap + message, [(name, b"\n".join(lines) + b"\n") for name, lines in found])


def kind_of(armour: bytes) -> bytes | None:
    """Return `SSH` or `PGP` where the text is exactly one armoured signature of that kind, else None."""
    for begin, end in _END_OF.items():
        if armour.startswith(begin) and armour.rstrip().endswith(end) and armour.count(b"-----BEGIN ") == 1:
            return begin
    return None
