"""Signatures both ways: git accepts ours, and ours accepts git's; no key, no answer, no write."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitcoord import envelope
from gitcoord.errors import NoKey
from gitcoord.signing import gpg, sshagent, sshsig
from gitcoord.signing.sshkeys import pack, parse_public, unpack
from support.forge import make_key
from support.program import program_env, run
from support.repo import LOG_REF, git, git_bytes, log_length, make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEVICE = b"sk-ssh-ed25519@openssh.com"


@pytest.fixture
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a GnuPG directory with a key that is open and one that is locked; its agent is ended with it."""
    home = str(tmp_path_factory.mktemp("g"))
    os.chmod(home, 0o700)
    base = ["gpg", "--homedir", home, "-q", "--batch", "--pinentry-mode", "loopback"]
    for passphrase, who in (("", "Ada Test <ada@example.invalid>"), ("locked", "Locked <locked@example.invalid>")):
        made = [*base, "--passphrase", passphrase, "--quick-gen-key", who, "ed25519", "sign", "0"]
        subprocess.run(made, check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)


def ssh_repo(tmp_path: Path, *, sha256: bool = False) -> str:
    """Return a repository with a log that is signed with the key `ada`, which git trusts."""
    repo = make_repo(tmp_path / "repo", sha256=sha256)
    key = make_key(str(tmp_path / "ada"))
    (tmp_path / "allowed").write_text(f"ada@example.invalid {key.public}\n")
    git(repo, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "allowed"))
    made = run(repo, "init", "--sign", "ssh", "--key", str(tmp_path / "ada"))
    assert made.code == 0, made.err
    assert run(repo, "lock", "a.py", "-m", "why").code == 0
    return repo


@pytest.mark.parametrize("sha256", [False, True], ids=["sha1", "sha256"])
def test_git_accepts_our_ssh_signatures_on_every_commit(tmp_path: Path, sha256: bool) -> None:
    repo = ssh_repo(tmp_path, sha256=sha256)
    assert set(git(repo, "log", "--format=%G?", LOG_REF).split()) == {"G"}
    git(repo, "verify-commit", LOG_REF)
    assert git(repo, "fsck", "--strict") == ""
    assert run(repo, "verify").code == 0


def test_git_accepts_our_gpg_signatures(tmp_path: Path, gnupg: str) -> None:
    repo = make_repo(tmp_path / "repo")
    env = {"GNUPGHOME": gnupg}
    made = run(repo, "init", "--sign", "gpg", "--key", "ada@example.invalid", env=env)
    assert made.code == 0, made.err
    assert run(repo, "lock", "a.py", env=env).code == 0
    for commit in git(repo, "rev-list", LOG_REF).split():
        git(repo, "verify-commit", commit, env=env)
    # The keys lie on the log: nobody's keyring is asked.
    checked = run(repo, "verify", "--json")
    assert (checked.code, checked.json["signed"]) == (0, {"Ada Test": 3})


def test_a_second_key_in_the_users_settings_is_a_refusal(tmp_path: Path, gnupg: str) -> None:
    second = ["gpg", "--homedir", gnupg, "-q", "--batch", "--passphrase", "", "--quick-gen-key", "two@example.invalid"]
    subprocess.run([*second, "ed25519", "sign", "0"], check=True, capture_output=True)
    key = gpg.GpgKey("ada@example.invalid", gnupg)
    assert gpg.verify_many(str(tmp_path), [(b"x", key.sign(b"x"), key.public)]) == [key.fingerprint]
    with open(f"{gnupg}/gpg.conf", "w", encoding="utf-8") as settings:
        settings.write("local-user two@example.invalid\n")
    with pytest.raises(NoKey, match="exactly one"):
        key.sign(b"x")


