"""Framing: every way to write server-sent events, in every cutting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams import cuttings, each_twin

pytestmark = each_twin

Frame = tuple[bytes, bytes]

WRITINGS: dict[str, tuple[bytes, list[Frame]]] = {
    "lf": (b"data: a\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"", b"a"), (b"", b"b")]),
    "cr": (b"data: a\r\rdata: b\r\r", [(b"", b"a"), (b"", b"b")]),
    "mixed line ends": (b"data: a\n\r\ndata: b\r\ndata: c\r\n\rdata: d\r\n\n", [(b"", b"a"), (b"", b"b\nc"), (b"", b"d")]),
    "lf after cr ends no second line": (b"data: a\r\ndata: b\r\n\r\n", [(b"", b"a\nb")]),
    "no space": (b"data:a\n\ndata:  b\n\n", [(b"", b"a"), (b"", b" b")]),
    "event": (b"event: x\ndata: a\n\nevent:y\ndata: b\n\ndata: c\n\n", [(b"x", b"a"), (b"y", b"b"), (b"", b"c")]),
    "last event name counts": (b"event: x\nevent: y\ndata: a\n\n", [(b"y", b"a")]),
    "event name behind the data": (b"data: a\nevent: x\n\n", [(b"x", b"a")]),
    "event without data is forgotten": (b"event: x\n\ndata: a\n\n", [(b"", b"a")]),
    "several data lines": (b"data: a\ndata:\ndata: b\n\n", [(b"", b"a\n\nb")]),
    "empty data": (b"data:\n\ndata\n\ndata: a\n\n", [(b"", b""), (b"", b""), (b"", b"a")]),
    "comments": (b": ping\n\n:\n: more\ndata: a\n: between\ndata: b\n\n", [(b"", b"a\nb")]),
    "unknown fields": (b"id: 7\nretry: 10\nfoo: bar\ndatax: n\n data: n\ndata: a\n\n", [(b"", b"a")]),
    "blank lines between": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    "bom": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n", [(b"", b"a"), (b"", b"c")]),
    "bom and a blank line": (b"\xef\xbb\xbf\ndata: a\n\n", [(b"", b"a")]),
    "colon in data": (b"data: a: b\n\n", [(b"", b"a: b")]),
    "bytes that are no text": (b"data: \xff\x00\xfe\n\n", [(b"", b"\xff\x00\xfe")]),
    "nothing": (b"", []),
    "an html page": (b"<html>\n<body>\n\n502\n</body>\n", []),
}


@pytest.mark.parametrize("name", WRITINGS)
def test_a_stream_gives_the_same_frames_in_any_cutting(twin: Any, name: str) -> None:
    data, expected = WRITINGS[name]
    for chunks in cuttings(data):
        frames = twin.Frames(1000)
        assert [frame for chunk in chunks for frame in frames.feed(chunk)] == expected
        assert frames.failure is None


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (b"data: b", [(b"", b"b")]),
        (b"data: b\n", [(b"", b"b")]),
        (b"data: b\r", [(b"", b"b")]),
        (b"event: x\ndata: b\ndata: c", [(b"x", b"b\nc")]),
        (b"data: b\neve", [(b"", b"b")]),
        (b"event: x\n", []),
        (b": comment", []),
        (b"dat", []),
        (b"", []),
    ],
)
def test_what_the_end_of_the_body_leaves_is_one_frame_or_none(twin: Any, rest: bytes, expected: list[Frame]) -> None:
    for chunks in cuttings(b"data: a\n\n" + rest):
        frames = twin.Frames(1000)
        assert [frame for chunk in chunks for frame in frames.feed(chunk)] == [(b"", b"a")]
        assert frames.finish() == expected
        assert frames.finish() == []


@pytest.mark.parametrize("frame", [b"event: x\r\ndata: 123\r\ndata: 456", b"data: 0123456789", b": 345\ndata: 67\r: 8"])
def test_a_frame_of_the_largest_size_passes_and_one_more_byte_does_not(twin: Any, frame: bytes) -> None:
    size = len(frame.replace(b"\r", b"").replace(b"\n", b""))  # the ends of lines do not count
    stream = b"data: -\n\n" + frame + b"\n\ndata: +\n\n"
    for chunks in cuttings(stream):
        frames = twin.Frames(size)
        assert len([found for chunk in chunks for found in frames.feed(chunk)]) == 3
        assert frames.failure is None
        small = twin.Frames(size - 1)
        assert [found for chunk in chunks for found in small.feed(chunk)] == [(b"", b"-")]
        assert f"larger than {size - 1} bytes" in small.failure
        assert small.finish() == []


def test_a_line_that_never_ends_is_not_kept_past_the_bound(twin: Any) -> None:
    frames = twin.Frames(1 << 16)
    for _ in range(64):
        assert frames.feed(b"x" * 4096) == []
    assert frames.failure is not None
    assert frames.feed(b"\n\ndata: a\n\n") == []


def test_the_size_of_what_waits_is_told(twin: Any) -> None:
    frames = twin.Frames(100)
    frames.feed(b"data: a\n\ndata: bc\nda")
    assert frames.rest == 10
    frames.feed(b"ta\n\n")
    assert frames.rest == 0


def test_the_places_of_frames_and_of_the_last_blank_line_are_told(twin: Any) -> None:
    frames = twin.Frames(100)
    frames.feed(b"data: a\n\n: c\n\ndata: b\n\nda")
    assert frames.places == [(0, 9), (14, 23)]
    assert frames.boundary == 23
    frames.feed(b"ta: c")
    assert frames.places == [] and frames.boundary == 0
    frames.feed(b"\r\r")
    assert frames.places == [(0, 2)] and frames.boundary == 2
    frames.feed(b"\n")
    assert frames.places == [] and frames.boundary == 1  # it belongs to the blank line
