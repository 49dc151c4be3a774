"""What all operations up to a commit add up to: that commit's tree, read and changed by meaning.

The layout is public, for plain git is the debugger: `coord.json`, `policy.json`, `sessions/<id>.json`,
`locks/<path>/@<session>.json`, `resources/<name>/@<session>.json`, `data/<scope>/@<bucket>/<key>.json`. A lock lies
where its path lies, so what stands in its way is found by walking down that path: the holders passed on the way, the
names with wildcards beside it, and all that lies below. Nothing else of the state is read.

A record that cannot be read, or does not belong where it lies, raises: nothing is granted because of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord import names, paths, records
from gitcoord.errors import IntegrityFault, UnreadableRecord, UnsupportedFormat
from gitcoord.model import FORMAT, MODES, RULES, Datum, Header, Lock, Policy, Session
from gitcoord.paths import Claim
from gitcoord.records import Records
from gitcoord.tree import Dir, NodeCache, Parts, Sink, Tree
from gitcoord.values import Any, cast

_HEADER: Parts = (b"coord.json",)
_POLICY: Parts = (b"policy.json",)
_SUFFIX = b".json"


def data_parts(scope: str) -> Parts:
    """Return the directory of a scope."""
    return (b"data", *(names.encode_text(part) for part in scope.split("/")))


def key_parts(scope: str, key: str) -> Parts:
    """Return the file of a key.

    The keys of a scope are spread over at most 256 directories, `@00` to `@ff`, by a checksum of the key, so that a
    store into a scope of ten thousand keys rewrites two small trees. The file's own name is the key.
    """
    import zlib

    name = names.encode_text(key)
    bucket = zlib.crc32(key.encode()) & 0xFF
    return (*data_parts(scope), b"@%02x" % bucket, name + _SUFFIX)


def session_parts(session: str) -> Parts:
    """Return the file of a session."""
    return (b"sessions", session.encode() + _SUFFIX)


def claim_parts(claim: Claim) -> Parts:
    """Return the directory in which the holders of a claim lie."""
    return (b"resources" if claim.kind == "resource" else b"locks", *paths.tree_parts(claim))


def holder_name(session: str) -> bytes:
    """Return the name of a holder's file in its claim's directory."""
    return b"@" + session.encode() + _SUFFIX


def claim_of(lock: Lock) -> Claim:
    """Return the claim that a lock record is about."""
    key = names.from_json_text(lock["key"])
    parts = tuple(key.split("/")) if key != "." else ()
    return Claim(lock["kind"], parts, names.from_json_text(lock["path"]))


def _is_sound(lock: Lock) -> bool:
    """Tell whether a lock's mode and kind are what they can be, and go with its key."""
    if lock["mode"] not in MODES or lock["kind"] not in ("file", "directory", "pattern", "resource"):
        return False
    return lock["kind"] == "resource" or (lock["kind"] == "pattern") == paths.has_wildcard(lock["key"])


def check_header(record: dict[str, Any] | None) -> Header:
    """Return what stands in `coord.json` if this program knows its format.

    Raises:
        UnsupportedFormat: a later version of gitcoord wrote it.
        UnreadableRecord: there is none.
    """
    if record is None:
        raise UnreadableRecord("coord.json is missing from the log's tip", next="gitcoord doctor", record="coord.json")
    if record["format"] != FORMAT or record["rules"] > RULES:
        raise UnsupportedFormat(
            f"the log has format {record['format']} and rules {record['rules']}; "
            f"this gitcoord knows format {FORMAT} and rules up to {RULES}",
            next="upgrade gitcoord",
        )
    return cast("Header", record)


