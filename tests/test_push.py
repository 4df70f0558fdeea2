"""push: a stream sent from the upstream's own callbacks. The two kinds of awaitables that Granian gives are two small classes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from anyllm_fast.errors import UpstreamBroken, UpstreamError
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.push import Push, finished_type


class Done:
    """What `send` returns when it has done its work."""


class Pending:
    """What `send` returns when the client's channel is full."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[object], None]] = []

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        self.callbacks.append(callback)

    def finish(self) -> None:
        for callback in self.callbacks:
            callback(None)


class Echo:
    """A pipe that gives back what it is fed; ends at `!`."""

    def __init__(self) -> None:
        self.committed = True
        self.failure: Any = None
        self.ended = False
        self.usage = Usage()
        self.stop_reason = None
        self.losses: list[str] = []

    def feed(self, chunk: bytes) -> bytes:
        self.ended = chunk.endswith(b"!")
        return chunk

    def finish(self) -> bytes:
        self.ended = True
        return b"<end>"

    def fail(self, failure: Any) -> bytes:
        self.ended, self.failure = True, failure
        return b"<error>"


class Reply:
    def __init__(self) -> None:
        self.reading = True
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def attach(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        self.on_data, self.on_end = on_data, on_end

    def pause(self) -> None:
        self.reading = False

    def resume(self) -> None:
        self.reading = True


class Stage:
    """A push with everything around it. `full`: how many sends find the channel full."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.sent: list[tuple[bytes, bool]] = []
        self.pending: list[Pending] = []
        self.pipe, self.reply = Echo(), Reply()
        self.push = Push(self, self.pipe, self.reply, Done)  # type: ignore[arg-type]  # of a call it takes `send` only
        self.task = asyncio.ensure_future(self.push.run(b"first"))

    def send(self, message: dict[str, Any]) -> Any:
        self.sent.append((message["body"], message["more_body"]))
        if not self.full:
            return Done()
        self.pending.append(Pending())
        return self.pending[-1]


async def test_every_read_is_one_send_and_the_last_one_says_so() -> None:
    stage = Stage()
    await asyncio.sleep(0)
    for part in (b"a", b"b", b"c!"):
        stage.reply.on_data(part)
    await stage.task
    assert stage.sent == [(b"first", True), (b"a", True), (b"b", True), (b"c!", False)]
    assert stage.push.bytes_out == 9


async def test_a_full_channel_stops_the_reading_and_nothing_is_lost_or_reordered() -> None:
    stage = Stage(full=True)
    await asyncio.sleep(0)
    assert not stage.reply.reading
    stage.reply.on_data(b"a")  # one read may still have been under way
    stage.reply.on_data(b"b")
    assert stage.sent == [(b"first", True)]
    stage.full = False
    stage.pending.pop().finish()
    assert stage.sent == [(b"first", True), (b"ab", True)] and stage.reply.reading
    stage.reply.on_data(b"c!")
    await stage.task
    assert stage.sent[-1] == (b"c!", False)


async def test_an_end_that_comes_while_a_send_is_pending_waits_for_it() -> None:
    stage = Stage(full=True)
    await asyncio.sleep(0)
    stage.reply.on_end(None)
    assert not stage.task.done() and len(stage.sent) == 1
    stage.pending.pop().finish()
    await asyncio.sleep(0)
    assert stage.sent[-1] == (b"<end>", False) and not stage.task.done()
    stage.pending.pop().finish()
    await stage.task


async def test_a_cut_body_becomes_the_pipes_error() -> None:
    stage = Stage()
    await asyncio.sleep(0)
    stage.reply.on_end(UpstreamBroken("cut"))
    await stage.task
    assert stage.sent[-1] == (b"<error>", False) and stage.pipe.failure.message == "cut"


async def test_a_server_that_refuses_a_send_ends_the_stream_with_its_error() -> None:
    stage = Stage()
    await asyncio.sleep(0)

    def closed(message: dict[str, Any]) -> Any:
        raise RuntimeError("transport closed")

    stage.push._send = closed
    stage.reply.on_data(b"a")
    with pytest.raises(RuntimeError):
        await stage.task


async def test_a_keepalive_is_not_queued_behind_a_client_that_does_not_read() -> None:
    stage = Stage(full=True)
    await asyncio.sleep(0)
    stage.push.beat(b": ping")
    assert len(stage.sent) == 1
    stage.full = False
    stage.pending.pop().finish()
    stage.push.beat(b": ping")
    assert stage.sent[-1] == (b": ping", True)
    stage.reply.on_data(b"!")
    await stage.task
    stage.push.beat(b": ping")
    assert stage.sent[-1] == (b"!", False)


async def test_only_an_awaitable_that_is_done_tells_the_type() -> None:
    async def coroutine() -> None: ...

    pending = coroutine()
    assert finished_type(pending) is None
    await pending
    assert finished_type(Pending()) is None
    assert finished_type(asyncio.get_running_loop().create_future()) is None
    assert finished_type(Done()) is Done


async def test_what_comes_behind_the_terminator_ends_the_upstreams_connection() -> None:
    stage = Stage()
    await asyncio.sleep(0)
    stage.reply.on_data(b"last!")
    await stage.task
    assert not stage.reply.aborted, "the end of the body may come in the next read, and then the connection is good"
    stage.reply.on_data(b"more")
    assert stage.reply.aborted
    assert [body for body, _ in stage.sent] == [b"first", b"last!"]
