"""One remote of one clone, reached through the user's own git: look, fetch, push, and nothing more.

What gitcoord asks of git is the same for every kind of remote; credentials, ssh, proxies and rewritten URLs are git's
own business and the user's. The remote is handed to git under a name of gitcoord's own, with the user's settings for
it copied, less those that would touch anything but the one ref that is meant (tracking refs, mirroring, pruning).
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Callable, Sequence

from gitcoord import config
from gitcoord.errors import (
    CoordError,
    IntegrityFault,
    NoSuchRemote,
    ObjectMissing,
    RemoteUnreachable,
    SeveralPushUrls,
    StorageFault,
)
from gitcoord.remote.answers import Push, git_words, judge_push, nothing_was_sent, parse_tips
from gitcoord.remote.process import Ran, run
from gitcoord.remote.urls import ConfiguredRemote, is_address, local_path, remote_at, remote_of, without_credentials
from gitcoord.runtime.machine import wall_ms
from gitcoord.runtime.reflog import Reflog
from gitcoord.store.disk import read_whole, remove
from gitcoord.store.gathering import Gathered, gather, gather_moved, has_here
from gitcoord.store.repository import Repository
from gitcoord.store.setup import prepare_runtime

DEFAULT_REF = "refs/gitcoord/main"
# A transfer that goes on, however slowly, is not cut before this many times the limit for silence.
_PATIENCE = 15
_SLACK_S = 60.0
_TRACE = "push-"
_OWN_NAME = "gitcoord.transport"
# Settings of a remote that are not copied: they concern other refs, or say what the command line says here.
_NOT_COPIED = frozenset(
    {"fetch", "push", "mirror", "tagopt", "prune", "prunetags", "promisor", "partialclonefilter", "skipdefaultupdate"}
    | {"skipfetchall", "followremotehead"}
)
# Said on each command line, since these outrank the user's configuration.
_QUIETLY = (
    "protocol.ext.allow=never",
    "credential.interactive=false",
    f"core.hooksPath={os.devnull}",
    "hook.reference-transaction.enabled=false",  # of hooks in the config, the others are none of what is run here
    "core.alternateRefsCommand=:",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.writeCommitGraph=false",
    "push.negotiate=false",
    f"remote.{_OWN_NAME}.followRemoteHEAD=never",
)
# git's own default syncs packs and refs, and no loose objects.
_DURABLY = ("core.fsync=objects,reference", "core.fsyncMethod=batch")


class Transport:
    """One remote of one clone. Safe for several threads and processes at once.

    Args:
        repository: the clone.
        remote: a configured remote's name, or a URL or a path.
        ref: the log's full name on the remote.
        limit_s: for how long the remote may be silent, in seconds; a transfer that goes on may take longer.
        durable: whether what was fetched has reached the disk on return.

    Attributes:
        ref: as given.
        remote: as given.
        limit_s: as given.
    """

    def __init__(
        self,
        repository: Repository,
        remote: str,
        ref: str = DEFAULT_REF,
        *,
        limit_s: float = 20.0,
        durable: bool = True,
    ) -> None:
        """Remember what is meant; reads nothing yet."""
        self.remote = remote
        self.ref = ref
        self.limit_s = limit_s
        self._repository = repository
        self._durable = durable
        self._guard = allocate_lock()
        self._known: tuple[object, ConfiguredRemote] | None = None

    # -- where it is

    def url(self) -> str:
        """Return where is fetched from, for showing: rewritten as git does, without credentials.

        Raises:
            NoSuchRemote: the repository has no remote of this name.
        """
        return without_credentials(self._configured().url)

    def push_urls(self) -> list[str]:
        """Return where git would push to, for showing: rewritten as git does, without credentials.

        Raises:
            NoSuchRemote: the repository has no remote of this name.
        """
        return [without_credentials(url) for url in self._configured().push_urls]

    def check_usable(self) -> None:
        """Refuse a remote that can confirm nothing.

        Raises:
            NoSuchRemote: the repository has no remote of this name.
            SeveralPushUrls: git would push to several places.
        """
        urls = self.push_urls()
        if len(urls) > 1:
            raise SeveralPushUrls(
                f"{self.remote} has several push URLs, so no one place decides: {', '.join(urls)}",
                next="add a remote with one URL: git remote add NAME URL",
                urls=urls,
            )

    def _configured(self) -> ConfiguredRemote:
        """Return the remote's settings, read again when the repository's configuration file is another."""
        mark = self._config_mark()
        with self._guard:
            if self._known is not None and self._known[0] == mark:
                return self._known[1]
        entries = config.read_git_entries(self._repository.git_dir)
        found = remote_of(entries, self.remote)
        if found is None:
            if not is_address(self.remote):
                raise NoSuchRemote(
                    f"no such remote: {self.remote!r}",
                    next=f"git remote add {self.remote} URL; if it has another name now (git remote -v lists them): "
                    "gitcoord sync --remote NAME",
                    remote=self.remote,
                )
            found = remote_at(entries, self.remote)
        with self._guard:
            self._known = mark, found
        return found

    def _config_mark(self) -> object:
        marks: list[tuple[int, int, int] | None] = []
        for path in (f"{self._repository.common_dir}/config", f"{self._repository.git_dir}/config.worktree"):
            try:
                found = os.stat(path)
            except OSError:
                marks.append(None)
            else:
                marks.append((found.st_ino, found.st_size, found.st_mtime_ns))
        return marks

    # -- look

    def look(self) -> bytes | None:
        """Return the ref's tip on the remote, None where it has no such ref; one round trip, nothing is fetched.

        Raises:
            RemoteUnreachable: no answer.
        """
        return self.look_for([self.ref]).get(self.ref)

    def look_for(self, refs: Sequence[str]) -> dict[str, bytes]:
        """Return the tips of those of some refs that the remote has; one round trip.

        Args:
            refs: full names.

        Raises:
            RemoteUnreachable: no answer.
        """
        ran = self._git("ls-remote", "--quiet", "--refs", _OWN_NAME, *refs, limit_s=self.limit_s)
        if ran.status != 0 or ran.cut:
            raise self._unreachable(ran)
        return parse_tips(ran.out, frozenset(refs))

    # -- fetch

    def fetch(
        self, *, into: str, everything: bool = False, meanwhile: Callable[[bytes], None] | None = None
    ) -> bytes | None:
        """Fetch the ref's tip with all its history, and return the tip; None where the remote has no such ref.

        New objects go into gitcoord's own object directory. Touches no ref but `into`, and not `FETCH_HEAD`. What came
        is not judged.

        Args:
            into: the full name of the local ref that gets the tip, whatever it was before.
            everything: have it all sent again, whatever is here already; puts back objects that are missing.
            meanwhile: done with the tip while git looks whether all of what is new came; it may yet lack some.

        Raises:
            RemoteUnreachable: no answer, or it broke off; objects may have come, the ref did not move.
            ObjectMissing: the remote itself lacks some of it.
            StorageFault: the objects could not be brought together here.
        """
        prepare_runtime(self._repository)
        known = self._known_tips()
        # What lies behind it was perhaps not gathered, if we died in between: good to negotiate with, no more.
        before = self._local(into)
        haves = [*known, before] if before is not None and has_here(self._repository, before) else known
        words = ["--no-tags", "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance"]
        words += ["--no-filter", "--refmap=", "--force", "--progress", "--no-show-forced-updates"]
        words += ["--refetch"] if everything else [f"--negotiation-tip={tip.hex()}" for tip in haves]
        ran = self._git("fetch", *words, _OWN_NAME, f"+{self.ref}:{into}", limit_s=self.limit_s * _PATIENCE, own=True)
        if ran.status != 0:
            # git's words for a missing ref vary: the remote is asked instead.
            if ran.status is not None and self.look() is None:
                return None
            raise self._unreachable(ran)
        tip = self._local(into)
        if tip is None:
            raise IntegrityFault(f"{into} is gone right after git fetched it", next="git fsck", ref=into)
        if tip in known and not everything:
            return tip
        looking = None
        if meanwhile is not None and has_here(self._repository, tip):
            looking = lambda: meanwhile(tip)  # noqa: E731 - a name for what is to be done
        missing = self._gathered(tip, [] if everything else known, looking).missing
        if missing and everything:
            raise ObjectMissing(
                f"the log on {self.remote} is not whole: missing {', '.join(missing[:3])}", next="git fsck", ref=into
            )
        # What is named here and not here, as in a partial clone, the remote does not send unless asked for all.
        return self.fetch(into=into, everything=True, meanwhile=meanwhile) if missing else tip

    def _known_tips(self) -> list[bytes]:
        """Return commits whose history is in gitcoord's directory: the log here, and what was last seen there."""
        known: list[bytes] = []
        names = [DEFAULT_REF]
        here = self._local(DEFAULT_REF)
        if here is not None:
            left = Reflog(f"{self._repository.common_dir}/logs/{DEFAULT_REF}").left()
            gather_moved(self._repository, here, left, config.environment())
        if not is_address(self.remote):
            names.append(f"refs/gitcoord/remotes/{self.remote}")
        for name in names:
            tip = self._local(name)
            if tip is None or tip in known:
                continue
            if has_here(self._repository, tip) or not self._gathered(tip, known).missing:
                known.append(tip)
        return known

    def _gathered(self, tip: bytes, known: list[bytes], meanwhile: Callable[[], None] | None = None) -> Gathered:
        return gather(self._repository, [tip], known, config.environment(), meanwhile)

    def _local(self, ref: str) -> bytes | None:
        """Return what a local ref holds."""
        try:
            text = read_whole(f"{self._repository.common_dir}/{ref}")
        except FileNotFoundError:
            text = self._packed(ref)
        try:
            return bytes.fromhex(text.strip().decode("ascii")) or None
        except ValueError:
            return None

    def _packed(self, ref: str) -> bytes:
        try:
            lines = read_whole(f"{self._repository.common_dir}/packed-refs").split(b"\n")
        except FileNotFoundError:
            return b""
        ending = b" " + os.fsencode(ref)
        return next((line.partition(b" ")[0] for line in lines if line.endswith(ending)), b"")

    # -- push

    def push(self, new: bytes, expected: bytes | None) -> Push:
        """Let the remote's ref be one commit, if it is what is expected there; one push, of this ref only.

        No hook of the user's runs here. A remote that holds `new` already answers `taken`. `stale` may also mean that
        the remote's ref was locked, or cannot be written at all: who looks and finds `expected` there knows.

        Args:
            new: the commit; it and all it names are here.
            expected: what the ref must hold there, None for nothing.

        Raises:
            RemoteUnreachable: it is certain that nothing was sent.
            SeveralPushUrls: git would push to several places.
        """
        self.check_usable()
        prepare_runtime(self._repository)
        self._sweep_traces()
        lease = f"--force-with-lease={self.ref}:{'' if expected is None else expected.hex()}"
        words = ["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-signed", lease]
        words += ["--no-force-if-includes", "--progress", _OWN_NAME, f"{new.hex()}:{self.ref}"]
        trace = self._trace_path()
        try:
            ran = self._git("push", *words, limit_s=self.limit_s * _PATIENCE, own=True, trace=trace)
            said = judge_push(ran.status, ran.out, ran.err, self.ref)
            if said is not None:
                return said
            if nothing_was_sent(_read_if_there(trace)):
                raise self._unreachable(ran)
        finally:
            remove(trace)
        return Push("unknown", self._late() if ran.status is None else git_words(ran.err))

    def _trace_path(self) -> str:
        return os.path.join(self._repository.runtime, "tmp", f"{_TRACE}{os.getpid()}-{os.urandom(8).hex()}")

    def _sweep_traces(self) -> None:
        """Take away what killed pushes left of git's record of its commands.

        Nobody reads it any more where git has not written into it for longer than a push may take; and where a live
        one of another limit loses its record all the same, its end counts as not known, which is the safe side.
        """
        directory = os.path.join(self._repository.runtime, "tmp")
        young_s = wall_ms() / 1000 - self.limit_s * _PATIENCE - _SLACK_S
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            try:
                if name.startswith(_TRACE) and os.stat(path).st_mtime < young_s:
                    os.unlink(path)
            except OSError:
                continue  # another push was quicker, or it is not ours to remove: no push fails over it

    # -- git

    def _git(self, *words: str, limit_s: float, own: bool = False, trace: str | None = None) -> Ran:
        """Run git on the clone, the remote standing under gitcoord's own name."""
        found = self._configured()
        copied = [(f"remote.{_OWN_NAME}.{key}", value) for key, value in found.settings if key not in _NOT_COPIED]
        objects = f"{self._repository.runtime}/objects", f"{self._repository.common_dir}/objects"
        env = config.git_environment(config.environment(), entries=copied, objects=objects if own else None)
        if trace is not None:
            env["GIT_TRACE"] = trace
        if words[0] == "fetch":
            # The log is whole in a shallow clone too: where the user's branches are cut is not the remote's business.
            env["GIT_SHALLOW_FILE"] = ""
        command = ["git", f"--git-dir={self._repository.git_dir}"]
        for setting in (*_QUIETLY, *(_DURABLY if own and self._durable else ())):
            command += ["-c", setting]
        where = self._repository.worktree or self._repository.common_dir
        try:
            return run([*command, *words], env=env, cwd=where, quiet_s=self.limit_s, limit_s=limit_s)
        except FileNotFoundError as error:
            raise CoordError("git is not installed, or not on the PATH", next="install git") from error
        except OSError as error:
            raise StorageFault(f"git could not be started: {error}", next="gitcoord doctor") from error

    def _late(self) -> str:
        return f"no answer within {self.limit_s:g} s"

    def _unreachable(self, ran: Ran) -> RemoteUnreachable:
        said = self._late() if ran.status is None else git_words(ran.err) or f"git exited with {ran.status}"
        import shlex

        path = local_path(self._configured().url)
        shown = self.remote if not is_address(self.remote) else self.url()
        way_out = f"see what git itself says: git ls-remote {shown if path is None else shlex.quote(path)}"
        return RemoteUnreachable(f"{shown} was not reached: {said}", next=way_out, remote=shown, said=said)


def _read_if_there(path: str) -> bytes:
    try:
        return read_whole(path)
    except FileNotFoundError:
        return b""
