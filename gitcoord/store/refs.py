"""The log's ref: read in microseconds, moved by compare-and-swap, safe beside git itself.

The swap is git's own protocol: `main.lock` is taken exclusively, the value is read again and compared, the reflog is
written, the lock file is renamed over the ref. So `git fetch`, `git update-ref`, `git pack-refs` may run at any time.

What git lacks is a lock that a crash cannot leave behind. The new value is first written to a file of gitcoord's own,
and the lock is a hard link to it, made in one step: a `main.lock` that is the same file as `gitcoord/swap` was left by
a gitcoord that died, because all callers of `swap` hold gitcoord's own lock (an operating system's lock, which dies
with its holder). Anybody else's `main.lock` is waited for and never removed.

Making a file and letting one go is most of what a swap costs, so the file of the value before is kept as
`gitcoord/spare` and becomes the next `gitcoord/swap`. It is written over only while no other name leads to it. Who
opened the ref before and reads it after that would read a value to come: reading looks whether the ref is still the
file that was read.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Sequence

from gitcoord.errors import Contention, CoordError, IntegrityFault
from gitcoord.store.disk import (
    SYNCS_AT_WRITE,
    read_whole,
    remove,
    storage_fault,
    sync_directory,
    write_new,
    write_over,
)
from gitcoord.store.reflogs import NOT_MADE, append_line, make_reflog, take_back_last
from gitcoord.values import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gitcoord.store.repository import Repository

REF = "refs/gitcoord/main"
ALIAS = "refs/coord"
AliasState = Literal["ok", "missing", "flattened", "elsewhere"]

# How long a foreign lock file is waited for: git holds one for milliseconds.
PATIENCE_S = 2.0
_FIRST_WAIT_S = 0.001
_LONGEST_WAIT_S = 0.1
# How often a ref is read that is gone each time that one looks whether it is still the same file.
_LOOKS = 20
_REF_BYTES = 4096
_BINARY: int = getattr(os, "O_BINARY", 0)
# What the systems say that have no hard links, or none from one of the two directories to the other.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK})


class LogRef:
    """The ref that names the log's tip, and its alias.

    Args:
        repo: the repository.
        durable: whether a swap has reached the disk when it returns.
        swap: the name of the runtime file that holds the next value while the ref is moved.

    Attributes:
        path: the ref's loose file.
        reflog: its reflog's file.
    """

    def __init__(self, repo: Repository, *, durable: bool = True, swap: str = "swap") -> None:
        """Remember where the files are; touches none."""
        self.path = f"{repo.common_dir}/{REF}"
        self._alias = f"{repo.common_dir}/{ALIAS}"
        self.reflog = f"{repo.common_dir}/logs/{REF}"
        self._packed = f"{repo.common_dir}/packed-refs"
        self._repo = repo
        self._swap = f"{repo.runtime}/{swap}"
        # Only who holds the publish lock may use it.
        self._spare = f"{repo.runtime}/spare" if swap == "swap" else ""
        self._oid_size = 32 if repo.object_format == "sha256" else 20
        self._durable = durable

    def read(self) -> bytes | None:
        """Return the tip's object name, None where the ref does not exist.

        Does not look whether the object is there.

        Raises:
            IntegrityFault: the file holds something else.
            StorageFault: it could not be read.
        """
        loose = _read_in_place(self.path)
        if loose is None:
            packed = self._read_packed(REF)
            if packed is not None:
                return self._parse(packed, self._packed)
            # It may have become loose between the two looks.
            loose = _read_in_place(self.path)
            if loose is None:
                return None
        return self._parse(loose, self.path)

    def swap(
        self,
        old: bytes | None,
        new: bytes,
        *,
        who: str,
        at_s: int,
        message: str,
        alone: bool = False,
        spoilt: bool = False,
        first: Callable[[Sequence[str]], object] | None = None,
    ) -> bool:
        """Move the ref from `old` to `new` and say whether it was at `old`; changes nothing if it was not.

        The caller holds gitcoord's publish lock. A crash leaves the ref at `old` or at `new`, in the former case
        perhaps with a line too many in the reflog.

        Args:
            old: the expected value, None for a ref that must not exist.
            new: the new value; its objects are on the disk already, or are once `first` has returned.
            who: `Name <mail>` for the reflog.
            at_s: the time for the reflog, in seconds since the epoch.
            message: the reflog's text.
            alone: the caller could not get the publish lock; what its holder left half-way is not touched.
            spoilt: nothing of the old value is to be kept, not in the reflog either; with `old` None: a ref that holds
                no object name counts as one that does not exist.
            first: brings to the disk what the new value names, and with it the files that it is given; nobody sees the
                new value before it has returned.

        Raises:
            Contention: another program keeps the ref's lock file.
            IntegrityFault: the ref holds no object name.
            StorageFault: the system could not; if it failed to sync the directory, the ref may have moved all the same.
        """
        if alone:
            name = f"swap-{os.getpid()}-{os.urandom(4).hex()}"
            beside = LogRef(self._repo, durable=self._durable, swap=name)
            return beside.swap(old, new, who=who, at_s=at_s, message=message, spoilt=spoilt, first=first)
        content = b"%s\n" % new.hex().encode("ascii")
        try:
            self._prepare(content, sync=first is None or SYNCS_AT_WRITE)
            if first is not None:
                first([self._swap] if self._durable else [])
            self._take(self.path, content)
            if self._held(spoilt=spoilt) != old:
                return False
            before = bytes(self._oid_size) if old is None or spoilt else old
            append_line(self.reflog, before, new, who=who, at_s=at_s, message=message)
            try:
                self._publish(self.path)
            except CoordError:
                if any(before) and self._held(spoilt=spoilt) == old:
                    append_line(self.reflog, new, before, who=who, at_s=at_s, message=NOT_MADE)
                raise
            remove(self._swap)
            return self.read() == new
        finally:
            self._clear()

    def _held(self, *, spoilt: bool) -> bytes | None:
        try:
            return self.read()
        except IntegrityFault:
            if spoilt:
                return None
            raise

    def alias_state(self) -> AliasState:
        """Say what `refs/coord` is: `flattened` if it is a plain ref, as a mirror clone makes it."""
        content = _read_if_there(self._alias)
        if content is None:
            return "missing" if self._read_packed(ALIAS) is None else "flattened"
        text = content.strip()
        if text.startswith(b"ref:"):
            return "ok" if text[4:].strip() == REF.encode("ascii") else "elsewhere"
        return "flattened"

    def make_alias(self) -> None:
        """Make `refs/coord` the symbolic ref to the log, whatever it was; does nothing if it is one.

        The caller holds gitcoord's publish lock.

        Raises:
            Contention: another program keeps the alias's lock file.
            StorageFault: the system could not.
        """
        if self.alias_state() == "ok":
            return
        content = b"ref: %s\n" % REF.encode("ascii")
        try:
            self._prepare(content, sync=True)
            self._take(self._alias, content)
            self._publish(self._alias)
        finally:
            self._clear()

    def leftover_lock(self, now_s: float) -> tuple[str, int] | None:
        """Return the path and the age in seconds of a lock file on the ref or its alias, None where there is none.

        It may belong to a program that is at work: only its age tells.

        Args:
            now_s: the time, in seconds since the epoch.
        """
        for lock in self._locks():
            age_s = _age_s(lock, now_s)
            if age_s is not None:
                return lock, age_s
        return None

    def drop_leftover_locks(self, now_s: float, *, older_than_s: int) -> list[str]:
        """Remove the lock files that are older than that, and return their paths.

        Removing the lock of a program that is at work would let two write at once: ask only for ages that none has.

        Args:
            now_s: the time, in seconds since the epoch.
            older_than_s: the least age of what goes.

        Raises:
            StorageFault: one is there and stays.
        """
        ages = {lock: _age_s(lock, now_s) for lock in self._locks()}
        return [lock for lock, age_s in ages.items() if age_s is not None and age_s > older_than_s and remove(lock)]

    def is_locked(self) -> bool:
        """Tell whether somebody has the ref's lock file, or left it behind."""
        return os.path.lexists(f"{self.path}.lock")

    def has_log(self) -> bool:
        """Tell whether the ref has a reflog."""
        return os.path.isfile(self.reflog)

    def make_log(self) -> None:
        """Give the ref a reflog if it has none; git itself makes none for refs of this kind.

        Raises:
            StorageFault: the system could not.
        """
        make_reflog(self.reflog)

    def _locks(self) -> tuple[str, str]:
        return f"{self.path}.lock", f"{self._alias}.lock"

    def _read_packed(self, name: str) -> bytes | None:
        listing = _read_if_there(self._packed)
        if listing is None:
            return None
        end = b" %s\n" % name.encode("ascii")
        at = listing.find(end)
        if at < 0:
            return None
        return listing[listing.rfind(b"\n", 0, at) + 1 : at]

    def _parse(self, text: bytes, path: str) -> bytes:
        digits = text.rstrip()
        try:
            oid = bytes.fromhex(digits.decode("ascii"))
        except ValueError:
            oid = b""
        # fromhex passes over blanks: the count of digits has to fit too.
        if len(oid) != self._oid_size or len(digits) != 2 * self._oid_size or not any(oid):
            raise IntegrityFault(
                f"{path} does not name a commit for {REF}: {digits[:80].decode('ascii', 'backslashreplace')!r}",
                next="gitcoord doctor",
                path=path,
            )
        return oid

    def _prepare(self, content: bytes, *, sync: bool) -> None:
        """Write what a ref is to hold; without `sync` somebody else brings it to the disk, before it is taken."""
        self._clear()
        try:
            if not self._reuse_spare(content, sync=sync and self._durable):
                write_new(self._swap, content, mode=0o666, sync=sync and self._durable, reserve=not self._durable)
        except OSError as error:
            raise storage_fault(error, self._swap) from error

    def _take(self, target: str, content: bytes) -> None:
        """Take a ref's lock file, which then holds the prepared content; `_swap` proves that it is ours."""
        try:
            self._poll_lock(f"{target}.lock", content)
        except OSError as error:
            raise storage_fault(error, f"{target}.lock") from error

    def _reuse_spare(self, content: bytes, *, sync: bool) -> bool:
        """Let the file of an older value hold the content as `_swap`, if there is one that is nobody else's."""
        if not self._spare:
            return False
        try:
            os.replace(self._spare, self._swap)
            found = os.lstat(self._swap)
            if found.st_nlink == 1 and found.st_size == len(content) and stat.S_ISREG(found.st_mode):
                write_over(self._swap, content, sync=sync)
                return True
            os.unlink(self._swap)
        except FileNotFoundError:
            pass
        except OSError:
            remove(self._swap)
        return False

    def _keep_spare(self, target: str) -> None:
        """Give the file that is about to lose the ref's name another one."""
        if self._spare and target == self.path:
            try:
                os.link(target, self._spare)
            except OSError:
                remove(self._spare)  # a ref that is packed, a file system without links: then a new file is made

    def _poll_lock(self, lock: str, content: bytes) -> None:
        """Try to take a lock file until it is ours or `PATIENCE_S` have passed."""
        wait_s = _FIRST_WAIT_S
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._link(lock, content)
            except FileNotFoundError:
                if not os.path.lexists(self._swap):
                    raise
                # `git pack-refs` removes a directory that it emptied.
                os.makedirs(os.path.dirname(lock), exist_ok=True)
                if self._durable:
                    sync_directory(os.path.dirname(os.path.dirname(lock)))
            except FileExistsError:
                if time.monotonic() >= deadline:
                    raise Contention(
                        f"another program holds {lock}, or left it behind when it crashed",
                        next="gitcoord doctor",
                        path=lock,
                    ) from None
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                return

    def _link(self, lock: str, content: bytes) -> None:
        try:
            os.link(self._swap, lock)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            write_new(lock, content, mode=0o666, sync=self._durable)

    def _publish(self, target: str) -> None:
        lock = f"{target}.lock"
        if not self._is_own(lock):
            raise Contention(f"{lock} was removed while it was held", next="leave git's lock files alone", path=lock)
        self._keep_spare(target)
        try:
            try:
                os.replace(lock, target)
            except IsADirectoryError:
                # An empty directory is what git leaves of refs that lay below this name.
                os.rmdir(target)
                os.replace(lock, target)
        except OSError as error:
            raise storage_fault(error, target) from error
        if self._durable:
            sync_directory(os.path.dirname(target))

    def _clear(self) -> None:
        """Remove what this or a dead gitcoord's swap left: first the lock files that are provably its own."""
        if not os.path.lexists(self._swap):
            return
        for lock in self._locks():
            if self._is_own(lock):
                if lock == f"{self.path}.lock":
                    self._take_back()
                remove(lock)
        remove(self._swap)

    def _take_back(self) -> None:
        """Say in the reflog that what the lock file holds was begun and not made, while nobody can move the ref.

        Else it would look as though the ref had been there, and another program had set it back.
        """
        try:
            new, now = self._parse(read_whole(self._swap), self._swap), self.read()
        except IntegrityFault:
            return
        if now is not None:
            take_back_last(self.reflog, new, now)

    def _is_own(self, lock: str) -> bool:
        try:
            theirs, ours = os.lstat(lock), os.lstat(self._swap)
            if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
                return True
            # Without hard links the lock is a copy; no other program writes a value that only gitcoord has made.
            return ours.st_nlink == 1 and read_whole(lock) == read_whole(self._swap)
        except (FileNotFoundError, NotADirectoryError):
            return False


def _read_if_there(path: str) -> bytes | None:
    try:
        return read_whole(path)
    except FileNotFoundError:
        return None


def _read_in_place(path: str) -> bytes | None:
    """Return a file's content, None where there is none; never that of a file which had the name only before."""
    data = None
    for _ in range(_LOOKS):
        try:
            fd = os.open(path, os.O_RDONLY | _BINARY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise storage_fault(error, path) from error
        try:
            data = os.read(fd, _REF_BYTES)
            here, there = os.fstat(fd), os.lstat(path)
        except IsADirectoryError:
            return None
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                continue
            raise storage_fault(error, path) from error
        finally:
            os.close(fd)
        if here.st_ino == there.st_ino and here.st_dev == there.st_dev:
            break
    return data


def _age_s(path: str, now_s: float) -> int | None:
    try:
        return max(0, int(now_s - os.lstat(path).st_mtime))
    except FileNotFoundError:
        return None
