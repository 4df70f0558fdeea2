"""The whole server with clients that leave: at every stage the upstream's socket is closed at once and nothing stays behind."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from tests.raw_client import RawClient, request
from tests.raw_upstream import CHUNKED, LAST_CHUNK, Flood, Hang, Reset, Script, Sleep, Until, chunk, head
from tests.speech import PATHS, TEXTS, TONGUES, Tongue, hear, question, speak, streamed, whole
from tests.stage import IMPLS, NARROW, Case, Gateway, Stage, each, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATE = 0.5
"""Seconds after which a close counts as forgotten; the promise is 50 ms, and the machine of the tests is busy."""
every_impl = pytest.mark.parametrize("impl", IMPLS)
every_lane = pytest.mark.parametrize("kind", ["openai", "anthropic"])


def sent(*frames: bytes) -> bytes:
    return CHUNKED + b"".join(map(chunk, frames))


async def seconds_until_closed(stage: Stage, case: Case, client: RawClient) -> float:
    """From the client's end to the upstream's notice of it."""
    seen = stage.upstream.connection(case)
    await asyncio.wait_for(seen.closed.wait(), 10)
    assert seen.closed_at is not None
    return seen.closed_at - client.left_at


async def leaves(stage: Stage, gateway: Gateway, tongue: Tongue, script: Script, mark: bytes, stream: bool) -> float:
    """A call whose client leaves once its answer holds `mark` (or once the upstream has the request); checks what was logged."""
    case = stage.file(script)
    client = await gateway.start(tongue, case, stream=stream)
    await case.arrived.wait()
    if mark:
        await client.until(mark)
    await asyncio.sleep(0.1)
    client.leave()
    seconds = await seconds_until_closed(stage, case, client)
    line = await gateway.line(case)
    assert line["message"] == "client left" and line["level"] == "INFO", line
    return seconds


@every_impl
@every_lane
async def test_a_client_that_leaves_closes_the_upstream_at_every_stage(stage: Stage, impl: str, kind: str) -> None:
    gateway = await stage.gateway(kind, impl)
    before = await gateway.counters()
    figures: list[float] = []
    calls = 0
    for tongue in TONGUES:
        spoken = speak("messages" if kind == "anthropic" else "chat")
        said = sent(*spoken.opening, *spoken.deltas[:2])
        talk = [step for _ in range(500) for step in (chunk(spoken.deltas[3]), Sleep(0.01))]
        first = TEXTS[0].encode()
        stages: dict[str, tuple[Script, bytes, bool]] = {
            "waiting for headers": ([Hang()], b"", True),
            "waiting for headers, whole": ([Hang()], b"", False),
            "in the headers": ([CHUNKED[:30], Hang()], b"", True),
            "headers and nothing else": ([CHUNKED, Hang()], b"", True),
            "before the commit": ([sent(spoken.opening[0]), Hang()], b"", True),
            "in a silent stream": ([said, Hang()], first, True),
            "in a talking stream": ([said, *talk], first, True),
            "in a document": ([head(b"content-length: 1000") + b"{", Hang()], b"", False),
        }
        calls += len(stages)

        async def check(script: Script, mark: bytes, stream: bool, tongue: Tongue = tongue) -> None:
            figures.append(await leaves(stage, gateway, tongue, script, mark, stream))

        await each({f"{tongue}, {name}": check(*row) for name, row in stages.items()})
    print(
        f"{kind}, {impl}: upstream closed after {statistics.median(figures) * 1000:.1f} ms (median), {max(figures) * 1000:.1f} ms (most)"
    )
    assert max(figures) < LATE, figures
    after = await gateway.counters()
    assert after["requests_total"] == before["requests_total"] + calls
    assert after["streams_client_disconnected"] > before["streams_client_disconnected"]
    assert after["streams_completed"] == before["streams_completed"]
