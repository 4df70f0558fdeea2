"""What happens once in an Anthropic Messages stream: its start, why it stopped, errors. One source, called by both twins."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.anthropic_reply import BLOCK, MESSAGE, SAYS_NOTHING, STOP_READ, STOP_WRITTEN, write_usage
from anyllm_fast.dialects.repair import ABSENT, is_object
from anyllm_fast.dialects.whole import decode_members, says_something
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

ENDED_EARLY: Final = Failure("api", "the upstream's stream ended before message_stop", 502)
NO_TYPE: Final = "it has no type"
NO_BLOCK: Final = Failure("api", "the upstream sent input for a content block that it had not started", 502)
STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def judge_stop(reason: bytes, sequence: bytes | None, calls: int) -> tuple[StopReason, bytes | None]:
    """Why the reply stopped; compatible hosts say end_turn, or nothing, after calls."""
    stop = STOP_READ.get(reason or b"end_turn", "other")
    if calls > 0 and stop in ("end_turn", "other"):
        return "tool_use", None
    return stop, sequence if stop == "stop_sequence" else None


Unsaid = list[tuple[bytes, bytes]]
"""(name, raw value) of members that only this dialect knows: the private events that say them."""
_DELTA: Final = frozenset({"stop_reason", "stop_sequence"})
_EVENT: Final = frozenset({"type", "delta", "usage"})


def unsaid_in_message(message: bytes) -> Unsaid:
    """Of the message that a stream begins with."""
    return [(name.encode(), bytes(raw)) for name, raw in _left_over(message, MESSAGE)]


def unsaid_in_end(event: bytes) -> Unsaid:
    """Of a message_delta: members of the message, which it is about, again."""
    delta = decode_members(event).get("delta", ABSENT)
    found = _left_over(bytes(delta), _DELTA) if is_object(delta) else []
    return [(name.encode(), bytes(raw)) for name, raw in [*found, *_left_over(event, _EVENT)]]


def unsaid_in_block(kind: bytes, block: bytes) -> Unsaid:
    """Of a content block that starts, `kind` being its type; nothing for a block that is kept whole."""
    if kind not in BLOCK:
        return []
    return [(b"content." + name.encode(), bytes(raw)) for name, raw in _left_over(block, BLOCK[kind])]


def _left_over(raw: bytes, known: frozenset[str]) -> list[tuple[str, Raw]]:
    return [
        (name, value)
        for name, value in decode_members(raw).items()
        if name not in known and says_something(value, SAYS_NOTHING.get(name, ()))
    ]


def foreign(origin: str) -> str:
    """Whose signatures leave with a tag in this dialect: the upstream's dialect; "" if they are Anthropic's own."""
    return "" if origin == "anthropic" else origin


def write_start(options: StreamOptions, counts: Usage) -> bytes:
    return (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_%b","type":"message","role":"assistant",'
        b'"model":"%b","content":[],"stop_reason":null,"stop_sequence":null,"usage":%b}}\n\n'
    ) % (options.ident, options.model, write_usage(counts))


def write_stop(reason: StopReason, sequence: bytes | None, counts: Usage) -> bytes:
    """message_delta with all counts, and message_stop: held until the end, because usage comes after the reason."""
    said = b"null" if sequence is None else b'"%b"' % sequence
    return (
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"%b","stop_sequence":%b},"usage":%b}\n\n%b'
    ) % (STOP_WRITTEN[reason], said, write_usage(counts), STOP)


def write_failure(failure: Failure) -> bytes:
    """The error as Anthropic sends it inside a stream. No message_stop follows."""
    from anyllm_fast.dialects.anthropic import ERROR_TYPES  # that file imports wire, and wire imports this one

    body = {"type": "error", "error": {"type": ERROR_TYPES[failure.kind], "message": failure.message}}
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode(body)
