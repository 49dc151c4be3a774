r"""Names: how a path part, a scope part or a key becomes the name of a git tree entry, and back.

Three spellings meet here.

*Inside*, a path is a `str`, decoded from bytes with `surrogateescape`: bytes that are not UTF-8 are lone surrogates.
Every such `str` survives every round trip below exactly. A `str` that no bytes decode to (a half of a UTF-16 pair, say)
is no path and is refused.

*Spelled*, as people write paths to gitcoord, `*` and `?` are wildcards and a backslash takes their meaning away. In the
canonical spelled form a backslash stands only before `*`, `?` or a backslash; `[` and `]` are letters.

*In a tree*, a name is as it is spelled, byte for byte, unless git, its fsck or a file system would trip over it, or it
would be taken for something else. Such a name begins with `%`, and that is how it is told apart: after it, `%XX` is a
byte, and everything else stands for itself. The first letter is always written `%XX`, harmless or not, which breaks
the spell of `.git`; before a first letter that is a wildcard stands a bare `%`, and the empty part is `%` alone.
A name has one encoding only: any other is refused when it is read, so that nothing can lie in the tree twice.
"""

from __future__ import annotations

from gitcoord.errors import InvalidName, InvalidPath, TooLarge, UnreadableRecord

SESSION_ID_LIMIT = 64
SCOPE_LIMIT = 1024
KEY_LIMIT = 512

_SUGGESTED_LIMIT = 48
_SHOWN_LIMIT = 200

# Letters that HFS+ ignores when it compares names, as git lists them: `.g<ZWNJ>it` is `.git` on such a disk.
_IGNORED_BY_HFS = dict.fromkeys(
    (*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF),
)

_LETTER, _ENCODED, _WILDCARD = 0, 1, 2
# The same few parts are asked for again and again: by each rule, and at each operation of a log that is replayed.
_PARTS_KEPT = 4000
_encoded_parts: dict[str, bytes] = {}

_C_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 0x22: '"', 0x5C: "\\"}
_C_UNESCAPES = {letter: code for code, letter in _C_ESCAPES.items()}

_ID_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_ID_REST = _ID_FIRST | frozenset("._@+-")
# git keeps names with `.lock` for itself, `.json` is what records of the state end in.
_ID_BAD_ENDS = (".lock", ".json", ".")


def encode_part(part: str) -> bytes:
    r"""Return the tree entry name of one part of a path.

    Args:
        part: in canonical spelled form; raw wildcards stay raw in the name, escaped ones are written `%2A` and `%3F`.

    Raises:
        ValueError: a backslash stands before something else, or the text is no decoded bytes: a caller's bug.
    """
    known = _encoded_parts.get(part)
    if known is None:
        if len(_encoded_parts) >= _PARTS_KEPT:
            _encoded_parts.clear()
        known = _encoded_parts[part] = _encode_part(part)
    return known


def _encode_part(part: str) -> bytes:
    if "\\" not in part and _is_harmless(part):
        return part.encode("utf-8", "surrogateescape")
    units: list[tuple[str, int]] = []
    letters = iter(part)
    for letter in letters:
        if letter == "\\":
            escaped = next(letters, "")
            if escaped not in ("*", "?", "\\"):
                raise ValueError(f"not in canonical spelled form: {part!r}")
            units.append((escaped, _ENCODED))
        elif letter in "*?":
            units.append((letter, _WILDCARD))
        else:
            units.append((letter, _ENCODED if _must_encode(letter) else _LETTER))
    return _encoded(units)


def decode_part(name: bytes) -> str:
    """Return the path part, in canonical spelled form, that a tree entry name stands for.

    Raises:
        UnreadableRecord: no part is encoded like this.
    """
    text = _decoded(name, keep_escapes=True)
    if "\\" in text or name[:1] == b"%" or not _is_harmless(text):
        _check_canonical(name, text, spelled=True)
    return text


def encode_text(text: str) -> bytes:
    r"""Return the tree entry name of a scope part or key, in which `*`, `?` and `\` are plain letters.

    Raises:
        ValueError: the text is no decoded bytes: a caller's bug.
    """
    if "\\" not in text and _is_harmless(text):
        return text.encode("utf-8", "surrogateescape")
    return _encoded([(letter, _ENCODED if _must_encode(letter) else _LETTER) for letter in text])


def decode_text(name: bytes) -> str:
    """Return the scope part or key that a tree entry name stands for.

    Raises:
        UnreadableRecord: no text is encoded like this.
    """
    text = _decoded(name, keep_escapes=False)
    if "\\" in text or name[:1] == b"%" or not _is_harmless(text):
        _check_canonical(name, text, spelled=False)
    return text


