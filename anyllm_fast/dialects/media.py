"""Generated pictures and sounds: `media` of the middle, Anthropic's image block, Chat's `images` and `audio`. Nothing else.

The middle says `{"media_type": "image/png", "data": "base64"}`. Chat has no published word for pictures in an answer; hosts
around it (OpenRouter, LiteLLM) agree on a member `images` of image_url parts with data: URLs. Anthropic has none either, and gets
the block in which its clients send pictures themselves: a client gives it back as it came, so the model of the next turn sees a
picture, and not the megabyte of text that a data: URL in a text block would be.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

_PRINTABLE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+/;="


class _Media(msgspec.Struct):
    media_type: Raw = Raw()
    data: Raw = Raw()


class _Url(msgspec.Struct):
    url: Raw = Raw()


class _Image(msgspec.Struct):
    image_url: Raw = Raw()


_decode_media = msgspec.json.Decoder(_Media).decode
_decode_image = msgspec.json.Decoder(_Image).decode
_decode_url = msgspec.json.Decoder(_Url).decode


def media(kind: bytes, data: bytes) -> bytes:
    """`media` of a media type and a span of base64."""
    return b'{"media_type":"%b","data":"%b"}' % (kind, data)


def kind_and_data(raw: bytes) -> tuple[bytes, bytes] | None:
    """The media type and the span of base64; None where `raw` says less."""
    try:
        said = _decode_media(raw)
    except ValueError:
        return None
    kind, data = _span(said.media_type), _span(said.data)
    return (kind, data) if kind and data else None


def image_block(raw: bytes) -> bytes | None:
    """Anthropic's block for `media`; None for what is no picture."""
    said = kind_and_data(raw)
    if said is None or not said[0].startswith(b"image/"):
        return None
    return b'{"type":"image","source":{"type":"base64","media_type":"%b","data":"%b"}}' % said


def image_part(raw: bytes) -> bytes | None:
    """What follows `{"type":"image_url",` in Chat's entry of `images`; None for what is no picture."""
    said = kind_and_data(raw)
    if said is None or not said[0].startswith(b"image/"):
        return None
    return b'"image_url":{"url":"data:%b;base64,%b"}}' % said


def sound(raw: bytes) -> bytes | None:
    """The span of base64 of `media`; None for what is no sound."""
    said = kind_and_data(raw)
    return said[1] if said is not None and said[0].startswith(b"audio/") else None


def read_image(raw: Raw) -> tuple[bytes, bytes]:
    """An entry of Chat's `images`: (`media`, b"") for a data: URL, (b"", the address as a span) for another, two b"" for none."""
    try:
        inside = _decode_image(raw).image_url
        url = _span(inside) or _span(_decode_url(inside).url)
    except ValueError:
        return b"", b""
    if url[:5].lower() != b"data:":
        return b"", url
    head, comma, data = url[5:].partition(b",")
    kind = head.partition(b";")[0].replace(b"\\/", b"/").lower()
    if not comma or not head.endswith(b";base64") or kind.translate(None, _PRINTABLE):
        return b"", url
    return media(kind or b"image/png", data), b""


def kind_of_sound(data: bytes) -> bytes:
    """The media type of a sound, by how its base64 begins; b"" where that does not tell (raw samples)."""
    return next((kind for begin, kind in _BEGINNINGS if data.startswith(begin)), b"")


_BEGINNINGS: Final = (
    (b"UklGR", b"audio/wav"),
    (b"SUQz", b"audio/mpeg"),
    (b"//s", b"audio/mpeg"),
    (b"//M", b"audio/mpeg"),
    (b"//v", b"audio/mpeg"),
    (b"ZkxhQ", b"audio/flac"),
    (b"T2dnU", b"audio/ogg"),
    (b"//F", b"audio/aac"),
    (b"//k", b"audio/aac"),
)
SAMPLES: Final = b"audio/pcm;rate=24000"
"""What Chat streams: it takes no other format than pcm16 with `stream` (the API reference, audio.format)."""


def _span(raw: Raw) -> bytes:
    text = bytes(raw)
    return text[1:-1] if text[:1] == b'"' else b""