def test_a_program_whose_child_lives_on_is_a_refusal_within_the_limit(
    tmp_path: Path, gnupg: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    never, script = str(tmp_path / "never"), str(tmp_path / "my-gpg")
    os.mkfifo(never)
    with open(script, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\ncase "$*" in *detach*) cat {never};; *) exec gpg "$@";; esac\n')
    os.chmod(script, 0o700)
    monkeypatch.setattr(gpg, "TIME_LIMIT_S", 0.5)
    key = gpg.GpgKey("ada@example.invalid", gnupg, script)
    with pytest.raises(NoKey, match="did not answer"):
        key.sign(b"x")
    os.close(os.open(never, os.O_WRONLY))  # it waited for this all the time, and ends


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_a_name_in_a_key_is_never_taken_for_what_gnupg_says(tmp_path: Path, gnupg: str, end: str) -> None:
    """GnuPG repeats the name in a key whose signature is bad: one that reads like an answer would forge any key."""
    root = gpg.GpgKey("ada@example.invalid", gnupg)
    said = [
        "SIG_ID made-up 2026-01-01 1",
        f"EXPKEYSIG {root.fingerprint[-16:]} Ada Test",
        f"VALIDSIG {root.fingerprint} 2026-01-01 1 0 4 0 22 8 00 {root.fingerprint}",
    ]
    name = end.join(["Mallory", *(f"[GNUPG:] {line}" for line in said), " <mallory@example.invalid>"])
    make = ["gpg", "--homedir", gnupg, "-q", "--batch", "--passphrase", "", "--quick-gen-key", name, "ed25519", "sign"]
    subprocess.run([*make, "0"], check=True, capture_output=True)
    mallory = gpg.GpgKey("mallory@example.invalid", gnupg)
    signature = mallory.sign(b"one")
    keys = root.public + mallory.public
    assert gpg.verify_many(str(tmp_path), [(b"one", signature, keys)]) == [mallory.fingerprint]
    assert gpg.verify_many(str(tmp_path), [(b"two", signature, keys)]) == [None]


def test_ours_accept_what_git_signs(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    key = make_key(str(tmp_path / "ada"))
    os.chmod(tmp_path / "ada", 0o600)
    settings = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={tmp_path}/ada"]
    git(repo, *settings, "commit", "-S", "--allow-empty", "-m", "signed by git")
    opened = envelope.unwrap(git_bytes(repo, "cat-file", "commit", "HEAD"))
    assert sshsig.verify(opened.payload, opened.signatures[0][1]) == key.fingerprint
    with pytest.raises(sshsig.BadSignature):
        sshsig.verify(opened.payload + b" ", opened.signatures[0][1])


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_keys_of_every_kind_sign_and_are_accepted_by_git(tmp_path: Path, kind: str) -> None:
    repo = make_repo(tmp_path / "repo")
    path = str(tmp_path / "key")
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "allowed").write_text(f"* {public}")
    git(repo, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "allowed"))
    assert run(repo, "init", "--sign", "ssh", "--key", path).code == 0
    git(repo, "verify-commit", LOG_REF)
    assert run(repo, "verify").code == 0


def test_a_locked_key_is_a_refusal_and_nothing_is_written(tmp_path: Path, gnupg: str) -> None:
    repo = ssh_repo(tmp_path)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "shut")], check=True)
    before = log_length(repo), sorted(os.listdir(f"{repo}/.git/gitcoord/objects"))
    for key in (str(tmp_path / "shut"), "locked@example.invalid", str(tmp_path / "missing"), "nobody@nowhere"):
        done = run(repo, "lock", "b.py", "--key", key, "--json", env={"GNUPGHOME": gnupg})
        assert (done.code, done.json["error"]["code"]) in {(1, "no_key"), (1, "not_permitted")}
    assert (log_length(repo), sorted(os.listdir(f"{repo}/.git/gitcoord/objects"))) == before


