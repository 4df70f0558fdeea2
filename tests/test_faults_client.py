"""The whole server with clients that leave: at every stage the upstream's socket is closed at once and nothing stays behind."""

from __future__ import annotations

import asyncio
import statistics
import sys

import pytest

from tests.raw_client import RawClient, request
from tests.raw_upstream import CHUNKED, Flood, Hang, Script, Sleep, chunk, head
from tests.speech import PATHS, TEXTS, TONGUES, Tongue, question, sent, speak, whole
from tests.stage import IMPLS, NARROW, Case, Gateway, Stage, each, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATE = 0.5
"""Seconds after which a close counts as forgotten; the promise is 50 ms, and the machine of the tests is busy."""
every_impl = pytest.mark.parametrize("impl", IMPLS)


async def seconds_until_closed(stage: Stage, case: Case, client: RawClient) -> float:
    """From the client's end to the upstream's notice of it."""
    seen = stage.upstream.connection(case)
    await asyncio.wait_for(seen.closed.wait(), 10)
    assert seen.closed_at is not None
    return seen.closed_at - client.left_at


async def is_logged(gateway: Gateway, case: Case) -> None:
    line = await gateway.line(case)
    assert (line["message"], line["level"]) == ("client left", "INFO"), line


@every_impl
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_a_client_that_leaves_closes_the_upstream_at_every_stage(stage: Stage, impl: str, kind: str) -> None:
    gateway = await stage.gateway(kind, impl)
    before = await gateway.counters()
    spoken = speak("messages" if kind == "anthropic" else "chat")
    said = sent(*spoken.opening, *spoken.deltas[:2])
    talk = [step for _ in range(500) for step in (chunk(spoken.deltas[3]), Sleep(0.01))]
    first = TEXTS[0].encode()
    stages: dict[str, tuple[Script, bytes, float, bool]] = {
        "at once": ([Hang()], b"", 0.0, True),
        "at once, whole": ([Hang()], b"", 0.0, False),
        "waiting for headers": ([Hang()], b"", 0.1, True),
        "waiting for headers, whole": ([Hang()], b"", 0.1, False),
        "in the headers": ([CHUNKED[:30], Hang()], b"", 0.1, True),
        "headers and nothing else": ([CHUNKED, Hang()], b"", 0.1, True),
        "before the commit": ([sent(spoken.opening[0]), Hang()], b"", 0.1, True),
        "at the first word": ([said, Hang()], first, 0.0, True),
        "in a silent stream": ([said, Hang()], first, 0.1, True),
        "in a talking stream": ([said, *talk], first, 0.1, True),
        "in a document": ([head(b"content-length: 1000") + b"{", Hang()], b"", 0.1, False),
    }
    figures: list[float] = []

    async def check(tongue: Tongue, script: Script, mark: bytes, pause: float, stream: bool) -> None:
        case = stage.file(script)
        client = await gateway.start(tongue, case, stream=stream)
        await case.comes()
        if mark:
            await client.until(mark)
        await asyncio.sleep(pause)
        client.leave()
        figures.append(await seconds_until_closed(stage, case, client))
        await is_logged(gateway, case)

    await each({f"{tongue}, {name}": check(tongue, *row) for name, row in stages.items() for tongue in TONGUES})
    median, most = statistics.median(figures) * 1000, max(figures) * 1000
    print(f"{kind}, {impl}: the upstream is closed {median:.1f} ms after the client (median), {most:.1f} ms (most)")
    assert most < LATE * 1000, figures
    after = await gateway.counters()
    assert after["requests_total"] >= before["requests_total"] + len(figures)
    assert after["requests_success"] == before["requests_success"]
    assert after["streams_client_disconnected"] >= before["streams_client_disconnected"] + 3 * len(TONGUES)


@every_impl
async def test_a_client_that_leaves_in_the_middle_of_its_body_costs_the_upstream_nothing(stage: Stage, impl: str) -> None:
    gateway = await stage.gateway("openai", impl)

    async def check(tongue: Tongue, headers: dict[str, str | None], kept: int) -> None:
        case = stage.file([whole("chat")])
        client = await gateway.connect()
        payload = b'{"model":"m","messages":[' + b" " * 300_000
        await client.send(request("POST", PATHS[tongue], payload, case.headers | headers)[:kept])
        await asyncio.sleep(0.1)
        client.leave()
        line = (await until(lambda: gateway.lines(case), "no log line"))[0]
        assert line["message"] == "client left", line
        assert not case.requests

    lengths: dict[str, dict[str, str | None]] = {
        "length": {},
        "chunks": {"content-length": None, "transfer-encoding": "chunked"},
    }
    checks = {}
    for tongue in TONGUES:
        for name, headers in lengths.items():
            for kept in (500, 200_000):
                checks[f"{tongue}, {name}, {kept}"] = check(tongue, headers, kept)
    await each(checks)


