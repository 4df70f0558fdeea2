"""An event of an Anthropic Messages stream as its members. What is absent, null or of a wrong type is all the same.

Read with one typed decode; an event whose members have other types than the schema says is read again, member by member.
Calls no Sink: that is anthropic_stream.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.repair import ABSENT, is_object, merge, number, read_frame
from anyllm_fast.neutral.usage import Usage


class Delta(msgspec.Struct, gc=False):
    """Of content_block_delta, and of message_delta from stop_reason on."""

    type: Raw = ABSENT
    text: Raw = ABSENT
    thinking: Raw = ABSENT
    signature: Raw = ABSENT
    partial_json: Raw = ABSENT
    citation: Raw = ABSENT
    stop_reason: Raw = ABSENT
    stop_sequence: Raw = ABSENT


class Event(msgspec.Struct, gc=False):
    type: Raw = ABSENT
    index: Raw = ABSENT
    delta: Delta | None = None
    message: Raw = ABSENT
    content_block: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT


class _LooseEvent(msgspec.Struct):
    type: Raw = ABSENT
    index: Raw = ABSENT
    delta: Raw = ABSENT
    message: Raw = ABSENT
    content_block: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT


class Message(msgspec.Struct):
    id: Raw = ABSENT
    model: Raw = ABSENT
    usage: Raw = ABSENT


class Content(msgspec.Struct):
    """A content block as it starts."""

    type: Raw = ABSENT
    text: Raw = ABSENT
    citations: Raw = ABSENT
    thinking: Raw = ABSENT
    signature: Raw = ABSENT
    data: Raw = ABSENT
    id: Raw = ABSENT
    name: Raw = ABSENT
    input: Raw = ABSENT


class _Usage(msgspec.Struct):
    input_tokens: Raw = ABSENT
    output_tokens: Raw = ABSENT
    cache_creation_input_tokens: Raw = ABSENT
    cache_read_input_tokens: Raw = ABSENT
    cache_creation: Raw = ABSENT
    output_tokens_details: Raw = ABSENT
    server_tool_use: Raw = ABSENT


class _Details(msgspec.Struct):
    """Of cache_creation, output_tokens_details and server_tool_use, one member each."""

    ephemeral_1h_input_tokens: Raw = ABSENT
    thinking_tokens: Raw = ABSENT
    web_search_requests: Raw = ABSENT


_tight = msgspec.json.Decoder(Event).decode
_decode_loose = msgspec.json.Decoder(_LooseEvent).decode
_decode_delta = msgspec.json.Decoder(Delta).decode
_decode_usage = msgspec.json.Decoder(_Usage).decode
_decode_details = msgspec.json.Decoder(_Details).decode
decode_message = msgspec.json.Decoder(Message).decode
decode_content = msgspec.json.Decoder(Content).decode


def read_event(data: bytes) -> tuple[Event, bytes]:
    """The event, and its bytes as they were read. Raises Malformed."""
    return read_frame(data, _tight, _loose)


def _loose(data: bytes) -> Event:
    event = _decode_loose(data)
    return Event(
        event.type,
        event.index,
        _decode_delta(event.delta) if is_object(event.delta) else None,
        event.message,
        event.content_block,
        event.usage,
        event.error,
    )


def raw_delta(data: bytes) -> bytes:
    """The whole delta of an event that was read, for deltas of a kind that has no field."""
    return bytes(_decode_loose(data).delta)


def count(raw: Raw, before: Usage) -> Usage:
    """The counts of a usage object over those known before: message_delta repeats only some."""
    usage = _decode_usage(raw)
    given = {
        "input": number(usage.input_tokens),
        "output": number(usage.output_tokens),
        "cache_read": number(usage.cache_read_input_tokens),
        "cache_write": number(usage.cache_creation_input_tokens),
        "cache_write_1h": number(_details(usage.cache_creation).ephemeral_1h_input_tokens),
        "reasoning": number(_details(usage.output_tokens_details).thinking_tokens),
        "web_searches": number(_details(usage.server_tool_use).web_search_requests),
    }
    return merge(before, given)


def _details(raw: Raw) -> _Details:
    return _decode_details(raw) if is_object(raw) else _Details()
