"""The life of connections and calls at the upstream seam: kept, replaced, timed out, left. Both implementations, both loops."""

from __future__ import annotations

import asyncio
import time

import pytest
from lanes import Open, every_lane, request, settle, take_all, until
from raw_upstream import CHUNKED, LAST_CHUNK, Close, Drip, Flood, Hang, Reset, Sleep, Until, chunk, ok, raw_upstream

from anyllm_fast.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from anyllm_fast.upstream import Timeouts

# The pool


@every_lane
async def test_a_connection_is_used_again_and_a_closed_one_is_not(open_upstream: Open) -> None:
    async with raw_upstream(
        [ok(b"1")], [CHUNKED + chunk(b"2") + LAST_CHUNK], [ok(b"3", b"connection: close")], [ok(b"4")]
    ) as raw:
        upstream = open_upstream()
        for expected in (b"1", b"2", b"3", b"4"):
            assert await (await upstream.send(request(raw.port))).read(9) == expected
        assert [seen.connection for seen in raw.requests] == [0, 0, 0, 1]
        await upstream.close()
        assert await raw.closed_within(1)


@every_lane
async def test_a_connection_that_was_closed_while_idle_is_replaced_unseen(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream()
        for turn in range(3):
            assert await (await upstream.send(request(raw.port))).read(9) == b"hi"
            raw.close_idle()
            if turn:
                await settle()
        assert len(raw.connections) == 3
        await upstream.close()


@pytest.mark.parametrize("death", [Close(), Reset()])
@every_lane
async def test_a_stale_connection_is_replaced_once(open_upstream: Open, death: Close | Reset) -> None:
    async with raw_upstream([ok(b"1")], [death], [ok(b"2")], [death], [death], [ok(b"no")]) as raw:
        upstream = open_upstream()
        assert await (await upstream.send(request(raw.port))).read(9) == b"1"
        assert await (await upstream.send(request(raw.port))).read(9) == b"2"
        with pytest.raises(UpstreamBroken, match="before it answered"):
            await upstream.send(request(raw.port))
        assert [seen.connection for seen in raw.requests] == [0, 0, 1, 1, 2]
        await upstream.close()


@every_lane
async def test_nothing_is_sent_again_once_a_byte_of_the_answer_was_seen(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"1")], [b"H", Sleep(0.02), Close()], [ok(b"no")]) as raw:
        upstream = open_upstream()
        await (await upstream.send(request(raw.port))).read(9)
        with pytest.raises(UpstreamBroken, match="in the middle of its headers"):
            await upstream.send(request(raw.port))
        assert len(raw.requests) == 2
        await upstream.close()


@every_lane
async def test_bytes_on_an_idle_connection_close_it(open_upstream: Open) -> None:
    late = ok(b"late", status=b"408 Request Timeout")
    for extra in ([ok(b"1") + late], [ok(b"1"), Sleep(0.02), late]):
        async with raw_upstream(extra, [ok(b"2")]) as raw:
            upstream = open_upstream()
            assert await (await upstream.send(request(raw.port))).read(9) == b"1"
            await asyncio.sleep(0.06)
            assert await (await upstream.send(request(raw.port))).read(9) == b"2"
            assert [seen.connection for seen in raw.requests] == [0, 1]
            await upstream.close()


@every_lane
async def test_idle_connections_expire_and_are_bounded(open_upstream: Open) -> None:
    async with raw_upstream([Sleep(0.05), ok(b"1")]) as raw:
        upstream = open_upstream(idle_connections=2, idle_seconds=0.1)
        replies = await asyncio.gather(*(upstream.send(request(raw.port)) for _ in range(4)))
        for reply in replies:
            await reply.read(9)
        await settle()
        assert sum(seen.closed_at is not None for seen in raw.connections) == 2
        await asyncio.sleep(0.15)
        await (await upstream.send(request(raw.port))).read(9)
        assert len(raw.connections) == 5
        await upstream.close()


@every_lane
async def test_300_streams_at_once_are_all_correct(open_upstream: Open) -> None:
    pieces = [chunk(b"%d," % index) for index in range(10)]
    go = asyncio.Event()
    async with raw_upstream([CHUNKED, Until(go), *pieces, LAST_CHUNK]) as raw:
        upstream = open_upstream()
        sends = [asyncio.ensure_future(upstream.send(request(raw.port, b"%d" % index))) for index in range(300)]
        await asyncio.gather(*sends)
        go.set()
        bodies = await asyncio.gather(*(take_all(send.result()) for send in sends))
        assert set(bodies) == {b"0,1,2,3,4,5,6,7,8,9,"}
        assert sorted(int(seen.body) for seen in raw.requests) == list(range(300))
        await upstream.close()


# Time


@every_lane
async def test_a_refused_connect_is_unreachable(open_upstream: Open) -> None:
    upstream = open_upstream()
    async with raw_upstream([ok()]) as raw:
        port = raw.port
    with pytest.raises(UpstreamUnreachable, match="connection refused") as caught:
        await upstream.send(request(port))
    assert caught.value.retryable
    with pytest.raises(UpstreamUnreachable, match="cannot be resolved"):
        await upstream.send(request(port, host="no-such-host.invalid"))
    await upstream.close()


