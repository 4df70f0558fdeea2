"""The whole server before an upstream that dies, hangs, lies or answers oddly. Real processes, real sockets, raw bytes."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
import brotli
import openai
import pytest
import zstandard

from tests.raw_client import KEY, Answer
from tests.raw_upstream import CHUNKED, LAST_CHUNK, Close, Drip, Flood, Hang, Reset, Script, Sleep, Until, chunk, head, ok
from tests.speech import (
    INPUT,
    OUTPUT,
    STOPPED,
    TEXT,
    TEXTS,
    TONGUES,
    Heard,
    Tongue,
    chat_chunk,
    document,
    error_body,
    error_frame,
    frame,
    hear,
    read_document,
    speak,
    streamed,
    whole,
)
from tests.stage import FRAME_LIMIT, IMPLS, REPLY_LIMIT, UPSTREAM_KEY, Gateway, Stage, each

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = b"content-type: application/json"
SSE = b"content-type: text/event-stream"
SPOKEN: dict[str, Tongue] = {"openai": "chat", "anthropic": "messages", "narrow": "chat"}


class Lane(NamedTuple):
    impl: str
    kind: str
    tongue: Tongue

    @property
    def up(self) -> Tongue:
        return SPOKEN[self.kind]

    @property
    def same(self) -> bool:
        return self.up == self.tongue


LANES = [Lane(impl, kind, tongue) for impl in IMPLS for kind in ("openai", "anthropic") for tongue in TONGUES]
every_lane = pytest.mark.parametrize("lane", LANES, ids="-".join)


class Called(NamedTuple):
    """One script and what a client of the lane got for it."""

    stage: Stage
    gateway: Gateway
    lane: Lane

    async def stream(self, *scripts: Script) -> Answer:
        return await self.gateway.call(self.lane.tongue, self.stage.file(*scripts), stream=True)

    async def whole(self, *scripts: Script) -> Answer:
        return await self.gateway.call(self.lane.tongue, self.stage.file(*scripts))

    # What may come of it

    def is_good_stream(self, answer: Answer) -> None:
        assert answer.status == 200 and answer.complete, answer
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        heard = hear(self.lane.tongue, answer.body)
        assert (heard.text, heard.stop, heard.ended, heard.error) == (TEXT, STOPPED[self.lane.tongue], True, None), answer
        assert not heard.after_end, answer

    def is_good_document(self, answer: Answer) -> None:
        assert answer.status == 200 and answer.complete, answer
        assert answer.headers["content-type"].startswith("application/json")
        heard = read_document(self.lane.tongue, answer.body)
        assert (heard.text, heard.stop) == (TEXT, STOPPED[self.lane.tongue]), answer

    def is_cut(self, answer: Answer) -> Heard:
        """Half an answer, and its client can tell: an error in-band, no terminator, nothing after it."""
        assert answer.status == 200 and answer.complete, answer
        heard = hear(self.lane.tongue, answer.body)
        assert heard.error is not None and heard.error["message"] and heard.error["type"], answer
        assert not heard.ended and not heard.after_end, answer
        assert heard.text and TEXT.startswith(heard.text), answer
        return heard

    def is_refused(self, answer: Answer, status: int) -> dict[str, Any]:
        """A true status and an error in the client's dialect."""
        assert answer.status == status and answer.complete, answer
        assert answer.headers["content-type"].startswith("application/json"), answer
        body = answer.json()
        error = body["error"]
        assert error["message"] and error["type"], answer
        assert UPSTREAM_KEY not in error["message"]
        if self.lane.tongue == "messages":
            assert body["type"] == "error", answer
        else:
            assert "code" in error and "param" in error, answer
        return dict(error)


async def open_lane(stage: Stage, lane: Lane) -> Called:
    return Called(stage, await stage.gateway(lane.kind, lane.impl), lane)


def sent(*frames: bytes) -> bytes:
    return CHUNKED + b"".join(map(chunk, frames))


# --- it dies -----------------------------------------------------------------------------------------------------------------


