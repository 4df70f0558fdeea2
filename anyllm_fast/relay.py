"""A streamed reply on its way out: upstream read, pipe, one send. Knows no dialect and no JSON.

Nothing else stands in the stream. `run` holds what the pipe gives until the pipe is committed, so that a stream that fails at
once becomes an error with a true status; `_COMMIT_WAIT` seconds or `_COMMIT_SIZE` bytes end that too, because a client must not
wait for headers.
"""

from __future__ import annotations

import asyncio
import time

from anyllm_fast.bridge import Bridge, refused
from anyllm_fast.call import Call
from anyllm_fast.config import Settings
from anyllm_fast.errors import UpstreamError
from anyllm_fast.neutral.stream import Failure, Pipe
from anyllm_fast.push import Push, finished_type
from anyllm_fast.upstream import UpstreamReply
from anyllm_fast.upstream.bounds import read_whole

_COMMIT_WAIT = 0.25
_COMMIT_SIZE = 65536
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
    known = call.errors.request_id_header
    if known != b"x-request-id" and all(name != known for name, _ in call.response_headers):
        out.append((known, call.request_id.encode("ascii")))  # an upstream's own id goes before ours
    if call.losses and call.announce:
        out.append((b"x-anyllm-degradation", call.losses.header()))
    return out


class Relay:
    """One stream from its first byte to its last."""

    __slots__ = ("_beat", "_bridge", "_call", "_heartbeat", "_last", "_loop", "_pipe", "_push", "_reply", "_settings")

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
        self._push: Push | None = None

    async def run(self) -> None:
        call, pipe = self._call, self._pipe
        first = await self._until_committed()
        if first is None:
            return
        finished = await self._open()
        outcome = call.outcome
        try:
            if finished is not None:
                self._push = Push(call, pipe, self._reply, finished)
                await self._push.run(first)
            else:
                await self._relay(first)
                self._reply.abort()  # its body may go on behind the terminator
        finally:
            if self._heartbeat is not None:
                self._heartbeat.cancel()
            if self._beat is not None:
                self._beat.cancel()
            if self._push is not None:
                outcome.bytes_out = self._push.bytes_out
            self._bridge.remember(pipe.remembered)
            for name in pipe.losses:
                call.losses.add(((), name), "the client's dialect has no words for this part of the stream")
            outcome.usage, outcome.stop_reason = pipe.usage, pipe.stop_reason or ""
            if pipe.failure is not None:
                outcome.error, outcome.message = pipe.failure.kind, pipe.failure.message

    async def _until_committed(self) -> bytes | None:
        """The first bytes to send. None if the answer has been given otherwise. Raises what the stream failed with."""
        reply, pipe = self._reply, self._pipe
        chunk = await reply.chunk()
        while chunk.isspace():  # blank lines are no event; a document may follow them
            chunk = await reply.chunk()
        if _is_document(chunk):
            await self._document(chunk)
            return None
        held = pipe.feed(chunk) if chunk else pipe.finish()
        due: float | None = None
        while not pipe.committed and not pipe.ended and chunk and len(held) < _COMMIT_SIZE:
            if held and due is None:
                due = self._loop.time() + _COMMIT_WAIT
            try:
                async with asyncio.timeout_at(due):
                    chunk = await reply.chunk()
            except TimeoutError:
                break
            held += pipe.feed(chunk) if chunk else pipe.finish()
        if pipe.failure is not None and not pipe.committed:
            raise refused(pipe.failure, 502)
        return held

    async def _open(self) -> type | None:
        """Sends the head. Returns what tells a finished send, where the server has such a thing (push.py)."""
        call = self._call
        call.outcome.status = 200
        call.outcome.first_byte_at = time.monotonic()
        self._last = self._loop.time()
        headers = response_headers(call, self._bridge.content_type)
        headers.append((b"cache-control", b"no-cache"))
        headers.append((b"x-accel-buffering", b"no"))  # nginx in front of us would hold the stream back
        sent = call.send({"type": _START, "status": 200, "headers": headers})
        finished = finished_type(sent)
        await sent
        if self._bridge.keepalive:
            self._heartbeat = self._loop.call_later(_KEEPALIVE_AFTER, self._tick)
        return finished

    async def _relay(self, out: bytes) -> None:
        """Until the pipe has given its last bytes: one upstream read, at most one send."""
        send, chunk_of, pipe, outcome = self._call.send, self._reply.chunk, self._pipe, self._call.outcome
        now = self._loop.time
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
                self._last = now()
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
        raw = await read_whole(self._reply, self._settings.max_reply_bytes, first)
        payload, call.outcome.usage, call.outcome.stop_reason = self._bridge.streamed(raw, call)
        await answer(call, 200, payload, self._bridge.content_type)

    def _tick(self) -> None:
        """Sends a keep-alive frame if nothing has left for a while. The pipe gives whole frames only, so it never splits one."""
        push = self._push
        idle = self._loop.time() - (self._last if push is None else push.last)
        if idle >= _KEEPALIVE_AFTER:
            idle = 0.0
            if push is not None:
                push.beat(self._bridge.keepalive)
            elif self._beat is None:
                self._beat = self._loop.create_task(self._keepalive())
        self._heartbeat = self._loop.call_later(_KEEPALIVE_AFTER - idle, self._tick)

    async def _keepalive(self) -> None:
        self._last = self._loop.time()
        await self._call.send({"type": _BODY, "body": self._bridge.keepalive, "more_body": True})


def _is_document(chunk: bytes) -> bool:
    """Whether a reply to a streaming request is no event stream, whatever its label says: no line of one begins like this."""
    return chunk.lstrip()[:1] in (b"{", b"[", b"<")
