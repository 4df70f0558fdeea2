"""`usage` of OpenAI Chat Completions: read from a body that is passed on unread, and written. No stream, no other member.

Source: the SDK's types/completion_usage.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.openai_chat_chunk import count
from anyllm_fast.dialects.repair import ABSENT, is_object
from anyllm_fast.neutral.usage import Usage


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _Counts(msgspec.Struct):
    prompt_tokens: int = -1
    completion_tokens: int = -1
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: Raw = ABSENT
    cache_creation_tokens: Raw = ABSENT


class _UsageOnly(msgspec.Struct):
    usage: _Counts | None = None


class _AnyUsage(msgspec.Struct):
    usage: Raw = ABSENT


_decode_usage_only = msgspec.json.Decoder(_UsageOnly).decode
_decode_any_usage = msgspec.json.Decoder(_AnyUsage).decode


def read_usage(body: bytes) -> Usage:
    """Counts of a completion that is passed on unread. Never raises.

    One typed decode for what OpenAI documents; a host that writes them otherwise is read by the stream's more liberal rules.
    """
    try:
        counts = _decode_usage_only(body).usage
        if counts is None:
            return Usage()
        if counts.prompt_tokens >= 0 and not bytes(counts.prompt_cache_hit_tokens):
            return _counted(counts)
    except (ValueError, RecursionError):
        pass
    try:
        usage = _decode_any_usage(body).usage
    except (ValueError, RecursionError):
        return Usage()
    return count(usage, Usage()) if is_object(usage) else Usage()


def _counted(counts: _Counts) -> Usage:
    read = written = reasoning = heard = spoken = -1
    prompt, completion = counts.prompt_tokens_details, counts.completion_tokens_details
    if prompt is not None:
        read, written, heard = _known(prompt.cached_tokens), _known(prompt.cache_write_tokens), _known(prompt.audio_tokens)
    if completion is not None:
        reasoning, spoken = _known(completion.reasoning_tokens), _known(completion.audio_tokens)
    fresh = max(counts.prompt_tokens - max(read, 0) - max(written, 0), 0)
    return Usage(fresh, counts.completion_tokens, read, written, -1, reasoning, heard, spoken)


def _known(number: int | None) -> int:
    return -1 if number is None else number


def write_usage(usage: Usage) -> bytes:
    """`usage` of a completion: prompt_tokens is the sum of what was read from, written to and kept out of the cache."""
    prompt, output = max(usage.prompt, 0), max(usage.output, 0)
    out = b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d' % (prompt, output, prompt + output)
    out += _details(
        b"prompt_tokens_details",
        (b"cached_tokens", usage.cache_read),
        (b"cache_write_tokens", usage.cache_write),
        (b"audio_tokens", usage.audio_input),
    )
    out += _details(
        b"completion_tokens_details",
        (b"reasoning_tokens", usage.reasoning),
        (b"audio_tokens", usage.audio_output),
    )
    return out + b"}"


def _details(name: bytes, *counts: tuple[bytes, int]) -> bytes:
    known = b",".join(b'"%b":%d' % row for row in counts if row[1] >= 0)
    return b',"%b":{%b}' % (name, known) if known else b""
