"""Real remotes on this machine, of every kind that git reaches: paths, `git://`, `http://` with a password, `ssh`.

Each context manager yields a `Remote`: its URL, where its repository lies on the disk, and the git configuration that a
clone needs to get in, as its person would have it (a credential helper, an ssh configuration). Servers listen on
loopback, on ports of their own, and are gone when the block is left.
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import http.server
import os
import signal
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from support.procs import wait_until
from support.repo import git, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

USER, PASSWORD = "ada", "cor/rect h@rse"
_TRIES = 5


class Remote(NamedTuple):
    """A repository that others push to.

    Attributes:
        url: what a clone calls it.
        path: its git directory.
        config: settings that a clone needs to reach it, keys and values.
    """

    url: str
    path: str
    config: tuple[tuple[str, str], ...] = ()

    def let_in(self, clone: str, name: str = "origin") -> None:
        """Make this the remote of a clone under a name, with the settings that it needs."""
        if name in git(clone, "remote").split():
            git(clone, "remote", "remove", name)
        git(clone, "remote", "add", name, self.url)
        for key, value in self.config:
            git(clone, "config", key, value)

    def tip(self, ref: str = "refs/gitcoord/main") -> bytes | None:
        """Return what a ref of the remote holds, seen on its own disk."""
        found = git(self.path, "for-each-ref", "--format=%(objectname)", ref)
        return bytes.fromhex(found) if found else None


def bare_remote(path: str | os.PathLike[str], *, sha256: bool = False, file_url: bool = False) -> Remote:
    """Make a bare repository that is reached by its path, or by a `file://` URL."""
    where = make_repo(path, bare=True, sha256=sha256)
    return Remote(f"file://{where}" if file_url else where, where)


def hook(remote: Remote, name: str, body: str) -> str:
    """Give the remote a hook, as a shell script; returns its file."""
    path = os.path.join(remote.path, "hooks", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{body}\n")
    os.chmod(path, 0o755)
    return path


CUT_AFTER_TAKING = '[ "$1" = committed ] || exit 0\ngrep -q gitcoord && kill -9 $PPID\nexit 0'
"""A `reference-transaction` hook: the server's git dies right after it took the push, before it says so."""


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _serving(start: Callable[[int], Sequence[str]], **options: Any) -> Generator[int]:
    """Run a server until the block is left, on a port that nobody else got in between; yields the port."""
    for attempt in range(_TRIES):
        port = free_port()
        process = subprocess.Popen(
            start(port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **options,
        )
        try:
            wait_until(lambda: process.poll() is not None or _listens(port), "a server listens")  # noqa: B023
            if process.poll() is None:
                yield port
                return
            assert process.stderr is not None
            said = process.stderr.read().decode(errors="replace")
            assert attempt < _TRIES - 1, f"a server ended with {process.returncode}: {said}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


@contextlib.contextmanager
def daemon_remote(path: str | os.PathLike[str], *, sha256: bool = False) -> Generator[Remote]:
    """Make a bare repository that `git daemon` serves, writable, at a `git://` URL."""
    where = make_repo(path, bare=True, sha256=sha256)
    base, name = os.path.split(where)

    def command(port: int) -> list[str]:
        shape = ["--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1", f"--port={port}"]
        return ["git", "daemon", *shape, f"--base-path={base}", base]

    with _serving(command) as port:
        yield Remote(f"git://127.0.0.1:{port}/{name}", where)


# -- ssh


@contextlib.contextmanager
def ssh_remote(path: str | os.PathLike[str], *, keys: str | os.PathLike[str]) -> Generator[Remote]:
    """Make a bare repository that an `sshd` of the current user serves, with keys made for this only.

    The URL names a host that stands in an ssh configuration, as people have them; `core.sshCommand` names that file,
    since ssh looks for it in the real home.

    Args:
        path: the repository.
        keys: a directory for keys and configuration; it is made.
    """
    where = make_repo(path, bare=True)
    place = os.fspath(keys)
    os.makedirs(place, mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{place}/{name}"], check=True)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where a system's own sshd separates its privileges

    def command(port: int) -> list[str]:
        with open(f"{place}/sshd_config", "w", encoding="utf-8") as file:
            file.write(
                f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nPidFile none\nUsePAM no\n"
                f"AuthorizedKeysFile {place}/user.pub\nStrictModes no\nPermitRootLogin yes\n"
                "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nAcceptEnv GIT_PROTOCOL\n"
            )
        return [_sshd(), "-D", "-e", "-f", f"{place}/sshd_config"]

    with _serving(command) as port:
        with (
            open(f"{place}/host.pub", encoding="utf-8") as public,
            open(f"{place}/known", "w", encoding="utf-8") as out,
        ):
            out.write(f"[127.0.0.1]:{port} {public.read()}")
        with open(f"{place}/config", "w", encoding="utf-8") as file:
            file.write(
                f"Host team-server\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
                f"  IdentityFile {place}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {place}/known\n"
                "  GlobalKnownHostsFile /dev/null\n"
            )
        yield Remote(f"ssh://team-server{where}", where, (("core.sshCommand", f"ssh -F {place}/config"),))


def _sshd() -> str:
    for path in ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/opt/homebrew/sbin/sshd", "/usr/bin/sshd"):
        if os.path.exists(path):
            return path
    raise AssertionError("these tests need sshd: install openssh-server")


# -- http


class HttpRemote(NamedTuple):
    """A repository behind an HTTP server that asks for a password.

    Attributes:
        remote: the repository; its settings name a credential helper that knows the password.
        server: the server; what it does to requests can be set.
    """

    remote: Remote
    server: GitServer


class GitServer(http.server.ThreadingHTTPServer):
    """Hands requests to `git http-backend`.

    Attributes:
        root: the directory with the repositories.
        requests: method and path of each request so far, and whether it named a user.
        drop_answers: take pushes and cut the connection instead of answering.
        answer_pushes_with: an HTTP status to answer pushes with, instead of handing them on.
        through_proxy: how many requests came with a whole URL, as a proxy gets them.
    """

    daemon_threads = True

    def __init__(self, root: str) -> None:
        super().__init__(("127.0.0.1", 0), _Backend)
        self.root = root
        self.requests: list[tuple[str, str, bool]] = []
        self.drop_answers = False
        self.answer_pushes_with: int | None = None
        self.through_proxy = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hung up."""


class _Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""

    def _serve(self) -> None:
        server = self.server
        assert isinstance(server, GitServer)
        body = self._body()
        path = self.path
        if path.startswith("http://"):
            server.through_proxy += 1
            path = "/" + path[len("http://") :].partition("/")[2]
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        given = self.headers.get("Authorization")
        server.requests.append((self.command, path, given is not None))
        if given != wanted:
            self._answer(401, [("WWW-Authenticate", 'Basic realm="team"')], b"")
            return
        is_push = self.command == "POST" and path.endswith("/git-receive-pack")
        if is_push and server.answer_pushes_with is not None:
            self._answer(server.answer_pushes_with, [], b"no")
            return
        status, headers, content = self._run(path, body, server.root)
        if is_push and server.drop_answers:
            self.close_connection = True
            return
        self._answer(status, headers, content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _run(self, target: str, body: bytes, root: str) -> tuple[int, list[tuple[str, str]], bytes]:
        path, _, query = target.partition("?")
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": USER,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [(name, value) for line in head.decode().split("\r\n") for name, _, value in [line.partition(": ")]]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200 if head else 500)
        return status, [(name, value) for name, value in headers if name and name != "Status"], content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def http_remote(path: str | os.PathLike[str], *, secrets: str | os.PathLike[str]) -> Generator[HttpRemote]:
    """Make a bare repository behind `git http-backend` and a password that a credential helper knows.

    Args:
        path: the repository.
        secrets: a file for the credential helper; it is written.
    """
    where = make_repo(path, bare=True)
    root, name = os.path.split(where)
    server = GitServer(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        host = f"127.0.0.1:{server.server_address[1]}"
        with open(secrets, "w", encoding="utf-8", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(f"http://{USER}:{PASSWORD.replace('/', '%2F').replace(' ', '%20').replace('@', '%40')}@{host}\n")
        helper = ("credential.helper", f"store --file={os.fspath(secrets)}")
        yield HttpRemote(Remote(f"http://{host}/{name}", where, (helper,)), server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- a wire that can be cut


class Wire:
    """A TCP proxy in front of a server on loopback.

    Attributes:
        port: where clients connect.
        mute: hold back whatever the server says from now on.
        dead: accept connections and never pass anything on.
    """

    def __init__(self, target: int) -> None:
        self.mute = False
        self.dead = False
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            if self.dead:
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open.append(server)
            for pair in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (back and self.mute):
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            if not (back and self.mute):
                sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Break all connections at once."""
        while self._open:
            one = self._open.pop()
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        """Stop listening and break what is left."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._thread.join(5)


@contextlib.contextmanager
def wire_to(port: int) -> Generator[Wire]:
    """Put a wire in front of a server's port."""
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()
