"""A count of tokens as Anthropic and OpenAI answer it: `{"input_tokens": 7}`. No request, no reply."""

from __future__ import annotations

import msgspec


class _Count(msgspec.Struct):
    input_tokens: int


_decode = msgspec.json.Decoder(_Count).decode


def write_count(tokens: int) -> bytes:
    return b'{"input_tokens":%d}' % tokens


def read_count(body: bytes) -> int:
    """ValueError if it is none."""
    return _decode(body).input_tokens
