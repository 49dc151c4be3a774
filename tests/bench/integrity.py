"""What signing and verifying cost: beside git and pygit2, which read the same and check nothing, and beside gpg."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pygit2

from bench.ground import desk, must
from bench.measure import Row, Sizes, in_turns, timed
from gitcoord.service import initialise, open_desk
from gitcoord.service.access import open_access
from gitcoord.verify import verify_new
from gitcoord.verify.chain import Examination
from support.forge import make_key
from support.repo import LOG_REF, git, make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitcoord.service import Desk

GROUP = "integrity"
_ROUNDS = 3
_FEW = 1000


def rows(place: str, sizes: Sizes) -> Iterator[Row]:
    """Measure verifying, unsigned and signed, and what a signature adds to a lock."""
    key = os.path.join(place, "key")
    make_key(key)
    # Both are made at the same time: nothing of that is measured.
    with ProcessPoolExecutor(2) as makers:
        made = [
            makers.submit(_log, os.path.join(place, name), sizes.many, signs)
            for name, signs in (("plain", None), ("signed", key))
        ]
        plain, signed = (one.result() for one in made)
    names = git(plain, "rev-list", "--objects", LOG_REF).splitlines()
    oids = [line.split(" ", 1)[0] for line in names]
    unsigned, theirs, proven = in_turns(
        _ROUNDS, [lambda _: _verify(plain), lambda _: _read(plain, oids), lambda _: _verify(signed)], before=1
    )
    yield Row(
        GROUP, f"verify, {sizes.many:,} unsigned / git log and pygit2 reading the same", unsigned, theirs, "ms", 5
    )
    yield Row(GROUP, f"verify, {sizes.many:,} signed by SSH / unsigned", proven, unsigned, "ms", 2)
    few = min(_FEW, sizes.many // 2)
    yield Row(GROUP, f"verify_new, {few:,} fetched operations", _arrivals(plain, few), None, "ms", 2000)
    what = f"verify_new, 1 fetched operation on a signed log of {sizes.many:,}"
    yield Row(GROUP, what, _one_arrival(signed, few), None, "ms", 100)
    yield Row(GROUP, "verify again after one operation", _again(plain, sizes), None, "ms", 250)
    yield from _writing(place, key, sizes)
    yield from _with_gpg(place, sizes)


def _log(repo: str, count: int, key: str | None) -> str:
    """Make a log of so many operations of ten sessions."""
    make_repo(repo)
    must(initialise(repo, sign="ssh" if key else "none", key=key))
    desks = [desk(repo, f"session-{number}", durable=False) for number in range(10)]
    for number in range(count - len(desks) - 1):
        _one(desks[number % 10], number)
    return repo


def _one(who: Desk, number: int) -> None:
    step = number // 10 % 4
    if step == 3:
        must(who.unlock_files(all=True))
    elif step == 2:
        must(who.store_data(f"issue:{number % 7}", f"key{number % 50}", {"n": number}))
    else:
        path = f"src/part{number % 100:02}/f{number % 1000:04}.py"
        who.lock_files([path], reason="Measure how much it costs.")


def _verify(repo: str) -> float:
    log = open_access(repo).log

    def run() -> None:
        verdict = Examination(log).run(None, log.tip())[0]
        assert verdict.fault is None, verdict.fault

    return timed(run)


def _read(repo: str, oids: list[str]) -> float:
    store = pygit2.Repository(repo).odb

    def run() -> None:
        subprocess.run(["git", "-C", repo, "log", "--format=%T", LOG_REF], stdout=subprocess.DEVNULL, check=True)
        for oid in oids:
            store.read(oid)

    return timed(run)


def _arrivals(repo: str, count: int) -> float:
    """Verify the newest operations as if they had just been fetched."""
    good = bytes.fromhex(git(repo, "rev-parse", f"{LOG_REF}~{count}"))
    log = open_access(repo).log

    def run() -> None:
        assert verify_new(log, good, log.tip()).fault is None

    return min(timed(run) for _ in range(_ROUNDS))


def _one_arrival(repo: str, count: int) -> float:
    """Verify the newest operation as if it had just been fetched, after the ones before it had been."""
    old, good = (bytes.fromhex(git(repo, "rev-parse", f"{LOG_REF}~{back}")) for back in (count, 1))
    log = open_access(repo).log
    assert verify_new(log, old, good).fault is None

    def run() -> None:
        assert verify_new(log, good, log.tip()).fault is None

    return min(timed(run) for _ in range(_ROUNDS))


def _again(repo: str, sizes: Sizes) -> float:
    who = open_desk(repo, session="session-0", hint="bench")
    must(who.verify())

    def round_of(number: int) -> float:
        _one(who, number)
        return timed(lambda: must(who.verify()))

    return in_turns(max(2, sizes.writes // 20), [round_of])[0]


def _writing(place: str, key: str, sizes: Sizes) -> Iterator[Row]:
    plain, signed = (_holder(os.path.join(place, name), sign) for name, sign in (("w-plain", None), ("w-signed", key)))
    with_key, without = in_turns(sizes.writes, [partial(_lock, signed), partial(_lock, plain)])
    yield Row(GROUP, "one lock signed by SSH / unsigned", with_key, without, "ms", 1.3)


def _holder(repo: str, key: str | None, kind: str = "ssh") -> Desk:
    make_repo(repo)
    must(initialise(repo, sign=kind if key else "none", key=key))
    return open_desk(repo, session="writer", hint="bench")


def _lock(who: Desk, number: int) -> float:
    def run() -> None:
        must(who.lock_files([f"src/f{number:05}.py"]))

    return timed(run)


def _with_gpg(place: str, sizes: Sizes) -> Iterator[Row]:
    home = os.path.join(place, "gnupg")
    os.makedirs(home, mode=0o700)
    os.environ["GNUPGHOME"] = home
    try:
        make = [
            "gpg",
            "-q",
            "--batch",
            "--passphrase",
            "",
            "--quick-gen-key",
            "ada@example.invalid",
            "ed25519",
            "sign",
            "0",
        ]
        subprocess.run(make, check=True, capture_output=True)
        signed = _holder(os.path.join(place, "w-gpg"), "ada@example.invalid", "gpg")
        plain = _holder(os.path.join(place, "w-none"), None)
        rounds = max(3, sizes.writes // 10)
        ours, alone, without = in_turns(rounds, [partial(_lock, signed), _detach_sign, partial(_lock, plain)])
        yield Row(
            GROUP, "one lock signed by GPG / gpg --detach-sign and an unsigned one", ours, alone + without, "ms", 1.2
        )
        yield _gpg_verified(os.path.join(place, "w-gpg"))
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False)
        del os.environ["GNUPGHOME"]


def _detach_sign(_number: int) -> float:
    command = ["gpg", "--batch", "--status-fd=2", "-bsa", "-u", "ada@example.invalid"]
    return timed(lambda: subprocess.run(command, input=b"x" * 400, check=True, capture_output=True))


def _gpg_verified(repo: str) -> Row:
    """Compare checking GPG signatures with git doing so one by one."""
    commits: list[Any] = git(repo, "rev-list", LOG_REF).split()

    def by_git() -> None:
        subprocess.run(["git", "-C", repo, "verify-commit", *commits], check=True, capture_output=True)

    return Row(
        GROUP, f"verify, {len(commits)} signed by GPG / git verify-commit", _verify(repo), timed(by_git), "ms", None
    )
