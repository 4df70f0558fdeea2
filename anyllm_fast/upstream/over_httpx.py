"""The same Upstream over httpcore, the transport inside httpx: HTTP/2, forward proxies, SOCKS, platforms without httptools.

It costs tens of times the CPU of http1.py and is for what that cannot do. httpcore is used directly, because httpx on top of it
adds headers, redirects and cookies that a gateway must not have, and hides which connection a request took.

Each exchange has a connection of its own, HTTP/2 too: httpcore cannot reset one stream of many, so with several on a connection
a caller that leaves would not stop the upstream, and a slow one would be buffered for by the others. To be reopened when
somebody measures that the number of HTTP/2 connections hurts.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from enum import Enum
from math import inf
from typing import Any

import httpcore

from anyllm_fast.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnreachable

from . import HeaderList, Origin, Timeouts, UpstreamReply, UpstreamRequest
from .bounds import MAX_HEADER_BYTES, MAX_HEADERS, STALE_SECONDS, read_whole
from .decoded import open_decoded
from .head import BODILESS, check_request, foreign_headers
from .names import connect_failure, origin_name
from .network import Network

_BROKEN: tuple[type[Exception], ...] = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)
with contextlib.suppress(ImportError):  # without h2 there is no HTTP/2, and nothing to catch
    import h2.exceptions

    _BROKEN = (*_BROKEN, h2.exceptions.H2Error)


class HttpxUpstream:
    """An Upstream. `proxy` is a URL (http, https, socks5, socks5h) with or without credentials; `http2` offers it by ALPN."""

    def __init__(
        self,
        tls: Callable[[], ssl.SSLContext],
        proxy: httpcore.Proxy | None = None,
        http2: bool = False,
        idle_connections: int = 256,
        idle_seconds: float = 55.0,
    ) -> None:
        self._open_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._proxy = proxy
        self._http2 = http2
        self._idle_connections = idle_connections
        self._idle_seconds = idle_seconds
        self._idle: dict[Origin, list[_Slot]] = {}
        self._slots: set[_Slot] = set()
        self._closed = False

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        check_request(request)
        if self._closed:
            raise UpstreamUnreachable("the gateway is shutting down")
        loop = asyncio.get_running_loop()
        total = request.timeouts.total
        total_due = loop.time() + total if total else inf
        slot = self._take_idle(request.origin) or self._open_slot(request.origin)
        while True:
            exchange = _Exchange(slot, request, total_due)
            try:
                reply = await exchange.run()
            except BaseException:
                self._drop(slot)
                if not exchange.stale:
                    raise
                slot = self._open_slot(request.origin)
                continue
            reply.on_idle = self._keep
            reply.on_abort = self._drop
            return open_decoded(reply)

    async def close(self) -> None:
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(slot.close() for slot in list(self._slots)))
        self._slots.clear()

    def _take_idle(self, origin: Origin) -> _Slot | None:
        idle = self._idle.get(origin)
        if not idle:
            return None
        slot = idle.pop()
        if not idle:
            del self._idle[origin]
        return slot

    def _open_slot(self, origin: Origin) -> _Slot:
        if origin.tls and self._tls is None:
            self._tls = self._open_tls()
        slot = _Slot(self._tls if origin.tls else None, self._proxy, self._http2, self._idle_seconds)
        self._slots.add(slot)
        return slot

    def _keep(self, slot: _Slot, origin: Origin) -> None:
        idle = self._idle.setdefault(origin, [])
        if slot in self._slots and len(idle) < self._idle_connections and _clean(slot.pool):
            idle.append(slot)
            slot.arm(self._idle_seconds, lambda: self._expire(slot, origin))
        else:
            self._drop(slot)

    def _expire(self, slot: _Slot, origin: Origin) -> None:
        idle = self._idle.get(origin, [])
        if slot in idle:
            idle.remove(slot)
            if not idle:
                del self._idle[origin]
            self._drop(slot)

    def _drop(self, slot: _Slot) -> None:
        self._slots.discard(slot)
        slot.close_soon()


class _Slot:
    """A pool of one connection, so that an exchange has it alone."""

    def __init__(self, tls: ssl.SSLContext | None, proxy: httpcore.Proxy | None, http2: bool, idle_seconds: float) -> None:
        self.network = Network()
        self.pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            proxy=proxy,
            max_connections=1,
            keepalive_expiry=idle_seconds,
            http2=http2,
            network_backend=self.network,
        )
        self._closing: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def arm(self, seconds: float, expire: Callable[[], None]) -> None:
        self.disarm()
        self._expiry = asyncio.get_running_loop().call_later(seconds, expire)

    def disarm(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def close_soon(self) -> None:
        self.disarm()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def close(self) -> None:
        self.close_soon()
        if self._closing is not None:
            await self._closing

    async def _close(self) -> None:
        with contextlib.suppress(Exception):  # it is thrown away: how it ends is nobody's business
            await self.pool.aclose()


def _clean(pool: httpcore.AsyncConnectionPool) -> bool:
    """Whether nothing is left over of the last answer. HTTP/1.1 bytes after it would be taken for the next one, and httpcore does
    not look; nor does it show them, so this looks inside. If its inside is not as known, no connection is clean."""
    for connection in pool.connections:
        inner: Any = connection
        while inner is not None and not hasattr(inner, "_h11_state") and not hasattr(inner, "_h2_state"):
            inner = getattr(inner, "_connection", None)
        if inner is None:
            return False
        if hasattr(inner, "_h11_state") and inner._h11_state.trailing_data[0]:
            return False
    return True


class Phase(Enum):
    CONNECTING = 0
    SENDING = 1
    FIRST_BYTE = 2


class _Exchange:
    """One request on one slot until its headers are there. Moves its deadline along with what httpcore says it does."""

    def __init__(self, slot: _Slot, request: UpstreamRequest, total_due: float) -> None:
        self.stale = False
        self._slot = slot
        self._request = request
        self._total_due = total_due
        self._loop = asyncio.get_running_loop()
        self._clock: asyncio.Timeout | None = None
        self._phase = Phase.CONNECTING
        self._tunnelling = False
        self._total_first = False
        self._sent_at = inf
        self._connects = slot.network.connects
        self._received = 0

    async def run(self) -> HttpxReply:
        name = origin_name(self._request.origin)
        self._slot.disarm()
        try:
            async with asyncio.timeout(None) as self._clock:
                self._expect(Phase.CONNECTING, self._request.timeouts.connect)
                response = await self._slot.pool.handle_async_request(self._write())
        except TimeoutError:
            raise self._too_late(name) from None
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError) as error:
            failure = self._slot.network.failure
            reason = connect_failure(failure) if failure is not None else str(error)  # a proxy's refusal has no other words
            raise UpstreamUnreachable(f"cannot connect to {name}: {reason}") from None
        except _BROKEN as error:
            raise self._broken(name, error) from None
        reply = HttpxReply(self._slot, response, self._request, self._total_due)
        if len(response.headers) > MAX_HEADERS or sum(len(n) + len(v) for n, v in response.headers) > MAX_HEADER_BYTES:
            raise UpstreamBroken(f"{name} sent more than {MAX_HEADERS} headers or {MAX_HEADER_BYTES} bytes of them")
        return reply

    def _write(self) -> httpcore.Request:
        request = self._request
        origin = request.origin
        headers = [(b"host", origin.host_header), *foreign_headers(request.headers), (b"accept-encoding", b"identity")]
        if request.body or request.method not in BODILESS:
            headers.append((b"content-length", b"%d" % len(request.body)))
        host = origin.host.encode("ascii" if origin.host.isascii() else "idna")
        port = None if origin.port == (443 if origin.tls else 80) else origin.port  # a usual port is not written to a proxy
        url = httpcore.URL(scheme=origin.scheme.encode(), host=host, port=port, target=request.target)
        return httpcore.Request(request.method, url, headers=headers, content=request.body, extensions={"trace": self._on_event})

    async def _on_event(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            self._tunnelling = info["request"].method == b"CONNECT"  # still a part of connecting
        if self._tunnelling:
            return
        if event.endswith("send_request_headers.started"):
            self._received = self._slot.network.received
            self._sent_at = self._loop.time()
            self._expect(Phase.SENDING, self._request.timeouts.idle)
        elif event.endswith("send_request_body.complete"):
            self._expect(Phase.FIRST_BYTE, self._request.timeouts.first_byte)

    def _expect(self, phase: Phase, seconds: float) -> None:
        self._phase = phase
        due = self._loop.time() + (seconds or inf)
        self._total_first = self._total_due < due
        due = min(due, self._total_due)
        if self._clock is not None:
            self._clock.reschedule(None if due == inf else due)

    def _too_late(self, name: str) -> UpstreamError:
        timeouts = self._request.timeouts
        if self._total_first:
            return UpstreamTimeout(f"{name} took longer than the total limit of {timeouts.total:g} s")
        match self._phase:
            case Phase.CONNECTING:
                return UpstreamUnreachable(f"cannot connect to {name}: no connection within {timeouts.connect:g} s")
            case Phase.SENDING:
                return UpstreamTimeout(f"{name} took nothing of the request for {timeouts.idle:g} s")
            case Phase.FIRST_BYTE:
                return UpstreamTimeout(f"{name} sent no answer within {timeouts.first_byte:g} s")

    def _broken(self, name: str, error: Exception) -> UpstreamError:
        network = self._slot.network
        if network.received > self._received:
            return UpstreamBroken(f"{name} broke off in the middle of its headers or did not answer in valid HTTP: {error}")
        self.stale = network.connects == self._connects and self._loop.time() < self._sent_at + STALE_SECONDS
        return UpstreamBroken(f"{name} closed the connection before it answered")


class HttpxReply:
    """An UpstreamReply over httpcore. `attach` is kept for the same shape; here it is a task that pulls."""

    def __init__(self, slot: _Slot, response: httpcore.Response, request: UpstreamRequest, total_due: float) -> None:
        self.status: int = response.status
        self.headers: HeaderList = [
            (name, value) for name, value in ((n.lower(), v) for n, v in response.headers) if name != b"transfer-encoding"
        ]
        self.http_version = response.extensions["http_version"].decode("ascii", "replace").removeprefix("HTTP/")
        self.on_idle: Callable[[_Slot, Origin], None] | None = None
        self.on_abort: Callable[[_Slot], None] | None = None
        self._slot = slot
        self._response = response
        self._name = origin_name(request.origin)
        self._origin = request.origin
        self._timeouts: Timeouts = request.timeouts
        self._total_due = total_due
        self._body: AsyncIterator[bytes] = response.aiter_stream().__aiter__()
        self._ended = False
        self._error: UpstreamError | None = None
        self._loop = asyncio.get_running_loop()
        self._pull: asyncio.Task[bytes] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._silent = False
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)

    async def chunk(self) -> bytes:
        """Pulls in a task of its own, which outlives a cancelled `chunk`: the next call takes what it brings."""
        while True:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            if self._pull is None:
                self._pull = self._loop.create_task(self._next())
            idle = self._timeouts.idle or inf
            left = self._total_due - self._loop.time()
            limit = min(idle, left)
            done, _ = await asyncio.wait((self._pull,), timeout=None if limit == inf else max(limit, 0))
            if not done:
                self._fail(self._too_late(left < idle))
            elif self._pull is not None:
                piece, self._pull = self._pull.result(), None
                if piece:
                    return piece

    async def _next(self) -> bytes:
        try:
            async for piece in self._body:
                if piece:
                    return piece
            await self._response.aclose()
        except _BROKEN:
            if self._error is None:
                self._fail(UpstreamBroken(f"{self._name} closed the connection in the middle of its answer"))
        else:
            self._ended = True
            if self.on_idle is not None and self._error is None:
                self.on_idle(self._slot, self._origin)
        return b""

    def _too_late(self, total_first: bool) -> UpstreamTimeout:
        if total_first:
            return UpstreamTimeout(f"{self._name} took longer than the total limit of {self._timeouts.total:g} s")
        return UpstreamTimeout(f"{self._name} sent nothing more for {self._timeouts.idle:g} s")

    def attach(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        self._pump = self._loop.create_task(self._push(on_data, on_end))

    def pause(self) -> None:
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def abort(self) -> None:
        if not self._ended:
            self._fail(UpstreamBroken("the reply was aborted"))
        if self._pump is not None:
            self._silent = True
            self._pump.cancel()

    async def _push(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        error: UpstreamError | None = None
        try:
            while piece := await self.chunk():
                await self._flowing.wait()
                on_data(piece)
                await self._flowing.wait()
        except UpstreamError as cut:
            error = cut
        if not self._silent:
            on_end(error)

    def _fail(self, error: UpstreamError) -> None:
        self._ended = True
        self._error = error
        if self._pull is not None:
            self._pull.cancel()
            self._pull = None
        if self.on_abort is not None:
            self.on_abort(self._slot)
