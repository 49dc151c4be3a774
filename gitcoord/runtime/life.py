"""Proof of life: how a machine knows that the process behind a session is gone.

A session with a process holds an OS lock on a file of its own, `alive/<incarnation>`, for as long as the process lives.
The kernel frees the lock at the process's death, however it died, so a free lock is evidence. Evidence of death it is
only while everything else is as it was left, because a free lock is also what one finds on a copied directory, a
restored backup, a remounted share or somebody else's file. The sign-on therefore records a proof on the log (boot,
device, inode and a random nonce that only this file has), and `judge` answers

    dead     the very file of the proof, on the recorded machine, in the same boot, on a local file system, unlocked
    alive    the very file of the proof, locked
    unknown  anything else; then the lease decides

The file gets its name only when it is complete and locked, so nobody ever finds it without its lock in between. Whoever
judges takes the lock *shared*: any number of judges get it side by side, so none takes another for the holder, and the
holder's exclusive lock keeps them all out. Nobody but the holder ever takes it exclusively.

What this does not do: a stopped or hung process is alive. A session without a process (single commands) has no proof
and lives by its lease alone. Without `flock` nothing is proved.
"""

from __future__ import annotations

import os
import stat as stat_bits
import sys

from gitcoord import plainjson
from gitcoord.errors import SessionTaken
from gitcoord.runtime.files import (
    DRAFT,
    draft_path,
    id_path,
    is_id,
    names,
    parse_object,
    private_dir,
    refused,
    remove,
    write_over,
)
from gitcoord.runtime.oslock import HAS_FLOCK, Descriptor, OsLock
from gitcoord.values import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection

    from gitcoord.model_time import Stamp

Verdict = Literal["alive", "dead", "unknown"]

_ALIVE = "alive"
_SEEN = "seen"
_NOTE_BYTES = 160
_READS = 5
_GATE = "alive.lock"
_READ_LIMIT = 4096

# Named one by one: of a kind that is not listed, nobody here knows whether another machine can write it or whether its
# locks reach further than one mount.
_LOCAL_KINDS = frozenset(
    {"apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs", "nilfs2", "ntfs3", "overlay"}
    | {"ramfs", "reiserfs", "tmpfs", "ufs", "vfat", "xfs", "zfs"}
)


class Life:
    """A process's proof that a session lives; it holds until `end` or the process's death.

    Lives of one process do not know of each other. A forked child has none of its parent's.
    """

    __slots__ = ("_held", "_path", "incarnation", "proof")

    def __init__(self, incarnation: str, path: str, held: Descriptor | None, proof: dict[str, Any] | None) -> None:
        """Take what `begin` made."""
        self.incarnation = incarnation
        self.proof = proof
        self._path = path
        self._held = held

    @classmethod
    def begin(cls, runtime_dir: str, incarnation: str, stamp: Stamp) -> Life:
        """Begin to live as an incarnation, or go on living as one whose former process is gone.

        Args:
            runtime_dir: the runtime directory.
            incarnation: the session's sign-on id.
            stamp: now.

        Returns:
            A life whose `proof` belongs on the log; it is None where the file system proves nothing.

        Raises:
            SessionTaken: another process, or this one, lives as that incarnation.
            StorageFault: the runtime directory cannot be written.
            ValueError: the incarnation is not an id.
        """
        folder = private_dir(os.path.join(runtime_dir, _ALIVE))
        path = id_path(folder, incarnation)
        if not HAS_FLOCK:
            return cls(incarnation, path, None, None)
        # The gate keeps two that resume one incarnation from both finding it free.
        with OsLock(os.path.join(runtime_dir, _GATE)):
            if _is_locked(path):
                raise SessionTaken(
                    f"another process is at work as incarnation {incarnation}",
                    next="sign on under another session id, or end that process first",
                    incarnation=incarnation,
                )
            return cls(incarnation, path, *_publish(path, stamp))

    def end(self) -> None:
        """Stop living and remove the file; harmless when done twice, and in a forked child."""
        held, self._held = self._held, None
        if held is None or not held.is_open:
            return
        # Removed while still locked: in between, a judge would find the unlocked file of a dead process.
        if held.is_at(self._path):
            remove(self._path)
        held.close()

    @property
    def holds(self) -> bool:
        """Whether this process still holds the lock and the file is still in its place."""
        return self._held is not None and self._held.is_open and self._held.is_at(self._path)


