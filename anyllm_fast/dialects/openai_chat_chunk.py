"""A chunk of a Chat Completions stream as its members: what may be absent, null or of a wrong type, and is then all the same.

Read with one typed decode; a chunk whose members have other types than the schema says is read again, member by member. Calls no
Sink: that is openai_chat_stream.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.repair import ABSENT, is_object, merge, number, read_frame, string
from anyllm_fast.neutral.usage import Usage


class Delta(msgspec.Struct, gc=False):
    content: Raw = ABSENT
    refusal: Raw = ABSENT
    reasoning_content: Raw = ABSENT
    reasoning: Raw = ABSENT
    thinking: Raw = ABSENT
    thinking_blocks: Raw = ABSENT
    reasoning_details: Raw = ABSENT
    tool_calls: Raw = ABSENT
    function_call: Raw = ABSENT
    annotations: Raw = ABSENT
    audio: Raw = ABSENT
    images: Raw = ABSENT


class Choice(msgspec.Struct, gc=False):
    index: Raw = ABSENT
    delta: Delta | None = None
    finish_reason: Raw = ABSENT
    stop_reason: Raw = ABSENT
    matched_stop: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT
    logprobs: Raw = ABSENT


class Chunk(msgspec.Struct, gc=False):
    id: Raw = ABSENT
    model: Raw = ABSENT
    choices: list[Choice] | None = None
    usage: Raw = ABSENT
    x_groq: Raw = ABSENT
    error: Raw = ABSENT
    object: Raw = ABSENT
    message: Raw = ABSENT
    moderation: Raw = ABSENT


class _LooseChoice(msgspec.Struct):
    index: Raw = ABSENT
    delta: Raw = ABSENT
    finish_reason: Raw = ABSENT
    stop_reason: Raw = ABSENT
    matched_stop: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT
    logprobs: Raw = ABSENT


class _LooseChunk(msgspec.Struct):
    id: Raw = ABSENT
    model: Raw = ABSENT
    choices: Raw = ABSENT
    usage: Raw = ABSENT
    x_groq: Raw = ABSENT
    error: Raw = ABSENT
    object: Raw = ABSENT
    message: Raw = ABSENT
    moderation: Raw = ABSENT


class Block(msgspec.Struct):
    """An entry of thinking_blocks or of reasoning_details."""

    index: Raw = ABSENT
    type: Raw = ABSENT
    thinking: Raw = ABSENT
    text: Raw = ABSENT
    summary: Raw = ABSENT
    signature: Raw = ABSENT
    data: Raw = ABSENT


class Part(msgspec.Struct):
    type: Raw = ABSENT
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    thinking: Raw = ABSENT


class Call(msgspec.Struct):
    index: Raw = ABSENT
    id: Raw = ABSENT
    function: Raw = ABSENT
    type: Raw = ABSENT
    custom: Raw = ABSENT


class Function(msgspec.Struct):
    """Of a call, and `custom` too, whose text is `input`."""

    name: Raw = ABSENT
    arguments: Raw = ABSENT
    input: Raw = ABSENT


class Logprobs(msgspec.Struct):
    content: Raw = ABSENT
    refusal: Raw = ABSENT


class Audio(msgspec.Struct):
    data: Raw = ABSENT
    transcript: Raw = ABSENT
    format: Raw = ABSENT


class _Details(msgspec.Struct):
    cached_tokens: Raw = ABSENT
    cache_write_tokens: Raw = ABSENT
    cache_creation_tokens: Raw = ABSENT
    reasoning_tokens: Raw = ABSENT
    audio_tokens: Raw = ABSENT


class _Usage(msgspec.Struct):
    prompt_tokens: Raw = ABSENT
    completion_tokens: Raw = ABSENT
    prompt_tokens_details: Raw = ABSENT
    completion_tokens_details: Raw = ABSENT
    prompt_cache_hit_tokens: Raw = ABSENT


class _Groq(msgspec.Struct):
    usage: Raw = ABSENT


_tight = msgspec.json.Decoder(Chunk).decode
_decode_loose_chunk = msgspec.json.Decoder(_LooseChunk).decode
_decode_loose_choice = msgspec.json.Decoder(_LooseChoice).decode
_decode_delta = msgspec.json.Decoder(Delta).decode
decode_block = msgspec.json.Decoder(Block).decode
decode_part = msgspec.json.Decoder(Part).decode
decode_call = msgspec.json.Decoder(Call).decode
decode_function = msgspec.json.Decoder(Function).decode
decode_logprobs = msgspec.json.Decoder(Logprobs).decode
decode_audio = msgspec.json.Decoder(Audio).decode
_decode_details = msgspec.json.Decoder(_Details).decode
_decode_usage = msgspec.json.Decoder(_Usage).decode
_decode_groq = msgspec.json.Decoder(_Groq).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


def read_chunk(data: bytes) -> Chunk:
    """Raises Malformed."""
    return read_frame(data, _tight, _loose)[0]


def _loose(data: bytes) -> Chunk:
    chunk = _decode_loose_chunk(data)
    choices = None
    if bytes(chunk.choices)[:1] == b"[":
        choices = [_loose_choice(raw) if is_object(raw) else Choice() for raw in _decode_items(chunk.choices)]
    return Chunk(
        chunk.id,
        chunk.model,
        choices,
        chunk.usage,
        chunk.x_groq,
        chunk.error,
        chunk.object,
        chunk.message,
        chunk.moderation,
    )


def _loose_choice(raw: Raw) -> Choice:
    choice = _decode_loose_choice(raw)
    return Choice(
        choice.index,
        _decode_delta(choice.delta) if is_object(choice.delta) else None,
        choice.finish_reason,
        choice.stop_reason,
        choice.matched_stop,
        choice.usage,
        choice.error,
        choice.logprobs,
    )


def is_error(chunk: Chunk) -> bool:
    """An error in any of the forms that are in use: `error` as object or text, `object` "error" (vLLM, SGLang), a message and
    nothing else, or an error inside the choice (OpenRouter)."""
    if chunk.error is not ABSENT and (is_object(chunk.error) or string(chunk.error)):
        return True
    if chunk.object is not ABSENT and string(chunk.object) == b"error":
        return True
    if chunk.choices is None:
        return bool(string(chunk.message))
    return any(choice.error is not ABSENT and is_object(choice.error) for choice in chunk.choices)


def usage_in(chunk: Chunk, choice: Choice | None) -> Raw | None:
    """The usage object of a chunk, wherever the host puts it (Groq: x_groq; Moonshot: the choice)."""
    if is_object(chunk.usage):
        return chunk.usage
    if is_object(chunk.x_groq) and is_object(usage := _decode_groq(chunk.x_groq).usage):
        return usage
    return choice.usage if choice is not None and is_object(choice.usage) else None


def count(raw: Raw, before: Usage) -> Usage:
    """The counts of a usage object over those known before. Of the prompt, what was cached is taken out."""
    usage = _decode_usage(raw)
    prompt, completion = _details(usage.prompt_tokens_details), _details(usage.completion_tokens_details)
    read = number(prompt.cached_tokens)
    if read < 0:
        read = number(usage.prompt_cache_hit_tokens)
    written = number(prompt.cache_write_tokens)
    if written < 0:
        written = number(prompt.cache_creation_tokens)
    whole = number(usage.prompt_tokens)
    given = {
        "input": max(whole - max(read, 0) - max(written, 0), 0) if whole >= 0 else -1,
        "output": number(usage.completion_tokens),
        "cache_read": read,
        "cache_write": written,
        "reasoning": number(completion.reasoning_tokens),
        "audio_input": number(prompt.audio_tokens),
        "audio_output": number(completion.audio_tokens),
    }
    return merge(before, given)


def _details(raw: Raw) -> _Details:
    return _decode_details(raw) if is_object(raw) else _Details()
