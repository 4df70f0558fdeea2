"""The seam to the network: an UpstreamRequest goes out, an UpstreamReply comes back. Knows HTTP, no JSON and no dialect.

`open_upstream(options)` (client.py) gives the one `Upstream` of a worker: HTTP/1.1 on asyncio.Protocol + httptools where it can
(http1.py), httpcore, the transport inside httpx, for HTTP/2, forward proxies and platforms without httptools (over_httpx.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from anyllm_fast.errors import UpstreamError

HeaderList = list[tuple[bytes, bytes]]


class Origin(msgspec.Struct, frozen=True):
    """Where a connection goes. `host` without brackets; `host_header` as it is sent (port only if not the default)."""

    scheme: str
    host: str
    port: int

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def host_header(self) -> bytes:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.tls else 80
        return host.encode("idna" if not host.isascii() else "ascii") + (b"" if self.port == default else b":%d" % self.port)


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds; 0 means no limit. `first_byte` runs from the request's last byte to the reply's first, `idle` between two
    reads of the reply, `total` over everything."""

    connect: float = 10.0
    first_byte: float = 900.0
    idle: float = 900.0
    total: float = 0.0


class UpstreamRequest(msgspec.Struct):
    """One request as it leaves. `target` is path and query; `headers` lower-case names, without host, content-length,
    connection and accept-encoding, which the seam adds itself (`accept-encoding: identity`)."""

    origin: Origin
    method: bytes
    target: bytes
    headers: HeaderList
    body: bytes
    timeouts: Timeouts


class UpstreamReply(Protocol):
    """The reply, headers read, body not yet. Exactly one of `read` and repeated `chunk` is used; `abort` ends it early."""

    status: int
    headers: HeaderList  # lower-case names, as received; content-encoding and transfer-encoding are already undone
    http_version: str

    async def read(self, limit: int) -> bytes:
        """The whole body, decoded. Raises UpstreamBroken past `limit` bytes or when it is cut, UpstreamTimeout."""
        ...

    async def chunk(self) -> bytes:
        """Everything that has arrived since the last call, at least one byte; b"" at the clean end of the body. Cancelling it
        loses nothing: the next call goes on. Raises UpstreamBroken when the body is cut (reset, EOF before its length),
        UpstreamTimeout when it is idle."""
        ...

    def attach(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        """The cheapest form, instead of `read` and `chunk`: `on_data` is called with at least one byte, from the read of the
        socket itself, then `on_end` once, with the error of a body that was cut. Neither may raise. Nothing after `abort`."""
        ...

    def pause(self) -> None:
        """With `attach`: stop reading from the upstream. What a read already held may still come."""
        ...

    def resume(self) -> None: ...

    def abort(self) -> None:
        """Closes the connection now (a pool must not reuse it). Safe to call at any time, more than once."""
        ...


class Upstream(Protocol):
    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Sends and waits for the reply's headers. Cancelling it closes the connection at once. A pooled connection that
        turns out dead before any byte of a reply is replaced once, invisibly. Raises UpstreamUnreachable, UpstreamTimeout,
        UpstreamBroken."""
        ...

    async def close(self) -> None: ...
