"""SSH signatures as git uses them: the SSHSIG format with the namespace `git`.

Sources: PROTOCOL.sshsig and PROTOCOL.u2f of OpenSSH; RFC 8332 (RSA with SHA-2), RFC 5656 (ECDSA), RFC 8709 (Ed25519).
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64

from gitcoord.envelope import SSH
from gitcoord.signing.sshkeys import fingerprint, pack, unpack
from gitcoord.values import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_MAGIC = b"SSHSIG"
_NAMESPACE = b"git"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_END = b"-----END SSH SIGNATURE-----"
_WIDTH = 70
_CURVES = {
    b"nistp256": ("SECP256R1", "SHA256"),
    b"nistp384": ("SECP384R1", "SHA384"),
    b"nistp521": ("SECP521R1", "SHA512"),
}
_KEYS_KEPT = 1000
_keys: dict[bytes, Any] = {}


class BadSignature(Exception):
    """A signature is malformed, or not one of these bytes."""


def signed_data(payload: bytes) -> bytes:
    """Return the bytes that a key signs for a payload."""
    return _MAGIC + pack(_NAMESPACE, b"", b"sha512", hashlib.sha512(payload).digest())


def armoured(public: bytes, signature: bytes) -> bytes:
    """Return an SSH signature as text.

    Args:
        public: the public key's blob.
        signature: what the key made of `signed_data`, with its algorithm, as SSH packs both.
    """
    blob = _MAGIC + (1).to_bytes(4, "big") + pack(public, _NAMESPACE, b"", b"sha512", signature)
    text = b64encode(blob)
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return b"\n".join([SSH, *lines, _END]) + b"\n"


def raw_signature(key: PrivateKeyTypes, data: bytes) -> bytes:
    """Return what a private key makes of some bytes, with its algorithm, as SSH packs both."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return pack(b"ssh-ed25519", key.sign(data))
    if isinstance(key, rsa.RSAPrivateKey):
        return pack(b"rsa-sha2-512", key.sign(data, padding.PKCS1v15(), hashes.SHA512()))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        bits = key.curve.key_size
        algorithm = {256: hashes.SHA256(), 384: hashes.SHA384()}.get(bits, hashes.SHA512())
        first, second = decode_dss_signature(key.sign(data, ec.ECDSA(algorithm)))
        return pack(b"ecdsa-sha2-nistp%d" % bits, pack(_number(first), _number(second)))
    raise BadSignature("the key is of a kind that signs no commits")


def _number(value: int) -> bytes:
    """Return a number as SSH's mpint, without its length."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def verify(payload: bytes, armour: bytes) -> str:
    """Return the fingerprint of the key that signed a payload.

    Whose key that is, and whether it counts, is not asked here.

    Args:
        payload: the commit without its signature.
        armour: the signature.

    Raises:
        BadSignature: it is not a good signature of these bytes.
    """
    try:
        body = b64decode(armour.strip().removeprefix(SSH).removesuffix(_END).replace(b"\n", b""), validate=True)
        if body[:6] != _MAGIC or body[6:10] != b"\0\0\0\1":
            raise BadSignature("the signature is of an unknown format")
        (public, namespace, _, algorithm, signature), rest = unpack(body[10:], 5)
        (kind, made), more = unpack(signature, 2)
    except (ValueError, NotBase64) as error:
        raise BadSignature(f"the signature is malformed: {error}") from error
    if rest or namespace != _NAMESPACE or algorithm not in _HASHES:
        raise BadSignature(f"the signature is for {namespace.decode(errors='replace')!r}, and not for git")
    data = _MAGIC + pack(_NAMESPACE, b"", algorithm, _HASHES[algorithm](payload).digest())
    from cryptography.exceptions import InvalidSignature

    try:
        _check(public, kind, made, more, data)
    except InvalidSignature as error:
        raise BadSignature("the signature is not one of this commit") from error
    except (ValueError, LookupError, TypeError) as error:
        raise BadSignature(f"the signature is malformed: {error}") from error
    return fingerprint(public)


def _check(public: bytes, kind: bytes, made: bytes, more: bytes, data: bytes) -> None:
    (name,), fields = unpack(public, 1)
    if name in (b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"):
        (raw,), rest = unpack(fields, 1)
        if kind != name:
            raise ValueError("the key and the signature are of two kinds")
        if name != b"ssh-ed25519":
            # A device signs its application, its flags and its counter too.
            (application,), rest = unpack(rest, 1)
            data = hashlib.sha256(application).digest() + more + hashlib.sha256(data).digest()
        if rest or len(more) != (0 if name == b"ssh-ed25519" else 5):
            raise ValueError("there is more in it than belongs there")
        _ed25519(raw).verify(made, data)
    elif more:
        raise ValueError("there is more in it than belongs there")
    elif name == b"ssh-rsa":
        _check_rsa(fields, kind, made, data)
    else:
        _check_ecdsa(name, fields, kind, made, data)


def _ed25519(raw: bytes) -> Any:
    key = _keys.get(raw)
    if key is None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if len(_keys) > _KEYS_KEPT:
            _keys.clear()
        key = _keys[raw] = Ed25519PublicKey.from_public_bytes(raw)
    return key


def _check_rsa(fields: bytes, kind: bytes, made: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    algorithm = {b"rsa-sha2-256": hashes.SHA256(), b"rsa-sha2-512": hashes.SHA512()}[kind]
    (exponent, modulus), rest = unpack(fields, 2)
    if rest:
        raise ValueError("the key is malformed")
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    numbers.public_key().verify(made, data, padding.PKCS1v15(), algorithm)


def _check_ecdsa(name: bytes, fields: bytes, kind: bytes, made: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    (curve, point), rest = unpack(fields, 2)
    (first, second), tail = unpack(made, 2)
    if rest or tail or kind != name or name != b"ecdsa-sha2-" + curve:
        raise ValueError("the key and the signature are of two kinds")
    curve_name, hash_name = _CURVES[curve]
    key = ec.EllipticCurvePublicKey.from_encoded_point(getattr(ec, curve_name)(), point)
    signature = encode_dss_signature(int.from_bytes(first, "big"), int.from_bytes(second, "big"))
    key.verify(signature, data, ec.ECDSA(getattr(hashes, hash_name)()))
