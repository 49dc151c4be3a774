"""Reading what a log is made of, without believing any of it: objects by their names, signatures by their keys."""

from __future__ import annotations

import hashlib
import os

from gitcoord import envelope, render
from gitcoord.errors import CoordError, IntegrityFault, ObjectDamaged, ObjectMissing
from gitcoord.log import Log
from gitcoord.model import Header
from gitcoord.records import Records
from gitcoord.runtime import files as runtime_files
from gitcoord.state import State, check_header
from gitcoord.store.disk import read_whole
from gitcoord.tree import NodeCache
from gitcoord.values import Any, NamedTuple, cast
from gitcoord.verify.rules import Broken, Found, Signature

_HEADER = b"coord.json"
_new = cast("Any", tuple).__new__


class Seen(NamedTuple):
    """A commit's place in the history, and its body."""

    oid: bytes
    tree: bytes
    parents: list[bytes]
    revision: int
    body: bytes


class Reader:
    """Reads a log's objects, each checked against its name, with caches that nobody else filled.

    Args:
        log: what is read.
    """

    def __init__(self, log: Log) -> None:
        """Read nothing yet."""
        self.log = log
        self.oid_size = log.objects.oid_size
        self._hash = hashlib.sha256 if self.oid_size == 32 else hashlib.sha1
        self.nodes = NodeCache(self._read, self.oid_size)
        self.records = Records()

    def _read(self, oid: bytes) -> tuple[bytes, bytes]:
        return self.log.objects.read(oid, verify=True)

    def add(self, kind: bytes, body: bytes) -> bytes:
        """Return the name that an object would have; nothing is written."""
        return self._hash(b"%s %d\0%s" % (kind, len(body), body), usedforsecurity=False).digest()

    def state_at(self, tree: bytes | None) -> State:
        """Return the state that a tree is."""
        return State(self.nodes, tree, self.records)

    def seen(self, oid: bytes) -> Seen:
        """Return a commit.

        Raises:
            ObjectMissing: it is not there.
            ObjectDamaged: it is no commit, or not the one of that name.
        """
        kind, body = self._read(oid)
        if kind != b"commit":
            raise ObjectDamaged(f"object {oid.hex()} is a {kind.decode(errors='replace')}, and no commit")
        return _new(Seen, (oid, *render.parse_commit(oid, body), body))

    def found(self, seen: Seen) -> Found:
        """Return a commit with its `coord.json`, for the judge.

        Raises:
            Broken: there is no such file in it, or it is not to be understood.
        """
        opened = envelope.unwrap(seen.body)
        try:
            header = self._header_at(seen.tree)
        except ObjectMissing:
            raise
        except IntegrityFault as error:
            raise Broken("format", error.message) from error
        return _new(Found, (seen.oid, seen.tree, seen.parents, opened.payload, opened.signatures, header))

    def _header_at(self, tree: bytes) -> Header:
        """Return the `coord.json` of a tree; like that of its state, with fewer steps on the way."""
        entry = self.nodes.node(tree).index.get(_HEADER)
        if entry is None or entry.is_tree:
            return check_header(None)
        return check_header(self.records.record(entry.oid, self.nodes.blob, "header", (_HEADER,)))

    def is_behind(self, oid: bytes, tip: bytes) -> bool:
        """Tell whether a commit is on the history behind another, by all parents.

        Raises:
            IntegrityFault: a commit of it cannot be read.
        """
        floor = self.seen(oid).revision
        stack, done = [tip], set[bytes]()
        while stack:
            here = stack.pop()
            if here == oid:
                return True
            if here in done:
                continue
            done.add(here)
            seen = self.seen(here)
            if seen.revision > floor:
                stack.extend(seen.parents)
        return False

    def shallow(self) -> set[bytes]:
        """Return the commits whose parents git was told to do without."""
        try:
            listing = read_whole(f"{self.log.repository.common_dir}/shallow")
        except FileNotFoundError:
            return set()
        return {bytes.fromhex(line.decode()) for line in listing.split() if _is_hex(line)}

    def disguises(self, tip: bytes) -> list[str]:
        """Return what makes plain git show something else of a log than what lies there.

        Looked at are replace refs and grafts alone, so it costs nothing where there are none. Told of are commits of
        the log, wherever they stand in it, their trees, and whatever is in the tree of the tip; not what only an older
        tree holds inside.

        Args:
            tip: of the log.
        """
        common = self.log.repository.common_dir
        replaced = [bytes.fromhex(name) for name in sorted(_replaced(common)) if _is_hex(name.encode())]
        grafted = _grafted(common)
        if not replaced and not grafted:
            return []
        repository = self.found(self.seen(tip)).header["repository"]
        held = self._objects_in(self.seen(tip).tree) if replaced else set[bytes]()
        found = [
            f"git shows another object for {oid.hex()}: git replace -d {oid.hex()}"
            for oid in replaced
            if oid in held or self._is_of(oid, repository)
        ]
        return found + [
            f"git shows other parents for {oid.hex()}: see {common}/info/grafts"
            for oid in grafted
            if self._is_of(oid, repository)
        ]

    def _is_of(self, oid: bytes, repository: str) -> bool:
        """Tell whether an object says that it is a commit of a log, or the tree of one."""
        try:
            kind, _ = self._read(oid)
            if kind == b"commit":
                return self.found(self.seen(oid)).header["repository"] == repository
            return kind == b"tree" and self._header_at(oid)["repository"] == repository
        except (CoordError, Broken, ValueError):
            return False  # no commit of a log, or one that is not to be read: then the replay says so

    def _objects_in(self, tree: bytes) -> set[bytes]:
        found, stack = {tree}, [tree]
        while stack:
            for entry in self.nodes.node(stack.pop()).index.values():
                found.add(entry.oid)
                if entry.is_tree:
                    stack.append(entry.oid)
        return found


