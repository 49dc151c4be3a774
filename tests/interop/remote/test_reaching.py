"""A remote is reached as the person's own git reaches it, and nobody is ever asked for anything."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitcoord import config
from gitcoord.errors import NoSuchRemote, RemoteUnreachable, SeveralPushUrls, exit_code
from support.clones import INCOMING, LOG_REF, clone_of_nothing, commit, transport
from support.remotes import (
    PASSWORD,
    USER,
    HttpRemote,
    bare_remote,
    daemon_remote,
    free_port,
    hook,
    http_remote,
    ssh_remote,
    wire_to,
)
from support.repo import git

if TYPE_CHECKING:
    pass

ROOT = Path(__file__).parents[3]


@pytest.fixture
def where(tmp_path: Path) -> str:
    return clone_of_nothing(tmp_path / "clone")


# -- where the remote is


def test_rewritten_urls_are_followed_and_shown(where: str, tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "team.git")
    other = bare_remote(tmp_path / "inbox.git")
    git(where, "remote", "add", "origin", "team:team.git")
    git(where, "config", f"url.{tmp_path}/.insteadOf", "team:")
    one = transport(where)
    assert one.url() == remote.path
    assert one.push_urls() == [remote.path]
    assert one.push(commit(where, "one"), None).outcome == "taken"
    assert one.look() == remote.tip()
    git(where, "config", f"url.{other.path}.pushInsteadOf", "team:team.git")
    assert one.push_urls() == [other.path]
    assert one.url() == remote.path
    assert one.push(commit(where, "two"), None).outcome == "taken"
    assert other.tip() != remote.tip()
    assert git(where, "remote", "get-url", "--push", "origin") == other.path


def test_a_push_url_is_pushed_to(where: str, tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "team.git")
    git(where, "remote", "add", "origin", "https://unused.invalid/team.git")
    git(where, "config", "remote.origin.pushurl", remote.url)
    one = transport(where)
    assert one.push_urls() == [remote.url]
    assert one.push(commit(where, "one"), None).outcome == "taken"
    assert remote.tip() is not None


@pytest.mark.parametrize("setting", ["remote.origin.pushurl", "remote.origin.url"])
def test_several_push_urls_are_refused_by_name(where: str, tmp_path: Path, setting: str) -> None:
    first, second = bare_remote(tmp_path / "one.git"), bare_remote(tmp_path / "two.git")
    git(where, "remote", "add", "origin", first.url)
    for url in (first.url, second.url)[setting.endswith(".url") :]:
        git(where, "config", "--add", setting, url)
    one = transport(where)
    assert one.push_urls() == git(where, "remote", "get-url", "--push", "--all", "origin").split()
    for refused in (one.check_usable, lambda: one.push(commit(where, "one"), None)):
        with pytest.raises(SeveralPushUrls) as caught:
            refused()
        assert first.url in caught.value.message
        assert second.url in caught.value.message
        assert exit_code({"error": caught.value.to_dict()}) == 4
    assert first.tip() is second.tip() is None


def test_a_remote_that_does_not_exist_is_named(where: str, tmp_path: Path) -> None:
    one = transport(where, "upstream")
    for asked in (one.check_usable, one.look, one.url, lambda: one.fetch(into=INCOMING)):
        with pytest.raises(NoSuchRemote) as caught:
            asked()
        assert "upstream" in caught.value.message
        assert "git remote add upstream" in caught.value.next
    remote = bare_remote(tmp_path / "team.git")
    remote.let_in(where, "upstream")
    assert one.look() is None, "settings are read again when they changed"


def test_a_url_or_a_path_needs_no_name(where: str, tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "team.git")
    for url in (remote.url, f"file://{remote.path}"):
        one = transport(where, url)
        one.check_usable()
        tip = commit(where, url)
        assert one.push(tip, one.look()).outcome == "taken"
        assert one.fetch(into=INCOMING) == tip
    os.rename(remote.path, f"{where}/../beside.git")
    assert transport(where, "../beside.git").look() == tip
    assert git(where, "remote") == ""


def test_names_and_urls_that_look_like_options_stay_names_and_urls(where: str, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    for remote in ("--upload-pack=touch noted", "-x", f"ext::touch {noted}", f"-oProxyCommand=touch {noted}:x"):
        with pytest.raises(RemoteUnreachable):
            transport(where, remote).look()
        git(where, "config", "remote.odd.url", remote)
        git(where, "config", "protocol.ext.allow", "always")
        with pytest.raises(RemoteUnreachable):
            transport(where, "odd").push(commit(where, "one"), None)
    assert not noted.exists()


def test_a_remote_that_was_taken_away_is_not_reached(where: str, tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "team.git")
    remote.let_in(where)
    tip = commit(where, "one")
    assert transport(where).push(tip, None).outcome == "taken"
    os.rename(remote.path, tmp_path / "away.git")
    one = transport(where)
    for asked in (one.look, lambda: one.fetch(into=INCOMING), lambda: one.push(tip, None)):
        with pytest.raises(RemoteUnreachable) as caught:
            asked()
        assert caught.value.code == "remote_unreachable"
        assert "origin was not reached" in caught.value.message
        assert caught.value.next
        assert exit_code({"error": caught.value.to_dict()}) == 4
    assert git(where, "for-each-ref", INCOMING) == ""


def test_the_users_ssh_command_is_used(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ssh_remote(tmp_path / "served" / "team.git", keys=tmp_path / "keys") as remote:
        git(where, "remote", "add", "origin", f"team-server:{remote.path}")
        ((key, command),) = remote.config
        with pytest.raises(RemoteUnreachable):
            transport(where).look()
        git(where, "config", key, command)
        assert transport(where).look() is None
        git(where, "config", "--unset", key)
        monkeypatch.setenv("GIT_SSH_COMMAND", command)
        assert transport(where).push(commit(where, "one"), None).outcome == "taken"


@pytest.mark.parametrize("how", ["http.proxy", "remote.origin.proxy", "http_proxy"])
def test_a_proxy_is_used(where: str, web: HttpRemote, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    web.remote.let_in(where)
    git(where, "remote", "set-url", "origin", "http://team.invalid/team.git")
    port = web.server.server_address[1]
    # The password is kept for the server's own address.
    git(where, "config", "http.extraHeader", f"Authorization: Basic {_basic()}")

    def through(number: int) -> None:
        if how.islower() and "." not in how:
            monkeypatch.setenv(how, f"http://127.0.0.1:{number}")
        else:
            git(where, "config", how, f"http://127.0.0.1:{number}")

    through(port)
    assert transport(where).push(commit(where, "one"), None).outcome == "taken"
    assert web.server.through_proxy
    through(free_port())
    with pytest.raises(RemoteUnreachable):
        transport(where).look()
    with pytest.raises(RemoteUnreachable):
        transport(where).push(commit(where, "two"), None)


def _basic() -> str:
    import base64

    return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def test_a_server_that_says_nothing_is_given_up(where: str, tmp_path: Path) -> None:
    with daemon_remote(tmp_path / "team.git") as remote, wire_to(int(remote.url.split(":")[2].split("/")[0])) as wire:
        wire.dead = True
        git(where, "remote", "add", "origin", f"git://127.0.0.1:{wire.port}/team.git")
        one = transport(where, limit_s=0.5)
        for asked in (one.look, lambda: one.fetch(into=INCOMING), lambda: one.push(commit(where, "one"), None)):
            with pytest.raises(RemoteUnreachable) as caught:
                asked()
            assert "no answer within 0.5 s" in caught.value.message
    assert list(Path(where, ".git/gitcoord/tmp").iterdir()) == []


# -- who one is


def test_a_password_comes_from_the_credential_helper_only(where: str, web: HttpRemote) -> None:
    web.remote.let_in(where)
    one = transport(where)
    assert one.push(commit(where, "one"), None).outcome == "taken"
    assert any(named for _, _, named in web.server.requests)
    git(where, "config", "--unset", "credential.helper")
    for asked in (one.look, lambda: one.fetch(into=INCOMING), lambda: one.push(commit(where, "two"), None)):
        with pytest.raises(RemoteUnreachable) as caught:
            asked()
        said = caught.value.message  # the second is a newer git's
        assert "could not read Username" in said or "unable to get password from user" in said


def test_a_wrong_password_is_told_and_forgotten_by_nobody_else(where: str, web: HttpRemote, tmp_path: Path) -> None:
    web.remote.let_in(where)
    secrets = tmp_path / "wrong"
    host = web.remote.url.removeprefix("http://").partition("/")[0]
    secrets.write_text(f"http://ada:wrong@{host}\n")
    git(where, "config", "credential.helper", f"store --file={secrets}")
    with pytest.raises(RemoteUnreachable) as caught:
        transport(where).push(commit(where, "one"), None)
    assert "wrong" not in caught.value.message
    assert "Authentication failed" in caught.value.message


def test_passwords_in_urls_are_not_shown(where: str, web: HttpRemote) -> None:
    host = web.remote.url.removeprefix("http://")
    git(where, "remote", "add", "origin", f"http://ada:s3cret@{host}")
    one = transport(where)
    assert one.url() == f"http://{host}"
    assert one.push_urls() == [f"http://{host}"]
    with pytest.raises(RemoteUnreachable) as caught:
        one.look()
    assert "s3cret" not in caught.value.message + caught.value.next + str(caught.value.facts)
    git(where, "config", "--add", "remote.origin.url", f"http://bob:t0ken@{host}")
    with pytest.raises(SeveralPushUrls) as refused:
        transport(where).check_usable()
    assert "t0ken" not in refused.value.message + str(refused.value.facts)


# What an agent's terminal would be asked at: a program that has one, as its controlling terminal.
PROBE = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.path[:0] = {path!r}
from gitcoord.errors import RemoteUnreachable
from gitcoord.remote import Transport
from gitcoord.store.repository import find_repository
open("/dev/tty").close()  # there is a terminal
remote = Transport(find_repository({where!r}, {{}}), "origin", limit_s=20)
tip = bytes({tip!r})
for asked in (remote.look, lambda: remote.fetch(into="refs/gitcoord/incoming/x"), lambda: remote.push(tip, None)):
    try:
        asked()
    except RemoteUnreachable as error:
        print("unreachable", file=sys.stderr)
"""


