"""Whose a signature is. Opaque proofs of reasoning go out through any client dialect and have to come back to their vendor only.

What an upstream signed leaves as it is where the client speaks that upstream's dialect. In every other client dialect it leaves
as `anyllm:ORIGIN:OPAQUE`, ORIGIN being the name of the upstream's dialect. (Chat's `thinking_blocks` are by their convention
Anthropic's own, so there it is Anthropic's that leaves without a tag.) A reader takes the tag off and notes the origin; a
signature without one belongs to the dialect in which it came. OPAQUE is whatever the origin's decoder said and is written back by
that dialect's request writer, so a dialect may put more than the bare signature into it (an item's id, the kind of part).

`anyllm:FIELD`, with one colon, is no signature: see Thinking in request.py.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

PREFIX: Final = b"anyllm:"
ORIGINS: Final = frozenset({b"anthropic", b"openai_chat", b"openai_responses", b"gemini", b"bedrock"})


def tagged(origin: str, opaque: bytes) -> bytes:
    """The span that leaves for a client of another dialect. Empty stays empty: nobody signed."""
    return b"%b%b:%b" % (PREFIX, origin.encode(), opaque) if opaque and origin else opaque


def untagged(signature: bytes, own: str) -> tuple[str, bytes]:
    """(origin, opaque) of a span that a client sent back; `own` is the dialect whose signatures come without a tag."""
    if not signature.startswith(PREFIX):
        return (own if signature else ""), signature
    origin, colon, opaque = signature[len(PREFIX) :].partition(b":")
    return (origin.decode(), opaque) if colon and origin in ORIGINS else ("", signature)


def read_signature(raw: Raw | None, own: str) -> tuple[str, Raw | None]:
    """The same for a JSON string, or None."""
    if raw is None:
        return "", None
    origin, opaque = untagged(bytes(raw)[1:-1], own)
    return origin, Raw(b'"%b"' % opaque)
