"""Every way in which gitcoord says no, told apart by what the caller can do about it.

Four families: a healthy rule refused (`Refused`, exit 1), the request itself is malformed (`BadRequest`, exit 2), what
was read is wrong (`IntegrityFault`, exit 3), a remote was not reached or did not confirm (`RemoteFault`, exit 4). The
rest (`CoordError` itself and its other subclasses) exits with 5. A lost compare-and-swap is no error: the store
answers `False` and the coordinator decides again.
"""

from __future__ import annotations

from gitcoord.values import Any


class CoordError(Exception):
    """Something that a person or an agent has to be told, with the way out.

    Args:
        message: what happened, naming the input.
        next: the next command or step to try; may be empty.
        facts: further JSON-able values that belong into the answer, such as `conflicts`.
    """

    code = "failed"
    exit_code = 5

    def __init__(self, message: str, *, next: str = "", **facts: Any) -> None:  # noqa: A002 - the public field's name
        """Keep the message, the way out and the facts."""
        super().__init__(message)
        self.message = message
        self.next = next
        self.facts = facts

    def to_dict(self) -> dict[str, str]:
        """Return the `error` member of an answer: `code`, `message` and `next`."""
        return {"code": self.code, "message": self.message, "next": self.next}


class Refused(CoordError):
    """A rule said no; nothing was changed."""

    code = "refused"
    exit_code = 1


class LockHeld(Refused):
    """Others hold what was asked for; `conflicts` lists their locks."""

    code = "lock_held"


class WaitTimeout(LockHeld):
    """The waiting limit passed before the lock was free."""

    code = "wait_timeout"


class Deadlock(LockHeld):
    """Waiting would never end: the holders wait, in a ring, for this session."""

    code = "deadlock"


class NotHolder(Refused):
    """The lock belongs to another session."""

    code = "not_holder"


class SessionTaken(Refused):
    """The wished session id is in use."""

    code = "session_taken"


class UnknownSession(Refused):
    """No such session is signed on."""

    code = "unknown_session"


class SessionEnded(Refused):
    """The session that this caller was is over: signed off, reaped or taken over."""

    code = "session_ended"


class SessionRequired(Refused):
    """The connection keeps no state, so the call has to name its session."""

    code = "session_required"


class RevisionMismatch(Refused):
    """A compare-and-set found another revision than expected."""

    code = "revision_mismatch"


class NotFound(Refused):
    """What was asked for is not there."""

    code = "not_found"


class LimitReached(Refused):
    """The log's policy bounds what was asked for."""

    code = "limit_reached"


class StaleToken(Refused):
    """What was written under a lock was overtaken by a later grant to somebody else."""

    code = "stale_token"


class NotPermitted(Refused):
    """The policy of the log does not let the signer do this."""

    code = "not_permitted"


class PolicyOutdated(Refused):
    """A policy that does not follow the one that holds: versions only grow."""

    code = "policy_outdated"


class NoKey(Refused):
    """There is no key to sign with, or it does not answer; nothing was written."""

    code = "no_key"


class PartlyVerified(Refused):
    """What is there is good, but part of the history is not there."""

    code = "partly_verified"


class CredentialFound(Refused):
    """A value looks like a credential, and shared state is read by many."""

    code = "credential_found"


class BadRequest(CoordError):
    """The request is malformed; no state would make it acceptable."""

    code = "bad_request"
    exit_code = 2


class InvalidPath(BadRequest):
    """A path that cannot be locked: outside the repository, empty, or with NUL."""

    code = "invalid_path"


class InvalidName(BadRequest):
    """A session id, scope or key that gitcoord does not take."""

    code = "invalid_name"


class InvalidValue(BadRequest):
    """A value that is not JSON, or cannot come back exactly as it was."""

    code = "invalid_value"


class TooLarge(BadRequest):
    """A text or value above its limit; the message states the limit."""

    code = "too_large"


