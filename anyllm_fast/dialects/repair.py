"""What a stream decoder does with a frame that its fast scan refused, and bounds on what it keeps. Knows no dialect.

Both twins read a frame with a strict scan (msgspec and `strict` here, native/json.pxi there) that refuses what RFC 8259 refuses,
invalid UTF-8 and unpaired surrogate escapes. What it refuses comes to `mend`: one source for both, so that a repaired frame has
the same bytes in both and a hopeless one the same message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.upstream_error import clean, read_error, read_failure
from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage

MAX_DEPTH: Final = 128
"""Objects and arrays within one another. Deeper frames are refused: both twins walk values recursively."""
HELD_MAX: Final = 4 << 20
"""Bytes that a decoder or an encoder keeps of one reply because they cannot leave yet. (What the framer keeps is max_frame.)"""
MAX_CALLS: Final = 128
"""Tool calls in one reply, and content blocks open at once."""

HELD_TOO_MUCH: Final = Failure("api", f"more than {HELD_MAX} bytes of the upstream's reply wait to be put in order", 502)
TOO_MANY_CALLS: Final = Failure("api", f"the upstream's reply has more than {MAX_CALLS} tool calls", 502)

_decode_raw = msgspec.json.Decoder(Raw).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode
_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class Malformed(ValueError):
    """The frame is no JSON, or none that a decoder would look into. Says why."""


TOO_DEEP: Final = f"values lie deeper than {MAX_DEPTH}"
NO_OBJECT: Final = "it is no JSON object"

T = TypeVar("T")


def read_frame(data: bytes, tight: Callable[[bytes], T], loose: Callable[[bytes], T]) -> tuple[T, bytes]:
    """The frame by its typed decoder, or by the one that takes values of a wrong type for absent ones, and the bytes that were
    decoded (mended, where that was needed). Raises Malformed."""
    try:
        strict(data)
        return _either(data, tight, loose), data
    except (UnicodeDecodeError, msgspec.DecodeError):
        mended = mend(data)
    try:
        return _either(mended, tight, loose), mended
    except msgspec.DecodeError as error:
        raise Malformed(NO_OBJECT) from error


def _either(data: bytes, tight: Callable[[bytes], T], loose: Callable[[bytes], T]) -> T:
    try:
        return tight(data)
    except msgspec.ValidationError:
        return loose(data)


def strict(data: bytes) -> None:
    """Raises UnicodeDecodeError or Malformed for what msgspec does not look at: UTF-8 inside strings, and depth."""
    if not data.isascii():
        data.decode()
    if too_deep(data):
        raise Malformed(TOO_DEEP)


def too_deep(data: bytes) -> bool:
    """Whether values lie deeper than MAX_DEPTH. Counts first: almost no frame has that many brackets."""
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _BRACKET.finditer(data):
        byte = data[match.start()]
        if byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif byte in b"]}":
            depth -= 1
    return False


def mend(data: bytes) -> bytes:
    """The frame with U+FFFD for every invalid UTF-8 sequence and unpaired surrogate escape (the Encoding standard's rule).

    Raises Malformed if it is no JSON even so.
    """
    text = _ESCAPE.sub(lambda match: "\\ufffd" if match[1] else match[0], data.decode("utf-8", "replace"))
    mended = text.encode()
    if too_deep(mended):
        raise Malformed(TOO_DEEP)
    try:
        _decode_raw(mended)
    except msgspec.DecodeError as error:
        raise Malformed(str(error)) from error
    return mended


def unreadable(data: bytes, why: str) -> Failure:
    """What the caller is told of a frame that cannot be read: the reason and how the frame begins.

    An error object in an array (Google) says more than that it is an array.
    """
    begin = clean(data[:80].decode("utf-8", "replace"))
    inside = data[1:-1] if data[:1] == b"[" else data
    return read_failure(inside) or Failure("api", f"the upstream sent an event that cannot be read ({why}): {begin}", 502)


def in_stream_error(data: bytes) -> Failure:
    """The error that a frame says it is, in any form."""
    if known := read_failure(data):
        return known
    if data[:1] == b"{":
        return read_error(500, data)
    text = clean(data.decode("utf-8", "replace")) or "nothing"
    return Failure("api", f"the upstream sent an error event that says {text}", 502)


# -- raw members -------------------------------------------------------------------------------------------------------

ABSENT: Final = Raw()


def string(raw: Raw) -> bytes:
    """The span of a JSON string; b"" for anything else."""
    text = bytes(raw)
    return text[1:-1] if text[:1] == b'"' else b""


def number(raw: Raw) -> int:
    """A count; -1 for anything else (absent, negative, a fraction, or of more than 15 digits)."""
    text = bytes(raw)
    return int(text) if text.isdigit() and len(text) <= 15 else -1


def merge(before: Usage, given: dict[str, int]) -> Usage:
    """Counts over those known before: -1 says nothing, and neither does a 0 where there was more (counts are cumulative)."""
    known = {name: n for name, n in given.items() if n > 0 or (n == 0 and getattr(before, name) < 0)}
    return msgspec.structs.replace(before, **known)


def is_object(raw: Raw) -> bool:
    return bytes(raw)[:1] == b"{"


def objects(raw: Raw) -> list[Raw]:
    """The objects in a JSON array; [] for anything else."""
    if bytes(raw)[:1] != b"[":
        return []
    return [item for item in _decode_items(raw) if bytes(item)[:1] == b"{"]


def assemble(block: bytes, deltas: list[bytes]) -> bytes:
    """A content block of a kind that the middle has no word for, with its deltas put into it, as one JSON object.

    `partial_json` pieces become `input`, citations are listed, other strings are appended to the member of their name.
    What cannot be put together this way is kept beside the block as `deltas`.
    """
    if not deltas:
        return block
    try:
        return _assembled(block, deltas)
    except ValueError:  # msgspec's errors among them
        return b'{"block":%b,"deltas":[%b]}' % (block, b",".join(deltas))


def _assembled(block: bytes, deltas: list[bytes]) -> bytes:
    members = _decode_members(block)
    strings: dict[str, list[str]] = {}
    citations: list[Raw] = []
    for delta in deltas:
        for name, raw in _decode_members(delta).items():
            if name == "citation":
                citations.append(raw)
            elif name != "type":
                strings.setdefault(name, []).append(_decode_str(raw))
    if text := "".join(strings.pop("partial_json", ())):
        members["input"] = _decode_raw(text)
    if citations:
        members["citations"] = Raw(_encode(citations))
    for name, parts in strings.items():
        before = _decode_str(members[name]) if name in members else ""
        members[name] = Raw(_encode(before + "".join(parts)))
    return _encode(members)
