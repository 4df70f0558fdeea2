"""Replies for tests of whole readers and writers: hypothesis strategies, and a stream read and written in one go."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from anyllm_fast import wire
from anyllm_fast.neutral.dialect import Dialect
from anyllm_fast.neutral.reply import CallPart, RedactedPart, RefusalPart, Reply, TextPart, ThinkingPart, replay
from anyllm_fast.neutral.stream import Sink, StreamOptions
from anyllm_fast.neutral.usage import Usage

IDENT = b"0123456789abcdef0123456789abcdef"
OPTIONS = StreamOptions(b"asked-for", IDENT, 1_700_000_000)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAME = st.text("abcXYZ_-09", min_size=1, max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=4)


def span(text: str, escape_all: bool = False) -> bytes:
    return json.dumps(text, ensure_ascii=escape_all)[1:-1].encode()


SPAN = st.builds(span, TEXT, st.booleans())
ARGS = st.builds(
    lambda value, indent: span(json.dumps(value, indent=indent, ensure_ascii=False)), OBJECT, st.sampled_from([None, 1])
)
CITATION = st.builds(
    lambda url, title: json.dumps(
        {"type": "web_search_result_location", "cited_text": "q", "encrypted_index": "E", "title": title, "url": url},
        separators=(",", ":"),
    ).encode(),
    TEXT,
    TEXT,
)
ANNOTATION = st.builds(
    lambda url, title: json.dumps(
        {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": url, "title": title}}
    ).encode(),
    TEXT,
    TEXT,
)
THINKING = st.builds(ThinkingPart, SPAN, SPAN)
REDACTED = st.builds(RedactedPart, SPAN)
REFUSAL = st.builds(RefusalPart, SPAN)
CITED = st.builds(TextPart, SPAN, st.lists(CITATION, max_size=2))
NOTED = st.builds(TextPart, SPAN, st.just([]), st.lists(ANNOTATION, max_size=2))


def calls(count: int) -> st.SearchStrategy[list[CallPart]]:
    """Up to `count` calls, each with an id of its own."""
    parts = st.lists(st.builds(CallPart, SPAN, st.builds(span, NAME), ARGS), max_size=count)
    return parts.map(lambda calls: [CallPart(b"call_%d" % at, call.name, call.args) for at, call in enumerate(calls)])


COUNT = st.integers(0, 10**6)
USAGE = st.builds(
    Usage,
    input=COUNT,
    output=COUNT,
    cache_read=COUNT | st.just(-1),
    cache_write=COUNT | st.just(-1),
    reasoning=COUNT | st.just(-1),
)


def stream(dialect: Dialect, reply: Reply) -> bytes:
    """`reply` as the dialect's encoder streams it."""
    encoder = dialect.encoder(OPTIONS)
    replay(reply, encoder)
    return encoder.take()


def decode(decoder: Any, data: bytes, sink: Sink) -> None:
    """A whole stream through a decoder."""
    frames = wire.Frames(1 << 20)
    for event, payload in frames.feed(data) + frames.finish():
        decoder.frame(event, payload, sink)
    decoder.finish(sink)
