"""The whole server before an upstream that dies, hangs or does not end. Real processes, real sockets, raw bytes."""

from __future__ import annotations

import asyncio
import gzip
import time

import pytest

from tests.called import JSON, SSE, Called, Lane, every_lane, open_lane
from tests.raw_upstream import CHUNKED, LAST_CHUNK, Close, Drip, Hang, Reset, Script, Sleep, Until, chunk, head, ok
from tests.speech import (
    TEXTS,
    TONGUES,
    Tongue,
    chat_chunk,
    document,
    hear,
    sent,
    speak,
    streamed,
    whole,
)
from tests.stage import FRAME_LIMIT, IMPLS, REPLY_LIMIT, Stage, each

pytestmark = pytest.mark.asyncio(loop_scope="session")


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

    scripts: list[tuple[bool, Script]] = [(True, []), (True, [said]), (False, [b"HTTP/1.1 200 OK\r\nx"]), (False, [half])]
    await each({f"{tongue}, {row}": check(tongue, *row) for tongue in TONGUES for row in scripts})


@pytest.mark.parametrize("impl", IMPLS)
async def test_slow_but_alive_is_waited_for_and_endless_is_not(stage: Stage, impl: str) -> None:
    """Neither an upstream that drips nor a client that does not read is silence; the limit of a whole stream holds for both."""
    gateway = await stage.gateway("narrow", impl)
    spoken = speak("chat")
    called = {tongue: Called(stage, gateway, Lane(impl, "narrow", tongue)) for tongue in TONGUES}
    word = chunk(speak("chat", ("x" * 1000,)).deltas[0])
    talk = [step for _ in range(100) for step in (Sleep(0.1), chunk(chat_chunk({"content": ""})))]

    async def drips() -> None:
        started = time.monotonic()
        good = streamed("chat")
        answer = await called["messages"].stream([Drip(good[:20], 0.02), good[20:100], Drip(good[100:140], 0.03), good[140:]])
        called["messages"].is_good_stream(answer)
        assert time.monotonic() - started > 1.5, "the test did not outlast the limits"

    async def is_not_read(tongue: Tongue, seconds: float, ends: bool) -> None:
        rest = b"".join(map(chunk, [*spoken.stop, *spoken.end])) + LAST_CHUNK
        client = await gateway.start(tongue, stage.file([sent(*spoken.opening), *[word * 100] * 200, rest]), receive_buffer=65536)
        await asyncio.sleep(seconds)
        answer = await client.reply()
        heard = hear(tongue, answer.body)
        assert answer.complete and heard.ended == ends and (heard.error is None) == ends and not heard.after_end, answer
        assert heard.text == "x" * len(heard.text) and (len(heard.text) == 20_000_000) == ends
        client.leave()

    async def talks() -> None:
        heard = called["chat"].is_cut(await called["chat"].stream([sent(*spoken.opening, *spoken.deltas[:1]), *talk]))
        assert "3 s" in (heard.error or {})["message"]

    await each(
        {
            "an upstream that drips": drips(),
            "a client that does not read": is_not_read("chat", 1.5, True),
            "a client that does not read, messages": is_not_read("messages", 1.5, True),
            "a client that reads too late": is_not_read("chat", 3.5, False),
            "a client that reads too late, messages": is_not_read("messages", 3.5, False),
            "an upstream that talks for ever": talks(),
        }
    )


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
