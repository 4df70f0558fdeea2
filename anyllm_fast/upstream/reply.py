"""The reply that an HTTP/1.1 connection carries: a body handed on by `chunk`, `read` or `attach`. Knows no HTTP.

`chunk()` wakes the task that awaits it; `attach()` calls its reader from within the read of the socket: no task to wake.
A body that nobody takes is held up to HIGH_WATER bytes and one read, then the socket is not read any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyllm_fast.errors import UpstreamBroken, UpstreamError

from . import HeaderList
from .bounds import HIGH_WATER, too_large

if TYPE_CHECKING:
    from .connection import Http1Connection


class Http1Reply:
    """An UpstreamReply on one connection, and the callback form of it (`attach`, `pause`, `resume`)."""

    __slots__ = (
        "_connection",
        "_held",
        "_limit",
        "_on_data",
        "_on_end",
        "_pieces",
        "_size",
        "_waiter",
        "arrival",
        "encoded",
        "ended",
        "error",
        "headers",
        "http_version",
        "length",
        "status",
    )

    # What the head says; before it is there `status` is 0 and the rest is unset.
    headers: HeaderList
    http_version: str
    encoded: bool  # there is a content-encoding header
    length: int  # -1: not said

    def __init__(self, connection: Http1Connection) -> None:
        self.status = 0
        self.ended = False
        self.error: UpstreamError | None = None
        self.arrival: asyncio.Future[None] = connection.loop.create_future()  # done: headers are there, or `error` is
        self._waiter: asyncio.Future[None] | None = self.arrival
        self._connection: Http1Connection | None = connection
        self._pieces: list[bytes] = []
        self._size = 0
        self._held = False
        self._on_data: Callable[[bytes], None] | None = None
        self._on_end: Callable[[UpstreamError | None], None] | None = None

    async def read(self, limit: int) -> bytes:
        pieces = self._pieces
        if self.ended and self.error is None and len(pieces) == 1 and len(pieces[0]) <= limit:  # it came in one read
            return pieces[0]
        self._limit = limit
        self._size = sum(map(len, pieces))
        connection = self._connection
        if self._size > limit or (connection is not None and self.length > limit):
            self._give_up(too_large(limit))
        elif connection is not None:
            self._on_data = self._collect
            self.resume()
            waiter = self._waiter = connection.loop.create_future()
            await waiter
        if self.error is not None:
            raise self.error
        return b"".join(pieces)

    async def chunk(self) -> bytes:
        pieces = self._pieces
        connection = self._connection
        if not pieces and connection is not None:
            waiter = self._waiter = connection.loop.create_future()
            await waiter
        if pieces:
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._size = 0
            if self._held:
                self.resume()
            return piece
        if self.error is not None:
            raise self.error
        return b""

    def attach(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        """From now on the body is pushed: `on_data` once per read of the socket with everything that read held (what came
        before: at once), then `on_end` once, with the error of a body that was cut. Neither may raise or block.
        Instead of `read` and `chunk`, not beside them. After `abort` neither is called again."""
        self._on_data = on_data
        self._on_end = on_end
        self.resume()
        if self._pieces:
            piece = b"".join(self._pieces)
            self._pieces.clear()
            on_data(piece)
        if self.ended and self._on_end is not None:
            self._on_data = self._on_end = None
            on_end(self.error)

    def pause(self) -> None:
        """Stops reading from the upstream; what the current read already held may still arrive."""
        connection = self._connection
        if connection is not None and not self._held:
            self._held = True
            connection.pause()

    def resume(self) -> None:
        if self._held:
            self._held = False
            if self._connection is not None:
                self._connection.resume()

    def abort(self) -> None:
        self._on_data = self._on_end = None
        self._give_up(UpstreamBroken("the reply was aborted"))

    def failure(self) -> UpstreamError:
        """The error of a reply that has no headers, for `send` to raise. It is let go of: error, traceback, frame and reply would
        hold one another until the collector comes."""
        error, self.error = self.error, None
        return error or UpstreamBroken("the upstream gave no answer")

    def deliver(self, piece: bytes) -> None:
        """One read's worth of the body. Called by the connection only."""
        if self._on_data is not None:
            self._on_data(piece)
            return
        self._pieces.append(piece)
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        else:
            self._size += len(piece)
            if self._size > HIGH_WATER:
                self.pause()

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def end(self, error: UpstreamError | None) -> None:
        """The body is whole, or `error` says why it never will be. Called by the connection only."""
        self.ended = True
        self.error = error
        self._connection = None
        self._on_data = None
        if self._waiter is not None:
            self.wake()
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end(error)

    def _collect(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._limit:
            self._give_up(too_large(self._limit))

    def _give_up(self, error: UpstreamError) -> None:
        connection = self._connection
        if connection is not None:
            connection.abort()
            self.end(error)
        elif self.error is None:
            self.error = error
