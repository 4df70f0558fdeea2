"""wire/json_array: a stream of events as one growing JSON array."""

from __future__ import annotations

import msgspec
import pytest

from anyllm_fast.wire.json_array import SseToJsonArray
from tests.streams import PYTHON, corpus, load, piped, run

FRAMES = [b'data: {"a":1}\n\n', b'data: {"b":"\\n"}\r\n\r\n', b'data: {\ndata: "c":3}\n\n']
FOUND = b'[{"a":1},\r\n{"b":"\\n"},\r\n{\n"c":3}]'


def whole(chunks: list[bytes]) -> bytes:
    made = SseToJsonArray()
    return b"".join([*map(made.feed, chunks), made.finish()])


@pytest.mark.parametrize("chunks", [FRAMES, [b"".join(FRAMES)], [FRAMES[0] + FRAMES[1], b"", FRAMES[2]]])
def test_frames_become_elements_however_many_come_at_once(chunks: list[bytes]) -> None:
    assert whole(chunks) == FOUND


def test_every_element_leaves_at_once_with_what_stands_before_it() -> None:
    made = SseToJsonArray()
    assert [made.feed(frame) for frame in FRAMES[:2]] == [b'[{"a":1}', b',\r\n{"b":"\\n"}']


def test_a_bare_error_is_the_last_element() -> None:
    assert whole([FRAMES[0], b'{"error":{"code":503}}']) == b'[{"a":1},\r\n{"error":{"code":503}}]'
    assert whole([FRAMES[0] + b'{"error":{}}']) == b'[{"a":1},\r\n{"error":{}}]'


@pytest.mark.parametrize("chunks", [[], [b""], [b": ping\n\n"], [b"data:\n\n", b"\n\n"]])
def test_a_stream_that_said_nothing_is_an_empty_array(chunks: list[bytes]) -> None:
    assert whole(chunks) == b"[]"


@pytest.mark.parametrize("name", corpus("gemini"))
def test_every_stream_to_a_gemini_client_is_an_array_of_its_chunks(name: str) -> None:
    stream = run(piped(PYTHON, "gemini", "gemini"), [load(name)]).out
    chunks = msgspec.json.decode(whole([stream]))
    assert len(chunks) == stream.count(b"data: ") + (not stream.endswith(b"\n\n"))
