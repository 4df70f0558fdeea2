"""The whole server before an upstream that answers oddly: what can be understood is, and nothing breaks out of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from tests.called import JSON, SSE, Lane, every_lane, open_lane
from tests.raw_client import KEY
from tests.raw_upstream import CHUNKED, LAST_CHUNK, Close, Drip, Flood, Hang, Script, Sleep, chunk, head, ok
from tests.speech import (
    INPUT,
    OUTPUT,
    document,
    error_frame,
    read_document,
    sent,
    speak,
    streamed,
    whole,
)
from tests.stage import Stage, each

pytestmark = pytest.mark.asyncio(loop_scope="session")


@every_lane
async def test_a_stream_in_any_spelling_of_sse_is_understood(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    body = speak(lane.up).body
    spellings = {
        "CRLF": body.replace(b"\n", b"\r\n"),
        "CR": body.replace(b"\n", b"\r"),
        "mixed line ends": body.replace(b"\n\n", b"\r\n\n"),
        "no space after data": body.replace(b"data: ", b"data:"),
        "data in several lines": body.replace(b'data: {"', b'data: {\ndata: "'),
        "comments": b": hello\n\n" + body.replace(b"data: ", b": note\n:\ndata: "),
        "a BOM": b"\xef\xbb\xbf" + body,
        "ids and retries": body.replace(b"data: ", b"id: 7\nretry: 3000\nx\ndata: "),
        "blank lines": b"\n\n" + body.replace(b"\n\n", b"\n\n\n\n\n"),
        "no last blank line": body[:-2],
        "no last blank line but one": body[:-1],
    }

    async def check(script: Script) -> None:
        called.is_good_stream(await called.stream(script))

    checks = {}
    for name, spelling in spellings.items():
        checks[name] = check([ok(spelling, SSE)])
        checks[f"{name}, cut everywhere"] = check([CHUNKED + b"".join(chunk(bytes([byte])) for byte in spelling) + LAST_CHUNK])
    await each(checks)


@every_lane
async def test_an_answer_that_comes_byte_by_byte_is_whole(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    called.is_good_stream(await called.stream([Drip(streamed(lane.up))]))
    called.is_good_document(await called.whole([Drip(whole(lane.up))]))


@every_lane
async def test_odd_but_legal_http_is_understood(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    body = speak(lane.up).body
    rest = b"".join(map(chunk, speak(lane.up).frames)) + LAST_CHUNK
    scripts: dict[str, Script] = {
        "no content-type": [ok(body)],
        "JSON's content-type": [ok(body, JSON)],
        "text/plain": [ok(body, b"content-type: text/plain")],
        "an upper-case content-type": [ok(body, b"Content-Type: Text/Event-Stream; Charset=UTF-8")],
        "until the end": [head(SSE, b"connection: close") + body, Close()],
        "HTTP/1.0": [head(SSE, version=b"HTTP/1.0") + body, Close()],
        "interim answers": [head(status=b"100 Continue") + head(b"link: </x>", status=b"103 Early Hints") + streamed(lane.up)],
        "chunk extensions and trailers": [CHUNKED + b"%x;a=b\r\n%b\r\n0\r\nx-t: 1\r\n\r\n" % (len(body), body)],
        "upper-case chunk sizes": [CHUNKED + b"%X\r\n%b\r\n" % (len(body), body) + LAST_CHUNK],
        "a status without a reason": [head(SSE, b"transfer-encoding: chunked", status=b"200 ") + rest],
        "status 201": [head(SSE, b"transfer-encoding: chunked", status=b"201 Created") + rest],
        "another answer behind it": [streamed(lane.up) + streamed(lane.up)],
    }

    async def check(script: Script) -> None:
        called.is_good_stream(await called.stream(script))

    await each({name: check(script) for name, script in scripts.items()})


CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstandard.ZstdCompressor().compress,
}


@every_lane
async def test_a_compressed_answer_that_nobody_asked_for_is_understood(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)

    async def check(coding: bytes, compress: Callable[[bytes], bytes]) -> None:
        header = b"content-encoding: " + coding
        called.is_good_stream(await called.stream([ok(compress(speak(lane.up).body), SSE, header)]))
        called.is_good_document(await called.whole([ok(compress(document(lane.up)), JSON, header)]))

    await each({coding.decode(): check(coding, compress) for coding, compress in CODINGS.items()})
    header = b"content-encoding: gzip"
    spoken = speak(lane.up)
    squeeze = zlib.compressobj(wbits=31)
    said = squeeze.compress(b"".join(spoken.opening + spoken.deltas)) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    called.is_cut(await called.stream([ok(said, SSE, header)]))
    called.is_refused(await called.whole([ok(gzip.compress(document(lane.up))[:-12], JSON, header)]), 502)
    called.is_refused(await called.stream([ok(b"no gzip at all", SSE, header)]), 502)
    called.is_refused(await called.stream([ok(spoken.body, SSE, b"content-encoding: rot13")]), 502)


@every_lane
async def test_a_document_in_place_of_a_stream_is_replayed_as_one(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    body = document(lane.up)
    scripts: dict[str, Script] = {
        "at once": [ok(body, JSON)],
        "in pieces": [Drip(ok(body, JSON))],
        "blank lines first": [Drip(ok(b"\r\n\r\n  " + body, JSON))],
        "indented": [ok(json.dumps(json.loads(body), indent=1).encode(), JSON)],
        "without a label": [ok(b"\n " + body)],
        "chunked": [head(JSON, b"transfer-encoding: chunked") + chunk(body[:9]) + chunk(body[9:]) + LAST_CHUNK],
    }

    async def check(script: Script) -> None:
        called.is_good_stream(await called.stream(script))

    await each({name: check(script) for name, script in scripts.items()})


@every_lane
async def test_a_document_is_known_whatever_its_label_says(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    called.is_good_stream(await called.stream([ok(document(lane.up), SSE)]))
    called.is_good_stream(await called.stream([ok(b"\n\n " + document(lane.up), SSE)]))
    called.is_good_document(await called.whole([ok(document(lane.up), SSE)]))
    called.is_good_document(await called.whole([ok(b"\n\n" + document(lane.up), b"content-type: text/html")]))


@every_lane
async def test_a_client_does_not_wait_for_headers_while_the_upstream_only_says_that_it_lives(stage: Stage, lane: Lane) -> None:
    """Pings and comments before the first word: the wait for a true status ends, in time and in size."""
    called = await open_lane(stage, lane)
    opening = speak(lane.up).opening[0]
    ping = chunk(b": alive\n\n")
    pings = [step for _ in range(300) for step in (Sleep(0.1), ping)]
    rest = b"".join(map(chunk, speak(lane.up).frames[1:])) + LAST_CHUNK
    for script in ([sent(opening), *pings], [sent(opening), Flood(1 << 20, chunk(b": alive\n\n" * 1000)), Hang()]):
        if lane.same:  # translated, nothing is written before the first word
            client = await called.gateway.start(lane.tongue, stage.file([*script]))
            assert (await client.until(opening)).status == 200
            client.leave()
    called.is_good_stream(await called.stream([sent(opening), Flood(1 << 20, chunk(b": alive\n\n" * 1000)), rest]))


@every_lane
async def test_a_stream_in_place_of_a_document_is_put_together(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    body = speak(lane.up).body
    scripts: dict[str, Script] = {
        "labelled": [streamed(lane.up)],
        "labelled in capitals": [ok(body, b"Content-Type: TEXT/EVENT-STREAM")],
        "labelled as JSON": [ok(body, JSON)],
        "without a label, CRLF": [ok(body.replace(b"\n", b"\r\n"))],
        "comments first": [ok(b": OPENROUTER PROCESSING\n\n" + body, SSE)],
        "a BOM": [ok(b"\xef\xbb\xbf" + body, SSE)],
        "gzip": [ok(gzip.compress(body), SSE, b"content-encoding: gzip")],
    }

    async def check(script: Script) -> None:
        answer = await called.whole(script)
        called.is_good_document(answer)
        assert read_document(lane.tongue, answer.body).usage == (INPUT, OUTPUT)

    await each({name: check(script) for name, script in scripts.items()})
    failing = sent(error_frame(lane.up, "slow down")) + LAST_CHUNK
    called.is_refused(await called.whole([failing]), 429)
    later = sent(*speak(lane.up).frames[:3], error_frame(lane.up, "slow down")) + LAST_CHUNK
    called.is_refused(await called.whole([later]), 429)


@every_lane
async def test_headers_of_an_upstream_cannot_break_out_of_an_answer(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    injections = {
        "LF": b"retry-after: 1\nx-evil: 1",
        "CR": b"retry-after: 1\rx-evil: 1",
        "NUL": b"retry-after: 1\0x-evil: 1",
        "a folded line": b"retry-after: 1\r\n x-evil: 1",
        "a name with a space": b"retry-after : 1",
        "no ASCII": b"retry-after: \xff\xfe",
        "two lengths": b"content-length: 5",
        "a length and chunks": b"transfer-encoding: chunked",
        "an endless value": b"retry-after: " + b"9" * 50000,
        "hop-by-hop": b"connection: retry-after\r\nretry-after: 7\r\nkeep-alive: timeout=1\r\nupgrade: h2c\r\ntrailer: x-evil",
    }

    async def check(stream: bool, line: bytes) -> None:
        script = [ok(speak(lane.up).body if stream else document(lane.up), SSE if stream else JSON, line), Close()]
        answer = await (called.stream if stream else called.whole)(script)
        assert not {"x-evil", "upgrade", "trailer", "keep-alive"} & answer.headers.keys(), answer
        if answer.status == 200:
            (called.is_good_stream if stream else called.is_good_document)(answer)
        else:
            called.is_refused(answer, 502)

    await each({f"{name}, {stream=}": check(stream, line) for name, line in injections.items() for stream in (True, False)})


@every_lane
async def test_no_key_or_cookie_of_the_client_reaches_the_upstream(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    case = stage.file([whole(lane.up)])
    headers = {"x-api-key": KEY, "cookie": "session=secret", "x-forwarded-for": "192.0.2.1", "te": "trailers", **case.headers}
    from tests.speech import PATHS, question

    called.is_good_document(await called.gateway.ask("POST", PATHS[lane.tongue], question(lane.tongue), headers))
    (seen,) = case.requests
    assert KEY.encode() not in b"".join(value for _, value in seen.headers)
    assert not {b"cookie", b"x-forwarded-for", b"te"} & {name for name, _ in seen.headers}
    assert seen.header(b"accept-encoding") == b"identity"


@every_lane
async def test_a_stream_is_over_with_its_terminator_whatever_comes_after_it(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    said = sent(*speak(lane.up).frames)
    more = chunk(speak(lane.up).deltas[0])
    scripts: dict[str, Script] = {
        "nothing and no end": [said, Hang()],
        "another delta": [said + more, Hang()],
        "deltas without end": [said, Flood(1 << 24, more * 300)],
        "a cut": [said + more[:9], Close()],
        "garbage": [said + b"zz"],
    }

    async def check(script: Script) -> None:
        case = stage.file(script)
        called.is_good_stream(await called.gateway.call(lane.tongue, case, stream=True))
        if len(script) > 1:
            assert await stage.upstream.closed_within(5.0, case.requests[-1].connection)

    await each({name: check(script) for name, script in scripts.items()})
    late = stage.file([said, Sleep(0.05), LAST_CHUNK], [Sleep(0.05), whole(lane.up)])
    called.is_good_stream(await called.gateway.call(lane.tongue, late, stream=True))
    await asyncio.sleep(0.15)
    called.is_good_document(await called.gateway.call(lane.tongue, late))
    assert late.requests[0].connection == late.requests[1].connection, "a connection whose body ended late is not used again"


@every_lane
async def test_strange_json_in_an_answer_is_never_a_fault(stage: Stage, lane: Lane) -> None:
    """Deep, not UTF-8, halves of surrogate pairs, numbers without measure: passed on, repaired or refused, and always ended."""
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    delta, whole_reply = spoken.deltas[0], document(lane.up)
    deep = b'{"zz":' + b"[" * 30_000 + b"]" * 30_000 + b","
    digits = str(INPUT).encode()
    strange: dict[str, tuple[bytes, bytes]] = {
        "deep": (delta.replace(b"{", deep, 1), whole_reply.replace(b"{", deep, 1)),
        "no UTF-8": (delta.replace(b"Hel", b"H\xff\xfel"), whole_reply.replace(b"Hel", b"H\xff\xfel")),
        "half a pair": (delta.replace(b"Hel", b"\\ud83d"), whole_reply.replace(b"Hel", b"\\ud83d")),
        "NaN": (delta.replace(b" 0", b" NaN"), whole_reply.replace(digits, b"NaN")),
        "an endless number": (delta.replace(b" 0", b" " + b"9" * 5000), whole_reply.replace(digits, b"9" * 5000)),
        "a great number": (delta.replace(b" 0", b" 1e999"), whole_reply.replace(digits, b"1e999")),
        "a negative count": (delta.replace(b" 0", b" -7"), whole_reply.replace(digits, b"-7")),
    }

    async def streams(strange_delta: bytes) -> None:
        frames = [*spoken.opening, spoken.deltas[1], strange_delta, *spoken.stop, *spoken.end]
        answer = await called.stream([sent(*frames) + LAST_CHUNK])
        text = answer.body.decode("utf-8", "replace")
        assert answer.status == 200 and answer.complete, answer
        assert ("[DONE]" in text or "event: message_stop" in text) != ('"error":' in text), answer

    async def documents(strange_document: bytes) -> None:
        for stream in (True, False):
            script = [ok(strange_document, JSON)]
            answer = await (called.stream if stream else called.whole)(script)
            assert answer.complete and answer.status in (200, 502), answer

    await each({f"{name}, stream": streams(row[0]) for name, row in strange.items()})
    await each({f"{name}, document": documents(row[1]) for name, row in strange.items()})
    assert "fault in the gateway" not in called.gateway.errors