def test_an_agent_signs_over_its_socket(tmp_path: Path) -> None:
    repo = ssh_repo(tmp_path)
    path = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE)
    try:
        assert agent.stdout is not None
        agent.stdout.readline()
        env = {"SSH_AUTH_SOCK": path}
        os.chmod(tmp_path / "ada", 0o600)
        subprocess.run(["ssh-add", "-q", str(tmp_path / "ada")], check=True, env=program_env(**env))
        os.unlink(tmp_path / "ada")
        public = (tmp_path / "ada.pub").read_text().strip()
        for number, key in enumerate((public, f"key::{public}", str(tmp_path / "ada.pub"))):
            done = run(repo, "lock", f"f{number}.py", "--key", key, env=env)
            assert done.code == 0, done.err
    finally:
        agent.terminate()
        agent.wait()
        assert agent.stdout is not None
        agent.stdout.close()
    assert set(git(repo, "log", "--format=%G?", LOG_REF).split()) == {"G"}


class Device:
    """An SSH agent that holds one key of a security device, as such a device signs where no touch is asked."""

    def __init__(self, path: str) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.blob = pack(_DEVICE, self._key.public_key().public_bytes_raw(), b"ssh:")
        self.public = f"{_DEVICE.decode()} {base64.b64encode(self.blob).decode()}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(path)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            line, _ = self._socket.accept()
            with line:
                size = int.from_bytes(line.recv(4, socket.MSG_WAITALL), "big")
                if not size:
                    return
                (_blob, data), _ = unpack(line.recv(size, socket.MSG_WAITALL)[1:], 2)
                more = b"\0" + (7).to_bytes(4, "big")  # the flags say that nobody touched it
                signed = hashlib.sha256(b"ssh:").digest() + more + hashlib.sha256(data).digest()
                line.sendall(pack(b"\x0e" + pack(pack(_DEVICE, self._key.sign(signed)) + more)))

    def close(self) -> None:
        """End it."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self._socket.getsockname())
            line.sendall(bytes(4))
        self._thread.join()
        self._socket.close()


def test_a_device_that_needs_no_touch_signs_over_the_agents_socket(tmp_path: Path) -> None:
    repo, path = make_repo(tmp_path / "repo"), str(tmp_path / "agent")
    device = Device(path)
    try:
        env = {"SSH_AUTH_SOCK": path}
        made = run(repo, "init", "--sign", "ssh", "--key", f"key::{device.public}", env=env)
        assert made.code == 0, made.err
        assert run(repo, "lock", "a.py", env=env).code == 0
        assert run(repo, "verify").code == 0
        (tmp_path / "allowed").write_text(f"ada@example.invalid {device.public}\n")
        git(repo, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "allowed"))
        git(repo, "verify-commit", LOG_REF)
    finally:
        device.close()
    # Named by its file, without an agent: what is missing is said, and nobody is asked to touch anything.
    (tmp_path / "id_sk.pub").write_text(device.public + "\n")
    refused = run(repo, "lock", "b.py", "--key", str(tmp_path / "id_sk.pub"), "--json", env={"SSH_AUTH_SOCK": ""})
    assert (refused.code, refused.json["error"]["code"]) == (1, "no_key")
    assert "ssh-add" in refused.json["error"]["next"]


def test_an_agent_that_never_answers_is_a_refusal_within_the_limit(tmp_path: Path) -> None:
    key = make_key(str(tmp_path / "key"))
    public = parse_public(key.public)
    assert public is not None
    path = str(tmp_path / "mute")
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(path)
        mute.listen()
        held: list[socket.socket] = []
        waiting = threading.Thread(target=lambda: held.append(mute.accept()[0]))
        waiting.start()
        with pytest.raises(NoKey, match="did not answer"):
            sshagent.AgentKey(path, public, limit_s=0.2).sign(b"x")
        waiting.join()
        held[0].close()


def test_a_session_has_a_key_of_its_own(tmp_path: Path) -> None:
    repo = ssh_repo(tmp_path)
    made = run(repo, "keys", "new", "bot-1", "--json").json
    assert os.stat(made["path"]).st_mode & 0o777 == 0o600
    assert run(repo, "keys", "add", "bot", "bot-1", "--role", "agent").code == 0
    assert run(repo, "lock", "b.py", "--session", "bot-1").code == 0
    entry = run(repo, "log", "-n", "1", "--json").json["entries"][0]
    assert (entry["signer"], entry["proven"]) == ("bot", True)
    refused = run(repo, "unlock", "a.py", "--session", "bot-1", "--key", made["path"], "--json")
    assert refused.json["not_held"] == ["a.py"]


def test_gits_own_settings_are_the_default(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    make_key(str(tmp_path / "ada"))
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", f"{tmp_path}/ada"), ("commit.gpgSign", "true")):
        git(repo, "config", name, value)
    assert run(repo, "init").code == 0
    assert run(repo, "lock", "a.py").code == 0
    assert run(repo, "verify", "--json").json["signed"] == {"Ada Test": 3}
    plain = make_repo(tmp_path / "plain")
    assert run(plain, "init", "--sign", "none").code == 0
    assert run(plain, "verify", "--json").json["unsigned"] == 1


def test_the_gnupg_that_git_is_told_to_use_signs(tmp_path: Path, gnupg: str) -> None:
    repo = make_repo(tmp_path / "repo")
    program = tmp_path / "my-gpg"
    program.write_text(f'#!/bin/sh\necho used >>{tmp_path}/calls\nexec gpg "$@"\n')
    program.chmod(0o755)
    git(repo, "config", "gpg.program", str(program))
    env = {"GNUPGHOME": gnupg}
    assert run(repo, "init", "--sign", "gpg", "--key", "ada@example.invalid", env=env).code == 0
    assert (tmp_path / "calls").read_text().startswith("used")
    git(repo, "config", "gpg.program", str(tmp_path / "nowhere"))
    done = run(repo, "lock", "a.py", "--json", env=env)
    assert (done.code, done.json["error"]["code"]) == (1, "no_key")
    assert "nowhere" in done.json["error"]["message"]
    assert "gpg.program" in done.json["error"]["next"]


def test_the_command_that_tells_git_its_key_is_asked(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    key = make_key(str(tmp_path / "ada"))
    for name, value in (
        ("gpg.format", "ssh"),
        ("commit.gpgSign", "true"),
        ("gpg.ssh.defaultKeyCommand", f"echo '{tmp_path}/ada'"),
        ("gpg.ssh.program", "/opt/somebody/signs"),
    ):
        git(repo, "config", name, value)
    done = run(repo, "init", "--json")
    assert (done.code, done.json["root"]) == (0, key.fingerprint)
    git(repo, "config", "gpg.ssh.defaultKeyCommand", f"cat '{tmp_path}/ada.pub'")
    refused = run(repo, "lock", "a.py", "--json", env={"SSH_AUTH_SOCK": ""})
    assert (refused.code, refused.json["error"]["code"]) == (1, "no_key")
    assert "/opt/somebody/signs" in refused.json["error"]["message"]  # it is not run, and that is said
    git(repo, "config", "gpg.ssh.defaultKeyCommand", "false")
    assert "defaultKeyCommand" in run(repo, "lock", "a.py", "--json").json["error"]["message"]


def test_a_seal_names_those_whom_it_cannot_reach(tmp_path: Path) -> None:
    repo = ssh_repo(tmp_path)
    before = log_length(repo)
    done = run(repo, "data", "set", "s", "k", '"x"', "--seal", "--json")
    assert (done.code, done.json["without"]) == (1, ["Ada Test"])
    assert "Ada Test" in done.json["error"]["message"]
    assert log_length(repo) == before


def _gpg_key(home: str, who: str, *usage: str) -> str:
    """Make a key, and return its fingerprint."""
    base = ["gpg", "--homedir", home, "-q", "--batch", "--passphrase", ""]
    subprocess.run([*base, "--quick-gen-key", who, "ed25519", "sign", "0"], check=True, capture_output=True)
    listed = subprocess.run([*base, "--with-colons", "-k", who], check=True, capture_output=True, text=True).stdout
    made = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
    for kind in usage:
        subprocess.run([*base, "--quick-add-key", made, "cv25519", kind, "0"], check=True, capture_output=True)
    return made


def test_a_key_that_only_signs_stops_nobody_elses_seal(tmp_path: Path, gnupg: str) -> None:
    repo, env = make_repo(tmp_path / "repo"), {"GNUPGHOME": gnupg}
    assert run(repo, "init", "--sign", "gpg", "--key", "ada@example.invalid", env=env).code == 0
    before = log_length(repo)
    refused = run(repo, "data", "set", "s", "k", '"x"', "--seal", "--json", env=env)
    assert (refused.code, refused.json["without"]) == (1, ["Ada Test"]), refused
    assert "Ada Test" in refused.json["error"]["message"]
    assert "gitcoord keys add" in refused.json["error"]["next"]
    assert log_length(repo) == before
    able = _gpg_key(gnupg, "bob@example.invalid", "encr")
    assert run(repo, "keys", "add", "bob", able, env=env).code == 0
    sealed = run(repo, "data", "set", "s", "k", '"x"', "--seal", "--json", env=env)
    assert sealed.code == 0, sealed
    assert ["Ada Test" in word and "only signs" in word for word in sealed.json["warnings"]] == [True]
    assert run(repo, "data", "get", "s", "k", "--json", env=env).json["value"] == "x"
    more = _gpg_key(gnupg, "ada-too@example.invalid", "encr")
    assert run(repo, "keys", "add", "Ada Test", more, env=env).code == 0
    assert not run(repo, "data", "set", "s", "k", '"x"', "--seal", "--json", env=env).json["warnings"]
    assert run(repo, "verify").code == 0


def test_a_policy_whose_gpg_text_is_another_key_is_refused(tmp_path: Path, gnupg: str) -> None:
    repo, env = make_repo(tmp_path / "repo"), {"GNUPGHOME": gnupg}
    assert run(repo, "init", "--sign", "gpg", "--key", "ada@example.invalid", env=env).code == 0
    policy: dict[str, Any] = run(repo, "policy", "show", "--json").json["policy"]
    mine = policy["principals"]["Ada Test"]["keys"][0]
    bob = _gpg_key(gnupg, "bob@example.invalid", "encr")
    policy["principals"]["bob"] = {"roles": ["member"], "keys": [{**mine, "fingerprint": bob}]}
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy))
    before = log_length(repo)
    refused = run(repo, "policy", "set", str(file), env=env)
    assert (refused.code, f"{bob} is another key, {mine['fingerprint']}" in refused.err) == (2, True), refused
    assert log_length(repo) == before
    text = subprocess.run(["gpg", "--homedir", gnupg, "--armor", "--export", bob], check=True, capture_output=True)
    policy["principals"]["bob"]["keys"][0]["public"] = text.stdout.decode()
    file.write_text(json.dumps(policy))
    assert run(repo, "policy", "set", str(file), env=env).code == 0
    assert run(repo, "verify", env=env).code == 0


def test_the_users_own_gnupg_verifies_seals_and_opens_too(tmp_path: Path, gnupg: str) -> None:
    repo, env = make_repo(tmp_path / "repo"), {"GNUPGHOME": gnupg}
    key = _gpg_key(gnupg, "bob@example.invalid", "encr")
    assert run(repo, "init", "--sign", "gpg", "--key", key, env=env).code == 0
    called, program = tmp_path / "called", tmp_path / "my-gpg"
    program.write_text(f'#!/bin/sh\necho "$@" >>{called}\nexec gpg "$@"\n')
    program.chmod(0o700)
    git(repo, "config", "gpg.openpgp.program", str(program))
    for words, what in (
        (("verify", "--anew"), "--verify"),
        (("data", "set", "s", "k", "1", "--seal"), "--encrypt"),
        (("data", "get", "s", "k"), "--decrypt"),
    ):
        called.write_text("")
        assert run(repo, *words, env=env).code == 0
        assert what in called.read_text(), words
    git(repo, "config", "gpg.openpgp.program", str(tmp_path / "nowhere"))
    missing = run(repo, "verify", "--anew", "--json")
    assert missing.code == 3
    assert "nowhere" in missing.json["error"]["message"]
