"""A scripted upstream on a raw loopback socket: answers byte for byte what a test says, dies on cue, and tells what it saw.

A script is a sequence of steps for one request: bytes are written as they are, the rest are the step classes below. The scripts
answer the requests in the order of their arrival over all connections; the last one answers all that come after. When a script
ends the connection stays open for the next request, so `Close()` is a step and not the default.

    async with raw_upstream([ok(b"first")], [b"HTTP/1.1 200 OK\\r\\ncontent-le", Close()]) as upstream:
        ...  # upstream.port, upstream.url, upstream.requests, upstream.connections
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Sleep:
    seconds: float


@dataclass
class Close:
    """A clean end: FIN after everything that was written."""


@dataclass
class Reset:
    """RST, also in the middle of what was written before."""


@dataclass
class Hang:
    """Nothing more until the peer is gone."""


@dataclass
class Drip:
    """One byte per write."""

    data: bytes
    pause: float = 0.0


@dataclass
class Flood:
    """At least `size` bytes in whole pieces, as fast as the peer takes them; `upstream.flooded` counts what the socket took."""

    size: int
    piece: bytes = b"x" * 65536


@dataclass
class Early:
    """As the first step: answer when the head is there, and do not read the body any more."""


@dataclass
class Until:
    """Waits for the test to set the event."""

    event: asyncio.Event


Step = bytes | Sleep | Close | Reset | Hang | Drip | Flood | Early | Until
Script = Sequence[Step]


def ok(body: bytes = b"", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer with a content-length."""
    lines = [b"HTTP/1.1 " + status, *headers, b"content-length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def head(*headers: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join((version + b" " + status, *headers)) + b"\r\n\r\n"


CHUNKED = head(b"content-type: text/event-stream", b"transfer-encoding: chunked")
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass
class SeenRequest:
    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    connection: int
    at: float

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


@dataclass
class SeenConnection:
    """Times are `time.monotonic()`; `reset` says that the peer's end was no clean one."""

    opened_at: float
    closed_at: float | None = None
    reset: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class RawUpstream:
    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts = list(scripts)
        self.requests: list[SeenRequest] = []
        self.connections: list[SeenConnection] = []
        self.arrived = asyncio.Event()  # at least one request came
        self.flooded = 0
        self.port = 0
        self.tls = False
        self.peers: set[_Peer] = set()

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def script(self) -> Script:
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    def close_idle(self) -> None:
        """Closes every connection that is between two requests."""
        for peer in self.peers:
            if peer.idle:
                peer.transport.close()

    async def closed_within(self, seconds: float, connection: int = -1) -> bool:
        """Whether the peer closes that connection in time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.connections[connection].closed.wait(), seconds)
            return True
        return False


class _Peer(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, upstream: RawUpstream) -> None:
        self.upstream = upstream
        self.buffer = b""
        self.news = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.gone = False
        self.idle = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a server of sockets gives Transports
        self.number = len(self.upstream.connections)
        self.seen = SeenConnection(time.monotonic())
        self.upstream.connections.append(self.seen)
        self.upstream.peers.add(self)
        self.task = asyncio.get_running_loop().create_task(self.serve())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.news.set()

    def eof_received(self) -> None:
        self.ended(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended(exc is not None)
        self.upstream.peers.discard(self)
        self.task.cancel()

    def ended(self, reset: bool) -> None:
        if self.seen.closed_at is None:
            self.seen.closed_at = time.monotonic()
            self.seen.reset = reset
        self.gone = True
        self.news.set()
        self.writable.set()
        self.seen.closed.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    async def serve(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                script = await self.request()
                for step in script:
                    await self.play(step)
                self.idle = True

    async def more(self) -> None:
        self.news.clear()
        await self.news.wait()
        if self.gone:
            raise ConnectionResetError

    async def request(self) -> Script:
        while b"\r\n\r\n" not in self.buffer:
            await self.more()
        self.idle = False
        top, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        line, *lines = top.split(b"\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (item.partition(b":") for item in lines)]
        seen = SeenRequest(line, headers, b"", self.number, time.monotonic())
        self.upstream.requests.append(seen)
        self.upstream.arrived.set()
        script = self.upstream.script()
        if script and isinstance(script[0], Early):
            self.transport.pause_reading()
            return script
        length = int(seen.header(b"content-length") or 0)
        while len(self.buffer) < length:
            await self.more()
        seen.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return script

    async def play(self, step: Step) -> None:
        match step:
            case bytes():
                await self.write(step)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Drip(data, pause):
                for index in range(len(data)):
                    await self.write(data[index : index + 1])
                    await asyncio.sleep(pause)
            case Flood(size, piece):
                while size > 0:
                    await self.write(piece)
                    self.upstream.flooded += len(piece)
                    size -= len(piece)
            case Until(event):
                await event.wait()
            case Hang():
                await asyncio.Event().wait()
            case Close():
                self.transport.close()
                raise ConnectionResetError
            case Reset():
                reset(self.transport)
                raise ConnectionResetError
            case Early():
                pass

    async def write(self, data: bytes) -> None:
        await self.writable.wait()
        if self.gone:
            raise ConnectionResetError
        self.transport.write(data)


def reset(transport: asyncio.Transport) -> None:
    """Closes with RST: linger on, for no time."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


@contextlib.asynccontextmanager
async def raw_upstream(
    *scripts: Script, tls: ssl.SSLContext | None = None, upstream: RawUpstream | None = None
) -> AsyncIterator[RawUpstream]:
    upstream = upstream or RawUpstream(scripts)
    server = await asyncio.get_running_loop().create_server(lambda: _Peer(upstream), "127.0.0.1", 0, ssl=tls, backlog=1024)
    upstream.port = server.sockets[0].getsockname()[1]
    upstream.tls = tls is not None
    try:
        yield upstream
    finally:
        server.close()
        for peer in list(upstream.peers):
            peer.transport.abort()
            peer.task.cancel()
        await asyncio.sleep(0)
