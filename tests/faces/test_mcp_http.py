"""The HTTP endpoint's guards: where it listens, who is let in, what bodies it takes."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from gitcoord.errors import BadRequest, CoordError
from gitcoord.mcp_server.http import Endpoint, StrictBody, TokenGuard, parse_address

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def bound(address: str, *allow_remote: str, token: str | None = None) -> Generator[Endpoint]:
    endpoint = Endpoint.bind(address, allow_remote, token)
    try:
        yield endpoint
    finally:
        endpoint.listener.close()


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("", "127.0.0.1", 8642),
        ("9000", "127.0.0.1", 9000),
        (":9000", "127.0.0.1", 9000),
        ("localhost", "localhost", 8642),
        ("localhost:0", "localhost", 0),
        ("127.0.0.1:9000", "127.0.0.1", 9000),
        ("[::1]:9000", "::1", 9000),
        ("[::1]", "::1", 8642),
        ("::1", "::1", 8642),
    ],
)
def test_an_address_is_a_host_a_port_or_both(address: str, host: str, port: int) -> None:
    assert parse_address(address) == (host, port)


@pytest.mark.parametrize("address", ["localhost:http", "localhost:70000", "127.0.0.1:-1", "no such host:1", "\ud800:1"])
def test_an_address_that_makes_no_sense_is_a_usage_error(address: str) -> None:
    with pytest.raises(BadRequest):
        Endpoint.bind(address, [], None)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "0:0", "[::]:0"])
def test_an_address_that_others_reach_is_refused_unless_asked_for_by_name(address: str) -> None:
    with pytest.raises(BadRequest, match="other machines") as caught:
        Endpoint.bind(address, [], None)
    assert "--allow-remote" in caught.value.next


def test_another_machine_reaches_it_only_by_the_name_that_was_given() -> None:
    with bound("0.0.0.0:0", "build.example") as endpoint:
        port = endpoint.listener.getsockname()[1]
        assert f"build.example:{port}" in endpoint.hosts
        assert endpoint.url == f"http://build.example:{port}/mcp"
        assert not any(host.startswith("0.0.0.0") for host in endpoint.hosts)


def test_a_port_in_use_is_said_so() -> None:
    with bound("127.0.0.1:0") as endpoint, pytest.raises(CoordError, match="cannot listen"):
        Endpoint.bind(f"127.0.0.1:{endpoint.listener.getsockname()[1]}", [], None)


def test_the_token_is_made_anew_and_shown_or_given_and_kept_quiet() -> None:
    with bound("127.0.0.1:0") as one, bound("127.0.0.1:0") as two:
        assert one.token != two.token
        assert len(one.token) >= 32
        assert one.token in one.announcement()
        assert one.url in one.announcement()
    with bound("127.0.0.1:0", token="from the environment") as given:
        assert given.token == "from the environment"
        assert given.token not in given.announcement()


def request(app: Any, headers: list[tuple[bytes, bytes]], body: bytes = b"{}", method: str = "POST") -> tuple[int, Any]:
    """Send one request to an ASGI application and return the status and the body."""
    heard: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        heard.append(message)

    async def run() -> None:
        await app({"type": "http", "method": method, "path": "/mcp", "headers": headers}, receive, send)

    anyio.run(run)
    return heard[0]["status"], json.loads(heard[1]["body"])


async def welcome(_: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(body.decode("latin-1")).encode()})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([(b"authorization", b"Bearer wrong")], 401),
        ([(b"authorization", b"Bearer")], 401),
        ([(b"authorization", b"secret")], 401),
        ([(b"authorization", b"Basic secret")], 401),
        ([(b"authorization", b"Bearer secre")], 401),
        ([(b"authorization", b"Bearer \xff")], 401),
        ([(b"authorization", b"Bearer secret"), (b"authorization", b"Bearer wrong")], 401),
        ([(b"authorization", b"Bearer secret")], 200),
        ([(b"authorization", b"bearer  secret ")], 200),
    ],
)
def test_only_the_right_bearer_token_is_let_in(headers: list[tuple[bytes, bytes]], status: int) -> None:
    assert request(TokenGuard(welcome, "secret"), headers)[0] == status


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_strict_json_is_refused(body: bytes) -> None:
    status, answer = request(StrictBody(welcome), [], body)
    assert status == 400
    assert answer["error"]["code"] == -32700


def test_other_bodies_arrive_untouched() -> None:
    assert request(StrictBody(welcome), [], b' {"a": [1, 2]} ') == (200, ' {"a": [1, 2]} ')
    assert request(StrictBody(welcome), [], b"", method="GET") == (200, "")


def test_the_loopback_names_are_served_on_the_bound_port_only() -> None:
    with bound("127.0.0.1:0") as endpoint:
        port = endpoint.listener.getsockname()[1]
        assert set(endpoint.hosts) == {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
        assert endpoint.listener.family == socket.AF_INET