def remote_tips(common_dir: str) -> list[tuple[str, bytes]]:
    """Return the refs that say what remotes were last seen to have, with their commits."""
    top = "refs/gitcoord/remotes"
    found: dict[str, bytes] = {}
    try:
        for line in read_whole(f"{common_dir}/packed-refs").split(b"\n"):
            oid, _, name = line.partition(b" ")
            if name.startswith(top.encode()) and _is_hex(oid):
                found[os.fsdecode(name)] = bytes.fromhex(oid.decode())
    except FileNotFoundError:
        pass
    for directory, _, names in os.walk(f"{common_dir}/{top}"):
        for name in names:
            path = os.path.join(directory, name)
            oid = read_whole(path).strip()
            if _is_hex(oid):
                found[os.path.relpath(path, common_dir)] = bytes.fromhex(oid.decode())
    return sorted(found.items())


def _is_hex(line: bytes) -> bool:
    return len(line) in (40, 64) and all(letter in b"0123456789abcdef" for letter in line)


def _replaced(common: str) -> set[str]:
    """Return the objects that replace refs stand before."""
    found = set(runtime_files.names(f"{common}/refs/replace"))
    try:
        packed = read_whole(f"{common}/packed-refs")
    except FileNotFoundError:
        packed = b""
    for line in packed.split(b"\n"):
        _, _, name = line.partition(b" refs/replace/")
        if name:
            found.add(name.decode(errors="replace"))
    return found


class Scratch(NamedTuple):
    """Where signatures of GPG keys are checked.

    Attributes:
        path: a directory in which a keyring may be made for a moment.
        git_dir: the repository whose settings say which GnuPG is asked.
    """

    path: str
    git_dir: str


def _grafted(common: str) -> list[bytes]:
    """Return the commits to which a graft gives other parents."""
    try:
        listing = read_whole(f"{common}/info/grafts")
    except FileNotFoundError:
        return []
    names = [line.split(b" ", 1)[0].strip() for line in listing.split(b"\n")]
    return [bytes.fromhex(name.decode()) for name in names if _is_hex(name)]