class State:
    """The state at one commit, or what operations make of it. `fork` before changing what others may look at.

    Attributes:
        tree: the tree that it is read from.
        agreed: in a clone that shares, the state that the remote was last seen to have, for those who show this one;
            no rule looks at it.
    """

    def __init__(self, cache: NodeCache, root: bytes | None, known: Records) -> None:
        """Look at the tree with id `root`; None is the state before the first operation."""
        self.tree = Tree(cache, root)
        self.agreed: State | None = None
        self._cache = cache
        self._records = known

    def fork(self) -> State:
        """Return an independent copy."""
        copy = State(self._cache, None, self._records)
        copy.tree = self.tree.fork()
        copy.agreed = self.agreed
        return copy

    def savepoint(self) -> None:
        """Let `rollback` come back to here."""
        self.tree.savepoint()

    def rollback(self) -> None:
        """Undo every change since the last savepoint: what a rule had changed before it refused."""
        self.tree.rollback()

    def write(self, add: Sink) -> bytes:
        """Hand every new object to `add` and return the id of the state's tree."""

        def learning(kind: bytes, body: bytes) -> bytes:
            oid = add(kind, body)
            if kind == b"blob":
                self._records.written(oid, body)
            return oid

        return self.tree.write(learning)

    def _read(self, parts: Parts, kind: str) -> dict[str, Any] | None:
        found = self.tree.find(parts)
        return None if found is None else self._records.read(self.tree, found, kind, parts)

    # -- the commit and the rules

    @property
    def header(self) -> Header:
        """The `coord.json` of the commit that made this state.

        Raises:
            UnsupportedFormat: a later version of gitcoord wrote it.
            UnreadableRecord: there is none, or it cannot be read.
        """
        return check_header(self._read(_HEADER, "header"))

    @header.setter
    def header(self, header: Header) -> None:
        self.tree.put(_HEADER, self._records.note(header))

    def check_format(self) -> None:
        """Let the state pass if this program knows its format.

        Raises:
            UnsupportedFormat: a later version of gitcoord wrote it.
            UnreadableRecord: there is no `coord.json`, or it cannot be read.
        """
        self.header  # noqa: B018 - reading it checks it

    @property
    def revision(self) -> int:
        """The log's counter at this state; 0 before the first operation."""
        return 0 if self.tree.find(_HEADER) is None else self.header["revision"]

    @property
    def policy(self) -> Policy:
        """The rules that judge the next operation."""
        record = self._read(_POLICY, "policy")
        if record is None:
            raise UnreadableRecord(
                "policy.json is missing from the log's tip", next="gitcoord doctor", record="policy.json"
            )
        return cast("Policy", record)

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self.tree.put(_POLICY, self._records.note(policy))

    @property
    def fold_case(self) -> bool:
        """Whether paths that differ in case only are one path."""
        return self.policy["case"] == "insensitive"

    # -- sessions

    def session(self, session: str) -> Session | None:
        """Return the session that has this id now."""
        parts = session_parts(session)
        record = self._read(parts, "session")
        if record is not None and record["session"] != session:
            raise UnreadableRecord(
                f"{records.shown(parts)} is about another session", next="gitcoord doctor", record=records.shown(parts)
            )
        return cast("Session | None", record)

    def put_session(self, record: Session) -> None:
        """Let this be the session's record."""
        self.tree.put(session_parts(record["session"]), self._records.note(record))

    def drop_session(self, session: str) -> None:
        """Let the session leave the state."""
        self.tree.remove(session_parts(session))

    def session_ids(self) -> list[str]:
        """Return the ids of all sessions, sorted."""
        directory = self.tree.open((b"sessions",))
        found = [] if directory is None else directory.names()
        return sorted(n.removesuffix(_SUFFIX).decode() for n in found)

    def sessions(self) -> Iterator[Session]:
        """Yield the record of every session, by id."""
        for session in self.session_ids():
            record = self.session(session)
            if record is not None:
                yield record

    # -- locks

    def _lock_at(self, directory: Dir, name: bytes, where: Parts) -> Lock:
        found = self.tree.file(directory, name)
        if found is None:
            raise UnreadableRecord(
                f"{records.shown((*where, name))} is not a file", next="gitcoord doctor", record=records.shown(where)
            )
        lock = cast("Lock", self._records.read(self.tree, found, "lock", (*where, name)))
        if holder_name(lock["session"]) != name or not _is_sound(lock) or claim_parts(claim_of(lock)) != where:
            place = records.shown((*where, name))
            message = f"{place} speaks of another lock than its place says; nothing that it protects is granted"
            raise UnreadableRecord(message, next="gitcoord doctor", record=place)
        return lock

    def lock(self, claim: Claim, session: str) -> Lock | None:
        """Return what a session holds on exactly this claim."""
        where = claim_parts(claim)
        directory = self.tree.open(where)
        name = holder_name(session)
        if directory is None or self.tree.file(directory, name) is None:
            return None
        return self._lock_at(directory, name, where)

    def put_lock(self, claim: Claim, lock: Lock) -> None:
        """Let a session hold a claim."""
        self.tree.put((*claim_parts(claim), holder_name(lock["session"])), self._records.note(lock))

    def drop_lock(self, claim: Claim, session: str) -> None:
        """Let a session hold a claim no more."""
        self.tree.remove((*claim_parts(claim), holder_name(session)))

    def _holders(self, directory: Dir, where: Parts) -> Iterator[Lock]:
        for name in sorted(directory.marked()):
            yield self._lock_at(directory, name, where)

    def _below(self, directory: Dir, where: Parts) -> Iterator[Lock]:
        for parts, here, name in self.tree.files(directory, where):
            yield self._lock_at(here, name, parts[:-1])

    def overlapping(self, claim: Claim) -> Iterator[Lock]:
        """Yield every lock, of whomever, whose claim overlaps this one.

        Raises:
            UnreadableRecord: a record on the way is not what it should be.
        """
        if claim.kind == "resource":
            directory = self.tree.open(claim_parts(claim))
            if directory is not None:
                yield from self._holders(directory, claim_parts(claim))
            return
        for lock in self._candidates(claim):
            if paths.overlaps(claim, claim_of(lock)):
                yield lock

    def _candidates(self, claim: Claim) -> Iterator[Lock]:
        """Yield the locks that may overlap: those on the path, below its end, and under names with wildcards."""
        where: Parts = (b"locks",)
        directory = self.tree.open(where)
        for part, name in zip(claim.parts, paths.tree_parts(claim), strict=True):
            if directory is None:
                return
            if paths.has_wildcard(part):
                break
            yield from self._holders(directory, where)
            for wild in sorted(directory.wild()):
                child = self.tree.enter(directory, wild)
                if child is not None and not wild.startswith(b"@"):
                    yield from self._below(child, (*where, wild))
            directory, where = self.tree.enter(directory, name), (*where, name)
        if directory is not None:
            rest = claim.parts[len(where) - 1 :]
            if not rest:
                yield from self._below(directory, where)
            else:
                yield from self._matching(directory, where, rest)

    def _matching(self, directory: Dir, where: Parts, rest: tuple[str, ...]) -> Iterator[Lock]:
        """Yield the locks at and below a directory that a pattern's remaining parts may reach."""
        yield from self._holders(directory, where)
        for name in sorted(directory.names()):
            child = None if name.startswith(b"@") else self.tree.enter(directory, name)
            if child is None:
                continue
            deep = "**" in rest[0] or b"**" in name or len(rest) == 1
            if deep:
                yield from self._below(child, (*where, name))
            elif paths.part_may_match(rest[0], names.decode_part(name)):
                yield from self._matching(child, (*where, name), rest[1:])

    def locks(self, *, resources: bool | None = None) -> Iterator[Lock]:
        """Yield all locks by path: of paths, of named resources, or (None) of both."""
        for top, wanted in ((b"locks", resources is not True), (b"resources", resources is not False)):
            directory = self.tree.open((top,)) if wanted else None
            if directory is not None:
                yield from self._below(directory, (top,))

    def locks_of(self, session: Session) -> Iterator[Lock]:
        """Yield what a session holds. Reads only the names of the others' locks, and stops at its last one."""
        wanted, left = holder_name(session["session"]), session["held"]
        for top in (b"locks", b"resources"):
            directory = self.tree.open((top,)) if left > 0 else None
            for parts, here, name in () if directory is None else self.tree.files(directory, (top,)):
                if name == wanted:
                    yield self._lock_at(here, name, parts[:-1])
                    left -= 1
                    if left <= 0:
                        break

    def faults(self) -> Iterator[IntegrityFault]:
        """Read every record and yield what is wrong with each that cannot be read; one does not hide the next."""
        for look in (lambda: self.header, lambda: self.policy):
            try:
                look()
            except IntegrityFault as error:
                yield error
        for session in self.session_ids():
            try:
                self.session(session)
            except IntegrityFault as error:
                yield error
        for top in (b"locks", b"resources", b"data"):
            yield from self._faults_below(top)

    def _faults_below(self, top: bytes) -> Iterator[IntegrityFault]:
        directory = self.tree.open((top,))
        stack: list[tuple[Parts, Dir]] = [] if directory is None else [((top,), directory)]
        while stack:
            where, here = stack.pop()
            for name in sorted(here.names()):
                try:
                    child = self.tree.enter(here, name)
                    if child is not None:
                        stack.append(((*where, name), child))
                    elif top == b"data":
                        self._read((*where, name), "datum")
                    else:
                        self._lock_at(here, name, where)
                except IntegrityFault as error:
                    yield error if "record" in error.facts else records.placed(error, (*where, name))

    # -- shared state

    def datum(self, scope: str, key: str) -> Datum | None:
        """Return what is stored under a key."""
        parts = key_parts(scope, key)
        record = self._read(parts, "datum")
        if record is not None and (record["scope"], record["key"]) != (scope, key):
            raise UnreadableRecord(
                f"{records.shown(parts)} is about another key", next="gitcoord doctor", record=records.shown(parts)
            )
        return cast("Datum | None", record)

    def put_datum(self, datum: Datum) -> None:
        """Store a value under its key."""
        self.tree.put(key_parts(datum["scope"], datum["key"]), self._records.note(datum))

    def drop_datum(self, scope: str, key: str) -> None:
        """Let a key be missing."""
        self.tree.remove(key_parts(scope, key))

    def keys(self, scope: str) -> list[str]:
        """Return the keys of exactly this scope, sorted."""
        directory = self.tree.open(data_parts(scope))
        found: list[str] = []
        for bucket in () if directory is None else directory.names():
            child = self.tree.enter(directory, bucket) if directory is not None and bucket.startswith(b"@") else None
            if child is not None:
                found.extend(names.decode_text(n.removesuffix(_SUFFIX)) for n in child.names())
        return sorted(found)

    def scopes(self) -> list[str]:
        """Return all scopes that hold a key, sorted."""
        found: list[str] = []
        top = self.tree.open((b"data",))
        stack: list[tuple[tuple[str, ...], Dir]] = [] if top is None else [((), top)]
        while stack:
            parts, directory = stack.pop()
            inside = directory.names()
            if any(n.startswith(b"@") for n in inside):
                found.append("/".join(parts))
            for name in inside:
                child = None if name.startswith(b"@") else self.tree.enter(directory, name)
                if child is not None:
                    stack.append(((*parts, names.decode_text(name)), child))
        return sorted(found)
