r"""Paths: what a claim covers, and whether two claims overlap. Without I/O.

A claim is a file, a directory, a pattern or a named resource. A file covers itself; a directory covers itself and all
below it; a pattern covers the files that it matches. In a pattern `*` and `?` stop at `/`, `**` crosses it, and a part
that is `**` matches no part at all too: `**/a.py` matches `a.py`, and `a/**/b` matches `a/b`. `[` and `]` are letters.

Two claims without wildcards overlap if one is at or above the other: whoever moves a directory moves the file. All
other pairs overlap if some file could be covered by both. That is decided exactly: both claims are regular languages
over letters, and the search below looks for a file name in both of them. It takes a step in the product of the two at
a time and remembers where it was, so its work is bounded by the product of their sizes; beyond `_MOST_STATES` the
answer is "they overlap", the one that can only make somebody wait.

What is compared are a claim's *key parts*, made once, when the claim is made: in canonical spelled form, in NFC, and
folded where the log takes upper and lower case for the same. From then on nothing asks a Unicode table, so that every
machine decides alike. Nothing here knows which files exist.
"""

from __future__ import annotations

from gitcoord.errors import InvalidPath
from gitcoord.names import encode_part, path_bytes, shown
from gitcoord.values import NamedTuple

PATH_LIMIT = 4096

_MOST_STATES = 1_000_000

# What a backslash may stand before. Before a letter it is the mark of a path in the manner of Windows: `src\app.py`
# read as `srcapp.py` would lock the wrong file and say nothing.
_KEPT_ESCAPES = "*?\\"
_DROPPED_ESCAPES = "[]{}!# "

# The letters of a claim as a language: code points, and below zero what stands for many.
_ONE, _RUN, _ANY, _MAYBE = -1, -2, -3, -4  # one letter but `/`; a run without `/`; any run; the next two or none
_SLASH, _DOT = 0x2F, 0x2E
_END = 0x110000  # a letter that no name has


class Claim(NamedTuple):
    """What a lock is on.

    Attributes:
        kind: `file`, `directory`, `pattern` or `resource`.
        parts: the key parts, which are compared; `()` is the whole repository.
        spelled: what people see, relative to the repository's root: case as it was written, directories without a
            trailing slash, the root as `.`.
    """

    kind: str
    parts: tuple[str, ...]
    spelled: str

    @property
    def key(self) -> str:
        """The key parts in one text; empty for the whole repository."""
        return "/".join(self.parts)


def parse_claim(spelled: str, *, directory: bool = False, fold_case: bool = False) -> Claim:
    """Return the claim on a path or pattern, relative to the repository's root.

    `.`, `..` and doubled slashes are resolved in the text alone: no symbolic link is seen.

    Args:
        spelled: in spelled form. A trailing slash makes it a directory, or lets a pattern match everything below.
        directory: take it as if it had a trailing slash.
        fold_case: compare without regard to upper and lower case.

    Raises:
        InvalidPath: empty, too long, with NUL, not text, badly escaped, or outside the repository.
    """
    raw = split_spelled(spelled)
    if not raw[0] and len(raw) > 1:
        raise InvalidPath(f"not relative to the repository's root: {shown(spelled)}", next="leave out the leading /")
    below = directory or raw[-1] in ("", ".", "..")
    parts = _resolved(raw, spelled)
    pattern = any(has_wildcard(part) for part in parts)
    if pattern and below and parts[-1] != "**":
        parts.append("**")
    text = "/".join(parts) or "."
    size = len(path_bytes(text))
    if size > PATH_LIMIT:
        raise InvalidPath(
            f"a path has at most {PATH_LIMIT:,} bytes, this one has {size:,}: {shown(text)}",
            next="claim a directory above it",
        )
    kind = "pattern" if pattern else "directory" if below else "file"
    return Claim(kind, tuple(fold_part(part, fold_case=fold_case) for part in parts), text)


