"""Who notes what was expected and what came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_SHOWN = 170
_ASKED = 130


class Recorder:
    """Says the acts as they happen, and counts.

    Attributes:
        acts: each act so far, with its expectations.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """Start with no acts.

        Args:
            say: gets each line.
        """
        self.acts: list[dict[str, Any]] = []
        self._say = say

    def act(self, title: str) -> None:
        """Begin an act."""
        self.acts.append({"act": title, "expectations": []})
        self._say("")
        self._say(f"== {len(self.acts)}. {title}")

    def took(self, seconds: float) -> None:
        """Tell how long the act took."""
        self.acts[-1]["seconds"] = round(seconds, 2)
        self._say(f"  ({seconds:.1f} s)")

    def asked(self, line: str) -> None:
        """Tell what somebody does."""
        self._say(f"  > {_cut(line, _ASKED)}")

    def show(self, text: str) -> None:
        """Tell what was printed."""
        for line in text.rstrip("\n").split("\n"):
            self._say(f"  | {line}".rstrip())

    def expect(self, wanted: str, came: object, *, ok: bool) -> bool:
        """Note what was expected and what came, and return whether they agree.

        Args:
            wanted: the expectation, in words.
            came: what came instead or as expected; shown in short.
            ok: whether it is that.
        """
        told = _cut(came if isinstance(came, str) else describe(came), _SHOWN)
        self.acts[-1]["expectations"].append({"expected": wanted, "came": told, "ok": ok})
        self._say(f"  {'ok  ' if ok else 'FAIL'} expected: {wanted}")
        self._say(f"       came:     {told}")
        return ok

    def same(self, wanted: str, came: object, value: object) -> bool:
        """Expect a value, and no other."""
        ok = came == value and type(came) is type(value)
        return self.expect(wanted, came if ok else f"{describe(came)}, not {describe(value)}", ok=ok)

    def granted(self, wanted: str, answer: dict[str, Any]) -> bool:
        """Expect a lock to be granted."""
        return self.expect(wanted, answer, ok=answer.get("granted") is True and bool(answer.get("locks")))

    def refused(self, wanted: str, answer: dict[str, Any], code: str) -> bool:
        """Expect a refusal with a code, a message and the way out."""
        error: dict[str, Any] = answer.get("error") or {}
        verdicts = [answer[name] for name in ("ok", "granted", "found", "deleted") if name in answer]
        ok = error.get("code") == code and bool(error.get("message")) and bool(error.get("next")) and not any(verdicts)
        return self.expect(f"{wanted} ({code})", answer, ok=ok)

    def counts(self) -> tuple[int, list[dict[str, Any]]]:
        """Return how many expectations there were, and those that were not met."""
        everything = [e | {"act": act["act"]} for act in self.acts for e in act["expectations"]]
        return len(everything), [e for e in everything if not e["ok"]]


def describe(value: object) -> str:
    """Return an answer, or any other value, in a few words."""
    if isinstance(value, dict):
        answer: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType] - any JSON object
        error: dict[str, Any] | None = answer.get("error")
        if error:
            return f"{error.get('code')}: {error.get('message')}"
        if answer.get("granted"):
            paths = ", ".join(str(lock["path"]) for lock in answer["locks"])
            return f"granted to {answer['session']}: {paths}; token {answer['token']}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)


def _cut(text: str, limit: int) -> str:
    line = text.replace("\n", "\\n")
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line[:limit])
    return shown + ("..." if len(line) > limit else "")
