"""The format of SSH signatures: what is good, what is not, and signatures of devices."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitcoord import envelope
from gitcoord.signing import sshkeys, sshsig
from gitcoord.signing.sshkeys import fingerprint, pack

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"tree 1\nauthor a\n\nmessage\n"


@pytest.fixture
def key() -> sshkeys.FileKey:
    """Return a fresh key."""
    return sshkeys.generate("key")[1]


def test_a_signature_names_its_key(key: sshkeys.FileKey) -> None:
    assert sshsig.verify(TEXT, key.sign(TEXT)) == key.fingerprint


def test_other_bytes_are_not_what_was_signed(key: sshkeys.FileKey) -> None:
    with pytest.raises(sshsig.BadSignature, match="not one of this commit"):
        sshsig.verify(TEXT + b"x", key.sign(TEXT))


@pytest.mark.parametrize("at", [6, 9, 20, 60, 100, 150, -1])
def test_a_flipped_bit_anywhere_is_noticed(key: sshkeys.FileKey, at: int) -> None:
    lines = key.sign(TEXT).strip().split(b"\n")
    blob = bytearray(b64decode(b"".join(lines[1:-1])))
    blob[at] ^= 1
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(TEXT, b"\n".join([lines[0], b64encode(bytes(blob)), lines[-1]]))


@pytest.mark.parametrize("armour", [b"", b"nonsense", envelope.SSH, envelope.SSH + b"\nAAAA\n"])
def test_what_is_no_signature_is_bad(armour: bytes) -> None:
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(TEXT, armour)


@pytest.mark.parametrize("flags", [b"\0", b"\1"], ids=["without a touch", "with a touch"])
def test_the_signature_of_a_device_is_good(flags: bytes) -> None:
    key = Ed25519PrivateKey.generate()
    kind, application, counter = b"sk-ssh-ed25519@openssh.com", b"ssh:", b"\0\0\0\7"
    public = pack(kind, key.public_key().public_bytes_raw(), application)
    data = sshsig.signed_data(TEXT)
    signed = hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(data).digest()
    armour = sshsig.armoured(public, pack(kind, key.sign(signed)) + flags + counter)
    assert sshsig.verify(TEXT, armour) == fingerprint(public)
    forged = sshsig.armoured(public, pack(kind, key.sign(signed)) + flags + b"\0\0\0\x08")
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(TEXT, forged)


def test_a_body_comes_apart_as_it_was_put_together(key: sshkeys.FileKey) -> None:
    for size in (20, 32):
        body = envelope.wrap(TEXT, key.sign(TEXT), size)
        opened = envelope.unwrap(body)
        assert opened.payload == TEXT
        assert opened.signatures == [(envelope.header_name(size), key.sign(TEXT))]
    assert envelope.unwrap(TEXT) == (TEXT, [])


def test_a_message_that_speaks_of_signatures_has_none() -> None:
    text = TEXT + b"gpgsig -----BEGIN SSH SIGNATURE-----\n x\n"
    assert envelope.unwrap(text) == (text, [])


def test_a_locked_key_is_for_the_agent_and_a_public_one_is_no_private_one(tmp_path: Path) -> None:
    text, key = sshkeys.generate("key")
    (tmp_path / "key").write_bytes(text)
    opened = sshkeys.read_private(str(tmp_path / "key"))
    assert opened is not None
    assert opened.fingerprint == key.fingerprint
    assert sshkeys.parse_public(key.public + " a comment") == sshkeys.parse_public(key.public)
    for bad in ("", "ssh-ed25519", "ssh-ed25519 !!!!", "ssh-rsa " + key.public.split()[1], "unknown AAAA"):
        assert sshkeys.parse_public(bad) is None
