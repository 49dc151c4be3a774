"""With which key somebody signs: from what `user.signingKey`, `--key` or `GITCOORD_SIGNING_KEY` may say."""

from __future__ import annotations

import os

from gitcoord.errors import BadRequest, NoKey
from gitcoord.signing import sshkeys
from gitcoord.signing.sshkeys import PublicKey
from gitcoord.values import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gitcoord.signing import Signer


class Wanted(NamedTuple):
    """What a user said.

    Attributes:
        key: the path of an SSH key, private or public; an SSH public key, or one behind `key::`; or how GnuPG names a
            key. None is the default of that kind: the SSH agent's first key, GnuPG's default key.
        kind: `ssh`, `gpg`, or None where the key says it.
        agent: the SSH agent's socket, None where there is none.
        gnupg_home: GnuPG's directory, None for the user's own.
        home: the user's home directory, for `~`.
        gpg_program: which GnuPG signs, as `gpg.program` names it; None for `gpg`.
        ssh_program: what `gpg.ssh.program` names; gitcoord does not run it, and says so where no key is found.
    """

    key: str | None = None
    kind: str | None = None
    agent: str | None = None
    gnupg_home: str | None = None
    home: str = ""
    gpg_program: str | None = None
    ssh_program: str | None = None


def open_signer(wanted: Wanted) -> Signer:
    """Return who signs as it was said.

    Raises:
        NoKey: there is no such key, or nothing that can sign with it.
        BadRequest: what was said names no key.
    """
    if wanted.kind not in (None, "ssh", "gpg"):
        raise BadRequest(f"{wanted.kind!r} is no kind of key that signs here", next="say ssh or gpg")
    if wanted.key is None and wanted.kind != "ssh":
        return _gpg(None, wanted)
    if wanted.key is None:
        return _first_of_agent(wanted)
    literal = sshkeys.parse_public(wanted.key.removeprefix("key::"))
    if literal is not None:
        return _by_agent(literal, wanted)
    path = os.path.join(wanted.home, wanted.key[2:]) if wanted.key.startswith("~/") else wanted.key
    if wanted.kind != "gpg" and os.path.isfile(path):
        return _from_file(path, wanted)
    if wanted.kind == "ssh" or os.sep in path:
        raise NoKey(f"there is no key file {path}", next="make one: ssh-keygen -t ed25519 -f PATH", signer=wanted.key)
    return _gpg(wanted.key, wanted)


def _gpg(key: str | None, wanted: Wanted) -> Signer:
    from gitcoord.signing.gpg import GpgKey

    program = wanted.gpg_program
    if program is not None and program.startswith("~/"):
        program = os.path.join(wanted.home, program[2:])
    return GpgKey(key, wanted.gnupg_home, program)


def _from_file(path: str, wanted: Wanted) -> Signer:
    """Return the signer for a key file: itself, the private key beside a public one, or the agent."""
    public = sshkeys.read_public(path)
    private = path.removesuffix(".pub") if public is not None else path
    if os.path.isfile(private) and private != (path if public is not None else None):
        signer = sshkeys.read_private(private)
        if signer is not None:
            return signer
    if public is None:
        public = sshkeys.read_public(f"{path}.pub")
    if public is None:
        raise NoKey(
            f"{path} is locked with a passphrase, and {path}.pub, which tells the agent which key it is, is missing",
            next=f"ssh-keygen -y -f {path} > {path}.pub; ssh-add {path}",
        )
    return _by_agent(public, wanted)


def _by_agent(public: PublicKey, wanted: Wanted) -> Signer:
    from gitcoord.signing.sshagent import AgentKey

    if wanted.agent is None:
        other = f"; gpg.ssh.program ({wanted.ssh_program}) is not run" if wanted.ssh_program else ""
        raise NoKey(
            f"the key {public.fingerprint} is locked or not here, and no SSH agent runs (SSH_AUTH_SOCK){other}",
            next="eval $(ssh-agent); ssh-add PATH",
            signer=public.fingerprint,
        )
    return AgentKey(wanted.agent, public)


def _first_of_agent(wanted: Wanted) -> Signer:
    from gitcoord.signing.sshagent import listed

    keys = [] if wanted.agent is None else listed(wanted.agent)
    keys = [key for key in keys if key.kind in sshkeys.KINDS]
    if not keys:
        raise NoKey(
            "no SSH key was named, and no agent holds one",
            next="name one: --key PATH, or git config user.signingKey PATH",
        )
    return _by_agent(keys[0], wanted)
