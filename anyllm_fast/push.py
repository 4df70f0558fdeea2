"""A stream sent from within the read of the upstream's socket: no task wakes for a chunk. Knows no dialect and no JSON.

Granian's `send` does its work in the call and returns an awaitable that is already done, unless the client's channel is full:
then one with `add_done_callback`, which is called when there is room again. So a chunk can be sent from `data_received` itself.
Nothing here holds for ASGI servers in general: `finished_type` tells whether it does, and `relay.py` has the loop for the others.
"""

from __future__ import annotations

import asyncio
from typing import Any

from anyllm_fast.call import Call
from anyllm_fast.errors import UpstreamError
from anyllm_fast.neutral.stream import Failure, Pipe
from anyllm_fast.upstream import UpstreamReply

_BODY = "http.response.body"
_LAST_CHUNK = 0.25
"""Seconds that an upstream has to end its body after the terminator of its stream: then the connection can be used again."""
_BURST = 1 << 18
"""Bytes after which the loop gets its turn: libuv reads a socket up to 32 times in a row, and sends to a client that has gone
succeed at once, so a flood would keep everybody waiting, also the news that the client has gone."""


def finished_type(sent: Any) -> type | None:
    """The type of an awaitable that is done, read off what `send` returned for the head; None if the server has no such thing."""
    if asyncio.iscoroutine(sent) or asyncio.isfuture(sent) or hasattr(sent, "add_done_callback"):
        return None
    return type(sent)


class Push:
    """One stream from its commit point to its end. Backpressure: while a send is pending the upstream is not read."""

    __slots__ = (
        "_blocked",
        "_burst",
        "_drained",
        "_finished",
        "_loop",
        "_over",
        "_pipe",
        "_reply",
        "_send",
        "_waiting",
        "bytes_out",
        "last",
        "time",
    )

    def __init__(self, call: Call, pipe: Pipe, reply: UpstreamReply, finished: type) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._send = call.send
        self._pipe = pipe
        self._reply = reply
        self._finished = finished
        self._over: asyncio.Future[None] = loop.create_future()
        self._blocked = False
        self._burst = 0
        self._drained = False
        self._waiting: list[bytes] = []  # one read at most: reading stops while a send is pending
        self.time = loop.time
        self.last = loop.time()
        self.bytes_out = 0

    async def run(self, first: bytes) -> None:
        """Sends `first`, then what the reply brings, until the pipe has ended."""
        if first or self._pipe.ended:
            self._put(first)
        self._reply.attach(self._on_data, self._on_end)
        if self._blocked:  # attaching has resumed it
            self._reply.pause()
        await self._over
        if not self._drained:
            self._loop.call_later(_LAST_CHUNK, self._reply.abort)

    def beat(self, frame: bytes) -> None:
        """Sends a keep-alive frame, unless the client has yet to take what it was sent."""
        if not self._blocked and not self._pipe.ended:
            self._put(frame)

    def _on_data(self, data: bytes) -> None:
        if self._pipe.ended:  # more behind the terminator: who knows for how long
            self._reply.abort()
            return
        out = self._pipe.feed(data)
        if out or self._pipe.ended:
            self._put(out)
        self._burst += len(data)
        if self._burst > _BURST:
            self._burst = 0
            self._reply.pause()
            self._loop.call_soon(self._breathe)

    def _on_end(self, error: UpstreamError | None) -> None:
        self._drained = True
        pipe = self._pipe
        if not pipe.ended:
            self._put(pipe.finish() if error is None else pipe.fail(Failure(error.kind, error.message, error.status)))

    def _put(self, out: bytes) -> None:
        if self._blocked:
            self._waiting.append(out)
            return
        ended = self._pipe.ended
        try:
            sent: Any = self._send({"type": _BODY, "body": out, "more_body": not ended})
        except Exception as error:  # the server has closed the client's side; nobody above this callback could take it
            self._finish(error)
            return
        self.bytes_out += len(out)
        self.last = self.time()
        if type(sent) is not self._finished:
            self._blocked = True
            self._reply.pause()
            sent.add_done_callback(self._unblock)
        elif ended:
            self._finish(None)

    def _breathe(self) -> None:
        if not self._blocked and not self._over.done():
            self._reply.resume()

    def _unblock(self, _: object) -> None:
        self._blocked = False
        if self._over.done():
            return
        if self._waiting:
            out = b"".join(self._waiting)
            self._waiting.clear()
            self._put(out)
        elif self._pipe.ended:
            self._finish(None)
        if not self._blocked:
            self._reply.resume()

    def _finish(self, error: Exception | None) -> None:
        if not self._over.done():
            if error is None:
                self._over.set_result(None)
            else:
                self._over.set_exception(error)
