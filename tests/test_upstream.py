"""What both implementations of the upstream seam must do alike: one body per rule, run over each of them and each loop."""

from __future__ import annotations

import asyncio

import pytest
from lanes import Open, collect, every_lane, request, take_all, until
from raw_upstream import CHUNKED, LAST_CHUNK, Close, Drip, Flood, Hang, Reset, Sleep, chunk, head, ok, raw_upstream

from anyllm_fast.errors import InvalidRequest, UpstreamBroken, UpstreamError

# What leaves


@every_lane
async def test_a_request_leaves_with_the_headers_that_the_seam_owns(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream()
        given = [(b"authorization", b"Bearer k"), (b"x-a", b"1"), (b"x-a", b"2")]
        stolen = [(b"host", b"evil"), (b"content-length", b"9"), (b"transfer-encoding", b"chunked"), (b"connection", b"close")]
        reply = await upstream.send(request(raw.port, b'{"a":1}', headers=given + stolen))
        assert (reply.status, await reply.read(100)) == (200, b"hi")
        seen = raw.requests[0]
        assert seen.line == b"POST /v1/chat/completions HTTP/1.1"
        assert seen.body == b'{"a":1}'
        own = [(b"host", b"127.0.0.1:%d" % raw.port), (b"accept-encoding", b"identity"), (b"content-length", b"7")]
        assert sorted(seen.headers) == sorted(given + own)
        await upstream.close()


@every_lane
async def test_a_line_break_or_nul_never_reaches_the_wire(open_upstream: Open) -> None:
    async with raw_upstream([ok()]) as raw:
        upstream = open_upstream()
        for bad in (b"a\r\nx-evil: 1", b"a\nb", b"a\rb", b"a\0b", b"a\r\n"):
            with pytest.raises(InvalidRequest, match=r"header 'x-a' contains a line break"):
                await upstream.send(request(raw.port, headers=[(b"x-a", bad)]))
            with pytest.raises(InvalidRequest, match="contains a line break"):
                await upstream.send(request(raw.port, headers=[(b"x" + bad, b"1")]))
        for target in (b"/a b", b"/a\r\nx: 1", b"/a\0", b"no-slash"):
            bad_request = request(raw.port)
            bad_request.target = target
            with pytest.raises(InvalidRequest, match="request path"):
                await upstream.send(bad_request)
        assert raw.requests == []
        await upstream.close()


@every_lane
async def test_a_get_has_no_length_and_an_empty_post_has_one(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"[]")]) as raw:
        upstream = open_upstream()
        assert await (await upstream.send(request(raw.port, b"", method=b"GET"))).read(10) == b"[]"
        assert await (await upstream.send(request(raw.port, b""))).read(10) == b"[]"
        assert [seen.header(b"content-length") for seen in raw.requests] == [None, b"0"]
        await upstream.close()


