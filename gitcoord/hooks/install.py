"""Installing git's hooks beside whatever is there, taking them out again byte for byte, and saying what is where."""

from __future__ import annotations

import os
import stat
import sys

from gitcoord.errors import CoordError
from gitcoord.hooks import git_events, gitconfig, places, scripts
from gitcoord.hooks.places import Place, read_text
from gitcoord.runtime.files import parse_object, private_dir, remove, write_whole
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitcoord.store.repository import Repository

_EXECUTABLE = 0o755
_RECORD = "hooks.json"


class Done(NamedTuple):
    """What is so of one event.

    Attributes:
        event: git's hook.
        how: `file`, `block` (at the head of what was there), `chained` (before it, the file that was there), `config`,
            `by hand` (lines to add), `manager` (a hook manager runs it), `missing`, `foreign` (another's hook alone),
            `off` (there, and switched off: a file that is not executable, or by git's config), `unread` (in the config,
            which this git does not look into for hooks), `removed`.
        path: where.
        lines: what to add by hand.
    """

    event: str
    how: str
    path: str
    lines: list[str]


GUARDS = ("file", "block", "chained", "config", "manager")
"""How an event can ask gitcoord."""


class Job(NamedTuple):
    """One installation.

    Attributes:
        repository: where.
        place: where its hooks are.
        flags: options for gitcoord in every hook.
        python: the interpreter that has gitcoord; None in files that others share.
    """

    repository: Repository
    place: Place
    flags: list[str]
    python: str | None


def install(
    repository: Repository, events: tuple[str, ...], flags: list[str], version: tuple[int, int] | None = None
) -> list[Done]:
    """Let these events of git ask gitcoord, beside whatever they do already. Doing it again changes nothing.

    Args:
        repository: where.
        events: which.
        flags: options for gitcoord in every hook.
        version: git's; the machine's by default.

    Raises:
        CoordError: a file could not be read or written.
    """
    version = places.git_version() if version is None else version
    place = places.find(repository)
    job = Job(repository, place, flags, None if place.shared else sys.executable)
    if version >= places.CONFIG_HOOKS:
        found = _through_config(job._replace(python=sys.executable), events)
    else:
        gitconfig.drop(repository.common_dir)  # of a newer git's time: one that reads both would ask twice
        found = [_install_one(job, event) for event in events]
    asks = [done.event for done in found if done.how in GUARDS]
    _record(repository, installed=sorted({*_recorded(repository, "installed"), *asks}))
    return found


def _through_config(job: Job, events: tuple[str, ...]) -> list[Done]:
    _remove_files(job.repository, job.place)  # of an older git's time
    folder = private_dir(os.path.join(private_dir(job.repository.runtime), "hooks"))
    for event in events:
        path = os.path.join(folder, event)
        write_whole(path, scripts.whole_file(event, job.flags, job.python).encode())
        os.chmod(path, 0o700)
    path = gitconfig.add(job.repository.common_dir, events)
    return [Done(event, "config", path, []) for event in events]


def _install_one(job: Job, event: str) -> Done:
    target = os.path.join(job.place.directory, event)
    if job.place.kind == "outside":
        return Done(event, "by hand", target, places.lines_for(job.place.directory, event, job.flags))
    if job.place.kind == "husky" and event in _HUSKY:
        target = os.path.join(_husky_top(job.place), event)
    return _install_at(job, event, target)


def _install_at(job: Job, event: str, target: str) -> Done:
    text = read_text(target)
    if text is not None and scripts.is_ours(text):
        return _refreshed(job, event, target, text)
    if text is None:
        if not os.path.lexists(target):
            _make_directory(job.repository, os.path.dirname(target))
            _write(target, scripts.whole_file(event, job.flags, job.python), _EXECUTABLE)
            return Done(event, "file", target, [])
        return Done(event, "by hand", target, places.lines_for(target, event, job.flags))
    manager = places.manager_of(text)
    if manager == "pre-commit" and event in places.FIRST_ONLY:
        return _install_at(job, event, target + places.LEGACY)
    if manager in ("lefthook", "pre-commit"):
        if places.is_in_manager(job.repository, manager, event):
            return Done(event, "manager", target, [])
        return Done(event, "by hand", target, places.lines_for(manager, event, job.flags))
    mode = stat.S_IMODE(os.stat(target).st_mode)
    runs = bool(mode & 0o111) or job.place.kind == "husky"
    if not runs:
        return Done(event, "by hand", target, ["# git ignores it: it is not executable", *_shell_line(job, event)])
    if os.path.islink(target) or not scripts.is_shell(text):
        os.rename(target, target + scripts.KEPT)
        _write(target, scripts.dispatcher(event, job.flags, job.python), _EXECUTABLE)
        return Done(event, "chained", target, [])
    _write(target, scripts.with_block(text, scripts.block(event, job.flags, job.python)), mode)
    return Done(event, "block", target, [])


