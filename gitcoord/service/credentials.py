"""Texts that look like credentials: found before anything of them is written, for a log forgets nothing.

What a credential looks like is `detect-secrets`' knowledge: its detectors of private keys, of cloud keys and of tokens,
and what `credential_kinds` adds to them. Those that guess (high entropy, a word such as `password` nearby, IP
addresses) are left out: a refusal has to be right. Loading them costs a quarter of a second, so two looks that let
every text through that any of them could match stand before them: one at marks, which costs nothing, and one pattern.

Looked at are values that are stored, and the words that go on the log with an operation (`WORDS`). Paths are not: they
are names of files, which git keeps anyway and which somebody has to be able to lock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from gitcoord.errors import CredentialFound
from gitcoord.service.credential_kinds import NEWER
from gitcoord.values import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detect_secrets.plugins.base import BasePlugin

GUESSING = frozenset({"Base64 High Entropy String", "Hex High Entropy String", "Public IP (ipv4)", "Secret Keyword"})
"""The detectors that are left out, by the name of what they find."""

WORDS = {
    "session.start": ("session", "agent", "intent"),
    "session.renew": ("intent",),
    "lock.acquire": ("reason", "resource"),
    "lock.break": ("reason",),
    "data.store": ("scope", "key"),
    "policy.set": ("reason", "principal", "role"),
}
"""What each kind of operation brings onto the log in its writer's own words."""

_MARKS = ("://", "private key", "putty", "accountkey=", "_authtoken", "xox", "xapp-", "aws", "sq0csp", "eyj")
_LONG = re.compile(r"[\w-]{24}|A(?:KC|P[\dA-F]|3T|BIA|CCA|KIA|SIA)[A-Za-z0-9]{8}")
# The one that costs: it is compiled when a text gets that far.
_MAY_BE = (
    r"://[^/\s]+@|PRIVATE KEY|PuTTY-User|AccountKey=|_authToken|T3BlbkFJ|pypi-AgE|sq0csp|xox|hooks\.slack|[rs]k_live_"
    r"|gh[a-z]_[A-Za-z0-9_]{36}|gl[a-z]{2,5}-[\w-]{20}|GR1348941|-us\d|SG\.[\w-]{22}|(?-i:eyJ)[\w=-]+\."
    r"|[\w-]{6}\.[\w-]{27}|\d{8,10}:[\w-]{35}|(?-i:AC|SK)[a-z0-9]{32}"
    r"|(?-i:AKC[A-Za-z0-9]{10}|AP[\dA-F][A-Za-z0-9]{8}|(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16})"
    r"|(?:key|pw|pwd|pass|password|token)[\"'\]:=> ]+[\w-]{24}|[\"'][0-9A-Za-z/+]{40}[\"']|[A-Za-z0-9]{48}"
    # What the table of newer kinds holds.
    r"|sk-(?:ant|proj|svcacct|admin|None)-|AIza|github_pat_|hf_[A-Za-z0-9]{34}|npm_[A-Za-z0-9]{36}|xapp-"
)
_KEYED = re.compile(r"key|pw|pass|token|secret|aws", re.IGNORECASE)
_LONG_VALUE = re.compile(r"[\w/+-]{24}")
_SHOWN = 5
_detectors: list[BasePlugin] = []


def may_be_credential(text: str) -> bool:
    """Tell whether a detector could find something in a text; True of much that is harmless."""
    low = text.lower()
    if not any(mark in low for mark in _MARKS) and _LONG.search(text) is None:
        return False
    return _second_look().search(text) is not None


@lru_cache(maxsize=1)
def _second_look() -> re.Pattern[str]:
    return re.compile(_MAY_BE, re.IGNORECASE)


def _may_be_named(name: str, text: str) -> bool:
    """Tell the same of a text that stands under a name: some detectors know a key by that."""
    return may_be_credential(text) or (_KEYED.search(name) is not None and _LONG_VALUE.search(text) is not None)


def check(value: Any) -> None:
    """Let a JSON value pass if nothing in it looks like a credential.

    Raises:
        CredentialFound: what was recognised, and where; never the credential itself.
    """
    found = [
        (what, where)
        for where, name, text in _texts(value, "value", "")
        if _may_be_named(name, text)
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


def check_words(kind: str, fields: Mapping[str, Any]) -> None:
    """Let an operation pass if nothing that its writer says in it looks like a credential.

    Raises:
        CredentialFound: what was recognised, and where.
    """
    found = [
        (what, where)
        for where, text in _words(kind, fields)
        if may_be_credential(text)
        for what, where in _in_text(text, "", where)
    ]
    if not found:
        return
    told = "; ".join(f"the {where} looks like a credential: {what}" for what, where in dict.fromkeys(found[:_SHOWN]))
    raise CredentialFound(
        f"{told}; nothing was written",
        next="say it without: everybody who has the log reads it, and nothing takes it back",
        recognised=[{"what": what, "where": where} for what, where in dict.fromkeys(found)],
    )


def _words(kind: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in WORDS.get(kind, ()):
        if name == "resource":
            yield from ((name, claim["path"]) for claim in fields["claims"] if claim["kind"] == "resource")
        elif name in ("principal", "role"):
            yield from ((name, said) for said in fields["policy"].get(f"{name}s", {}))
        elif fields.get(name):
            yield name, fields[name]


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
        for kind, pattern in NEWER:
            if re.search(pattern, line, re.ASCII) is not None:
                yield kind, place


def _loaded() -> list[BasePlugin]:
    """Return the detectors. They only look: nothing is verified over a network."""
    if not _detectors:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

        kinds = get_mapping_from_secret_type_to_class()
        _detectors.extend(make() for kind, make in kinds.items() if kind not in GUESSING)
    return _detectors
