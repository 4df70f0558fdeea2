"""Tool arguments between the two forms they travel in: JSON itself, and a JSON string that holds JSON. Reads no dialect.

Only the string around the JSON is made or taken off. What is inside is never parsed and written again, so the order of keys, the
white space and the spelling of numbers stay as the model wrote them, and the provider's prompt cache with them.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.neutral.members import encode

_decode_text: Final = msgspec.json.Decoder(str).decode
_check: Final = msgspec.json.Decoder(Raw).decode
_FENCE: Final = re.compile(r"```[a-zA-Z]*\s*(.*?)\s*```", re.DOTALL)


def arguments_of(raw: Raw) -> Raw:
    """The JSON object in a string of arguments.

    Models do not always write one: nothing is no arguments; another value goes under `_raw`; what is no JSON, under `_raw_error`.
    """
    text = _decode_text(raw).strip()
    if not text:
        return Raw(b"{}")
    if text.startswith("```") and (fenced := _FENCE.fullmatch(text)):
        text = fenced[1]
    value = text.encode()
    try:
        _check(value)
    except (msgspec.DecodeError, RecursionError):
        return Raw(encode({"_raw_error": _decode_text(raw)}))
    return Raw(value) if value.startswith(b"{") else Raw(encode({"_raw": Raw(value)}))


def write_input(args: bytes) -> bytes:
    """A span of arguments as the JSON object that a call has in a reply, spliced as the model wrote them.

    As `arguments_of` says; but null is no arguments, as hosts send it for them.
    """
    try:
        given = bytes(arguments_of(Raw(b'"%b"' % args)))
    except ValueError:  # not even a sound string
        return encode({"_raw_error": args.decode("utf-8", "replace")})
    return b"{}" if given == b'{"_raw":null}' else given


def string_of_arguments(args: Raw) -> Raw:
    """A JSON string that holds `args` as they are."""
    return Raw(encode(bytes(args).decode()))