@every_lane
async def test_a_body_of_any_size_arrives_whole(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream()
        for size in (1, 16_384, 16_385, 262_144, 262_145, 5_000_000):
            body = bytes(range(251)) * (size // 251 + 1)
            await (await upstream.send(request(raw.port, body[:size]))).read(10)
            assert raw.requests[-1].body == body[:size]
        assert len(raw.connections) == 1
        await upstream.close()


# What comes back

BODIES = {
    "content-length": ([ok(b"hello world")], b"hello world"),
    "an empty body": ([ok()], b""),
    "chunked": ([CHUNKED + chunk(b"hello") + chunk(b" world") + LAST_CHUNK], b"hello world"),
    "chunk extensions": ([CHUNKED + b"5;a=b;c\r\nhello\r\n0;z\r\n\r\n"], b"hello"),
    "trailers": ([CHUNKED + chunk(b"hello") + b"0\r\nx-sum: 1\r\nx-b: 2\r\n\r\n"], b"hello"),
    "until close": ([head(version=b"HTTP/1.0") + b"hello", Sleep(0.01), b" world", Close()], b"hello world"),
    "until close in 1.1": ([head() + b"hello", Close()], b"hello"),
    "connection: close": ([ok(b"hello", b"connection: close"), Close()], b"hello"),
    "interim answers": ([b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + head(status=b"100 Continue") + ok(b"hello")], b"hello"),
    "204": ([head(status=b"204 No Content")], b""),
    "304 with a length": ([head(b"content-length: 9", status=b"304 Not Modified")], b""),
    "a redirect": ([ok(b"moved", b"location: http://127.0.0.1:1/", status=b"302 Found")], b"moved"),
    "byte by byte": ([Drip(CHUNKED + chunk(b"hello") + chunk(b" world") + LAST_CHUNK)], b"hello world"),
    "no reason phrase": ([ok(b"hello", status=b"200 ")], b"hello"),
}


@pytest.mark.parametrize("form", ["read", "chunk", "attach"])
@pytest.mark.parametrize("case", BODIES)
@every_lane
async def test_a_body_of_every_framing_is_whole_in_every_form(open_upstream: Open, case: str, form: str) -> None:
    script, expected = BODIES[case]
    async with raw_upstream(script) as raw:
        upstream = open_upstream()
        for _ in range(2):  # again, on the kept connection where there is one
            reply = await upstream.send(request(raw.port))
            assert await collect(reply, form) == expected
            assert b"x-sum" not in dict(reply.headers), "a trailer of the first is no header of the second"
        await upstream.close()


@every_lane
async def test_headers_come_in_lower_case_in_order_and_with_repeats(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"", b"X-A: 1", b"Set-Cookie: a", b"set-cookie: b", b"X-Empty:")]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        expected = [(b"x-a", b"1"), (b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"x-empty", b""), (b"content-length", b"0")]
        assert reply.headers == expected
        assert reply.http_version == "1.1"
        await upstream.close()


@every_lane
async def test_an_answer_to_head_has_no_body_whatever_its_length_says(open_upstream: Open) -> None:
    async with raw_upstream([head(b"content-length: 10")]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port, b"", method=b"HEAD"))
        assert (reply.status, await reply.read(5)) == (200, b"")
        await upstream.close()


CUTS = {
    "before the headers": [Close()],
    "a reset before the headers": [Reset()],
    "inside the status line": [b"HTTP/1.", Close()],
    "inside the headers": [b"HTTP/1.1 200 OK\r\ncontent-le", Close()],
    "before its length": [head(b"content-length: 10") + b"hello", Close()],
    "a reset before its length": [head(b"content-length: 10") + b"hello", Sleep(0.02), Reset()],
    "inside a chunk": [CHUNKED + b"a\r\nhello", Close()],
    "between chunks": [CHUNKED + chunk(b"hello"), Close()],
    "a reset between chunks": [CHUNKED + chunk(b"hello"), Sleep(0.02), Reset()],
    "inside the last chunk": [CHUNKED + chunk(b"hello") + b"0\r\n", Close()],
    "a reset until close": [head(version=b"HTTP/1.0") + b"hello", Sleep(0.02), Reset()],
}


@pytest.mark.parametrize("form", ["read", "chunk", "attach"])
@pytest.mark.parametrize("case", CUTS)
@every_lane
async def test_a_cut_body_is_an_error_not_an_end(open_upstream: Open, case: str, form: str) -> None:
    async with raw_upstream(CUTS[case]) as raw:
        upstream = open_upstream()
        with pytest.raises(UpstreamBroken) as caught:
            await collect(await upstream.send(request(raw.port)), form)
        assert f"127.0.0.1:{raw.port}" in caught.value.message
        assert len(raw.requests) == 1, "a fresh connection that dies is not replaced"
        await upstream.close()


@every_lane
async def test_what_came_before_a_cut_is_given_first(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED + chunk(b"hello"), Sleep(0.02), Reset()]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        assert await reply.chunk() == b"hello"
        for _ in range(2):
            with pytest.raises(UpstreamBroken, match="in the middle of its answer"):
                await reply.chunk()
        await upstream.close()


