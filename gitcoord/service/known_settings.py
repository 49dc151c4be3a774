"""Which settings of the repository's own git configuration there are, what each may say, and what was not understood.

Whoever reads a setting takes the default where it cannot be understood, or, in a hook, refuses to judge by it; here it
is said which one that is.
"""

from __future__ import annotations

from gitcoord import config
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOOK_CHOICES = {
    "gitcoord.hookMode": ("warn", "deny", "claim"),
    "gitcoord.hookErrors": ("open", "closed"),
    "gitcoord.hookOwn": ("warn", "deny"),
    "gitcoord.hookProof": ("signed", "claimed"),
}
"""What the settings of hooks may say, as they are written."""

_HOOK_VARIABLES = {
    "GITCOORD_HOOK_MODE": "gitcoord.hookMode",
    "GITCOORD_HOOK_ERRORS": "gitcoord.hookErrors",
    "GITCOORD_HOOK_OWN": "gitcoord.hookOwn",
}
_SWITCHES = ("gitcoord.fsync", "gitcoord.offline", "gitcoord.restore")
_SWITCH_VARIABLES = ("GITCOORD_FSYNC", "GITCOORD_OFFLINE")
_TIMES = ("gitcoord.timeout", "gitcoord.interval")
_LONGEST_S = 86400
_SIGN = ("gpg", "ssh")
_FREE = ("gitcoord.root", "gitcoord.signingKey", "gitcoord.mirrors")
_KNOWN = {name.lower(): name for name in (*_SWITCHES, *_TIMES, *HOOK_CHOICES, "gitcoord.sign", *_FREE)}


class Unclear(NamedTuple):
    """A setting that was not understood.

    Attributes:
        message: which, what it says, what it may say, and what holds instead.
        unguarded: hooks cannot judge because of it.
    """

    message: str
    unguarded: bool = False


def seconds(text: str) -> float | None:
    """Return a time in seconds as a setting gives it; None where that is no time between nothing and a day."""
    try:
        said = float(text)
    except ValueError:
        return None
    return said if 0 < said < _LONGEST_S else None


def unclear(own: Mapping[str, str], env: Mapping[str, str]) -> Iterator[Unclear]:
    """Yield the settings that are not understood; what is empty says nothing.

    Args:
        own: the repository's own git configuration, its keys in lower case.
        env: the process environment.
    """
    for name in (*_SWITCH_VARIABLES, *_SWITCHES):
        text = _said(name, own, env)
        if text and config.parse_switch(text) is None:
            yield Unclear(f"{name}={text!r} is neither true nor false; the default holds")
    for name in _TIMES:
        text = _said(name, own, env)
        if text and seconds(text) is None:
            yield Unclear(f"{name}={text!r} is no number of seconds above 0 and below {_LONGEST_S}; the default holds")
    text = _said("gitcoord.sign", own, env)
    if text and text not in _SIGN:
        yield Unclear(f"gitcoord.sign={text!r} is none of {', '.join(_SIGN)}; nothing can be signed by it")
    for name, key in (*_HOOK_VARIABLES.items(), *((key, key) for key in HOOK_CHOICES)):
        text, choices = _said(name, own, env), HOOK_CHOICES[key]
        if text and text not in choices:
            message = f"{name}={text!r} is none of {', '.join(choices)}; hooks do not guard by it"
            yield Unclear(message, unguarded=True)
    for key in own:
        if key.startswith("gitcoord.") and key not in _KNOWN:
            yield Unclear(f"{key} is no setting of gitcoord's; there are {', '.join(sorted(_KNOWN.values()))}")


def _said(name: str, own: Mapping[str, str], env: Mapping[str, str]) -> str | None:
    return own.get(name.lower()) if "." in name else env.get(name)
