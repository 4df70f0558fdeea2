"""Runs one test body over each implementation of the upstream seam and each event loop. Knows no test."""

from __future__ import annotations

import asyncio
import functools
import inspect
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from anyllm_fast.errors import UpstreamError
from anyllm_fast.upstream import Origin, Timeouts, Upstream, UpstreamReply, UpstreamRequest
from anyllm_fast.upstream.http1 import Http1Upstream
from anyllm_fast.upstream.over_httpx import HttpxUpstream

Body = Callable[..., Coroutine[Any, Any, None]]
Open = Callable[..., Upstream]

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}


def open_http1(tls: ssl.SSLContext | None = None, **options: Any) -> Upstream:
    return Http1Upstream(lambda: tls or ssl.create_default_context(), **options)


def open_httpx(tls: ssl.SSLContext | None = None, **options: Any) -> Upstream:
    return HttpxUpstream(lambda: tls or ssl.create_default_context(), **options)


def lanes(*pairs: tuple[str, str]) -> Callable[[Body], Callable[..., None]]:
    """Marks `async def test(open_upstream, ...)` to run over each (implementation, loop). An implementation is http1 or httpx."""
    opens = {"http1": open_http1, "httpx": open_httpx}

    def decorate(body: Body) -> Callable[..., None]:
        @pytest.mark.parametrize("lane", pairs, ids="-".join)
        @functools.wraps(body)
        def test(lane: tuple[str, str], **others: Any) -> None:
            kind, loop = lane
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(asyncio.wait_for(body(opens[kind], **others), 30))

        parameters = list(inspect.signature(body).parameters.values())[1:]
        lane = inspect.Parameter("lane", inspect.Parameter.KEYWORD_ONLY)
        test.__signature__ = inspect.Signature([*parameters, lane])  # type: ignore[attr-defined]
        del test.__wrapped__
        return test

    return decorate


ALL = (("http1", "uvloop"), ("http1", "asyncio"), ("httpx", "uvloop"), ("httpx", "asyncio"))
every_lane = lanes(*ALL)
http1_lanes = lanes(*ALL[:2])
httpx_lanes = lanes(*ALL[2:])


def request(
    port: int,
    body: bytes = b"{}",
    *,
    scheme: str = "http",
    host: str = "127.0.0.1",
    timeouts: Timeouts | None = None,
    headers: list[tuple[bytes, bytes]] | None = None,
    method: bytes = b"POST",
) -> UpstreamRequest:
    return UpstreamRequest(
        origin=Origin(scheme, host, port),
        method=method,
        target=b"/v1/chat/completions",
        headers=headers if headers is not None else [(b"content-type", b"application/json")],
        body=body,
        timeouts=timeouts or Timeouts(connect=5, first_byte=5, idle=5),
    )


async def settle() -> None:
    """Lets what was scheduled happen: a few turns of the loop and one short wait for sockets."""
    await asyncio.sleep(0.02)


async def take_all(reply: UpstreamReply) -> bytes:
    pieces = []
    while piece := await reply.chunk():
        pieces.append(piece)
    return b"".join(pieces)


async def collect(reply: UpstreamReply, form: str) -> bytes:
    if form == "read":
        return await reply.read(1000)
    if form == "chunk":
        body = await take_all(reply)
        assert await reply.chunk() == b"", "the end stays the end"
        return body
    pieces: list[bytes] = []
    ended: asyncio.Future[UpstreamError | None] = asyncio.get_running_loop().create_future()
    reply.attach(pieces.append, ended.set_result)
    error = await ended
    assert all(pieces)
    if error is not None:
        raise error
    return b"".join(pieces)


async def until(true: Callable[[], object]) -> None:
    """Turns the loop until something is so. The lane's limit of time is the end of it."""
    while not true():  # noqa: ASYNC110  # what is waited for has no event
        await asyncio.sleep(0)