def claim_from_literal(path: str, *, directory: bool = False, fold_case: bool = False) -> Claim:
    """Return the claim on a file or directory whose name is taken letter by letter: it has no wildcards.

    Args:
        path: relative to the repository's root, with `/` between the parts.
        directory: it is a directory, as it is too with a trailing slash.
        fold_case: compare without regard to upper and lower case.

    Raises:
        InvalidPath: as for `parse_claim`.
    """
    return parse_claim(escape(path), directory=directory, fold_case=fold_case)


def parse_resource(name: str) -> Claim:
    """Return the claim on a named resource, such as `deploy/prod` or `port/8080`.

    The name is taken letter by letter, without wildcards; the slashes have no meaning but order in the tree.

    Raises:
        InvalidPath: empty, too long, with NUL, not text, or with a part that is empty, `.` or `..`.
    """
    _check_text(name, "resource name")
    name = path_bytes(name).decode("utf-8", "surrogateescape")
    raw = name.split("/")
    if any(part in ("", ".", "..") for part in raw):
        raise InvalidPath(
            f"a resource name has no empty part and no . or ..: {shown(name)}", next="for example deploy/prod"
        )
    size = len(path_bytes(name))
    if size > PATH_LIMIT:
        raise InvalidPath(
            f"a resource name has at most {PATH_LIMIT:,} bytes, this one has {size:,}: {shown(name)}",
            next="choose a shorter name",
        )
    return Claim("resource", tuple(fold_part(escape(part), fold_case=False) for part in raw), name)


def overlaps(one: Claim, other: Claim) -> bool:
    """Tell whether two claims, made with the same case rule, get in each other's way. Symmetric.

    May say yes to two very long patterns that share no file; never says no to two that do.
    """
    if one.kind == "resource" or other.kind == "resource":
        return one.kind == other.kind and one.parts == other.parts
    shorter = min(len(one.parts), len(other.parts))
    if one.kind != "pattern" and other.kind != "pattern":
        return one.parts[:shorter] == other.parts[:shorter]
    same = 0
    while same < shorter:
        left, right = one.parts[same], other.parts[same]
        if has_wildcard(left) or has_wildcard(right):
            break
        if left != right:
            return False
        same += 1
    if one.kind == "file":
        return _matches(_letters(other, same), _letters(one, same))
    if other.kind == "file":
        return _matches(_letters(one, same), _letters(other, same))
    return _meet(_letters(one, same), _letters(other, same))


def covers_path(claim: Claim, literal: Claim) -> bool:
    """Tell whether whoever has the claim has the literal path: a file, or everything in a directory.

    Exact for files. For a directory, a pattern is believed only if it ends in `**` or `**/*`, and for a pattern
    in the place of `literal`, only the same pattern or a directory above it is: says no where it cannot be sure.
    """
    if claim.kind == "resource" or literal.kind == "resource":
        return claim.kind == literal.kind and claim.parts == literal.parts
    if claim.kind == "directory":
        return literal.parts[: len(claim.parts)] == claim.parts
    if claim.kind == "file" or literal.kind == "pattern":
        return claim.kind == literal.kind and claim.parts == literal.parts
    if literal.kind == "file":
        return overlaps(claim, literal)
    if claim.parts[-2:] == ("**", "*"):
        claim = claim._replace(parts=claim.parts[:-1])
    letters = _letters(claim, 0)
    if letters[-1] != _ANY:
        return False
    # What the last `**` matches anyway, it matches with any name behind it; _END stands for that name.
    inside = [ord(letter) for part in literal.parts for letter in (*_units(part), "/")]
    return _matches([*letters, _END], [*inside, _END])


def has_wildcard(part: str) -> bool:
    """Tell whether a part, in canonical spelled form, has a `*` or `?` that no backslash escapes."""
    if "*" not in part and "?" not in part:
        return False
    return "\\" not in part or any(unit in ("*", "?") for unit in _units(part))


def part_may_match(one: str, other: str) -> bool:
    """Tell whether two key parts could match a common name, for pruning a walk down the tree.

    A part with `**` may match anything, and more than one part: below it nothing can be pruned.
    """
    if not has_wildcard(one) and not has_wildcard(other):
        return one == other
    left, right = _part_letters(one), _part_letters(other)
    return _ANY in left or _ANY in right or _meet(left, right)


