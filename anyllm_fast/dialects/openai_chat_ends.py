"""What happens once in a Chat Completions stream: its head, why it stopped, usage, errors. One source, called by both twins."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from anyllm_fast.dialects.media import image_part, sound
from anyllm_fast.dialects.openai_chat_reply import STOP_READ, STOP_WRITTEN
from anyllm_fast.dialects.openai_chat_usage import write_usage
from anyllm_fast.dialects.openai_errors import ERRORS
from anyllm_fast.errors import Kind
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

SEED: Final = 512
"""Bytes of the first chunk that make the ids of calls that came without one."""
DONE: Final = b"data: [DONE]\n\n"
ENDED_EARLY: Final = Failure("api", "the upstream's stream ended before the reply was complete", 502)
NOTHING_CAME: Final = Failure("api", "the upstream's stream ended without a reply", 502)

_BROKEN: Final[dict[bytes, Kind]] = {
    b"error": "api",
    b"network_error": "api",  # Zhipu
    b"abort": "api",  # vLLM, SGLang
    b"insufficient_system_resource": "overloaded",  # DeepSeek
}
_FINISH: Final[dict[bytes, StopReason]] = {
    **STOP_READ,
    b"model_length": "context_window",  # Mistral
    b"sensitive": "content_filter",  # Zhipu
}


def judge_stop(
    finish: bytes, matched: bytes | None, calls: int, refused: bool, came: bool
) -> tuple[StopReason, bytes | None] | Failure:
    """Why the reply stopped, corrected by what was in it: hosts say `stop` after calls, and `tool_calls` without any.

    `calls` is -1 where not every frame was seen. A finish_reason that means that generation broke is a failure.
    """
    if not finish and not came:
        return NOTHING_CAME
    if finish in _BROKEN:
        text = finish.decode("utf-8", "replace")
        return Failure(_BROKEN[finish], f"the upstream broke the reply off (finish_reason {text})", 502)
    reason = _FINISH.get(finish or b"stop", "other")
    if calls > 0 and reason in ("end_turn", "other"):
        return "tool_use", None
    if calls == 0 and reason == "tool_use":
        reason = "end_turn"
    if refused and reason in ("end_turn", "content_filter"):
        return "refusal", None
    if matched is not None and reason == "end_turn":
        return "stop_sequence", matched
    return reason, None


def synthetic(seed: bytes, at: int) -> bytes:
    """The id of a call that came without one: the same for the same stream however it was cut, another for any other."""
    return b"call_" + hashlib.blake2b(b"%d:%b" % (at, seed), digest_size=12).hexdigest().encode()


def foreign(origin: str) -> str:
    """Whose signatures leave with a tag: the upstream's dialect; "" if they are Anthropic's, as they are by convention."""
    return "" if origin == "anthropic" else origin


def write_logprobs(name: bytes, tokens: bytes) -> bytes:
    """What follows the head of a chunk of nothing but logprobs; `name` is that of the private event."""
    said = (tokens, b"null") if name == b"logprobs" else (b"null", tokens)
    return b'"choices":[{"index":0,"delta":{},"logprobs":{"content":%b,"refusal":%b},"finish_reason":null}]}\n\n' % said


def write_media(raw: bytes, count: int, options: StreamOptions) -> bytes:
    """The members of a delta that hold a generated picture (number `count`) or sound; b"" for what is neither."""
    if image := image_part(raw):
        return b'"images":[{"index":%d,"type":"image_url",%b]' % (count, image)
    data = sound(raw)
    return b"" if data is None else b'"audio":{"id":"audio_%b","data":"%b"}' % (options.ident, data)


def chunk_head(options: StreamOptions) -> bytes:
    return b'data: {"id":"chatcmpl-%b","object":"chat.completion.chunk","created":%d,"model":"%b",' % (
        options.ident,
        options.created,
        options.model,
    )


def write_stop(head: bytes, reason: StopReason, sequence: bytes | None, refused: bool) -> bytes:
    """The chunk with finish_reason; a matched stop sequence in `stop_reason`, as vLLM says it."""
    finish = b"stop" if reason == "refusal" and refused else STOP_WRITTEN[reason]
    said = b"" if sequence is None else b',"stop_reason":"%b"' % sequence
    return b'%b"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"%b"%b}]}\n\n' % (head, finish, said)


def write_usage_chunk(head: bytes, counts: Usage) -> bytes:
    return b'%b"choices":[],"usage":%b}\n\n' % (head, write_usage(counts))


def write_failure(failure: Failure) -> bytes:
    """The error as OpenAI sends it inside a stream. No [DONE] follows."""
    kind, code = ERRORS[failure.kind]
    body = {"message": failure.message, "type": kind, "param": None, "code": failure.code or code}
    return b'data: {"error":%b}\n\n' % msgspec.json.encode(body)
