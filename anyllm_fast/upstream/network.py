"""httpcore's sockets on asyncio transports: dialled as the fast path dials, closed at once, honest about what came unasked.

httpcore's own backend takes a connection for clean when its socket has nothing to read. What a TLS layer or a buffer in between
already holds is not in the socket any more, and would be read as the beginning of the next answer: somebody else's. Here every
byte ends up in `Wire.buffer`, and a connection that holds one while it is idle counts as expired.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpcore

from .bounds import HIGH_WATER
from .dial import connect_tcp


class Network(httpcore.AsyncNetworkBackend):
    """Counts connects and bytes received, to know whether a failed exchange ever saw a byte of an answer."""

    def __init__(self) -> None:
        self.connects = 0
        self.received = 0
        self.failure: Exception | None = None  # why the last connect failed: httpcore cuts the cause off

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connects += 1
        wire = Wire(self)
        async with self.connecting(timeout):
            sock = await connect_tcp(host, port)
            await asyncio.get_running_loop().create_connection(lambda: wire, sock=sock)
        return Stream(wire)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("unix sockets are not used")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def connecting(self, limit: float | None) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError as error:
            self.failure = error
            raise httpcore.ConnectTimeout from error
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a name that IDNA cannot take
            self.failure = error
            raise httpcore.ConnectError(str(error)) from error


class Wire(asyncio.Protocol):
    """One socket, or the TLS on it: what came and was not read, and whether it is over."""

    transport: asyncio.Transport

    def __init__(self, network: Network) -> None:
        self.network = network
        self.buffer = b""
        self.ended = False
        self.error: Exception | None = None
        self.paused = False
        self.news: asyncio.Future[None] | None = None
        self.writable: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # create_connection gives a Transport

    def data_received(self, data: bytes) -> None:
        self.network.received += len(data)
        self.buffer += data
        if len(self.buffer) > HIGH_WATER and not self.paused:
            self.paused = True
            self.transport.pause_reading()
        self.wake(self.news)

    def eof_received(self) -> None:
        self.ended = True
        self.wake(self.news)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.error = exc
        self.wake(self.news)
        self.wake(self.writable)

    def pause_writing(self) -> None:
        self.writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self.wake(self.writable)
        self.writable = None

    @staticmethod
    def wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Stream(httpcore.AsyncNetworkStream):
    """A Wire as httpcore wants it. It is read by one task at a time; deadlines are the exchange's, not this one's."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        wire = self._wire
        while not wire.buffer:
            if wire.error is not None:
                raise httpcore.ReadError(str(wire.error)) from wire.error
            if wire.ended:
                return b""
            wire.news = asyncio.get_running_loop().create_future()
            await wire.news
        data, wire.buffer = wire.buffer[:max_bytes], wire.buffer[max_bytes:]
        if wire.paused and len(wire.buffer) <= HIGH_WATER:
            wire.paused = False
            wire.transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        wire = self._wire
        if wire.transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        wire.transport.write(buffer)
        if wire.writable is not None:
            await wire.writable
            if wire.ended:
                raise httpcore.WriteError("the connection was closed")

    async def aclose(self) -> None:
        self._wire.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        wire = self._wire
        name = server_hostname.rstrip(".") if server_hostname else None
        try:
            async with wire.network.connecting(timeout):
                transport = await asyncio.get_running_loop().start_tls(wire.transport, wire, ssl_context, server_hostname=name)
        except BaseException:
            wire.transport.abort()
            raise
        if transport is None:
            raise httpcore.ConnectError("the connection was closed")
        wire.transport = transport
        return self

    def get_extra_info(self, info: str) -> Any:
        wire = self._wire
        if info == "is_readable":  # httpcore's question to an idle connection: would it have to be thrown away?
            return wire.ended or wire.transport.is_closing() or (bool(wire.buffer) and not self._is_http2())
        return wire.transport.get_extra_info(info)

    def _is_http2(self) -> bool:
        """HTTP/2 sends settings and pings to idle connections, and every frame says whose it is."""
        tls = self._wire.transport.get_extra_info("ssl_object")
        return tls is not None and tls.selected_alpn_protocol() == "h2"