@every_lane
async def test_a_death_before_anything_was_said_is_an_answer_with_a_true_status(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    opening = speak(lane.up).opening[0]
    scripts: dict[str, Script] = {
        "before the headers, FIN": [Close()],
        "before the headers, RST": [Reset()],
        "in the status line": [b"HTTP/1.1 2", Close()],
        "in a header, FIN": [b"HTTP/1.1 200 OK\r\ncontent-ty", Close()],
        "in a header, RST": [b"HTTP/1.1 200 OK\r\ncontent-ty", Reset()],
        "after the headers, FIN": [CHUNKED, Close()],
        "after the headers, RST": [CHUNKED, Reset()],
        "in the first event": [CHUNKED + chunk(opening[:20]), Close()],
        "after the first event, FIN": [sent(opening), Close()],
        "after the first event, RST": [sent(opening), Reset()],
        "no HTTP": [b"220 smtp.test ESMTP\r\n", Close()],
    }

    async def check(stream: bool, script: Script) -> None:
        called.is_refused(await (called.stream if stream else called.whole)(script), 502)

    await each({f"{name}, {stream=}": check(stream, script) for name, script in scripts.items() for stream in (True, False)})


@every_lane
async def test_a_cut_stream_is_an_error_in_the_stream_and_has_no_terminator(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    said = sent(*spoken.opening, *spoken.deltas[:2])
    umlaut = spoken.deltas[2].index("ö".encode()) + 1
    everything = sent(*spoken.opening, *spoken.deltas, *spoken.stop)
    half = chunk(spoken.deltas[2])[:50]
    scripts: dict[str, Script] = {
        "between two events": [said, Close()],
        "in an event": [said + chunk(spoken.deltas[2][:30]), Close()],
        "in a chunk": [said + half, Close()],
        "in the length of a chunk": [said + b"1", Close()],
        "in a character": [said + chunk(spoken.deltas[2][:umlaut]), Close()],
        "in the last event": [everything + chunk(spoken.end[0][:-2]), Close()],
        "a clean end between two events": [said + LAST_CHUNK, Close()],
        "a clean end in an event": [said + chunk(spoken.deltas[2][:30]) + LAST_CHUNK],
        "a clean end in a character": [said + chunk(spoken.deltas[2][:umlaut]) + LAST_CHUNK],
        "shorter than its length": [head(SSE, b"content-length: 100000") + b"".join(spoken.opening + spoken.deltas), Close()],
        "closed without a length": [head(SSE, b"connection: close") + b"".join(spoken.opening + spoken.deltas), Close()],
    }

    async def check(script: Script) -> None:
        heard = called.is_cut(await called.stream(script))
        assert heard.text.startswith(TEXTS[0] + TEXTS[1]), "what came before the cut was not given"

    await each({name: check(script) for name, script in scripts.items()})


@every_lane
async def test_a_reset_stream_is_an_error_in_the_stream_and_has_no_terminator(stage: Stage, lane: Lane) -> None:
    """RST may overtake what was sent before it, so the client waits for that first."""
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    said = sent(*spoken.opening, *spoken.deltas[:2])
    scripts: dict[str, tuple[bytes, Script]] = {
        "between two events": (said, [Reset()]),
        "in an event": (said + chunk(spoken.deltas[2][:30]), [Reset()]),
        "in a chunk": (said + b"fff\r\n" + spoken.deltas[2], [Reset()]),
        "after the stop reason": (sent(*spoken.opening, *spoken.deltas, *spoken.stop), [Reset()]),
        "no chunk": (said, [b"zz\r\n", Hang()]),
        "no SSE": (said, [chunk(b"<html>oops</html>") + LAST_CHUNK]),
    }

    async def check(said: bytes, death: Script) -> None:
        seen = asyncio.Event()
        client = await called.gateway.start(lane.tongue, stage.file([said, Until(seen), *death]))
        await client.until(TEXTS[1].encode())
        seen.set()
        called.is_cut(await client.reply())
        client.leave()

    await each({name: check(*row) for name, row in scripts.items()})


@every_lane
async def test_an_end_after_the_stop_reason_without_a_terminator(stage: Stage, lane: Lane) -> None:
    """Chat hosts forget [DONE]: a reply that said why it stopped is whole. Anthropic's SDK waits for message_stop."""
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    body = b"".join(spoken.opening + spoken.deltas + spoken.stop)
    endings: dict[str, Script] = {
        "chunked": [CHUNKED + chunk(body) + LAST_CHUNK],
        "with a length": [ok(body, SSE)],
        "closed": [head(SSE, b"connection: close") + body, Close()],
    }

    async def check(script: Script) -> None:
        answer = await called.stream(script)
        if lane.up == "chat":
            called.is_good_stream(answer)
        else:
            called.is_cut(answer)

    await each({name: check(script) for name, script in endings.items()})


@every_lane
async def test_a_cut_document_is_a_502(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    body = document(lane.up)
    short = head(JSON, b"content-length: %d" % len(body)) + body[:-10]
    scripts: dict[str, Script] = {
        "shorter than its length, FIN": [short, Close()],
        "shorter than its length, RST": [short, Reset()],
        "in a chunk": [head(JSON, b"transfer-encoding: chunked") + chunk(body)[:-20], Close()],
        "before the last chunk": [head(JSON, b"transfer-encoding: chunked") + chunk(body), Close()],
        "closed without a length": [head(JSON, b"connection: close") + body[:-10], Close()],
        "a clean end": [ok(body[:-10], JSON)],
        "a stream cut": [sent(*speak(lane.up).frames[:3]) + LAST_CHUNK],
        "a stream that broke": [sent(*speak(lane.up).frames[:3]), Close()],
    }

    async def check(script: Script) -> None:
        called.is_refused(await called.whole(script), 502)

    await each({name: check(script) for name, script in scripts.items()})


@pytest.mark.parametrize("impl", IMPLS)
async def test_a_cut_stream_is_counted_and_logged_as_failed(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "messages"))
    before = await called.gateway.counters()
    spoken = speak("chat")
    case = stage.file([sent(*spoken.opening, *spoken.deltas), Close()])
    await called.gateway.call("messages", case, stream=True)
    line = await called.gateway.line(case)
    assert (line["level"], line["error"], line["status"]) == ("ERROR", "api", 200) and line["error_message"]
    after = await called.gateway.counters()
    assert after["streams_failed"] == before["streams_failed"] + 1
    assert after["streams_completed"] == before["streams_completed"]


@every_lane
async def test_a_stale_connection_of_the_pool_is_replaced_unseen(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    for death in (Close(), Reset()):
        called.is_good_document(await called.whole([whole(lane.up)]))
        case = stage.file([death], [streamed(lane.up)])
        called.is_good_stream(await called.gateway.call(lane.tongue, case, stream=True))
        assert len(case.requests) == 2
        assert case.requests[0].connection != case.requests[1].connection
    called.is_good_document(await called.whole([whole(lane.up)]))
    stage.upstream.close_idle()
    called.is_good_document(await called.whole([whole(lane.up)]))


# --- it hangs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("impl", IMPLS)
async def test_a_silent_upstream_is_given_up_after_its_time(stage: Stage, impl: str) -> None:
    """Before the commit with a true status, after it in-band; and the upstream's connection is closed."""
    said = sent(*speak("chat").frames[:3])
    half = head(JSON, b"content-length: 1000") + b'{"id":'

    gateway = await stage.gateway("narrow", impl)

    async def check(tongue: Tongue, stream: bool, script: Script) -> None:
        called = Called(stage, gateway, Lane(impl, "narrow", tongue))
        case = stage.file([*script, Hang()])
        answer = await called.gateway.call(tongue, case, stream=stream)
        if script == [said]:
            assert "1 s" in (called.is_cut(answer).error or {})["message"]
        else:
            assert "1 s" in called.is_refused(answer, 504)["message"]
        assert (await called.gateway.line(case))["error"] == "timeout"
        assert await stage.upstream.closed_within(1.0, case.requests[-1].connection)

    for stream, scripts in ((True, ([], [said])), (False, ([b"HTTP/1.1 200 OK\r\nx"], [half]))):
        await each({f"{tongue}, {script}": check(tongue, stream, script) for tongue in TONGUES for script in scripts})


@pytest.mark.parametrize("impl", IMPLS)
async def test_an_upstream_that_is_slow_but_alive_is_waited_for(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "narrow", "messages"))
    started = time.monotonic()
    called.is_good_stream(
        await called.stream(
            [
                Drip(CHUNKED[:20], 0.02),
                CHUNKED[20:],
                Drip(streamed("chat")[len(CHUNKED) :][:50], 0.03),
                streamed("chat")[len(CHUNKED) + 50 :],
            ]
        )
    )
    assert time.monotonic() - started > 1.5, "the test did not outlast the limits"


# --- it answers oddly --------------------------------------------------------------------------------------------------------


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


# --- it says that it failed --------------------------------------------------------------------------------------------------


@every_lane
async def test_a_200_that_is_no_reply_is_an_error(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    page = b"<!DOCTYPE html><html><title>Just a moment...</title><body>Checking your browser</body></html>"
    answers = {
        "HTML": ok(page, b"content-type: text/html"),
        "HTML labelled as a stream": ok(page, SSE),
        "empty": ok(b"", JSON),
        "an empty stream": ok(b"", SSE),
        "an empty chunked stream": CHUNKED + LAST_CHUNK,
        "nothing but comments": ok(b": hi\n\n: there\n\n", SSE),
        "white space": ok(b" \n\n ", JSON),
        "no content": head(status=b"204 No Content"),
        "text": ok(b"upstream overloaded", b"content-type: text/plain"),
        "an array": ok(b"[]", JSON),
        "null": ok(b"null", JSON),
        "half of JSON": ok(b'{"id":"x","choi', JSON),
        "garbage": ok(bytes(range(128, 256)), JSON),
        "only [DONE]": ok(frame("[DONE]"), SSE),
    }

    async def check(stream: bool, script: Script) -> None:
        called.is_refused(await (called.stream if stream else called.whole)(script), 502)

    await each({f"{name}, {stream=}": check(stream, [answer]) for name, answer in answers.items() for stream in (True, False)})
    for stream in (True, False):
        for label in (JSON, SSE):
            script = [ok(error_body(lane.up, "slow down"), label)]
            error = called.is_refused(await (called.stream if stream else called.whole)(script), 429)
            assert error["message"] == "slow down" and error["type"] == "rate_limit_error"


@every_lane
async def test_an_error_event_before_the_reply_has_a_true_status_and_later_is_in_the_stream(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    failing = error_frame(lane.up, "slow down")
    first = [CHUNKED + chunk(failing) + LAST_CHUNK]
    second = [sent(spoken.opening[0], failing) + LAST_CHUNK]
    hanging = [sent(failing), Hang()]
    for script in (first, second, hanging):
        error = called.is_refused(await called.stream(script), 429)
        assert error["message"] == "slow down"
    for tail in ([], [*spoken.deltas, *spoken.stop, *spoken.end]):
        heard = called.is_cut(await called.stream([sent(*spoken.opening, *spoken.deltas[:1], failing, *tail) + LAST_CHUNK]))
        assert heard.text == TEXTS[0] and heard.error is not None and heard.error["message"] == "slow down"
    broken = frame('{"type": [tru', "message" if lane.up == "messages" else "")
    called.is_cut(await called.stream([sent(*spoken.opening, *spoken.deltas, broken, *spoken.stop, *spoken.end) + LAST_CHUNK]))
    called.is_refused(await called.stream([sent(broken, *spoken.frames) + LAST_CHUNK]), 502)


STATUSES: dict[int, tuple[str, dict[Tongue, int]]] = {
    400: ("invalid_request_error", {}),
    401: ("authentication_error", {}),
    403: ("permission_error", {}),
    404: ("not_found_error", {}),
    413: ("request_too_large", {}),
    429: ("rate_limit_error", {}),
    500: ("api_error", {}),
    503: ("overloaded_error", {"messages": 529}),
    529: ("overloaded_error", {"chat": 503}),
}


@every_lane
async def test_a_refusal_keeps_its_status_and_retry_after_and_is_answered_at_once(stage: Stage, lane: Lane) -> None:
    """A retry-after of an hour is told, not slept through; the upstream's cookies and internals stay out."""
    called = await open_lane(stage, lane)
    headers = (JSON, b"retry-after: 3600", b"set-cookie: a=b", b"x-internal: 1")

    async def check(stream: bool, status: int) -> None:
        kind, translated = STATUSES[status]
        body = error_body(lane.up, "no, and here is why", kind)
        case = stage.file([ok(body, *headers, status=b"%d Whatever" % status)])
        answer = await called.gateway.call(lane.tongue, case, stream=stream)
        expected = status if lane.same else translated.get(lane.tongue, status)
        assert called.is_refused(answer, expected)["message"] == "no, and here is why"
        assert answer.headers["retry-after"] == "3600"
        assert not {"set-cookie", "x-internal"} & answer.headers.keys()
        if lane.same:
            assert answer.body == body

    await each({f"{status}, {stream=}": check(stream, status) for status in STATUSES for stream in (True, False)})


@every_lane
async def test_an_error_page_of_a_proxy_keeps_its_status(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

    async def check(stream: bool, script: Script, status: int) -> None:
        error = called.is_refused(await (called.stream if stream else called.whole)(script), status)
        assert "<" not in error["message"]

    html = b"content-type: text/html"
    overloaded = 529 if lane.tongue == "messages" else 503
    scripts: dict[str, tuple[Script, int]] = {
        "502": ([ok(page, html, status=b"502 Bad Gateway")], 502),
        "503": ([ok(page, html, status=b"503 Service Unavailable")], overloaded),
        "504": ([ok(page, html, status=b"504 Gateway Timeout")], 504),
        "404": ([ok(page, html, status=b"404 Not Found")], 404),
        "empty 500": ([ok(b"", status=b"500 Oops")], 500),
        "cut 500": ([head(html, b"content-length: 1000", status=b"500 Oops") + page, Close()], 502),
        "a stream with status 500": ([ok(error_frame(lane.up, "x"), SSE, status=b"500 Oops")], 500),
        "endless": ([head(html, status=b"500 Oops") + page * 30000, Close()], 502),
    }
    await each({f"{name}, {stream=}": check(stream, *row) for name, row in scripts.items() for stream in (True, False)})


@every_lane
async def test_a_redirect_is_a_502_and_never_followed(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)

    async def check(status: bytes) -> None:
        elsewhere = f"location: {stage.upstream.url}/elsewhere".encode()
        case = stage.file([ok(b"", elsewhere, status=status)])
        answer = await called.gateway.call(lane.tongue, case, stream=True)
        called.is_refused(answer, 502)
        assert "location" not in answer.headers
        assert len(case.requests) == 1

    statuses = (b"301 Moved", b"302 Found", b"303 See Other", b"307 Temporary Redirect", b"308 Permanent Redirect", b"304 No")
    await each({status.decode(): check(status) for status in statuses})


# --- it sends too much -------------------------------------------------------------------------------------------------------


@every_lane
async def test_what_is_too_large_is_a_502_or_an_error_in_the_stream(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    huge = speak(lane.up, ("x" * (FRAME_LIMIT + 1000),)).deltas[0]
    large = document(lane.up, "x" * (REPLY_LIMIT + 1000))
    good = whole(lane.up)
    before: dict[str, tuple[bool, Script]] = {
        "the first event": (True, [sent(huge)]),
        "an event that does not end": (True, [sent(*([b"data: " + b"x" * 10000] * 10)), Hang()]),
        "300 headers": (False, [good.replace(b"\r\n", b"\r\n" + b"".join(b"x-%d: 1\r\n" % i for i in range(300)), 1)]),
        "a long header": (False, [good.replace(b"\r\n", b"\r\nx-long: " + b"y" * 100_000 + b"\r\n", 1)]),
        "a header without end": (True, [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, Hang()]),
        "a document by its length": (False, [ok(large, JSON)]),
        "a document in chunks": (False, [head(JSON, b"transfer-encoding: chunked") + chunk(large) + LAST_CHUNK]),
        "a document without a length": (False, [head(JSON, b"connection: close") + large, Close()]),
        "a gzip bomb": (False, [ok(gzip.compress(large), JSON, b"content-encoding: gzip")]),
        "a document in place of a stream": (True, [ok(large, JSON)]),
        "a stream in place of a document": (False, [sent(*spoken.deltas[:1] * 20000) + LAST_CHUNK]),
    }

    async def refused(stream: bool, script: Script) -> None:
        called.is_refused(await (called.stream if stream else called.whole)(script), 502)

    async def cut(script: Script) -> None:
        called.is_cut(await called.stream(script))

    checks = {name: refused(*row) for name, row in before.items()}
    checks["a later event"] = cut([sent(*spoken.opening, *spoken.deltas, huge)])
    checks["a later event that does not end"] = cut([sent(*spoken.opening, *spoken.deltas, huge[:-10]), Hang()])
    await each(checks)


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


# --- as the official SDKs see it ---------------------------------------------------------------------------------------------


async def read_with_sdk(gateway: Gateway, tongue: Tongue, ident: str, stream: bool) -> str:
    """The text that the vendor's own SDK puts together. Raises what it raises."""
    root = f"http://127.0.0.1:{gateway.port}"
    headers = {"x-request-id": ident}
    messages: Any = [{"role": "user", "content": "Hi"}]
    if tongue == "messages":
        async with anthropic.AsyncAnthropic(base_url=root, api_key=KEY, max_retries=0, timeout=20) as client:
            if not stream:
                message = await client.messages.create(model="m", max_tokens=9, messages=messages, extra_headers=headers)
                return message.content[0].text  # type: ignore[union-attr]  # the upstream sends text
            async with client.messages.stream(model="m", max_tokens=9, messages=messages, extra_headers=headers) as events:
                return await events.get_final_text()
    async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key=KEY, max_retries=0, timeout=20) as caller:
        if not stream:
            reply = await caller.chat.completions.create(model="m", messages=messages, extra_headers=headers)
            return reply.choices[0].message.content or ""
        async with caller.chat.completions.stream(model="m", messages=messages, extra_headers=headers) as pieces:
            return (await pieces.get_final_completion()).choices[0].message.content or ""


ERRORS: dict[Tongue, Any] = {"chat": openai, "messages": anthropic}


@every_lane
async def test_the_sdks_raise_their_errors_and_never_take_half_an_answer_for_a_whole_one(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    said = sent(*spoken.opening, *spoken.deltas[:2])
    library = ERRORS[lane.tongue]
    limited = ok(error_body(lane.up, "slow down"), JSON, status=b"429 Too Many Requests")
    page = ok(b"<html>oops</html>", b"content-type: text/html", status=b"502 Bad Gateway")

    async def raises(script: Script, error: type[Exception], streams: tuple[bool, ...] = (True, False)) -> None:
        for stream in streams:
            with pytest.raises(error) as raised:
                await read_with_sdk(called.gateway, lane.tongue, stage.file(script).ident, stream)
            assert raised.type is error or error is library.APIError, raised

    async def gives(script: Script, stream: bool) -> None:
        assert await read_with_sdk(called.gateway, lane.tongue, stage.file(script).ident, stream) == TEXT

    await each(
        {
            "a good stream": gives([streamed(lane.up)], True),
            "a good document": gives([whole(lane.up)], False),
            "a document for a stream": gives([whole(lane.up)], True),
            "a stream for a document": gives([streamed(lane.up)], False),
            "a stream in CR": gives([ok(spoken.body.replace(b"\n", b"\r"), SSE)], True),
            "cut": raises([said, Close()], library.APIError, (True,)),
            "ended early": raises([said + LAST_CHUNK], library.APIError, (True,)),
            "failed later": raises([said + chunk(error_frame(lane.up, "x"))], library.APIError, (True,)),
            "failed at once": raises([sent(error_frame(lane.up, "x")) + LAST_CHUNK], library.RateLimitError),
            "429": raises([limited], library.RateLimitError),
            "HTML 502": raises([page], library.InternalServerError),
            "nobody there": raises([Close()], library.InternalServerError),
            "empty": raises([ok(b"", SSE)], library.InternalServerError),
        }
    )


# --- what broke in the proxy that this one replaces --------------------------------------------------------------------------


@pytest.mark.parametrize("impl", IMPLS)
async def test_empty_content_then_reasoning_then_text_are_three_sound_blocks(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "messages"))
    frames = [
        chat_chunk({"role": "assistant", "content": ""}),
        chat_chunk({"reasoning_content": "hmm"}),
        chat_chunk({"content": "so"}),
        *speak("chat").stop,
        *speak("chat").end,
    ]
    answer = await called.stream([ok(b"".join(frames), SSE)])
    opened: list[int] = []
    closed: list[int] = []
    for kind, index in _blocks(answer):
        if kind == "content_block_start":
            assert len(opened) == len(closed) == index, "a block begins before the one before it ended"
            opened.append(index)
        elif kind == "content_block_stop":
            closed.append(index)
        else:
            assert index == opened[-1] and len(closed) == index, "a delta of a block that is not open"
    assert opened == closed == [0, 1]
    assert hear("messages", answer.body).text == "so" and hear("messages", answer.body).ended


def _blocks(answer: Answer) -> list[tuple[str, int]]:
    lines = answer.body.decode().splitlines()
    bodies = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    return [(body["type"], body["index"]) for body in bodies if "index" in body]


@pytest.mark.parametrize("impl", IMPLS)
async def test_usage_is_in_every_stream_of_who_asked_and_in_no_other(stage: Stage, impl: str) -> None:
    for kind, tongue in (("openai", "messages"), ("anthropic", "messages"), ("openai", "chat"), ("anthropic", "chat")):
        lane = Lane(impl, kind, tongue)  # type: ignore[arg-type]  # the tuple's strings are tongues
        called = await open_lane(stage, lane)
        more = {"stream_options": {"include_usage": True}} if lane.tongue == "chat" else {}
        case = stage.file([streamed(lane.up)])
        answer = await called.gateway.call(lane.tongue, case, stream=True, **more)
        assert hear(lane.tongue, answer.body).usage == (INPUT, OUTPUT), lane
        line = await called.gateway.line(case)
        assert (line["input_tokens"], line["output_tokens"]) == (INPUT, OUTPUT)
    called = await open_lane(stage, Lane(impl, "anthropic", "chat"))
    assert hear("chat", (await called.stream([streamed("messages")])).body).usage is None


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "without index"])
async def test_parallel_tool_calls_keep_their_arguments_and_their_stop_reason(stage: Stage, impl: str, indexed: bool) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "messages"))

    def call(index: int, ident: str, name: str, arguments: str) -> dict[str, Any]:
        place = {"index": index} if indexed else {}
        return place | ({"id": ident} if ident or not indexed else {}) | {"function": {"name": name, "arguments": arguments}}

    if indexed:
        deltas = [call(0, "a", "one", ""), call(1, "b", "two", ""), call(0, "", "", '{"x":'), call(1, "", "", '{"y":')]
        deltas += [call(0, "", "", "1}"), call(1, "", "", "2}")]
    else:
        deltas = [call(0, "a", "one", '{"x":1}'), call(0, "b", "two", '{"y":2}')]
    frames = [chat_chunk({"tool_calls": [delta]}) for delta in deltas]
    answer = await called.stream([ok(b"".join([*frames, *speak("chat").stop, *speak("chat").end]), SSE)])
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for line in answer.body.decode().splitlines():
        body = json.loads(line[6:]) if line.startswith("data: ") else {}
        if body.get("type") == "content_block_start":
            names[body["index"]], arguments[body["index"]] = body["content_block"]["name"], ""
        elif body.get("type") == "content_block_delta":
            arguments[body["index"]] += body["delta"]["partial_json"]
    assert {names[index]: json.loads(text) for index, text in arguments.items()} == {"one": {"x": 1}, "two": {"y": 2}}
    assert hear("messages", answer.body).stop == "tool_use"


@every_lane
async def test_the_first_words_are_given_before_the_rest_exists(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    seen = asyncio.Event()
    rest = b"".join(map(chunk, [*spoken.deltas[1:], *spoken.stop, *spoken.end])) + LAST_CHUNK
    case = stage.file([sent(*spoken.opening, spoken.deltas[0]), Until(seen), rest])
    client = await called.gateway.start(lane.tongue, case)
    await client.until(TEXTS[0].encode())
    seen.set()
    called.is_good_stream(await client.reply())
    client.leave()
