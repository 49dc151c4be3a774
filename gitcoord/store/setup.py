"""What `init` puts beside a repository's own files, and what `doctor` looks at there.

All of it lies in `gitcoord/` under the common git directory, so that linked worktrees share it; the one thing changed
outside is a line in the object store's list of alternates.
"""

from __future__ import annotations

import os
import stat

from gitcoord.errors import Contention
from gitcoord.runtime.oslock import OsLock
from gitcoord.store.disk import read_whole, remove, storage_fault, sync_directory, write_new
from gitcoord.store.packs import MARK
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitcoord.store.repository import Repository

ALTERNATE = "../gitcoord/objects"
_STALE_AFTER_S = 3600
_PROBE_BYTES = 1 << 16
_ORPHAN_AFTER_S = 24 * 3600
_README = """\
This directory belongs to gitcoord, which coordinates the agents and people who work in this repository.

objects/  git objects of the coordination log (refs/gitcoord/main, also known as refs/coord). git reads them through
          ../objects/info/alternates; gc, prune and repack leave them alone. Deleting them deletes the log's history.
tmp/      files on their way into objects/; what is older than an hour was left by a crash.
swap      the ref's next value while it is being moved; spare is the file of an older one, for the next.
spool     what is built and not yet published; pending says where in it.

Everything else here is for the processes of this machine and is made again when it is missing.
`git log refs/coord` shows the log, `gitcoord doctor` checks this directory and puts it right.
"""


class RuntimeFault(NamedTuple):
    """Something wrong with gitcoord's files.

    Attributes:
        code: `runtime_missing`, `runtime_rights`, `runtime_owner`, `not_writable`, `alternate_missing` or
            `tmp_leftovers`.
        message: what is wrong, with the path.
        fixable: whether `mend` puts it right.
    """

    code: str
    message: str
    fixable: bool


def prepare_runtime(repo: Repository) -> list[str]:
    """Make gitcoord's directory and name its objects to git; does only what is not done yet.

    Args:
        repo: the repository; an ordinary or a bare one, from any of its worktrees.

    Returns:
        The paths of what was made or changed.

    Raises:
        Contention: another program holds the lock file of the list of alternates.
        StorageFault: the system could not.
    """
    made = [directory for directory in _directories(repo) if _make_directory(directory)]
    readme = f"{repo.runtime}/README"
    try:
        write_new(readme, _README.encode("utf-8"), mode=0o600, sync=False)
        made.append(readme)
    except FileExistsError:
        pass
    except OSError as error:
        raise storage_fault(error, readme) from error
    if not _has_alternate(repo):
        with OsLock(f"{repo.runtime}/setup"):
            if not _has_alternate(repo):
                made.append(_add_alternate(repo))
    for directory in dict.fromkeys(os.path.dirname(path) for path in made):
        sync_directory(directory)
    return made


def runtime_faults(repo: Repository, now_s: float) -> list[RuntimeFault]:
    """Return what is wrong with gitcoord's files, nothing where all is well; leaves everything as it is.

    Args:
        repo: the repository.
        now_s: the time, in seconds since the epoch.

    Raises:
        StorageFault: something could not be looked at.
    """
    faults: list[RuntimeFault] = []
    for directory in _directories(repo):
        try:
            found = os.stat(directory)
        except (FileNotFoundError, NotADirectoryError):
            faults.append(RuntimeFault("runtime_missing", f"{directory} is missing", fixable=True))
            continue
        except OSError as error:
            raise storage_fault(error, directory) from error
        if not stat.S_ISDIR(found.st_mode):
            faults.append(RuntimeFault("runtime_missing", f"{directory} is no directory", fixable=False))
        elif directory == repo.runtime:
            faults.extend(_rights_faults(directory, found))
        elif not os.access(directory, os.W_OK | os.X_OK):
            faults.append(RuntimeFault("runtime_rights", f"{directory} cannot be written here", fixable=False))
    if not faults:
        faults.extend(_writing_faults(repo))
    if not _has_alternate(repo):
        listing = _alternates_file(repo)
        faults.append(
            RuntimeFault("alternate_missing", f"{listing} does not name {repo.runtime}/objects", fixable=True)
        )
    stale = _stale_files(repo, now_s)
    if stale:
        where = os.path.dirname(stale[0])
        faults.append(RuntimeFault("tmp_leftovers", f"files in {where} older than an hour: {len(stale)}", fixable=True))
    return faults


def mend(repo: Repository, now_s: float) -> list[str]:
    """Put right what `runtime_faults` calls fixable, and return the paths that were made, changed or removed.

    Args:
        repo: the repository.
        now_s: the time, in seconds since the epoch.

    Raises:
        Contention: another program holds the lock file of the list of alternates.
        StorageFault: the system could not.
    """
    changed = prepare_runtime(repo)
    if os.name != "nt" and os.stat(repo.runtime).st_mode & 0o777 != 0o700:
        try:
            os.chmod(repo.runtime, 0o700)
        except OSError as error:
            raise storage_fault(error, repo.runtime) from error
        changed.append(repo.runtime)
    changed.extend(path for path in _stale_files(repo, now_s) if remove(path))
    return changed


def is_prepared(repo: Repository) -> bool:
    """Tell whether somebody wrote the log here, or was about to: without that, git alone keeps what it receives."""
    return _has_alternate(repo) or os.path.lexists(f"{repo.runtime}/objects/pack")


def _directories(repo: Repository) -> list[str]:
    return [repo.runtime, *(os.path.join(repo.runtime, name) for name in ("objects", "objects/pack", "tmp"))]


