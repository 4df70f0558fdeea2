"""One connection over a network that is a list of bytes: every cutting gives the same reply, and no bytes make it raise."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import request
from raw_upstream import CHUNKED, LAST_CHUNK, chunk, head, ok

from anyllm_fast.errors import UpstreamBroken, UpstreamError
from anyllm_fast.upstream.connection import Http1Connection


class Wire:
    """A transport that takes everything and remembers whether it is closed and read."""

    def __init__(self) -> None:
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.closed

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Outcome:
    """What became of one reply: status, headers, body, error, and whether the connection was kept."""

    def __init__(self, pieces: Iterable[bytes], eof: bool = False) -> None:
        kept: list[Http1Connection] = []
        connection = Http1Connection(asyncio.get_running_loop(), "peer", kept.append, lambda _: None)
        wire: Any = Wire()
        connection.connection_made(wire)
        reply = connection.begin(request(80), b"head", float("inf"))
        body: list[bytes] = []
        self.error: UpstreamError | None = None
        self.ended = 0

        def end(error: UpstreamError | None) -> None:
            self.error = error
            self.ended += 1

        reply.attach(body.append, end)
        for piece in pieces:
            if not wire.closed:
                connection.data_received(piece)
        if eof and not wire.closed:
            connection.eof_received()
        if eof:
            connection.connection_lost(None)
        self.kept = bool(kept) and not wire.closed
        self.body = b"".join(body)
        self.status = reply.status
        self.headers = reply.headers if reply.status else []

    def facts(self) -> tuple[Any, ...]:
        return (self.status, self.headers, self.body, type(self.error), self.ended, self.kept)


ANSWERS = {
    "length": (ok(b"hello world", b"x-a: 1"), False),
    "chunked": (CHUNKED + chunk(b"hello") + chunk(b" world") + LAST_CHUNK, False),
    "extensions and trailers": (CHUNKED + b"5;a=b\r\nhello\r\n0;c\r\nx-sum: 1\r\nx-b: 2\r\n\r\n", False),
    "interim": (head(b"link: x", status=b"103 Early Hints") + head(status=b"100 Continue") + ok(b"hi"), False),
    "until close": (head(version=b"HTTP/1.0") + b"hello", True),
    "two answers": (ok(b"hi") + ok(b"no"), False),
    "a cut": (CHUNKED + chunk(b"hello"), True),
    "garbage": (CHUNKED + chunk(b"hello") + b"zz\r\n", False),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_every_cutting_gives_the_same_reply(case: str) -> None:
    data, eof = ANSWERS[case]
    whole = Outcome([data], eof).facts()
    assert whole[4] == 1
    for first in range(1, len(data)):
        assert Outcome([data[:first], data[first:]], eof).facts() == whole, first
    assert Outcome([data[at : at + 1] for at in range(len(data))], eof).facts() == whole


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(ANSWERS)), st.integers(), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)), max_size=4)
)
def test_no_bytes_make_it_raise_or_answer_twice(case: str, seed: int, edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(ANSWERS[case][0])
    for at, replacement in edits:
        data[at : at + len(replacement)] = replacement
    cuts = sorted(random.Random(seed).sample(range(len(data) + 1), k=min(3, len(data))))
    pieces = [bytes(data[start:end]) for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if end > start]

    async def run() -> Outcome:
        return Outcome(pieces, eof=True)

    outcome = asyncio.run(run())
    assert outcome.ended == 1
    assert outcome.error is None or isinstance(outcome.error, UpstreamBroken)
    assert not (outcome.kept and outcome.error)
