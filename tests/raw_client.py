"""A client on a raw loopback socket: sends byte for byte what a test says, and tells what came back and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httptools

KEY = "sk-caller-0123456789"
PATIENCE = 20.0
_READ = 65536


@dataclass
class Answer:
    """`complete` says that the framing of the answer reached its end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    def __repr__(self) -> str:
        return f"Answer({self.status}, {bytes(self.body[-300:])!r}, complete={self.complete})"

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, path: str, body: bytes | Any = b"", headers: dict[str, str | None] | None = None, version: str = "1.1"
) -> bytes:
    """A whole request. A header whose value is None is left out."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers: dict[str, str | None] = {"host": "gateway.test", "authorization": f"Bearer {KEY}"}
    if payload or method == "POST":
        all_headers |= {"content-type": "application/json", "content-length": str(len(payload))}
    all_headers |= headers or {}
    lines = [f"{name}: {value}" for name, value in all_headers.items() if value is not None]
    return "\r\n".join((f"{method} {path} HTTP/{version}", *lines, "", "")).encode("latin-1") + payload


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class RawClient:
    """One connection. What is not asked for is not read: beyond 128 KiB the kernel's buffers fill, then the server waits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = Answer()
        self._done: list[Answer] = []
        self._parser = httptools.HttpResponseParser(self)
        self.left_at = 0.0

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await asyncio.wait_for(self._writer.drain(), PATIENCE)

    async def reply(self, *, bodiless: bool = False) -> Answer:
        """The next answer, to its end or to that of the connection. `bodiless`: it is one to HEAD and ends with its headers."""
        await self._read(lambda: self._done or (bodiless and self._answer.status))
        if self._done:
            return self._done.pop(0)
        answer, self._answer = self._answer, Answer()
        self._parser = httptools.HttpResponseParser(self)
        until_close = not {"content-length", "transfer-encoding"} & answer.headers.keys()
        answer.complete = bodiless or (until_close and answer.status > 0)
        return answer

    async def until(self, mark: bytes) -> Answer:
        """The answer so far, once its body holds `mark`."""
        await self._read(lambda: self._done or mark in self._answer.body)
        answer = self._done[0] if self._done else self._answer
        assert mark in answer.body, answer
        return answer

    async def drain(self, take: Callable[[bytes], None]) -> bool:
        """Gives every byte of the body to `take` as it comes, from what was read before on; whether its end came."""
        if self._answer.body:
            take(bytes(self._answer.body))
        self._take = take
        await self._read(lambda: self._done)
        return bool(self._done)

    async def closed(self) -> bool:
        """Whether the server closes the connection, without another byte."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self._reader.read(1), PATIENCE) == b""
        return True

    def leave(self) -> None:
        """FIN, or what the kernel makes of a close with unread bytes: RST."""
        self.left_at = time.monotonic()
        self._writer.transport.abort()

    def finish_writing(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        """RST: linger on, for no time."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()

    async def _read(self, enough: Callable[[], object]) -> None:
        with contextlib.suppress(ConnectionError):
            while not enough():
                data = await asyncio.wait_for(self._reader.read(_READ), PATIENCE)
                if not data:
                    break
                self._parser.feed_data(data)

    # What the parser says

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self._take is None:
            self._answer.body += body
        else:
            self._take(body)

    def on_message_complete(self) -> None:
        self._answer.complete = True
        self._done.append(self._answer)
        self._answer = Answer()

    _take: Callable[[bytes], None] | None = None


async def connect(port: int, receive_buffer: int = 0) -> RawClient:
    """`receive_buffer` bounds what the kernel takes for a client that does not read."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return RawClient(*await asyncio.open_connection(sock=sock))


async def ask(port: int, method: str, path: str, body: bytes | Any = b"", headers: dict[str, str | None] | None = None) -> Answer:
    """One request on a connection of its own, and its whole answer."""
    client = await connect(port)
    try:
        await client.send(request(method, path, body, headers))
        return await client.reply()
    finally:
        client.leave()


_LINE = re.compile(rb"\r\n|\n|\r")


def events(stream: bytes | bytearray) -> Iterator[tuple[str, str]]:
    """(event, data) of the whole frames of a stream, as a browser reads them (WHATWG HTML, 9.2.6)."""
    event, data = "", []
    for line in _LINE.split(stream.removeprefix(b"\xef\xbb\xbf"))[:-1]:
        name, _, value = line.decode().partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield event, "\n".join(data)
            event, data = "", []
        elif name == "data":
            data.append(value)
        elif name == "event":
            event = value
