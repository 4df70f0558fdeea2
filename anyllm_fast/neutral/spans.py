"""Spans: the insides of JSON strings, still escaped. Takes them out of raw JSON and puts them back. Knows no dialect."""

from __future__ import annotations

import msgspec
from msgspec import Raw

_encode = msgspec.json.Encoder().encode
_decode_str = msgspec.json.Decoder(str).decode


def span_of(raw: Raw | bytes, where: str) -> bytes:
    """The inside of a JSON string. ValueError that names `where` if `raw` is no string."""
    text = bytes(raw)
    if text[:1] != b'"':
        raise ValueError(f"{where}: expected a string, got {kind_of(text)}")
    return text[1:-1]


def span_or_none(raw: Raw | None) -> bytes | None:
    """The inside of a JSON string; None for anything else (absent, null, a number)."""
    text = b"" if raw is None else bytes(raw)
    return text[1:-1] if text[:1] == b'"' else None


def kind_of(json: bytes) -> str:
    """What sort of JSON value this is, with its article, for messages."""
    return _KINDS.get(json[:1], "a number" if json else "nothing")


_KINDS = {
    b'"': "a string",
    b"{": "an object",
    b"[": "an array",
    b"t": "a boolean",
    b"f": "a boolean",
    b"n": "null",
}


def escaped(text: bytes) -> bytes:
    """UTF-8 text as a span. Escapes only what JSON demands (quote, backslash, control characters)."""
    return _encode(text.decode())[1:-1]


def span_of_text(text: str) -> bytes:
    return _encode(text)[1:-1]


def text_of(span: bytes) -> str:
    """The text that a span stands for. ValueError for lone surrogates or a broken escape."""
    if b"\\" not in span:
        return span.decode()
    return _decode_str(b'"%b"' % span)  # msgspec.DecodeError is a ValueError
