"""Which key signs what a session does.

The first that says something counts: `--key`, then `GITCOORD_SIGNING_KEY`; a key that `gitcoord keys new` made for the
session in this clone; the clone's own configuration (`gitcoord.signingKey`, `gitcoord.sign`, which `init --sign` sets);
and the user's git, where it signs commits (`commit.gpgSign`, `gpg.format`, `user.signingKey`). On a log whose policy
names no principals a signature would prove nothing, so there only a key that is named outright is used.
"""

from __future__ import annotations

import os

from gitcoord import config, names, principals, programs
from gitcoord.errors import BadRequest, InvalidName, NoKey
from gitcoord.model import Operation
from gitcoord.runtime.files import names as files_in
from gitcoord.runtime.files import private_dir
from gitcoord.signing import sshkeys
from gitcoord.signing.choose import Wanted, open_signer
from gitcoord.state import State
from gitcoord.store.repository import Repository
from gitcoord.values import TYPE_CHECKING

if TYPE_CHECKING:
    from gitcoord.signing import Signer

_PUBLIC_BYTES = 64 * 1024


class Signers:
    """Finds who signs, once for each session.

    Args:
        repository: whose configuration and runtime directory are asked.
        key: what `--key` says.
    """

    def __init__(self, repository: Repository, key: str | None) -> None:
        """Ask nothing yet."""
        self._repository = repository
        self._env = config.read_environment()
        self._explicit = key or self._env.signing_key
        self._known: dict[str | None, Signer | None] = {}

    def __call__(self, state: State, operations: list[Operation]) -> Signer | None:
        """Return who signs operations on a state; None leaves them unsigned.

        Raises:
            NoKey: there ought to be a key, and there is none.
        """
        if self._explicit is None and not principals.is_signed_log(state.policy):
            return None
        session: str | None = operations[0].get("session")
        if session not in self._known:
            self._known[session] = self.find(session)
        found = self._known[session]
        return self._anybodys() if found is None and session is None else found

    def _anybodys(self) -> Signer | None:
        """Return a signer for what is nobody's in particular, such as a merge: any of this clone's that there is."""
        for signer in self._known.values():
            if signer is not None:
                return signer
        for session in files_in(f"{self._repository.runtime}/keys"):
            path = key_path(self._repository, session)
            if os.path.isfile(path):
                return open_signer(self._wanted(path, "ssh", config.GitSettings()))
        return None

    def find(self, session: str | None) -> Signer | None:
        """Return the signer of a session, None where nothing says that there is one."""
        own = None if session is None else key_path(self._repository, session)
        if self._explicit is None and own is not None and os.path.isfile(own):
            return open_signer(self._wanted(own, "ssh", config.GitSettings()))
        if self._explicit is not None and os.path.isfile(os.path.expanduser(self._explicit)):
            # A file says all that there is to know: git need not be asked.
            return open_signer(self._wanted(self._explicit, None, config.GitSettings()))
        git = config.read_git_config(self._repository.git_dir)
        if self._explicit is not None:
            return open_signer(self._wanted(self._explicit, None, git))
        if git.sign or git.signing_key:
            return open_signer(self._wanted(git.signing_key, git.sign, git))
        return self.of_git(git)

    def of_git(self, git: config.GitSettings) -> Signer | None:
        """Return the signer of the user's own commits, None where git does not sign them."""
        if not git.git_signs:
            return None
        kind = {"ssh": "ssh", "openpgp": "gpg"}.get(git.git_format or "openpgp")
        if kind is None:
            raise NoKey(f"gpg.format is {git.git_format}, which gitcoord cannot sign in", next="use ssh or openpgp")
        return open_signer(self._wanted(_git_key(git, kind), kind, git))

    def named(self, kind: str | None, key: str | None) -> Signer:
        """Return the signer that `init --sign` asks for; without a key, the one that git is set to."""
        git = config.read_git_config(self._repository.git_dir)
        if key is None and self._explicit is None:
            fits = (git.git_format or "openpgp") == {"gpg": "openpgp"}.get(kind or "", kind)
            key = _git_key(git, kind) if fits else None
        return open_signer(self._wanted(key or self._explicit, kind, git))

    def _wanted(self, key: str | None, kind: str | None, git: config.GitSettings) -> Wanted:
        env = self._env
        home = os.path.expanduser("~")
        return Wanted(key, kind, env.agent_socket, env.gnupg_home, home, git.gpg_program, git.ssh_program)