def _make_directory(path: str) -> bool:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError as error:
        if not os.path.isdir(path):
            raise storage_fault(error, path) from error
        return False
    except OSError as error:
        raise storage_fault(error, path) from error
    return True


def _rights_faults(directory: str, found: os.stat_result) -> list[RuntimeFault]:
    if os.name == "nt":
        return []
    faults: list[RuntimeFault] = []
    owner = found.st_uid == os.geteuid()
    if not owner:
        faults.append(
            RuntimeFault("runtime_owner", f"{directory} belongs to another user (uid {found.st_uid})", fixable=False)
        )
    if stat.S_IMODE(found.st_mode) & 0o777 != 0o700:
        mode = stat.S_IMODE(found.st_mode)
        faults.append(RuntimeFault("runtime_rights", f"{directory} has mode {mode:04o}, not 0700", fixable=owner))
    return faults


def _writing_faults(repo: Repository) -> list[RuntimeFault]:
    """Try to write what every operation has to write: a new file, and one beside the log's ref."""
    probe = os.path.join(repo.runtime, "tmp", f"probe-{os.getpid()}")
    try:
        write_new(probe, bytes(_PROBE_BYTES), mode=0o600, sync=False)
    except OSError as error:
        fault = storage_fault(error, probe)
        return [RuntimeFault("not_writable", f"nothing can be written: {fault.message}; {fault.next}", fixable=False)]
    remove(probe)
    refs = f"{repo.common_dir}/refs/gitcoord"
    if os.path.isdir(refs) and not os.access(refs, os.W_OK | os.X_OK):
        return [RuntimeFault("not_writable", f"{refs} cannot be written: check its owner and rights", fixable=False)]
    return []


def _stale_files(repo: Repository, now_s: float) -> list[str]:
    drafts = _old_files(os.path.join(repo.runtime, "tmp"), now_s, _STALE_AFTER_S)
    packs = _old_files(f"{repo.runtime}/objects/pack", now_s, _ORPHAN_AFTER_S)
    noted = _read_if_there(f"{repo.runtime}/retired").decode("ascii", "replace")
    return drafts + [path for path in packs if _is_orphan(path) and os.path.basename(path)[:-5] not in noted]


def _is_orphan(path: str) -> bool:
    """Tell whether a file is a pack of gitcoord's own whose writer died before it had a list."""
    is_ours = os.path.basename(path).startswith(MARK) and path.endswith(".pack")
    return is_ours and not os.path.lexists(f"{path[:-5]}.idx")


def _old_files(directory: str, now_s: float, age_s: int) -> list[str]:
    old: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode) and now_s - found.st_mtime > age_s:
                    old.append(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise storage_fault(error, directory) from error
    return sorted(old)


def _read_if_there(path: str) -> bytes:
    try:
        return read_whole(path)
    except FileNotFoundError:
        return b""


def _alternates_file(repo: Repository) -> str:
    return f"{repo.common_dir}/objects/info/alternates"


def read_alternates(repo: Repository) -> bytes:
    """Return the repository's list of alternates as it is, empty where it has none."""
    try:
        return read_whole(_alternates_file(repo))
    except FileNotFoundError:
        return b""


def _has_alternate(repo: Repository) -> bool:
    own = os.path.realpath(f"{repo.runtime}/objects")
    store = os.path.realpath(f"{repo.common_dir}/objects")
    return any(
        line and not line.startswith(b"#") and os.path.realpath(os.path.join(store, os.fsdecode(line))) == own
        for line in read_alternates(repo).split(b"\n")
    )


def _add_alternate(repo: Repository) -> str:
    store = f"{repo.common_dir}/objects"
    # git resolves a relative line against the real path of the store, which a symbolic link may have put elsewhere.
    line = ALTERNATE if os.path.realpath(store) == store else f"{repo.runtime}/objects"

    def added(present: bytes) -> bytes:
        gap = b"\n" if present and not present.endswith(b"\n") else b""
        return present + gap + os.fsencode(line) + b"\n"

    return change_alternates(repo, added)


def change_alternates(repo: Repository, change: Callable[[bytes], bytes]) -> str:
    """Rewrite the list of alternates under git's own lock file, at once or not at all; returns its path.

    The caller holds the lock `setup` of the runtime directory.

    Args:
        repo: the repository.
        change: gets the list as it is, byte for byte, and returns what it shall be.

    Raises:
        Contention: another program holds the lock file.
        StorageFault: the system could not.
    """
    listing = _alternates_file(repo)
    lock = f"{listing}.lock"
    # As with the log's ref: a lock file that is the same file as the draft was left by a gitcoord that died.
    draft = f"{repo.runtime}/alternates"
    try:
        if _is_same(lock, draft):
            remove(lock)
        remove(draft)
        os.makedirs(os.path.dirname(listing), exist_ok=True)
        content = change(read_alternates(repo))
        write_new(draft, content, mode=0o666, sync=True)
        if os.path.exists(listing):
            os.chmod(draft, os.stat(listing).st_mode & 0o777)
        try:
            os.link(draft, lock)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            write_new(lock, content, mode=0o666, sync=True)
        os.replace(lock, listing)
    except FileExistsError:
        raise Contention(
            f"another program holds {lock}, or left it behind when it crashed",
            next=f"if no git command is running: rm {lock}",
            path=lock,
        ) from None
    except OSError as error:
        raise storage_fault(error, listing) from error
    finally:
        remove(draft)
    return listing


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False
