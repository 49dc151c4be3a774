"""What an operation of others has to look like before it is replayed.

A rule reads the fields of its operation as they are: whoever decided it here had them made by this program. What comes
from another clone was made by whatever wrote there, so its fields are looked at first. Whether it may take effect is
the rules' business; here it is only made sure that they can ask.
"""

from __future__ import annotations

from gitcoord import names
from gitcoord.errors import UnreadableRecord
from gitcoord.model import Operation
from gitcoord.values import Any, cast

Shape = dict[str, type | tuple[type, ...]]

_NONE = type(None)
_TEXT = (str, _NONE)
_ANY = object
_CLAIM: Shape = {"path": str, "key": str, "kind": str}
_NAMED: Shape = {**_CLAIM, "session": str, "token": int}
_OTHER: Shape = {"session": str, "incarnation": str}
_EVIDENCE: Shape = {"kind": str}
_TAKEOVER: Shape = {"incarnation": str, "evidence": dict}
_TARGET: Shape = {"target": str, "target_incarnation": str}
_PROCESS: Shape = {"process": bool, "proof": (dict, _NONE), "lease_s": _ANY, "machine_name": str}
_SHAPES: dict[str, Shape] = {
    "log.share": {"remote": str, "ref": str, "url": str},
    "session.start": {**_PROCESS, "agent": _ANY, "intent": _ANY, "takeover": (dict, _NONE)},
    "session.end": {},
    "session.renew": {"lease_s": _ANY, "intent": _ANY, "others": list},
    "session.resume": _PROCESS,
    "session.reap": {**_TARGET, "evidence": dict},
    "session.challenge": _TARGET,
    "lock.acquire": {"claims": list, "mode": str, "reason": _ANY, "ttl_s": _ANY},
    "lock.release": {"claims": list},
    "lock.break": {"locks": list, "reason": _ANY},
    "lock.expire": {"locks": list},
    "data.store": {"scope": str, "key": str, "value": _ANY, "expect_revision": (int, _NONE), "replaces": _TEXT},
    "data.delete": {"scope": str, "key": str, "expect_revision": (int, _NONE)},
    "data.delete_scope": {"scope": str},
}
# What is about the log itself is done in a person's name, not in a session's.
_BY_NOBODY = frozenset({"log.share"})
_MAY_HAVE: Shape = {"clone": str, "replaces": _TEXT, "renewal": str, "keeps_notices": bool}


def check(operation: Operation) -> None:
    """Let an operation pass if rules can read it. One of a kind that is not known passes: the rules say so better.

    Raises:
        UnreadableRecord: a field is missing or is not of its kind.
    """
    shape = _SHAPES.get(operation["type"])
    if shape is None:
        return
    fields = operation
    sound = fits(fields, shape)
    if operation["type"] not in _BY_NOBODY:
        sound = sound and fits(fields, {"session": str, "incarnation": str}) and names.is_session_id(fields["session"])
    sound = sound and all(fits(fields, {name: kind}) for name, kind in _MAY_HAVE.items() if name in fields)
    sound = sound and all(fits(one, _CLAIM) for one in fields.get("claims", []))
    sound = sound and all(fits(one, _NAMED) for one in fields.get("locks", []))
    sound = sound and all(fits(one, _OTHER) for one in fields.get("others", []))
    sound = sound and (fields.get("proof") is None or fits(fields["proof"], {"boot": str}))
    sound = sound and ("evidence" not in fields or fits(fields["evidence"], _EVIDENCE))
    takeover = fields.get("takeover")
    sound = sound and (takeover is None or (fits(takeover, _TAKEOVER) and fits(takeover["evidence"], _EVIDENCE)))
    if not sound:
        raise UnreadableRecord(
            f"operation {operation['id']} is not as a {operation['type']} has to be", next="gitcoord doctor"
        )


def fits(record: Any, shape: Shape) -> bool:
    """Tell whether a record is an object that has every field of a shape, each of its kind."""
    if type(record) is not dict:
        return False
    fields = cast("dict[str, Any]", record)
    return all(name in fields and isinstance(fields[name], kind) for name, kind in shape.items())