def tree_parts(claim: Claim) -> tuple[bytes, ...]:
    """Return the tree entry names under which the claim's locks lie."""
    return tuple(encode_part(part) for part in claim.parts)


def escape(literal: str) -> str:
    """Return the spelled form of a literal path or part."""
    if "\\" in literal:
        literal = literal.replace("\\", "\\\\")
    return literal.replace("*", "\\*").replace("?", "\\?")


def unescape(part: str) -> str:
    """Return the literal name that a part in canonical spelled form, without wildcards, stands for."""
    return "".join(unit[-1] for unit in _units(part)) if "\\" in part else part


def split_spelled(spelled: str) -> list[str]:
    """Return the parts of a spelled path, each in canonical spelled form; `.`, `..` and empty parts stay.

    Raises:
        InvalidPath: empty, with NUL, not text, or a backslash before something that needs none.
    """
    _check_text(spelled, "path")
    spelled = path_bytes(spelled).decode("utf-8", "surrogateescape")  # bytes that are UTF-8 after all become letters
    if "\\" in spelled:
        spelled = _with_canonical_escapes(spelled)
    parts = spelled.split("/")
    if "***" not in spelled:
        return parts
    return [_with_short_stars(part) for part in parts]


def fold_part(part: str, *, fold_case: bool) -> str:
    """Return the key of a part: in NFC, and folded if case makes no difference."""
    if part.isascii():
        return part.lower() if fold_case else part
    import unicodedata

    if fold_case:
        part = unicodedata.normalize("NFD", part).casefold()
    return unicodedata.normalize("NFC", part)


def _check_text(text: str, what: str) -> None:
    if not text:
        raise InvalidPath(f"an empty {what}", next="name it; the whole repository is .")
    if "\0" in text:
        raise InvalidPath(f"a {what} cannot hold NUL: {shown(text)}", next="leave it out")


def _with_canonical_escapes(spelled: str) -> str:
    out: list[str] = []
    letters = iter(spelled)
    for letter in letters:
        if letter != "\\":
            out.append(letter)
            continue
        escaped = next(letters, "")
        if escaped and escaped in _KEPT_ESCAPES:
            out.append("\\" + escaped)
        elif escaped and escaped in _DROPPED_ESCAPES:
            out.append(escaped)
        else:
            raise InvalidPath(
                f"a backslash before {shown(escaped) if escaped else 'nothing'} in {shown(spelled)}",
                next="put / between directories; a backslash only escapes * and ?, and in a name it is written twice",
            )
    return "".join(out)


def _units(part: str) -> list[str]:
    """Split a part in canonical spelled form into letters, wildcards, and escapes of two letters."""
    if "\\" not in part:
        return list(part)
    letters = iter(part)
    return [letter + next(letters) if letter == "\\" else letter for letter in letters]


def _with_short_stars(part: str) -> str:
    """Write a run of more than two stars as two: it says no more."""
    out: list[str] = []
    for unit in _units(part):
        if unit != "*" or out[-2:] != ["*", "*"]:
            out.append(unit)
    return "".join(out)


def _resolved(raw: list[str], spelled: str) -> list[str]:
    """Resolve `.`, `..` and doubled slashes; write `**/**` as `**`."""
    parts: list[str] = []
    for part in raw:
        if part in ("", ".") or (part == "**" and parts[-1:] == ["**"]):
            continue
        if part != "..":
            parts.append(part)
        elif not parts:
            raise InvalidPath(
                f"outside the repository: {shown(spelled)}", next="name a path below the repository's root"
            )
        elif _ANY in _part_letters(parts.pop()):
            raise InvalidPath(
                f".. after ** could be anywhere: {shown(spelled)}", next="write the pattern without .. in it"
            )
    return parts


def _part_letters(part: str) -> list[int]:
    """Return the letters of one part; a run of two stars is `_ANY`."""
    found: list[int] = []
    for unit in _units(part):
        if unit == "*":
            if found[-1:] == [_RUN]:
                found[-1] = _ANY
            else:
                found.append(_RUN)
        else:
            found.append(_ONE if unit == "?" else ord(unit[-1]))
    return found


