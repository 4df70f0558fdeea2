"""A small HTTP/1.1 server whose answers a test can break at any byte. Knows no JSON and no dialect."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

Headers = Iterable[tuple[str, str]]
MAX_BODY = 64 << 20


@dataclass
class Request:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    head: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name), None)


@dataclass
class Reply:
    """One answer in the making. `gone` is set when the other side closes before the answer is complete."""

    writer: asyncio.StreamWriter
    gone: asyncio.Event
    started: bool = False
    finished: bool = False
    keep: bool = True
    sent: int = 0

    async def whole(self, status: int, body: bytes, headers: Headers = (), kind: str = "application/json") -> None:
        fields = [("content-type", kind), *headers, ("content-length", str(len(body)))]
        await self._put(_head(status, fields) + body)
        self.started = self.finished = True

    async def begin(self, status: int = 200, headers: Headers = (), kind: str = "text/event-stream") -> None:
        fields = [("content-type", kind), ("cache-control", "no-cache"), *headers, ("transfer-encoding", "chunked")]
        await self._put(_head(status, fields))
        self.started = True

    async def write(self, data: bytes) -> None:
        if data:
            await self._put(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self._put(b"0\r\n\r\n")
        self.finished = True

    def cut(self) -> None:
        """Close in mid-body: the last chunk never comes."""
        self.keep = False
        self.writer.close()

    def reset(self) -> None:
        """Abort with RST, as a crashed process does."""
        self.keep = False
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def _put(self, data: bytes) -> None:
        if self.writer.is_closing():
            self.gone.set()
            raise ConnectionResetError
        self.writer.write(data)
        self.sent += len(data)
        await self.writer.drain()


Handler = Callable[[Request, Reply], Awaitable[None]]


class Server:
    """Serves `handler` on a loopback port until `close`. Owns its connections."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0

    async def open(self, port: int = 0) -> int:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: asyncio.StreamReaderProtocol(_Reader(), self._connection), "127.0.0.1", port
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, _Reader)
        self.connections += 1
        self._writers.add(writer)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            while request := await _read_request(reader, writer):
                reply = Reply(writer, reader.ended)
                await self._handler(request, reply)
                if not (reply.keep and reply.finished) or reply.gone.is_set():
                    break
        self._writers.discard(writer)
        writer.close()


class _Reader(asyncio.StreamReader):
    """Says when the other side has closed, also while nobody reads."""

    def __init__(self) -> None:
        super().__init__(limit=1 << 20)
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.ended.set()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    headers = [(k, v.strip()) for k, _, v in (line.partition(":") for line in lines)]
    names = {k.lower(): v for k, v in headers}
    if names.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if names.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        size = int(names.get("content-length", "0"))
        if size > MAX_BODY:
            raise ConnectionError("body over the bound of the scripted upstream")
        body = await reader.readexactly(size)
    return Request(method, target, headers, body, head)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while (await reader.readline()).strip():
        pass
    return b"".join(parts)


def _head(status: int, fields: Headers) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Overloaded"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{k}: {v}" for k, v in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")