def _shell_line(job: Job, event: str) -> list[str]:
    return places.lines_for(os.path.join(job.place.directory, event), event, job.flags)


_HUSKY = tuple(event for event in git_events.CLIENT if event != "reference-transaction")


def _husky_top(place: Place) -> str:
    """Return the directory in which people write husky's hooks; git looks in a directory below it."""
    directory = place.directory
    return os.path.dirname(directory) if os.path.basename(directory) == "_" else directory


def _refreshed(job: Job, event: str, target: str, text: str) -> Done:
    """Bring what an earlier installation wrote up to date."""
    kept = target + scripts.KEPT
    if scripts.is_maimed(text) and not os.path.lexists(kept):
        return _maimed(event, target)
    if os.path.lexists(kept):
        how, wanted = "chained", scripts.dispatcher(event, job.flags, job.python)
    elif scripts.is_whole(text):
        how, wanted = "file", scripts.whole_file(event, job.flags, job.python)
    else:
        how, wanted = "block", scripts.with_block(scripts.cut(text), scripts.block(event, job.flags, job.python))
    mode = stat.S_IMODE(os.stat(target).st_mode)
    runs = bool(mode & 0o111) or job.place.kind == "husky"
    if not runs and how != "block":
        mode, runs = _EXECUTABLE, True
    if wanted != text or mode != stat.S_IMODE(os.stat(target).st_mode):
        _write(target, wanted, mode)
    return Done(event, how if runs else "off", target, [])


def uninstall(repository: Repository) -> list[Done]:
    """Take gitcoord out of all of git's hooks; what was there before is there again, byte for byte.

    Raises:
        CoordError: a file could not be read or written.
    """
    found = _remove_files(repository, places.find(repository))
    path = gitconfig.drop(repository.common_dir)
    if path is not None:
        if gitconfig.events(repository.common_dir):
            return [*found, _maimed("all", path)]  # what it names stays too, or git would miss it
        found.append(Done("all", "removed", path, []))
    folder = os.path.join(repository.runtime, "hooks")
    if os.path.isdir(folder):
        for event in git_events.HANDLERS:
            remove(os.path.join(folder, event))
        _drop_empty(folder)
    for path in reversed(_recorded(repository, "made")):
        _drop_empty(path)
    remove(os.path.join(repository.runtime, _RECORD))
    return found


def _remove_files(repository: Repository, place: Place) -> list[Done]:
    found: list[Done] = []
    folders = dict.fromkeys([place.directory, _husky_top(place), os.path.join(repository.common_dir, "hooks")])
    for folder in folders:
        if place.kind == "outside" and folder == place.directory:
            continue
        for event in git_events.HANDLERS:
            names = (event, event + places.LEGACY) if event in places.FIRST_ONLY else (event,)
            removed = (_remove_one(os.path.join(folder, name), event) for name in names)
            found += [done for done in removed if done is not None]
    return found


def _remove_one(target: str, event: str) -> Done | None:
    text = None if os.path.islink(target) else read_text(target)
    if text is None or not scripts.is_ours(text):
        return None
    kept = target + scripts.KEPT
    if os.path.lexists(kept):
        os.rename(kept, target)
    elif scripts.is_whole(text):
        os.unlink(target)
    elif scripts.is_maimed(text):
        return _maimed(event, target)
    else:
        _write(target, scripts.cut(text), stat.S_IMODE(os.stat(target).st_mode))
    return Done(event, "removed", target, [])


def _maimed(event: str, target: str) -> Done:
    """Say what to do about a block whose end nobody can tell; it is left as it is."""
    return Done(
        event, "by hand", target, [f"# {scripts.END!r} is missing: take out what begins with {scripts.BEGIN!r}"]
    )