def _publish(path: str, stamp: Stamp) -> tuple[Descriptor | None, dict[str, Any] | None]:
    """Put a new file, complete and locked, at `path`; return nothing where its lock would prove nothing."""
    nonce = os.urandom(16).hex()
    draft = draft_path(path)
    kept = False
    try:
        held = Descriptor(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except OSError as error:
        raise refused(path, error) from error
    try:
        os.write(held.fd, plainjson.encode({"nonce": nonce, "pid": os.getpid()}, letters=False).encode() + b"\n")
        if _excludes(held, draft) and is_local(held.fd):
            os.replace(draft, path)
            kept = True
            facts = os.fstat(held.fd)
            return held, {"boot": stamp.boot, "device": facts.st_dev, "inode": facts.st_ino, "nonce": nonce}
        # A file left by a former process would be judged by a proof that is no longer ours.
        remove(path)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        if not kept:
            remove(draft)
            held.close()
    return None, None


def _excludes(held: Descriptor, path: str) -> bool:
    """Take the lock and see whether it keeps a second opening out, which some file systems only pretend."""
    second = Descriptor(path, os.O_RDONLY)
    try:
        return held.try_lock() and not second.try_lock(shared=True)
    except OSError:  # no locks here
        return False
    finally:
        second.close()


def _is_locked(path: str) -> bool:
    """Say whether somebody lives by the file at `path`. Where that cannot be told, nobody proves to."""
    try:
        found = Descriptor(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not found.try_lock(shared=True)
    except OSError:
        return False
    finally:
        found.close()


def judge(
    runtime_dir: str, incarnation: str, proof: dict[str, Any] | None, recorded_machine: str, here: Stamp
) -> Verdict:
    """Say whether the process behind a session is gone, without waiting and without disturbing anyone.

    Args:
        runtime_dir: the runtime directory.
        incarnation: the session's sign-on id.
        proof: what the session's record on the log says of its life; anything in it may be forged or damaged.
        recorded_machine: the machine that the session's record names.
        here: now, on this machine.

    Returns:
        "dead" only on proof, as the module says. The answer is true of one moment; a process that resumes the session
        afterwards settles that on the log.
    """
    if proof is None or recorded_machine != here.machine or proof.get("boot") != here.boot or not HAS_FLOCK:
        return "unknown"
    if not is_id(incarnation):
        return "unknown"
    path = os.path.join(runtime_dir, _ALIVE, incarnation)
    try:
        found = Descriptor(path, os.O_RDONLY)
    except OSError:
        return "unknown"
    try:
        if not _is_the_one(found, proof) or not is_local(found.fd):
            return "unknown"
        if not found.try_lock(shared=True):
            return "alive"
        return "dead" if found.is_at(path) else "unknown"
    except OSError:
        return "unknown"
    finally:
        found.close()


def _is_the_one(found: Descriptor, proof: dict[str, Any]) -> bool:
    """Say whether an open file is the one that a proof was made of."""
    facts = os.fstat(found.fd)
    if not stat_bits.S_ISREG(facts.st_mode):
        return False
    if (facts.st_dev, facts.st_ino) != (proof.get("device"), proof.get("inode")):
        return False
    nonce = parse_object(found.read(_READ_LIMIT)).get("nonce")
    return isinstance(nonce, str) and nonce != "" and nonce == proof.get("nonce")


def is_local(fd: int) -> bool:
    """Say whether an open file lies on a file system that only this machine writes, as far as is known.

    Args:
        fd: the open file.
    """
    if sys.platform == "darwin":
        from gitcoord.runtime.darwin import local_type

        return local_type(fd) in _LOCAL_KINDS
    try:
        # The mount's id, not the device number: that of a btrfs subvolume is in no list of mounts.
        with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
            info = file.read()
        with open("/proc/self/mountinfo", "rb") as file:
            mounts = file.read()
    except OSError:
        return False
    return mount_kind(info, mounts) in _LOCAL_KINDS


def mount_kind(fdinfo: bytes, mountinfo: bytes) -> str | None:
    """Return the file system type of an open file, or None where the kernel's texts do not say.

    Args:
        fdinfo: the kernel's account of the open file, with a line `mnt_id: N`.
        mountinfo: its list of mounts: N first, the type after a field `-`.
    """
    for line in fdinfo.splitlines():
        if line.startswith(b"mnt_id:"):
            wanted = line[7:].strip()
            break
    else:
        return None
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(b" - ")
        if dash and before.split(b" ", 1)[0] == wanted:
            return after.split(b" ", 1)[0].decode("ascii", "replace")
    return None


def mark_seen(runtime_dir: str, incarnation: str, pid: int, stamp: Stamp) -> None:
    """Note that a process has just acted as an incarnation; the latest note replaces the earlier.

    Args:
        runtime_dir: the runtime directory.
        incarnation: the session's sign-on id.
        pid: the process.
        stamp: now.

    Raises:
        StorageFault: the runtime directory cannot be written.
        ValueError: the incarnation is not an id.
    """
    folder = private_dir(os.path.join(runtime_dir, _SEEN))
    path = id_path(folder, incarnation)
    note = {"boot": stamp.boot, "pid": pid, "uptime_ms": stamp.uptime_ms}
    write_over(path, plainjson.encode(note, letters=False).encode().ljust(_NOTE_BYTES))


def seen_lately(
    runtime_dir: str, incarnation: str, here: Stamp, within_s: float, ignoring_pid: int | None = None
) -> bool:
    """Say whether a process acted as an incarnation a short while ago, in this boot.

    Args:
        runtime_dir: the runtime directory.
        incarnation: the session's sign-on id.
        here: now, on this machine.
        within_s: how long ago at most.
        ignoring_pid: a process whose own note does not count.
    """
    if not is_id(incarnation):
        return False
    try:
        file = Descriptor(os.path.join(runtime_dir, _SEEN, incarnation), os.O_RDONLY)
    except OSError:
        return False
    try:
        note: dict[str, Any] = {}
        for _ in range(_READS):  # it is written over where it lies: one look may meet half of that
            note = note or parse_object(file.read(_READ_LIMIT))
    except OSError:
        return False
    finally:
        file.close()
    pid, uptime_ms = note.get("pid"), note.get("uptime_ms")
    if note.get("boot") != here.boot or type(uptime_ms) is not int or (pid == ignoring_pid and pid is not None):
        return False
    # A note from the future is no note: this boot's uptime only grows.
    return 0 <= here.uptime_ms - uptime_ms <= within_s * 1000


def sweep(runtime_dir: str, keep: Collection[str]) -> list[str]:
    """Remove what ended incarnations left behind, and return their ids.

    A proof whose lock is held stays, whatever `keep` says: its session may be just about to be recorded.

    Args:
        runtime_dir: the runtime directory.
        keep: the incarnations that are on the log.

    Raises:
        StorageFault: the runtime directory cannot be written.
    """
    removed: set[str] = set()
    if not os.path.isdir(runtime_dir):
        return []
    with OsLock(os.path.join(runtime_dir, _GATE)):  # `begin` is then not half-way through
        alive = names(os.path.join(runtime_dir, _ALIVE))
        living = {name for name in alive if _is_locked(os.path.join(runtime_dir, _ALIVE, name))}
        for folder, found in ((_ALIVE, alive), (_SEEN, names(os.path.join(runtime_dir, _SEEN)))):
            over = [name for name in found if name not in keep and name not in living]
            removed.update(name for name in over if remove(os.path.join(runtime_dir, folder, name)))
    return sorted(name for name in removed if not name.startswith(DRAFT))
