"""The members of a whole reply, as they are written. Knows JSON and what hosts get wrong in it, no dialect."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.repair import mend

Members = dict[str, Raw]

decode_members = msgspec.json.Decoder(Members).decode


def read_members(body: bytes) -> Members:
    """The top-level members of a whole reply. ValueError if it is no JSON object.

    What a host got wrong in the text itself (UTF-8, half a surrogate pair) is mended as it is in a stream, so that an answer
    is not lost over one character.
    """
    try:
        if not body.isascii():
            body.decode()
        return decode_members(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return decode_members(mend(body))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def says_something(raw: Raw, defaults: tuple[object, ...] = ()) -> bool:
    """Whether dropping this value would lose anything: null, the empty ones and a member's documented defaults say nothing."""
    text = bytes(raw)
    if text in _NOTHING:
        return False
    return not defaults or _decode(text) not in defaults


_NOTHING = (b"null", b"{}", b"[]", b'""')
_decode = msgspec.json.Decoder().decode
