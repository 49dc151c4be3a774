"""The stdio transport: one thread reads lines, one writes them, and neither can hang or end the server.

It differs from the SDK's own in what a robust server needs: a signal ends it even while it waits for input, a line that
is no message is answered and not only dropped, and requests that are at work when the input ends are still answered.
"""

from __future__ import annotations

import asyncio
import os
import queue
import select
import threading
from contextlib import asynccontextmanager, suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Self

import anyio
import anyio.lowlevel
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)

from gitcoord.errors import CoordError
from gitcoord.mcp_server.wire import Malformed, id_at_head, read_message, write_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from types import TracebackType

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp_types import JSONRPCMessage

MAX_LINE = 16 * 1024 * 1024
"""The longest line that is read as a message, in bytes."""

_HEAD = 8 * 1024
"""So much of a longer line is kept, to tell its client which request is refused."""

_CHUNK = 256 * 1024
_LINGER_S = 1.0
"""How long requests at work may still be answered after the input has ended."""

_FLUSH_S = 1.0


class TooLong(NamedTuple):
    """A line that is too long to be read, by its beginning."""

    head: bytes


class Writer:
    """Writes messages in order on a thread of its own, so that a client that does not read holds up nobody.

    It is the write stream that the SDK's server loop expects.

    Args:
        fd: where to write.
    """

    def __init__(self, fd: int) -> None:
        """Start the thread."""
        self._fd = fd
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gitcoord-stdout", daemon=True)
        self._thread.start()
        self.at_work: set[RequestId] = set()
        self._gone = False

    def put(self, message: JSONRPCMessage) -> None:
        """Write a message soon."""
        if isinstance(message, (JSONRPCResponse, JSONRPCError)) and message.id is not None:
            self.at_work.discard(message.id)
        self._lines.put(write_message(message))

    def finish(self) -> None:
        """Write what is left, for a bounded time."""
        self._lines.put(None)
        self._thread.join(_FLUSH_S)

    def is_cut_off(self) -> bool:
        """Tell whether nobody reads any more, as far as the platform says."""
        if self._gone or not hasattr(select, "poll"):
            return self._gone
        looker = select.poll()
        looker.register(self._fd, 0)
        return bool(looker.poll(0))  # asked for nothing, it reports errors and hang-ups alone

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._gone:
                self._write(line)

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            self._gone = True  # the client reads no more; the end of its input follows

    async def send(self, item: SessionMessage, /) -> None:
        """Write a message of the server's."""
        self.put(item.message)
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Do nothing: what comes later is still written."""

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Do nothing."""


class Reader:
    """Reads lines on a thread of its own and hands over their messages on the event loop.

    Args:
        fd: where to read.
        writer: answers what is no message.
        inbox: where messages go.
    """

    def __init__(self, fd: int, writer: Writer, inbox: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Start the thread; it ends with the input, or with the process."""
        self._fd = fd
        self._writer = writer
        self._inbox = inbox
        self._loop = asyncio.get_running_loop()
        self.ended = anyio.Event()
        threading.Thread(target=self._run, name="gitcoord-stdin", daemon=True).start()

    def _run(self) -> None:
        try:
            for line in self._lines():
                if not self._hand_over(line):
                    return
        except OSError:
            pass  # as good as the end
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self.ended.set)

    def _hand_over(self, line: bytes | TooLong) -> bool:
        """Pass on what a line holds; tell whether anybody still listens."""
        try:
            call = partial(self._take, _read(line))
        except Malformed as malformed:
            call = partial(self._writer.put, malformed.reply)
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return False
        return True

    def _take(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCRequest):
            self._writer.at_work.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            withdrawn = (message.params or {}).get("requestId")
            if isinstance(withdrawn, (int, str)):
                self._writer.at_work.discard(withdrawn)
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._inbox.send_nowait(SessionMessage(message))

    def _lines(self) -> Iterator[bytes | TooLong]:
        """Yield each line that is not blank, or the beginning of one that is too long."""
        kept = bytearray()
        skipping: TooLong | None = None
        while chunk := os.read(self._fd, _CHUNK):
            *whole, rest = chunk.split(b"\n")
            for part in whole:
                line = bytes(kept + part) if kept else part
                kept.clear()
                if skipping is not None or len(line) > MAX_LINE:
                    yield skipping or TooLong(line[:_HEAD])
                    skipping = None
                elif line.strip():
                    yield line
            kept += rest
            if len(kept) > MAX_LINE:
                skipping = skipping or TooLong(bytes(kept[:_HEAD]))
                kept.clear()
        if skipping is not None:
            yield skipping
        elif kept.strip():
            yield bytes(kept)

    async def relay_end(self) -> None:
        """Close the inbox when the input has ended and what was asked before is answered, or takes too long."""
        await self.ended.wait()
        with anyio.move_on_after(_LINGER_S):
            while self._writer.at_work and not self._writer.is_cut_off():
                await _next_look()
        self._inbox.close()


def _read(line: bytes | TooLong) -> JSONRPCMessage:
    if isinstance(line, TooLong):
        raise Malformed(INVALID_REQUEST, f"the line is longer than {MAX_LINE:,} bytes", id_at_head(line.head))
    return read_message(line)


async def _next_look() -> None:
    await anyio.sleep(0.01)


def claim_wire() -> tuple[int, int]:
    """Take standard input and output for the protocol alone, and return the descriptors that now lead there.

    Descriptor 0 becomes empty and 1 leads to standard error: nothing else reads or writes the wire.

    Raises:
        CoordError: one of them is not open.
    """
    try:
        wire = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
    except OSError as error:
        raise CoordError(
            f"standard input, output and error have to be open: {error}",
            next="let an MCP client start `gitcoord serve`, or serve HTTP: gitcoord serve --http",
        ) from error
    return wire


@asynccontextmanager
async def stdio_streams(
    wire_in: int, wire_out: int
) -> AsyncGenerator[tuple[MemoryObjectReceiveStream[SessionMessage | Exception], Writer]]:
    """Yield the read and the write stream of a connection.

    Args:
        wire_in: the descriptor that the client's messages come from.
        wire_out: the descriptor that the server's messages go to.
    """
    inbox, messages = anyio.create_memory_object_stream[SessionMessage | Exception](inf)
    writer = Writer(wire_out)
    reader = Reader(wire_in, writer, inbox)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.relay_end)
        try:
            yield messages, writer
        finally:
            tasks.cancel_scope.cancel()
            messages.close()
            writer.finish()
