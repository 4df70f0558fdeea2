"""What happens once in a Converse stream: its start, why it stopped, its counts, errors. One source, called by both twins.

The words are botocore's (service model bedrock-runtime 2023-09-30): StopReason, TokenUsage, and the exceptions of ConverseStreamOutput.
"""

from __future__ import annotations

from typing import Final

import msgspec

from anyllm_fast.errors import Kind
from anyllm_fast.neutral.stream import Failure, StopReason
from anyllm_fast.neutral.usage import Usage

STOP_READ: Final[dict[bytes, StopReason]] = {
    b"end_turn": "end_turn",
    b"tool_use": "tool_use",
    b"max_tokens": "max_tokens",
    b"stop_sequence": "stop_sequence",
    b"guardrail_intervened": "content_filter",
    b"content_filtered": "content_filter",
    b"malformed_model_output": "other",
    b"malformed_tool_use": "other",
    b"model_context_window_exceeded": "context_window",
    b"refusal": "refusal",  # in no model of the API: what Claude says, passed on by compatible hosts
    b"pause_turn": "pause_turn",  # likewise
}
STOP_WRITTEN: Final[dict[StopReason, bytes]] = {
    "end_turn": b"end_turn",
    "tool_use": b"tool_use",
    "max_tokens": b"max_tokens",
    "stop_sequence": b"stop_sequence",
    "content_filter": b"content_filtered",
    "refusal": b"content_filtered",  # the nearest: the answer was withheld
    "pause_turn": b"end_turn",  # the client's turn; what was said so far stands
    "context_window": b"model_context_window_exceeded",
    "other": b"end_turn",
}

ENDED_EARLY: Final = Failure("api", "the upstream's stream ended before messageStop", 502)
NO_BLOCK: Final = Failure("api", "the upstream sent input for a content block that it had not started", 502)

EXCEPTIONS: Final[dict[Kind, bytes]] = {
    "invalid_request": b"validationException",
    "too_large": b"validationException",
    "unprocessable": b"validationException",
    "not_found": b"validationException",
    "method_not_allowed": b"validationException",
    "conflict": b"validationException",
    "rate_limit": b"throttlingException",
    "billing": b"throttlingException",
    "overloaded": b"serviceUnavailableException",
    "api": b"modelStreamErrorException",
    "timeout": b"modelStreamErrorException",
    "authentication": b"modelStreamErrorException",
    "permission": b"modelStreamErrorException",
}
"""The exception of ConverseStreamOutput that each kind of failure leaves as: SDKs know these five only."""


def judge_stop(reason: bytes, sequence: bytes | None, calls: int) -> tuple[StopReason, bytes | None]:
    """Why the reply stopped; hosts say end_turn, or nothing, after calls."""
    stop = STOP_READ.get(reason or b"end_turn", "other")
    if calls > 0 and stop in ("end_turn", "other"):
        return "tool_use", None
    return stop, sequence if stop == "stop_sequence" else None


def write_usage(counts: Usage) -> bytes:
    """TokenUsage. inputTokens counts what no cache held, as inside; totalTokens is what AWS makes of it: everything."""
    total = max(counts.prompt, 0) + max(counts.output, 0)
    text = b'{"inputTokens":%d,"outputTokens":%d,"totalTokens":%d' % (max(counts.input, 0), max(counts.output, 0), total)
    if counts.cache_read >= 0:
        text += b',"cacheReadInputTokens":%d' % counts.cache_read
    if counts.cache_write >= 0:
        text += b',"cacheWriteInputTokens":%d' % counts.cache_write
    if counts.cache_write_1h > 0:
        short = max(counts.cache_write - counts.cache_write_1h, 0)
        text += b',"cacheDetails":[{"ttl":"1h","inputTokens":%d}%b]' % (
            counts.cache_write_1h,
            b',{"ttl":"5m","inputTokens":%d}' % short if short else b"",
        )
    return text + b"}"


def write_stop(reason: StopReason, sequence: bytes | None) -> bytes:
    """messageStop. The sequence that matched goes where Claude on Bedrock puts it for those who ask for `/stop_sequence`."""
    also = b"" if sequence is None else b',"additionalModelResponseFields":{"stop_sequence":"%b"}' % sequence
    return b'event: messageStop\ndata: {"stopReason":"%b"%b}\n\n' % (STOP_WRITTEN[reason], also)


def write_metadata(counts: Usage, latency: int, losses: list[str]) -> bytes:
    """The last event. `latency` in ms. What was lost is said in a member of its own: framing has no comments."""
    lost = b',"x-anyllm-degradation":%b' % msgspec.json.encode(", ".join(losses)) if losses else b""
    return b'event: metadata\ndata: {"usage":%b,"metrics":{"latencyMs":%d}%b}\n\n' % (write_usage(counts), latency, lost)


def write_failure(failure: Failure) -> bytes:
    """The failure as the exception of the stream that fits it. Nothing follows."""
    return b"event: %b\ndata: %b\n\n" % (EXCEPTIONS[failure.kind], msgspec.json.encode({"message": failure.message}))