def is_unicode(text: str) -> bool:
    """Tell whether the text is valid Unicode: without lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def quote(path: str) -> str:
    """Return the path as git prints it with `core.quotePath=false`: in one line, and never mistaken for another.

    A path with control characters, a double quote, a backslash or bytes that are not UTF-8 comes in double quotes with
    C-style escapes; any other comes as it is.

    Raises:
        InvalidPath: the text is no decoded bytes.
    """
    if '"' in path or "\\" in path or _has_control(path) or not is_unicode(path):
        return _quoted(path)
    return path


def unquote(text: str) -> str:
    """Return the path that `quote` (or git) wrote; text without a leading double quote is the path itself.

    Raises:
        InvalidPath: the quoting is malformed, or the text is no decoded bytes.
    """
    if not text.startswith('"'):
        path_bytes(text)
        return text
    if len(text) < 2 or not text.endswith('"'):
        raise _malformed(text)
    out = bytearray()
    inner = text[1:-1]
    at = 0
    while at < len(inner):
        letter = inner[at]
        if letter == '"':
            raise _malformed(text)
        if letter != "\\":
            out += path_bytes(letter)
            at += 1
            continue
        code = _C_UNESCAPES.get(inner[at + 1 : at + 2])
        if code is not None:
            out.append(code)
            at += 2
            continue
        octal = inner[at + 1 : at + 4]
        if len(octal) != 3 or octal[0] not in "0123" or any(digit not in "01234567" for digit in octal):
            raise _malformed(text)
        out.append(int(octal, 8))
        at += 4
    return out.decode("utf-8", "surrogateescape")


def to_json_text(path: str) -> str:
    """Return the text that stands for a path in JSON: the path itself wherever JSON can carry it unmistakably.

    Raises:
        InvalidPath: the text is no decoded bytes.
    """
    return path if is_unicode(path) and not path.startswith('"') else _quoted(path)


def from_json_text(text: str) -> str:
    """Return the path that a JSON text stands for.

    Raises:
        InvalidPath: a malformed quoted path, or text with lone surrogates.
    """
    if not is_unicode(text):
        raise InvalidPath(f"not valid Unicode: {shown(text)}", next="write bytes that are not UTF-8 as git quotes them")
    return unquote(text)


def path_bytes(path: str) -> bytes:
    """Return the bytes that the path was decoded from.

    Raises:
        InvalidPath: no bytes decode to this text.
    """
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidPath(
            f"not a path, it has half a UTF-16 pair: {shown(path)}",
            next="write the path as UTF-8, or its bytes as git quotes them",
        ) from None


def shown(text: str) -> str:
    """Return any text as a message may hold it: in one line, in quotation marks, cut where it is very long."""
    cut = text if len(text) <= _SHOWN_LIMIT else text[:_SHOWN_LIMIT] + "..."
    return f"'{cut}'" if cut.isprintable() else ascii(cut)


def is_session_id(text: str) -> bool:
    """Tell whether the text can be a session id."""
    try:
        check_session_id(text)
    except InvalidName:
        return False
    return True


def check_session_id(text: str) -> str:
    """Return the text if it can be a session id.

    A session id is 1 to 64 ASCII letters, digits and `._@+-`, begins with a letter or digit, and does not end in
    `.lock`, `.json` or a dot: it can then be a file's name, a part of a ref and a word in a message as it is.

    Raises:
        InvalidName: it cannot, and why.
    """
    if not text:
        why = "it is empty"
    elif len(text) > SESSION_ID_LIMIT:
        why = f"it is longer than {SESSION_ID_LIMIT} characters"
    elif text[0] not in _ID_FIRST:
        why = "it does not begin with a letter or digit"
    elif not _ID_REST.issuperset(text):
        bad = next(letter for letter in text if letter not in _ID_REST)
        why = f"only letters, digits and ._@+- can be in it, not {shown(bad)}"
    elif text.lower().endswith(_ID_BAD_ENDS):
        why = "it ends in .lock, .json or a dot"
    else:
        return text
    raise InvalidName(f"not a session id: {shown(text)}: {why}", next=f"for example {session_id_from(text)}")


def session_id_from(text: str, fallback: str = "agent") -> str:
    """Return a valid session id, in lower case and of at most 48 characters, close to any client's own name.

    Two names may give one id: it is a wish, and the log decides who gets it.

    Args:
        text: what the client calls itself, such as `Claude Code`.
        fallback: a valid session id for a name of which nothing is left.
    """
    return _as_id(text.lower(), _SUGGESTED_LIMIT) or fallback


def user_session_id(user: str, host: str) -> str:
    """Return the session id `<user>@<host>` of a person at a machine, without the host's domain."""
    label = host.split(".", 1)[0]
    if label.isdigit():  # an address: its first number would be the name of a whole network
        label = host
    half = SESSION_ID_LIMIT // 2
    return f"{_as_id(user, half - 1) or 'user'}@{_as_id(label, half) or 'localhost'}"


def check_scope(text: str) -> str:
    """Return the text if it can be a scope: 1 to 1,024 bytes of UTF-8 without NUL, an exact string otherwise.

    Raises:
        InvalidName: it cannot.
        TooLarge: it is longer.
    """
    return _check_exact("scope", text, SCOPE_LIMIT)


