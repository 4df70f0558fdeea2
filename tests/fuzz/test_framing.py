"""Framing gives the same frames for any bytes in any cutting, keeps no more than its bound, and never raises.

The reference below reads the whole body at once, by the letter of the standard (WHATWG HTML, 9.2.6).
"""

from __future__ import annotations

import random
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.damage import examples
from tests.streams import TWINS, cut

PIECES = [
    b"data:",
    b"data: ",
    b"data",
    b"event:",
    b"event: x",
    b":",
    b": c",
    b"id: 1",
    b" ",
    b"a",
    b"bc",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
]
BODY = st.lists(st.sampled_from([*PIECES, b"\xef\xbb\xbf", b"\x00\xff"]), max_size=30).map(b"".join)


def by_the_letter(body: bytes) -> list[tuple[bytes, bytes]]:
    frames: list[tuple[bytes, bytes]] = []
    event, data = b"", b""
    lines = re.split(rb"\r\n|\n|\r", body.removeprefix(b"\xef\xbb\xbf"))
    for line in lines[:-1]:  # what is behind the last line end is no line
        field, colon, value = line.partition(b":")
        if not line:
            if data:
                frames.append((event, data.removesuffix(b"\n")))
            event, data = b"", b""
        elif colon and not field:
            continue
        elif field == b"event":
            event = value.removeprefix(b" ")
        elif field == b"data":
            data += value.removeprefix(b" ") + b"\n"
    return frames


def feed(frames: Any, chunks: list[bytes]) -> list[tuple[bytes, bytes]]:
    found = []
    for part in chunks:
        given_out = frames.feed(part)
        assert len(given_out) == len(frames.places) and 0 <= frames.boundary <= len(part)
        found += given_out
    return found


@settings(max_examples=examples(400, 120), deadline=None)
@given(BODY, st.integers(0, 2**32))
def test_frames_are_those_of_the_standard(body: bytes, seed: int) -> None:
    for twin in TWINS:
        frames = twin.Frames(10_000)
        assert feed(frames, cut(body, random.Random(seed))) == by_the_letter(body)
        assert frames.failure is None


@settings(max_examples=examples(200, 120), deadline=None)
@given(BODY, st.integers(1, 20), st.integers(0, 2**32))
def test_the_bound_holds_in_any_cutting(body: bytes, bound: int, seed: int) -> None:
    found = []
    for twin in TWINS:
        for chunks in ([body], cut(body, random.Random(seed)), [body[i : i + 1] for i in range(len(body))]):
            frames = twin.Frames(bound)
            found.append((feed(frames, chunks), frames.finish(), frames.failure))
            assert frames.failure is not None or frames.rest <= bound
    assert all(one == found[0] for one in found)


@settings(max_examples=examples(100, 120), deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**32))
def test_any_bytes_are_taken(body: bytes, seed: int) -> None:
    found = []
    for twin in TWINS:
        frames = twin.Frames(100)
        found.append((feed(frames, cut(body, random.Random(seed))), frames.finish(), frames.failure))
    assert all(one == found[0] for one in found)
