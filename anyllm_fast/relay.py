"""A streamed reply on its way out: upstream read, pipe, one send. Knows no dialect and no JSON.

Nothing else stands in the stream. `run` holds what the pipe gives until the pipe is committed, so that a stream that fails at once
becomes an error with a true status; a wait of `_COMMIT_WAIT` ends that too, because a client must not wait for headers.
"""

from __future__ import annotations

import asyncio
import time

from anyllm_fast.bridge import Bridge, refused
from anyllm_fast.call import Call
from anyllm_fast.config import Settings
from anyllm_fast.errors import UpstreamBroken, UpstreamError
from anyllm_fast.neutral.stream import Failure, Pipe
from anyllm_fast.upstream import UpstreamReply

_COMMIT_WAIT = 0.25
_KEEPALIVE_AFTER = 15.0
_START = "http.response.start"
_BODY = "http.response.body"


async def answer(call: Call, status: int, payload: bytes, content_type: bytes = b"application/json") -> None:
    """One whole answer."""
    outcome = call.outcome
    outcome.status = status
    outcome.bytes_out = len(payload)
    outcome.first_byte_at = time.monotonic()
    await call.send({"type": _START, "status": status, "headers": response_headers(call, content_type, len(payload))})
    await call.send({"type": _BODY, "body": b"" if call.method == "HEAD" else payload})


def response_headers(call: Call, content_type: bytes, length: int = -1) -> list[tuple[bytes, bytes]]:
    """What every answer carries, then what this one collected."""
    out = [(b"content-type", content_type), (b"x-request-id", call.request_id.encode("ascii"))]
    if length >= 0:
        out.append((b"content-length", b"%d" % length))
    out += call.response_headers
    if call.losses and call.announce:
        out.append((b"x-anyllm-degradation", call.losses.header()))
    return out


class Relay:
    """One stream from its first byte to its last."""

    __slots__ = ("_beat", "_bridge", "_call", "_heartbeat", "_last", "_loop", "_pipe", "_reply", "_settings")

    def __init__(self, call: Call, bridge: Bridge, reply: UpstreamReply, settings: Settings) -> None:
        self._call = call
        self._bridge = bridge
        self._reply = reply
        self._settings = settings
        self._pipe: Pipe = bridge.open_pipe()
        self._loop = asyncio.get_running_loop()
        self._heartbeat: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None
        self._last = 0.0

    async def run(self) -> None:
        call, pipe = self._call, self._pipe
        first = await self._until_committed()
        if first is None:
            return
        await self._open()
        try:
            await self._relay(first)
        finally:
            if self._heartbeat is not None:
                self._heartbeat.cancel()
            if self._beat is not None:
                self._beat.cancel()
            outcome = call.outcome
            outcome.usage, outcome.stop_reason = pipe.usage, pipe.stop_reason or ""
            if pipe.failure is not None:
                outcome.error, outcome.message = pipe.failure.kind, pipe.failure.message

    async def _until_committed(self) -> bytes | None:
        """The first bytes to send. None if the answer has been given otherwise. Raises what the stream failed with."""
        reply, pipe = self._reply, self._pipe
        chunk = await reply.chunk()
        if _is_document(reply, chunk):
            await self._document(chunk)
            return None
        held = pipe.feed(chunk) if chunk else pipe.finish()
        while not pipe.committed and not pipe.ended and chunk:
            try:
                async with asyncio.timeout(_COMMIT_WAIT if held else None):
                    chunk = await reply.chunk()
            except TimeoutError:
                break
            held += pipe.feed(chunk) if chunk else pipe.finish()
        if pipe.failure is not None and not pipe.committed:
            raise refused(pipe.failure, 502)
        return held

    async def _open(self) -> None:
        call = self._call
        call.outcome.status = 200
        call.outcome.first_byte_at = self._last = time.monotonic()
        headers = response_headers(call, self._bridge.client.content_type_stream)
        headers.append((b"cache-control", b"no-cache"))
        headers.append((b"x-accel-buffering", b"no"))  # nginx in front of us would hold the stream back
        await call.send({"type": _START, "status": 200, "headers": headers})
        if self._bridge.client.keepalive:
            self._heartbeat = self._loop.call_later(_KEEPALIVE_AFTER, self._tick)

    async def _relay(self, out: bytes) -> None:
        """Until the pipe has given its last bytes: one upstream read, at most one send."""
        send, chunk_of, pipe, outcome = self._call.send, self._reply.chunk, self._pipe, self._call.outcome
        monotonic = time.monotonic
        while True:
            if out:
                if self._beat is not None:
                    await self._beat
                    self._beat = None
                ended = pipe.ended
                await send({"type": _BODY, "body": out, "more_body": not ended})
                outcome.bytes_out += len(out)
                if ended:
                    return
                self._last = monotonic()
            elif pipe.ended:
                await send({"type": _BODY, "body": b"", "more_body": False})
                return
            try:
                chunk = await chunk_of()
                out = pipe.feed(chunk) if chunk else pipe.finish()
            except UpstreamError as error:
                out = pipe.fail(Failure(error.kind, error.message, error.status))

    async def _document(self, first: bytes) -> None:
        """One JSON document where a stream was asked for: an error, or a reply that is replayed as a stream."""
        call = self._call
        rest = [first]
        size = len(first)
        while chunk := await self._reply.chunk():
            rest.append(chunk)
            size += len(chunk)
            if size > self._settings.max_reply_bytes:
                raise UpstreamBroken(f"the upstream's reply is larger than {self._settings.max_reply_bytes} bytes")
        raw = b"".join(rest)
        self._bridge.check(raw, self._reply.status)
        payload, call.outcome.usage, call.outcome.stop_reason = self._bridge.streamed(raw, call)
        await answer(call, 200, payload, self._bridge.client.content_type_stream)

    def _tick(self) -> None:
        """Sends a keep-alive frame if nothing has left for a while. The pipe gives whole frames only, so it never splits one."""
        idle = time.monotonic() - self._last
        if idle >= _KEEPALIVE_AFTER and self._beat is None:
            self._beat = self._loop.create_task(self._keepalive())
            idle = 0.0
        self._heartbeat = self._loop.call_later(_KEEPALIVE_AFTER - idle, self._tick)

    async def _keepalive(self) -> None:
        self._last = time.monotonic()
        await self._call.send({"type": _BODY, "body": self._bridge.client.keepalive, "more_body": True})


def _is_document(reply: UpstreamReply, chunk: bytes) -> bool:
    """Whether a reply to a streaming request is no event stream. The label is believed only if it says that it is one."""
    for name, value in reply.headers:
        if name == b"content-type" and value.startswith(b"text/event-stream"):
            return False
    return chunk.lstrip()[:1] in b"{[<" and bool(chunk.strip())