TIMEOUTS = {
    "no answer within 0.1 s": ([Hang()], Timeouts(first_byte=0.1)),
    "sent nothing more for 0.1 s": ([CHUNKED + chunk(b"x"), Hang()], Timeouts(first_byte=3, idle=0.1)),
    "total limit of 0.1 s": ([CHUNKED, Drip(chunk(b"x" * 1000), 0.02)], Timeouts(total=0.1)),
    "the total limit of 0.1 s": ([Hang()], Timeouts(total=0.1)),
}


@pytest.mark.parametrize("message", TIMEOUTS)
@every_lane
async def test_each_limit_of_time_says_which_it_is(open_upstream: Open, message: str) -> None:
    script, timeouts = TIMEOUTS[message]
    async with raw_upstream(script) as raw:
        upstream = open_upstream()
        started = time.monotonic()
        with pytest.raises(UpstreamTimeout, match=message) as caught:
            await (await upstream.send(request(raw.port, timeouts=timeouts))).read(10_000)
        assert caught.value.status == 504
        assert 0.08 < time.monotonic() - started < 2
        assert await raw.closed_within(1)
        await upstream.close()


@every_lane
async def test_no_limit_of_time_rings_on_a_stream_that_moves(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED, Drip(chunk(b"x" * 20), 0.02), LAST_CHUNK]) as raw:
        upstream = open_upstream()
        limits = Timeouts(first_byte=0.3, idle=0.2)
        for _ in range(2):
            assert await take_all(await upstream.send(request(raw.port, timeouts=limits))) == b"x" * 20
        await upstream.close()


@every_lane
async def test_a_slow_reader_is_not_the_upstreams_silence(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED, Flood(8 << 20, chunk(b"x" * 60000)), LAST_CHUNK]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port, timeouts=Timeouts(idle=0.15)))
        await reply.chunk()
        await asyncio.sleep(0.4)
        assert len(await take_all(reply)) > 7 << 20
        await upstream.close()


# Leaving


QUICK = 0.05  # seconds; the best of three tries, because the machine may be busy with something else


@every_lane
async def test_cancelling_while_waiting_for_headers_closes_the_socket_at_once(open_upstream: Open) -> None:
    async with raw_upstream([Hang()]) as raw:
        upstream = open_upstream()
        delays = []
        for turn in range(3):
            task = asyncio.ensure_future(upstream.send(request(raw.port)))
            await until(lambda turn=turn: len(raw.requests) > turn)
            left_at = time.monotonic()
            task.cancel()
            assert await raw.closed_within(1)
            delays.append((raw.connections[-1].closed_at or 0) - left_at)
            with pytest.raises(asyncio.CancelledError):
                await task
        assert min(delays) < QUICK
        await upstream.close()


@every_lane
async def test_aborting_a_stream_closes_the_socket_at_once(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED + chunk(b"x"), Hang()]) as raw:
        upstream = open_upstream()
        delays = []
        for _ in range(3):
            reply = await upstream.send(request(raw.port))
            assert await reply.chunk() == b"x"
            waiting = asyncio.ensure_future(reply.chunk())
            await settle()
            left_at = time.monotonic()
            reply.abort()
            reply.abort()
            assert await raw.closed_within(1)
            delays.append((raw.connections[-1].closed_at or 0) - left_at)
            with pytest.raises(UpstreamBroken, match="aborted"):
                await waiting
        assert min(delays) < QUICK
        await upstream.close()


@every_lane
async def test_aborting_a_pushed_stream_silences_it(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED + chunk(b"x"), Sleep(0.05), chunk(b"y"), LAST_CHUNK]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        events: list[object] = []

        def take(piece: bytes) -> None:
            events.append(piece)
            reply.abort()

        reply.attach(take, events.append)
        assert await raw.closed_within(1)
        await asyncio.sleep(0.1)
        assert events == [b"x"]
        await upstream.close()


@every_lane
async def test_aborting_a_whole_reply_keeps_its_connection(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream()
        for _ in range(2):
            reply = await upstream.send(request(raw.port))
            assert await reply.read(9) == b"hi"
            reply.abort()
        assert len(raw.connections) == 1
        await upstream.close()


@every_lane
async def test_cancelling_chunk_loses_nothing(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED, Drip(chunk(b"abcdefgh"), 0.01), LAST_CHUNK]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        body = b""
        for _ in range(200):
            try:
                async with asyncio.timeout(0.004):
                    piece = await reply.chunk()
            except TimeoutError:
                continue
            if not piece:
                break
            body += piece
        assert body == b"abcdefgh"
        await upstream.close()


@every_lane
async def test_close_ends_what_is_running(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED + chunk(b"x"), Hang()]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        await reply.chunk()
        await upstream.close()
        assert await raw.closed_within(1)
        with pytest.raises(UpstreamBroken):
            await reply.chunk()
        with pytest.raises(UpstreamUnreachable, match="shutting down"):
            await upstream.send(request(raw.port))
