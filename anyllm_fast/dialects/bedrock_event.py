"""An event of a Converse stream as its members. What is absent, null or of a wrong type is all the same.

Read with one typed decode; an event whose members have other types than the service model says is read again, member by member.
Calls no Sink: that is bedrock_stream.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.repair import ABSENT, is_object, merge, number, objects, read_frame, string
from anyllm_fast.neutral.usage import Usage


class Delta(msgspec.Struct, gc=False, rename="camel"):
    """A union: one member is there."""

    text: Raw = ABSENT
    tool_use: Raw = ABSENT
    reasoning_content: Raw = ABSENT
    citation: Raw = ABSENT
    image: Raw = ABSENT
    tool_result: Raw = ABSENT


class Event(msgspec.Struct, gc=False, rename="camel"):
    """Members of all events. `p` pads an event, so that its size says nothing, and is not read."""

    content_block_index: Raw = ABSENT
    delta: Delta | None = None
    start: Raw = ABSENT
    stop_reason: Raw = ABSENT
    additional_model_response_fields: Raw = ABSENT
    usage: Raw = ABSENT
    trace: Raw = ABSENT


class _LooseEvent(msgspec.Struct, rename="camel"):
    content_block_index: Raw = ABSENT
    delta: Raw = ABSENT
    start: Raw = ABSENT
    stop_reason: Raw = ABSENT
    additional_model_response_fields: Raw = ABSENT
    usage: Raw = ABSENT
    trace: Raw = ABSENT


class Start(msgspec.Struct, rename="camel"):
    """A union too."""

    tool_use: Raw = ABSENT
    tool_result: Raw = ABSENT
    image: Raw = ABSENT


class ToolUse(msgspec.Struct, rename="camel"):
    """As a block starts, and in its deltas."""

    tool_use_id: Raw = ABSENT
    name: Raw = ABSENT
    type: Raw = ABSENT
    input: Raw = ABSENT


class Reasoning(msgspec.Struct, rename="camel"):
    text: Raw = ABSENT
    signature: Raw = ABSENT
    redacted_content: Raw = ABSENT
    data: Raw = ABSENT  # what Vercel's SDK calls the redacted content


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: Raw = ABSENT
    output_tokens: Raw = ABSENT
    cache_read_input_tokens: Raw = ABSENT
    cache_write_input_tokens: Raw = ABSENT
    cache_details: Raw = ABSENT


class _Detail(msgspec.Struct, rename="camel"):
    ttl: Raw = ABSENT
    input_tokens: Raw = ABSENT


_tight = msgspec.json.Decoder(Event).decode
_decode_loose = msgspec.json.Decoder(_LooseEvent).decode
_decode_delta = msgspec.json.Decoder(Delta).decode
_decode_usage = msgspec.json.Decoder(_Usage).decode
_decode_detail = msgspec.json.Decoder(_Detail).decode
decode_start = msgspec.json.Decoder(Start).decode
decode_tool = msgspec.json.Decoder(ToolUse).decode
decode_reasoning = msgspec.json.Decoder(Reasoning).decode


def read_event(data: bytes) -> tuple[Event, bytes]:
    """The event, and its bytes as they were read. Raises Malformed."""
    return read_frame(data, _tight, _loose)


def _loose(data: bytes) -> Event:
    event = _decode_loose(data)
    return Event(
        event.content_block_index,
        _decode_delta(event.delta) if is_object(event.delta) else None,
        event.start,
        event.stop_reason,
        event.additional_model_response_fields,
        event.usage,
        event.trace,
    )


def raw_delta(data: bytes) -> bytes:
    """The whole delta of an event that was read, for deltas of a kind that has no field."""
    return bytes(_decode_loose(data).delta)


def count(raw: Raw, before: Usage) -> Usage:
    """The counts of a TokenUsage over those known before. inputTokens leaves out what a cache held, as in the middle."""
    usage = _decode_usage(raw)
    long = [item for item in map(_decode_detail, objects(usage.cache_details)) if string(item.ttl) == b"1h"]
    given = {
        "input": number(usage.input_tokens),
        "output": number(usage.output_tokens),
        "cache_read": number(usage.cache_read_input_tokens),
        "cache_write": number(usage.cache_write_input_tokens),
        "cache_write_1h": sum(max(number(item.input_tokens), 0) for item in long) if objects(usage.cache_details) else -1,
    }
    return merge(before, given)