def scratch_of(log: Log) -> Scratch:
    """Return where the signatures of a log are checked."""
    return Scratch(os.path.join(log.repository.runtime, "tmp"), log.repository.git_dir)


class Signatures:
    """Checks signatures: those of SSH keys at once, those of GPG keys by several programs at a time.

    Args:
        scratch: where it is done.
    """

    def __init__(self, scratch: Scratch) -> None:
        """Check nothing yet."""
        self._scratch = scratch
        self._waiting: list[tuple[bytes, Signature]] = []

    def check(self, commit: bytes, signature: Signature) -> bool:
        """Let a commit's signature pass, or put it on the list of those that `settle` checks.

        Returns:
            whether it waits.

        Raises:
            Broken: it is not good, or another key's.
        """
        if envelope.kind_of(signature.armour) == envelope.PGP:
            self._waiting.append((commit, signature))
            return True
        from gitcoord.signing import sshsig

        try:
            made_by = sshsig.verify(signature.payload, signature.armour)
        except sshsig.BadSignature as error:
            raise Broken("signature", str(error)) from error
        if made_by != signature.signer:
            raise Broken("signer", f"is signed by {made_by}, and says that {signature.signer} signs")
        return False

    def made_by(self, payload: bytes, armour: bytes, public: list[str]) -> str:
        """Return the fingerprint of the key that made a signature which names none.

        Args:
            payload: what it covers.
            armour: the signature.
            public: the GPG keys that it may be; an SSH signature brings its own.

        Raises:
            Broken: it is not good, or none of these made it.
        """
        kind = envelope.kind_of(armour)
        if kind == envelope.SSH:
            from gitcoord.signing import sshsig

            try:
                return sshsig.verify(payload, armour)
            except sshsig.BadSignature as error:
                raise Broken("signature", str(error)) from error
        if kind != envelope.PGP:
            raise Broken("signature-count", "holds something else than exactly one signature of git's kinds")
        found = self._by_gpg([(payload, armour, key) for key in public])
        made = next((one for one in found if one is not None), None)
        if made is None:
            raise Broken("signature", "is not good by any GPG key of the policy that counts here")
        return made

    def settle(self) -> tuple[bytes, Broken] | None:
        """Check what waits; return the first commit whose signature is not good."""
        return next(((commit, broken) for commit, broken in self._settled() if broken is not None), None)

    def good(self) -> list[bytes]:
        """Check what waits; return the commits whose signatures are good."""
        return [commit for commit, broken in self._settled() if broken is None]

    def _settled(self) -> list[tuple[bytes, Broken | None]]:
        """Check what waits; return each commit with what is wrong. Keys that no policy holds prove nothing here."""
        waiting, self._waiting = self._waiting, []
        known = [(commit, signature) for commit, signature in waiting if signature.public]
        if not known:
            return []
        try:
            made_by = self._by_gpg([(s.payload, s.armour, s.public) for _, s in known])
        except CoordError as error:
            return [(commit, Broken("signature", error.message)) for commit, _ in known]
        return [
            (commit, _wrong(maker, signature.signer)) for (commit, signature), maker in zip(known, made_by, strict=True)
        ]

    def _by_gpg(self, signed: list[tuple[bytes, bytes, str]]) -> list[str | None]:
        """Let the user's GnuPG check signatures: the one that git would ask, as for signing."""
        from gitcoord import programs
        from gitcoord.signing import gpg

        program = programs.gpg_program(self._scratch.git_dir)
        return gpg.verify_many(self._scratch.path, signed, program)

    @property
    def waiting(self) -> int:
        """How many signatures wait to be settled."""
        return len(self._waiting)


def _wrong(maker: str | None, signer: str) -> Broken | None:
    """Return what is wrong with a signature, given who made it."""
    if maker is None:
        return Broken("signature", f"does not have a good signature of {signer}")
    return None if maker == signer else Broken("signer", f"is signed by {maker}, and says that {signer} signs")