def status(repository: Repository, version: tuple[int, int] | None = None) -> list[Done]:
    """Return for each event whether it asks gitcoord, and how.

    Args:
        repository: where.
        version: git's; the machine's by default.

    Raises:
        CoordError: a file could not be read.
    """
    version = places.git_version() if version is None else version
    place = places.find(repository)
    wanted = git_events.SERVER if repository.bare else git_events.CLIENT
    installed = _recorded(repository, "installed")
    configured = gitconfig.events(repository.common_dir)
    found: list[Done] = []
    for event in git_events.HANDLERS:
        started = target = os.path.join(place.directory, event)
        if place.kind == "husky" and event in _HUSKY:
            target = os.path.join(_husky_top(place), event)
        runs = os.access(started, os.X_OK)
        done = _standing(repository, event, target, runs=runs)
        if event in configured and done.how not in GUARDS:
            unread = version < places.CONFIG_HOOKS
            how = "unread" if unread else "config" if gitconfig.is_on(repository, event) else "off"
            done = Done(event, how, os.path.join(repository.common_dir, "config"), [])
        if event in wanted or event in installed or done.how not in ("missing", "foreign"):
            found.append(done)
    return found


def has_door(repository: Repository) -> bool:
    """Tell whether a server's door stands here, or was installed and is broken.

    Raises:
        CoordError: a file could not be read.
    """
    if not repository.bare:
        return False
    installed = _recorded(repository, "installed")
    return any(
        done.event in git_events.SERVER and (done.how in GUARDS or done.event in installed)
        for done in status(repository)
    )


def lost(repository: Repository, found: list[Done]) -> list[Done]:
    """Return those events that were installed here, as a record says, and do not ask gitcoord any more."""
    installed = _recorded(repository, "installed")
    return [done for done in found if done.event in installed and done.how not in GUARDS]


def _standing(repository: Repository, event: str, target: str, *, runs: bool) -> Done:
    text = read_text(target)
    if text is None:
        return Done(event, "missing", target, [])
    if scripts.is_ours(text):
        how = "chained" if os.path.lexists(target + scripts.KEPT) else "file" if scripts.is_whole(text) else "block"
        return Done(event, how if runs else "off", target, [])
    manager = places.manager_of(text)
    if manager == "pre-commit" and event in places.FIRST_ONLY and read_text(target + places.LEGACY) is not None:
        legacy = target + places.LEGACY
        return _standing(repository, event, legacy, runs=runs and os.access(legacy, os.X_OK))
    if manager in ("lefthook", "pre-commit") and places.is_in_manager(repository, manager, event):
        return Done(event, "manager", target, [])
    return Done(event, "foreign", target, [])


def _write(path: str, text: str, mode: int) -> None:
    """Put a file in the place of another at once, with the same rights."""
    draft = f"{path}.gitcoord-{os.getpid()}"
    try:
        with open(draft, "x", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
        os.chmod(draft, mode)
        os.replace(draft, path)
    except OSError as error:
        remove(draft)
        raise CoordError(
            f"{path} cannot be written: {error.strerror}", next="look at the directory's rights"
        ) from error


def _make_directory(repository: Repository, path: str) -> None:
    """Make a directory that is missing, and remember that it was."""
    if os.path.isdir(path):
        return
    try:
        os.makedirs(path)
    except OSError as error:
        raise CoordError(f"{path} cannot be made: {error.strerror}", next="look at its rights") from error
    _record(repository, made=[*_recorded(repository, "made"), path])


def _record(repository: Repository, **said: list[str]) -> None:
    """Remember something of the installation for the next command."""
    before = {name: _recorded(repository, name) for name in ("made", "installed")}
    after = {name: items for name, items in {**before, **said}.items() if items}
    if after == {name: items for name, items in before.items() if items}:
        return
    private_dir(repository.runtime)
    import json

    write_whole(os.path.join(repository.runtime, _RECORD), json.dumps(after).encode())


def _recorded(repository: Repository, name: str) -> list[str]:
    text = read_text(os.path.join(repository.runtime, _RECORD))
    items = parse_object((text or "").encode("utf-8", "replace")).get(name, [])
    return [str(item) for item in items] if isinstance(items, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _drop_empty(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # somebody put something there
