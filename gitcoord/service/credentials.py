"""Values that look like credentials: found before anything of them is written, for a log forgets nothing.

What a credential looks like is `detect-secrets`' knowledge: its detectors of private keys, of cloud keys and of tokens.
Those that guess (high entropy, a word such as `password` nearby, IP addresses) are left out: a refusal has to be right.
Loading them costs a third of a second, so a pattern that lets every text through that any of them could match (and
many more) stands before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gitcoord.errors import CredentialFound
from gitcoord.values import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

GUESSING = frozenset({"Base64 High Entropy String", "Hex High Entropy String", "Public IP (ipv4)", "Secret Keyword"})
"""The detectors that are left out, by the name of what they find."""

_MAY_BE = re.compile(
    r"[\w-]{20}|[0-9A-Za-z/+]{40}|AccountKey=|AKC|AP[\dA-F][A-Za-z0-9]{8}|://|PRIVATE KEY|PuTTY|eyJ"
    r"|sq0csp|xox|_authToken",
    re.IGNORECASE,
)
_SHOWN = 5
_detectors: list[BasePlugin] = []


def may_be_credential(text: str) -> bool:
    """Tell whether a detector could find something in a text; True of much that is harmless."""
    return _MAY_BE.search(text) is not None


def check(value: Any) -> None:
    """Let a JSON value pass if nothing in it looks like a credential.

    Raises:
        CredentialFound: what was recognised, and where; never the credential itself.
    """
    found = [
        (what, where)
        for where, name, text in _texts(value, "value", "")
        if may_be_credential(text)
        for what, where in _in_text(text, name, where)
    ]
    if not found:
        return
    told = "; ".join(f"{what} in {where}" for what, where in dict.fromkeys(found[:_SHOWN]))
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise CredentialFound(
        f"the value looks like a credential: {told}{more}; nothing was written",
        next="store where the credential is, or seal it for the principals of the policy: gitcoord data set --seal",
        recognised=[{"what": what, "where": where} for what, where in dict.fromkeys(found)],
    )


def _texts(value: Any, where: str, name: str) -> Iterator[tuple[str, str, str]]:
    """Yield every text in a value, keys too, each with its place and the key that it stands under."""
    if type(value) is str:
        yield where, name, value
    elif type(value) is list:
        for number, item in enumerate(cast("list[Any]", value)):
            yield from _texts(item, f"{where}[{number}]", name)
    elif type(value) is dict:
        for number, (key, item) in enumerate(cast("dict[str, Any]", value).items()):
            shown = key if key.isidentifier() and not may_be_credential(key) else f"member {number + 1}"
            yield f"a key of {where}", "", key
            yield from _texts(item, f"{where}.{shown}", key)


def _in_text(text: str, name: str, where: str) -> Iterator[tuple[str, str]]:
    """Yield what is recognised in a text, and in which line."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        place = where if len(lines) == 1 else f"{where}, line {number + 1}"
        # Some detectors know a key by the name that it stands under, as in a file of settings.
        looked_at = (line, f'{name} = "{line}"') if name else (line,)
        for detector in _loaded():
            if any(next(iter(detector.analyze_string(one)), None) is not None for one in looked_at):
                yield detector.secret_type, place


def _loaded() -> list[BasePlugin]:
    """Return the detectors. They only look: nothing is verified over a network."""
    if not _detectors:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

        kinds = get_mapping_from_secret_type_to_class()
        _detectors.extend(make() for kind, make in kinds.items() if kind not in GUESSING)
    return _detectors