def _letters(claim: Claim, start: int) -> list[int]:
    """Return the language of what the claim covers, from its part `start` on."""
    found: list[int] = []
    last = len(claim.parts) - 1
    for number in range(start, last + 1):
        part = claim.parts[number]
        if part == "**" and number < last:
            found += (_MAYBE, _ANY, _SLASH)
            continue
        found += _part_letters(part)
        if number < last:
            found.append(_SLASH)
    if claim.kind == "directory":
        found += (_MAYBE, _SLASH, _ANY) if start <= last else (_ANY,)
    return found


def _matches(letters: list[int], name: list[int]) -> bool:
    """Tell whether a language has this one name. It is what `_meet` says, found faster: a name goes one way only."""
    if not name:  # the file ends at a directory of the pattern; its `**` would match no letter, but the slash is there
        return False
    if (len(letters) + 1) * (len(name) + 1) > _MOST_STATES:
        return True
    places = _with_skips(letters, [0])
    for letter in name:
        nexts: list[int] = []
        for place in places:
            token = letters[place] if place < len(letters) else _MAYBE
            if token == letter or (token == _ONE and letter != _SLASH):
                nexts.append(place + 1)
            elif token == _ANY or (token == _RUN and letter != _SLASH):
                nexts.append(place)
        if not nexts:
            return False
        places = _with_skips(letters, nexts)
    return len(letters) in places


def _with_skips(letters: list[int], places: list[int]) -> set[int]:
    """Return the places and all that can be reached from them without a letter."""
    found = set(places)
    for place in places:  # grows as it goes
        token = letters[place] if place < len(letters) else 0
        if token < _ONE:
            skips = (place + 1, place + 3) if token == _MAYBE else (place + 1,)
            new = [skip for skip in skips if skip not in found]
            found.update(new)
            places += new
    return found


def _meet(one: list[int], other: list[int]) -> bool:
    """Tell whether two languages have a file name in common.

    A state is a place in each of the two and how the part that is being written looks so far: empty, `.`, `..` or
    like a name. Only a name can be followed by a slash or be the end, so that nothing matches `a//b` or `a/..`.

    Args:
        one: letters, as `_letters` returns them.
        other: the same.
    """
    width = len(other) + 1
    if (len(one) + 1) * width > _MOST_STATES:
        return True
    goal = ((len(one) * width + len(other)) << 2) | 3
    seen = {0}
    todo = [0]
    while todo:
        state = todo.pop()
        if state == goal:
            return True
        here, there = divmod(state >> 2, width)
        for a, b, looks in _steps(one, here, other, there, state & 3):
            nxt = ((a * width + b) << 2) | looks
            if nxt not in seen:
                seen.add(nxt)
                todo.append(nxt)
    return False


def _steps(one: list[int], here: int, other: list[int], there: int, looks: int) -> list[tuple[int, int, int]]:
    """Return the states that follow one: past something that may be empty, or past one letter that both take."""
    left = one[here] if here < len(one) else None
    right = other[there] if there < len(other) else None
    found: list[tuple[int, int, int]] = []
    if left == _MAYBE:
        return [(here + 1, there, looks), (here + 3, there, looks)]
    if right == _MAYBE:
        return [(here, there + 1, looks), (here, there + 3, looks)]
    if left in (_RUN, _ANY):
        found.append((here + 1, there, looks))
    if right in (_RUN, _ANY):
        found.append((here, there + 1, looks))
    if left is None or right is None:
        return found
    # Where both leave the choice, a letter is the best: everything that can follow `/` or `.` can follow it too.
    letter = left if left >= 0 else right
    if letter >= 0 and not (_takes(left, letter) and _takes(right, letter)):
        return found
    if letter != _SLASH:
        looks = min(looks + 1, 3) if letter == _DOT else 3
    elif looks == 3:
        looks = 0
    else:
        return found
    found.append((here if left in (_RUN, _ANY) else here + 1, there if right in (_RUN, _ANY) else there + 1, looks))
    return found


def _takes(token: int, letter: int) -> bool:
    return token in (letter, _ANY) or (letter != _SLASH and token in (_ONE, _RUN))
