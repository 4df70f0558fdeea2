"""A reply says the same to its client whole and as a stream: content, reason, counts, losses. On every lane.

What a dialect's document keeps in another order than its stream is generated in the order of the document (Chat). Sounds, for
which streams have fewer words than documents, are left out, or taken out where they were announced.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyllm_fast.dialects import DIALECTS
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import (
    CallPart,
    PrivatePart,
    RedactedPart,
    RefusalPart,
    Reply,
    ReplyPart,
    TextPart,
    ThinkingPart,
    replay,
)
from anyllm_fast.neutral.stream import StopReason
from tests.replies import CITED, NOTED, OPTIONS, REDACTED, REFUSAL, TEXT, THINKING, USAGE, calls
from tests.stage import FRAME_LIMIT

EVERY = [(source, target) for source in DIALECTS for target in DIALECTS]
LANE = pytest.mark.parametrize(("source", "target"), EVERY, ids=lambda name: name)
ORDER = (ThinkingPart | RedactedPart, TextPart, RefusalPart, PrivatePart)
"""Of what a Chat document says, and its reader hands on."""
REASONS: st.SearchStrategy[StopReason] = st.sampled_from(
    ["end_turn", "max_tokens", "stop_sequence", "refusal", "content_filter", "pause_turn", "context_window"]
)
PICTURE = st.just(PrivatePart(b"media", b'{"media_type":"image/png","data":"iVBORw0KGgo="}'))
SOUND = st.just(PrivatePart(b"media", b'{"media_type":"audio/wav","data":"UklGRg=="}'))
TOKENS = st.lists(st.tuples(TEXT, st.floats(-9, 0, width=16)), min_size=1, max_size=2).map(
    lambda tokens: json.dumps(
        [{"token": text, "logprob": value, "bytes": list(text.encode()), "top_logprobs": []} for text, value in tokens]
    ).encode()
)
PROBABLE = st.builds(TextPart, st.just(b"sure"), st.just([]), st.just([]), st.lists(TOKENS, max_size=1))


@st.composite
def replies(draw: st.DrawFn, lane: tuple[str, str]) -> Reply:
    source, _ = lane
    kinds = THINKING | CITED | NOTED | PROBABLE | PICTURE
    if source != "gemini":  # which has none
        kinds |= REDACTED
    if "openai_chat" not in lane and source != "bedrock":
        kinds |= SOUND
    parts: list[ReplyPart] = draw(st.lists(kinds, max_size=4))
    parts += draw(st.lists(REFUSAL, max_size=1))
    if "openai_chat" in lane:
        parts.sort(key=place)
    called: list[CallPart] = draw(calls(2))
    reason = "tool_use" if called else draw(REASONS)
    for part in parts:
        if isinstance(part, ThinkingPart) and source == "gemini":  # its signatures say on what they sat
            part.signature = b"h:" + base64.b64encode(part.signature)
    if source == "gemini":  # which says it of the text at the end: one that a stream has closed by then cannot have it any more
        closed = called or any(not isinstance(part, TextPart) for part in parts[-1:])
        for part in parts if closed else parts[:-1]:
            if isinstance(part, TextPart):
                part.citations, part.annotations, part.logprobs = [], [], []
    sequence = b"END" if reason == "stop_sequence" else None
    return Reply(b"id_1", b"m", [*parts, *called], reason, sequence, draw(USAGE), ended=True)


def place(part: ReplyPart) -> int:
    return next(at for at, kinds in enumerate((*ORDER, CallPart)) if isinstance(part, kinds))


@LANE
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_written_whole_reads_like_what_is_streamed(source: str, target: str, data: st.DataObject) -> None:
    reply = data.draw(replies((source, target)))
    client, options = DIALECTS[target], msgspec.structs.replace(OPTIONS, origin=source, announce=False)
    losses = Losses()
    whole = client.read_reply(client.write_reply(reply, options, losses), Losses())
    encoder = client.encoder(options)
    replay(reply, encoder)
    streamed = client.read_stream(encoder.take(), FRAME_LIMIT)
    if "media" in encoder.losses:
        reply.parts = [part for part in reply.parts if not is_sound(part)]
        whole = client.read_reply(client.write_reply(reply, options, losses), Losses())
    assert comparable(whole) == comparable(streamed)
    assert {path for path, _ in losses} == set(encoder.losses) - ({"media"} if target == "bedrock" else set())


@LANE
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_an_upstreams_document_arrives_as_its_stream_does(source: str, target: str, data: st.DataObject) -> None:
    upstream, client = DIALECTS[source], DIALECTS[target]
    reply = data.draw(replies((source, target)))
    reply.parts = [part for part in reply.parts if not is_sound(part)]
    own = msgspec.structs.replace(OPTIONS, announce=False)
    options = msgspec.structs.replace(own, origin=source)
    document = upstream.write_reply(reply, own, Losses())
    said = upstream.encoder(own)
    replay(reply, said)
    if source == target:  # the bypass
        assert comparable(upstream.read_reply(document, Losses())) == comparable(upstream.read_stream(said.take(), FRAME_LIMIT))
        return
    losses = Losses()
    whole = client.write_reply(upstream.read_reply(document, losses), options, losses)
    pipe = upstream.open_pipe(client, options, FRAME_LIMIT)
    streamed = pipe.feed(said.take()) + pipe.finish()
    arrived = [client.read_reply(whole, Losses()), client.read_stream(streamed, FRAME_LIMIT)]
    if (source, target) == ("openai_chat", "gemini"):  # which signs the first piece of a text, and Chat's texts have no ends
        arrived = [one_text(each) for each in arrived]
    assert comparable(arrived[0]) == comparable(arrived[1])
    assert bare({path for path, _ in losses}) == bare(set(pipe.losses))


def is_sound(part: ReplyPart) -> bool:
    return isinstance(part, PrivatePart) and b'"audio/' in part.raw


def bare(losses: set[str]) -> set[str]:
    """Without indices and what is around a citation: documents have paths, streams have names."""
    return {".".join(step for step in path.split(".")[-2:] if not step.isdigit()).rpartition("citations.")[2] for path in losses}


def comparable(reply: Reply) -> Any:
    """A reply without what is made anew: ids, and the places of Chat's annotations in their list."""
    for part in reply.parts:
        if isinstance(part, TextPart):
            part.annotations = [unplaced(raw) for raw in part.annotations]
            part.logprobs = [json.dumps(token).encode() for raw in part.logprobs for token in json.loads(raw)]
        elif isinstance(part, CallPart):
            part.args = part.args.replace(rb"\n", b" ")  # streams of Gemini have their arguments on one line
    return [reply.parts, reply.stop_reason, reply.stop_sequence, reply.usage, reply.failure, reply.ended]


def one_text(reply: Reply) -> Reply:
    texts = [part for part in reply.parts if isinstance(part, TextPart)]
    others = [part for part in reply.parts if not isinstance(part, TextPart)]
    notes = [raw for part in texts for raw in part.annotations]
    reply.parts = [TextPart(b"".join(part.text for part in texts), [], notes), *sorted(others, key=place)]
    return reply


def unplaced(annotation: bytes) -> bytes:
    members = json.loads(annotation)
    members.pop("index", None)
    return json.dumps(members).encode()
