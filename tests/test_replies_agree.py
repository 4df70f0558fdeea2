"""A reply says the same to its client whole and as a stream, on every lane: same content, same reason, same losses.

The upstream's reply is generated, written by its own dialect as a document and as a stream, and both go through the lane. What
arrives is read by the client dialect's own readers.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyllm_fast.dialects import DIALECTS
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RefusalPart, Reply, ReplyPart, TextPart, ThinkingPart, replay
from anyllm_fast.neutral.stream import StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage
from tests.replies import CITED, COUNT, NOTED, OPTIONS, REDACTED, REFUSAL, TEXT, THINKING, calls, stream
from tests.stage import FRAME_LIMIT

PAIRS = pytest.mark.parametrize(
    ("source", "target"), [(source, target) for source in DIALECTS for target in DIALECTS], ids=lambda name: name
)
MEDIA = st.sampled_from(["image/png", "image/jpeg", "audio/wav"]).map(
    lambda kind: PrivatePart(b"media", b'{"media_type":"%b","data":"iVBORw0KGgo="}' % kind.encode())
)
TOKENS = st.lists(st.tuples(TEXT, st.floats(-9, 0, width=16)), min_size=1, max_size=2).map(
    lambda tokens: json.dumps(
        [{"token": text, "logprob": value, "bytes": list(text.encode()), "top_logprobs": []} for text, value in tokens]
    ).encode()
)
PROBABLE = st.builds(TextPart, st.just(b"sure"), st.just([]), st.just([]), st.lists(TOKENS, max_size=1))
USAGE = st.builds(Usage, input=COUNT, output=COUNT, cache_read=COUNT | st.just(-1), cache_write=COUNT | st.just(-1))
REASONS: st.SearchStrategy[StopReason] = st.sampled_from(
    ["end_turn", "max_tokens", "stop_sequence", "refusal", "content_filter", "pause_turn", "context_window"]
)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """Replies of any vendor: what one of them cannot say is lost before the lane begins."""
    said = draw(st.lists(THINKING | REDACTED | CITED | NOTED | PROBABLE | MEDIA | REFUSAL, max_size=4))
    called = draw(calls(2))
    reason = "tool_use" if called else draw(REASONS)
    sequence = b"END" if reason == "stop_sequence" else None
    return Reply(b"id_1", b"m", [*said, *called], reason, sequence, draw(USAGE), ended=True)


def options(origin: str) -> StreamOptions:
    return msgspec.structs.replace(OPTIONS, origin=origin, announce=False)


@PAIRS
@settings(max_examples=40)
@given(reply=replies())
def test_a_reply_written_whole_reads_like_its_stream(source: str, target: str, reply: Reply) -> None:
    client = DIALECTS[target]
    losses = Losses()
    whole = client.write_reply(reply, options(source), losses)
    encoder = client.encoder(options(source))
    replay(reply, encoder)
    assert read_whole(target, whole) == read_streamed(target, encoder.take())
    assert names(losses) == set(encoder.losses)


@PAIRS
@settings(max_examples=40)
@given(reply=replies())
def test_a_lane_says_the_same_whole_and_streamed(source: str, target: str, reply: Reply) -> None:
    upstream, client = DIALECTS[source], DIALECTS[target]
    if source == target:
        return  # the bypass: nothing is translated
    document = upstream.write_reply(reply, OPTIONS, Losses())
    losses = Losses()
    whole = client.write_reply(upstream.read_reply(document, losses), options(source), losses)
    pipe = upstream.open_pipe(client, options(source), FRAME_LIMIT)
    streamed = pipe.feed(stream(upstream, reply)) + pipe.finish()
    assert read_whole(target, whole) == read_streamed(target, streamed)


def names(losses: Losses) -> set[str]:
    return {path for path, _ in losses}


def read_whole(dialect: str, body: bytes) -> Any:
    return comparable(dialect, DIALECTS[dialect].read_reply(body, Losses()))


def read_streamed(dialect: str, body: bytes) -> Any:
    return comparable(dialect, DIALECTS[dialect].read_stream(body, FRAME_LIMIT))


def comparable(dialect: str, reply: Reply) -> Any:
    """A reply without ids that are made anew, its parts in the order that the dialect's document keeps."""
    parts = reply.parts
    return [
        [msgspec.to_builtins(part) for part in parts],
        reply.stop_reason,
        reply.stop_sequence,
        reply.usage,
        reply.failure,
        reply.ended,
    ]
