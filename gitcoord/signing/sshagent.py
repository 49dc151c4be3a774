"""The user's SSH agent, over its socket: which keys it has, and signing with one. No program is started.

Source: draft-miller-ssh-agent.
"""

from __future__ import annotations

import socket
import time

from gitcoord.errors import NoKey
from gitcoord.signing import TIME_LIMIT_S, sshsig
from gitcoord.signing.sshkeys import PublicKey, pack, unpack

_LIST, _LISTED = 11, 12
_SIGN, _SIGNED = 13, 14
_RSA_SHA2_512 = 4
_LONGEST = 256 * 1024


class AgentKey:
    """Signs with a key that an agent holds.

    Args:
        path: the agent's socket.
        public: the key.
        limit_s: how long the agent may take; a key that waits for a touch or a passphrase takes for ever.
    """

    kind = "ssh"

    def __init__(self, path: str, public: PublicKey, limit_s: float = TIME_LIMIT_S) -> None:
        """Ask nothing yet."""
        self._path = path
        self._key = public
        self._limit_s = limit_s
        self.fingerprint = public.fingerprint
        self.public = public.text

    def sign(self, payload: bytes) -> bytes:
        """Return the armoured signature of these bytes.

        Raises:
            NoKey: the agent does not have the key, refused, or did not answer in time.
        """
        flags = _RSA_SHA2_512 if self._key.kind == "ssh-rsa" else 0
        request = bytes([_SIGN]) + pack(self._key.blob, sshsig.signed_data(payload)) + flags.to_bytes(4, "big")
        answer = _ask(self._path, request, self._limit_s)
        if answer[:1] != bytes([_SIGNED]):
            raise NoKey(
                f"the SSH agent did not sign with {self.fingerprint}",
                next="load it: ssh-add PATH; a key that asks for each use cannot be used here",
                signer=self.fingerprint,
            )
        try:
            (signature,), _ = unpack(answer[1:], 1)
        except ValueError as error:
            raise _broken(self._path, str(error)) from error
        return sshsig.armoured(self._key.blob, signature)


def listed(path: str, limit_s: float = TIME_LIMIT_S) -> list[PublicKey]:
    """Return the keys that an agent holds.

    Raises:
        NoKey: it does not answer.
    """
    answer = _ask(path, bytes([_LIST]), limit_s)
    found: list[PublicKey] = []
    try:
        if answer[0] != _LISTED:
            return []
        rest = answer[5:]
        for _ in range(int.from_bytes(answer[1:5], "big")):
            (blob, _comment), rest = unpack(rest, 2)
            found.append(PublicKey(unpack(blob, 1)[0][0].decode(errors="replace"), blob))
    except (ValueError, IndexError) as error:
        raise _broken(path, str(error)) from error
    return found


def _ask(path: str, request: bytes, limit_s: float) -> bytes:
    """Send one request and return the answer, all within the limit."""
    end = time.monotonic() + limit_s
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(limit_s)
            line.connect(path)
            line.sendall(pack(request))
            size = int.from_bytes(_read(line, 4, end), "big")
            if size > _LONGEST:
                raise _broken(path, "its answer is too long")
            return _read(line, size, end)
    except TimeoutError as error:
        raise NoKey(
            f"the SSH agent at {path} did not answer within {limit_s:g} s",
            next="it may wait for a touch or a passphrase: use a key that needs none, as gitcoord keys new makes",
        ) from error
    except OSError as error:
        raise NoKey(f"the SSH agent at {path} cannot be asked: {error}", next="start one: eval $(ssh-agent)") from error


def _read(line: socket.socket, size: int, end: float) -> bytes:
    parts: list[bytes] = []
    while size:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        line.settimeout(left)
        part = line.recv(size)
        if not part:
            raise OSError("it closed the connection")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _broken(path: str, what: str) -> NoKey:
    return NoKey(f"what answers at {path} is no SSH agent: {what}", next="see what SSH_AUTH_SOCK names")
