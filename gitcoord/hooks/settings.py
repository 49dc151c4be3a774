"""What hooks do when something is wrong: by option, environment, the repository's own git config, or default."""

from __future__ import annotations

from gitcoord import config
from gitcoord.errors import BadRequest
from gitcoord.service.known_settings import HOOK_CHOICES
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = {
    "mode": "gitcoord.hookMode",
    "errors": "gitcoord.hookErrors",
    "own": "gitcoord.hookOwn",
    "proof": "gitcoord.hookProof",
}


class Settings(NamedTuple):
    """How strict hooks are.

    Attributes:
        mode: `warn` says it, `deny` stops it, `claim` takes a free path's lock by itself and stops the rest.
        errors: `open` lets pass with a visible warning what gitcoord could not judge, `closed` stops it.
        own: `warn` or `deny` where the session's own lock is lost, has run out or is only provisional.
        proof: what makes a commit that session's whose it says that it is, at a server's door and in a pipeline, where
            the session is a known principal's: `signed` wants a signature of that one's key, `claimed` nothing.
    """

    mode: str = "deny"
    errors: str = "open"
    own: str = "warn"
    proof: str = "signed"


def settle(flags: Mapping[str, str], repository: Mapping[str, str], default: Settings) -> Settings:
    """Return what holds.

    Args:
        flags: what the hook's command line says, by the settings' names.
        repository: the repository's git config.
        default: what holds where nobody says anything.

    Raises:
        BadRequest: somebody says what cannot be.
    """
    env = config.read_environment()
    said = {"mode": env.hook_mode, "errors": env.hook_errors, "own": env.hook_own}
    found: dict[str, str] = {}
    for name, key in _KEYS.items():
        value = flags.get(name) or said.get(name) or repository.get(key.lower()) or getattr(default, name)
        choices = HOOK_CHOICES[key]
        if value not in choices:
            raise BadRequest(f"{value!r} is no value of {key}", next=f"one of {', '.join(choices)}")
        found[name] = value
    return Settings(**found)
