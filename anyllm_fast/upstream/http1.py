"""The fast path: HTTP/1.1 with keep-alive on asyncio.Protocol + httptools. Which connection a request takes, no parsing.

Connections in use are not bounded here (the gateway bounds calls), idle ones are. They are taken last in, first out: the one that
was used a moment ago is the likeliest to be alive and leaves the rest to expire.

An upstream may close an idle connection while our request is on its way to it. That request was never seen by anybody, so one
that dies before any byte of an answer on a connection that had been used before is sent again, once, on a fresh one (RFC 9112
section 9.3.1). A connection that dies later than STALE_SECONDS after the request was written did not die of that and is not
replaced.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from math import inf

from anyllm_fast.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable

from . import Origin, UpstreamReply, UpstreamRequest
from .connection import Http1Connection
from .decoded import open_decoded
from .dial import connect_tcp
from .head import HeadWriter
from .names import connect_failure, origin_name

SWEEP_SECONDS = 5.0
KEEP_ALIVE_MARGIN = 1.0  # seconds before the end of what a `keep-alive: timeout=N` header promised


class _Host:
    """What the pool knows of one origin: its idle connections, newest last."""

    __slots__ = ("forgotten", "idle", "name", "origin")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.name = origin_name(origin)
        self.idle: list[Http1Connection] = []
        self.forgotten = False

    def take_idle(self) -> Http1Connection | None:
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.idle_until > connection.loop.time() and not connection.transport.is_closing():
                return connection
            connection.abort()
        return None


class Http1Upstream:
    """An Upstream. `tls` makes the context for https origins when the first one is met; `idle_connections` is per origin."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], idle_connections: int = 256, idle_seconds: float = 55.0) -> None:
        self._open_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._idle_connections = idle_connections
        self._idle_seconds = idle_seconds
        self._heads = HeadWriter()
        self._hosts: dict[Origin, _Host] = {}
        self._connections: set[Http1Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        host = self._hosts.get(request.origin)
        if host is None:
            host = self._hosts[request.origin] = _Host(request.origin)
        head = self._heads.write(request)
        total = request.timeouts.total
        total_due = asyncio.get_running_loop().time() + total if total else inf
        connection = host.take_idle()
        while True:
            if connection is None:
                connection = await self._connect(host, request, total_due)
            reply = connection.begin(request, head, total_due)
            try:
                await reply.arrival
            except asyncio.CancelledError:
                reply.abort()
                raise
            if reply.status:
                return open_decoded(reply) if reply.encoded else reply
            if not connection.stale:
                raise reply.failure()
            connection = None

    async def close(self) -> None:
        """Closes every connection, also those in use: their replies end with UpstreamBroken."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._connections):
            connection.fail(UpstreamBroken("the gateway is shutting down"))
        self._hosts.clear()

    async def _connect(self, host: _Host, request: UpstreamRequest, total_due: float) -> Http1Connection:
        loop = asyncio.get_running_loop()
        connect_due = loop.time() + (request.timeouts.connect or inf)
        due = min(connect_due, total_due)
        limit = asyncio.timeout_at(None if due == inf else due)
        try:
            async with limit:
                connection = await self._open(loop, host)
        except (OSError, ValueError) as error:  # ValueError: a name that IDNA or the resolver cannot take
            if limit.expired() and total_due < connect_due:
                total = request.timeouts.total
                raise UpstreamTimeout(f"{host.name} took longer than the total limit of {total:g} s") from None
            reason = connect_failure(error)
            if limit.expired():
                reason = f"no connection within {request.timeouts.connect:g} s"
            raise UpstreamUnreachable(f"cannot connect to {host.name}: {reason}") from None
        if self._closed:
            connection.abort()
            raise UpstreamUnreachable("the gateway is shutting down")
        self._connections.add(connection)
        return connection

    async def _open(self, loop: asyncio.AbstractEventLoop, host: _Host) -> Http1Connection:
        origin = host.origin
        tls = self._context() if origin.tls else None
        sock = await connect_tcp(origin.host, origin.port)
        connection = Http1Connection(loop, host.name, partial(self._keep, host), self._connections.discard)
        server_hostname = origin.host.rstrip(".") if tls is not None else None
        await loop.create_connection(lambda: connection, sock=sock, ssl=tls, server_hostname=server_hostname)
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = self._open_tls()
        return self._tls

    # The idle ones

    def _keep(self, host: _Host, connection: Http1Connection) -> None:
        seconds = min(self._idle_seconds, connection.keep_alive - KEEP_ALIVE_MARGIN)
        if host.forgotten:
            host = self._hosts.setdefault(host.origin, host)
            host.forgotten = False
        if seconds <= 0 or len(host.idle) >= self._idle_connections:
            connection.abort()
            return
        connection.idle_until = connection.loop.time() + seconds
        host.idle.append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Closes what is idle for too long and forgets origins without idle connections: they may come from requests."""
        now = asyncio.get_running_loop().time()
        for origin, host in list(self._hosts.items()):
            kept = []
            for connection in host.idle:
                if connection.idle_until > now and not connection.transport.is_closing():
                    kept.append(connection)
                else:
                    connection.abort()
            host.idle[:] = kept
            if not kept:
                host.forgotten = True
                del self._hosts[origin]
        self._sweeper = None
        if self._hosts:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