GARBAGE = {
    "not http": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "html": b"<html>Bad Gateway</html>\r\n\r\n",
    "two lengths": head(b"content-length: 2", b"content-length: 3") + b"hi!",
    "a negative length": head(b"content-length: -1"),
    "no number": head(b"content-length: 2x") + b"hi",
    "a bad chunk size": CHUNKED + b"zz\r\nhi\r\n",
    "a chunk longer than said": CHUNKED + b"2\r\nhello\r\n",
    "another transfer-encoding": head(b"transfer-encoding: gzip, chunked") + LAST_CHUNK,
    "two transfer-encodings": head(b"transfer-encoding: gzip", b"transfer-encoding: chunked") + LAST_CHUNK,
    "a space before the colon": head(b"x-a : 1", b"content-length: 0"),
    "a NUL in a header": head(b"x-a: 1\0", b"content-length: 0"),
    "an unknown content coding": ok(b"hi", b"content-encoding: compress"),
    "broken gzip": ok(b"hi there", b"content-encoding: gzip"),
}


@pytest.mark.parametrize("case", GARBAGE)
@every_lane
async def test_garbage_is_refused_with_a_clear_message(open_upstream: Open, case: str) -> None:
    async with raw_upstream([GARBAGE[case], Close()]) as raw:
        upstream = open_upstream()
        with pytest.raises(UpstreamBroken) as caught:
            await (await upstream.send(request(raw.port))).read(1000)
        assert caught.value.status == 502
        assert caught.value.message[:4] in ("127.", "the ")
        await upstream.close()


# Bounds


@every_lane
async def test_headers_without_end_are_refused(open_upstream: Open) -> None:
    for script in (
        [b"HTTP/1.1 200 OK\r\nx-a: ", Flood(1 << 20), Hang()],
        [head(*(b"x-%d: 1" % index for index in range(201)))],
        [head(*(b"x-%d: %s" % (index, b"v" * 1000) for index in range(90)))],
    ):
        async with raw_upstream(script) as raw:
            upstream = open_upstream()
            with pytest.raises(UpstreamBroken):
                await upstream.send(request(raw.port))
            assert await raw.closed_within(1)
            await upstream.close()


@pytest.mark.parametrize("script", [[ok(b"x" * 101)], [CHUNKED, Flood(1 << 20, chunk(b"x" * 1000)), Hang()]])
@every_lane
async def test_a_body_above_the_limit_is_refused_and_the_connection_closed(open_upstream: Open, script: list[object]) -> None:
    async with raw_upstream(script) as raw:  # type: ignore[arg-type]
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        with pytest.raises(UpstreamBroken, match="larger than 100 bytes"):
            await reply.read(100)
        await upstream.close()
        assert await raw.closed_within(1)


@every_lane
async def test_a_reader_that_does_not_read_stops_the_upstream(open_upstream: Open) -> None:
    size = 50 << 20
    async with raw_upstream([CHUNKED, Flood(size, chunk(b"x" * 60000)), LAST_CHUNK]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        first = await reply.chunk()
        before, now = -1, raw.flooded
        while now != before:  # until the sockets' buffers are full
            await asyncio.sleep(0.1)
            before, now = now, raw.flooded
        assert now < 16 << 20
        assert len(await reply.chunk()) <= 512 << 10, "what one read delivered beside the mark, not what the upstream has"
        rest = await take_all(reply)
        assert rest.count(b"x") + first.count(b"x") > 40 << 20
        assert raw.flooded >= size
        await upstream.close()


@every_lane
async def test_pause_stops_a_pushed_body_and_resume_goes_on(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED, Flood(30 << 20, chunk(b"x" * 60000)), LAST_CHUNK]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        sizes: list[int] = []
        ended: asyncio.Future[UpstreamError | None] = asyncio.get_running_loop().create_future()

        def take(piece: bytes) -> None:
            sizes.append(len(piece))
            if len(sizes) == 3:
                reply.pause()

        reply.attach(take, ended.set_result)
        await until(lambda: len(sizes) >= 3)
        await asyncio.sleep(0.1)
        assert len(sizes) <= 4
        assert raw.flooded < 16 << 20
        reply.resume()
        assert await ended is None
        assert sum(sizes) > 29 << 20
        await upstream.close()
