"""Spans: the insides of JSON strings, still escaped. Escapes once more or once less. Knows no dialect."""

from __future__ import annotations

import msgspec

_encode = msgspec.json.Encoder().encode
_decode_str = msgspec.json.Decoder(str).decode


def escaped(text: bytes) -> bytes:
    """UTF-8 text (arguments, say) as a span. Escapes only what JSON demands: quote, backslash, control characters."""
    return _encode(text.decode())[1:-1]


def text_of(span: bytes) -> str:
    """The text that a span stands for. ValueError for lone surrogates or a broken escape."""
    if b"\\" not in span:
        return span.decode()
    return _decode_str(b'"%b"' % span)  # msgspec.DecodeError is a ValueError