class IntegrityFault(CoordError):
    """What was read is damaged or not what it should be; nothing is granted because of it."""

    code = "integrity"
    exit_code = 3


class ObjectMissing(IntegrityFault):
    """An object that the log names is nowhere to be found."""

    code = "object_missing"


class ObjectDamaged(IntegrityFault):
    """An object's bytes are truncated, flipped or of another kind than the log says."""

    code = "object_damaged"


class UnreadableRecord(IntegrityFault):
    """A record of the state is not what its place in the tree says."""

    code = "unreadable_record"


class UnsupportedFormat(IntegrityFault):
    """The log was written by a later version of gitcoord."""

    code = "unsupported_format"


class RemoteDamaged(IntegrityFault):
    """The log on the remote is not what it was, and it is not for this program to put that right by itself."""

    code = "remote_damaged"


class UnrelatedLogs(IntegrityFault):
    """The remote holds the log of another repository id than this clone's: the two began apart."""

    code = "unrelated_logs"


class BadCommit(IntegrityFault):
    """A commit of the log does not obey the rules; `commit` and `rule` say which and what."""

    code = "bad_commit"


class MergeUnsigned(IntegrityFault):
    """A merge is needed that this clone may not sign: it would be bad for everybody else."""

    code = "merge_unsigned"


class RemoteFault(CoordError):
    """A remote was not reached, did not confirm, or its answer was lost."""

    code = "remote"
    exit_code = 4


class RemoteUnreachable(RemoteFault):
    """A remote was not reached; it is certain that nothing was sent to it."""

    code = "remote_unreachable"


class NoSuchRemote(RemoteUnreachable):
    """The repository has no remote of this name."""

    code = "no_such_remote"


class NotJoined(RemoteFault):
    """The log is shared through a remote that this clone has too, and the clone does not share yet."""

    code = "not_joined"


class SeveralPushUrls(RemoteFault):
    """A remote to which git would push several times: no single one of them could confirm anything."""

    code = "several_push_urls"


class RemoteRejected(RemoteFault):
    """A remote was reached and does not take what was pushed: its hook, its settings or its rights say no."""

    code = "remote_rejected"


class RemoteUnknown(RemoteFault):
    """The answer of a remote was lost: what was sent may stand there, now or a little later, or never."""

    code = "remote_unknown"


class NotARepository(CoordError):
    """No git repository here, or one that gitcoord cannot work in."""

    code = "not_a_repository"


class UnsupportedRepository(NotARepository):
    """A git repository of a kind that gitcoord refuses, with the reason."""

    code = "unsupported_repository"


class UnsafeRepository(UnsupportedRepository):
    """A git repository that belongs to somebody else, and that git's `safe.directory` does not name."""

    code = "unsafe_repository"


class NotInitialised(CoordError):
    """The repository has no log yet."""

    code = "not_initialised"


class NotShared(CoordError):
    """This clone shares its log with nobody."""

    code = "not_shared"


class NotInOrder(CoordError):
    """`doctor` found errors that are not put right."""

    code = "not_in_order"


class Contention(CoordError):
    """The ref could not be moved: another program holds its lock file, or a crash left it."""

    code = "contention"


class ClockFault(CoordError):
    """The machine's clock says what cannot be recorded; nothing was done."""

    code = "clock"


class StorageFault(CoordError):
    """The file system refused: full, read-only, or without the rights."""

    code = "storage"


def _family(base: type[CoordError]) -> dict[str, int]:
    found = {base.code: base.exit_code}
    for child in base.__subclasses__():
        found.update(_family(child))
    return found


def exit_code(result: dict[str, Any]) -> int:
    """Return the process exit code that belongs to an answer: 0 where it carries no `error`.

    Args:
        result: any answer of the service.
    """
    error = result.get("error")
    if error is None:
        return 0
    return _family(CoordError).get(error["code"], CoordError.exit_code)