def run_with_terminal(program: str, **variables: str) -> tuple[bytes, str]:
    """Run a program that has a terminal of its own, and return what was shown there and its standard error."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=its_end,
        stdout=its_end,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**config.environment(), **variables},
    )
    os.close(its_end)
    _, errors = process.communicate(timeout=120)
    shown = os.read(terminal, 4096) if _has_text(terminal) else b""
    os.close(terminal)
    return shown, errors.decode()


def _has_text(terminal: int) -> bool:
    poll = select.poll()  # and not select: a long run may have more descriptors open than that can take
    poll.register(terminal, select.POLLIN)
    return any(event & select.POLLIN for _, event in poll.poll(0))


@pytest.mark.parametrize("kind", ["http", "ssh password", "ssh unknown host", "ssh locked key"])
def test_nobody_is_asked_even_where_there_is_a_terminal(where: str, tmp_path: Path, kind: str) -> None:
    asked = tmp_path / "asked"
    askpass = tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\necho called >> {asked}\necho nothing\n")
    askpass.chmod(0o755)
    program = PROBE.format(path=[str(ROOT)], where=where, tip=list(commit(where, "one")))
    git(where, "config", "core.askPass", str(askpass))
    every = {"GIT_ASKPASS": str(askpass), "SSH_ASKPASS": str(askpass), "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "force"}
    if kind == "http":
        with http_remote(tmp_path / "web" / "team.git", secrets=tmp_path / "secrets") as web:
            git(where, "remote", "add", "origin", web.remote.url)
            shown, errors = run_with_terminal(program, **every)
    else:
        keys = tmp_path / "keys"
        with ssh_remote(tmp_path / "served" / "team.git", keys=keys) as remote:
            remote.let_in(where)
            if kind == "ssh password":
                os.unlink(keys / "user")
            elif kind == "ssh unknown host":
                (keys / "known").write_text("")
            else:
                subprocess.run(["ssh-keygen", "-q", "-p", "-N", "locked", "-f", str(keys / "user")], check=True)
            shown, errors = run_with_terminal(program, **every)
    assert shown == b""
    assert errors == "unreachable\n" * 3
    assert not asked.exists()


# -- what hooks leave in the environment


def test_what_a_hook_inherits_does_not_lead_astray(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = bare_remote(tmp_path / "team.git")
    remote.let_in(where)
    other = clone_of_nothing(tmp_path / "other")
    for name, value in (
        ("GIT_DIR", f"{other}/.git"),
        ("GIT_INDEX_FILE", "/nowhere/index"),
        ("GIT_WORK_TREE", other),
        ("GIT_OBJECT_DIRECTORY", "/nowhere/objects"),
        ("GIT_QUARANTINE_PATH", "/nowhere/quarantine"),
        ("GIT_NAMESPACE", "elsewhere"),
        ("GIT_PREFIX", "src/"),
        ("GIT_TRACE", "1"),
        ("LC_ALL", "de_DE.UTF-8"),
        ("LANGUAGE", "de"),
    ):
        monkeypatch.setenv(name, value)
    one = transport(where)
    tip = bytes.fromhex(_plain(where, "rev-parse", "main"))
    assert one.push(tip, None).outcome == "taken"
    assert one.push(tip, tip).outcome == "taken"
    assert one.fetch(into=INCOMING) is not None
    assert _plain(where, "for-each-ref", "--format=%(refname)", "refs/gitcoord") == INCOMING
    assert _plain(other, "for-each-ref", "--format=%(refname)", "refs/gitcoord") == ""


def _plain(where: str, *words: str) -> str:
    env = {
        name: value for name, value in config.environment().items() if not name.startswith("GIT_") or "CONFIG" in name
    }
    return subprocess.run(
        ["git", "-C", where, *words], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_settings_from_the_environment_stay(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = bare_remote(tmp_path / "team.git")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "remote.origin.url")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", remote.url)
    one = transport(where)
    assert one.url() == remote.url
    assert one.push(commit(where, "one"), None).outcome == "taken"
    clean = config.git_environment(
        {"HOME": "/h", "SSH_AUTH_SOCK": "/s", "https_proxy": "p", "GIT_SSH_COMMAND": "s", "A": "b"}
    )
    assert {"HOME", "SSH_AUTH_SOCK", "https_proxy", "GIT_SSH_COMMAND", "A"} <= clean.keys()


def test_the_remotes_own_hooks_run_undisturbed(where: str, tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "team.git")
    remote.let_in(where)
    seen = tmp_path / "seen"
    look = "env | grep '^GIT_OBJECT_DIRECTORY\\|^GIT_CONFIG_PARAM'; git config core.hooksPath"
    hook(remote, "post-receive", f"{{ cat; {look}; }} > {seen}; exit 0")
    tip = commit(where, "one")
    assert transport(where).push(tip, None).outcome == "taken"
    assert seen.read_text() == f"{'0' * 40} {tip.hex()} {LOG_REF}\n"


def test_a_shared_ssh_connection_does_not_hold_up_the_answer(where: str, tmp_path: Path) -> None:
    """The background master of a shared connection keeps our pipes open; nobody waits for it."""
    with ssh_remote(tmp_path / "served" / "team.git", keys=tmp_path / "keys") as remote:
        socket = tmp_path / "s"
        with (tmp_path / "keys" / "config").open("a") as file:
            file.write(f"  ControlMaster auto\n  ControlPath {socket}\n  ControlPersist 60\n")
        remote.let_in(where)
        try:
            assert transport(where).look() is None
            assert transport(where).push(commit(where, "one"), None).outcome == "taken"
            assert socket.exists()
        finally:
            command = remote.config[0][1].split()
            subprocess.run([*command, "-O", "exit", "team-server"], capture_output=True, check=False)
