"""An event of an OpenAI Responses stream as its members. What is absent, null or of a wrong type is all the same.

Calls no Sink: that is openai_responses_stream.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.repair import ABSENT, read_frame


class Event(msgspec.Struct, gc=False):
    """Members of all events: there are sixty, and their members mean the same wherever they are."""

    type: Raw = ABSENT
    output_index: Raw = ABSENT
    item_id: Raw = ABSENT
    content_index: Raw = ABSENT
    summary_index: Raw = ABSENT
    delta: Raw = ABSENT
    logprobs: Raw = ABSENT
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    item: Raw = ABSENT
    part: Raw = ABSENT
    annotation: Raw = ABSENT
    response: Raw = ABSENT
    error: Raw = ABSENT


class Item(msgspec.Struct):
    """An output item of any kind."""

    type: Raw = ABSENT
    id: Raw = ABSENT
    content: Raw = ABSENT
    summary: Raw = ABSENT
    encrypted_content: Raw = ABSENT
    call_id: Raw = ABSENT
    name: Raw = ABSENT
    namespace: Raw = ABSENT
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    action: Raw = ABSENT
    operation: Raw = ABSENT
    environment: Raw = ABSENT
    result: Raw = ABSENT


class Part(msgspec.Struct):
    """A part of a message's content, or of reasoning."""

    type: Raw = ABSENT
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    annotations: Raw = ABSENT
    logprobs: Raw = ABSENT


class Head(msgspec.Struct):
    """Of a Response object: what is said at the start, and the output, where no event was about it."""

    id: Raw = ABSENT
    model: Raw = ABSENT
    output: Raw = ABSENT


_decode = msgspec.json.Decoder(Event).decode
decode_item = msgspec.json.Decoder(Item).decode
decode_part = msgspec.json.Decoder(Part).decode
decode_head = msgspec.json.Decoder(Head).decode


def read_event(data: bytes) -> tuple[Event, bytes]:
    """The event, and its bytes as they were read. Raises Malformed."""
    return read_frame(data, _decode, _decode)
