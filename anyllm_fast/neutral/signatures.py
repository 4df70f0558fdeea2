"""Whose a signature is. Opaque proofs of reasoning go out through any client dialect and have to come back to their vendor only.

What an upstream signed leaves as it is where the client speaks that upstream's dialect. In every other client dialect it leaves
as `anyllm:ORIGIN:OPAQUE`, ORIGIN being the name of the upstream's dialect. (Chat's `thinking_blocks` are by their convention
Anthropic's own, so there it is Anthropic's that leaves without a tag.) A reader takes the tag off and notes the origin; a
signature without one belongs to the dialect in which it came. OPAQUE is whatever the origin's decoder said and is written back by
that dialect's request writer, so a dialect may put more than the bare signature into it (an item's id, the kind of part).

Redacted reasoning (Anthropic's) that a client dialect has no word for leaves as a signature whose OPAQUE begins with `redacted:`.

Clients of Gemini give back signatures but not the text of thoughts. A vendor that signs its text (Anthropic) wants both, so
towards such a client the two are packed into one value: `packed` and `unpacked`.

`anyllm:FIELD`, with one colon, is no signature: see Thinking in request.py.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.neutral.request import Thinking

PREFIX: Final = b"anyllm:"
ORIGINS: Final = frozenset({b"anthropic", b"openai_chat", b"openai_responses", b"gemini", b"bedrock"})


def tagged(origin: str, opaque: bytes) -> bytes:
    """The span that leaves for a client of another dialect. Empty stays empty: nobody signed. Our own marks stay as they are."""
    if not (opaque and origin) or opaque.startswith(PREFIX):
        return opaque
    return b"%b%b:%b" % (PREFIX, origin.encode(), opaque)


def untagged(signature: bytes, own: str) -> tuple[str, bytes]:
    """(origin, opaque) of a span that a client sent back; `own` is the dialect whose signatures come without a tag."""
    if not signature.startswith(PREFIX):
        return (own if signature else ""), signature
    origin, colon, opaque = signature[len(PREFIX) :].partition(b":")
    return (origin.decode(), opaque) if colon and origin in ORIGINS else ("", signature)


def redacted(data: bytes) -> bytes:
    """The opaque that stands for a block of redacted reasoning."""
    return _REDACTED + data


def redacted_data(opaque: bytes) -> bytes | None:
    """What `redacted` was given; None if it is an ordinary signature."""
    return opaque[len(_REDACTED) :] if opaque.startswith(_REDACTED) else None


_REDACTED: Final = b"redacted:"
_MARKED: Final = b'"' + PREFIX
MAX_PACKED: Final = 256 * 1024
"""Bytes of text that ride along with a signature; of longer thoughts only the signature does."""


def packed(signature: bytes, text: bytes) -> bytes:
    """A tagged signature and the text that it signs (spans both), as one value of plain bytes for a client to keep."""
    return b"%b\n%b" % (signature, text) if 0 < len(text) <= MAX_PACKED else signature


def unpacked(value: bytes) -> tuple[bytes, bytes]:
    """(signature, text) of what `packed` gave."""
    signature, _, text = value.partition(b"\n")
    return signature, text


def read_signature(raw: Raw | None, own: str) -> tuple[str, Raw | None]:
    """The same for a JSON string, or None."""
    if raw is None:
        return "", None
    origin, opaque = untagged(bytes(raw)[1:-1], own)
    return origin, Raw(b'"%b"' % opaque)


def read_seal(thinking: Thinking, raw: Raw | None, own: str) -> None:
    """Sets the signature of a block and whose it is; a tagged one that stands for redacted reasoning makes the block that."""
    thinking.origin, thinking.signature = read_signature(raw, own)
    if raw is None or thinking.signature is None or not is_marked(raw):
        return
    data = redacted_data(bytes(thinking.signature)[1:-1])
    if data is not None:
        thinking.text, thinking.signature, thinking.redacted = Raw(b'"%b"' % data), None, True


def is_marked(raw: Raw | None) -> bool:
    """Whether a JSON string bears a mark of ours: no vendor may see one."""
    return raw is not None and bytes(raw).startswith(_MARKED)