def _git_key(git: config.GitSettings, kind: str | None) -> str | None:
    """Return the key with which the user's git signs: the one that is named, or what its command tells."""
    if git.git_key is None and kind == "ssh" and git.ssh_default_key is not None:
        return config.ask_default_key(git.ssh_default_key)
    return git.git_key


def key_path(repository: Repository, session: str) -> str:
    """Return where the key of a session lies, if it has one of its own."""
    return f"{repository.runtime}/keys/{session}/id_ed25519"


def make_key(repository: Repository, session: str) -> tuple[str, sshkeys.FileKey]:
    """Make an Ed25519 key for a session and return its path and the key; one that is there is kept.

    Raises:
        StorageFault: it cannot be written.
    """
    from gitcoord.store.disk import write_new

    path = key_path(repository, session)
    private_dir(os.path.dirname(path))
    text, made = sshkeys.generate(path)
    try:
        write_new(path, text, mode=0o600, sync=True)
    except FileExistsError:
        found = sshkeys.read_private(path)
        if found is None:
            raise NoKey(f"{path} cannot be used without a passphrase", next=f"rm {path}") from None
        return path, found
    write_new(f"{path}.pub", f"{made.public} {session}\n".encode(), mode=0o644, sync=False)
    return path, made


def own_public(repository: Repository, session: str) -> tuple[str, str, str] | None:
    """Return the kind, the fingerprint and the text of the key that was made for a session here, if one was."""
    try:
        names.check_session_id(session)
    except InvalidName:
        return None
    found = sshkeys.read_public(f"{key_path(repository, session)}.pub")
    return None if found is None else ("ssh", found.fingerprint, found.text)


def public_key(repository: Repository, text: str) -> tuple[str, str, str]:
    """Return the kind, the fingerprint and the text of a public key that somebody names.

    Args:
        repository: its runtime directory is where a keyring may be made for a moment.
        text: an SSH public key; the path of one, or of an armoured GPG key; or how the user's GnuPG names a key.

    Raises:
        BadRequest: it is none.
    """
    found = sshkeys.parse_public(text.removeprefix("key::"))
    path = os.path.expanduser(text)
    if found is None and os.path.isfile(path):
        if os.path.getsize(path) > _PUBLIC_BYTES:
            raise BadRequest(
                f"{path} is too large for a public key", next="export it: gpg --armor --export-options minimal"
            )
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read()
        found = sshkeys.parse_public(content) or sshkeys.read_public(f"{path}.pub")
        if found is None and "BEGIN PGP PUBLIC KEY BLOCK" in content:
            return _armoured(repository, content)
        if found is None:
            raise BadRequest(f"{path} holds no public key", next="name an SSH .pub file or an armoured GPG key")
    if found is not None:
        return "ssh", found.fingerprint, found.text
    if "BEGIN PGP PUBLIC KEY BLOCK" in text:
        return _armoured(repository, text)
    from gitcoord.signing import gpg

    git = config.read_git_config(repository.git_dir)
    fingerprint, armoured = gpg.export_public(text, config.read_environment().gnupg_home, git.gpg_program)
    return "gpg", fingerprint, armoured


def check_gpg(repository: Repository, fingerprint: str, text: str) -> None:
    """Let the armoured text of a GPG key pass that holds the key of a fingerprint, and no other.

    Raises:
        BadRequest: it does not.
        NoKey: GnuPG cannot be asked.
    """
    held = _armoured(repository, text)[1]
    if held != fingerprint:
        raise BadRequest(
            f"the text of the GPG key {fingerprint} is another key, {held}", next=f"gpg --armor --export {fingerprint}"
        )


def _armoured(repository: Repository, text: str) -> tuple[str, str, str]:
    from gitcoord.signing import gpg

    program = programs.gpg_program(repository.git_dir)
    fingerprint = gpg.fingerprint_of(os.path.join(repository.runtime, "tmp"), text, program)
    if fingerprint is None:
        raise BadRequest("that is not exactly one GPG key", next="gpg --armor --export FINGERPRINT")
    return "gpg", fingerprint, text
