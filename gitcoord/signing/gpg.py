"""OpenPGP signatures by GnuPG, through python-gnupg: the one importer of it.

GnuPG is told never to ask for a passphrase: a key that its agent does not have open is refused at once. Verifying uses
a keyring of its own that holds the keys of the policy and nothing else, so what is in the user's keyring, and whom it
trusts, makes no difference.
"""

# python-gnupg says nothing of its types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from subprocess import Popen, TimeoutExpired

import gnupg  # pyright: ignore[reportMissingTypeStubs] - it has none

from gitcoord.errors import CoordError, NoKey
from gitcoord.signing import TIME_LIMIT_S
from gitcoord.values import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing import Self

_LENGTH = 40
_HEX = frozenset("0123456789ABCDEF")
_QUIET = ["--no-auto-key-retrieve", "--no-auto-check-trustdb", "--trust-model", "always"]
_STATUS = "[GNUPG:] "
_ENDING_S = 1.0  # for what is as good as done: the program has ended
_logger = logging.getLogger("gnupg")


_Base: Any = gnupg.GPG


class _Program(_Base):
    """GnuPG with an end to patience: who does not finish in time is stopped.

    Args:
        limit_s: seconds for each call.
        home: its directory; None is the user's own.
        options: for the program.
        binary: which GnuPG: its path, or a name to be looked for.
    """

    def __init__(
        self, limit_s: float, home: str | None = None, options: list[str] | None = None, binary: str = "gpg"
    ) -> None:
        self._limit_s = limit_s
        self.timed_out = False
        try:
            super().__init__(gpgbinary=binary, gnupghome=home, options=options)
        except (OSError, ValueError) as error:
            way_out = "install gnupg, or sign with an SSH key" if binary == "gpg" else "see git config gpg.program"
            raise NoKey(f"GnuPG cannot be used ({binary}): {error}", next=way_out) from error
        self.encoding = "utf-8"
        _logger.setLevel(logging.CRITICAL)  # what it says is in the results

    def _collect_output(self, process: Popen[bytes], result: Any, writer: Any = None, stdin: Any = None) -> int:
        """Read all that GnuPG says, in this thread; the library starts two for it, which is slow."""
        process.stdin = None  # the library's own thread writes to it and closes it
        try:
            data, said = process.communicate(timeout=self._limit_s)
        except TimeoutExpired:
            self.timed_out = True
            process.kill()
            process.wait()
            data, said = b"", b""
            # Where the user's GnuPG is a script, what that started may live on and keep the pipes open.
            with suppress(TimeoutExpired):
                data, said = process.communicate(timeout=_ENDING_S)
        if writer is not None:
            writer.join(_ENDING_S)
        for pipe in (stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        result.data, result.stderr, result.returncode = data, said.decode(errors="replace"), process.returncode
        # Only at what ends a line of GnuPG's: whoever made a key chose the names in it, which may hold what ends a line
        # elsewhere (U+2028, U+0085), and GnuPG repeats them here.
        for line in result.stderr.split("\n"):
            if line.startswith(_STATUS):
                keyword, _, value = line.removeprefix(_STATUS).rstrip().partition(" ")
                result.handle_status(keyword, value)
        return process.returncode


@lru_cache(maxsize=8)
def _signing_program(home: str | None, binary: str | None = None) -> Any:
    return _Program(TIME_LIMIT_S, home, ["--pinentry-mode", "error"], binary or "gpg")


def is_fingerprint(text: str) -> bool:
    """Tell whether a text is a whole fingerprint of an OpenPGP key."""
    return len(text) == _LENGTH and _HEX.issuperset(text.upper())


class GpgKey:
    """Signs with a key of the user's GnuPG.

    Args:
        wanted: a fingerprint, key id or address, as `user.signingKey` takes it; None is GnuPG's default key.
        home: GnuPG's directory, None for the user's own.
        binary: which GnuPG, as `gpg.program` names it; None is `gpg`.
    """

    kind = "gpg"

    def __init__(self, wanted: str | None, home: str | None = None, binary: str | None = None) -> None:
        """Find the key.

        Raises:
            NoKey: there is none with which this user could sign.
        """
        self._home = home
        self._binary = binary
        found = _signing_program(home, binary).list_keys(True, keys=wanted)
        fingerprints = [str(row["fingerprint"]) for row in found]
        if not fingerprints:
            raise NoKey(
                f"GnuPG has no secret key {wanted or '(by default)'}",
                next="see what there is: gpg --list-secret-keys",
                signer=wanted or "",
            )
        self.fingerprint = fingerprints[0]

    @property
    def public(self) -> str:
        """The public key, armoured."""
        return export_public(self.fingerprint, self._home, self._binary)[1]

    def sign(self, payload: bytes) -> bytes:
        """Return the armoured signature of these bytes.

        Raises:
            NoKey: the key is locked, its agent does not answer in time, or it cannot sign.
        """
        program = _signing_program(self._home, self._binary)
        program.timed_out = False
        # Not as the library's `keyid`: that is GnuPG's `--default-key`, for which it looks through all that it has.
        made = program.sign_file(BytesIO(payload), detach=True, extra_args=["--local-user", self.fingerprint])
        if program.timed_out or not made.data:
            late = f"did not answer within {TIME_LIMIT_S:g} s" if program.timed_out else str(made.status or "refused")
            raise NoKey(
                f"GnuPG did not sign with {self.fingerprint}: {late}",
                next=f"unlock it in a terminal: echo | gpg -u {self.fingerprint} --clearsign",
                signer=self.fingerprint,
            )
        if made.stderr.count(f"{_STATUS}SIG_CREATED ") != 1:
            raise NoKey(
                f"GnuPG signed with more than {self.fingerprint}, and exactly one signature counts here",
                next="see local-user in gpg.conf: gpgconf --list-options gpg",
                signer=self.fingerprint,
            )
        return bytes(made.data)


def export_public(wanted: str, home: str | None = None, binary: str | None = None) -> tuple[str, str]:
    """Return the fingerprint and the armoured text of a public key in the user's keyring.

    Raises:
        NoKey: there is none.
    """
    program = _signing_program(home, binary)
    found = program.list_keys(keys=wanted)
    if not found:
        raise NoKey(f"GnuPG has no public key {wanted}", next="gpg --list-keys")
    fingerprint = str(found[0]["fingerprint"])
    return fingerprint, str(program.export_keys(fingerprint, minimal=True))


def fingerprint_of(scratch: str, armoured: str, binary: str | None = None) -> str | None:
    """Return the fingerprint of an armoured public key, None where it is not exactly one."""
    with _Keyring(scratch, binary) as keyring:
        found = keyring.add(armoured)
    return found[0] if len(found) == 1 else None


class _Keyring:
    """A keyring in a directory of its own, for as long as the block lasts."""

    def __init__(self, scratch: str, binary: str | None = None) -> None:
        os.makedirs(scratch, mode=0o700, exist_ok=True)
        self.home = tempfile.mkdtemp(prefix="keys-", dir=scratch)
        made = False
        try:
            self.program: Any = _Program(TIME_LIMIT_S, self.home, _QUIET, binary or "gpg")
            made = True
        finally:
            if not made:
                shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def add(self, armoured: str) -> list[str]:
        """Add keys and return their fingerprints."""
        result = self.program.import_keys(armoured)
        return list(dict.fromkeys(str(fingerprint) for fingerprint in result.fingerprints if fingerprint))


class _Task(NamedTuple):
    home: str
    binary: str
    payload: bytes
    path: str


def verify_many(scratch: str, signed: list[tuple[bytes, bytes, str]], binary: str | None = None) -> list[str | None]:
    """Return for each signature the fingerprint of the primary key that made it, None where it is not good.

    A key that expired meanwhile still proves what it signed: whether it counts is for the policy to say. One that says
    of itself that it was revoked proves nothing.

    Args:
        scratch: where a keyring may be made.
        signed: what was signed, the armoured signature, and the armoured public keys that may have made it.
        binary: which GnuPG, as `gpg.program` names it; None is `gpg`.

    Raises:
        CoordError: GnuPG cannot be used.
    """
    with _Keyring(scratch, binary) as keyring:
        for armoured in dict.fromkeys(public for _, _, public in signed):
            keyring.add(armoured)
        tasks: list[_Task] = []
        for number, (payload, armour, _) in enumerate(signed):
            path = os.path.join(keyring.home, f"{number}.asc")
            with open(path, "wb") as file:
                file.write(armour)
            tasks.append(_Task(keyring.home, binary or "gpg", payload, path))
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            return list(pool.map(_verify_one, tasks))


_per_thread = threading.local()


def _verify_one(task: _Task) -> str | None:
    program: Any = getattr(_per_thread, "program", None)
    if program is None or program.gnupghome != task.home:
        program = _per_thread.program = _Program(TIME_LIMIT_S, task.home, _QUIET, task.binary)
    program.timed_out = False
    result = program.verify_data(task.path, task.payload)
    if program.timed_out:
        raise CoordError(f"GnuPG did not check a signature within {TIME_LIMIT_S:g} s", next="gpg --version")
    infos: list[dict[str, Any]] = list(result.sig_info.values())
    if len(infos) != 1 or result.pubkey_fingerprint is None:
        return None
    good = bool(result.valid) or result.key_status == "signing key has expired"
    return str(result.pubkey_fingerprint) if good else None


def encrypt(scratch: str, data: bytes, keys: dict[str, str], binary: str | None = None) -> tuple[str, list[str]]:
    """Return data encrypted to public keys, armoured, and the fingerprints of those to which it is.

    A key that only signs, or whose part that encrypts has expired or was revoked, is left out. Where all are, the text
    is empty and nothing was encrypted.

    Args:
        scratch: where a keyring may be made.
        data: what is encrypted.
        keys: armoured public keys by their fingerprints.
        binary: which GnuPG, as `gpg.program` names it; None is `gpg`.

    Raises:
        NoKey: one of them is not what it says, or GnuPG does not encrypt.
    """
    with _Keyring(scratch, binary) as keyring:
        for fingerprint, armoured in keys.items():
            if fingerprint not in keyring.add(armoured):
                raise NoKey(f"{fingerprint} is not the key that the policy holds for it", next="gitcoord keys list")
        # A capital letter stands for what the key as a whole can do today.
        able = {str(row["fingerprint"]) for row in keyring.program.list_keys() if "E" in str(row["cap"])}
        to = [fingerprint for fingerprint in keys if fingerprint in able]
        if not to:
            return "", []
        made = keyring.program.encrypt(data, to, always_trust=True, armor=True)
    if not made.ok:
        raise NoKey(f"GnuPG did not encrypt to {', '.join(to)}: {made.status}", next="gitcoord keys list")
    return str(made), to


def decrypt(text: str, home: str | None = None, binary: str | None = None) -> bytes:
    """Return what an armoured message holds, opened with a key of the user's.

    Raises:
        NoKey: there is none, it is locked, or its agent does not answer in time.
    """
    program = _signing_program(home, binary)
    program.timed_out = False
    made = program.decrypt(text)
    if not made.ok:
        late = f"did not answer within {TIME_LIMIT_S:g} s" if program.timed_out else str(made.status)
        raise NoKey(
            f"the value is sealed, and GnuPG did not open it: {late}",
            next="read it as one of its recipients, with the key unlocked",
        )
    return bytes(made.data)
