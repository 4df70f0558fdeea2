"""thoughtSignature of Gemini, both ways: its own signatures, and those of other vendors packed into its place. Knows no message.

Gemini signs a part: a call, a text, a thought. Inside, such a signature is `K:VALUE`, K being the kind of the part that it came
on, because it has to go back on the same part. What another vendor signed goes to a client of Gemini as one base64 value that
holds our tagged signature and the text that it is about (signatures.py): such clients give back signatures and forget thoughts.

The member is bytes in base64 of either alphabet; google-genai writes the url-safe one, whatever it was given.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Final

import msgspec

from anyllm_fast.neutral.signatures import PREFIX, packed, redacted_data, tagged, unpacked, untagged
from anyllm_fast.neutral.spans import text_of

NAME: Final = "gemini"
CALL: Final = "c"
TEXT: Final = "t"
THOUGHT: Final = "h"
MEDIA: Final = "m"
ANY: Final = ""
"""The kind of a signature that may stand on a call or on a text."""

SKIP: Final = b"skip_thought_signature_validator"
"""What Google documents for calls that no model of its made."""
_SKIPS: Final = (SKIP, b"context_engineering_is_the_way_to_go")
_NOBODYS: Final = frozenset(
    form for skip in _SKIPS for form in (skip, b64encode(skip), b64encode(skip).rstrip(b"="), b64encode(b64encode(skip)))
)
_OURS: Final = b64encode(PREFIX + b"..")[:9]  # how the base64 of any packed value begins, in both alphabets
_KINDS: Final = frozenset({CALL, TEXT, THOUGHT, MEDIA})
_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


class Proof(msgspec.Struct, frozen=True):
    """A signature as a client sent it back. `text` (a span) is what it is about, where that rode along. `data`: no signature but
    a block of encrypted reasoning."""

    origin: str
    opaque: bytes = b""
    text: bytes = b""
    data: bytes | None = None


def read_proof(span: bytes, kind: str) -> Proof | None:
    """The signature on a part of that kind; None for the words that stand for no signature."""
    if span in _NOBODYS or not span:
        return None
    if not span.startswith(_OURS) or (value := _decoded(span)) is None or not value.startswith(PREFIX):
        return Proof(NAME, kind.encode() + b":" + span)
    signature, text = unpacked(value)
    origin, opaque = untagged(signature, NAME)
    data = redacted_data(opaque)
    return Proof(origin, opaque, text) if data is None else Proof(origin, data=data)


def _decoded(span: bytes) -> bytes | None:
    try:
        value = text_of(span).encode().translate(_ALPHABET)
        return b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except ValueError:
        return None


def standard_base64(data: bytes) -> bytes:
    """Base64 in the alphabet that the other vendors take."""
    return data.translate(_ALPHABET) if b"-" in data or b"_" in data else data


def split(opaque: bytes) -> tuple[str, bytes]:
    """(kind, value) of what `read_proof` or a decoder said of Gemini's own signature."""
    kind = opaque[:1].decode("ascii", "replace")
    return (kind, opaque[2:]) if opaque[1:2] == b":" and kind in _KINDS else (ANY, opaque)


def write_proof(opaque: bytes, origin: str, text: bytes) -> tuple[str, bytes]:
    """(kind, span) of the thoughtSignature for a client; `text` is the thought that it signs."""
    if origin in ("", NAME):
        return split(opaque)
    signature = opaque if opaque.startswith(PREFIX) else tagged(origin, opaque)
    return ANY, b64encode(packed(signature, text))