@every_impl
async def test_a_client_that_does_not_read_and_then_leaves_is_noticed(stage: Stage, impl: str) -> None:
    """The gateway waits in `send` then."""
    gateway = await stage.gateway("openai", impl)

    async def check(tongue: Tongue) -> None:
        flood = chunk(speak("chat", ("x" * 1000,)).deltas[0]) * 50
        case = stage.file([sent(*speak("chat").opening), Flood(1 << 30, flood)])
        start = stage.upstream.flooded
        client = await gateway.start(tongue, case, receive_buffer=65536)
        async for _ in stage.upstream.flood(start):
            pass
        assert stage.upstream.connection(case).closed_at is None
        client.leave()
        assert await seconds_until_closed(stage, case, client) < LATE
        await is_logged(gateway, case)

    for tongue in TONGUES:
        await check(tongue)


@every_impl
async def test_the_places_of_clients_that_left_are_free_again(stage: Stage, impl: str) -> None:
    gateway = await stage.gateway("narrow", impl)

    async def leave(tongue: Tongue, stream: bool) -> None:
        case = stage.file([Hang()])
        client = await gateway.start(tongue, case, stream=stream)
        await case.comes()
        client.leave()
        assert await seconds_until_closed(stage, case, client) < LATE
        await is_logged(gateway, case)

    for _ in range(2):
        await asyncio.gather(*(leave(tongue, stream) for tongue in TONGUES for stream in (True, False)))
    answers = await asyncio.gather(*(gateway.call("chat", stage.file([Sleep(0.2), whole("chat")])) for _ in range(NARROW)))
    assert [answer.status for answer in answers] == [200] * NARROW
    answers = await asyncio.gather(*(gateway.call("chat", stage.file([Sleep(0.2), whole("chat")])) for _ in range(NARROW + 1)))
    assert sorted(answer.status for answer in answers) == [200] * NARROW + [429]


@every_impl
async def test_who_leaves_while_tokens_are_counted_or_models_listed_is_noticed_too(stage: Stage, impl: str) -> None:
    gateway = await stage.gateway("anthropic", impl)

    async def check(method: str, path: str, body: object) -> None:
        case = stage.file([Hang()])
        client = await gateway.connect()
        await client.send(request(method, path, body, case.headers))
        await case.comes()
        await asyncio.sleep(0.1)
        client.leave()
        assert await seconds_until_closed(stage, case, client) < LATE
        await is_logged(gateway, case)

    await each(
        {
            "count_tokens": check("POST", "/v1/messages/count_tokens", question("messages")),
            "models": check("GET", "/v1/models", b""),
        }
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@every_impl
async def test_nothing_stays_behind_when_a_hundred_clients_leave_at_once(stage: Stage, impl: str) -> None:
    gateway = await stage.gateway("openai", impl)
    await gateway.call("chat", stage.file([whole("chat")]))
    stage.upstream.close_idle()
    await asyncio.sleep(0.2)
    before = gateway.descriptors
    said = sent(*speak("chat").frames[:3])
    cases = [stage.file([said, Hang()]) for _ in range(100)]
    clients = await asyncio.gather(*(gateway.start(TONGUES[place % 2], case) for place, case in enumerate(cases)))
    await asyncio.gather(*(client.until(TEXTS[0].encode()) for client in clients))
    for client in clients:
        client.leave()
    for case, client in zip(cases, clients, strict=True):
        assert await seconds_until_closed(stage, case, client) < 2.0
    await until(lambda: gateway.descriptors <= before, f"{gateway.descriptors} descriptors, {before} before")
    assert (await gateway.health())["status"] == "ok"


@every_impl
async def test_a_client_that_only_stops_sending_gets_its_answer_or_an_end(stage: Stage, impl: str) -> None:
    """A half-closed connection: no client of the field does that, so the call may be taken for left, but not for ever."""
    gateway = await stage.gateway("openai", impl)
    case = stage.file([Sleep(0.1), whole("chat")])
    client = await gateway.start("chat", case, stream=False)
    client.finish_writing()
    answer = await client.reply()
    assert answer.complete or not answer.status
    client.leave()
