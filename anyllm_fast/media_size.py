"""Width and height of a picture, from the first bytes of its file. Decodes no picture and trusts no length in it."""

from __future__ import annotations

import base64
import binascii
from typing import Final, Literal

_HEAD: Final = 64 * 1024  # characters of base64: past the thumbnails and profiles that cameras put before a JPEG's frame
_NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})  # JPEG markers between C0 and CF that do not begin a frame


def picture_size(data: str) -> tuple[int, int] | None:
    """(width, height) in pixels of a PNG, JPEG, GIF or WebP file given as base64; None if it cannot be told."""
    try:
        head = base64.b64decode(data[:_HEAD][: len(data[:_HEAD]) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) >= 24:
        return _pair(head[16:20], head[20:24], "big")
    if head[:6] in (b"GIF87a", b"GIF89a") and len(head) >= 10:
        return _pair(head[6:8], head[8:10], "little")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    if head[:2] == b"\xff\xd8":
        return _jpeg(head)
    return None


def _pair(width: bytes, height: bytes, order: Literal["big", "little"]) -> tuple[int, int]:
    return int.from_bytes(width, order), int.from_bytes(height, order)


def _webp(head: bytes) -> tuple[int, int] | None:
    """The three bitstreams: VP8X (extended), VP8L (lossless), VP8 (lossy). RFC 9649."""
    if len(head) < 30:
        return None
    match head[12:16]:
        case b"VP8X":
            width, height = _pair(head[24:27], head[27:30], "little")
            return width + 1, height + 1
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = _pair(head[26:28], head[28:30], "little")
            return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    """Walks the segments to the first frame header (SOF). ITU T.81, annex B."""
    at = 2
    while at + 9 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            return _pair(head[at + 7 : at + 9], head[at + 5 : at + 7], "big")
        at += 1 if marker == 0xFF else 2 + max(int.from_bytes(head[at + 2 : at + 4], "big"), 2)
    return None