def check_key(text: str) -> str:
    """Return the text if it can be a key: 1 to 512 bytes of UTF-8 without NUL, an exact string otherwise.

    Raises:
        InvalidName: it cannot.
        TooLarge: it is longer.
    """
    return _check_exact("key", text, KEY_LIMIT)


def _has_control(text: str) -> bool:
    if text.isascii():
        return not text.isprintable()
    return any(letter < " " or letter == "\x7f" for letter in text)


def _must_encode(letter: str) -> bool:
    return letter in "%/\\\x7f" or letter < " "


def _is_harmless(text: str) -> bool:
    """Tell whether the text, which has no backslash, can be a tree entry name as it is."""
    if not text or text[0] in "@%" or text in (".", "..") or "/" in text or _has_control(text):
        return False
    seen = text if text.isascii() else text.translate(_IGNORED_BY_HFS)
    start = seen[:8].lower()
    if start.startswith(".git"):
        return False
    # A short name that NTFS may give to `.git`, `.gitmodules` and their like: git~1, gitmod~1, gi7eba~1, ~1000000.
    tilde = start.find("~")
    return tilde < 0 or not start[tilde + 1 : tilde + 2].isdigit() or not (tilde == 0 or start[0] == "g")


def _encoded(units: list[tuple[str, int]]) -> bytes:
    out = bytearray()
    if not units or units[0][1] == _WILDCARD:
        out += b"%"
    for number, (letter, kind) in enumerate(units):
        raw = letter.encode("utf-8", "surrogateescape")
        if kind == _ENCODED or (number == 0 and kind == _LETTER):
            out += b"".join(b"%%%02X" % byte for byte in raw)
        else:
            out += raw
    return bytes(out)


def _decoded(name: bytes, *, keep_escapes: bool) -> str:
    """Undo the encoding without asking whether it was the right one."""
    if name[:1] != b"%":
        return name.decode("utf-8", "surrogateescape")
    out = bytearray()
    at = 1 if len(name) == 1 or name[1:2] in (b"*", b"?") else 0
    while at < len(name):
        byte = name[at]
        at += 1
        if byte == 0x25:
            digits = name[at : at + 2]
            if len(digits) != 2 or any(digit not in b"0123456789ABCDEF" for digit in digits):
                raise _unreadable(name)
            byte = int(digits, 16)
            at += 2
            if keep_escapes and byte in b"*?\\":
                out += b"\\"
        out.append(byte)
    return out.decode("utf-8", "surrogateescape")


def _check_canonical(name: bytes, text: str, *, spelled: bool) -> None:
    try:
        again = encode_part(text) if spelled else encode_text(text)
    except ValueError:
        raise _unreadable(name) from None
    if again != name:
        raise _unreadable(name)


def _unreadable(name: bytes) -> UnreadableRecord:
    return UnreadableRecord(f"gitcoord writes no tree entry with this name: {ascii(name)[1:]}", next="gitcoord verify")


def _quoted(path: str) -> str:
    path_bytes(path)
    out: list[str] = []
    for letter in path:
        code = ord(letter)
        if code in _C_ESCAPES:
            out.append("\\" + _C_ESCAPES[code])
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\{code:03o}")
        elif 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\{code - 0xDC00:03o}")
        else:
            out.append(letter)
    return '"' + "".join(out) + '"'


def _malformed(text: str) -> InvalidPath:
    return InvalidPath(
        f"a malformed quoted path: {shown(text)}",
        next='a path that begins with a double quote is read as git quotes paths; write it "\\"..."',
    )


def _as_id(text: str, limit: int) -> str:
    """Return what of the text can be a session id of at most `limit` characters; may be empty."""
    if not text.isascii():
        import unicodedata

        marks = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in marks if not unicodedata.combining(letter))
    words = "".join(letter if letter in _ID_REST else " " for letter in text).split()
    found = "-".join(words).lstrip("._@+-")[:limit].rstrip("._@+-")
    if found.lower().endswith(_ID_BAD_ENDS):
        found = found[:-5] + "-" + found[-4:]
    return found


def _check_exact(what: str, text: str, limit: int) -> str:
    if not text:
        raise InvalidName(f"a {what} cannot be empty", next=f"give the {what} a name")
    if "\0" in text:
        raise InvalidName(f"a {what} cannot hold NUL: {shown(text)}", next="leave it out")
    if not is_unicode(text):
        raise InvalidName(f"a {what} must be valid Unicode: {shown(text)}", next="encode it as UTF-8")
    size = len(text.encode())
    if size > limit:
        raise TooLarge(
            f"a {what} has at most {limit:,} bytes of UTF-8, this one has {size:,}: {shown(text)}",
            next=f"choose a shorter {what}; long text belongs into the value",
        )
    return text
