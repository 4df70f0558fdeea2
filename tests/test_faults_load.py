"""The whole server under load that hurts: floods, slow clients, hundreds of streams, a thousand calls, signals, a dead worker."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import os
import signal
import sys
import time

import pytest

from tests.called import LANES, Called, Lane, every_lane, open_lane
from tests.raw_client import RawClient, connect, events, request
from tests.raw_upstream import LAST_CHUNK, Close, Flood, Reset, Script, Sleep, Until, chunk, ok
from tests.speech import PATHS, TEXTS, TONGUES, error_frame, hear, question, sent, speak, streamed, whole
from tests.stage import IMPLS, Gateway, Stage, each, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

every_impl = pytest.mark.parametrize("impl", IMPLS)
MEGABYTE = 1 << 20
ROOM = 16 * MEGABYTE
STREAMS = 300
"""At once, on one worker."""


# --- floods ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", [lane for lane in LANES if lane.kind == "openai"], ids="-".join)
async def test_a_flood_to_a_client_that_does_not_read_costs_no_memory_and_loses_nothing(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    gateway = called.gateway
    called.is_good_stream(await called.stream([streamed("chat")]))
    before = gateway.memory
    count, text = 12_500, "x" * 4000
    spoken = speak("chat")
    pieces = [speak("chat", (f"{number} {text}",)).deltas[0] for number in range(count)]
    flood = [Flood(len(piece), chunk(piece)) for piece in pieces]
    tail = b"".join(map(chunk, [*spoken.stop, *spoken.end])) + LAST_CHUNK
    case = stage.file([sent(*spoken.opening), *flood, tail])
    start = stage.upstream.flooded
    client = await gateway.start(lane.tongue, case, receive_buffer=65536)
    most = moved = 0
    async for moved in stage.upstream.flood(start):  # noqa: B007 - the last one counts
        most = max(most, gateway.memory)
    assert moved < 48 * MEGABYTE, "nothing was held back"
    assert (await gateway.call("chat", stage.file([whole("chat")]))).status == 200, "others must not wait for it"
    if lane.same:
        expected = hashlib.sha256(b"".join([*spoken.opening, *pieces, *spoken.stop, *spoken.end])).hexdigest()
        digest = hashlib.sha256()
        assert await client.drain(digest.update)
        assert digest.hexdigest() == expected
    else:
        numbers = Numbers()
        assert await client.drain(numbers.take)
        assert numbers.next == count and numbers.ended
    client.leave()
    most = max(most, gateway.memory)
    print(f"{'-'.join(lane)}: {(most - before) / MEGABYTE:.1f} MB more than the {before / MEGABYTE:.1f} MB before")
    assert most - before < ROOM


@pytest.mark.parametrize("lane", [lane for lane in LANES if lane.kind == "openai"], ids="-".join)
async def test_a_compressed_flood_is_inflated_as_it_is_read(stage: Stage, lane: Lane) -> None:
    """25 MB in 100 KB: the bytes are here at once, what they stand for must not be."""
    called = await open_lane(stage, lane)
    gateway = called.gateway
    called.is_good_stream(await called.stream([streamed("chat")]))
    before = gateway.memory
    spoken, count = speak("chat"), 6_000
    deltas = [speak("chat", (f"{number} " + "x" * 4000,)).deltas[0] for number in range(count)]
    body = b"".join([*spoken.opening, *deltas, *spoken.stop, *spoken.end])
    script = [ok(gzip.compress(body, 1), b"content-type: text/event-stream", b"content-encoding: gzip")]
    client = await gateway.start(lane.tongue, stage.file(script), receive_buffer=65536)
    most = before
    for _ in range(5):
        await asyncio.sleep(0.1)
        most = max(most, gateway.memory)
    digest, numbers = hashlib.sha256(), Numbers()
    assert await client.drain(digest.update if lane.same else numbers.take)
    assert digest.digest() == hashlib.sha256(body).digest() if lane.same else numbers.next == count and numbers.ended
    client.leave()
    most = max(most, gateway.memory)
    print(f"{'-'.join(lane)}: {(most - before) / MEGABYTE:.1f} MB more than the {before / MEGABYTE:.1f} MB before")
    assert most - before < ROOM


@every_lane
async def test_a_stream_that_ended_before_its_client_began_to_read_is_whole_and_a_cut_one_is_cut(
    stage: Stage, lane: Lane
) -> None:
    called = await open_lane(stage, lane)
    size = 1_500_000
    spoken = speak(lane.up, ("x" * 30_000,) * (size // 30_000))
    said = sent(*spoken.opening, *spoken.deltas)
    stop = b"".join(map(chunk, [*spoken.stop, *spoken.end])) + LAST_CHUNK

    async def check(script: Script, ends: bool) -> None:
        client = await called.gateway.start(lane.tongue, stage.file(script), receive_buffer=65536)
        await asyncio.sleep(0.3)
        answer = await client.reply()
        heard = hear(lane.tongue, answer.body)
        assert answer.complete and heard.ended == ends and (heard.error is None) == ends, answer
        assert heard.text == "x" * size
        client.leave()

    await each({"whole": check([said + stop], True), "cut": check([said, Close()], False)})


class Numbers:
    """Reads a stream of events in pieces and checks that its texts begin with 0, 1, 2 ..."""

    def __init__(self) -> None:
        self.next = 0
        self.ended = False
        self._rest = b""

    def take(self, piece: bytes) -> None:
        frames, _, self._rest = (self._rest + piece).rpartition(b"\n\n")
        if not frames:
            return
        for event, data in events(frames + b"\n\n"):
            if event == "content_block_delta":
                assert f'"text":"{self.next} x' in data, (self.next, data[:200])
                self.next += 1
            self.ended = event == "message_stop"


@every_impl
async def test_slow_clients_do_not_keep_others_waiting(stage: Stage, impl: str) -> None:
    """Heads and bodies that come a byte at a time or stop in the middle, and connections that say nothing at all."""
    called = await open_lane(stage, Lane(impl, "openai", "messages"))
    stop = asyncio.Event()
    port = called.gateway.port
    data = request("POST", PATHS["messages"], question("messages"))

    async def loris(client: RawClient, payload: bytes) -> None:
        for place in range(len(payload)):
            if stop.is_set():
                break
            await client.send(payload[place : place + 1])
            await asyncio.sleep(0.05)
        await stop.wait()
        client.leave()

    clients = [await connect(port) for _ in range(150)]
    payloads = [b"", data[:40], data[:-20]]
    for place, client in enumerate(clients):
        await client.send(payloads[place % 3])
    slow = [asyncio.create_task(loris(client, data[-10:] * 100)) for client in clients]
    started = time.monotonic()
    for _ in range(30):
        called.is_good_stream(await called.stream([streamed("chat")]))
    print(f"{impl}: 30 calls beside 150 slow clients took {time.monotonic() - started:.2f} s")
    stop.set()
    await asyncio.gather(*slow)
    assert (await called.gateway.health())["status"] == "ok"


# --- many --------------------------------------------------------------------------------------------------------------------


@every_lane
async def test_300_streams_at_once_are_all_correct_with_one_key(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    before = await called.gateway.counters()

    async def check(number: int) -> None:
        texts = tuple(f"{number}.{place} " for place in range(10))
        spoken = speak(lane.up, texts)
        pause = Sleep(0.05)
        said = [step for delta in spoken.deltas for step in (pause, chunk(delta))]
        script = [sent(*spoken.opening), *said, b"".join(map(chunk, [*spoken.stop, *spoken.end])) + LAST_CHUNK]
        answer = await called.gateway.call(lane.tongue, stage.file(script), stream=True)
        heard = hear(lane.tongue, answer.body)
        assert (heard.text, heard.ended, heard.error, answer.complete) == ("".join(texts), True, None, True), answer

    async def healthy() -> None:
        for _ in range(5):
            await asyncio.sleep(0.1)
            assert (await called.gateway.health())["status"] == "ok"

    await each({str(number): check(number) for number in range(STREAMS)} | {"health": healthy()})
    wanted = before["streams_completed"] + STREAMS
    for _ in range(100):  # a call is settled after its last byte has left
        after = await called.gateway.counters()
        if after["streams_completed"] == wanted:
            break
        await asyncio.sleep(0.02)
    assert after["streams_completed"] == wanted


@every_impl
async def test_a_thousand_mixed_calls_leave_nothing_open(stage: Stage, impl: str) -> None:
    gateway = await stage.gateway("openai", impl)
    spoken = speak("chat")
    scripts: tuple[tuple[Script, bool], ...] = (
        ([streamed("chat")], True),
        ([whole("chat")], False),
        ([sent(*spoken.frames[:3]), Close()], True),
        ([sent(*spoken.frames[:3]), Reset()], True),
        ([Close()], False),
        ([ok(b'{"error":{"message":"x"}}', status=b"429 No")], True),
        ([sent(*spoken.frames[:3], error_frame("chat", "x")) + LAST_CHUNK], True),
        ([streamed("chat")], False),
        ([whole("chat")], True),
    )
    turns = iter(range(1000))

    async def caller() -> None:
        for turn in turns:
            script, stream = scripts[turn % len(scripts)]
            answer = await gateway.call(TONGUES[turn % 2], stage.file(script), stream=stream)
            assert answer.complete and answer.status in (200, 429, 502), answer
            if turn % 50 == 0:
                assert (await gateway.ask("POST", PATHS["chat"], b"nonsense")).status == 400

    await gateway.call("chat", stage.file([whole("chat")]))
    stage.upstream.close_idle()
    await asyncio.sleep(0.2)
    files, memory = gateway.descriptors, gateway.memory
    await asyncio.gather(*(caller() for _ in range(4)))
    stage.upstream.close_idle()
    await until(lambda: gateway.descriptors <= files, f"{gateway.descriptors} descriptors, {files} before")
    print(f"{impl}: {(gateway.memory - memory) / MEGABYTE:.1f} MB more after 1,000 calls")
    assert gateway.memory - memory < ROOM


@every_impl
async def test_a_stopped_reader_of_the_log_stops_nothing(stage: Stage, impl: str) -> None:
    """The pipe of stdout is full after 64 KB; lines are dropped then, calls and the end are not."""
    await stage.gateway("openai", impl)  # skips where the twin is missing
    reading, writing = os.pipe()
    gateway = await Gateway("openai", impl, stage.upstream.port, output=writing).ready()
    os.close(writing)
    try:
        case = stage.file([whole("chat")])
        for _ in range(10):
            answers = await asyncio.gather(*(gateway.call("messages", case) for _ in range(50)))
            assert {answer.status for answer in answers} == {200}
        assert (await gateway.health())["status"] == "ok"
        gateway.process.send_signal(signal.SIGTERM)
        await until(lambda: gateway.process.poll() is not None, "it does not end")
        assert gateway.process.returncode == 0
    finally:
        os.close(reading)
        gateway.stop()


# --- signals -----------------------------------------------------------------------------------------------------------------


async def refuses(gateway: Gateway) -> bool:
    try:
        (await gateway.connect()).leave()
    except ConnectionError:
        return True
    return False


@every_impl
async def test_sigterm_lets_a_stream_finish_and_refuses_new_connections(stage: Stage, impl: str) -> None:
    await stage.gateway("openai", impl)  # skips where the twin is missing
    gateway = await Gateway("openai", impl, stage.upstream.port).ready()
    try:
        for tongue in TONGUES:
            called = Called(stage, gateway, Lane(impl, "openai", tongue))
            called.is_good_stream(await called.stream([streamed("chat")]))
        go_on = asyncio.Event()
        spoken = speak("chat")
        rest = b"".join(map(chunk, [*spoken.deltas[1:], *spoken.stop, *spoken.end])) + LAST_CHUNK
        clients = []
        for tongue in TONGUES:
            case = stage.file([sent(*spoken.opening, spoken.deltas[0]), Until(go_on), rest])
            client = await gateway.start(tongue, case)
            await client.until(TEXTS[0].encode())
            clients.append((tongue, client))
        gateway.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not await refuses(gateway):
            assert time.monotonic() < deadline, "new connections are still taken"
            await asyncio.sleep(0.05)
        go_on.set()
        for tongue, client in clients:
            Called(stage, gateway, Lane(impl, "openai", tongue)).is_good_stream(await client.reply())
            client.leave()
        await until(lambda: gateway.process.poll() is not None, "it does not end")
        assert gateway.process.returncode == 0, gateway.errors
        assert "fault in the gateway" not in gateway.errors
    finally:
        gateway.stop()


@every_impl
async def test_a_killed_worker_is_replaced_and_its_streams_are_cut_visibly(stage: Stage, impl: str) -> None:
    await stage.gateway("openai", impl)
    gateway = await Gateway("openai", impl, stage.upstream.port).ready()
    try:
        called = Called(stage, gateway, Lane(impl, "openai", "messages"))
        case = stage.file([sent(*speak("chat").frames[:3]), Until(asyncio.Event())])
        client = await gateway.start("messages", case)
        await client.until(TEXTS[0].encode())
        killed = gateway.worker
        os.kill(killed, signal.SIGKILL)
        assert not (await client.reply()).complete
        assert await stage.upstream.closed_within(5.0, case.requests[-1].connection)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(ConnectionError):
                answer = await called.whole([whole("chat")])
                if answer.complete:
                    break
            assert time.monotonic() < deadline, "no worker came in its place"
            await asyncio.sleep(0.1)
        called.is_good_document(answer)
        assert gateway.worker != killed
    finally:
        gateway.stop()
