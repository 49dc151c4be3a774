"""SSH keys: their texts, fingerprints and files.

Sources: RFC 4253 section 6.6 and RFC 8709 (public keys), PROTOCOL.u2f of OpenSSH (sk keys).
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from gitcoord import principals
from gitcoord.errors import BadRequest, NoKey
from gitcoord.store.disk import read_whole
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

KINDS = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)


class PublicKey(NamedTuple):
    """A public key: its algorithm, and its blob as SSH carries it."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """The fingerprint that `ssh-keygen -l` prints."""
        return fingerprint(self.blob)

    @property
    def text(self) -> str:
        """The key in one line, without a comment."""
        return f"{self.kind} {b64encode(self.blob).decode()}"


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a public key's blob."""
    return principals.ssh_fingerprint(blob)


def pack(*items: bytes) -> bytes:
    """Return byte strings as SSH packs them: each behind its length."""
    return b"".join(len(item).to_bytes(4, "big") + item for item in items)


def unpack(data: bytes, count: int) -> tuple[list[bytes], bytes]:
    """Return so many packed strings from the start of some bytes, and the rest.

    Raises:
        ValueError: there are not so many.
    """
    found: list[bytes] = []
    for _ in range(count):
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size or len(data) < 4:
            raise ValueError("the data ends early")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found, data


def parse_public(text: str) -> PublicKey | None:
    """Return the public key in a line such as `ssh-ed25519 AAAA... comment`, or None where there is none."""
    words = text.strip().split()
    if len(words) < 2 or words[0] not in KINDS:
        return None
    try:
        blob = b64decode(words[1], validate=True)
        kind = unpack(blob, 1)[0][0].decode()
    except ValueError:
        return None
    return PublicKey(words[0], blob) if kind == words[0] else None


def read_public(path: str) -> PublicKey | None:
    """Return the public key in a file, or None where there is no such file or none in it."""
    try:
        content = read_whole(path)
    except FileNotFoundError:
        return None
    return parse_public(content.decode(errors="replace"))


class FileKey:
    """Signs with a private key that lies in a file without a passphrase."""

    kind = "ssh"

    def __init__(self, path: str, key: PrivateKeyTypes) -> None:
        """Use an opened key."""
        from cryptography.hazmat.primitives import serialization

        line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        public = parse_public(line.decode())
        if public is None:
            raise NoKey(f"{path} is a key of a kind that is not known here", next=f"one of {', '.join(KINDS)}")
        self._key = key
        self._public = public
        self.fingerprint = public.fingerprint
        self.public = public.text

    def sign(self, payload: bytes) -> bytes:
        """Return the armoured signature of these bytes."""
        from gitcoord.signing import sshsig

        return sshsig.armoured(self._public.blob, sshsig.raw_signature(self._key, sshsig.signed_data(payload)))


def read_private(path: str) -> FileKey | None:
    """Return the private key in a file; None where it is encrypted, so that only an agent can use it.

    Raises:
        FileNotFoundError: there is no such file.
        BadRequest: it holds no private key.
    """
    content = read_whole(path)
    if b"PRIVATE KEY-----" not in content:
        raise BadRequest(f"{path} holds no private key", next="name a key made by ssh-keygen")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    openssh = b"BEGIN OPENSSH PRIVATE KEY" in content
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        return FileKey(path, load(content, None))
    except TypeError:
        return None  # how the library says that a passphrase is needed
    except UnsupportedAlgorithm:
        return None  # a key of a device: its agent signs
    except ValueError as error:
        raise BadRequest(f"{path} holds no readable private key: {error}", next="ssh-keygen -y -f PATH") from error


def generate(path: str) -> tuple[bytes, FileKey]:
    """Return a fresh Ed25519 key as its file's content, and as what signs; nothing is written.

    Args:
        path: where it is going to lie, for errors.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
    return key.private_bytes(encoding, form, serialization.NoEncryption()), FileKey(path, key)
